"""What the runc driver adds to the contract: limits, networks, listeners that outlive a cloud, and no trace afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from driver_lab import ENDPOINT_PORT, Greeter, Machine, Other, eventually, guest_file, machine

from windtunnel.compute.driver import Exited, Handle, SandboxError, SandboxSpec
from windtunnel.compute.network import Network

pytestmark = pytest.mark.slow
EATS = "python3 -c 'x = bytearray(300 << 20); print(len(x))'"


# -- limits


def test_a_first_process_that_eats_too_much_is_killed(runc_lab: Machine) -> None:
    exited = runc_lab.exited(runc_lab.sh("one", f"exec {EATS}", memory=64 << 20))
    assert (exited.signal, exited.code, exited.oom_killed) == (signal.SIGKILL, None, True)
    assert exited.memory_peak is not None and 32 << 20 < exited.memory_peak <= 64 << 20


def test_a_child_that_eats_too_much_is_told_too(runc_lab: Machine) -> None:
    exited = runc_lab.exited(runc_lab.sh("one", f"{EATS} || exit 3", memory=64 << 20))
    assert (exited.code, exited.oom_killed) == (3, True)


def test_processes_are_limited(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "for i in $(seq 40); do sleep 100 & done; echo all", pids=16)
    runc_lab.exited(handle)
    assert b"all\n" not in runc_lab.output(handle)
    assert b"fork" in runc_lab.output(handle)


def test_processor_time_is_limited(runc_lab: Machine) -> None:
    script = "import time; a = time.time(); t = time.process_time()\nwhile time.time() < a + 1: pass\nprint(time.process_time() - t)"
    handle = runc_lab.driver.start(SandboxSpec(id="one", image="stock", argv=("python3", "-c", script), cpus=0.25), "first")
    runc_lab.exited(handle)
    assert float(runc_lab.output(handle)) < 0.6


# -- users, files


def test_files_and_user_are_as_asked(runc_lab: Machine) -> None:
    files = (guest_file("/srv/app/run", "#!/bin/sh\nid -un; pwd; stat -c '%U %a' /srv/app/run\n", 0o750, "nobody"),)
    handle = runc_lab.driver.start(
        SandboxSpec(id="one", image="stock", argv=("/srv/app/run",), user="nobody", cwd="/srv/dir", files=files, env={"A": "b"}), "first"
    )
    runc_lab.exited(handle)
    assert runc_lab.output(handle) == b"nobody\n/srv/dir\nnobody 750\n"


def test_an_unknown_user_is_told(runc_lab: Machine) -> None:
    with pytest.raises(SandboxError, match="no user 'nosuch'"):
        runc_lab.sh("one", "true", user="nosuch")


def test_the_environment_is_the_spec_s_and_three_more(runc_lab: Machine) -> None:
    handle = runc_lab.driver.start(SandboxSpec(id="one", image="stock", argv=("env",), env={"A": "b c"}, hostname="web-1"), "first")
    runc_lab.exited(handle)
    lines = runc_lab.output(handle).decode().splitlines()
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert sorted(lines) == ["A=b c", "HOME=/root", "HOSTNAME=web-1", path]


def test_standard_files_can_be_opened_again(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "echo out > /dev/stdout; echo err > /dev/stderr; su nobody -s /bin/sh -c 'echo too > /dev/stdout'")
    runc_lab.exited(handle)
    said = runc_lab.frames(handle)
    assert b"".join(frame.data for frame in said if frame.stream == "stdout") == b"out\ntoo\n"
    assert b"".join(frame.data for frame in said if frame.stream == "stderr") == b"err\n"


def test_programs_are_found_without_an_sbin_in_the_path(runc_lab: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert runc_lab.driver.available() is None
    handle = runc_lab.sh("one", "echo hello")
    runc_lab.exited(handle)
    assert runc_lab.output(handle) == b"hello\n"


# -- network


def test_the_host_reaches_a_page_on_port_80(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "echo hello > /index.html; echo ready; exec python3 -m http.server 80 --directory /")
    runc_lab.wait_output(handle, b"ready")

    def page() -> bytes:
        try:
            with urllib.request.urlopen(f"http://{handle.ip}/index.html", timeout=2) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    assert eventually("the page", page) == b"hello\n"


def test_names_are_resolved_inside_as_outside(runc_lab: Machine) -> None:
    name = "deb.debian.org"
    try:
        socket.getaddrinfo(name, 80)
    except OSError:
        pytest.skip(f"{name} cannot be resolved on this machine")
    handle = runc_lab.sh("one", f"getent hosts {name} > /dev/null && echo resolved; getent hosts one")
    runc_lab.exited(handle)
    assert runc_lab.output(handle).startswith(b"resolved\n")
    assert str(handle.ip).encode() in runc_lab.output(handle)


def test_without_network_endpoint_and_metadata_still_answer(runc_lab: Machine) -> None:
    script = f"curl -sS http://127.0.0.1:{ENDPOINT_PORT}/ http://169.254.169.254/; ip -o link | wc -l"
    handle = runc_lab.sh("one", script, network=False)
    runc_lab.exited(handle)
    assert handle.ip is None
    assert runc_lab.output(handle) == b"cloud one endpoint\ncloud one metadata\n1\n"


def test_a_kept_sandbox_keeps_its_address(runc_lab: Machine) -> None:
    first = runc_lab.sh("one", "true", keep=True)
    runc_lab.exited(first)
    assert runc_lab.sh("two", "true").ip != first.ip
    second = runc_lab.sh("one", "true", token="second", keep=True)
    assert second.ip == first.ip


def test_an_address_can_be_asked_for(runc_lab: Machine) -> None:
    wanted = str(runc_lab.driver.subnet()).split("/")[0].rsplit(".", 1)[0] + ".77"
    assert runc_lab.sh("one", "true", ip=wanted).ip == wanted
    with pytest.raises(SandboxError, match="in use by one"):
        runc_lab.sh("two", "true", ip=wanted)
    with pytest.raises(SandboxError, match="not an address of this cloud"):
        runc_lab.sh("three", "true", ip="10.0.0.5")


# -- crashes


def test_a_cloud_killed_before_go_leaves_nothing_running(runc_lab: Machine) -> None:
    spec = SandboxSpec(id="one", image="stock", argv=("sh", "-c", "echo ran; sleep 1000"))
    other = Other(runc_lab, spec, stall="serve")
    assert other.line() == {"stalled": True}
    other.kill()
    runc_lab.driver = runc_lab.make()
    assert runc_lab.driver.recover() == []
    assert [trace for trace in traces(runc_lab) if "/addresses/" not in trace] == [], "only the id's address is kept for the repeat"
    handle = runc_lab.driver.start(spec, "first")
    runc_lab.wait_output(handle, b"ran\n")
    assert runc_lab.output(handle) == b"ran\n"


@pytest.mark.parametrize("command", [("sleep", "4713"), ("true",), ("sh", "-c", "sleep 4713 & sleep 4713")])
def test_a_cloud_killed_during_a_command_does_not_hold_the_sandbox_s_end(runc_lab: Machine, command: tuple[str, ...]) -> None:
    """The command ends with the connection of whoever asked for it, and leaves no zombie in the guest's namespace."""
    other = Other(runc_lab, SandboxSpec(id="one", image="stock", argv=("sh", "-c", "sleep 1000; sleep 1000")))
    other.line()
    other.exec(*command)
    threading.Event().wait(0.03 if command == ("true",) else 0.3)
    other.kill()
    runc_lab.driver = runc_lab.make()
    [handle] = runc_lab.driver.recover()
    eventually("only the guest's own processes are left", lambda: len(guest_processes(handle)) == 2)
    exited = runc_lab.driver.stop(handle, 0)
    assert isinstance(exited, Exited) and exited.signal == signal.SIGKILL


