"""Which condition keys policies ask for: in conditions, and as policy variables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from windtunnel.iam.conditions import condition_values
from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed

_VARIABLE = re.compile(r"\$\{\s*([^{},\s*?$]+)\s*(?:,\s*'[^']*'\s*)?\}")


def context_keys(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys that the documents name, each once (case aside), in the order of their first use."""
    found: dict[str, str] = {}
    for document in documents:
        for statement in statements_of(document):
            for key in _of_statement(statement, document.get("Version") == "2012-10-17"):
                found.setdefault(key.lower(), key)
    return list(found.values())


def _of_statement(statement: Mapping[str, Any], variables: bool) -> Iterable[str]:
    texts: list[str] = [text for element in ("Resource", "NotResource") for text in listed(statement.get(element, ()))]
    for operator in statement.get("Condition", {}).values():
        for key, values in operator.items():
            yield key
            texts += condition_values(values)
    if variables:
        for text in texts:
            yield from _VARIABLE.findall(text)
