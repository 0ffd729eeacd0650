"""The agent as a process against a scripted command service: its order of calls, its reports, and what survives a kill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_service import APPSPEC, EVENTS, GROUP, AgentProcess, CommandService, bundle

from harness import until

START = APPSPEC + "hooks:\n  ApplicationStart: [{location: scripts/start.sh, timeout: 20}]\n"


@pytest.fixture
def service() -> Iterator[CommandService]:
    running = CommandService()
    yield running
    running.close()


@pytest.fixture
def agent(tmp_path: Path, service: CommandService) -> Iterator[AgentProcess]:
    process = AgentProcess(tmp_path / "codedeploy-agent", service.endpoint)
    process.start()
    yield process
    process.close()


def test_a_deployment_from_stop_to_validation(service: CommandService, agent: AgentProcess, tmp_path: Path) -> None:
    target = tmp_path / "www"
    text = START + f"files: [{{source: /scripts, destination: {target}}}]\n"
    service.objects["/b/d-1.zip"] = bundle(text, start='env | sort > "$0.env"; pwd; echo to stderr >&2')
    ends = service.run("d-1")
    assert {event: status for event, (status, _) in ends.items()} == {
        "ApplicationStop": "noop",
        "DownloadBundle": "Succeeded",
        "BeforeInstall": "noop",
        "Install": "Succeeded",
        "AfterInstall": "noop",
        "ApplicationStart": "Succeeded",
        "ValidateService": "noop",
    }
    assert ends["Install"][1] == {"error_code": 0, "script_name": "", "message": "Succeeded", "log": ""}
    assert (target / "start.sh").is_file()
    directory = agent.directory("d-1")
    assert {"bundle.tar", "deployment-archive", "logs"} == {path.name for path in directory.iterdir()}
    lines = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in (directory / "logs/scripts.log").read_text().splitlines()]
    assert lines[:2] == ["LifecycleEvent - ApplicationStart", "Script - scripts/start.sh"]
    assert set(lines[2:]) == {f"[stdout]{agent.home}", "[stderr]to stderr"}
    environment = dict(line.split("=", 1) for line in (directory / "deployment-archive/scripts/start.sh.env").read_text().splitlines())
    assert {
        "LIFECYCLE_EVENT": "ApplicationStart",
        "DEPLOYMENT_ID": "d-1",
        "APPLICATION_NAME": "shop",
        "DEPLOYMENT_GROUP_NAME": "web",
        "DEPLOYMENT_GROUP_ID": GROUP,
        "BUNDLE_BUCKET": "b",
        "BUNDLE_KEY": "d-1.zip",
    }.items() <= environment.items()
    instructions = agent.root / "deployment-instructions"
    assert (instructions / f"{GROUP}_last_successful_install").read_text() == str(directory)
    assert (instructions / f"{GROUP}_most_recent_install").read_text() == str(directory)
    assert "[d-1]Script - scripts/start.sh" in (agent.root / "deployment-logs/codedeploy-agent-deployments.log").read_text()
    assert "poll_host_command" in (agent.home / "log/codedeploy-agent.log").read_text()


FAILURES = [
    pytest.param(
        "echo one; echo two >&2; exit 3", {}, 4, "Script at specified location: scripts/start.sh failed with exit code 3", id="exit"
    ),
    pytest.param("kill -9 $$", {}, 4, "Script at specified location: scripts/start.sh failed with exit code 137", id="killed"),
    pytest.param(
        "sleep 60", {"timeout": 1}, 3, "Script at specified location: scripts/start.sh failed to complete in 1 seconds", id="timeout"
    ),
    pytest.param(
        "sleep 5 &", {"timeout": 1}, 6, "Script at specified location: scripts/start.sh failed to close STDOUT", id="child keeps stdout"
    ),
]


@pytest.mark.parametrize("script, more, code, message", FAILURES)
def test_a_script_that_fails(
    service: CommandService, agent: AgentProcess, script: str, more: dict[str, int], code: int, message: str
) -> None:
    service.objects["/b/d-1.zip"] = bundle(START.replace("timeout: 20", f"timeout: {more.get('timeout', 20)}"), start=script)
    status, found = service.run("d-1", "DownloadBundle", "ApplicationStart")["ApplicationStart"]
    assert (status, found["error_code"], found["message"], found["script_name"]) == ("Failed", code, message, "scripts/start.sh")
    assert found["log"].startswith("LifecycleEvent - ApplicationStart\nScript - scripts/start.sh\n")
    if code == 4 and "one" in script:
        assert {"[stdout]one", "[stderr]two"} <= set(found["log"].splitlines())


def test_a_daemon_that_lets_go_of_its_output_does_not_hold_the_event_up(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(START, start="nohup sleep 30 > /dev/null 2>&1 < /dev/null & echo $!")
    status, _ = service.run("d-1", "DownloadBundle", "ApplicationStart")["ApplicationStart"]
    assert status == "Succeeded"
    log = (agent.directory("d-1") / "logs/scripts.log").read_text()
    pid = int(log.rpartition("[stdout]")[2])
    import os

    os.kill(pid, 9)


def test_a_missing_script(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(START)
    status, found = service.run("d-1", "DownloadBundle", "ApplicationStart")["ApplicationStart"]
    where = agent.directory("d-1") / "deployment-archive/scripts/start.sh"
    assert (status, found["error_code"]) == ("Failed", 1)
    assert found["message"] == f"Script does not exist at specified location: {where}"


def test_the_log_that_is_reported_is_the_last_2048_characters(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(START, start="for i in $(seq 1000); do echo line $i; done; exit 1")
    _, found = service.run("d-1", "DownloadBundle", "ApplicationStart")["ApplicationStart"]
    assert len(found["log"]) <= 2048
    assert found["log"].endswith("[stdout]line 1000\n")


def test_stopping_is_the_last_successful_revision_s_own_business(service: CommandService, agent: AgentProcess) -> None:
    stop = APPSPEC + "hooks:\n  ApplicationStop: [{location: scripts/stop.sh}]\n"
    service.objects["/b/d-1.zip"] = bundle(stop, stop="echo first >> ../stopped; touch " + str(agent.home / "first"))
    service.objects["/b/d-2.zip"] = bundle(stop, stop="touch " + str(agent.home / "second"))
    service.run("d-1")
    assert service.run("d-2", "ApplicationStop")["ApplicationStop"][0] == "Succeeded"
    assert (agent.home / "first").exists() and not (agent.home / "second").exists()


def test_old_archives_go_but_never_the_last_successful_one(service: CommandService, agent: AgentProcess) -> None:
    for name in ("d-1", "d-2", "d-3", "d-4", "d-5"):
        service.objects[f"/b/{name}.zip"] = bundle(APPSPEC)
    service.run("d-1", "DownloadBundle", "Install")
    for name in ("d-2", "d-3", "d-4", "d-5"):
        service.run(name, "DownloadBundle")
    kept = {path.name for path in (agent.root / GROUP).iterdir()}
    assert {"d-1", "d-5"} <= kept and len(kept) <= 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"objects": {}}, "The specified key does not exist."),
        ({"etag": "other", "revision": {"ETag": "wanted"}}, 'Expected deployment artifact bundle etag wanted but was actually "other"'),
        ({"objects": {"/b/d-1.zip": b"not a zip"}}, "Error extracting zip archive: 9"),
        ({"revision": {"BundleType": "rar"}}, "Unsupported bundle type: rar"),
    ],
    ids=["missing", "etag", "broken", "type"],
)
def test_a_bundle_that_cannot_be_had(service: CommandService, agent: AgentProcess, change: dict[str, object], message: str) -> None:
    service.objects["/b/d-1.zip"] = bundle(APPSPEC)
    for name, value in change.items():
        setattr(service, name, value)
    status, found = service.run("d-1", "DownloadBundle")["DownloadBundle"]
    assert (status, found["error_code"]) == ("Failed", 5)
    assert found["message"].startswith(message)


def test_an_appspec_that_is_wrong_or_missing_is_told_by_the_first_event_that_needs_it(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle("version: 0.1\nos: linux\n")
    found = service.run("d-1", "DownloadBundle", "BeforeInstall")["BeforeInstall"][1]
    assert found["message"].startswith("The deployment failed because an invalid version value (0.1)")
    service.objects["/b/d-2.zip"] = bundle(APPSPEC + "hooks: {BeforeBreakfast: [{location: x}]}\n")
    found = service.run("d-2", "DownloadBundle", "BeforeInstall", "Install")["Install"][1]
    assert found["message"] == 'appspec.yml file contains unknown lifecycle events: ["BeforeBreakfast"]'


# -- what survives ----------------------------------------------------------------------------------------------------


def counting(home: Path) -> str:
    """A script that counts its runs and waits to be let go."""
    return f"echo run >> {home}/runs; while [ ! -e {home}/go ]; do sleep 0.05; done"


def test_a_command_that_was_running_when_the_agent_was_killed_has_failed_and_is_not_run_again(
    service: CommandService, agent: AgentProcess
) -> None:
    service.objects["/b/d-1.zip"] = bundle(START, start=counting(agent.home))
    service.run("d-1", "DownloadBundle")
    identifier = service.offer("d-1", "ApplicationStart")
    until(lambda: (agent.home / "runs").exists(), what="the script's start")
    agent.kill()
    (agent.home / "go").touch()
    agent.start()
    status, found = service.ended(identifier)
    assert (status, found["error_code"]) == ("Failed", 7)
    assert found["message"] == "Failing in-progress lifecycle event after an agent restart."
    assert (agent.home / "runs").read_text() == "run\n"


def test_a_result_that_could_not_be_reported_is_reported_when_the_cloud_is_back(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(START, start=counting(agent.home))
    service.run("d-1", "DownloadBundle")
    identifier = service.offer("d-1", "ApplicationStart")
    until(lambda: (agent.home / "runs").exists(), what="the script's start")
    service.refusing.set()
    (agent.home / "go").touch()
    log = agent.home / "log/codedeploy-agent.log"
    until(lambda: "ApplicationStart of d-1: Succeeded" in log.read_text(), what="the script's end")
    service.refusing.clear()
    assert service.ended(identifier)[0] == "Succeeded"
    assert (agent.home / "runs").read_text() == "run\n"


def test_a_result_outlives_the_agent_and_a_repeated_command_only_repeats_the_result(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(START, start=counting(agent.home))
    service.run("d-1", "DownloadBundle")
    identifier = service.offer("d-1", "ApplicationStart")
    until(lambda: (agent.home / "runs").exists(), what="the script's start")
    service.refusing.set()
    (agent.home / "go").touch()
    log = agent.home / "log/codedeploy-agent.log"
    until(lambda: "ApplicationStart of d-1: Succeeded" in log.read_text(), what="the script's end")
    agent.kill()
    service.refusing.clear()
    agent.start()
    assert service.ended(identifier)[0] == "Succeeded"
    service.completed.clear()
    service.offer("d-1", "ApplicationStart")
    assert service.ended(identifier)[0] == "Succeeded"
    assert (agent.home / "runs").read_text() == "run\n"


def test_a_command_that_was_withdrawn_is_not_carried_out(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(START, start=f"touch {agent.home}/ran")
    service.run("d-1", "DownloadBundle")
    service.withdrawn.add("d-1:ApplicationStart")
    service.offer("d-1", "ApplicationStart")
    service.run("d-1", "ValidateService")
    assert not (agent.home / "ran").exists()


def test_a_stop_lets_the_running_command_end(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(START, start=f"touch {agent.home}/runs; sleep 0.5")
    service.run("d-1", "DownloadBundle")
    identifier = service.offer("d-1", "ApplicationStart")
    until(lambda: (agent.home / "runs").exists(), what="the script's start")
    assert agent.stop() == 0
    assert service.ended(identifier)[0] == "Succeeded"


def test_every_event_is_reported_in_the_order_of_the_deployment(service: CommandService, agent: AgentProcess) -> None:
    service.objects["/b/d-1.zip"] = bundle(APPSPEC)
    service.run("d-1")
    assert [identifier.partition(":")[2] for identifier, _ in service.acknowledged] == list(EVENTS)
