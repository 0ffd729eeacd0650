"""Whether a bucket policy makes a bucket public. Pure.

Source: S3 User Guide, "The meaning of 'public'": an Allow for everybody is public unless a condition pins a fixed value of one of
the keys that say who or where the caller is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed

_PINNING = frozenset(
    {
        "aws:sourceip",
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceowner",
        "aws:sourceaccount",
        "aws:userid",
        "aws:principalorgid",
        "aws:principalarn",
        "aws:principalaccount",
        "s3:dataaccesspointarn",
        "s3:dataaccesspointaccount",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
_PINNING_OPERATORS = ("stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress")


def is_public(document: Mapping[str, Any]) -> bool:
    """document: a valid bucket policy."""
    return any(item["Effect"] == "Allow" and _for_everybody(item) and not _pinned(item) for item in statements_of(document))


def _for_everybody(item: Mapping[str, Any]) -> bool:
    principal = item.get("Principal")
    if isinstance(principal, Mapping):
        return "*" in listed(principal.get("AWS", ()))
    return principal == "*"


def _pinned(item: Mapping[str, Any]) -> bool:
    for operator, keys in item.get("Condition", {}).items():
        if operator.lower().removeprefix("foranyvalue:") not in _PINNING_OPERATORS:
            continue
        for key, values in keys.items():
            if key.lower() in _PINNING and not any(_open(key.lower(), str(value)) for value in listed(values)):
                return True
    return False


def _open(key: str, value: str) -> bool:
    """A value that pins nothing: a bare wildcard, a policy variable, or more than a /8 of addresses."""
    if "${" in value or value in ("", "*"):
        return True
    if key == "aws:sourceip":
        _, slash, bits = value.partition("/")
        return bool(slash) and bits.isdecimal() and len(bits) < 4 and int(bits) < (32 if ":" in value else 8)
    return False
