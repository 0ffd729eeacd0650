"""Text to template: JSON or YAML into plain maps, lists and scalars, functions in their long form.

Bounded, whatever the text: aliases may not add more than another megabyte, nesting is limited, and nothing recurses in C. A template holds
no null and no key that is not a string. Of two equal keys the last wins, in YAML as in JSON, as AWS deploys them. Aliased parts of a
template are one object: nobody changes a template in place.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import format_error
from windtunnel.services.cloudformation.language.scalars import INT64, plain, text_of

MAX_DEPTH = 100
MAX_ALIASED = 1_048_576
"""What aliases may add to a template, in characters: as much as the largest template has."""
JSON = "JSON not well-formed."
YAML = "YAML not well-formed."
CORE = "tag:yaml.org,2002:"


def parse(text: str) -> dict[str, Any]:
    """The template that a text holds; TemplateError when it holds none. A text that begins with a brace is JSON."""
    text = text.removeprefix("\ufeff")
    start = text.lstrip()[:1]
    document = _json(text) if start in ("{", "[") else _yaml(text)
    if not isinstance(document, dict):
        raise format_error("unsupported structure.")
    return document


def _json(text: str) -> Any:
    try:
        document = msgspec.json.decode(text)
    except (ValueError, RecursionError, msgspec.DecodeError):
        document = _json_again(text)
    return sound(document)


def sound(document: Any) -> Any:
    """The document, if a template may hold it: no null, not too deep. For what did not come as text too: a macro's answer."""
    if isinstance(document, dict | list) and not _whole(document):
        _mended(document, [])
    return document


def _json_again(text: str) -> Any:
    """Refused by the fast reader: by the slower one, for the place, and for the few texts that only the fast one refuses."""
    import json

    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=plain)
        json.dumps(document, ensure_ascii=False).encode()
        return document
    except json.JSONDecodeError as error:
        column = error.colno + (error.pos < len(text))
        raise format_error(f"{JSON} (line {error.lineno}, column {column})") from error
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise format_error(JSON) from error


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def too_deep() -> TemplateError:
    return format_error(f"nesting of more than {MAX_DEPTH} levels is not supported.")


def _whole(node: Any, depth: int = 1) -> bool:
    """Whether all that is in a map or list may be in a template; TemplateError when it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise too_deep()
    good = True
    for child in node.values() if type(node) is dict else node:
        kind = type(child)
        if kind is str:
            continue
        if kind is dict or kind is list:
            good = _whole(child, depth + 1) and good
        elif child is None or (kind is int and not -INT64 <= child < INT64):
            return False
    return good


def _mended(node: Any, path: list[str]) -> None:
    """Refuse the first null; numbers too long for a computer's become text."""
    pairs = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
    for key, child in pairs:
        path.append(str(key))
        if isinstance(child, dict | list):
            _mended(child, path)
        elif child is None:
            raise TemplateError(f"[/{'/'.join(path)}] 'null' values are not allowed in templates")
        elif type(child) is int and not -INT64 <= child < INT64:
            node[key] = _long(child)
        path.pop()


def _long(number: int) -> str:
    try:
        return str(number)
    except ValueError as error:
        raise format_error(JSON) from error


class Frame:
    """A map or a list that is being read."""

    __slots__ = ("anchor", "before", "items", "key", "tag")

    def __init__(self, items: dict[str, Any] | list[Any], tag: str | None, anchor: str | None, before: int) -> None:
        self.items, self.tag, self.anchor, self.before = items, tag, anchor, before
        self.key: str | None = None
        """Of a map: the key whose value comes next."""


