"""The seam to messages that wait in queues: a table of their own, for a queue is written at each send, receive and delete.

A queue is a number that its service chose; times are epoch milliseconds. Invariants: a message is claimed by at most one receiver
until its `visible` has passed; a message of a group is never claimed before an older one of that group, nor while one is in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Held(NamedTuple):
    """A message as it stands in its queue.

    taken: how often it was received from this queue (0: never), which also tells one receipt from another; receives: how often from
    any, also before it came here from another queue; first, last: its first and its latest receipt, 0 when there was none.
    """

    seq: int
    group: str | None
    visible: int
    sent: int
    receives: int
    taken: int
    first: int
    last: int
    meta: bytes
    body: bytes


class Depth(NamedTuple):
    """How many messages can be received, are delayed, are in flight."""

    visible: int
    delayed: int
    in_flight: int


class Queues(Protocol):
    """What a transaction can do with messages. `after` leaves out those that were sent at that time or before: they have expired."""

    def send(self, queue: int, sent: int, visible: int, meta: bytes, body: bytes, group: str | None = None, receives: int = 0) -> int:
        """Append a message; its sequence number, greater than any that was given out before."""

    def claim(self, queue: int, now: int, until: int, limit: int, after: int) -> list[Held]:
        """Take up to `limit` messages, the longest visible first, and hide them until then."""

    def claim_in_order(self, queue: int, now: int, until: int, limit: int, after: int) -> list[Held]:
        """As claim, from the heads of groups of which none is in flight."""

    def find(self, queue: int, seq: int) -> Held | None: ...

    def delete(self, queue: int, seq: int, taken: int) -> bool:
        """Remove a message, if that is its latest receipt."""

    def hide(self, queue: int, seq: int, taken: int, now: int, until: int) -> bool:
        """Change until when a message in flight is hidden; False when it is not in flight by that receipt."""

    def settle(self, queue: int, group: str, now: int) -> None:
        """Bring a group's readiness up to date after one of its messages was removed, hidden or shown."""

    def move(self, seq: int, queue: int, sent: int, now: int, meta: bytes, group: str | None) -> None:
        """Put a message into another queue, visible now and never received there."""

    def peek(self, queue: int, now: int, limit: int) -> list[Held]:
        """Messages that can be received, the longest visible first; nothing changes."""

    def depth(self, queue: int, now: int) -> Depth: ...

    def next_visible(self, queue: int, now: int, *, groups: bool) -> int | None:
        """When the next message that is hidden now shows itself."""

    def oldest(self, queue: int) -> int | None:
        """When the oldest message was sent; None for an empty queue. Looks through the whole queue: not for the loop."""

    def expired(self, queue: int, until: int, limit: int) -> list[int]:
        """The numbers of messages that were sent at that time or before. Looks through the whole queue: not for the loop."""

    def remove(self, queue: int, seqs: Sequence[int], now: int) -> None:
        """Remove messages, whoever has received them."""

    def drop(self, queue: int, limit: int) -> int:
        """Remove up to `limit` messages of a queue that is no more; how many went."""

    def empty(self, queue: int, memory: int) -> bool:
        """Whether a queue that is no more has left nothing to remove (see `drop`, and `forget` for its memory)."""

    def recall(self, queue: int, key: str, now: int) -> bytes | None:
        """What was remembered under a key, unless its time has passed."""

    def remember(self, queue: int, key: str, until: int, value: bytes, now: int) -> None:
        """Keep a value under a key until then; some that have passed are forgotten."""

    def forget(self, queue: int, limit: int) -> int:
        """Forget up to `limit` of what was remembered for a queue that is no more; how many went."""
