"""`./windtunnel bench`: this cloud beside other emulators, as one table of ratios from one run. Never a timed test.

Usage: python tests/bench [start] [requests] [clients] [stream] [chain] [stacks]   (default: all)
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import chain  # noqa: E402
import requests_  # noqa: E402
import stacks_  # noqa: E402
import start  # noqa: E402
import stream  # noqa: E402
import together  # noqa: E402

PARTS = {
    "start": start.main,
    "requests": requests_.main,
    "clients": together.main,
    "stream": stream.main,
    "chain": chain.main,
    "stacks": stacks_.main,
}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(PARTS)
    for name in chosen:
        if name not in PARTS:
            sys.exit(f"bench: no part {name!r}; there are: {', '.join(PARTS)}")
    for name in chosen:
        PARTS[name]()
