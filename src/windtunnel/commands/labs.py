"""`labs [NAME…]`: run labs by real clients, each in a cloud of its own: once as it is, and once with the cloud killed on the way."""

from __future__ import annotations

import argparse
import os
import sys


def main(options: argparse.Namespace) -> int:
    from windtunnel.labs.cloud import ensure_image
    from windtunnel.labs.document import blocks
    from windtunnel.labs.runner import document, names, run_lab

    chosen = options.names or names()
    try:
        texts = {lab: document(lab).read_text() for lab in chosen}
        ensure_image()
    except (FileNotFoundError, RuntimeError) as error:
        print(f"windtunnel: {error}", file=sys.stderr)
        return 1
    outcomes = []
    for lab, text in texts.items():
        settings = {name: os.environ[name] for name in ("APP", "PORT", "LAB_APP") if name in os.environ}
        outcomes.append(run_lab(lab, crash=False, keep=options.keep, settings=settings))
        if outcomes[-1].passed and not options.keep and any(block.crash for block in blocks(text)):
            outcomes.append(run_lab(lab, crash=True, keep=False, settings=settings))
    print()
    for outcome in outcomes:
        print(f"{'passed' if outcome.passed else 'FAILED':7} {outcome.lab:30} {outcome.held:3} assertions {outcome.seconds:7.1f} s")
    return 0 if all(outcome.passed for outcome in outcomes) else 1
