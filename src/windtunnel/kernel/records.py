"""What is kept, and the one interface through which it is kept.

Invariant: a record is found under (kind, scope, key) only; its declared indexes always agree with its fields, because the
store derives them inside the same transaction that writes the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

import msgspec

from windtunnel.kernel.queues import Queues

RecordScope = Literal["region", "account", "cloud"]


class Record(msgspec.Struct, kw_only=True):
    """A stored document. Subclasses set KIND (unique, `service.noun`), SCOPE, and implement `key()`.

    INDEXES: index name -> field name, or a function from the record to the value(s) under which it is found.
    ONCE: read once a transaction and then known, for what each of many parts asks again; nobody changes one in place.
    SCHEMA: raised when the shape changes; MIGRATIONS[n] turns a raw document of schema n into n+1.
    """

    KIND: ClassVar[str]
    SCOPE: ClassVar[RecordScope] = "region"
    ONCE: ClassVar[bool] = False
    SEALS: ClassVar[bool] = False
    SCHEMA: ClassVar[int] = 1
    INDEXES: ClassVar[Mapping[str, str | Callable[[Any], Iterable[str]]]] = {}
    MIGRATIONS: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}

    def key(self) -> str:
        """The record's name within its kind and scope."""
        raise TypeError(f"{type(self).__name__} has no key()")


class Sealable(Record, kw_only=True):
    """A document that may hold secrets. sealed: that it does; at rest then all of it is what the cloud's sealer made of it, and beside that stands its
    `shell` in the clear, from which the same indexes follow.

    Whoever reads through a transaction gets it whole; a record that was written before its kind was sealed stands in the clear until it is written again.
    """

    SEALS: ClassVar[bool] = True

    sealed: bool | bytes = False

    def shell(self) -> Self:
        """A copy of what may be read by whoever has the file: no secrets."""
        raise TypeError(f"{type(self).__name__} has no shell()")


R = TypeVar("R", bound=Record)


class Conflict(Exception):
    """A put with an expected version met another one, or an insert met an existing record."""


LogChunk = tuple[int, int, int, int, bytes]
"""Events of a log stream as they were put: (first and last timestamp, number of the first event, time of arrival in ms, body)."""


class Tx(Protocol):
    """A transaction, bound to a scope (account, region). Reads see one snapshot; writes commit together or not at all."""

    @property
    def queues(self) -> Queues:
        """The messages that wait in queues, whatever the scope: a queue is a number."""

    def get(self, kind: type[R], key: str) -> R | None:
        """The record, or None."""

    def version(self, kind: type[Record], key: str) -> int:
        """The stored version of a record (1, 2, …); 0 when there is none."""

    def put(self, record: Record, expected: int | None = None) -> None:
        """Write (insert or replace). expected: the version it must have now (0: must not exist), else `Conflict`."""

    def put_all(self, records: Sequence[Record]) -> None:
        """As `put` for each, and quicker for kinds without indexes."""

    def insert(self, record: Record) -> None:
        """Write a new record; `Conflict` when one exists under that key."""

    def insert_all(self, records: Sequence[Record]) -> None:
        """As `insert` for each, and quicker."""

    def delete(self, kind: type[Record], key: str) -> bool:
        """Remove; False when there was none."""

    def scan(self, kind: type[R], *, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[R]:
        """Records of this scope in key order, whose key starts with prefix and is greater than `after`."""

    def count(self, kind: type[Record], *, prefix: str = "", index: str = "") -> int:
        """How many records of this scope have keys that start with prefix; index: how many values stand under it that do."""

    def scan_back(self, kind: type[R], *, prefix: str = "", before: str | None = None, limit: int | None = None) -> list[R]:
        """As scan, from the greatest key down."""

    def find(self, kind: type[R], index: str, value: str, *, after: str | None = None, limit: int | None = None) -> list[R]:
        """Records of this scope whose declared index has that value, in key order."""

    def everywhere(self, kind: type[R]) -> list[tuple[str, str, R]]:
        """(account, region, record) over all scopes: for repair at start and for listeners that serve all accounts."""

    def within(self, account: str, region: str) -> Tx:
        """The same transaction seen from another account and region."""

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run on the server's loop once this transaction is durable (write transactions only)."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of the transaction that is undone alone when the block raises (write transactions only)."""

    def append_logs(self, group: str, stream: str, first: int, last: int, count: int, ingested: int, body: bytes) -> int:
        """Keep a chunk of `count` events of a log stream of this scope; times in ms. Returns the number of its first event."""

    def read_logs(self, group: str, stream: str, *, low: int, high: int, since: int, forward: bool = True) -> Iterator[LogChunk]:
        """Chunks whose first event is in [low, high) and whose last is not before `since`, in order of (first, number)."""

    def drop_logs(self, group: str, stream: str | None = None, before: int | None = None, limit: int = -1) -> int:
        """Forget a group's events, a stream's, or at most `limit` of its chunks that ended before a time. Returns how many chunks."""

    def append_audit(self, seq: int, body: bytes) -> None:
        """Keep a group of notes of calls (services/cloudtrail) of this scope; seq: microseconds, greater than any before."""

    def read_audit(self, *, after: int = 0, before: int = 1 << 62, limit: int = 100, newest_first: bool = False) -> list[tuple[int, bytes]]:
        """(seq, body) of this scope's groups with after < seq < before."""

    def drop_audit(self, before: int, limit: int) -> int:
        """Forget at most `limit` groups of this scope older than `before`. Returns how many."""

    def audited(self) -> list[tuple[str, str]]:
        """(account, region) of every scope that has groups of notes."""
