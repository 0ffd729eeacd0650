"""The condition operators: what each says of one value from the request.

Invariant: every operator is a positive test plus a flag that turns it round; what a missing key, a set of values or `IfExists`
mean is `conditions`' business and the same for all of them. A value that is not of the operator's type matches nothing.
"""

from __future__ import annotations

import operator
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from windtunnel.iam.arns import arn_matcher
from windtunnel.iam.wildcards import matcher

Test = Callable[[str], bool]
_SECONDS = re.compile(r"-?[0-9]{1,19}")

# From a condition's values (in the operator's text form) to the test "the request's value matches one of them".
Build = Callable[[Sequence[str]], Test]
_Compare = Callable[[float, float], bool]


class Operator(NamedTuple):
    build: Build
    negated: bool = False
    wildcards: bool = False  # `*` and `?` in its values are wildcards
    variables: bool = False  # policy variables are replaced in its values


def _equals(values: Sequence[str]) -> Test:
    return frozenset(values).__contains__


def _equals_ignoring_case(values: Sequence[str]) -> Test:
    folded = frozenset(value.casefold() for value in values)
    return lambda value: value.casefold() in folded


def _like(values: Sequence[str]) -> Test:
    tests = [matcher(value) for value in values]
    return lambda value: any(test(value) for test in tests)


def _arn_like(values: Sequence[str]) -> Test:
    tests = [arn_matcher(value) for value in values]
    return lambda value: any(test(value) for test in tests)


def number(text: str) -> float | None:
    """A decimal number; None if the text is none (`nan` and `inf` are not numbers to IAM)."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 else None


def moment(text: str) -> float | None:
    """Epoch seconds of an ISO 8601 date or of a number of seconds; None if the text is neither."""
    if _SECONDS.fullmatch(text):
        return number(text) if abs(int(text)) < 1 << 63 else None
    try:
        value = datetime.fromisoformat(text.upper())
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _ordered(read: Callable[[str], float | None], compare: _Compare) -> Build:
    def build(values: Sequence[str]) -> Test:
        limits = [limit for limit in map(read, values) if limit is not None]

        def test(value: str) -> bool:
            given = read(value)
            return given is not None and any(compare(given, limit) for limit in limits)

        return test

    return build


def _boolean(values: Sequence[str]) -> Test:
    wanted = frozenset(value.lower() for value in values)
    return lambda value: value.lower() in wanted


def _binary(values: Sequence[str]) -> Test:
    wanted = {decoded for decoded in map(_decoded, values) if decoded is not None}
    return lambda value: _decoded(value) in wanted


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return None


def _in_networks(values: Sequence[str]) -> Test:
    from ipaddress import ip_address, ip_network

    networks = []
    for value in values:
        try:
            networks.append(ip_network(value, strict=False))
        except ValueError:
            continue

    def test(value: str) -> bool:
        try:
            address = ip_address(value)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return test


def _operators() -> dict[str, Operator]:
    table = {
        "StringEquals": Operator(_equals, variables=True),
        "StringNotEquals": Operator(_equals, negated=True, variables=True),
        "StringEqualsIgnoreCase": Operator(_equals_ignoring_case, variables=True),
        "StringNotEqualsIgnoreCase": Operator(_equals_ignoring_case, negated=True, variables=True),
        "StringLike": Operator(_like, wildcards=True, variables=True),
        "StringNotLike": Operator(_like, negated=True, wildcards=True, variables=True),
        "ArnEquals": Operator(_arn_like, wildcards=True, variables=True),
        "ArnLike": Operator(_arn_like, wildcards=True, variables=True),
        "ArnNotEquals": Operator(_arn_like, negated=True, wildcards=True, variables=True),
        "ArnNotLike": Operator(_arn_like, negated=True, wildcards=True, variables=True),
        "Bool": Operator(_boolean),
        "BinaryEquals": Operator(_binary),
        "IpAddress": Operator(_in_networks),
        "NotIpAddress": Operator(_in_networks, negated=True),
    }
    for family, read in (("Numeric", number), ("Date", moment)):
        table[f"{family}Equals"] = Operator(_ordered(read, operator.eq))
        table[f"{family}NotEquals"] = Operator(_ordered(read, operator.eq), negated=True)
        table[f"{family}LessThan"] = Operator(_ordered(read, operator.lt))
        table[f"{family}LessThanEquals"] = Operator(_ordered(read, operator.le))
        table[f"{family}GreaterThan"] = Operator(_ordered(read, operator.gt))
        table[f"{family}GreaterThanEquals"] = Operator(_ordered(read, operator.ge))
    return table


OPERATORS = _operators()
