"""Pushes while the server is killed: what was acknowledged is there, what was not is a whole push or none, and the objects are sound."""

from __future__ import annotations

import random
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from doomed import DoomedCloud, until  # noqa: E402
from git_lab import Repositories, Work, git, must  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def repos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repositories]:
    cloud = DoomedCloud(tmp_path_factory.mktemp("git-kills") / "data")
    try:
        yield Repositories(cloud)
    finally:
        cloud.stop()


def answering(repos: Repositories) -> None:
    until(lambda: repos.cloud.answers and repos.api.list_repositories() is not None, 30, "an answer")


def test_acknowledged_pushes_survive_kills(repos: Repositories, tmp_path: Path) -> None:
    name = repos.create("killed")
    work = Work(tmp_path / "work")
    stop = threading.Event()
    chance = random.Random(7)

    def kill() -> None:
        while not stop.wait(chance.uniform(0.1, 0.9)):
            if repos.cloud.answers:
                repos.cloud.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    acknowledged: dict[str, str] = {}
    attempted: dict[str, str] = {}
    try:
        for number in range(400):
            if repos.cloud.deaths >= 10 and len(acknowledged) > 20:
                break
            tip = work.commit(content=f"{number}\n" * 2000)
            wanted = {"refs/heads/main": tip, f"refs/tags/v{number}": tip}
            attempted |= wanted
            done = git(work.path, "push", "--atomic", repos.signed(name), *(f"{tip}:{ref}" for ref in wanted))
            if done.returncode == 0:
                acknowledged |= wanted
            else:
                answering(repos)
    finally:
        stop.set()
        killer.join(10)
    answering(repos)
    assert repos.cloud.deaths >= 10 and len(acknowledged) > 20
    refs = repos.refs(name)
    tags = {ref: tip for ref, tip in acknowledged.items() if ref.startswith("refs/tags/")}
    assert tags.items() <= refs.items()
    assert all(attempted[ref] == tip for ref, tip in refs.items() if ref.startswith("refs/tags/"))
    assert refs["refs/heads/main"] in {tip for ref, tip in refs.items() if ref.startswith("refs/tags/")}, "main moved with its tag"
    must(work.path, "merge-base", "--is-ancestor", acknowledged["refs/heads/main"], refs["refs/heads/main"])
    assert must(repos.on_disk(name), "fsck", "--full", "--strict", "--no-dangling") == ""
    must(tmp_path, "clone", "-q", repos.signed(name), "clone")


def test_ref_files_are_made_again_at_the_start(repos: Repositories, tmp_path: Path) -> None:
    name = repos.create("projected")
    work = Work(tmp_path / "work")
    tip = work.commit()
    assert work.push(repos.signed(name)).returncode == 0
    disk, deaths = repos.on_disk(name), repos.cloud.deaths
    (disk / "packed-refs").write_text("# pack-refs with: sorted\n")
    (disk / "HEAD").write_text("")
    (disk / "objects/pack/tmp_pack_left").write_bytes(b"PACK")
    (repos.cloud.data / "push-left").mkdir()
    gone = repos.cloud.data / "git" / "00000000-0000-0000-0000-000000000000.git"
    shutil.copytree(disk, gone)
    repos.cloud.kill()
    until(lambda: repos.cloud.deaths > deaths and repos.cloud.answers, 30, "another start")
    answering(repos)
    assert repos.refs(name) == {"refs/heads/main": tip}
    assert must(disk, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert not gone.exists() and not (repos.cloud.data / "push-left").exists() and not list(disk.glob("objects/pack/tmp_*"))
