"""The simple globs of an appspec's permissions: `*` stands for any characters, and a pattern never reaches into a directory below.

Invariant: matching takes time in proportion to name times pattern at most, whatever the pattern.
"""

from __future__ import annotations

import os.path


def below(name: str, directory: str) -> str | None:
    """The path of `name` relative to `directory`; None when it is not below it."""
    base = os.path.abspath(directory).rstrip("/") + "/"
    return name[len(base) :] if name.startswith(base) and len(name) > len(base) else None


def matches(name: str, pattern: str) -> bool:
    if "/" in name:
        return False
    at, mark, star = 0, 0, -1
    position = 0
    while position < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, position
            at += 1
        elif at < len(pattern) and pattern[at] == name[position]:
            at += 1
            position += 1
        elif star >= 0:
            mark += 1
            at, position = star + 1, mark
        else:
            return False
    return all(character == "*" for character in pattern[at:])
