"""Blob files go while the cloud runs, an hour after the last row that named them; what is on its way stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness import InProcessCloud
from windtunnel.store.blobs import INLINE_LIMIT
from windtunnel.upkeep.snapshots import blob_files
from windtunnel.upkeep.sweeping import UNNAMED, Sweeper, look, unnamed

LARGE = b"x" * (INLINE_LIMIT + 1)


def test_what_no_row_names_is_seen_beside_a_running_cloud(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        assert unnamed(tmp_path) == []
        cloud.api("s3", "CreateBucket", bucket="box")
        for key in ("kept", "gone"):
            cloud.api("s3", "PutObject", bucket="box", key=key, body=LARGE)
        before = {path.name for path in blob_files(tmp_path / "blobs")}
        assert unnamed(tmp_path) == [] and len(before) == 2
        cloud.api("s3", "DeleteObject", bucket="box", key="gone")
        (left,) = unnamed(tmp_path)
        assert left in before
        assert asyncio.run(look(tmp_path)) == [left], "a process of its own sees the same"


class Seen:
    """What each look sees, at a time that is moved by hand."""

    def __init__(self, root: Path) -> None:
        self.names: list[str] | OSError = []
        self.now = 1000.0
        self.sweeper = Sweeper(root, self.see, lambda: self.now)

    async def see(self) -> list[str]:
        if isinstance(self.names, OSError):
            raise self.names
        return self.names

    def after(self, seconds: float, names: list[str] | OSError) -> int:
        self.now, self.names = self.now + seconds, names
        return asyncio.run(self.sweeper.once())


@pytest.fixture()
def files(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name[:2] / name for name in ("aa" * 32, "ab" * 32)}
    for path in found.values():
        path.parent.mkdir()
        path.write_bytes(b"x")
    return found


def test_a_file_goes_when_it_was_unnamed_for_an_hour_at_every_look(tmp_path: Path, files: dict[str, Path]) -> None:
    one, two = files
    seen = Seen(tmp_path)
    assert seen.after(0, [one, two]) == 0
    assert seen.after(UNNAMED / 2, [one]) == 0, "the other has found its row"
    assert seen.after(UNNAMED / 2 - 1, [one, two]) == 0
    assert seen.after(1, [one, two]) == 1
    assert not files[one].exists() and files[two].exists()
    assert seen.after(UNNAMED, [two]) == 1 and not files[two].exists()


def test_a_look_that_fails_removes_nothing(tmp_path: Path, files: dict[str, Path]) -> None:
    one, _ = files
    seen = Seen(tmp_path)
    seen.after(0, [one])
    assert seen.after(UNNAMED, OSError("no process")) == 0 and files[one].exists()


def test_a_cloud_without_blobs_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    seen = Seen(tmp_path)
    assert seen.after(0, ["aa" * 32]) == 0 and seen.after(UNNAMED, ["aa" * 32]) == 0
