"""The runner as a process: CodeBuild's phases over real shells. No sandbox: it needs bash alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import windtunnel

SRC = str(Path(windtunnel.__file__).parents[1])
PROGRAM = """
import json, os, signal, sys
from windtunnel.guest import build_runner as b
from windtunnel.guest.build_log import Speaker
signal.signal(signal.SIGTERM, b.on_term)
speaker = Speaker()
try:
    b.Runner(json.loads(sys.argv[1]), speaker, os.environ, sys.argv[2]).run()
    speaker.say(done=True)
except b.Terminated:
    speaker.say(terminated=True)
os._exit(0)
"""


class Result:
    """What the runner said."""

    def __init__(self, output: bytes) -> None:
        self.messages: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
        self.phases = {m["phase"]: m["status"] for m in self.messages if "phase" in m}
        self.contexts = {m["phase"]: m["contexts"][0] for m in self.messages if m.get("contexts")}
        self.lines = [m["log"] for m in self.messages if "log" in m]
        self.own = [line for line in self.lines if not line.startswith("[Container]")]
        self.done = any(m.get("done") for m in self.messages)

    def said(self, key: str) -> Any:
        return next(m[key] for m in self.messages if key in m)


def spawn(tmp_path: Path, buildspec: str, **plan: Any) -> subprocess.Popen[bytes]:
    whole = {
        "arn": "arn:aws:codebuild:us-east-1:1:build/p:u", "uuid": "u", "endpoint": "http://127.0.0.1:9", "region": "us-east-1",
        "directory": str(tmp_path / "out"), "buildspec": buildspec, "variables": [], "sources": [{"type": "NO_SOURCE", "identifier": ""}],
        "artifacts": {"type": "NO_ARTIFACTS"}, "secondary_artifacts": [], "image": "i", **plan,
    }  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": SRC, "CODEBUILD_BUILD_SUCCEEDING": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(whole), str(tmp_path / "scratch")], env=environment, stdout=subprocess.PIPE
    )


def run(tmp_path: Path, buildspec: str, **plan: Any) -> Result:
    process = spawn(tmp_path, buildspec, **plan)
    output, _ = process.communicate(timeout=60)
    return Result(output)


def spec(**phases: list[str] | dict[str, Any]) -> str:
    named = {name: {"commands": value} if isinstance(value, list) else value for name, value in phases.items()}
    return "version: 0.2\n" + "phases: " + json.dumps(named)


def test_variables_and_directory_carry_over_commands_and_phases(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        spec(
            install=["A=plain", "export B='with $ and \"'", "list=(x 'y z')", "D=$'two\\nlines'", "cd /tmp", "unset HOME"],
            build=['echo "$A|$B|${list[1]}|$D|$PWD|${HOME-none}"', "env | grep -c '^A=' || true"],
        ),
    )
    assert result.own == ['plain|with $ and "|y z|two', "lines|/tmp|none", "0"]
    assert set(result.phases.values()) == {"SUCCEEDED"} and result.done


def test_version_0_1_begins_each_command_anew(tmp_path: Path) -> None:
    result = run(tmp_path, 'version: 0.1\nphases: {build: {commands: ["cd /; X=1", "echo [$X] $PWD"]}}\n')
    assert result.own == [f"[] {tmp_path}/out/src"]


def test_sh_carries_its_state_too(tmp_path: Path) -> None:
    result = run(
        tmp_path, 'version: 0.2\nenv: {shell: sh}\nphases: {build: {commands: ["A=\'x y\'; export B=2; cd /", "echo \\"$A $B $PWD\\""]}}\n'
    )
    assert result.own == ["x y 2 /"]


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_set_u_is_the_commands_own(tmp_path: Path, shell: str) -> None:
    commands = json.dumps(["set -u; A=kept", 'echo "$A ${B:-none}"'])
    result = run(tmp_path, f"version: 0.2\nenv: {{shell: {shell}}}\nphases: {{build: {{commands: {commands}}}}}\n")
    assert (result.own, result.phases["BUILD"]) == (["kept none"], "SUCCEEDED")


@pytest.mark.parametrize(
    "command, status",
    [("false", 1), ("exit 7", 7), ("set -e; false; echo no", 1), ("kill -9 $$", 137), ("if", 2), ("no-such-program", 127)],
)
def test_a_failing_command_is_the_phases_context(tmp_path: Path, command: str, status: int) -> None:
    result = run(tmp_path, spec(pre_build=[command, "echo not reached"], build=["echo nor this"]))
    assert result.contexts["PRE_BUILD"] == {
        "statusCode": "COMMAND_EXECUTION_ERROR",
        "message": f"Error while executing command: {command}. Reason: exit status {status}",
    }
    assert list(result.phases) == ["DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD"]
    assert "not reached" not in result.own and result.done


@pytest.mark.parametrize(
    "phases, expected",
    [
        pytest.param(
            {"install": {"commands": ["false"]}},
            {"INSTALL": "FAILED"},
            id="a failed INSTALL ends the build",
        ),
        pytest.param(
            {"install": {"commands": ["false"], "on-failure": "CONTINUE"}},
            {
                "INSTALL": "FAILED",
                "PRE_BUILD": "SUCCEEDED",
                "BUILD": "SUCCEEDED",
                "POST_BUILD": "SUCCEEDED",
                "UPLOAD_ARTIFACTS": "SUCCEEDED",
            },
            id="unless it continues",
        ),
        pytest.param(
            {"build": {"commands": ["false"]}},
            {
                "INSTALL": "SUCCEEDED",
                "PRE_BUILD": "SUCCEEDED",
                "BUILD": "FAILED",
                "POST_BUILD": "SUCCEEDED",
                "UPLOAD_ARTIFACTS": "SUCCEEDED",
            },
            id="after a failed BUILD the rest runs",
        ),
        pytest.param(
            {"build": {"commands": ["false"], "on-failure": "ABORT"}},
            {"INSTALL": "SUCCEEDED", "PRE_BUILD": "SUCCEEDED", "BUILD": "FAILED"},
            id="unless it aborts",
        ),
        pytest.param(
            {"post_build": {"commands": ["false"]}},
            {
                "INSTALL": "SUCCEEDED",
                "PRE_BUILD": "SUCCEEDED",
                "BUILD": "SUCCEEDED",
                "POST_BUILD": "FAILED",
                "UPLOAD_ARTIFACTS": "SUCCEEDED",
            },
            id="after a failed POST_BUILD artifacts are uploaded",
        ),
    ],
)
def test_transitions(tmp_path: Path, phases: dict[str, Any], expected: dict[str, str]) -> None:
    assert run(tmp_path, spec(**phases)).phases == {"DOWNLOAD_SOURCE": "SUCCEEDED", **expected}


def test_post_build_knows_whether_the_build_succeeds(tmp_path: Path) -> None:
    result = run(tmp_path, spec(build=["echo $CODEBUILD_BUILD_SUCCEEDING", "false"], post_build=["echo $CODEBUILD_BUILD_SUCCEEDING"]))
    assert result.own == ["1", "0"]


def test_finally_runs_after_a_failure_and_does_not_hide_it(tmp_path: Path) -> None:
    result = run(tmp_path, spec(build={"commands": ["exit 3", "echo no"], "finally": ["echo fin", "exit 4"]}))
    assert result.own == ["fin"]
    assert result.contexts["BUILD"]["message"].endswith("exit status 3")


@pytest.mark.parametrize("rule, runs", [("RETRY", 3), ("RETRY-1", 2), ("RETRY-5-other", 1), ("RETRY-5-exit status 1", 3)])
def test_a_phase_is_tried_again(tmp_path: Path, rule: str, runs: int) -> None:
    result = run(tmp_path, spec(build={"commands": ["echo try; echo x >> n; test $(wc -l < n) -ge 3"], "on-failure": rule}))
    assert result.own == ["try"] * runs


def test_output_is_lines_of_both_streams_in_order(tmp_path: Path) -> None:
    result = run(tmp_path, spec(build=["echo one; echo two >&2; printf three; printf '\\nfour\\r4\\n\\n'; printf last"]))
    assert result.own == ["one", "two", "three", "4", "", "last"]


def test_a_child_left_behind_does_not_hold_the_build(tmp_path: Path) -> None:
    result = run(tmp_path, spec(build=["sleep 300 & echo $! > pid", "echo after"], post_build=["kill $(cat pid)"]))
    assert result.own == ["after"] and result.phases["POST_BUILD"] == "SUCCEEDED"


def test_a_commands_own_trap_runs(tmp_path: Path) -> None:
    result = run(tmp_path, spec(build=["X=1; trap 'echo trapped' EXIT; echo in", "echo X=$X"]))
    assert result.own == ["in", "trapped", "X=1"]


def test_exported_variables_are_those_at_the_end(tmp_path: Path) -> None:
    text = "version: 0.2\nenv: {exported-variables: [A, B, MISSING]}\nphases: {build: {commands: [export A=1, 'B=\"x $A\"']}, post_build: {commands: [export A=2]}}"
    assert run(tmp_path, text).said("exported") == [
        {"name": "A", "value": "2"}, {"name": "B", "value": "x 1"}, {"name": "MISSING", "value": ""},
    ]  # fmt: skip


def test_the_projects_variables_win_over_the_buildspecs(tmp_path: Path) -> None:
    text = "version: 0.2\nenv: {variables: {A: spec, B: spec}, parameter-store: {C: /not/asked}}\nphases: {build: {commands: ['echo $A $B $C']}}"
    variables = [{"name": name, "value": "project", "type": "PLAINTEXT"} for name in ("A", "C")]
    assert run(tmp_path, text, variables=variables).own == ["project spec project"]


def test_a_variable_that_the_shell_cannot_name_reaches_every_command(tmp_path: Path) -> None:
    variables = [{"name": "my-var", "value": "v", "type": "PLAINTEXT"}]
    result = run(tmp_path, spec(build=["env | grep my-var", "env | grep my-var"]), variables=variables)
    assert result.own == ["my-var=v"] * 2


def test_a_missing_buildspec_says_where_it_was_looked_for(tmp_path: Path) -> None:
    result = run(tmp_path, "ci/spec.yml")
    assert result.contexts["DOWNLOAD_SOURCE"] == {
        "statusCode": "YAML_FILE_ERROR",
        "message": f"stat {tmp_path}/out/src/ci/spec.yml: no such file or directory",
    }


def test_a_runtime_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path, spec(install={"runtime-versions": {"nodejs": 20}}))
    assert result.contexts["DOWNLOAD_SOURCE"]["message"].startswith("Unknown runtime version named '20' of nodejs.")


def test_being_told_to_end_is_said(tmp_path: Path) -> None:
    process = spawn(tmp_path, spec(build=["echo ready; sleep 300"]))
    stream = process.stdout
    if stream is None:
        raise AssertionError("the runner has no output")
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    seen = b""
    while b'"ready"' not in seen:
        line = stream.readline()
        assert line, "the runner ended before its command ran"
        seen += line
    process.send_signal(signal.SIGTERM)
    rest = stream.read()
    watchdog.cancel()
    assert process.wait(10) == 0
    stream.close()
    assert b'"terminated": true' in rest and b'"done"' not in rest
