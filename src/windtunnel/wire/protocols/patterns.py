"""The models' patterns are Java's: this turns them into Python's, or says that it cannot.

Invariant: a pattern that is kept never accepts less than AWS's would, and cannot be made to run for long: those that backtrack
exponentially are left out, those that could take time in the square of the length are not asked about long values.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

_SPACES = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_REPLACED = (
    (r"\p{L}", r"\w"),
    (r"\p{N}", r"\w"),
    (r"\p{Z}", _SPACES),
    (r"\p{ASCII}", r"[\x00-\x7f]"),
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010ffff"),
)
_CLASS_BEFORE_DASH = re.compile(r"(\\[wds])-(?=[^\]\\])")
_LONG = 4096
_CHARACTERS = [chr(code) for code in range(128)] + ["é", "\u2028", "\U0001f600"]


class Pattern(NamedTuple):
    """matches: the whole value, as Java's `matches`. longest: values longer than this are not asked about."""

    matches: Callable[[str], Any]
    longest: int


@lru_cache(maxsize=512)
def compiled_pattern(source: str) -> Pattern | None:
    """None when Python cannot say it, or could be kept busy by it."""
    expression = expression_of(source)
    return Pattern(expression[0].fullmatch, expression[1]) if expression is not None else None


def expression_of(source: str) -> tuple[re.Pattern[str], int] | None:
    """A Java pattern as Python's, with the length of the longest value that it is asked about; None as for `compiled_pattern`."""
    text = source
    for java, python in _REPLACED:
        text = text.replace(java, python)
    text = _CLASS_BEFORE_DASH.sub(r"\1\\-", text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(text)
            tree = list(re._parser.parse(text))  # type: ignore[attr-defined]
    except (re.error, Warning, RecursionError, OverflowError):
        return None
    if any(_ambiguous(list(body)) for body in _unbounded(tree)):
        return None
    return compiled, _LONG if sum(1 for _ in _unbounded(tree)) > 1 else 1 << 62


def _unbounded(items: Any) -> Iterator[Any]:
    """The bodies of all repeats without a small upper bound, however deep."""
    for name, argument in items:
        if str(name) in ("MAX_REPEAT", "MIN_REPEAT"):
            if argument[1] > 64:
                yield argument[2]
            yield from _unbounded(argument[2])
        else:
            for below in _bodies(str(name), argument):
                yield from _unbounded(below)


def _bodies(name: str, argument: Any) -> list[Any]:
    if name == "SUBPATTERN":
        return [argument[3]]
    if name == "BRANCH":
        return list(argument[1])
    return [argument[1]] if name in ("ASSERT", "ASSERT_NOT") else []


def _ambiguous(body: list[Any]) -> bool:
    """Whether a repeated body that itself repeats can split the same text in several ways: nothing in it marks where a round ends."""
    if len(body) == 1 and str(body[0][0]) in ("SUBPATTERN", "BRANCH"):
        return any(_ambiguous(list(below)) for below in _bodies(str(body[0][0]), body[0][1]))
    if not any(True for _ in _unbounded(body)):
        return False
    if len(body) == 1:
        return True
    front_marks = _required(body[0]) and not _characters(body[:1]) & _characters(body[1:])
    return not (front_marks or (_required(body[-1]) and not _characters(body[-1:]) & _characters(body[:-1])))


def _required(item: Any) -> bool:
    name, argument = item
    return not (str(name) in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] == 0)


def _characters(items: Any) -> set[str]:
    """The characters that may be consumed, of a small alphabet that stands for all."""
    found: set[str] = set()
    for name, argument in items:
        kind = str(name)
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            found |= _characters(argument[2])
        elif kind in ("SUBPATTERN", "BRANCH"):
            for below in _bodies(kind, argument):
                found |= _characters(below)
        elif kind == "LITERAL":
            found.add(chr(argument))
        elif kind == "IN":
            found |= {char for char in _CHARACTERS if _in(argument, char)}
        elif kind in ("ANY", "NOT_LITERAL"):
            found |= set(_CHARACTERS)
    return found


def _in(members: Any, char: str) -> bool:
    negated: bool = str(members[0][0]) == "NEGATE"
    return any(_is(str(name), argument, char) for name, argument in members) != negated


def _is(kind: str, argument: Any, char: str) -> bool:
    if kind == "LITERAL":
        return ord(char) == int(argument)
    if kind == "RANGE":
        low, high = argument
        return int(low) <= ord(char) <= int(high)
    if kind == "CATEGORY":
        return re.match(_CATEGORIES[str(argument)], char) is not None
    return False


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
