"""Chunks of log events: whatever order they are put in, events come out in the order of (timestamp, arrival)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import InProcessCloud
from windtunnel.kernel.records import LogChunk
from windtunnel.services.logs.chunks import SHIFT, Event, backward, body, events, forward, sealed
from windtunnel.store.sqlite import SqliteStore

PUTS = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=6).map(sorted), min_size=1, max_size=12)
FAR = 1 << 100


def chunked(puts: list[list[int]]) -> list[LogChunk]:
    made, seq = [], 1
    for times in puts:
        made.append((times[0], times[-1], seq, 99, body(times, [f"{seq + n}" for n in range(len(times))])))
        seq += len(times)
    return sorted(made, key=lambda chunk: (chunk[0], chunk[2]))


def expected(puts: list[list[int]]) -> list[Event]:
    numbered = enumerate((at for times in puts for at in times), 1)
    return sorted(((at << SHIFT) + number, at, 99, str(number)) for number, at in numbered)


def span(puts: list[list[int]]) -> int:
    return max(times[-1] - times[0] for times in puts)


@given(PUTS, st.integers(-1, 60), st.integers(0, 61))
def test_events_come_in_order_both_ways(puts: list[list[int]], after: int, before: int) -> None:
    low, high = (after << SHIFT) + 3, (before << SHIFT) + 2
    wanted = [event for event in expected(puts) if low < event[0] < high]
    assert list(forward(chunked(puts), low, high)) == wanted
    assert list(backward(chunked(puts)[::-1], low, high, span(puts))) == wanted[::-1]


def test_a_thousand_chunks_at_one_moment_are_read_lazily() -> None:
    puts = [[7]] * 1_000
    read = 0

    def counted(chunks: list[LogChunk]) -> Iterator[LogChunk]:
        nonlocal read
        for chunk in chunks:
            read += 1
            yield chunk

    found = forward(counted(chunked(puts)), -1, FAR)
    assert [next(found)[3] for _ in range(3)] == ["1", "2", "3"] and read < 6
    read = 0
    found = backward(counted(chunked(puts)[::-1]), -1, FAR, 0)
    assert [next(found)[3] for _ in range(3)] == ["1000", "999", "998"] and read < 6


def test_a_sealed_chunk_asks_for_its_key_by_name() -> None:
    chunk = (5, 5, 1, 9, sealed("key-1", b"ciphertext"))
    asked: list[tuple[str, bytes]] = []

    def unseal(name: str, data: bytes) -> bytes:
        asked.append((name, data))
        return body([5], ["hello"])

    assert events(chunk, unseal) == [((5 << SHIFT) + 1, 5, 9, "hello")]
    assert asked == [("key-1", b"ciphertext")]
    with pytest.raises(ValueError, match="key"):
        events(chunk)


def test_rows_of_the_schema_before_are_gathered_into_chunks(tmp_path: Path) -> None:
    """As release 0.1.0 wrote them: a row for each event."""
    path = tmp_path / "cloud.db"
    store = SqliteStore(path)
    store.write.execute("DROP TABLE logs")
    store.write.execute(
        "CREATE TABLE log (stream TEXT NOT NULL, ts INTEGER NOT NULL, seq INTEGER NOT NULL, ingested INTEGER NOT NULL,"
        " message TEXT NOT NULL, PRIMARY KEY (stream, ts, seq)) WITHOUT ROWID"
    )
    account = "123456789012/us-east-1/"
    rows = [(f"{account}g\x00a", 1_000 + n * 40, 3_000 - n, 5 + n, f"m{n}") for n in range(2_500)]
    rows += [(f"{account}g\x00b", 7, 1, 8, "only")]
    store.write.executemany("INSERT INTO log VALUES (?,?,?,?,?)", rows)
    store.write.execute("INSERT OR REPLACE INTO meta VALUES ('schema', '2')")
    store.write.execute("INSERT OR REPLACE INTO meta VALUES ('log_seq', '2500')")
    store.close()
    store = SqliteStore(path)
    try:
        with store.thread_snapshot("123456789012", "us-east-1") as tx:
            chunks = list(tx.read_logs("g", "a", low=0, high=1 << 62, since=0))
            found = list(forward(chunks, -1, FAR))
            assert [(event[1], event[2], event[3]) for event in found] == [(ts, ingested, text) for _, ts, _, ingested, text in rows[:-1]]
            assert [event[0] & ((1 << SHIFT) - 1) for event in found] == [seq for _, _, seq, _, _ in rows[:-1]]
            assert len(chunks) > 1 and max(chunk[1] - chunk[0] for chunk in chunks) <= 60_000
            assert [event[3] for event in forward(tx.read_logs("g", "b", low=0, high=9, since=0), -1, FAR)] == ["only"]
        assert store.write.execute("SELECT 1 FROM sqlite_master WHERE name='log'").fetchone() is None
    finally:
        store.close()


def test_a_cloud_goes_on_numbering_where_it_was(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        first = cloud.write(lambda ctx: ctx.tx.append_logs("g", "a", 1, 2, 10, 3, b"P"))
        assert cloud.write(lambda ctx: ctx.tx.append_logs("g", "b", 1, 2, 1, 3, b"P")) == first + 10
    with InProcessCloud(tmp_path) as cloud:
        assert cloud.write(lambda ctx: ctx.tx.append_logs("g", "a", 1, 2, 1, 3, b"P")) == first + 11
