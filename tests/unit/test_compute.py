"""The parts of the sandbox driver that need no sandbox: configuration, log frames, users, files, the dummy's script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from windtunnel.compute import oci, seccomp
from windtunnel.compute.driver import Exited, GuestFile, SandboxSpec, check_spec
from windtunnel.compute.dummy import DummyDriver, Outcome, World
from windtunnel.compute.network import Network
from windtunnel.compute.shim import inside, log, runner, runtimes
from windtunnel.compute.watcher import ExitWatcher


def spec(**more: object) -> SandboxSpec:
    return SandboxSpec(**{"id": "one", "image": "stock", "argv": ("true",), **more})  # type: ignore[arg-type]


# -- what runc is asked for


def test_limits_are_runc_s_resources() -> None:
    resources = oci.config(spec(memory=64 << 20, cpus=0.25, pids=16), "/cg", swap_counted=True)["linux"]["resources"]
    assert resources["memory"] == {"limit": 64 << 20, "swap": 64 << 20}
    assert resources["cpu"] == {"quota": 25_000, "period": 100_000}
    assert resources["pids"] == {"limit": 16}


def test_without_limits_only_processes_are_counted() -> None:
    resources = oci.config(spec(), "/cg", swap_counted=False)["linux"]["resources"]
    assert set(resources) == {"devices", "pids"}
    assert resources["pids"] == {"limit": oci.DEFAULT_PIDS}


def test_every_namespace_is_its_own() -> None:
    made = oci.config(spec(), "/cg", swap_counted=False)["linux"]
    assert {entry["type"] for entry in made["namespaces"]} == {"pid", "ipc", "uts", "mount", "user", "cgroup", "network"}
    assert all("path" not in entry for entry in made["namespaces"])
    assert made["uidMappings"] == made["gidMappings"] == [{"containerID": 0, "hostID": 100000, "size": 65536}]


@pytest.mark.parametrize("call", ["mount", "unshare", "setns", "bpf", "keyctl", "open_by_handle_at", "init_module", "pivot_root"])
def test_the_filter_denies(call: str) -> None:
    assert call in seccomp.DENIED


@pytest.mark.parametrize("bit", [0x10000000, 0x20000, 0x20000000, 0x40000000])
def test_the_filter_denies_each_new_namespace_of_clone(bit: int) -> None:
    rules = [rule for rule in seccomp.profile("x86_64")["syscalls"] if rule["names"] == ["clone"]]
    assert bit in [rule["args"][0]["value"] for rule in rules]


@pytest.mark.parametrize(
    ("user", "effective"),
    [
        pytest.param(inside.User(0, 0, (), "/root"), oci.CAPABILITIES, id="root has its capabilities in effect"),
        pytest.param(inside.User(1000, 1000, (27,), "/home/x"), [], id="another user has none"),
    ],
)
def test_capabilities_by_user(user: inside.User, effective: list[str]) -> None:
    process = oci.process(["true"], ["A=b"], "/")
    runtimes.set_user(process, user)
    assert process["capabilities"]["effective"] == effective
    assert process["capabilities"]["bounding"] == oci.CAPABILITIES
    assert process["env"] == ["A=b", f"HOME={user.home}"]


def test_a_home_that_was_given_stays() -> None:
    process = oci.process(["true"], ["HOME=/srv"], "/")
    runtimes.set_user(process, inside.User(0, 0, (), "/root"))
    assert process["env"] == ["HOME=/srv"]


# -- log frames


def test_frames_are_read_as_they_were_written(tmp_path: Path) -> None:
    writer = log.Writer(str(tmp_path / "log"))
    writer.write(log.STDOUT, b"one\n")
    writer.write(log.STDERR, b"\xff\0")
    writer.close()
    assert [(stream, data) for _, stream, data in log.parse((tmp_path / "log").read_bytes())] == [(1, b"one\n"), (2, b"\xff\0")]


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_frame_that_is_not_whole_is_not_seen(cut: int) -> None:
    whole = log.HEADER.pack(1, 3, log.STDOUT) + b"abc"
    assert [data for _, _, data in log.parse(whole + whole[:-cut])] == [b"abc"]


def test_a_disk_that_is_full_costs_whole_frames(tmp_path: Path) -> None:
    """A file size limit cuts the write short, as a full disk does."""
    script = (
        "import resource, signal, sys; from windtunnel.compute.shim import log\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))\n"
        "writer = log.Writer(sys.argv[1]); writer.write(1, b'kept'); writer.write(1, b'x' * 40); writer.write(2, b'after')\n"
        "writer.close(); print(writer.dropped)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "log")], capture_output=True, text=True, check=True)
    assert done.stdout == "40\n"
    assert [data for _, _, data in log.parse((tmp_path / "log").read_bytes())] == [b"kept", b"after"]


def test_a_log_has_a_limit(tmp_path: Path) -> None:
    writer = log.Writer(str(tmp_path / "log"), limit=50)
    for data in (b"kept", b"x" * 40, b"after"):
        writer.write(log.STDOUT, data)
    writer.close()
    assert writer.dropped == 40
    assert [data for _, _, data in log.parse((tmp_path / "log").read_bytes())] == [b"kept", b"after"]


# -- the guest's disk, from outside


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    root = tmp_path / "disk"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:r:/root:/bin/sh\nweb:x:33:34:w:/var/www:/bin/sh\nbroken:x:abc:0:::\n")
    (root / "etc/group").write_text("root:x:0:\nweb:x:34:\ndocker:x:999:web,other\nhuge:x:70000:web\n")
    return root


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("root", (0, 0, (), "/root")),
        ("web", (33, 34, (999,), "/var/www")),
        ("33", (33, 34, (999,), "/var/www")),
        ("1234", (1234, 0, (), "/")),
    ],
)
def test_users_are_the_image_s(disk: Path, name: str, found: tuple[object, ...]) -> None:
    root = inside.open_root(str(disk))
    user = inside.find_user(root, name)
    os.close(root)
    assert (user.uid, user.gid, user.groups, user.home) == found


@pytest.mark.parametrize("name", ["nobody-here", "broken", "70000", "-1"])
def test_a_user_that_is_not_there(disk: Path, name: str) -> None:
    root = inside.open_root(str(disk))
    with pytest.raises(inside.NoSuchUser):
        inside.find_user(root, name)
    os.close(root)


def test_root_needs_no_passwd(tmp_path: Path) -> None:
    root = inside.open_root(str(tmp_path))
    assert inside.find_user(root, "root").home == "/root"
    os.close(root)


@pytest.mark.parametrize(
    ("link", "path"),
    [
        pytest.param("/", "/trap/etc/secret", id="a link to the root is the guest's root"),
        pytest.param("../../..", "/trap/etc/secret", id="a link upwards stops at the guest's root"),
    ],
)
def test_links_are_resolved_inside(disk: Path, link: str, path: str) -> None:
    (disk / "trap").symlink_to(link)
    (disk / "etc/secret").write_text("the guest's own")
    root = inside.open_root(str(disk))
    assert inside.read_file(root, path, 100) == b"the guest's own"
    os.close(root)


def test_a_placed_file_replaces_a_link_and_not_its_target(disk: Path, tmp_path: Path) -> None:
    target = tmp_path / "host"
    target.write_text("host")
    (disk / "file").symlink_to(target)
    source = tmp_path / "source"
    source.write_text("new")
    root = inside.open_root(str(disk))
    inside.place_file(root, "/file", str(source), 0o640, inside.User(os.getuid(), os.getgid(), (), "/"), 0)
    os.close(root)
    assert target.read_text() == "host"
    assert not (disk / "file").is_symlink()
    assert ((disk / "file").read_text(), (disk / "file").stat().st_mode & 0o777) == ("new", 0o640)


# -- helpers of the supervisor


def test_runc_s_last_error_is_told(tmp_path: Path) -> None:
    text = 'time="x" level=warning msg="w"\ntime="x" level=error msg="exec: \\"nope\\": not found"\n'
    (tmp_path / "log").write_text(text)
    assert runner.last_words(str(tmp_path / "log")) == 'exec: "nope": not found'
    assert runner.last_words(str(tmp_path / "none")) == ""


@pytest.mark.parametrize(
    ("files", "usage"),
    [
        pytest.param({"memory.events": "low 0\noom 2\noom_kill 1\n", "memory.peak": "4096\n"}, (True, 4096), id="version 2"),
        pytest.param({"memory.oom_control": "under_oom 0\noom_kill 0\n", "memory.max_usage_in_bytes": "99\n"}, (False, 99), id="version 1"),
        pytest.param({"memory.events": "oom_kill 0\n"}, (False, None), id="version 2 of a kernel that keeps no peak"),
        pytest.param({}, (False, None), id="no memory cgroup"),
    ],
)
def test_memory_usage(tmp_path: Path, files: dict[str, str], usage: tuple[bool, int | None]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert runtimes.memory_usage([str(tmp_path / "absent"), str(tmp_path)]) == usage


def test_a_helper_that_fails_is_quoted() -> None:
    with pytest.raises(runner.Failed, match="sh ended with 3: broken"):
        runner.run(["sh", "-c", "cat >&2; exit 3"], "broken")


def test_a_helper_that_hangs_is_ended() -> None:
    with pytest.raises(runner.Failed, match="did not end within 0.1 s"):
        runner.run(["sleep", "100"], seconds=0.1)


def test_the_watcher_tells_each_end_once() -> None:
    watcher = ExitWatcher("test-exits")
    ended: list[int] = []
    all_ended = threading.Event()
    pids = [os.posix_spawn("/bin/sh", ["sh", "-c", f"exit {n}"], os.environ) for n in range(5)]
    for pid in pids:

        def tell(pid: int = pid) -> None:
            ended.append(pid)
            if len(ended) == len(pids):
                all_ended.set()

        watcher.add(pid, tell)
    assert all_ended.wait(10)
    watcher.close()
    assert sorted(ended) == sorted(pids)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == list(range(5))


# -- specs and the dummy


def test_a_spec_survives_its_serialisation() -> None:
    import msgspec

    whole = spec(files=(GuestFile("/x", b"\0\xff"),), env={"A": "b"}, cpus=0.5)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=SandboxSpec) == whole
    check_spec(whole)


def test_the_dummy_does_what_the_script_says() -> None:
    world = World()
    world.script = lambda asked: Outcome(output=json.dumps(asked.env).encode(), code=2) if asked.env else None
    driver = DummyDriver(world)
    handle = driver.start(spec(env={"A": "b"}), "t")
    status = driver.status(handle)
    assert isinstance(status, Exited) and status.code == 2
    assert [frame.data for frame in driver.logs(handle, 0)[0]] == [b'{"A": "b"}']


def test_an_address_that_is_released_while_the_reserved_ones_are_listed(tmp_path: Path) -> None:
    """A dangling link is what such a file looks like to the reader: listed, and gone when it is opened."""
    network = Network(tmp_path)
    assert network.reservations() == {}
    addresses = tmp_path / "addresses"
    addresses.mkdir()
    (addresses / "198.19.0.13").write_text("i-1")
    (addresses / "198.19.0.14").symlink_to(addresses / "gone")
    assert network.reservations() == {"198.19.0.13": "i-1"}
    network.release("i-1")
    assert network.reservations() == {}
