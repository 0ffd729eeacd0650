"""A real server that kills itself: run as `python doomed_server.py DATA PORT TLS_PORT PACE`.

It appends every job boundary that it passes to DATA/boundaries, and when one is named in DATA/crash-at it takes that file away and
sends itself SIGKILL, so that the next start of the same server lives on.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import scripted

from windtunnel.commands.running import try_lock
from windtunnel.server import run
from windtunnel.settings import Settings

DATA = Path(sys.argv[1])
RECORD = os.open(DATA / "boundaries", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def named(kind: str, step: str, when: str) -> str:
    """A boundary's name, the same in every run: numbers and identifiers out of the step's name."""
    return f"{kind}|{re.sub(r'[0-9a-f]{8,}|[0-9]+', 'N', step)}|{when}"


def boundary(kind: str, step: str, when: str) -> None:
    name = named(kind, step, when)
    os.write(RECORD, f"{name}\n".encode())
    wish = DATA / "crash-at"
    try:
        wanted = wish.read_text()
    except FileNotFoundError:
        return
    if wanted == name:
        wish.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    scripted.register()
    lock = try_lock(DATA)
    run(Settings(data=DATA, port=int(sys.argv[2]), tls_port=int(sys.argv[3]), pace=float(sys.argv[4]), account="123456789012"), boundary)
