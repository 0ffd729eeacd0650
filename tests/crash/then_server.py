"""A real server whose time is another than the machine's: run as `python then_server.py DATA PORT TLS_PORT SECONDS_AGO`.

For data directories that were made long ago: an approval that is asked for ends after a week. Signatures keep the clients' time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import windtunnel.app
from windtunnel.commands.running import try_lock
from windtunnel.kernel.clock import SystemClock
from windtunnel.server import run
from windtunnel.settings import Settings

AGO = float(sys.argv[4])


class Then(SystemClock):
    def now(self) -> float:
        return super().now() - AGO


if __name__ == "__main__":
    windtunnel.app.SystemClock = Then  # type: ignore[misc]
    lock = try_lock(Path(sys.argv[1]))
    run(Settings(data=Path(sys.argv[1]), port=int(sys.argv[2]), tls_port=int(sys.argv[3])))
