"""What a target gets of an event: all of it, a constant, a part, or a template filled with parts. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from windtunnel.events.schedule import utc_text

STEP = re.compile(r"""\.([A-Za-z0-9_\-]+)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")
PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")


RESERVED = ("rule-arn", "rule-name", "event.ingestion-time", "event", "event.json")


class Missing:
    """What a path finds where there is nothing."""


MISSING = Missing()


def timestamp(at: float) -> str:
    return _second(math.floor(at))


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return utc_text(at)


def path_is_valid(path: str) -> bool:
    return path.startswith("$") and STEP.sub("", path[1:]) == ""


def look_up(event: Any, path: str) -> Any:
    """The value at a JSON path of the kind that EventBridge takes (`$.detail.state`, `$.resources[0]`), or MISSING."""
    value = event
    for found in STEP.finditer(path[1:]):
        if found[2] is not None:
            if not isinstance(value, list) or int(found[2]) >= len(value):
                return MISSING
            value = value[int(found[2])]
        else:
            key = next(group for group in (found[1], found[3], found[4]) if group is not None)
            if not isinstance(value, dict) or key not in value:
                return MISSING
            value = value[key]
    return value


def target_input(target: Mapping[str, Any], event: dict[str, Any], rule: str, rule_arn: str) -> str:
    """The JSON text (or plain text, for a template that is one) that this target gets."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        part = look_up(event, target["InputPath"])
        return _json(None if part is MISSING else part)
    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        values = {name: look_up(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
        values |= {
            "aws.events.rule-arn": rule_arn,
            "aws.events.rule-name": rule,
            "aws.events.event.ingestion-time": event["time"],
            "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
            "aws.events.event.json": event,
        }
        return fill(transformer["InputTemplate"], values)
    return _json(event)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def template_is_valid(template: str, names: Mapping[str, str]) -> bool:
    """Whether a template is JSON (one value, or several one after the other) once its placeholders have values."""
    values: dict[str, Any] = {**dict.fromkeys(names), **{f"aws.events.{name}": None for name in RESERVED}}
    text, position, decoder = fill(template, values).strip(), 0, json.JSONDecoder(strict=False)
    try:
        while position < len(text):
            _, position = decoder.raw_decode(text, position)
            while position < len(text) and text[position].isspace():
                position += 1
    except (ValueError, RecursionError):
        return False
    return bool(text)


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The template with `<name>` replaced: inside a quoted string as text, elsewhere as JSON. Unknown names stay."""
    made, position, quoted = "", 0, False
    while position < len(template):
        character = template[position]
        if quoted and character == "\\":
            made += template[position : position + 2]
            position += 2
            continue
        found = PLACEHOLDER.match(template, position) if character == "<" else None
        if found is not None and found[1] in values:
            made += _inserted(values[found[1]], quoted)
            position = found.end()
            continue
        quoted = not quoted if character == '"' else quoted
        made += character
        position += 1
    return made


def _inserted(value: Any, quoted: bool) -> str:
    if value is MISSING:
        return "" if quoted else '""'
    if not quoted:
        return _json(value)
    return _json(value if isinstance(value, str) else _json(value))[1:-1]
