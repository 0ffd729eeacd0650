"""What a supervised driver keeps on disk, and how a boot's condition is read from it.

    ROOT/sandboxes/<id>/lock                held by the supervisor while it lives
                        disk.json, upper, work
                        boots/<token's hash>/boot.json      the order to the supervisor
                                             state.json     identity and phase: "created", then "started"
                                             exit.json      how it ended
                                             log, control, config.json, …
    ROOT/trash/…                            removed, not deleted yet

Invariant: a boot is *started* from the moment state.json says so, and *ended* from the moment exit.json is there; a boot that is
neither, and whose supervisor is gone, never ran. Both files appear whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from windtunnel.compute.driver import Exited, Handle
from windtunnel.compute.shim.linux import is_alive
from windtunnel.compute.shim.supervisor import write_whole
from windtunnel.kernel.typed import convert


class Boot:
    """One boot's directory. `key` names it among all boots of the driver."""

    def __init__(self, sandbox: Path, name: str) -> None:
        self.sandbox = sandbox
        self.name = name
        self.path = sandbox / "boots" / name

    @property
    def key(self) -> str:
        return f"{self.sandbox.name}/{self.name}"

    def order(self) -> dict[str, Any] | None:
        return _read(self.path / "boot.json")

    def state(self) -> dict[str, Any] | None:
        return _read(self.path / "state.json")

    def handle(self) -> Handle | None:
        """None unless it was started."""
        state = self.state()
        if state is None or state.pop("phase") != "started":
            return None
        try:
            return convert(state, Handle)
        except msgspec.ValidationError:
            return None  # the machine went down while it was written

    def exited(self) -> Exited | None:
        record = _read(self.path / "exit.json")
        return None if record is None else convert(record, Exited)

    def record_lost(self, reason: str) -> None:
        """For a boot that ended without a record."""
        write_whole(
            str(self.path / "exit.json"),
            {"code": None, "signal": None, "oom_killed": False, "ended_at": time.time(), "lost": True, "reason": reason},
            durable=True,
        )


def boot_of(sandbox: Path, token: str) -> Boot:
    return Boot(sandbox, hashlib.sha256(token.encode()).hexdigest()[:16])


def boots_of(sandbox: Path) -> Iterator[Boot]:
    try:
        names = sorted(os.listdir(sandbox / "boots"))
    except FileNotFoundError:
        return
    for name in names:
        yield Boot(sandbox, name)


def supervisor_alive(handle: Handle) -> bool:
    return is_alive(handle.shim_pid, handle.shim_start_time, handle.boot_id)


def guest_alive(handle: Handle) -> bool:
    return is_alive(handle.pid, handle.start_time, handle.boot_id)


def wait_unlocked(sandbox: Path, seconds: float) -> bool:
    """True once no supervisor holds the sandbox."""
    try:
        fd = os.open(sandbox / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.01)
    finally:
        os.close(fd)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return content


def ends_within(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
