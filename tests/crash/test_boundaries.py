"""Every job, killed at every boundary of every step and inside every effect: the end is the same as without.

The boundaries are found by a run that nobody disturbs. Printed: job, boundaries, killed, survived.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from doomed import DoomedCloud  # noqa: E402
from release import Releases  # noqa: E402

from sandboxes import needs_sandboxes  # noqa: E402

pytestmark = [pytest.mark.slow, needs_sandboxes]
SCENARIO = {"ec2.instance": "machine", "ec2.remove": "machine", "events.schedule": "schedule"}
"""Which scenario passes through a job; all others are in a release."""


def test_every_boundary_of_every_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from windtunnel.app import load_services
    from windtunnel.jobs.run import JOBS

    cloud = DoomedCloud(tmp_path / "data")
    try:
        releases = Releases(cloud)
        releases.set_up()
        for name in ("release", "machine", "schedule"):
            getattr(releases, name)(f"{name}-calm")
        found = [line for line in cloud.boundaries() if line.split("|")[2] in ("before", "inside", "after", "end")]
        load_services()
        kinds = {kind for kind in JOBS if not kind.startswith("test.")}
        counted = Counter(line.split("|")[0] for line in found)
        assert not kinds - set(counted), f"no boundary of these jobs was passed: {sorted(kinds - set(counted))}"
        killed: Counter[str] = Counter()
        survived: Counter[str] = Counter()
        for number, boundary in enumerate(chosen(found)):
            kind = boundary.split("|")[0]
            deaths = cloud.deaths
            cloud.crash_at(boundary)
            getattr(releases, SCENARIO.get(kind, "release"))(f"{number}-n")
            killed[kind] += cloud.deaths - deaths
            survived[kind] += 1
            if cloud.armed:
                cloud.disarm()
    finally:
        cloud.stop()
    log = (cloud.data / "log").read_text()
    assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
    with capsys.disabled():
        print(f"\n{'job':28} {'boundaries':>10} {'killed':>7} {'survived':>9}")
        for kind in sorted(kinds):
            print(f"{kind:28} {counted[kind]:10} {killed[kind]:7} {survived[kind]:9}")
    assert sum(killed.values()) >= len(chosen(found)) * 0.9, "most boundaries must really have been hit"


def chosen(boundaries: list[str]) -> list[str]:
    """All of them; with WINDTUNNEL_CRASH_EVERY=N every Nth, for a quick look."""
    return boundaries[:: int(os.environ.get("WINDTUNNEL_CRASH_EVERY", "1"))]
