"""`#{namespace.key}` references: finding them in a declaration, and putting values in their place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

REFERENCE = re.compile(r"#\{([^{}]*)\}")
QUALIFIED = re.compile(r"([A-Za-z0-9@\-_]{1,100})\.([A-Za-z0-9@\-_]{1,128})\Z")
EXECUTION_NAMESPACE = "codepipeline"
PIPELINE_NAMESPACE = "variables"


def references(text: str) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """Each reference in the text as written, with its (namespace, key), None where it has no such form."""
    for found in REFERENCE.finditer(text):
        qualified = QUALIFIED.match(found[1])
        yield found[0], (qualified[1], qualified[2]) if qualified else None


class Unresolved(Exception):
    """A reference that has no value; its text is the reference."""


def resolve(text: str, values: Mapping[str, Mapping[str, str]]) -> str:
    """The text with every reference replaced. values: namespace -> key -> value. Raises Unresolved."""

    def value(found: re.Match[str]) -> str:
        qualified = QUALIFIED.match(found[1])
        known = values.get(qualified[1], {}).get(qualified[2]) if qualified else None
        if known is None:
            raise Unresolved(found[0])
        return known

    return REFERENCE.sub(value, text)
