"""What a supervisor supervises: a container of runc, or (for the process driver) a plain process.

Invariant: `create` leaves a first process that executes nothing of the guest until `start`; after `cleanup` no process of the guest
is left and nothing of it is mounted, whatever state it was in. `cleanup` may be repeated.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time

from windtunnel.compute.shim import inside, runner
from windtunnel.compute.shim.linux import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    MS_SLAVE,
    mount,
    setns,
    unshare,
    wait_readable,
)

TYPE_CHECKING = False  # not from typing: importing it would cost each sandbox 3 ms and half a megabyte
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Runtime(Protocol):
        def create(self, stdout: int, stderr: int) -> int:
            """Prepare everything; returns the first process, held back. The two fds are the write ends of its pipes."""
            ...

        def listeners(self) -> list[socket.socket]: ...

        def start(self) -> None: ...

        def kill(self) -> None:
            """SIGKILL to all of it."""
            ...

        def usage(self) -> tuple[bool, int | None]:
            """(was a process killed for memory, peak in bytes if known): once it has ended, before cleanup."""
            ...

        def cleanup(self) -> None: ...


STAGE = "/run/windtunnel"
"""Where the disk is mounted, in the supervisor's own mount namespace: the path down to the data may be closed to the guest's ids."""

ROOTFS = f"{STAGE}/rootfs"


class Runc:
    def __init__(self, order: dict[str, Any], switch: int) -> None:
        """switch: a descriptor of the private network's namespace, -1 without one."""
        self._order = order
        self._switch = switch
        self.command = [order["runc"], "--root", order["runc_root"]]
        self.container: str = order["container"]
        self._pid = 0

    def create(self, stdout: int, stderr: int) -> int:
        self._mount_disk()
        self._fill_disk()
        for fd in (stdout, stderr):
            os.fchown(fd, inside.UID_SHIFT, inside.UID_SHIFT)
            os.fchmod(fd, 0o666)  # both: else `> /dev/stdout` is EACCES for the guest
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        problems = "create.log"
        argv = [*self.command, "--log", problems, "create", "--bundle", ".", "--pid-file", "pid", self.container]
        pid = runner.spawn(argv, [(null, 0), (stdout, 1), (stderr, 2)])
        os.close(null)
        code = runner.wait(pid, 60.0)
        if code != 0:
            raise runner.Failed(runner.last_words(problems) or f"runc create ended with {code}")
        with open("pid") as f:
            self._pid = int(f.read())
        self._connect()
        return self._pid

    def _mount_disk(self) -> None:
        order = self._order
        unshare(CLONE_NEWNS)
        mount("", "/", "", MS_REC | MS_SLAVE)
        mount("windtunnel", STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=0711")
        os.mkdir(ROOTFS, 0o755)
        lower = ":".join(_escape(layer) for layer in order["layers"])
        options = f"lowerdir={lower},upperdir={_escape(order['upper'])},workdir={_escape(order['work'])}"
        mount("overlay", ROOTFS, "overlay", MS_NODEV, options)

    def _fill_disk(self) -> None:
        """The files of the spec, and what of the OCI configuration depends on the image's users."""
        config = self._order["config"]
        process = config["process"]
        root = inside.open_root(ROOTFS)
        try:
            user = inside.find_user(root, self._order["user"])
            for item in self._order["files"]:
                owner = user if item["user"] == self._order["user"] else inside.find_user(root, item["user"])
                inside.place_file(root, item["path"], item["source"], item["mode"], owner, inside.UID_SHIFT)
                os.unlink(item["source"])
            os.close(inside.make_directory(root, process["cwd"], inside.UID_SHIFT, user.uid, user.gid))
        finally:
            os.close(root)
        set_user(process, user)
        with open("config.json", "w") as f:
            json.dump(config, f)

    def _connect(self) -> None:
        """Give the guest its network while its first process is held back: it never sees itself half connected."""
        network = self._order["network"]
        addresses, rules = ["ip", "-batch", "-"], ["nft", "-f", "-"]
        host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        guest = os.open(f"/proc/{self._pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(guest, CLONE_NEWNET)
            filtering = runner.start(rules, network["rules"])
            self._sockets = [_listen(port) for port in self._order["ports"]]
            for path, value in network.get("settings", {}).items():
                with open(f"/proc/sys/net/{path}", "w") as setting:
                    setting.write(value)
            wiring = None
            if self._switch >= 0:
                setns(self._switch, CLONE_NEWNET)
                wiring = runner.start(addresses, network["private_link"].replace("@PID@", str(self._pid)))
            if network["link"]:
                setns(host, CLONE_NEWNET)
                runner.run(addresses, network["link"].replace("@PID@", str(self._pid)))
                setns(guest, CLONE_NEWNET)
            if wiring is not None:
                runner.finish(addresses, *wiring)
            runner.run(addresses, network["guest"])
            runner.finish(rules, *filtering)
        finally:
            setns(host, CLONE_NEWNET)
            os.close(host)
            os.close(guest)

    def listeners(self) -> list[socket.socket]:
        return self._sockets

    def start(self) -> None:
        """What `runc start` does, without its 7 ms: the first process waits until somebody reads from its FIFO."""
        fifo = f"{self._order['runc_root']}/{self.container}/exec.fifo"
        try:
            fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return runner.run([*self.command, "start", self.container])  # a runc that does it otherwise
        try:
            if not wait_readable(fd, time.monotonic() + 20) or not os.read(fd, 1):
                raise runner.Failed("the container's first process ended before it was started")
        finally:
            os.close(fd)
        os.unlink(fifo)
        return None

    def kill(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)  # PID 1 of its namespace: the kernel takes the rest with it

    def usage(self) -> tuple[bool, int | None]:
        return memory_usage(self._order["memory_cgroups"])

    def cleanup(self) -> None:
        """The kernel takes cable and mounts away when the last process and listener in them are gone."""
        try:
            runner.run([*self.command, "delete", "--force", self.container])
        except runner.Failed:
            pass  # the driver deletes again on removal


class Plain:
    """A process of this machine, in a session of its own, with no isolation at all."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._pid = 0
        self._gate = -1
        self._report = -1

    def create(self, stdout: int, stderr: int) -> int:
        wait, self._gate = os.pipe()
        self._report, report = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._become(wait, report, stdout, stderr)
        os.close(wait)
        os.close(report)
        return self._pid

    def _become(self, wait: int, report: int, stdout: int, stderr: int) -> None:
        """The child: holds until the gate says so, and ends if the gate breaks. Never returns."""
        try:
            os.close(self._gate)
            if os.read(wait, 1) != b"g":
                os._exit(0)
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            for ours, theirs in ((null, 0), (stdout, 1), (stderr, 2)):
                os.dup2(ours, theirs)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(self._order["cwd"])
            os.execvpe(self._order["argv"][0], self._order["argv"], self._order["env"])
        except OSError as problem:
            os.write(report, str(problem).encode())
        finally:
            os._exit(127)

    def listeners(self) -> list[socket.socket]:
        return []

    def start(self) -> None:
        os.write(self._gate, b"g")
        os.close(self._gate)
        problem = os.read(self._report, 4096)  # closed by a successful exec
        os.close(self._report)
        if problem:
            raise runner.Failed(f"exec: {problem.decode('utf-8', 'replace')}")

    def kill(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)

    def usage(self) -> tuple[bool, int | None]:
        return False, None

    def cleanup(self) -> None:
        """Orphans become this process's children (it is their subreaper): kill until there are none."""
        deadline = time.monotonic() + 10
        while children := _children():
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            for pid in children:
                runner.wait(pid, 1.0)
            if time.monotonic() > deadline:
                return


def make(order: dict[str, Any], switch: int) -> Runtime:
    return Runc(order, switch) if order["kind"] == "runc" else Plain(order)


def set_user(process: dict[str, Any], user: inside.User) -> None:
    """Fill an OCI process for a user: ids, HOME, and capabilities in effect for root alone (as Docker does)."""
    process["user"] = {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups), "umask": 0o022}
    if not any(entry.startswith("HOME=") for entry in process["env"]):
        process["env"].append(f"HOME={user.home}")
    if user.uid != 0:
        process["capabilities"] = {**process["capabilities"], "effective": [], "permitted": []}


def memory_usage(directories: list[str]) -> tuple[bool, int | None]:
    """(oom kill seen, peak) from the first memory cgroup that is there: `memory.events` on v2, `memory.oom_control` on v1."""
    for directory in directories:
        events = runner.read(f"{directory}/memory.events") or runner.read(f"{directory}/memory.oom_control")
        if events:
            killed = dict(line.split(" ", 1) for line in events.splitlines()).get("oom_kill", "0")
            peak = runner.read(f"{directory}/memory.peak") or runner.read(f"{directory}/memory.max_usage_in_bytes")
            return int(killed) > 0, int(peak) if peak else None
    return False, None


def _children() -> list[int]:
    return [int(pid) for pid in runner.read(f"/proc/self/task/{os.getpid()}/children").split()]


def _escape(path: str) -> str:
    """A path inside overlay's option string, where colons part layers and commas part options."""
    for character in ("\\", ":", ","):
        path = path.replace(character, "\\" + character)
    return path


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener
