"""What a template is resolved against, and the two values that are not data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError


class Marker:
    """A value that says something about a value. Compared by identity."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNKNOWN: Final = Marker("UNKNOWN")
"""Known only after something was made; whatever a function makes of it is unknown too."""
NO_VALUE: Final = Marker("NO_VALUE")
"""`AWS::NoValue`: the key or the item that holds it is left out. At the very top of a node it is what `resolve` returns."""


def no_resources(name: str, *attribute: str) -> Any:
    raise TemplateError(f"Template error: unresolved resource dependency: {name}")


def no_imports(name: str) -> Any:
    raise TemplateError(f"No export named {name} found.")


def as_written(text: str) -> Any:
    return text


class Scope(msgspec.Struct, frozen=True):
    """The callables may return UNKNOWN. `refs` and `attributes` are asked for resources only; `imports` for an export by name; `dynamic`
    is given every text that holds a `{{resolve:…}}` and returns it with the references replaced."""

    parameters: Mapping[str, Any]
    env: Environment
    conditions: Mapping[str, bool] = {}
    mappings: Mapping[str, Any] = {}
    refs: Callable[[str], Any] = no_resources
    attributes: Callable[[str, str], Any] = no_resources
    imports: Callable[[str], Any] = no_imports
    dynamic: Callable[[str], Any] = as_written
