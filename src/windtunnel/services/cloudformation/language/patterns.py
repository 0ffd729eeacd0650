"""AllowedPattern: Java's regular expressions as Python's.

They differ inside brackets (Java unites nested ones, cuts with `&&`, and takes a `-` beside a class such as `\\w` for itself), in the names of
classes (`\\p{Alpha}`), in a few escapes and in how a group is named. They are run by the `regex` package (cfn-lint's), because it can be told
when to give up: a pattern such as `(([a-z])+.)+[A-Z]` would hold the server for years.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache

from windtunnel.services.cloudformation.language.errors import TemplateError

CLASSES = {
    "Alnum": "A-Za-z0-9",
    "Alpha": "A-Za-z",
    "ASCII": r"\x00-\x7f",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "Digit": "0-9",
    "Graph": r"\x21-\x7e",
    "L": "A-Za-z\u00aa-\uffdc",
    "Lower": "a-z",
    "Lu": "A-Z",
    "Ll": "a-z",
    "N": "0-9",
    "Nd": "0-9",
    "Print": r"\x20-\x7e",
    "Punct": r"!-/:-@\[-`{-\x7e",
    "Space": r"\s",
    "Upper": "A-Z",
    "XDigit": "0-9A-Fa-f",
}
ESCAPES = {"z": r"\Z", "Z": r"\n?\Z", "h": r"[ \t\u00a0]", "R": r"(?:\r\n|[\n-\r\u0085\u2028\u2029])", "e": r"\x1b"}
SETS = "dDsSwWhHvV"
ANY = r"[\s\S]"
MAX_NESTED = 20
MAX_SIZE = 50_000
"""Characters of a pattern when its repetitions are written out, as the package does: 300 bytes each."""
COUNT = re.compile(r"(\d{1,9})(?:,(\d{0,9}))?\}")
LONGEST = 0.25
"""Seconds that a match may take."""


class Pattern:
    """A pattern of a parameter."""

    def __init__(self, key: str, pattern: str) -> None:
        self.key = key
        regex = importlib.import_module("regex")
        try:
            self.compiled = regex.compile(Translation(pattern).whole(), regex.ASCII)
        except (regex.error, OverflowError, RecursionError, IndexError, MemoryError) as error:
            raise TemplateError(f"Parameter '{key}' AllowedPattern must be a valid regular expression.") from error

    def matches(self, value: str) -> bool:
        """Whether the whole value matches. TemplateError when that takes too long to find out."""
        try:
            return self.compiled.fullmatch(value, timeout=LONGEST) is not None
        except TimeoutError as error:
            raise TemplateError(f"Parameter '{self.key}' AllowedPattern takes too long to match.") from error


@lru_cache(maxsize=32)
def compiled_pattern(key: str, pattern: str) -> Pattern:
    """The pattern of a parameter. TemplateError when it is no regular expression."""
    return Pattern(key, pattern)


class Translation:
    """Reads a pattern once, from left to right. IndexError when it ends too early."""

    def __init__(self, pattern: str) -> None:
        self.text, self.at = pattern, 0
        self.sizes, self.last = [0], 0
        """Of the groups that are open, and of what was read last."""

    def take(self, size: int = 1) -> str:
        piece = self.text[self.at : self.at + size]
        if len(piece) < size:
            raise IndexError(self.at)
        self.at += size
        return piece

    def next_is(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def whole(self) -> str:
        pieces: list[str] = []
        while self.at < len(self.text):
            character = self.take()
            if character == "{":
                self.repeated()
            else:
                self.sized(character)
            if character == "\\":
                pieces.append(self.escape())
            elif character == "[":
                pieces.append(self.brackets(0))
            elif character == "(" and self.next_is("?<") and not self.next_is("?<=") and not self.next_is("?<!"):
                self.take(2)
                pieces.append("(?P<")
            else:
                pieces.append(character)
        return "".join(pieces)

    def sized(self, character: str) -> None:
        """Keeps count of what a repetition would repeat."""
        if character == "(":
            self.sizes.append(0)
        elif character == ")" and len(self.sizes) > 1:
            self.last = self.sizes.pop()
            self.sizes[-1] += self.last
        elif character not in "*+?|)":
            self.last = 1
            self.sizes[-1] += 1

    def repeated(self) -> None:
        """After an opening brace: how large the pattern becomes when what stands before it is written out."""
        found = COUNT.match(self.text, self.at)
        if found is None:
            return
        times = max(int(found.group(2) or found.group(1)), 1)
        self.sizes[-1] += self.last * (times - 1)
        self.last *= times
        if self.last > MAX_SIZE or self.sizes[-1] > MAX_SIZE:
            raise IndexError(times)

    def escape(self) -> str:
        """After a backslash, outside brackets."""
        character = self.take()
        if character in "pP":
            return f"[{'^' if character == 'P' else ''}{self.named()}]"
        if character == "Q":
            return re.escape(self.quoted())
        return ESCAPES.get(character, "\\" + character)

    def named(self) -> str:
        """After `\\p`: the contents of the class."""
        name = self.take()
        if name == "{":
            end = self.text.index("}", self.at) if "}" in self.text[self.at :] else len(self.text)
            name = self.take(end - self.at)
            self.take()
        name = name.removeprefix("Is")
        if name not in CLASSES:
            raise IndexError(name)
        return CLASSES[name]

    def quoted(self) -> str:
        rest, closed, _ = self.text[self.at :].partition("\\E")
        self.at += len(rest) + len(closed)
        return rest

    def brackets(self, depth: int) -> str:
        """After an opening bracket: what matches one character of the set."""
        if depth > MAX_NESTED:
            raise IndexError(depth)
        negated = self.next_is("^")
        if negated:
            self.take()
        cuts: list[list[str]] = [[]]
        items: list[str] = []
        while not self.next_is("]") or not (items or cuts[-1] or len(cuts) > 1):
            if self.next_is("&&"):
                self.take(2)
                cuts[-1] += _set(items)
                items = []
                cuts.append([])
            elif self.next_is("["):
                self.take()
                cuts[-1].append(self.brackets(depth + 1))
            else:
                items.append(self.item())
        self.take()
        if len(cuts) == 1 and not cuts[0]:
            return f"[{'^' if negated else ''}{''.join(items)}]"
        cuts[-1] += _set(items)
        united = ["(?:" + "|".join(cut) + ")" for cut in cuts if cut]
        one = "(?:" + "".join(f"(?={cut})" for cut in united) + ANY + ")"
        return f"(?:(?!{one}){ANY})" if negated else one

    def item(self) -> str:
        """A character, a range or a class, inside brackets."""
        first, is_set = self.character()
        if is_set or not self.next_is("-") or self.text[self.at + 1 : self.at + 2] in ("]", "["):
            return first
        start = self.at
        self.take()
        second, second_is_set = self.character()
        if second_is_set:
            self.at = start + 1
            return first + "\\-"
        return f"{first}-{second}"

    def character(self) -> tuple[str, bool]:
        character = self.take()
        if character != "\\":
            return ("\\" + character if character in "[]&~|-^" else character), False
        escaped = self.take()
        if escaped in "pP":
            return self.named(), True
        if escaped == "h":
            return r" \t\u00a0", True
        return "\\" + escaped, escaped in SETS


def _set(items: list[str]) -> list[str]:
    return [f"[{''.join(items)}]"] if items else []