def guest_processes(handle: Handle) -> list[str]:
    """What runs in the guest's PID namespace, zombies too, as the host sees it."""
    namespace = os.readlink(f"/proc/{handle.pid}/ns/pid")
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "ns/pid") == namespace:
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_no_descriptor_of_the_cloud_reaches_a_supervisor(runc_lab: Machine) -> None:
    """A second sandbox's supervisor must not hold the first one's listeners: they would keep a dead sandbox's network."""
    runc_lab.sh("one", "sleep 1000")
    [recovered] = runc_lab.restart()
    second = runc_lab.sh("two", "sleep 1000")
    first_sockets, second_sockets = (sockets_of(handle.shim_pid) for handle in (recovered, second))
    assert first_sockets and second_sockets
    assert not first_sockets & second_sockets


def sockets_of(pid: int) -> set[str]:
    return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(entry).startswith("socket:")}


def test_calls_made_while_no_cloud_runs_are_answered_by_the_next(runc_lab: Machine) -> None:
    script = f"while :; do curl -sS -m 20 http://127.0.0.1:{ENDPOINT_PORT}/ || echo failed; sleep 0.02; done"
    other = Other(runc_lab, SandboxSpec(id="one", image="stock", argv=("sh", "-c", script)))
    other.line()
    runc_lab.greeter = Greeter("next")
    seen = Path(runc_lab.root) / "sandboxes/one/boots"
    log = next(seen.iterdir()) / "log"
    eventually("the first cloud answers", lambda: b"other one endpoint" in log.read_bytes())
    other.kill()
    quiet = log.read_bytes()
    assert wait_quiet(log), "the guest's calls wait"
    runc_lab.driver = runc_lab.make()
    [handle] = runc_lab.driver.recover()
    runc_lab.wait_output(handle, b"next one endpoint")
    after = log.read_bytes()[len(quiet) :]
    assert after.count(b"failed") <= 1, "only the call that the killed cloud had taken"


