"""`up`: a cloud in the foreground, alone on its data directory."""

from __future__ import annotations

import argparse
import sys

from windtunnel.commands.running import run_file, try_lock


def main(options: argparse.Namespace) -> int:
    data = options.data.expanduser().absolute()
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = try_lock(data)
    if held is None:
        running = run_file(data)
        where = f" at {running.endpoint} (pid {running.pid})" if running else ""
        print(f"windtunnel: a cloud already runs on {data}{where}; stop it with `windtunnel down --data {data}`", file=sys.stderr)
        return 1
    from windtunnel.server import PortRefused, run
    from windtunnel.settings import Settings

    settings = Settings(
        data=data, port=options.port, tls_port=options.tls_port or 0, pace=options.pace, region=options.region, account=options.account
    )
    try:
        run(settings)
    except PortRefused as refused:
        print(f"windtunnel: {refused}; choose another with --port or --tls-port (0: any free one)", file=sys.stderr)
        return 1
    finally:
        held.close()
    return 0
