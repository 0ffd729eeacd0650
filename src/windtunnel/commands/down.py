"""`down`: end the cloud of a data directory, and its sandboxes with it; also those that a killed cloud left running."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from pathlib import Path

from windtunnel.commands.running import run_file, try_lock

SECONDS = 90


def main(options: argparse.Namespace) -> int:
    running = run_file(options.data)
    if running is None:
        return end_left_behind(options.data)
    ended = os.pidfd_open(running.pid)
    try:
        os.kill(running.pid, signal.SIGTERM)
        if not select.select([ended], [], [], SECONDS)[0]:
            print(f"windtunnel: the cloud (pid {running.pid}) has not ended within {SECONDS} s", file=sys.stderr)
            return 1
    finally:
        os.close(ended)
    return 0


def end_left_behind(data: Path) -> int:
    """A cloud that was killed has left its sandboxes running for the next `up` to find. Without one they end here."""
    held = try_lock(data)
    if held is not None:
        with held:
            count = stop_sandboxes(data / "sandboxes") if (data / "sandboxes").is_dir() else 0
        if count:
            print(f"windtunnel: ended {count} sandboxes of a cloud that was killed", file=sys.stderr)
            return 0
    print(f"windtunnel: no cloud runs on {data}", file=sys.stderr)
    return 1


def stop_sandboxes(root: Path) -> int:
    """How many were running. They are stopped as a clean end stops them: the next `up` boots the instances among them again."""
    from windtunnel.compute.image import Images
    from windtunnel.compute.runc import RuncDriver

    driver = RuncDriver(root.absolute(), Images(), lambda _sandbox, _kind, sock: sock.close, 0)
    if driver.available() is not None:
        return 0
    found = driver.recover()
    for handle in found:
        driver.stop(handle, 10.0)
    driver.close(remove_network=True)
    return len(found)
