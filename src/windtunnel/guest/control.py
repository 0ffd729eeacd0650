"""Asking the init: one request, one answer.

Why it exists: `systemctl` and the other small programs talk to PID 1 over its socket.

The invariant it keeps: without an init there is no answer, and the caller hears that in systemd's words.
"""

from __future__ import annotations

import json
import socket
from typing import Any

SOCKET = "/run/windtunnel/init.sock"


class NotBooted(Exception):
    """No init is running here (a build, a container)."""


class Refused(Exception):
    """The init's answer is an error."""


def ask(verb: str, units: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """The answer to `verb`. Waits as long as the init needs, which every unit's own timeouts bound."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(SOCKET)
            connection.sendall(json.dumps({"verb": verb, "units": units or [], **more}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except OSError:
            raise NotBooted from None
    if not line:
        raise NotBooted
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise Refused(answer["error"])
    return answer
