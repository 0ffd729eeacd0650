"""Regular expressions of filter patterns (`%…%`), in the subset that AWS takes, without backtracking. Pure.

Invariant: a search takes time linear in the message, whatever the expression: it walks sets of states, each set made once.

Source: CloudWatch Logs user guide, "Filter pattern syntax: regular expressions": literals, `.`, `^`, `$`, `?`, `*`, `+`, `{n,m}`, `|`, `[…]`, `\\d \\D \\s \\S
\\w \\W`, `\\xHH`, and escapes; no groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Accepts = Callable[[str], bool]
MAX_REPEAT = 100
MAX_STATES = 2_000
MAX_SETS = 5_000
_CLASSES = {"d": r"\d", "D": r"\D", "s": r"\s", "S": r"\S", "w": r"\w", "W": r"\W"}
_REPEAT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")


class BadRegex(Exception):
    """An expression that is none, or that AWS does not take; the text says why."""


class _Atom:
    """One character of a kind, repeated from `least` to `most` times (None: without end). anchor: `^` or `$` instead."""

    __slots__ = ("accepts", "least", "most", "anchor")

    def __init__(self, accepts: Accepts | None, anchor: str = "") -> None:
        self.accepts, self.anchor = accepts, anchor
        self.least: int = 1
        self.most: int | None = 1


class Regex:
    """`Regex(text).search(message)`. Raises BadRegex."""

    def __init__(self, text: str) -> None:
        self._accepts: list[Accepts] = []
        self._next: list[list[int]] = []
        """State -> states reached without a character; a state with a character leads to the one after it."""
        self._final: set[int] = set()
        self._at_end: set[int] = set()
        self._starts: list[int] = []
        self._begins: list[int] = []
        for alternative in _alternatives(text):
            self._compile(alternative)
        self._sets: dict[frozenset[int], dict[str, frozenset[int]]] = {}

    def _state(self, accepts: Accepts) -> int:
        if len(self._accepts) >= MAX_STATES:
            raise BadRegex("the expression is too long")
        self._accepts.append(accepts)
        self._next.append([])
        return len(self._accepts) - 1

    def _compile(self, atoms: list[_Atom]) -> None:
        """Each state stands before a character; `_next[s]` are the states after it. Built from the end backwards."""
        ends = bool(atoms) and atoms[-1].anchor == "$"
        begins = bool(atoms) and atoms[0].anchor == "^"
        atoms = atoms[1 if begins else 0 : len(atoms) - 1 if ends and len(atoms) > (1 if begins else 0) else len(atoms)]
        if any(atom.anchor for atom in atoms):
            raise BadRegex("^ and $ stand at the ends only")
        end = self._state(lambda _: False)
        (self._at_end if ends else self._final).add(end)
        follow = [end]
        for atom in reversed(atoms):
            assert atom.accepts is not None
            if atom.most is None:
                loop = self._state(atom.accepts)
                self._next[loop] = [loop, *follow]
                after = [loop, *follow]
                if atom.least == 0:
                    follow = after
                    continue
                needed = atom.least
            else:
                after, needed = follow, atom.least
                for _ in range(atom.most - atom.least):
                    state = self._state(atom.accepts)
                    self._next[state] = after
                    after = [state, *follow]
            for _ in range(needed):
                state = self._state(atom.accepts)
                self._next[state] = after
                after = [state]
            follow = after
        (self._begins if begins else self._starts).extend(follow)

    def search(self, message: str) -> bool:
        current = frozenset((*self._starts, *self._begins))
        starts = frozenset(self._starts)
        for character in message:
            if current & self._final:
                return True
            known = self._sets.get(current)
            if known is None:
                if len(self._sets) >= MAX_SETS:
                    self._sets.clear()
                known = self._sets[current] = {}
            reached = known.get(character)
            if reached is None:
                moved = {after for state in current if self._accepts[state](character) for after in self._next[state]}
                reached = known[character] = starts | moved
            current = reached
        return bool(current & (self._final | self._at_end))


def _alternatives(text: str) -> list[list[_Atom]]:
    found: list[list[_Atom]] = [[]]
    at = 0
    while at < len(text):
        character = text[at]
        if character == "|":
            found.append([])
            at += 1
            continue
        if character in "()":
            raise BadRegex("groups are not supported")
        if character in "?*+{":
            at = _repeat(text, at, found[-1])
            continue
        atom, at = _atom(text, at)
        found[-1].append(atom)
    return found


def _repeat(text: str, at: int, atoms: list[_Atom]) -> int:
    if not atoms or atoms[-1].anchor or (atoms[-1].least, atoms[-1].most) != (1, 1):
        raise BadRegex(f"nothing to repeat before {text[at]}")
    atom = atoms[-1]
    if text[at] != "{":
        atom.least, atom.most = {"?": (0, 1), "*": (0, None), "+": (1, None)}[text[at]]
        return at + 1
    bounds = _REPEAT.match(text, at)
    if bounds is None:
        raise BadRegex("a { is not closed")
    least, comma, most = bounds.groups()
    atom.least = int(least)
    atom.most = atom.least if not comma else int(most) if most else None
    if atom.least > MAX_REPEAT or (atom.most or 0) > MAX_REPEAT or (atom.most is not None and atom.most < atom.least):
        raise BadRegex(f"bad bounds {bounds.group()}")
    if atom.most == 0:
        atoms.pop()
    return bounds.end()


def _atom(text: str, at: int) -> tuple[_Atom, int]:
    character = text[at]
    if character in "^$":
        return _Atom(None, character), at + 1
    if character == ".":
        return _Atom(lambda found: found != "\n"), at + 1
    if character == "[":
        return _set(text, at)
    if character == "\\":
        source, at = _escape(text, at)
        return _Atom(_accepting(source)), at
    return _Atom(lambda found: found == character), at + 1


def _escape(text: str, at: int) -> tuple[str, int]:
    """(the same in Python's syntax, the index behind it)."""
    following = text[at + 1 : at + 2]
    if not following:
        raise BadRegex("the expression ends with a backslash")
    if following in _CLASSES:
        return _CLASSES[following], at + 2
    if following == "x":
        digits = re.compile("[0-9A-Fa-f]{2}").match(text, at + 2)
        if digits is None:
            raise BadRegex(r"\x needs two hexadecimal digits")
        return re.escape(chr(int(digits.group(), 16))), at + 4
    if following.isalnum():
        controls = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
        if following not in controls:
            raise BadRegex(f"\\{following} is not supported")
        return re.escape(controls[following]), at + 2
    return re.escape(following), at + 2


def _set(text: str, at: int) -> tuple[_Atom, int]:
    source, at = "[", at + 1
    if text[at : at + 1] == "^":
        source, at = "[^", at + 1
    begun = at
    while at < len(text) and (text[at] != "]" or at == begun):
        if text[at] == "\\":
            part, at = _escape(text, at)
        else:
            part, at = (text[at] if text[at] == "-" else re.escape(text[at])), at + 1
        source += part
    if at >= len(text):
        raise BadRegex("a [ is not closed")
    return _Atom(_accepting(source + "]")), at + 1


def _accepting(source: str) -> Accepts:
    try:
        match = re.compile(source, re.ASCII).fullmatch
    except re.error as error:
        raise BadRegex(str(error)) from error
    return lambda character: match(character) is not None
