"""Parameter policies: when a parameter expires, and when somebody must be told. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from windtunnel.kernel.errors import AwsError

TYPES = ("Expiration", "ExpirationNotification", "NoChangeNotification")
MAX_POLICIES = 10
_UNITS = {"Hours": 3600.0, "Days": 86400.0}
_DAY = 86400.0


class ParameterPolicy(msgspec.Struct, frozen=True):
    """One policy. text: as it was given; at: epoch seconds for an expiration; seconds: before it, or after the last change."""

    type: str
    text: str
    at: float = 0.0
    seconds: float = 0.0
    status: Literal["Pending", "Finished"] = "Pending"

    def shown(self) -> dict[str, str]:
        """The ParameterInlinePolicy shape."""
        return {"PolicyText": self.text, "PolicyType": self.type, "PolicyStatus": self.status}


def parse(text: str, now: float) -> list[ParameterPolicy]:
    """The policies of a request; `[{}]` has none. Raises AwsError in AWS's words."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise _attribute("Policies must be a JSON array of policies.")
    found = [_parsed(item, now) for item in given if item]
    if len(found) > MAX_POLICIES:
        raise AwsError("PoliciesLimitExceededException", f"A parameter can have at most {MAX_POLICIES} policies.")
    expirations = [policy for policy in found if policy.type == "Expiration"]
    if len(expirations) > 1:
        raise AwsError("IncompatiblePolicyException", "There can be only one Expiration policy for a parameter.")
    if any(policy.type == "ExpirationNotification" for policy in found) and not expirations:
        raise AwsError("IncompatiblePolicyException", "An ExpirationNotification policy needs an Expiration policy.")
    return found


def _attribute(words: str) -> AwsError:
    return AwsError("InvalidPolicyAttributeException", words)


def _parsed(item: dict[str, Any], now: float) -> ParameterPolicy:
    kind, attributes = item.get("Type"), item.get("Attributes")
    if kind not in TYPES:
        words = f"The policy type isn't supported. Parameter Store supports the following policy types: {', '.join(TYPES)}."
        raise AwsError("InvalidPolicyTypeException", words)
    if item.get("Version", "1.0") != "1.0" or not isinstance(attributes, dict):
        raise _attribute(f"A policy of type {kind} has the version 1.0 and attributes.")
    text = json.dumps(item, separators=(",", ":"))
    if kind == "Expiration":
        at = _timestamp(attributes.get("Timestamp"))
        if at <= now:
            raise _attribute("The expiration time must be in the future.")
        return ParameterPolicy(kind, text, at=at)
    return ParameterPolicy(kind, text, seconds=_span(attributes, "Before" if kind == "ExpirationNotification" else "After"))


def _timestamp(value: Any) -> float:
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise _attribute("An Expiration policy needs a Timestamp such as 2030-12-02T21:34:33.000Z.") from None


def _span(attributes: dict[str, Any], name: str) -> float:
    amount, unit = str(attributes.get(name, "")), attributes.get("Unit")
    if unit not in _UNITS or not amount.isascii() or not amount.isdigit() or not 0 < int(amount[:6]) <= 99_999:
        raise _attribute(f"The policy needs {name}, a whole number, and Unit, which is Days or Hours.")
    return int(amount) * _UNITS[unit]
