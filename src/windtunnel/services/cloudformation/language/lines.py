"""Where in a template's text something stands, for messages that lead a reader to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.parse import parse


def line_of(text: str, pointer: Sequence[str | int]) -> int | None:
    """The line (the first is 1) of the innermost part of the pointer that the text has; None when it has not even the outermost, or is no
    template. JSON is read as the YAML that it is."""
    import yaml

    try:
        parse(text)
        root = yaml.compose(text.removeprefix("\ufeff"), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (TemplateError, yaml.YAMLError):
        return None
    line: int | None = None
    node: Any = root
    for step in pointer:
        if isinstance(node, yaml.Node) and _is_short_form(node, str(step)):
            node = _inside(node)
            continue
        entry = _entry(yaml, node, step)
        if entry is None:
            break
        key, node = entry
        line = key.start_mark.line + 1
    return line


def _is_short_form(node: Any, step: str) -> bool:
    """Whether the step only names the function that the node's tag names."""
    name = node.tag.removeprefix("!")
    return node.tag.startswith("!") and bool(name) and step in (f"Fn::{name}", name)


def _inside(node: Any) -> Any:
    """The argument of a short form: the same node, without its tag."""
    return type(node)("", node.value, node.start_mark, node.end_mark)


def _entry(yaml: Any, node: Any, step: str | int) -> tuple[Any, Any] | None:
    """What marks the place of a step, and the node that is there. Of equal keys the last counts."""
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == str(step):
                return key, value
    elif isinstance(node, yaml.SequenceNode) and str(step).isdecimal() and int(step) < len(node.value):
        return node.value[int(step)], node.value[int(step)]
    return None
