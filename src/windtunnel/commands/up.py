"""`up`: a cloud in the foreground, alone on its data directory."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from windtunnel.commands.running import run_file, try_lock


def main(options: argparse.Namespace) -> int:
    data = options.data.expanduser().absolute()
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = try_lock(data)
    except OSError as error:
        return refuse(f"{data} cannot be written ({error.strerror}); give a directory that can be with --data")
    if held is None:
        running = run_file(data)
        where = f" at {running.endpoint} (pid {running.pid})" if running else ""
        return refuse(f"a cloud already runs on {data}{where}; stop it with `windtunnel down --data {data}`")
    from windtunnel.server import PortRefused, run
    from windtunnel.settings import Settings
    from windtunnel.store.opening import Unusable
    from windtunnel.upkeep.layout import Refused

    settings = Settings(
        data=data,
        port=options.port,
        tls_port=options.tls_port or 0,
        pace=options.pace,
        region=options.region,
        account=options.account,
        hosts=frozenset(filter(None, os.environ.get("WINDTUNNEL_HOSTS", "").lower().replace(" ", "").split(","))),
    )
    try:
        begin_with(options, data)
        run(settings)
    except PortRefused as taken:
        return refuse(f"{taken}; choose another with --port or --tls-port (0: any free one)")
    except (Refused, Unusable) as refused:
        return refuse(str(refused))
    except OSError as error:
        return refuse(f"the cloud on {data} could not start: {error}")
    finally:
        held.close()
    return 0


def begin_with(options: argparse.Namespace, data: Path) -> None:
    """The snapshot that was asked for; and an exchange that a load had decided, and a kill cut off, is finished first."""
    if options.from_snapshot is None and not any((data / name).exists() for name in (".load", ".loading", ".replaced")):
        return
    from windtunnel.upkeep import loading

    if options.from_snapshot is None:
        loading.finish(data)
    else:
        loading.load(options.snapshots.expanduser().absolute(), options.from_snapshot, data)


def refuse(line: str) -> int:
    """The exit status of a cloud that does not start; why, in one line."""
    print(f"windtunnel: {line}", file=sys.stderr)
    return 1
