"""Glob matching for policies: `*` is any run of characters, `?` any one character.

Invariant: a match costs at most len(pattern) x len(text) bit operations, whatever the pattern is, because patterns and texts
both come from callers and nobody may hang the server with them. So no regular expression with repetition is ever built.

A pattern travels in marked form: wildcards are two Unicode noncharacters, so that a `*` that is meant literally (`${*}`, or
one that came in through a policy variable) stays an ordinary character.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], bool]
_Finder = Callable[[str, int, int], int]

ANY_RUN = "\ufdd0"
ANY_CHAR = "\ufdd1"


def marked(pattern: str) -> str:
    """The pattern with its wildcards as marks."""
    return pattern.replace("*", ANY_RUN).replace("?", ANY_CHAR)


def has_marks(text: str) -> bool:
    return ANY_RUN in text or ANY_CHAR in text


def anything(_: str) -> bool:
    return True


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> Matcher:
    """A test of whole texts against a pattern in marked form."""
    if ANY_RUN not in pattern:
        return _same_length(pattern)
    first, *middle, last = pattern.split(ANY_RUN)
    inner = [piece for piece in middle if piece]
    if not inner and not has_marks(first + last):
        return _prefix_and_suffix(first, last)
    return _pieces(first, inner, last)


def _same_length(pattern: str) -> Matcher:
    if ANY_CHAR not in pattern:
        return pattern.__eq__
    return lambda text: len(text) == len(pattern) and _equal(pattern, text)


def _equal(pattern: str, text: str) -> bool:
    return all(p in (ANY_CHAR, c) for p, c in zip(pattern, text, strict=True))


def _prefix_and_suffix(first: str, last: str) -> Matcher:
    if not first and not last:
        return anything
    if not last:
        return lambda text: text.startswith(first)
    least = len(first) + len(last)
    return lambda text: len(text) >= least and text.startswith(first) and text.endswith(last)


def _pieces(first: str, inner: list[str], last: str) -> Matcher:
    """Anchored first and last piece, the others each at their leftmost place: pieces have a fixed length, so leftmost is best."""
    finders = [_finder(piece) for piece in inner]
    start, tail = len(first), len(last)

    def match(text: str) -> bool:
        end = len(text) - tail
        if end < start or not _equal(first, text[:start]) or not _equal(last, text[end:]):
            return False
        at = start
        for find in finders:
            at = find(text, at, end)
            if at < 0:
                return False
        return True

    return match


def _finder(piece: str) -> _Finder:
    if ANY_CHAR not in piece:
        return lambda text, at, end: -1 if (found := text.find(piece, at, end)) < 0 else found + len(piece)
    return _bit_finder(piece)


def _bit_finder(piece: str) -> _Finder:
    """Shift-And search: bit i of the state says that the last i+1 characters match the first i+1 of the piece."""
    wild = sum(1 << i for i, char in enumerate(piece) if char == ANY_CHAR)
    masks = dict.fromkeys(piece, wild)
    for i, char in enumerate(piece):
        masks[char] |= 1 << i
    goal = 1 << (len(piece) - 1)

    def find(text: str, at: int, end: int) -> int:
        state = 0
        for i in range(at, end):
            state = ((state << 1) | 1) & masks.get(text[i], wild)
            if state & goal:
                return i + 1
        return -1

    return find
