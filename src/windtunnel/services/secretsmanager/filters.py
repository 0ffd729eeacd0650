"""Filters of ListSecrets and BatchGetSecretValue (User Guide, "Find secrets"). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from windtunnel.kernel.errors import AwsError
from windtunnel.services.secretsmanager.model import Secret

Test = Callable[[Secret, str], bool]
"""(secret, region) -> whether it passes."""
_VALUE = re.compile(r"!?[a-zA-Z0-9 :_@/+=.\-!]*\Z")
_WORD = re.compile(r"[A-Z]*[a-z]+|[A-Z]+|\d+")
_FIELDS: dict[str, Callable[[Secret, str], Iterable[str]]] = {
    "name": lambda secret, region: [secret.name],
    "description": lambda secret, region: [secret.description],
    "tag-key": lambda secret, region: secret.tags.keys(),
    "tag-value": lambda secret, region: secret.tags.values(),
    "primary-region": lambda secret, region: [secret.primary or region] if secret.replicas or secret.primary else [],
    "owning-service": lambda secret, region: [],
}


def compile_filters(filters: list[dict[str, Any]]) -> Test:
    """A secret passes when it passes each filter, and a filter when one of its values fits (for `!value`: when none does)."""
    tests = [_compiled(item.get("Key"), item.get("Values")) for item in filters]
    return lambda secret, region: all(test(secret, region) for test in tests)


def _compiled(key: str | None, values: list[str] | None) -> Test:
    if key is None:
        raise AwsError("InvalidParameterException", "Invalid filter key")
    if not values:
        raise AwsError("InvalidParameterException", f"Invalid filter values for key: {key}")
    for value in values:
        if len(value) > 512 or _VALUE.match(value) is None:
            raise AwsError("InvalidParameterException", f"Invalid filter value for key: {key}")
    wanted = [value for value in values if not value.startswith("!")]
    unwanted = [value[1:] for value in values if value.startswith("!")]
    fits = _in_all if key == "all" else _prefixed(key)

    def test(secret: Secret, region: str) -> bool:
        if wanted and not any(fits(secret, region, value) for value in wanted):
            return False
        return not any(fits(secret, region, value) for value in unwanted)

    return test


def _prefixed(key: str) -> Callable[[Secret, str, str], bool]:
    field = _FIELDS[key]
    if key == "description":
        return lambda secret, region, value: any(text.lower().startswith(value.lower()) for text in field(secret, region))
    return lambda secret, region, value: any(text.startswith(value) for text in field(secret, region))


def _in_all(secret: Secret, region: str, value: str) -> bool:
    """Any word of the value begins a word of any attribute."""
    words = _words(value)
    texts = [text for field in _FIELDS.values() for text in field(secret, region)]
    return any(own.startswith(word) for text in texts for own in _words(text) for word in words)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
