"""`doctor [--repair] [--json]`: whether a data directory is whole. Status 0: it is; 1: something is wrong, or was and is not mended."""

from __future__ import annotations

import argparse
import json
import sys

from windtunnel.commands.running import try_lock
from windtunnel.upkeep import loading
from windtunnel.upkeep.doctor import Case, examine, repair


def main(options: argparse.Namespace) -> int:
    from windtunnel.app import load_services

    data = options.data.expanduser().absolute()
    if not (data / "cloud.db").exists() and not (data / loading.ORDER).exists():
        print(f"windtunnel: there is no cloud in {data}", file=sys.stderr)
        return 1
    held = try_lock(data)
    if held is None and options.repair:
        print(f"windtunnel: a cloud runs on {data}; stop it first with `windtunnel down --data {data}`", file=sys.stderr)
        return 1
    load_services()
    try:
        if held is not None:
            loading.finish(data)
        case = examine(data, running=held is None)
        if options.repair:
            repair(case)
    finally:
        if held is not None:
            held.close()
    show(case, options.json)
    return 1 if case.troubles else 0


def show(case: Case, as_json: bool) -> None:
    if as_json:
        found = {"data": str(case.data), "running": case.running, "looked": case.looked, "findings": [f.plain() for f in case.findings]}
        print(json.dumps(found, indent=2))
        return
    for finding in case.findings:
        print(finding.line())
    looked = ", ".join(f"{count} {what}" for what, count in case.looked.items())
    state = "not whole" if case.troubles else "whole"
    print(f"{case.data} ({'running' if case.running else 'stopped'}) is {state}: {looked or 'nothing could be looked at'}")