class Reader:
    """Builds the document out of YAML's events, with a stack of its own."""

    def __init__(self) -> None:
        self.stack: list[Frame] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.size = 0
        """Of everything read so far, aliases unfolded, in characters or so."""
        self.aliased = 0
        self.document: Any = None

    def open(self, items: dict[str, Any] | list[Any], tag: str | None, anchor: str | None) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise too_deep()
        self._no_key_yet(items)
        self.stack.append(Frame(items, tag, anchor, self.size))

    def close(self) -> None:
        frame = self.stack.pop()
        value = self._tagged(frame.tag, frame.items)
        if frame.anchor is not None:
            self.anchors[frame.anchor] = value, self.size - frame.before
        self.put(value)

    def scalar(self, text: str, tag: str | None, is_plain: bool, anchor: str | None) -> None:
        self.size += len(text) + 1
        value: Any
        if tag is None:
            value = plain(text) if is_plain else text
        else:
            value = self._tagged(tag, text)
        if anchor is not None:
            self.anchors[anchor] = value, len(text) + 1
        self.put(value)

    def alias(self, name: str) -> None:
        if name not in self.anchors:
            raise format_error(YAML)
        value, size = self.anchors[name]
        self.size += size
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise format_error("YAML aliases make the template larger than 1048576 bytes.")
        self.put(value)

    def put(self, value: Any) -> None:
        """A finished value: the next key, the value of a key, the next item, or the document."""
        if not self.stack:
            self.document = value
            return
        frame = self.stack[-1]
        items = frame.items
        if isinstance(items, list):
            items.append(value)
        elif frame.key is None:
            frame.key = value if type(value) is str else self._not_a_key(value)
        else:
            items.pop(frame.key, None)
            items[frame.key] = value
            frame.key = None

    def _no_key_yet(self, items: object) -> None:
        if self.stack and isinstance(self.stack[-1].items, dict) and self.stack[-1].key is None:
            self._not_a_key(items)

    def _not_a_key(self, value: object) -> str:
        match value:
            case dict():
                received = "a map"
            case list():
                received = "a list"
            case None:
                received = "null"
            case bool():
                received = f"boolean [{text_of(value)}]"
            case _:
                received = f"numeric [{text_of(value)}]"
        raise format_error(f"[{self.pointer()}] map keys must be strings; received {received} instead")

    def pointer(self) -> str:
        """The place of the map or list that is being read."""
        steps = [str(len(frame.items)) if isinstance(frame.items, list) else frame.key or "" for frame in self.stack[:-1]]
        return "/" + "/".join(steps)

    def _tagged(self, tag: str | None, value: Any) -> Any:
        """A short form in its long form: `!Sub x` is `{"Fn::Sub": "x"}`."""
        if tag is None or tag == "!":
            return value
        if tag.startswith(CORE):
            return self._core(tag.removeprefix(CORE), value)
        name = tag.removeprefix("!")
        if not name.replace(":", "").isalnum():
            raise format_error(YAML)
        if name in ("Ref", "Condition"):
            return {name: value}
        if name == "GetAtt" and isinstance(value, str) and "." in value:
            value = value.split(".", 1)
        return {f"Fn::{name.removeprefix('Fn::')}": value}

    def _core(self, kind: str, value: Any) -> Any:
        """YAML's own tags: `!!str 1` is text."""
        if kind == "str" and isinstance(value, str):
            return value
        if kind in ("int", "float", "bool", "null") and isinstance(value, str):
            return plain(value)
        if (kind == "map" and isinstance(value, dict)) or (kind == "seq" and isinstance(value, list)):
            return value
        raise format_error(YAML)


def _yaml(text: str) -> Any:
    import yaml

    try:
        document = _read(yaml, text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise format_error(YAML + where) from error
    except (yaml.YAMLError, ValueError) as error:
        raise format_error(YAML) from error
    return sound(document)


def _read(yaml: Any, text: str) -> Any:
    """By libyaml where PyYAML has it. Its events only: its tree is built by recursion in C, which a deep text overflows."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)(text)
    reader = Reader()
    scalar, opens, closes = (
        yaml.ScalarEvent,
        (yaml.MappingStartEvent, yaml.SequenceStartEvent),
        (yaml.MappingEndEvent, yaml.SequenceEndEvent),
    )
    documents = 0
    try:
        while True:
            event = loader.get_event()
            kind = type(event)
            if kind is scalar:
                reader.scalar(event.value, event.tag, event.implicit[0], event.anchor)
            elif kind in opens:
                reader.open({} if kind is opens[0] else [], event.tag, event.anchor)
            elif kind in closes:
                reader.close()
            elif kind is yaml.AliasEvent:
                reader.alias(event.anchor)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise format_error(YAML)
            elif kind is yaml.StreamEndEvent:
                return reader.document
    finally:
        loader.dispose()
