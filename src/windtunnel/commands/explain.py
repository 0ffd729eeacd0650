"""`explain [WHAT]`: why something was denied, or why a stack failed. `explain --least ROLE|USER`: the least policy that it needed for what it did."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from datetime import datetime
from typing import Any

from windtunnel.commands.asking import NotAnswered, ask

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Record = dict[str, Any]


def main(options: argparse.Namespace) -> int:
    since = moment(options.since, time.time()) if options.since else 0.0
    if since is None:
        print(f"windtunnel: {options.since} is no time: give 10m, 2h, 1d or an ISO 8601 time", file=sys.stderr)
        return 2
    if options.least and not options.what:
        print("windtunnel: --least asks for a role or user, by name or ARN", file=sys.stderr)
        return 2
    try:
        return _least(options, since) if options.least else _denials(options, since)
    except NotAnswered as refusal:
        print(f"windtunnel: {refusal}", file=sys.stderr)
        return 1


def moment(text: str, now: float) -> float | None:
    """Epoch seconds of `10m` (ago) or of an ISO 8601 time; None for what is neither."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _denials(options: argparse.Namespace, since: float) -> int:
    if options.what:
        stack = ask(options.data, "explain.stack", what=options.what)["stack"]
        if stack is not None:
            print(json.dumps(stack, indent=2) if options.json else stack_as_text(stack))
            return 0
    found = ask(options.data, "explain.denials", what=options.what or "", since=since, limit=options.last)["denials"]
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n\n".join(map(as_text, found)) if found else "nothing was denied")
    return 0


def as_text(denial: Record) -> str:
    """One denial, for people: who, what, and the statement or the gap that decided."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(denial["at"]))
    lines = [f"{when}  request {denial['request'] or '(inside the cloud)'}", f"  {denial['principal']}"]
    lines.append(f"  may not {denial['action']} on {denial['resource']}")
    if denial["kind"] == "explicitDeny":
        lines.append(f"  because statement {denial['statement']} of {denial['policy']} ({denial['policy_type']}) denies it:")
        lines.append(f"    {denial['text']}")
    else:
        lines.append(f"  because no statement of {_article(denial['policy_type'])} allows it")
        for near in denial["near"]:
            what = "not this resource" if near["failed"] == "resource" else "its conditions do not hold"
            lines.append(f"  near: statement {near['statement']} of {near['policy']} ({near['policy_type']}) allows the action, {what}:")
            lines.append(f"    {near['text']}")
    return "\n".join(lines)


def stack_as_text(stack: Record) -> str:
    """Why a stack failed, for people: the resource, the words, what was denied or wrong, and where it stands in the template."""
    lines = [f"stack {stack['name']} is {stack['status']}{': ' + stack['reason'] if stack['reason'] else ''}"]
    cause = stack["cause"]
    if cause is None:
        return "\n".join([*lines, "  nothing failed in its last operation"])
    within = f" in nested stack {stack['in']}" if "in" in stack else ""
    when = time.strftime("%H:%M:%S", time.localtime(cause["at"]))
    lines.append(f"  first cause, {when}: {cause['resource']} ({cause['type']}){within} {cause['status']}")
    lines += [f"    {line}" for line in cause["reason"].splitlines()]
    if "denied" in cause:
        lines.append(
            f"  denied: {cause['denied']['action']} on {cause['denied']['resource']} (windtunnel explain tells by which statement)"
        )
    if "property" in cause:
        lines.append(f"  property: {cause['property']}")
    if "line" in cause:
        lines.append(f"  template, line {cause['line']}: {cause['says']}")
    return "\n".join(lines)


def _least(options: argparse.Namespace, since: float) -> int:
    found = ask(options.data, "explain.least", what=options.what, since=since)["principals"]
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for principal in found:
        _tell(principal)
    return 0 if any(principal["policy"] for principal in found) else 1


def _tell(principal: Record) -> None:
    """The policy on stdout, what it rests on on stderr."""
    if principal["policy"] is None:
        print(f"{principal['identity']} was allowed nothing", file=sys.stderr)
        return
    first, last = (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(principal[name])) for name in ("first", "last"))
    print(f"{principal['identity']}: {principal['calls']} allowed uses, {first} to {last}", file=sys.stderr)
    for resource in principal["wide"]:
        print(f"  {resource} stands for more resources than are told apart", file=sys.stderr)
    for refused in principal["refused"]:
        print(f"  refused, and not in the policy: {refused['action']} on {refused['resource']}", file=sys.stderr)
    if not principal["fits_managed"]:
        print("  this is too long for one managed policy (6,144 characters)", file=sys.stderr)
    print(json.dumps(principal["policy"], indent=2))


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
