"""A scripted command service (and object store) on a port of its own, and the real agent as a process beside it.

The service offers a list of commands one after the other, each until it is acknowledged, and records what it is told.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness import until

SRC = Path(__file__).parents[3] / "src"
HOST = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"
GROUP = "11111111-2222-4333-8444-555555555555"
APPSPEC = "version: 0.0\nos: linux\n"
EVENTS = ("ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall", "ApplicationStart", "ValidateService")


def bundle(appspec: str, **files: str) -> bytes:
    """A zip with appspec.yml and scripts (`start="echo hi"` becomes scripts/start.sh)."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("appspec.yml", appspec)
        for name, text in files.items():
            archive.writestr(f"scripts/{name}.sh", f"#!/bin/bash\n{text}\n")
    return data.getvalue()


class CommandService:
    """objects: key -> bytes. acknowledged and completed: by command identifier, each call in order."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.overrides: dict[str, Any] = {}
        self.revision: dict[str, Any] = {}
        self.etag = ""
        self.acknowledged: list[tuple[str, bool]] = []
        self.completed: list[tuple[str, str, dict[str, Any]]] = []
        self.refusing = threading.Event()
        """While it is set, every call is answered 503, as a cloud that is just coming up."""
        self.withdrawn: set[str] = set()
        self._offered: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                assert "codedeploy-commands/aws4_request" in self.headers["Authorization"]
                if service.refusing.is_set():
                    self.answer(503, b"{}")
                else:
                    self.answer(200, json.dumps(getattr(service, operation)(json.loads(body))).encode())

            def do_GET(self) -> None:
                found = service.objects.get(self.path.partition("?")[0])
                if found is None:
                    self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>")
                else:
                    self.answer(200, found)

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", f'"{service.etag}"')
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Silent: what matters is recorded."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """An agent that was killed leaves connections behind."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # -- the operations -------------------------------------------------------------------------------------------------

    def PollHostCommand(self, request: dict[str, Any]) -> dict[str, Any]:
        assert request["HostIdentifier"] == HOST
        with self._changed:
            self._changed.wait_for(lambda: self._offered, timeout=2.0)
            return {"HostCommand": self._offered[0]} if self._offered else {}

    def GetDeploymentSpecification(self, request: dict[str, Any]) -> dict[str, Any]:
        deployment = request["DeploymentExecutionId"].rpartition("/")[2]
        s3 = {"Bucket": "b", "Key": f"{deployment}.zip", "BundleType": "zip", **self.revision}
        found = {
            "DeploymentId": deployment,
            "DeploymentGroupId": GROUP,
            "DeploymentGroupName": "web",
            "ApplicationName": "shop",
            "Revision": {"RevisionType": "S3", "S3Revision": s3},
            "AgentActionOverrides": {"AgentOverrides": self.overrides},
            "AllPossibleLifecycleEvents": EVENTS,
        }
        envelope = {"Format": "TEXT/JSON", "Payload": json.dumps(found)}
        return {"DeploymentSystem": "CodeDeploy", "DeploymentSpecification": {"GenericEnvelope": envelope}}

    def PutHostCommandAcknowledgement(self, request: dict[str, Any]) -> dict[str, Any]:
        identifier = request["HostCommandIdentifier"]
        noop = json.loads(request["Diagnostics"]["Payload"])["IsCommandNoop"]
        with self._changed:
            self._offered = [c for c in self._offered if c["HostCommandIdentifier"] != identifier]
            self.acknowledged.append((identifier, noop))
        if identifier in self.withdrawn:
            return {"CommandStatus": "Failed"}
        return {"CommandStatus": "Succeeded" if noop else "InProgress"}

    def PutHostCommandComplete(self, request: dict[str, Any]) -> dict[str, Any]:
        diagnostics = json.loads(request["Diagnostics"]["Payload"])
        self.completed.append((request["HostCommandIdentifier"], request["CommandStatus"], diagnostics))
        return {}

    # -- the script -----------------------------------------------------------------------------------------------------

    def offer(self, deployment: str, event: str) -> str:
        """Put a command out; its identifier."""
        identifier = f"{deployment}:{event}"
        command = {
            "HostCommandIdentifier": identifier,
            "HostIdentifier": HOST,
            "DeploymentExecutionId": f"arn:aws:codedeploy:us-east-1:123456789012:deployment/{deployment}",
            "CommandName": event,
            "Nonce": 1,
        }
        with self._changed:
            self._offered.append(command)
            self._changed.notify_all()
        return identifier

    def ended(self, identifier: str) -> tuple[str, dict[str, Any]]:
        """(status, diagnostics) of a command once it has ended; a no-op has ended when it is acknowledged."""

        def look() -> tuple[str, dict[str, Any]] | None:
            if (identifier, True) in self.acknowledged:
                return "noop", {}
            return next(((status, found) for name, status, found in self.completed if name == identifier), None)

        found = until(look, what=f"the end of {identifier}")
        assert found is not None
        return found

    def run(self, deployment: str, *events: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """Have events carried out in order; their ends. Stops at the first failure."""
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for event in events or EVENTS:
            found[event] = self.ended(self.offer(deployment, event))
            if found[event][0] == "Failed":
                break
        return found


class AgentProcess:
    """The agent as its service starts it, with directories of its own."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.home = home
        self.root = home / "deployment-root"
        self._endpoint = endpoint
        self._config = home / "codedeployagent.yml"
        home.mkdir(exist_ok=True)
        self._config.write_text(f":root_dir: '{self.root}'\n:log_dir: '{home}/log'\n:pid_dir: '{home}/state/.pid'\n:max_revisions: 2\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        found: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SRC),
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_HOST_IDENTIFIER": HOST,
            "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
            **environment,
        }
        program = SRC / "windtunnel" / "guest" / "codedeploy_agent.py"
        words = [sys.executable, str(program), "--config_file", str(self._config)]
        with (self.home / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(words, env=found, stderr=errors, cwd=self.home)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(20)
        self._process = None
        return status

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def directory(self, deployment: str) -> Path:
        return self.root / GROUP / deployment
