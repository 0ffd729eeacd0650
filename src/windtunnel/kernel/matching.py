"""What the languages of AWS's filters share (EventBridge's patterns, SNS's filter policies): wildcards and numeric comparisons. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def fits(parts: Sequence[str], value: str) -> bool:
    """Whether a text fits a wildcard, given as the parts between its stars. In one pass: no star is tried twice."""
    if len(parts) == 1:
        return value == parts[0]
    first, *middle, last = parts
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    position, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
