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
    return _by_field([matcher(field) for field in fields])


def _by_field(tests: list[Matcher]) -> Matcher:
    def match(arn: str) -> bool:
        parts = arn.split(":", _FIELDS - 1)
        return len(parts) == _FIELDS and all(test(part) for test, part in zip(tests, parts, strict=True))

    return match
