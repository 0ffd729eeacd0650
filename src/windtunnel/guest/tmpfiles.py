"""`systemd-tmpfiles --create`: the run-time directories of packages.

Why it exists: packages name the directories under /run that their services need in tmpfiles.d(5) files; they are made at each boot, and
when a package is installed.

The invariant it keeps: directories only (`d`, `D`), which is what services need to start; a line that cannot be obeyed yet stops no other.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable

FOLDERS = ("/usr/lib/tmpfiles.d", "/etc/tmpfiles.d")


def create() -> None:
    for folder in FOLDERS:
        apply(_lines_of(folder))


def _lines_of(folder: str) -> Iterable[str]:
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith(".conf"):
            with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as stream:
                yield from stream.read().splitlines()


def apply(lines: Iterable[str]) -> None:
    """tmpfiles.d(5) for the one thing that packages need at run time: directories (`d`, `D`)."""
    for line in lines:
        fields = line.split()
        if len(fields) >= 2 and fields[0].rstrip("!+-=~^") in ("d", "D") and "%" not in fields[1]:
            mode, user, group = [*fields[2:5], "-", "-", "-"][:3]
            try:
                os.makedirs(fields[1], exist_ok=True)
                os.chmod(fields[1], int(mode.lstrip("~:"), 8) if mode != "-" else 0o755)
                os.chown(fields[1], _id(user), _id(group, group=True))
            except (KeyError, OSError):
                # A line for a package that is only half installed: its own service will say what is missing.
                continue


def _id(name: str, group: bool = False) -> int:
    if name.isdigit() or name == "-":
        return 0 if name == "-" else int(name)
    return grp.getgrnam(name).gr_gid if group else pwd.getpwnam(name).pw_uid


def main() -> int:
    create()
    return 0
