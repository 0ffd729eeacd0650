"""`down`: end the cloud of a data directory, and its sandboxes with it."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys

from windtunnel.commands.running import run_file

SECONDS = 90


def main(options: argparse.Namespace) -> int:
    running = run_file(options.data)
    if running is None:
        print(f"windtunnel: no cloud runs on {options.data}", file=sys.stderr)
        return 1
    ended = os.pidfd_open(running.pid)
    try:
        os.kill(running.pid, signal.SIGTERM)
        if not select.select([ended], [], [], SECONDS)[0]:
            print(f"windtunnel: the cloud (pid {running.pid}) has not ended within {SECONDS} s", file=sys.stderr)
            return 1
    finally:
        os.close(ended)
    return 0
