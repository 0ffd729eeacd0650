"""A guest that tries to get out of the runc driver's sandbox, and two controls for each refusal: what must work, works."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from driver_lab import ENDPOINT_PORT, Greeter, Machine, guest_file, machine

from windtunnel.compute.driver import SandboxError, SandboxSpec

pytestmark = pytest.mark.slow
PROBE = Path(__file__).with_name("escape_probe.py").read_text()
SECRET = "only the host's root may read this"
SERVES = "echo x > /neighbour-was-here; echo ready; exec python3 -m http.server 8000"


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory, stock_layers: Callable[[], list[Path]]) -> Iterator[dict[str, Any]]:
    """The answers of one probe, beside a neighbour, another cloud's guest, and a host that listens everywhere."""
    base = tmp_path_factory.mktemp("isolation")
    with machine("runc", base / "a", stock_layers) as cloud, machine("runc", base / "b", stock_layers) as other:
        host_file = base / "secret"
        host_file.write_text(SECRET)
        host_file.chmod(0o600)
        with socket.create_server(("", 0)) as host4, socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as host6:
            neighbour, foreigner = cloud.sh("neighbour", SERVES), other.sh("foreigner", SERVES)
            for lab, guest in ((cloud, neighbour), (other, foreigner)):
                lab.wait_output(guest, b"ready")
                assert guest.ip is not None
                reachable(guest.ip, 8000)
            outside = {
                "host_file": str(host_file),
                "endpoint_port": ENDPOINT_PORT,
                "neighbour": neighbour.ip,
                "other_cloud": foreigner.ip,
                "gateway": gateway(cloud),
                "gateway6": link_local(cloud),
                "host": own_address(),
                "host_port": host4.getsockname()[1],
                "disk": [254, 0],
            }
            assert host6.getsockname()[1] > 0
            yield probe(cloud, outside)


def probe(cloud: Machine, outside: dict[str, Any]) -> dict[str, Any]:
    spec = SandboxSpec(
        id="probe",
        image="stock",
        argv=("python3", "/probe.py", json.dumps(outside)),
        files=(guest_file("/probe.py", PROBE),),
        memory=512 << 20,
    )
    handle = cloud.driver.start(spec, "first")
    exited = cloud.exited(handle)
    output = cloud.output(handle).decode()
    assert exited.code == 0, output
    answers: dict[str, Any] = json.loads(output)
    return answers


def reachable(host: str, port: int) -> None:
    from driver_lab import eventually

    def look() -> bool:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            return False
        return True

    eventually(f"{host}:{port} answers the host", look)


def gateway(cloud: Machine) -> str:
    import ipaddress

    return str(ipaddress.IPv4Network(str(cloud.driver.subnet()))[1])


def link_local(cloud: Machine) -> str:
    """The bridge's IPv6 address as a guest would write it, if the bridge has one; else one that nobody has."""
    bridge = next(line.split() for line in ip("-o", "-4", "addr").splitlines() if gateway(cloud) in line)[1]
    rows = [line.split() for line in ip("-o", "-6", "addr", "show", "dev", bridge).splitlines()]
    return f"{rows[0][3].split('/')[0]}%eth0" if rows else "fe80::1%eth0"


def own_address() -> str | None:
    rows = [line.split() for line in ip("-o", "-4", "addr", "show", "scope", "global").splitlines()]
    return next((row[3].split("/")[0] for row in rows if not row[1].startswith("wt")), None)


def ip(*args: str) -> str:
    return subprocess.run(["ip", *args], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "attempt",
    [
        "read the host's file by its path",
        "read the host's file by climbing",
        "read the host's file through PID 1's root",
    ],
)
def test_the_host_file_is_not_there(attempts: dict[str, Any], attempt: str) -> None:
    assert attempts[attempt] == "ENOENT"


def test_shadow_is_the_image_s_own(attempts: dict[str, Any]) -> None:
    assert attempts["shadow"].startswith("root:")
    assert attempts["shadow"] != Path("/etc/shadow").read_text()


