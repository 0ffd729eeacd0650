"""`./windtunnel COMMAND`: reads the command line and hands over to `commands/<name>.py`.

Invariant: no command imports another's libraries, so `up` and `env` start as fast as Python does.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

COMMANDS = {
    "up": "start a cloud in the foreground",
    "down": "stop the cloud that runs on a data directory",
    "env": "print shell exports for clients of the running cloud",
    "account": "make and list the accounts of the running cloud",
    "explain": "why something was denied, why a stack failed, or the least policy that a role or user needed",
    "status": "what runs in the cloud",
    "snapshot": "save, load, list and delete whole clouds by name, also beside a running one",
    "doctor": "see whether a data directory is whole; mend what can be mended",
    "labs": "run labs by real clients against a cloud of their own, and grade them",
    "why": "tell what led to a thing: commit, execution, build, deployment, hook line",
    "mailbox": "the mail that SNS has sent, newest last",
    "coverage": "which operations and members act, are descriptive, are refused",
    "check": "ruff, mypy and the fast tests",
    "test": "every test",
    "bench": "measure, beside other emulators, and print one table",
}

PASSES_ON = {"check": "pytest", "test": "pytest", "bench": "the measurements"}


def _data_home() -> Path:
    """The XDG rule: $XDG_DATA_HOME, else ~/.local/share."""
    base = os.environ.get("XDG_DATA_HOME")
    return Path(base) if base else Path.home() / ".local" / "share"


def default_data() -> Path:
    return _data_home() / "windtunnel"


def default_snapshots() -> Path:
    """Beside the data, so that files can be shared, and not in it, so that they outlive it."""
    return _data_home() / "windtunnel-snapshots"


def _account(text: str) -> str:
    if len(text) != 12 or not text.isdigit():
        raise argparse.ArgumentTypeError("an account is 12 digits")
    return text


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is 0 (any free one) to 65535")
    return number


def _pace(text: str) -> float:
    pace = float(text)
    if not pace > 0:
        raise argparse.ArgumentTypeError("the pace is greater than 0; 60 makes an hour of intended waiting a minute")
    return pace


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="windtunnel", description="The AWS DevOps toolchain running for real on one machine.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = {name: commands.add_parser(name, help=text, description=text) for name, text in COMMANDS.items()}
    for name in ("up", "down", "env", "explain", "status", "why", "doctor", "mailbox"):
        _add_data(made[name])
    up = made["up"]
    up.add_argument("--from-snapshot", default=None, metavar="NAME", help="begin with this snapshot, on a data directory without a cloud")
    _add_snapshots(up)
    _add_snapshot_actions(made["snapshot"])
    made["doctor"].add_argument("--repair", action="store_true", help="mend what can be mended without losing anything (no cloud may run)")
    made["doctor"].add_argument("--json", action="store_true", help="as JSON")
    up.add_argument("--port", type=_port, default=4566, metavar="N", help="HTTP port on 127.0.0.1 (default: %(default)s; 0: any free one)")
    up.add_argument("--tls-port", type=_port, default=None, metavar="N", help="HTTPS port (default: any free one)")
    up.add_argument("--pace", type=_pace, default=1.0, metavar="X", help="divide intended waiting (bake times, intervals) by X")
    up.add_argument("--region", default="us-east-1", metavar="R", help="the region of `env` (default: %(default)s)")
    up.add_argument(
        "--account", type=_account, default="000000000000", metavar="A", help="the account of the root key (default: %(default)s)"
    )
    made["env"].add_argument("--account", type=_account, metavar="A", help="the root key of this account (default: the cloud's first)")
    made["env"].add_argument("--region", metavar="R", help="another region than the cloud's own; regions are names")
    _account_arguments(made["account"])
    _explain_arguments(made["explain"])
    made["env"].add_argument("--json", action="store_true", help="as JSON instead of shell exports")
    made["status"].add_argument("--json", action="store_true", help="as JSON")
    made["labs"].add_argument("names", nargs="*", metavar="NAME", help="which labs (default: all)")
    made["labs"].add_argument("--keep", action="store_true", help="leave the lab's cloud running at the end")
    made["why"].add_argument("id", metavar="ID", help="an execution, build, deployment, instance or commit id")
    made["mailbox"].add_argument("--json", action="store_true", help="as JSON")
    for name, tool in PASSES_ON.items():
        made[name].add_argument("rest", nargs="*", metavar="ARGUMENT", help=f"passed on to {tool}, options too")
    made["coverage"].add_argument("services", nargs="*", metavar="SERVICE", help="which services (default: all)")
    made["coverage"].add_argument("--markdown", action="store_true", help="the table of the README")
    made["coverage"].add_argument("--write", action="store_true", help="with --markdown: put it there")
    made["coverage"].add_argument(
        "--types",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="the CloudFormation types that run; with a folder of templates: what share of its resources",
    )
    return top


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", type=Path, default=default_data(), metavar="DIR", help="the cloud's data directory (default: %(default)s)"
    )


def _add_snapshots(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--snapshots", type=Path, default=default_snapshots(), metavar="DIR", help="where snapshots are (default: %(default)s)"
    )


def _add_snapshot_actions(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in {
        "save": "take one, beside a running cloud or of a stopped one",
        "load": "put one into a data directory on which no cloud runs",
        "list": "all that there are",
        "delete": "forget one",
    }.items():
        action = actions.add_parser(name, help=text, description=text)
        _add_snapshots(action)
        if name != "list":
            action.add_argument("name", metavar="NAME")
        if name in ("save", "load"):
            _add_data(action)
        if name == "save":
            action.add_argument("--copy", action="store_true", help="share no file with the cloud: a backup that survives its damage")
        if name == "load":
            action.add_argument("--replace", action="store_true", help="the cloud that is there goes")
        if name == "list":
            action.add_argument("--json", action="store_true", help="as JSON")


def _account_arguments(command: argparse.ArgumentParser) -> None:
    verbs = command.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = verbs.add_parser("create", help="a new account with a root key of its own")
    create.add_argument("account", nargs="?", type=_account, metavar="A", help="its 12 digits (default: drawn)")
    create.add_argument("--name", default="", metavar="N", help="a name for it, shown by `account list`")
    listing = verbs.add_parser("list", help="the accounts of this cloud")
    for verb in (create, listing):
        _add_data(verb)
        verb.add_argument("--json", action="store_true", help="as JSON")


def _explain_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "what", nargs="?", metavar="WHAT", help="a stack, a request id, or the ARN or name of a role or user (default: all denials)"
    )
    command.add_argument("--least", action="store_true", help="the least policy that the role or user needed for what it did")
    command.add_argument("--since", metavar="T", help="only what happened since: 10m, 2h, 1d, or an ISO 8601 time")
    command.add_argument("--last", type=int, default=5, metavar="N", help="how many denials (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="as JSON")


def _read(arguments: list[str]) -> argparse.Namespace:
    """argparse would take the options that are passed on for its own."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command in PASSES_ON and not {"-h", "--help"} & set(rest):
        return argparse.Namespace(command=command, rest=rest)
    return parser().parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    options = _read(list(sys.argv[1:] if arguments is None else arguments))
    command = importlib.import_module(f"windtunnel.commands.{options.command}")
    try:
        return int(command.main(options) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
