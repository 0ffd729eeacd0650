"""Filter patterns: which log messages a FilterLogEvents (and later a metric filter) means. Pure.

Invariant: a compiled pattern answers in time linear in the message.

Grammar: terms (`ERROR -timeout`, `?a ?b`, `"a phrase"`), `{ selector operator value }` over JSON with && || and parentheses, or
space-delimited fields (`[ip, ..., status=4*]`, see fields.py).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.services.logs.fields import Malformed, globbed, number, parse_fields, regex

Matcher = Callable[[str], bool]
Test = Callable[[Any], bool]
MAX_DEPTH = 30
MAX_REGEXES = 2
_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|(%(?:[^%\\]|\\.)*%)|([^\s"]+))')
_TOKEN = re.compile(
    r"""\s*(?:(?P<punct>&&|\|\||[(){}]|!=|>=|<=|=|>|<)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<regex>%(?:[^%\\]|\\.)*%)"""
    r"""|(?P<selector>\$(?:\.[^\s.()\[\]=!<>&|{}"]+|\[(?:\d+|\*|"[^"]*"|'[^']*')\])+|\$)|(?P<word>[^\s()={}!<>&|"]+))"""
)
_STEP = re.compile(r"""\.([^\s.\[\]]+)|\[(\d+|\*)\]|\[["']([^"']*)["']\]""")
_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


def compile_pattern(pattern: str) -> Matcher:
    """A predicate on messages. InvalidParameterException for a malformed pattern."""
    text = pattern.strip()
    if len(re.findall(r"%(?:[^%\\]|\\.)*%", text)) > MAX_REGEXES:
        raise _invalid(f"at most {MAX_REGEXES} regular expressions are allowed")
    if text.startswith("{"):
        return _json_pattern(text)
    if text.startswith("["):
        return _field_pattern(text)
    return _term_pattern(text)


def _field_pattern(text: str) -> Matcher:
    if not text.endswith("]"):
        raise _invalid("the closing ] is missing")
    try:
        return parse_fields(text[1:-1]).match
    except Malformed as error:
        raise _invalid(str(error)) from error


def _invalid(detail: str = "") -> AwsError:
    return AwsError("InvalidParameterException", f"Invalid filter pattern{': ' + detail if detail else ''}")


# -- terms ------------------------------------------------------------------------------------------------------------------


def _term_pattern(text: str) -> Matcher:
    required: list[Matcher] = []
    optional: list[Matcher] = []
    excluded: list[Matcher] = []
    at = 0
    while text[at:].strip():
        found = _TERM.match(text, at)
        if found is None:
            raise _invalid(f"unbalanced quote in {text}")
        at = found.end()
        sign, phrase, expression, word = found.groups()
        if expression is not None:
            test = _regex(expression)
        else:
            test = _contains(re.sub(r"\\(.)", r"\1", phrase) if phrase is not None else word)
        {"?": optional, "-": excluded, "": required}[sign].append(test)

    def matches(message: str) -> bool:
        if any(test(message) for test in excluded) or not all(test(message) for test in required):
            return False
        return not optional or bool(required) or any(test(message) for test in optional)

    return matches


def _regex(text: str) -> Matcher:
    try:
        return regex(text)
    except Malformed as error:
        raise _invalid(str(error)) from error


def _contains(term: str) -> Matcher:
    """Case-sensitive, as a token: neither neighbour continues the word."""
    before = r"(?<!\w)" if re.match(r"\w", term) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", term) else ""
    search = re.compile(before + re.escape(term) + after).search
    return lambda message: search(message) is not None


# -- JSON -------------------------------------------------------------------------------------------------------------------


def _json_pattern(text: str) -> Matcher:
    if not text.endswith("}"):
        raise _invalid("the closing } is missing")
    test = _Parser(text[1:-1]).whole()

    def matches(message: str) -> bool:
        if "{" not in message:
            return False
        try:
            return test(msgspec.json.decode(message))
        except (msgspec.DecodeError, RecursionError):
            return False

    return matches


class _Parser:
    """Recursive descent over `a || b && c`, && binding tighter; the depth is bounded."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise _invalid(text[at:].strip()[:40])
            self._tokens.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        self._at = 0

    def whole(self) -> Test:
        test = self._either(0)
        if self._at != len(self._tokens):
            raise _invalid(self._tokens[self._at][1])
        return test

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _either(self, depth: int) -> Test:
        tests = [self._both(depth)]
        while self._peek() == ("punct", "||"):
            self._next()
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._peek() == ("punct", "&&"):
            self._next()
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)

    def _one(self, depth: int) -> Test:
        if depth > MAX_DEPTH:
            raise _invalid("too deeply nested")
        kind, text = self._next()
        if (kind, text) == ("punct", "("):
            inner = self._either(depth + 1)
            if self._next() != ("punct", ")"):
                raise _invalid("a parenthesis is not closed")
            return inner
        if kind != "selector":
            raise _invalid(text or "a selector is missing")
        select = select_from(text)
        condition = self._condition()
        return lambda value: condition(select(value))

    def _condition(self) -> Test:
        """A test on the list of values that a selector found."""
        kind, text = self._next()
        if kind == "word":
            return self._worded(text.upper())
        if kind != "punct" or text not in ("=", "!=", *_ORDERINGS):
            raise _invalid(text or "an operator is missing")
        value_kind, value = self._next()
        if value_kind == "regex" and text in ("=", "!="):
            search = _regex(value)
            if text == "=":
                return lambda found: any(isinstance(item, str) and search(item) for item in found)
            return lambda found: bool(found) and not any(isinstance(item, str) and search(item) for item in found)
        if value_kind not in ("string", "word"):
            raise _invalid(value or "a value is missing")
        if text in _ORDERINGS:
            limit, ordering = number(value), _ORDERINGS[text]
            if limit is None:
                raise _invalid(f"{value} is not a number")
            return lambda found: any(_is_number(item) and ordering(item, limit) for item in found)
        equal = _equal(value, quoted=value_kind == "string")
        if text == "=":
            return lambda found: any(equal(item) for item in found)
        return lambda found: bool(found) and not any(equal(item) for item in found)

    def _worded(self, word: str) -> Test:
        following = self._next()[1].upper()
        tests: dict[tuple[str, str], Test] = {
            ("IS", "NULL"): lambda found: any(item is None for item in found),
            ("IS", "TRUE"): lambda found: any(item is True for item in found),
            ("IS", "FALSE"): lambda found: any(item is False for item in found),
            ("NOT", "EXISTS"): lambda found: not found,
        }
        if (word, following) not in tests:
            raise _invalid(f"{word} {following}".strip())
        return tests[word, following]


def select_from(text: str) -> Callable[[Any], list[Any]]:
    steps: list[str | int | None] = []
    for name, index, quoted in _STEP.findall(text[1:]):
        steps.append(name or quoted if not index else None if index == "*" else int(index))

    def select(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            if step is None:
                found = [inner for item in found if isinstance(item, list) for inner in item]
            elif isinstance(step, int):
                found = [item[step] for item in found if isinstance(item, list) and step < len(item)]
            else:
                found = [item[step] for item in found if isinstance(item, dict) and step in item]
        return found

    return select


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: str, *, quoted: bool) -> Test:
    """A number equals numbers; a string equals strings, `*` standing for anything."""
    wanted = None if quoted else number(value)
    if wanted is not None:
        return lambda item: _is_number(item) and item == wanted
    text = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    parts = text.split("*")
    if len(parts) > 1 and not quoted:
        return lambda item: (
            globbed(parts, item if isinstance(item, str) else _text(item)) if _is_number(item) or isinstance(item, str) else False
        )
    return lambda item: isinstance(item, str) and globbed(parts, item)


def _text(item: float) -> str:
    """A number as JSON has it, for `4*`."""
    return msgspec.json.encode(item).decode()
