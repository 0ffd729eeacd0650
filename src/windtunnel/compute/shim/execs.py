"""Commands run inside a running container on the cloud's behalf: `runc exec --detach`, with the supervisor as their parent.

Why here and not in the cloud: `runc exec` in the foreground waits until the command's children have closed its output, and the command
of a detached one becomes the child of the nearest subreaper. The supervisor is one, so it learns the exit status and nothing waits.

    cloud connects to `control`, sends {"exec": "<path prefix>"} with stdin, stdout, stderr; <prefix>.json is the OCI process,
    which belongs to the supervisor from then on
    {"code": n} when the command has ended, {"failed": "why"} if it could not begin

Invariant: a command lives no longer than its connection: when the cloud closes it, by timeout or by dying, the command's group is killed.
"""

from __future__ import annotations

import json
import os
import signal
import socket

from windtunnel.compute.shim import runner
from windtunnel.compute.shim.events import Events


class Command:
    def __init__(self, events: Events, runc: list[str], container: str, prefix: str, connection: socket.socket, fds: list[int]) -> None:
        self._events = events
        self._prefix = prefix
        self._connection = connection
        self._pid = 0
        self._abandoned = False
        argv = [
            *runc,
            "--log",
            prefix + ".log",
            "exec",
            "--detach",
            "--process",
            prefix + ".json",
            "--pid-file",
            prefix + ".pid",
            container,
        ]
        starter = runner.spawn(argv, list(zip(fds, (0, 1, 2), strict=True)))
        events.on_end(starter, self._started)
        events.on_readable(connection.fileno(), self._abandon)

    def _started(self, code: int) -> None:
        pid, words = runner.read(self._prefix + ".pid"), runner.last_words(self._prefix + ".log")
        self._tidy()
        if code != 0 or not pid.isdigit():
            return self._answer({"failed": words or f"runc exec ended with {code}"})
        self._pid = int(pid)
        if self._abandoned:
            self._kill()
        self._events.on_end(self._pid, self._ended)
        return None

    def _tidy(self) -> None:
        for suffix in (".json", ".pid", ".log"):
            try:
                os.unlink(self._prefix + suffix)
            except FileNotFoundError:
                pass

    def _ended(self, code: int) -> None:
        self._pid = 0
        self._answer({"code": code})

    def _answer(self, message: dict[str, object]) -> None:
        if self._abandoned:
            return
        self._events.forget(self._connection.fileno())
        try:
            self._connection.send(json.dumps(message).encode())
        except OSError:
            pass  # nobody waits for it any more
        self._connection.close()

    def _abandon(self) -> None:
        """Readable means closed: the cloud says nothing after its request."""
        self._abandoned = True
        self._events.forget(self._connection.fileno())
        self._connection.close()
        self._kill()

    def _kill(self) -> None:
        if self._pid:
            try:
                os.killpg(self._pid, signal.SIGKILL)  # runc makes it a session of its own
            except ProcessLookupError:
                pass
