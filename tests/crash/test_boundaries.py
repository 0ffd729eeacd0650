"""Every job, killed at every boundary of every step and inside every effect: the end is the same as without.

The boundaries are found by a run that nobody disturbs. Printed: job, boundaries, killed, survived.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from doomed import DoomedCloud  # noqa: E402
from release import Releases  # noqa: E402
from scenarios import ELSEWHERE, SCENARIOS  # noqa: E402

from sandboxes import needs_sandboxes  # noqa: E402

pytestmark = pytest.mark.slow
SCENARIO = {"ec2.instance": "machine", "ec2.remove": "machine", "ec2.reshape": "reshaping", "events.schedule": "schedule"}
"""Which of the releases' scenarios passes through a job; all others are in a release."""
Go = Callable[[str, str], None]
"""(job, nonce): one pass through the job."""


@needs_sandboxes
def test_every_boundary_of_every_job_of_a_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = DoomedCloud(tmp_path / "data")
    try:
        releases = Releases(cloud)
        releases.set_up()
        for name in ("release", "machine", "reshaping", "schedule"):
            getattr(releases, name)(f"{name}-calm")
        kinds = registered() - ELSEWHERE
        table = kill_at_each(cloud, kinds, lambda kind, nonce: getattr(releases, SCENARIO.get(kind, "release"))(nonce))
    finally:
        cloud.stop()
    conclude(cloud, table, capsys)


@pytest.mark.parametrize("service", SCENARIOS)
def test_every_boundary_of_a_services_jobs(service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = SCENARIOS[service]
    cloud = DoomedCloud(tmp_path / "data", pace=getattr(file, "PACE", 60.0))
    try:
        scenario = file.Scenario(cloud)
        scenario.set_up()
        scenario.go("calm")
        table = kill_at_each(cloud, set(file.JOBS), lambda kind, nonce: scenario.go(nonce))
    finally:
        cloud.stop()
    conclude(cloud, table, capsys)


def test_scenarios_name_jobs_that_there_are() -> None:
    assert not ELSEWHERE - registered()


def registered() -> set[str]:
    from windtunnel.app import load_services
    from windtunnel.jobs.run import JOBS

    load_services()
    return {kind for kind in JOBS if not kind.startswith("test.")}


class Table(NamedTuple):
    """By job: boundaries passed in calm, kills that happened, passes that ended as they should."""

    boundaries: Counter[str]
    killed: Counter[str]
    survived: Counter[str]


def kill_at_each(cloud: DoomedCloud, kinds: set[str], go: Go) -> Table:
    """Go once for each boundary that was passed in calm, the cloud killed there."""
    passed = [line for line in cloud.boundaries() if line.split("|")[2] in ("before", "inside", "after", "end")]
    found = [line for line in passed if line.split("|")[0] in kinds]
    table = Table(Counter(line.split("|")[0] for line in found), Counter(), Counter())
    assert not kinds - set(table.boundaries), f"no boundary of these jobs was passed: {sorted(kinds - set(table.boundaries))}"
    for number, boundary in enumerate(chosen(found)):
        kind = boundary.split("|")[0]
        deaths = cloud.deaths
        cloud.crash_at(boundary)
        go(kind, f"{number}-n")
        table.killed[kind] += cloud.deaths - deaths
        table.survived[kind] += 1
        if cloud.armed:
            cloud.disarm()
    return table


def conclude(cloud: DoomedCloud, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    log = (cloud.data / "log").read_text()
    assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
    with capsys.disabled():
        print(f"\n{'job':28} {'boundaries':>10} {'killed':>7} {'survived':>9}")
        for kind in sorted(table.boundaries):
            print(f"{kind:28} {table.boundaries[kind]:10} {table.killed[kind]:7} {table.survived[kind]:9}")
    assert table.killed.total() >= table.survived.total() * 0.9, "most boundaries must really have been hit"


def chosen(boundaries: list[str]) -> list[str]:
    """All of them; with WINDTUNNEL_CRASH_EVERY=N every Nth, for a quick look."""
    return boundaries[:: int(os.environ.get("WINDTUNNEL_CRASH_EVERY", "1"))]