@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        ("write core_pattern", "EROFS"),
        ("write ip_forward", "EROFS"),
        ("write uid_map", "EPERM"),
        ("write oom_score_adj -1000", "EACCES"),
        ("mount tmpfs", "EPERM"),
        ("mount proc", "EPERM"),
        ("remount /proc/sys", "EPERM"),
        ("bind /", "EPERM"),
        ("umount /proc", "EPERM"),
        ("unshare user", "EPERM"),
        ("unshare mount", "EPERM"),
        ("unshare net", "EPERM"),
        ("clone user", "EPERM"),
        ("clone mount", "EPERM"),
        ("clone pid", "EPERM"),
        ("setns net", "EPERM"),
        ("setns user", "EPERM"),
        ("clone3", "ENOSYS"),
        ("pivot_root", "EPERM"),
        ("open_tree", "EPERM"),
        ("keyctl", "EPERM"),
        ("bpf", "EPERM"),
        ("perf_event_open", "EPERM"),
        ("userfaultfd", "EPERM"),
        ("io_uring_setup", "ENOSYS"),
        ("syslog", "EPERM"),
        ("open_by_handle_at", "EPERM"),
        ("set the clock", "EPERM"),
        ("reboot", "EPERM"),
        ("AF_VSOCK", "EAFNOSUPPORT"),
        ("AF_VSOCK with high bits", "EAFNOSUPPORT"),
        ("AF_ALG", "EAFNOSUPPORT"),
        ("mknod disk", "EPERM"),
        ("mknod kmem", "EPERM"),
        ("disks in /dev", []),
        ("cgroups", []),
        ("write sysfs", "EROFS"),
        ("ip link add", 2),
        ("ip addr add", 2),
        ("neighbour's endpoint", "ECONNREFUSED"),
        ("neighbour's metadata", "ECONNREFUSED"),
        ("neighbour's files", False),
    ],
)
def test_what_is_refused(attempts: dict[str, Any], attempt: str, answer: object) -> None:
    assert attempts[attempt] == answer


@pytest.mark.parametrize(("attempt", "answers"), [("write sysrq-trigger", {"EROFS", "ENOENT"}), ("read kcore", {"", "ENOENT"})])
def test_what_not_every_kernel_has_is_closed(attempts: dict[str, Any], attempt: str, answers: set[str]) -> None:
    assert attempts[attempt] in answers


@pytest.mark.parametrize(
    "target", ["host by the gateway", "host by its address", "host by IPv6", "another link-local address", "other cloud's guest"]
)
def test_what_is_out_of_reach(attempts: dict[str, Any], target: str) -> None:
    assert attempts[target] in ("TimeoutError", "EHOSTUNREACH", "ENETUNREACH", "no address")


@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        ("own endpoint", "cloud probe endpoint"),
        ("own metadata", "cloud probe metadata"),
        ("own credentials", "cloud probe metadata"),
        ("neighbour's page", "done"),
        ("bind port 80", "done"),
        ("su works", "nobody"),
    ],
)
def test_what_must_work(attempts: dict[str, Any], attempt: str, answer: str) -> None:
    assert attempts[attempt] == answer


def test_only_its_own_processes_are_seen(attempts: dict[str, Any]) -> None:
    assert attempts["processes"] == [1]


def test_it_has_fourteen_capabilities_and_a_filter(attempts: dict[str, Any]) -> None:
    assert attempts["capabilities"] == {
        "CapInh": "0000000000000000",
        "CapPrm": "00000000a80425fb",
        "CapEff": "00000000a80425fb",
        "CapBnd": "00000000a80425fb",
        "CapAmb": "0000000000000000",
        "NoNewPrivs": "0",
        "Seccomp": "2",
    }


def test_a_command_inside_is_confined_likewise(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "sleep 1000")
    script = "grep -E 'CapEff|Seccomp:' /proc/self/status; cat /proc/self/cgroup | grep -c windtunnel; ls /sys/fs/cgroup | wc -l; unshare -U true"
    result = runc_lab.driver.exec(handle, ("sh", "-c", script))
    assert result.stdout == b"CapEff:\t00000000a80425fb\nSeccomp:\t2\n0\n0\n"
    assert b"Operation not permitted" in result.stderr


