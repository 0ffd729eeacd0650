"""The provider schemas' patterns are Java's, and found anywhere in a value: this makes Python's of them, once a pattern and when it is first needed.

Invariant: what a pattern cannot be asked without risk (it may backtrack for ever, or Python cannot say it) it accepts; the service itself decides then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from windtunnel.wire.protocols.patterns import expression_of

_expression = lru_cache(maxsize=1024)(expression_of)


def searcher(source: str) -> Callable[[str], bool]:
    """value -> whether the pattern is found in it."""

    def fits(value: str) -> bool:
        expression = _expression(source)
        return expression is None or len(value) > expression[1] or expression[0].search(value) is not None

    return fits
