"""Snapshots of a running and of a stopped cloud, loaded elsewhere; whole or not there; an exchange that a kill cut off is finished."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud
from windtunnel.cli import main
from windtunnel.commands import snapshot as command
from windtunnel.commands.running import try_lock
from windtunnel.store.blobs import INLINE_LIMIT
from windtunnel.store.opening import SCHEMA_VERSION
from windtunnel.upkeep import loading, snapshots
from windtunnel.upkeep.layout import Refused
from windtunnel.upkeep.trees import share

LARGE = b"x" * (INLINE_LIMIT + 1)


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


def fill(cloud: InProcessCloud, word: str = "one") -> None:
    cloud.api("ssm", "PutParameter", name="/word", value=word, type="String", overwrite=True)
    if not cloud.api("s3", "ListBuckets").get("Buckets"):
        cloud.api("s3", "CreateBucket", bucket="box")
    cloud.api("s3", "PutObject", bucket="box", key="large", body=LARGE + word.encode())
    (cloud.cloud.data / "credentials.json").write_text("{}")
    (cloud.cloud.data / "credentials.json").chmod(0o600)
    (cloud.cloud.data / "tls").mkdir(exist_ok=True)
    (cloud.cloud.data / "tls" / "ca.key").write_text("secret")
    (cloud.cloud.data / "tls" / "ca.key").chmod(0o600)


def word(data: Path) -> tuple[str, bytes]:
    """What a cloud on this directory says."""
    with InProcessCloud(data) as cloud:
        value = cloud.api("ssm", "GetParameter", name="/word")["Parameter"]["Value"]
        body = cloud.api("s3", "GetObject", bucket="box", key="large")["Body"]
        ranges = body if isinstance(body, list) else [body]
        return value, b"".join(cloud.cloud.blobs.read(r.ref, r.offset, r.length) for r in ranges)[len(LARGE) :]


def load(root: Path, name: str, data: Path, *, replace: bool = False) -> None:
    data.mkdir(exist_ok=True)
    loading.load(root, name, data, replace=replace)


def test_a_running_clouds_moment_is_kept_and_loaded_elsewhere(tmp_path: Path, root: Path) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
        manifest = snapshots.save(tmp_path / "data", root, "first")
        fill(cloud, "two")
        snapshots.save(tmp_path / "data", root, "second")
    assert (manifest.name, manifest.files, manifest.missing) == ("first", 1, ())
    assert [m.name for m in snapshots.found(root)] == ["first", "second"]
    load(root, "first", tmp_path / "other")
    assert word(tmp_path / "other") == ("one", b"one")
    load(root, "second", tmp_path / "third")
    assert word(tmp_path / "third") == ("two", b"two")
    assert word(tmp_path / "data") == ("two", b"two"), "the first cloud is as it was"
    for name in ("cloud.db", "credentials.json", "tls/ca.key"):
        for home in (root / "first", tmp_path / "other"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, f"{home / name}"


def test_writes_go_on_while_a_snapshot_is_taken_and_it_is_a_prefix_of_them(tmp_path: Path, root: Path) -> None:
    """What was acknowledged before the save began is in it; of what came after, a beginning."""
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
        done: list[int] = []
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                cloud.api("ssm", "PutParameter", name=f"/n/{len(done):05d}", value="v", type="String")
                done.append(len(done))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                before = len(done)
                snapshots.save(tmp_path / "data", root, f"s{number}")
                with_it = len(done)
                load(root, f"s{number}", tmp_path / f"d{number}")
                with InProcessCloud(tmp_path / f"d{number}") as other:
                    found = other.read(lambda ctx: ctx.tx.scan(_parameter(), prefix="/n/"))
                names = [int(p.name.removeprefix("/n/")) for p in found]
                assert names == list(range(len(names))) and before <= len(names) <= with_it + 1
        finally:
            stop.set()
            writer.join(20)


def _parameter() -> Any:
    from windtunnel.services.ssm.model import Parameter

    return Parameter


def test_files_are_shared_or_copied(tmp_path: Path, root: Path) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
    snapshots.save(tmp_path / "data", root, "shared")
    snapshots.save(tmp_path / "data", root, "copied", copy=True)
    (blob,) = snapshots.blob_files(tmp_path / "data" / "blobs")
    (shared,), (copied,) = (list(snapshots.blob_files(root / name / "blobs")) for name in ("shared", "copied"))
    assert blob.stat().st_ino == shared.stat().st_ino != copied.stat().st_ino
    blob.write_bytes(b"damage")
    load(root, "copied", tmp_path / "other")
    assert word(tmp_path / "other") == ("one", b"one")


def test_files_that_nothing_names_are_left_out_and_those_that_are_missing_told(tmp_path: Path, root: Path) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
    (blob,) = snapshots.blob_files(tmp_path / "data" / "blobs")
    stray = blob.with_name("0" * 64)
    stray.write_bytes(b"left")
    assert snapshots.save(tmp_path / "data", root, "a").files == 2 and not list((root / "a").rglob(stray.name))
    blob.unlink()
    assert snapshots.save(tmp_path / "data", root, "b").missing == (blob.name,)


def test_a_snapshot_is_whole_or_not_there(tmp_path: Path, root: Path) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
    snapshots.save(tmp_path / "data", root, "a")
    (root / "a" / snapshots.MANIFEST).unlink()  # as one that was cut off would be under its name
    (root / ".b.1234").mkdir()  # and as it is
    assert snapshots.found(root) == []
    with pytest.raises(Refused, match="there is no snapshot a in .*; there are: none"):
        snapshots.the_snapshot(root, "a")
    snapshots.save(tmp_path / "data", root, "b")
    assert sorted(os.listdir(root)) == ["a", "b"]


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "x" * 65, "a b"])
def test_names(tmp_path: Path, root: Path, name: str) -> None:
    with pytest.raises(Refused, match="is no name for a snapshot"):
        snapshots.save(tmp_path, root, name)


def test_a_newer_snapshot_is_refused_by_name(tmp_path: Path, root: Path) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
    snapshots.save(tmp_path / "data", root, "a")
    manifest = root / "a" / snapshots.MANIFEST
    manifest.write_text(manifest.read_text().replace(f'"schema":{SCHEMA_VERSION}', '"schema":99').replace('"version":"', '"version":"9.'))
    with pytest.raises(Refused, match=r"snapshot a was made by a newer Windtunnel \(9\."):
        load(root, "a", tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_cloud_is_replaced_only_when_that_is_said(tmp_path: Path, root: Path) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
        snapshots.save(tmp_path / "data", root, "one")
        fill(cloud, "two")
    with pytest.raises(Refused, match="there is a cloud in"):
        load(root, "one", tmp_path / "data")
    assert word(tmp_path / "data") == ("two", b"two")
    load(root, "one", tmp_path / "data", replace=True)
    assert word(tmp_path / "data") == ("one", b"one")
    assert not [entry for entry in os.listdir(tmp_path / "data") if entry.startswith(".")]


class Cut(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("renames", range(1, 12))
def test_an_exchange_that_is_cut_off_anywhere_is_the_old_cloud_or_the_new(
    tmp_path: Path, root: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
        snapshots.save(tmp_path / "data", root, "one")
        fill(cloud, "two")
    real, left = os.rename, [renames]

    def rename(source: Any, target: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Cut
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    cut = True
    try:
        load(root, "one", tmp_path / "data", replace=True)
        cut = False
    except Cut:
        pass
    monkeypatch.setattr(os, "rename", real)
    assert cut or renames > 8, "there are that many renames"
    decided = (tmp_path / "data" / loading.ORDER).exists()
    assert decided is cut
    loading.finish(tmp_path / "data")
    assert word(tmp_path / "data") == ("one", b"one")
    assert not [entry for entry in os.listdir(tmp_path / "data") if entry.startswith(".")]


def test_a_load_that_fails_before_it_is_decided_leaves_the_old_cloud(tmp_path: Path, root: Path) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
        snapshots.save(tmp_path / "data", root, "one")
        fill(cloud, "two")
    (root / "one" / "cloud.db").write_bytes(b"no database at all, and long enough to be one".ljust(4096))
    with pytest.raises(Refused, match="cannot be read"):
        load(root, "one", tmp_path / "data", replace=True)
    assert word(tmp_path / "data") == ("two", b"two")


def test_sharing_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "a" / "in").mkdir(parents=True)
    (tmp_path / "a" / "in" / "one").write_bytes(b"1")
    assert share(tmp_path / "a", tmp_path / "b") == (1, 1)
    (tmp_path / "a" / "two").write_bytes(b"22")
    (tmp_path / "a" / "tmp").mkdir()
    (tmp_path / "a" / "tmp" / "half").write_bytes(b"h")
    assert share(tmp_path / "a", tmp_path / "b", skip=lambda name: name == "tmp") == (2, 3)
    assert {path.name for path in (tmp_path / "b").rglob("*")} == {"in", "one", "two"}


# -- the command line ---------------------------------------------------------------------------------------------------


def run(*words: str) -> int:
    return main(["snapshot", *words])


def test_the_command_says_what_it_did(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, at = str(tmp_path / "data"), ["--snapshots", str(root)]
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
    assert run("save", "one", "--data", data, *at) == 0
    assert capsys.readouterr().out.startswith("saved one: 1 files, 0.0 MiB (shared), in ")
    assert run("save", "one", "--data", data, *at) == 1
    assert "there is a snapshot one already" in capsys.readouterr().err
    assert run("list", *at) == 0 and capsys.readouterr().out.startswith("one  20")
    assert run("load", "one", "--data", str(tmp_path / "new"), *at) == 0
    assert f"into {tmp_path / 'new'}; start it with" in capsys.readouterr().out
    assert run("delete", "one", *at) == 0 and run("list", *at) == 0
    assert capsys.readouterr().out == f"deleted one\nno snapshots in {root}\n"
    assert run("delete", "one", *at) == 1


def test_a_running_cloud_is_not_loaded_into(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with InProcessCloud(tmp_path / "data") as cloud:
        fill(cloud)
    held = try_lock(tmp_path / "data")
    assert held is not None
    with held:
        assert run("save", "one", "--data", str(tmp_path / "data"), "--snapshots", str(root)) == 0
        assert capsys.readouterr().out.endswith(", while the cloud runs\n")
        with pytest.raises(Refused, match=f"a cloud runs on {tmp_path / 'data'}; stop it first with `windtunnel down"):
            command.put(root, "one", tmp_path / "data", replace=True)
