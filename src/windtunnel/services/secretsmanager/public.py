"""Whether a resource policy opens a secret to everyone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.iam.conditions import condition_values, parse_operator
from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import compile_principals

_NARROWING = (
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "kms:calleraccount",
)


def is_public(document: Mapping[str, Any]) -> bool:
    """A statement lets everyone in unless a condition on who or whence, with a fixed value, keeps most of them out."""
    return any(_opens(item) for item in statements_of(document))


def _opens(item: Mapping[str, Any]) -> bool:
    if item["Effect"] != "Allow" or "Principal" not in item or not compile_principals(item["Principal"]).everyone:
        return False
    for operator, keys in item.get("Condition", {}).items():
        name = parse_operator(operator)
        if name is None or name.if_exists or name.base.endswith("NotEquals") or "Not" in name.base or name.base == "Null":
            continue
        for key, values in keys.items():
            if key.lower() in _NARROWING and all(_fixed(text) for text in condition_values(values)):
                return False
    return True


def _fixed(value: str) -> bool:
    return value != "*" and "${" not in value and not value.startswith("*")
