"""User data: what it is taken for, and what it does."""

from __future__ import annotations

import base64
import grp
import gzip
import os
import pwd
from pathlib import Path

import pytest

from windtunnel.guest import boot, cloudconfig, cloudinit, tmpfiles
from windtunnel.guest.cloudinit import Part, split

ME = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"
SCRIPT = b"#!/bin/sh\necho hi\n"
CONFIG = b"#cloud-config\nruncmd: [ls]\n"
MULTIPART = (
    b'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n--b\nContent-Type: text/cloud-config\n\n#cloud-config\nruncmd: [ls]\n\n'
    b"--b\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(SCRIPT) + b"\n--b--\n"
)


@pytest.mark.parametrize(
    "data, kinds",
    [
        pytest.param(b"", [], id="none"),
        pytest.param(b"  \n", [], id="blank"),
        pytest.param(SCRIPT, ["script"], id="a script"),
        pytest.param(b"\n" + SCRIPT, ["script"], id="a script after an empty line"),
        pytest.param(CONFIG, ["config"], id="a cloud-config"),
        pytest.param(gzip.compress(SCRIPT), ["script"], id="gzipped"),
        pytest.param(base64.b64encode(SCRIPT), ["script"], id="in base64"),
        pytest.param(base64.b64encode(gzip.compress(CONFIG)), ["config"], id="gzipped, in base64"),
        pytest.param(MULTIPART, ["config", "script"], id="several parts"),
        pytest.param(b"#include\nhttp://x", ["#include"], id="what is not supported keeps its name"),
        pytest.param(b"echo hi", ["text without a '#!' or '#cloud-config' line"], id="text"),
    ],
)
def test_kinds(data: bytes, kinds: list[str]) -> None:
    assert [part.kind for part in split(data)] == kinds


def test_a_part_in_base64_is_decoded() -> None:
    assert split(MULTIPART)[1] == Part("script", SCRIPT)


class Disk:
    """User data run for real, on a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = "/output.log"

    def boot(self, *parts: Part) -> cloudinit.Boot:
        run = cloudinit.Boot("i-1", str(self.root), self.output)
        run.obey(list(parts))
        run.out.close()
        run.tee.wait(timeout=10)
        return run

    def log(self) -> list[str]:
        return (self.root / "output.log").read_text().splitlines()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_a_script_runs_at_the_first_boot_only(disk: Disk) -> None:
    part = Part("script", b"#!/bin/sh\necho ran\n")
    disk.boot(part)
    disk.boot(part)
    assert disk.log() == ["ran"]


@pytest.mark.parametrize("last_end, finished, times", [("lost\n", False, 2), ("lost\n", True, 1), ("\n", False, 1), (None, False, 1)])
def test_a_first_boot_under_which_the_cloud_ended_is_repeated(disk: Disk, last_end: str | None, finished: bool, times: int) -> None:
    count = Part("script", f"#!/bin/sh\necho once >> {disk.root}/count\n".encode())
    home = disk.boot(count).home
    if finished:
        (Path(home) / cloudinit.FINISHED).touch()
    if last_end is not None:
        told = disk.root / cloudinit.LAST_END.lstrip("/")
        told.parent.mkdir(parents=True)
        told.write_text(last_end)
    disk.boot(count)
    assert (disk.root / "count").read_text() == "once\n" * times


def test_a_script_with_another_instance_id_runs_again(disk: Disk) -> None:
    disk.boot(Part("script", SCRIPT))
    again = cloudinit.Boot("i-2", str(disk.root), disk.output)
    assert again.first("scripts_user")
    again.out.close()
    again.tee.wait(timeout=10)


def test_always_means_at_each_boot(disk: Disk) -> None:
    parts = [Part("config", b"#cloud-config\ncloud_final_modules:\n- [scripts-user, always]\n"), Part("script", SCRIPT)]
    disk.boot(*parts)
    disk.boot(*parts)
    assert disk.log() == ["hi", "hi"]


def test_a_failing_script_is_named_and_the_next_one_runs(disk: Disk) -> None:
    run = disk.boot(Part("script", b"#!/bin/sh\nexit 3\n"), Part("script", SCRIPT), Part("script", b"#!/no/such/shell\n"))
    assert run.failures == ["scripts/part-001", "scripts/part-003"]
    assert disk.log()[:2] == ["cloud-init: scripts/part-001 failed with exit code 3", "hi"]


def test_scripts_come_before_runcmd_and_files_before_both(disk: Disk) -> None:
    path = disk.root / "deep" / "file"
    config = f"#cloud-config\nruncmd:\n- [sh, -c, 'echo \"$0\"', 'a b']\n- cat {path}\nwrite_files:\n- path: {path}\n  content: text\n  permissions: '0600'\n  owner: {ME}\n"
    disk.boot(Part("config", config.encode()), Part("script", f"#!/bin/sh\ncat {path}; echo\n".encode()))
    assert disk.log() == ["text", "a b", "text"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_not_supported_is_named(disk: Disk) -> None:
    disk.boot(Part("config", b"#cloud-config\nntp: {enabled: true}\n"), Part("#include", b"#include\nx"))
    assert disk.log() == [
        "cloud-init: user data of this kind is not supported and was not run: #include",
        "cloud-init: 'ntp' is not supported by this image and was not applied",
    ]


def test_a_document_that_is_not_yaml_is_named(disk: Disk) -> None:
    disk.boot(Part("config", b"#cloud-config\na: [\n"), Part("script", SCRIPT))
    assert disk.log()[0].startswith("cloud-init: the #cloud-config document is not valid YAML and was not applied")
    assert disk.log()[-1] == "hi"


@pytest.mark.parametrize(
    "entry, content",
    [
        ({"content": "x"}, b"x"),
        ({"content": "eA==", "encoding": "b64"}, b"x"),
        ({"content": base64.b64encode(gzip.compress(b"x")).decode(), "encoding": "gz+b64"}, b"x"),
        ({"content": gzip.compress(b"x"), "encoding": "gzip"}, b"x"),
    ],
)
def test_the_encodings_of_a_file(entry: dict[str, object], content: bytes) -> None:
    assert cloudconfig.file_content(entry) == content


def test_an_unknown_encoding_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown encoding rot13"):
        cloudconfig.file_content({"content": "x", "encoding": "rot13"})


def test_a_user_entry_is_a_useradd() -> None:
    entry = {"name": "dev", "groups": "a, b", "uid": 1500, "homedir": "/srv/dev", "system": True}
    assert cloudconfig.user_add(entry) == ["useradd", "-M", "-d", "/srv/dev", "-u", "1500", "-s", "/bin/bash", "-G", "a,b", "-r", "dev"]


def test_the_boot_forgets_pid_files_and_sockets_and_nothing_else(tmp_path: Path) -> None:
    import socket

    (tmp_path / "web.pid").write_text("7")
    (tmp_path / "keep").write_text("x")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "old.sock"))
    boot.forget_the_boot_before(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def test_tmpfiles_make_directories_and_skip_what_is_not_there_yet(tmp_path: Path) -> None:
    me = tmp_path.stat()
    tmpfiles.apply([f"d {tmp_path}/a/b 0750 {me.st_uid} {me.st_gid}", f"d {tmp_path}/c 0755 no-such-user -", "L /x - - - - y", "# comment"])
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o750
