"""Mustache templates, for files that have a `context`: variables, sections, inverted sections, comments, dotted names, delimiters.

The invariant it keeps: what this does not have (partials, lambdas) fails by name; a name that the context lacks is empty, as the
language says. Pure. Source: mustache(5).
"""

from __future__ import annotations

import html
import re
from typing import Any, NamedTuple, Union

from windtunnel.guest.cfn.errors import Failed

Context = list[Any]
"""The scopes, innermost last."""


class Variable(NamedTuple):
    name: str
    escaped: bool


class Section(NamedTuple):
    name: str
    inverted: bool
    inside: list[Node]


Node = Union[str, Variable, Section]  # noqa: UP007  (evaluated when the module is loaded)
_ALONE = "#^/!="
"""Tags that leave no empty line behind when they have a line for themselves."""


def render(template: str, context: Any) -> str:
    """Raises Failed."""
    return "".join(_rendered(node, [context]) for node in parse(template))


def parse(template: str) -> list[Node]:
    opening, closing = "{{", "}}"
    nodes: list[Node] = []
    open_sections: list[tuple[Section, list[Node]]] = []
    at = 0
    while (start := template.find(opening, at)) >= 0:
        tag = _tag(template, start, opening, closing)
        before, after = _trimmed(template, at, start, tag.end) if tag.kind in _ALONE and tag.kind else (template[at:start], tag.end)
        if before:
            nodes.append(before)
        if tag.kind in ("#", "^"):
            section = Section(tag.text, tag.kind == "^", [])
            nodes.append(section)
            open_sections.append((section, nodes))
            nodes = section.inside
        elif tag.kind == "/":
            if not open_sections or open_sections[-1][0].name != tag.text:
                raise Failed(f"the mustache template closes a section {tag.text!r} that is not open")
            nodes = open_sections.pop()[1]
        elif tag.kind == "=":
            opening, _, closing = tag.text.partition(" ")
            closing = closing.strip()
        elif tag.kind in (">", "<"):
            raise Failed(f"the mustache template includes {tag.text!r}: partials cannot be included here")
        elif tag.kind != "!":
            nodes.append(Variable(tag.text, tag.kind == ""))
        at = after
    if open_sections:
        raise Failed(f"the mustache template does not close its section {open_sections[-1][0].name!r}")
    if template[at:]:
        nodes.append(template[at:])
    return nodes


class _Tag(NamedTuple):
    kind: str
    text: str
    end: int


def _tag(template: str, start: int, opening: str, closing: str) -> _Tag:
    inside = start + len(opening)
    kind = template[inside : inside + 1]
    end_mark = {"{": "}" + closing, "=": "=" + closing}.get(kind, closing)
    end = template.find(end_mark, inside)
    if end < 0:
        raise Failed(f"the mustache template has an unclosed tag: {template[start : start + 40]!r}")
    if kind not in ("#", "^", "/", "!", "=", ">", "<", "{", "&"):
        return _Tag("", template[inside:end].strip(), end + len(end_mark))
    return _Tag(kind, template[inside + 1 : end].strip(), end + len(end_mark))


def _trimmed(template: str, at: int, start: int, end: int) -> tuple[str, int]:
    """The text before a tag, and where to go on after it: without the tag's line, if it has one for itself."""
    line = template.rfind("\n", 0, start) + 1
    rest = re.compile(r"[ \t]*(?:\r?\n|\Z)").match(template, end)
    if line < at or template[line:start].strip(" \t") or rest is None:
        return template[at:start], end
    return template[at:line], rest.end()


def _rendered(node: Node, context: Context) -> str:
    if isinstance(node, str):
        return node
    value = _look(node.name, context)
    if isinstance(node, Variable):
        text = "" if value is None else str(value)
        return html.escape(text) if node.escaped else text
    if node.inverted:
        return "" if value not in (None, False, "", [], {}, 0) else _all(node.inside, context)
    if value in (None, False, "", [], {}, 0):
        return ""
    items = value if isinstance(value, list) else [value]
    return "".join(_all(node.inside, [*context, item]) for item in items)


def _all(nodes: list[Node], context: Context) -> str:
    return "".join(_rendered(node, context) for node in nodes)


def _look(name: str, context: Context) -> Any:
    if name == ".":
        return context[-1]
    first, *rest = name.split(".")
    found: Any = None
    for scope in reversed(context):
        if isinstance(scope, dict) and first in scope:
            found = scope[first]
            break
    for step in rest:
        found = found.get(step) if isinstance(found, dict) else None
    return found
