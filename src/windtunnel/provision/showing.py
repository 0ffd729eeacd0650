"""What a handler shows of an answer: members that say something, and tags of any form as the property. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from windtunnel.kernel.tags import users
from windtunnel.provision.registry import Properties

_NOTHING: tuple[Any, ...] = (None, "", [], {})


def some(reply: Mapping[str, Any], *members: str) -> Properties:
    """Those members of a reply that are neither missing nor empty, under the same names."""
    return {name: reply[name] for name in members if reply.get(name) not in _NOTHING}


def renamed(reply: Mapping[str, Any], names: Mapping[str, str]) -> Properties:
    """Property -> member: those that are there and not empty."""
    return {name: reply[member] for name, member in names.items() if reply.get(member) not in _NOTHING}


def tag_map(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The Tags of a template as the map that some services take."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags}


def tags_shown(tags: Mapping[str, str] | Iterable[Mapping[str, Any]], key: str = "Key", value: str = "Value") -> Properties:
    """`{"Tags": […]}` without AWS's own; {} when there are none. key, value: how the service calls a pair's two."""
    held = tags if isinstance(tags, Mapping) else {str(tag[key]): str(tag.get(value, "")) for tag in tags}
    pairs = [{"Key": name, "Value": text} for name, text in users(held).items()]
    return {"Tags": pairs} if pairs else {}
