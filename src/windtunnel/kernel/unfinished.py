"""Texts whose last part is made when somebody first reads them: a message in a queue that nobody receives needs no signature.

Invariant: finishing is pure in the text and in keys that never change, so that whoever reads it, however often, reads the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from windtunnel.kernel.context import Context

Finish = Callable[["Context", str], str]
F = TypeVar("F", bound=Finish)
FINISHERS: dict[str, Finish] = {}


class Unfinished(str):
    """A text of its final length, to be finished by the finisher of this name. by: as it was registered (`sns`)."""

    by: str

    def __new__(cls, text: str, by: str) -> Unfinished:
        made = super().__new__(cls, text)
        made.by = by
        return made


def finishes(name: str) -> Callable[[F], F]:
    """Register who finishes the texts of this name: called in the transaction in which they are read."""

    def register(finish: F) -> F:
        FINISHERS[name] = finish
        return finish

    return register
