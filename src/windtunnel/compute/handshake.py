"""The cloud's side of starting a supervisor and of meeting one again.

Invariant: every wait here is bounded, and a supervisor that is not told "go" is left to end by itself: it hears the socket close.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from windtunnel.compute.boots import Boot, ends_within
from windtunnel.compute.driver import SandboxError
from windtunnel.compute.shim import messages
from windtunnel.compute.tools import environment

END_SECONDS = 20.0
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_SUPERVISOR = f"import sys; sys.path.append({_PACKAGE_PARENT!r}); from windtunnel.compute.shim.supervisor import main; main()"


def spawn(boot: Boot, cloud: socket.socket) -> int:
    """Start the boot's supervisor, in a session of its own, with `cloud` as its fd 3; returns its pid."""
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    said = os.open(boot.path / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in ((null, 0), (said, 1), (said, 2), (cloud.fileno(), 3))]
        argv = [sys.executable, "-I", "-S", "-c", _SUPERVISOR, str(boot.path)]
        return os.posix_spawn(sys.executable, argv, environment(), file_actions=actions, setsid=True)
    finally:
        os.close(null)
        os.close(said)


def receive(connection: socket.socket, boot: Boot) -> tuple[dict[str, Any], list[socket.socket]]:
    """One message of a supervisor with its file descriptors, as listening sockets."""
    message, fds = receive_fds(connection, boot)
    return message, [socket.socket(fileno=fd) for fd in fds]


def receive_fds(connection: socket.socket, boot: Boot) -> tuple[dict[str, Any], list[int]]:
    try:
        message, fds = messages.receive(connection)
    except TimeoutError:
        raise SandboxError(f"the supervisor of {boot.sandbox.name} did not answer in time") from None
    if message is None:
        words = _tail(boot.path / "supervisor.log")
        raise SandboxError(f"the supervisor of {boot.sandbox.name} ended: {words}")
    if "failed" in message:
        raise SandboxError(message["failed"])
    return message, fds


def ask_for_listeners(boot: Boot) -> list[socket.socket]:
    with connect(boot) as connection:
        messages.send(connection, {"listeners": True}, [])
        return receive(connection, boot)[1]


def ask_for_switch(boot: Boot) -> int:
    """The namespace of the boot's private network."""
    with connect(boot) as connection:
        messages.send(connection, {"switch": True}, [])
        [switch] = receive_fds(connection, boot)[1]
        return switch


def connect(boot: Boot) -> socket.socket:
    """A connection to a running supervisor. OSError if there is none."""
    directory = os.open(boot.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(5.0)
        connection.connect(f"/proc/self/fd/{directory}/control")  # a socket's path may be 107 bytes long, a data directory's longer
    except OSError:
        connection.close()
        raise
    finally:
        os.close(directory)
    return connection


def await_end(shim: int) -> None:
    """Our own child: let it clean up, then reap it."""
    pidfd = os.pidfd_open(shim)
    try:
        if not ends_within(pidfd, END_SECONDS):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(shim, 0)
    finally:
        os.close(pidfd)


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-2000:].decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""


def write_private(path: Path, content: dict[str, Any]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as f:
        json.dump(content, f)
