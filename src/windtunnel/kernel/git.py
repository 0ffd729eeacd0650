"""The seam between git's wire (gateways/git_http.py) and who owns repositories and refs: the part "git".

Invariant: the wire moves no ref itself; it hands updates over and tells git what became of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from windtunnel.kernel.context import Context

ZERO = "0" * 40


class Update(NamedTuple):
    """One ref to move; old and new are commit ids, ZERO for "not there"."""

    ref: str
    old: str
    new: str


class Opened(NamedTuple):
    """A repository as its caller may see it: where its objects are, and its refs (full name -> commit id)."""

    name: str
    repository_id: str
    refs: dict[str, str]


class Moved(NamedTuple):
    """What became of a push. reasons: a refusal in git's words, or None, for each update; the rest is what ref files must now say.

    turn: greater for a later state, so that ref files never go back.
    """

    reasons: list[str | None]
    refs: dict[str, str]
    default_branch: str
    turn: int


class GitHost(Protocol):
    """All repositories of a cloud. With a Context: in its transaction. Without: I/O, in a thread."""

    def open(self, ctx: Context, name: str, action: str, references: list[str]) -> Opened | None:
        """A repository in which the caller may do the action to all the references (AwsError AccessDenied otherwise); None: no such one."""

    def move(self, ctx: Context, opened: Opened, updates: list[Update], summaries: dict[str, str], atomic: bool) -> Moved:
        """Move the refs that may move (all or none if atomic), with their events. summaries: commit id -> its message's first line."""

    def path(self, repository_id: str) -> Path:
        """The bare repository's directory."""

    def environment(self) -> dict[str, str]:
        """What git processes run with."""

    def accept_pack(self, repository_id: str, pack: Path) -> str | None:
        """Take a pushed pack into the object store; the reason when it is broken."""

    def connected(self, repository_id: str, tips: list[str]) -> str | None:
        """Whether everything that the tips reach is here; the reason when something is missing."""

    def not_commits(self, repository_id: str, tips: list[str]) -> set[str]:
        """Those of the objects that are no commits."""

    def summary(self, repository_id: str, commit: str) -> str:
        """The first line of a commit's message; empty for what is not a commit."""

    def project(self, repository_id: str, refs: dict[str, str], default_branch: str, turn: int) -> None:
        """Write the store's refs as ref files, so that git serves them; not if a later state has been written already."""
