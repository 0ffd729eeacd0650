"""How a sandbox's processes are made to end: the guest is asked, then killed, and its supervisor says so or is killed too.

Invariant: a signal goes only to the process that is meant (a pidfd and its start time), never to another that has got its number since.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from windtunnel.compute.boots import ends_within, guest_alive, supervisor_alive
from windtunnel.compute.driver import Handle
from windtunnel.compute.handshake import END_SECONDS

ASK_AGAIN_SECONDS = 0.1


def end(handle: Handle, grace: float) -> None:
    """Ask the guest, then kill it, and wait for the supervisor to record that; if it does not, kill it too."""
    try:
        shim = os.pidfd_open(handle.shim_pid)
    except ProcessLookupError:
        return
    try:
        if not supervisor_alive(handle):
            return
        if grace > 0 and _asked_to_end(handle, shim, grace):
            return
        send(handle, signal.SIGKILL)
        if not ends_within(shim, END_SECONDS):
            signal.pidfd_send_signal(shim, signal.SIGKILL)
            ends_within(shim, END_SECONDS)
    finally:
        os.close(shim)


def _asked_to_end(handle: Handle, shim: int, grace: float) -> bool:
    """SIGTERM, and whether it ended in time. The kernel drops what a PID 1 has no handler for, and one that has just started has none yet."""
    deadline = time.monotonic() + grace
    while True:
        heard = _hears(handle, signal.SIGTERM)
        send(handle, signal.SIGTERM)
        left = max(0.0, deadline - time.monotonic())
        if ends_within(shim, left if heard else min(left, ASK_AGAIN_SECONDS)):
            return True
        if heard or left == 0:
            return False


def _hears(handle: Handle, number: signal.Signals) -> bool:
    """Whether the guest's first process has a handler for the signal. What runc has not yet made the guest (its name is `runc:[2:INIT]`
    until exec) catches every signal, as each Go program does, and tells the guest of none."""
    try:
        status = Path(f"/proc/{handle.pid}/status").read_text()
    except OSError:
        return True  # it has ended
    if status.startswith("Name:\trunc:["):
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> number - 1 & 1)


def send(handle: Handle, number: signal.Signals) -> None:
    """To the guest's first process, if it is still that process."""
    try:
        pidfd = os.pidfd_open(handle.pid)
    except ProcessLookupError:
        return
    try:
        if guest_alive(handle):
            signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
