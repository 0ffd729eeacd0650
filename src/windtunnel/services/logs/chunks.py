"""A chunk's body, and the events of many chunks in order. Pure.

Invariant: events come in the order of (timestamp, arrival), whatever order the chunks were put in; `position` is one integer that orders
so: timestamp * 2^40 + number.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

import msgspec

from windtunnel.kernel.records import LogChunk
from windtunnel.kernel.typed import packed_decoder

SHIFT = 40
NUMBER = (1 << SHIFT) - 1
Event = tuple[int, int, int, str]
"""(position, timestamp, time of arrival, message)."""
Unseal = Callable[[str, bytes], bytes]
"""(name of the data key, sealed) -> plain."""
PLAIN, NUMBERED, SEALED = b"P", b"N", b"S"

_encode = msgspec.msgpack.Encoder().encode
_plain = packed_decoder(tuple[list[int], list[str]]).decode
_numbered = packed_decoder(tuple[list[int], list[str], list[int], list[int]]).decode


def body(times: list[int], messages: list[str]) -> bytes:
    return PLAIN + _encode((times, messages))


def sealed(key: str, ciphertext: bytes) -> bytes:
    name = key.encode()
    return SEALED + bytes((len(name),)) + name + ciphertext


def events(chunk: LogChunk, unseal: Unseal | None = None) -> list[Event]:
    """The events of a chunk, in order."""
    _, _, seq, ingested, data = chunk
    if data[:1] == SEALED:
        length = data[1]
        if unseal is None:
            raise ValueError("a sealed chunk needs its key")
        data = unseal(data[2 : 2 + length].decode(), data[2 + length :])
    if data[:1] == NUMBERED:
        times, messages, numbers, arrivals = _numbered(memoryview(data)[1:])
        return [
            ((at << SHIFT) + number, at, arrival, message)
            for at, message, number, arrival in zip(times, messages, numbers, arrivals, strict=True)
        ]
    times, messages = _plain(memoryview(data)[1:])
    return [((at << SHIFT) + n, at, ingested, message) for n, (at, message) in enumerate(zip(times, messages, strict=True), seq)]


def forward(chunks: Iterable[LogChunk], low: int, high: int, unseal: Unseal | None = None) -> Iterator[Event]:
    """Events with low < position < high of chunks that come in order of (first, seq)."""
    held: list[Event] = []
    for chunk in chunks:
        start = (chunk[0] << SHIFT) + chunk[2]
        if held:
            # Nothing that comes from now on is before this chunk's first event.
            if held[-1][0] < start:
                yield from held
                held = []
            else:
                cut = bisect_left(held, (start,))
                yield from held[:cut]
                held = held[cut:]
        found = events(chunk, unseal)
        if found[0][0] <= low or found[-1][0] >= high:
            found = found[bisect_left(found, (low + 1,)) : bisect_left(found, (high,))]
        held = sorted(held + found) if held else found
    yield from held


def backward(chunks: Iterable[LogChunk], low: int, high: int, span: int, unseal: Unseal | None = None) -> Iterator[Event]:
    """As forward, from the last event down, of chunks in descending order of (first, seq); no chunk is longer than `span` ms."""
    held: list[tuple[int, Event]] = []
    for chunk in chunks:
        # Nothing that comes from now on is after `bound`; chunks without a span do not overlap at all.
        bound = ((chunk[0] + span) << SHIFT) + NUMBER if span else -1
        while held and -held[0][0] > bound:
            yield heapq.heappop(held)[1]
        for event in events(chunk, unseal):
            if low < event[0] < high:
                heapq.heappush(held, (-event[0], event))
    while held:
        yield heapq.heappop(held)[1]
