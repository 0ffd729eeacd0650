"""Fifty SIGKILLs at random moments while releases go through: each release ends as if nothing had been, and nothing runs twice."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from doomed import DoomedCloud, until  # noqa: E402
from release import Releases  # noqa: E402

from sandboxes import needs_sandboxes  # noqa: E402

pytestmark = [pytest.mark.slow, needs_sandboxes]
KILLS, SEED = 50, 20261123


def test_releases_under_random_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = DoomedCloud(tmp_path / "data")
    draw, over = random.Random(SEED), threading.Event()

    def killer() -> None:
        while cloud.deaths < KILLS and not over.wait(draw.uniform(0.3, 3.5)):
            if cloud.answers:
                cloud.kill()

    hunter = threading.Thread(target=killer)
    releases = Releases(cloud)
    done = 0
    try:
        releases.set_up()
        hunter.start()
        while cloud.deaths < KILLS:
            releases.release(f"random-{done}")
            if done % 5 == 0:
                releases.machine(f"random-{done}")
            done += 1
        over.set()
        hunter.join()
        releases.release("afterwards")
        until(lambda: unended(releases) == 0, 60, "every execution and build ends")
    finally:
        over.set()
        if hunter.is_alive():
            hunter.join()  # or it would kill the cloud that is to end its sandboxes
        cloud.stop()
    log = (cloud.data / "log").read_text()
    assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
    with capsys.disabled():
        print(f"\n{cloud.deaths} SIGKILLs over {done} releases: all succeeded, each action and hook once")


def unended(releases: Releases) -> int:
    executions = releases.codepipeline.list_pipeline_executions(pipelineName="crash")["pipelineExecutionSummaries"]
    builds = [b for project in ("crash", "note") for b in releases.builds(project)]
    shown = releases.codebuild.batch_get_builds(ids=builds[:100])["builds"]
    return sum(e["status"] in ("InProgress", "Stopping") for e in executions) + sum(not b["buildComplete"] for b in shown)
