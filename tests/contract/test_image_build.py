"""Building images on a machine where several clouds start at once, and where things are missing. The package tool is a fake one."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Without the aws CLI, which would be downloaded.
BUILD = """
import sys
from pathlib import Path
from windtunnel.compute.image import Images
from windtunnel.compute.driver import SandboxError

class Bare(Images):
    def _aws(self, base, progress):
        return base

def progress(line):
    print(line, flush=True)

try:
    print("image", Bare(Path(sys.argv[1])).ensure_stock(progress))
except SandboxError as error:
    print("error", error)
"""
# Writes the prepared tar to its last argument, once the test lets it.
FAKE = """#!/bin/sh
cat > /dev/null
echo run >> {lab}/runs
tries=0
while [ ! -e {lab}/go ] && [ $tries -lt 400 ]; do sleep 0.05; tries=$((tries + 1)); done
if [ -e {lab}/fail ]; then echo "I: running apt-get update..." >&2; echo "E: Unable to fetch some archives" >&2; exit 25; fi
for last; do :; done
cp {lab}/base.tar "$last"
"""


def base_tar(path: Path) -> None:
    with tarfile.open(path, "w") as tar:
        for name, mode, uid, content in (("usr/bin/su", 0o4755, 0, b"x"), ("var/www/page", 0o640, 33, b"y")):
            info = tarfile.TarInfo(f"./{name}")
            info.mode, info.uid, info.gid, info.size = mode, uid, uid, len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("./usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, "python3.11"
        tar.addfile(link)


class Lab:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache"
        self.tools = root / "tools"
        self.tools.mkdir()
        base_tar(root / "base.tar")
        self.tool("mmdebstrap", FAKE.format(lab=root))

    def tool(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def build(self, path: str | None = None) -> subprocess.Popen[str]:
        env = {**os.environ, "PATH": path or f"{self.tools}:{os.environ['PATH']}"}
        argv = [sys.executable, "-c", BUILD, str(self.cache)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)

    def let_go(self) -> None:
        (self.root / "go").touch()

    def runs(self) -> int:
        return len((self.root / "runs").read_text().split()) if (self.root / "runs").exists() else 0

    def wait_for_runs(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while self.runs() < count:
            assert time.monotonic() < deadline, "the build did not begin"
            threading.Event().wait(0.02)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("images are unpacked for the ids of sandboxes, which only root can write")
    yield Lab(tmp_path)


def last_line(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=60)
    return said.strip().splitlines()[-1]


def test_two_clouds_that_start_at_once_build_one_image(lab: Lab) -> None:
    first = lab.build()
    lab.wait_for_runs(1)
    second = lab.build()
    assert second.stdout is not None
    assert "waiting for another cloud" in second.stdout.readline()
    lab.let_go()
    names = {last_line(first), last_line(second)}
    assert len(names) == 1
    assert names.pop().startswith("image ")
    assert lab.runs() == 1


def test_the_tree_belongs_to_the_sandboxes_ids_and_keeps_its_modes(lab: Lab) -> None:
    lab.let_go()
    name = last_line(lab.build()).split()[1]
    tree = lab.cache / "trees" / f"base-{name}"
    su, page = (tree / "usr/bin/su").stat(), (tree / "var/www/page").stat()
    assert (su.st_uid, stat.S_IMODE(su.st_mode)) == (100000, 0o4755)
    assert (page.st_uid, page.st_gid, stat.S_IMODE(page.st_mode)) == (100033, 100033, 0o640)
    [guest] = (lab.cache / "trees").glob("guest-*")
    assert (guest / "usr/sbin/init").stat().st_uid == 100000


def test_after_a_builder_is_killed_the_next_waits_for_what_it_left_running_and_builds_anew(lab: Lab) -> None:
    killed = lab.build()
    lab.wait_for_runs(1)
    killed.kill()
    killed.wait(timeout=20)
    assert list((lab.cache / "trees").iterdir()) == []
    following = lab.build()
    assert following.stdout is not None
    assert "waiting for another cloud" in following.stdout.readline()
    lab.let_go()
    assert last_line(following).startswith("image ")
    assert lab.runs() == 2
    killed.communicate(timeout=20)


def test_a_tree_that_was_deleted_comes_back_from_the_archive(lab: Lab) -> None:
    lab.let_go()
    name = last_line(lab.build()).split()[1]
    tree = lab.cache / "trees" / f"base-{name}"
    tree.rename(lab.root / "away")
    assert last_line(lab.build()) == f"image {name}"
    assert (tree / "usr/bin/su").is_file()
    assert lab.runs() == 1


def test_what_apt_complains_of_is_the_error(lab: Lab) -> None:
    lab.let_go()
    (lab.root / "fail").touch()
    assert last_line(lab.build()) == "error the stock image could not be built: E: Unable to fetch some archives"


def test_a_missing_tool_is_named_with_how_to_get_it(lab: Lab) -> None:
    (lab.tools / "mmdebstrap").unlink()
    said = last_line(lab.build(path=str(lab.tools)))
    assert said == "error the stock image needs mmdebstrap, tar, zstd: apt-get install mmdebstrap tar zstd"
