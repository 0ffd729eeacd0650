"""Where things stand in a policy's text: a JSON reader that remembers the place of every value and key.

Invariant: it accepts what `msgspec.json` accepts and nothing else (callers decode first); places are offsets into the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

MAX_DEPTH = 100
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(r"[-+.\w]+")


class Malformed(Exception):
    """Not JSON; `offset` is where."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Node(NamedTuple):
    """A value from `start` up to, not including, `end`. items: the members of an object (key, place of the key, value) or a list."""

    start: int
    end: int
    value: Any
    members: tuple[tuple[str, tuple[int, int], Node], ...] = ()
    elements: tuple[Node, ...] = ()

    def get(self, key: str) -> Node | None:
        """The last member of that name, as JSON readers take it."""
        return next((node for name, _, node in reversed(self.members) if name == key), None)

    def listed(self) -> tuple[Node, ...]:
        """A list's elements; the node itself where it is none."""
        return self.elements if isinstance(self.value, list) else (self,)


class Place(NamedTuple):
    """line from 1, column from 0, offset from 0."""

    line: int
    column: int
    offset: int


def place(text: str, offset: int) -> Place:
    before = text.rfind("\n", 0, offset)
    return Place(text.count("\n", 0, offset) + 1, offset - before - 1, offset)


def parse(text: str) -> Node:
    """Raises Malformed."""
    node, at = _value(text, _skip(text, 0), 0)
    at = _skip(text, at)
    if at != len(text):
        raise Malformed(at)
    return node


def statements(root: Node) -> tuple[Node, ...]:
    found = root.get("Statement")
    return found.listed() if found is not None else ()


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int, depth: int) -> tuple[Node, int]:
    if depth > MAX_DEPTH or at >= len(text):
        raise Malformed(min(at, len(text)))
    first = text[at]
    if first == "{":
        return _object(text, at, depth)
    if first == "[":
        return _list(text, at, depth)
    found = _STRING.match(text, at) if first == '"' else _SCALAR.match(text, at)
    if found is None:
        raise Malformed(at)
    try:
        value = msgspec.json.decode(found[0])
    except (msgspec.DecodeError, UnicodeError):
        raise Malformed(at) from None
    return Node(at, found.end(), value), found.end()


def _object(text: str, start: int, depth: int) -> tuple[Node, int]:
    members: list[tuple[str, tuple[int, int], Node]] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        at = _comma(text, at, bool(members))
        key = _STRING.match(text, at)
        if key is None:
            raise Malformed(at)
        colon = _skip(text, key.end())
        if text[colon : colon + 1] != ":":
            raise Malformed(colon)
        node, at = _value(text, _skip(text, colon + 1), depth + 1)
        try:
            members.append((msgspec.json.decode(key[0]), key.span(), node))
        except (msgspec.DecodeError, UnicodeError):
            raise Malformed(key.start()) from None
        at = _skip(text, at)
    return Node(start, at + 1, {key: node.value for key, _, node in members}, members=tuple(members)), at + 1


def _list(text: str, start: int, depth: int) -> tuple[Node, int]:
    elements: list[Node] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        at = _comma(text, at, bool(elements))
        node, at = _value(text, at, depth + 1)
        elements.append(node)
        at = _skip(text, at)
    return Node(start, at + 1, [node.value for node in elements], elements=tuple(elements)), at + 1


def _comma(text: str, at: int, wanted: bool) -> int:
    if not wanted:
        return at
    if text[at : at + 1] != ",":
        raise Malformed(at)
    return _skip(text, at + 1)


def walk(node: Node) -> Iterator[Node]:
    yield node
    for _, _, member in node.members:
        yield from walk(member)
    for element in node.elements:
        yield from walk(element)
