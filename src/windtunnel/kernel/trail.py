"""The trail behind `windtunnel why`: one line for each thing that happened, linked by the cause it happened for.

Invariant: a line is written in the transaction that made the thing true, so the trail never tells what did not happen.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, ClassVar, Literal

from windtunnel.kernel.records import Record, RecordScope

if TYPE_CHECKING:
    from windtunnel.kernel.context import Context


class TrailLine(Record, kw_only=True):
    """subjects: identifiers under which a person may ask (`d-ABC`, a build id, a commit, an execution id)."""

    KIND: ClassVar[str] = "why.line"
    SCOPE: ClassVar[RecordScope] = "cloud"
    INDEXES: ClassVar = {"cause": "cause", "subject": lambda line: line.subjects}

    id: str
    cause: str
    at: float
    subjects: list[str]
    text: str
    level: Literal["info", "error"] = "info"

    def key(self) -> str:
        return self.id


_ORDER = count()
"""Lines of one transaction share its time; this keeps them in the order in which they were written."""


def trail(ctx: Context, subjects: list[str], text: str, *, level: Literal["info", "error"] = "info") -> None:
    """Say that something has happened (in this transaction), to whom it belongs and, through ctx.cause, why."""
    line = TrailLine(
        id=f"{int(ctx.now * 1e6):020d}-{next(_ORDER):09d}-{ctx.ids.hex(6)}",
        cause=ctx.cause or "none",
        at=ctx.now,
        subjects=subjects,
        text=text,
        level=level,
    )
    ctx.tx.put(line)