def wait_quiet(log: Path) -> bool:
    """The log does not grow any more."""
    size, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal size, since
        now = log.stat().st_size
        if now != size:
            size, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    return eventually("the log is quiet", quiet)


def test_an_image_that_changed_does_not_change_a_kept_disk(
    tmp_path: Path, runc_lab: Machine, stock_layers: Callable[[], list[Path]]
) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    os.chown(extra, 100000, 100000)
    runc_lab.layers.insert(0, extra)
    runc_lab.exited(runc_lab.sh("one", "true", keep=True))
    runc_lab.layers.pop(0)
    second = runc_lab.sh("one", "sleep 1000", token="second", keep=True)
    shim_mounts = Path(f"/proc/{second.shim_pid}/mountinfo").read_text()
    assert str(extra) in shim_mounts


def test_a_first_process_that_has_no_handler_yet_is_asked_again(runc_lab: Machine) -> None:
    """Stopped right after its start, an init would be killed when the grace is over: the kernel dropped what it was sent."""
    handle = runc_lab.sh("one", "sleep 1; trap 'exit 7' TERM; while :; do sleep 0.1; done")
    began = time.monotonic()
    exited = runc_lab.driver.stop(handle, 30)
    assert isinstance(exited, Exited) and exited.code == 7
    assert time.monotonic() - began < 20


# -- traces


def test_nothing_is_left_after_remove(tmp_path: Path, stock_layers: Callable[[], list[Path]]) -> None:
    with machine("runc", tmp_path, stock_layers) as lab:
        for n in range(3):
            lab.sh(f"box-{n}", "sleep 1000 & sleep 1000", keep=n == 1)
        runs = lab.sh("ended", "true")
        lab.exited(runs)
        os.kill(lab.sh("orphaned", "sleep 1000").shim_pid, signal.SIGKILL)
        names = kernel_names(lab)
        assert names <= set(os.listdir("/sys/class/net")) | {cable(lab, "ended"), cable(lab, "orphaned")}
        for sandbox_id in lab.driver.orphans(()):
            lab.driver.remove(sandbox_id)
        assert traces(lab) == []
        lab.driver.close(remove_network=True)
        assert not names & set(os.listdir("/sys/class/net"))
        assert not [line for line in run("nft", "list", "tables").splitlines() if line.split()[-1] in names]
        assert "windtunnel" not in Path("/proc/self/mountinfo").read_text()
        lab.driver = lab.make()


def test_the_network_stays_while_a_sandbox_runs(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "sleep 1000")
    runc_lab.driver.close(remove_network=True)
    runc_lab.driver = runc_lab.make()
    assert runc_lab.driver.recover() == [handle]
    assert runc_lab.driver.exec(handle, ("ip", "route")).stdout.startswith(b"default via")


def test_a_deleted_cloud_s_subnet_is_free_again(tmp_path: Path, runc_lab: Machine, stock_layers: Callable[[], list[Path]]) -> None:
    """Killed without an end, and its directory deleted: the next cloud of the machine takes its bridge away."""
    with machine("runc", tmp_path / "forgotten", stock_layers) as forgotten:
        forgotten.exited(forgotten.sh("one", "true"))
        forgotten.driver.remove("one")
        bridge = Network(forgotten.root).bridge
        assert bridge in os.listdir("/sys/class/net")
        forgotten.driver.close()
        shutil.rmtree(tmp_path / "forgotten")
        runc_lab.sh("one", "true")
        assert bridge not in os.listdir("/sys/class/net")
        forgotten.driver = forgotten.make()


def cable(lab: Machine, sandbox_id: str) -> str:
    [boot] = (lab.root / "sandboxes" / sandbox_id / "boots").iterdir()
    name: str = json.loads((boot / "boot.json").read_text())["runtime"]["network"]["veth"]
    return name


def kernel_names(lab: Machine) -> set[str]:
    """The links and tables that this cloud has made: its bridge, and a cable for each sandbox."""
    return {Network(lab.root).bridge, *(cable(lab, entry.name) for entry in (lab.root / "sandboxes").iterdir())}


def traces(lab: Machine) -> list[str]:
    """What this cloud's sandboxes have in the kernel and on disk."""
    bridge = Network(lab.root).bridge
    ports = Path(f"/sys/class/net/{bridge}/brif")
    found = [f"link {port.name}" for port in ports.iterdir()] if ports.exists() else []
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/windtunnel/{bridge}/*") if path.is_dir()]
    for sub in ("sandboxes", "runc", "addresses", "trash"):
        found += [str(path) for path in (lab.root / sub).glob("*") if path.name != "one"]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and str(lab.root) in command(entry) and int(entry.name) != os.getpid():
            found.append(f"process {entry.name}: {command(entry)}")
    return found


def command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
