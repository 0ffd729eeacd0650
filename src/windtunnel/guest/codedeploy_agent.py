"""The CodeDeploy agent: takes commands from the cloud by long poll, carries them out on this instance, and reports how they ended.

Why it exists: deployments must be done by the instance itself, with its own permissions, as they are on AWS.

Invariants: a command is acknowledged before and reported after it is carried out, and carried out at most once (codedeploy/ledger.py);
commands of one deployment group never overlap; a cloud that is away is waited for, never a reason to fail.

Run as a service: `/usr/bin/python3 /opt/windtunnel/codedeploy_agent.py`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from windtunnel.guest.aws import ApiError, Client, NoCredentials, Unreachable, metadata
from windtunnel.guest.codedeploy import settings as settings_module
from windtunnel.guest.codedeploy.executor import Executor
from windtunnel.guest.codedeploy.ledger import Entry, Ledger, Result
from windtunnel.guest.codedeploy.logs import AgentLog
from windtunnel.guest.codedeploy.scripts import AFTER_RESTART, UNKNOWN
from windtunnel.guest.codedeploy.settings import Settings
from windtunnel.guest.codedeploy.specification import Invalid, Specification, parse

SERVICE = "codedeploy-commands"
PREFIX = "CodeDeployCommandService_v20141006."
POLL_TIMEOUT = 80.0
AFTER_ERROR = 2.0
REPORT_PATIENCE = 8 * 3600.0
RESTARTED = "Failing in-progress lifecycle event after an agent restart."
NO_PROFILE = "Missing credentials - please check if this instance was started with an IAM instance profile"
FINISHED = ("Succeeded", "Failed")


class Stop(BaseException):
    """The service is asked to end. Not an Exception, so that nothing on the way takes it for a failure."""


class Host(NamedTuple):
    """Who this instance is, from its identity document."""

    identifier: str
    region: str


def host() -> Host:
    """From the environment (AWS_HOST_IDENTIFIER, as AWS's agent takes it), else from the metadata; OSError while they do not answer."""
    given = os.environ.get("AWS_HOST_IDENTIFIER")
    if given:
        return Host(given, given.split(":")[3])
    text = metadata("/latest/dynamic/instance-identity/document")
    if text is None:
        raise OSError("the instance metadata have no identity document")
    found = json.loads(text)
    return Host(f"arn:aws:ec2:{found['region']}:{found['accountId']}:instance/{found['instanceId']}", found["region"])


class Agent:
    """One instance's agent."""

    def __init__(self, settings: Settings, this: Host, log: AgentLog) -> None:
        self._host = this
        self._log = log
        self._polling = self._client(settings.endpoint, 30.0)
        self._reporting = self._client(settings.endpoint, REPORT_PATIENCE)
        self._ledger = Ledger(settings.state / "commands")
        self._executor = Executor(settings, self._client(settings.s3_endpoint or settings.endpoint, 900.0))
        self._groups: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._in_hand: dict[str, threading.Thread] = {}
        self._specifications: dict[str, Specification] = {}

    def _client(self, endpoint: str, patience: float) -> Client:
        return Client(endpoint, self._host.region, patience=patience, waiting=lambda text: self._log.say("WARN", text))

    # -- taking commands ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Poll until `Stop`; then let what is being carried out end."""
        try:
            self._take_up()
            while True:
                self._poll()
        except Stop:
            self._log.say("INFO", "stopping: waiting for the commands in hand")
            for thread in list(self._in_hand.values()):
                thread.join()

    def _take_up(self) -> None:
        """Commands of an earlier life: what had ended is reported, what had begun has failed, the rest is carried out."""
        self._ledger.prune()
        for entry in self._ledger.unfinished():
            if entry.state == "running":
                entry = Entry(entry.command, "done", Result(AFTER_RESTART, RESTARTED))
                self._ledger.write(entry)
            self._begin(entry.command)

    def _poll(self) -> None:
        try:
            answer = self._call(self._polling, "PollHostCommand", {"HostIdentifier": self._host.identifier}, POLL_TIMEOUT)
        except NoCredentials as problem:
            self._log.say("ERROR", f"{NO_PROFILE} ({problem})")
            time.sleep(AFTER_ERROR)
        except (ApiError, Unreachable, OSError) as problem:
            self._log.say("ERROR", f"Error polling for host commands: {problem}")
            time.sleep(AFTER_ERROR)
        else:
            command = answer.get("HostCommand")
            if command:
                self._begin(command)

    def _begin(self, command: dict[str, Any]) -> None:
        identifier = command["HostCommandIdentifier"]
        if identifier in self._in_hand:  # it waits for another command of its group
            time.sleep(0.5)
            return
        taken = threading.Event()
        thread = threading.Thread(target=self._work, args=(command, taken), name=command["CommandName"])
        self._in_hand[identifier] = thread
        thread.start()
        taken.wait(1.0)  # until it is acknowledged the next poll would bring the same command again

    def _work(self, command: dict[str, Any], taken: threading.Event) -> None:
        identifier = command["HostCommandIdentifier"]
        try:
            self._carry_out(command, taken)
        except (ApiError, Unreachable, NoCredentials, OSError) as problem:
            self._log.say("ERROR", f"Error during perform of {command['CommandName']}: {problem}")
        finally:
            taken.set()
            self._in_hand.pop(identifier, None)

    # -- one command --------------------------------------------------------------------------------------------------

    def _carry_out(self, command: dict[str, Any], taken: threading.Event) -> None:
        known = self._ledger.find(command["HostCommandIdentifier"])
        if known is not None and known.result is not None:
            self._report(command, known.result)
            return
        try:
            spec = self._specification(command["DeploymentExecutionId"])
        except Invalid as problem:
            self._refuse(command, str(problem))
            return
        with self._groups[spec.group_id]:
            self._acknowledge_and_execute(command, spec, taken)

    def _acknowledge_and_execute(self, command: dict[str, Any], spec: Specification, taken: threading.Event) -> None:
        identifier, event = command["HostCommandIdentifier"], command["CommandName"]
        noop = self._executor.is_noop(event, spec)
        if not noop:
            self._ledger.write(Entry(command, "taken"))
        status = self._acknowledge(identifier, noop)
        taken.set()
        if status in FINISHED:
            if not noop:
                self._ledger.forget(identifier)
            return
        self._ledger.write(Entry(command, "running"))
        self._log.say("INFO", f"executing {event} of {spec.deployment_id}")
        result = self._executor.execute(event, spec)
        self._ledger.write(Entry(command, "done", result))
        level = "INFO" if result.status == "Succeeded" else "ERROR"
        self._log.say(level, f"{event} of {spec.deployment_id}: {result.status}: {result.message}")
        self._report(command, result)

    def _specification(self, execution: str) -> Specification:
        found = self._specifications.get(execution)
        if found is None:
            answer = self._call(
                self._reporting,
                "GetDeploymentSpecification",
                {"DeploymentExecutionId": execution, "HostIdentifier": self._host.identifier},
            )
            found = parse(answer)
            self._specifications = {execution: found}
        return found

    def _acknowledge(self, identifier: str, noop: bool) -> str:
        diagnostics = {"Format": "JSON", "Payload": json.dumps({"IsCommandNoop": noop})}
        answer = self._call(
            self._reporting, "PutHostCommandAcknowledgement", {"HostCommandIdentifier": identifier, "Diagnostics": diagnostics}
        )
        return str(answer.get("CommandStatus") or "")

    def _refuse(self, command: dict[str, Any], why: str) -> None:
        """End a command that cannot even be begun."""
        if self._acknowledge(command["HostCommandIdentifier"], noop=False) not in FINISHED:
            self._report(command, Result(UNKNOWN, why))

    def _report(self, command: dict[str, Any], result: Result) -> None:
        self._call(
            self._reporting,
            "PutHostCommandComplete",
            {
                "HostCommandIdentifier": command["HostCommandIdentifier"],
                "CommandStatus": result.status,
                "Diagnostics": {"Format": "JSON", "Payload": result.payload()},
            },
        )
        self._ledger.write(Entry(command, "reported", result))

    def _call(self, client: Client, operation: str, payload: dict[str, Any], timeout: float = 30.0) -> dict[str, Any]:
        started = time.monotonic()
        answer = client.json(SERVICE, PREFIX + operation, payload, timeout=timeout)
        words = operation[0].lower() + "".join(f"_{c.lower()}" if c.isupper() else c for c in operation[1:])
        self._log.say("INFO", f"[Aws::CodeDeployCommand::Client 200 {time.monotonic() - started:.6f} 0 retries] {words}")
        return answer


def stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stop


def main(arguments: list[str]) -> int:
    """arguments: `--config_file FILE`, or nothing for the machine's own configuration."""
    config = Path(arguments[1]) if arguments[:1] == ["--config_file"] and len(arguments) == 2 else settings_module.CONFIG
    settings = settings_module.load(config)
    log = AgentLog(settings.log_dir)
    signal.signal(signal.SIGTERM, stop)
    try:
        while not settings.endpoint:
            log.say("ERROR", "no endpoint: neither AWS_ENDPOINT_URL nor :deploy_control_endpoint: is set")
            time.sleep(30.0)
            settings = settings_module.load(config)
        while True:
            try:
                this = host()
                break
            except (OSError, http.client.HTTPException, ValueError, KeyError) as problem:
                log.say("ERROR", f"waiting for the instance metadata: {problem}")
                time.sleep(AFTER_ERROR)
        settings.instructions.mkdir(parents=True, exist_ok=True)
        log.say("INFO", f"Version file found: agent of Windtunnel; host identifier {this.identifier}; region {this.region}")
        Agent(settings, this, log).run()
    except Stop:
        pass
    log.say("INFO", "stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
