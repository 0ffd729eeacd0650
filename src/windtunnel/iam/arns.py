"""Matching of ARN patterns, field by field.

Invariant: a wildcard never crosses one of an ARN's first five colons: `arn:aws:s3:*:x` cannot match a bucket that is called
`a:x`. A pattern with fewer than six fields is completed with `*`, as IAM does.
"""

from __future__ import annotations

from functools import lru_cache

from windtunnel.iam.wildcards import ANY_RUN, Matcher, anything, has_marks, matcher

_FIELDS = 6


@lru_cache(maxsize=4096)
def arn_matcher(pattern: str) -> Matcher:
    """A test of ARNs (or the bare resource `*`) against a pattern in marked form."""
    if not pattern.strip(ANY_RUN):
        return anything if pattern else matcher(pattern)
    fields = pattern.split(":", _FIELDS - 1)
    fields += [ANY_RUN] * (_FIELDS - len(fields))
    if not any(has_marks(field) for field in fields[:-1]):
        # The leading fields are literal, so matching the whole text cannot let a wildcard cross them.
        return matcher(":".join(fields))
    return _by_field([(i, test) for i, field in enumerate(fields) if (test := matcher(field)) is not anything])


def _by_field(tests: list[tuple[int, Matcher]]) -> Matcher:
    def match(arn: str) -> bool:
        parts = arn.split(":", _FIELDS - 1)
        if len(parts) != _FIELDS:
            return False
        for i, test in tests:  # noqa: SIM110 - a loop costs half of what all() over a generator does
            if not test(parts[i]):
                return False
        return True

    return match