def test_a_command_as_another_user_has_no_capabilities(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "sleep 1000")
    result = runc_lab.driver.exec(handle, ("sh", "-c", "id -un; grep CapEff /proc/self/status; echo $HOME"), user="nobody")
    assert result.stdout == b"nobody\nCapEff:\t0000000000000000\n/nonexistent\n"


def test_no_working_directory_leads_out(runc_lab: Machine) -> None:
    """A descriptor that runc forgot to close would be a way to the host's files (CVE-2024-21626)."""
    handle = runc_lab.sh("one", "ln -s /proc/self/fd /fds; echo ready; sleep 1000")
    runc_lab.wait_output(handle, b"ready")
    for number in range(3, 20):
        for directory in (f"/proc/self/fd/{number}", f"/fds/{number}"):
            result = runc_lab.driver.exec(handle, ("ls", "../../../../.."), cwd=directory)
            assert result.code in (126, 127), f"{directory}: {result.stdout!r}"
    with pytest.raises(SandboxError):
        runc_lab.sh("two", "ls ../../..", cwd="/proc/self/fd/7")


def test_links_in_a_kept_disk_do_not_lead_our_files_out(runc_lab: Machine, tmp_path: Path) -> None:
    """The guest turns a directory into a link to the host's; the next boot's file must land inside."""
    trap = tmp_path / "host-directory"
    trap.mkdir()
    script = f"mkdir -p {tmp_path}; ln -s {trap} /data; ln -s {trap}/file /link"
    runc_lab.exited(runc_lab.sh("one", script, keep=True))
    files = (guest_file("/link", "replaced"), guest_file("/etc/ok", "fine"))
    handle = runc_lab.sh("one", "cat /link; test -L /link || echo plain; sleep 1000", token="second", keep=True, files=files)
    runc_lab.wait_output(handle, b"plain")
    assert runc_lab.output(handle) == b"replacedplain\n"
    with pytest.raises(FileNotFoundError):
        runc_lab.driver.read_file(handle, "/data/anything")
    assert list(trap.iterdir()) == []


def test_a_fifo_does_not_hold_read_file(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "mkfifo /pipe; echo ready; sleep 1000")
    runc_lab.wait_output(handle, b"ready")
    with pytest.raises(OSError, match="not a regular file"):
        runc_lab.driver.read_file(handle, "/pipe")


def test_two_clouds_have_two_networks(tmp_path: Path, stock_layers: Callable[[], list[Path]]) -> None:
    with machine("runc", tmp_path / "a", stock_layers) as one, machine("runc", tmp_path / "b", stock_layers) as two:
        first, second = one.sh("same", "sleep 1000"), two.sh("same", "sleep 1000")
        assert one.driver.subnet() != two.driver.subnet()
        assert first.ip != second.ip
        one.driver.remove("same")
        assert [handle.id for handle in two.driver.recover()] == ["same"]


def test_listeners_are_served_for_the_right_sandbox(runc_lab: Machine) -> None:
    assert isinstance(runc_lab.greeter, Greeter)
    handles = {f"box-{n}": runc_lab.sh(f"box-{n}", f"curl -sS http://127.0.0.1:{ENDPOINT_PORT}/ http://169.254.169.254/") for n in range(3)}
    for sandbox_id, handle in handles.items():
        runc_lab.exited(handle)
        assert runc_lab.output(handle).decode() == f"cloud {sandbox_id} endpoint\ncloud {sandbox_id} metadata\n"
    from driver_lab import eventually

    eventually("all listeners are closed", lambda: not runc_lab.greeter.open)


def test_threads_do_not_pile_up(runc_lab: Machine) -> None:
    before = threading.active_count()
    for n in range(3):
        handle = runc_lab.sh(f"box-{n}", "true")
        runc_lab.exited(handle)
        runc_lab.driver.remove(handle)
    assert threading.active_count() <= before + 1
    assert len(os.listdir("/proc/self/fd")) < 200
