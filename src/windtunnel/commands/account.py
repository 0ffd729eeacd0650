"""`account create [A] [--name N]` and `account list`: the accounts of the running cloud, each with a root key of its own."""

from __future__ import annotations

import argparse
import json
import sys
import time

from windtunnel.commands.asking import NotAnswered, ask


def main(options: argparse.Namespace) -> int:
    try:
        return create(options) if options.verb == "create" else list_them(options)
    except NotAnswered as refusal:
        print(f"windtunnel: {refusal}", file=sys.stderr)
        return 1


def create(options: argparse.Namespace) -> int:
    made = ask(options.data, "account.create", account=options.account, name=options.name)
    if options.json:
        print(json.dumps(made, indent=2))
    else:
        print(f"{made['account']}  {made['name']}".rstrip())
        print(f"its root user's shell: eval $(windtunnel env --data {options.data} --account {made['account']})", file=sys.stderr)
    return 0


def list_them(options: argparse.Namespace) -> int:
    found = ask(options.data, "account.list")["accounts"]
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for account in found:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(account["created"])) if account["created"] else "with the cloud"
        print(f"{account['account']}  {since:<16}  {account['name'] or ('(first)' if account['first'] else '')}".rstrip())
    return 0
