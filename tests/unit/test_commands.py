"""The commands that look at a cloud from beside it, and the README that one of them writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import InProcessCloud
from windtunnel.cli import _read
from windtunnel.commands import coverage, processes, status


def test_the_readme_says_what_is_built() -> None:
    text = coverage.README.read_text()
    assert coverage.with_table(text, coverage.markdown(coverage.built())) == text, "run ./windtunnel coverage --markdown --write"


def test_a_readme_without_a_place_for_the_table_is_left_alone() -> None:
    with pytest.raises(ValueError, match="coverage: written by"):
        coverage.with_table("# Windtunnel\n", "| a |\n")


def test_the_table_replaces_what_stood_there() -> None:
    text = f"before\n{coverage.START}\nold\n{coverage.END}\nafter\n"
    assert coverage.with_table(text, "new\n") == f"before\n{coverage.START}\nnew\n{coverage.END}\nafter\n"


def test_coverage_of_a_service_names_what_does_not_act(capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage.main(_read(["coverage", "codecommit"])) == 0
    shown = capsys.readouterr().out
    assert "CreateRepository" in shown
    assert "refused      kmsKeyId" in shown


def test_coverage_of_nothing_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage.main(_read(["coverage", "nonesuch"])) == 1
    told = capsys.readouterr().err
    assert "nothing is built of nonesuch; built: " in told
    assert " codebuild," in told


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-x"], id="an option"),
        pytest.param(["-k", "name", "--maxfail", "2", "tests/unit"], id="options with values"),
        pytest.param([], id="nothing"),
    ],
)
@pytest.mark.parametrize("command", ["check", "test", "bench"])
def test_what_is_passed_on_is_passed_on_as_it_is(command: str, arguments: list[str]) -> None:
    options = _read([command, *arguments])
    assert (options.command, options.rest) == (command, arguments)


def test_status_of_a_cloud_that_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(_read(["status", "--data", str(tmp_path)])) == 1
    assert "there is no cloud in" in capsys.readouterr().err
    with InProcessCloud(tmp_path) as cloud:
        instance = {"id": "i-1", "type": "t3.micro", "state": "running", "private_ip": "172.31.0.9", "tags": {"Name": "web"}}
        gone = {**instance, "id": "i-2", "state": "terminated"}
        build = {"id": "p:1", "started": 1.0, "status": "IN_PROGRESS", "phases": [{"type": "INSTALL"}, {"type": "BUILD"}]}
        rows = [
            ("ec2.instance", "i-1", instance),
            ("ec2.instance", "i-2", gone),
            ("codebuild.build", "p:1", build),
            ("codebuild.build", "p:2", {**build, "id": "p:2", "status": "SUCCEEDED"}),
            ("codedeploy.deployment", "d-1", {"id": "d-1", "application": "a", "group": "g", "status": "InProgress"}),
            ("codedeploy.deployment", "d-2", {"id": "d-2", "application": "a", "group": "g", "status": "Failed"}),
            ("codepipeline.execution", "e-1", {"id": "e-1", "pipeline": "p", "status": "InProgress", "stage": "Build"}),
            ("codepipeline.execution", "e-2", {"id": "e-2", "pipeline": "p", "status": "Succeeded", "stage": "Deploy"}),
        ]
        cloud.write(
            lambda ctx: ctx.tx.connection.executemany(  # type: ignore[attr-defined]
                "INSERT INTO doc VALUES (?,?,1,0,?)", [(kind, key, json.dumps(body).encode()) for kind, key, body in rows]
            )
        )
        while_it_runs = status.status(tmp_path)
    found = status.status(tmp_path)
    assert found == while_it_runs
    assert found["cloud"] is None
    assert found["instances"] == [{"id": "i-1", "name": "web", "type": "t3.micro", "state": "running", "ip": "172.31.0.9"}]
    assert found["builds"] == [{"id": "p:1", "started": 1.0, "phase": "BUILD"}]
    assert [each["id"] for each in (*found["deployments"], *found["executions"])] == ["d-1", "e-1"]
    text = status.as_text(found)
    assert text.startswith("down: no cloud runs on this data directory\ninstances: 1\n  i-1  running")
    assert "  e-1  InProgress p: Build" in text


def test_a_process_and_its_children() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert {os.getpid(), child.pid} <= processes.tree([os.getpid()])
        assert processes.tree([child.pid]) == {child.pid}
        assert processes.proportional_memory([os.getpid()]) > 1 << 20
        assert processes.started_at(os.getpid()) <= processes.started_at(child.pid)
    finally:
        child.communicate()
    assert processes.started_at(child.pid) == 0.0
    assert processes.proportional_memory([child.pid]) == 0
