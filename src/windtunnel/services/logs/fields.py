"""Filter patterns of space-delimited fields: `[ip, user, ..., status=4*, bytes>1000]`. Pure.

Invariant: matching takes time linear in the message; conditions look at one field each.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from windtunnel.services.logs.regexes import BadRegex, Regex

Test = Callable[[str], bool]
_PART = re.compile(r'\s*(&&|\|\||!=|>=|<=|=|>|<|%(?:[^%\\]|\\.)*%|"(?:[^"\\]|\\.)*"|[^\s=!<>&|",]+)')
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\[([^\]]*)\]|(\S+)')
_ORDERINGS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
ELLIPSIS = "..."


class Malformed(Exception):
    """A pattern that is none; the text says where."""


class Fields(NamedTuple):
    """Tests of the first fields, whether any number of others may follow, and tests of the last ones."""

    first: list[Test]
    others: bool
    last: list[Test]

    def match(self, message: str) -> bool:
        found = words(message)
        named = len(self.first) + len(self.last)
        if len(found) < named or (not self.others and len(found) != named):
            return False
        pairs = [*zip(self.first, found, strict=False), *zip(self.last, found[len(found) - len(self.last) :], strict=False)]
        return all(test(word) for test, word in pairs)


def words(message: str) -> list[str]:
    """The message's fields: what stands in quotes or brackets is one."""
    return [quoted or bracketed or plain for quoted, bracketed, plain in _WORD.findall(message)]


def parse_fields(text: str) -> Fields:
    """The pattern between `[` and `]`. Raises Malformed."""
    first: list[Test] = []
    last: list[Test] = []
    others = False
    for field in split_fields(text):
        if field == ELLIPSIS:
            if others:
                raise Malformed("only one ellipsis is allowed")
            others = True
        else:
            (last if others else first).append(_field(field))
    return Fields(first, others, last)


def split_fields(text: str) -> list[str]:
    """The fields between commas that are not quoted."""
    fields, begun, within = [], 0, ""
    for at, character in enumerate(text):
        if character in '"%' and text[at - 1 : at] != "\\" and within in ("", character):
            within = "" if within else character
        elif character == "," and not within:
            fields.append(text[begun:at].strip())
            begun = at + 1
    fields.append(text[begun:].strip())
    if within or not all(fields):
        raise Malformed("a quote is open" if within else "a field is empty")
    return fields


def _field(text: str) -> Test:
    """A name alone, or `name=value` conditions joined by && and ||, which binds less."""
    parts, at = [], 0
    while text[at:].strip():
        found = _PART.match(text, at)
        if found is None:
            raise Malformed(text[at:].strip())
        parts.append(found.group(1))
        at = found.end()
    if len(parts) == 1:
        return lambda word: True
    alternatives: list[list[Test]] = [[]]
    for start in range(0, len(parts), 4):
        alternatives[-1].append(_condition(parts[start : start + 3]))
        joint = parts[start + 3 : start + 4]
        if joint == ["||"]:
            alternatives.append([])
        elif joint not in ([], ["&&"]):
            raise Malformed(joint[0])
    if len(parts) % 4 != 3:
        raise Malformed(text)
    return lambda word: any(all(test(word) for test in tests) for tests in alternatives)


def _condition(parts: list[str]) -> Test:
    if len(parts) != 3 or parts[1] not in ("=", "!=", *_ORDERINGS):
        raise Malformed(" ".join(parts))
    _, sign, value = parts
    if sign in _ORDERINGS:
        return _ordered(_ORDERINGS[sign], value)
    if value.startswith("%"):
        search = regex(value)
        return search if sign == "=" else lambda word: not search(word)
    wanted = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    equal = _globbed(wanted.split("*"))
    return equal if sign == "=" else lambda word: not equal(word)


def regex(text: str) -> Test:
    """The search of a `%…%`."""
    try:
        return Regex(text[1:-1]).search
    except BadRegex as error:
        raise Malformed(str(error)) from error


def _ordered(holds: Callable[[float, float], bool], value: str) -> Test:
    limit = number(value)
    if limit is None:
        raise Malformed(f"{value} is not a number")

    def test(word: str) -> bool:
        found = number(word)
        return found is not None and holds(found, limit)

    return test


def _globbed(parts: list[str]) -> Test:
    return lambda word: globbed(parts, word)


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def globbed(parts: list[str], text: str) -> bool:
    """Whether text is the parts with anything between them: greedy from the left, linear."""
    if len(parts) == 1:
        return text == parts[0]
    if not text.startswith(parts[0]) or len(text) < len(parts[0]) + len(parts[-1]) or not text.endswith(parts[-1]):
        return False
    at, end = len(parts[0]), len(text) - len(parts[-1])
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
