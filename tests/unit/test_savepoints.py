"""Parts of a transaction: undone alone whatever they are nested in, told to SQLite only when there is something between them, and what is read once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from windtunnel.kernel.records import Conflict, Record
from windtunnel.store.sqlite import SqliteStore, SqliteTx


class Note(Record, kw_only=True):
    KIND: ClassVar[str] = "savepoints.note"
    INDEXES: ClassVar = {"text": "text"}
    name: str
    text: str

    def key(self) -> str:
        return self.name


class Current(Record, kw_only=True):
    KIND: ClassVar[str] = "savepoints.current"
    ONCE: ClassVar[bool] = True
    name: str
    number: int

    def key(self) -> str:
        return self.name


class Undone(Exception):
    pass


@pytest.fixture()
def tx(tmp_path: Path) -> Iterator[SqliteTx]:
    store = SqliteStore(tmp_path / "cloud.db")
    store.write.execute("BEGIN IMMEDIATE")
    yield SqliteTx(store.write, "1", "r", [])
    store.write.execute("ROLLBACK")
    store.close()


def told(tx: SqliteTx) -> list[str]:
    statements: list[str] = []
    tx.connection.set_trace_callback(lambda said: statements.append(said) if "part" in said else None)
    return statements


def test_a_part_that_begins_with_the_one_around_it_is_that_one(tx: SqliteTx) -> None:
    said = told(tx)
    with tx.savepoint(), tx.savepoint(), tx.within("2", "s").savepoint():
        tx.put(Note(name="a", text="x"))
    assert said == ["SAVEPOINT part", "RELEASE part"]


def test_a_part_after_a_change_is_undone_alone(tx: SqliteTx) -> None:
    said = told(tx)
    with tx.savepoint():
        tx.put(Note(name="a", text="x"))
        with pytest.raises(Undone), tx.savepoint():
            tx.put(Note(name="b", text="y"))
            raise Undone
    assert [note.name for note in tx.scan(Note)] == ["a"]
    assert said == ["SAVEPOINT part", "SAVEPOINT part", "ROLLBACK TO part", "RELEASE part", "RELEASE part"]


def test_what_was_undone_inside_can_be_done_otherwise_and_undone_again(tx: SqliteTx) -> None:
    with tx.savepoint():
        with pytest.raises(Undone), tx.savepoint():
            tx.put(Note(name="a", text="x"))
            raise Undone
        assert tx.scan(Note) == []
        tx.put(Note(name="b", text="y"))
        with pytest.raises(Undone), tx.savepoint():
            tx.put(Note(name="c", text="z"))
            raise Undone
    assert [note.name for note in tx.find(Note, "text", "y")] == ["b"]
    assert tx.find(Note, "text", "z") == []


def test_what_waits_for_the_commit_is_forgotten_with_its_part(tx: SqliteTx) -> None:
    ran: list[str] = []
    with tx.savepoint():
        with pytest.raises(Undone), tx.savepoint():
            tx.after_commit(lambda: ran.append("undone"))
            raise Undone
        tx.after_commit(lambda: ran.append("kept"))
    hooks = tx._course.hooks
    assert hooks is not None
    for hook in hooks:
        hook()
    assert ran == ["kept"]


def test_what_is_read_once_follows_every_write_and_every_undoing(tx: SqliteTx) -> None:
    other = tx.within("1", "r")
    assert tx.get(Current, "n") is None
    other.put(Current(name="n", number=1))
    with pytest.raises(Undone), tx.savepoint():
        tx.put(Current(name="n", number=2))
        assert other.get(Current, "n") == Current(name="n", number=2)
        raise Undone
    assert tx.get(Current, "n") == Current(name="n", number=1)
    assert tx.within("2", "r").get(Current, "n") is None
    tx.put_all([Current(name="n", number=3)])
    assert tx.get(Current, "n") == Current(name="n", number=3)
    tx.delete(Current, "n")
    assert tx.get(Current, "n") is None
    tx.insert(Current(name="n", number=4))
    assert tx.get(Current, "n") == Current(name="n", number=4)


def test_many_are_inserted_at_once_or_not_at_all(tx: SqliteTx) -> None:
    tx.insert_all([Note(name="a", text="x"), Note(name="b", text="x")])
    tx.insert_all([])
    assert [note.name for note in tx.find(Note, "text", "x")] == ["a", "b"]
    with pytest.raises(Conflict), tx.savepoint():
        tx.insert_all([Note(name="c", text="x"), Note(name="a", text="y")])
    assert [note.name for note in tx.scan(Note)] == ["a", "b"]
    tx.insert_all([Current(name="n", number=1)])
    assert tx.get(Current, "n") == Current(name="n", number=1)


def test_counting(tx: SqliteTx) -> None:
    for name, text in (("a", "x"), ("ab", "y"), ("b", "x")):
        tx.put(Note(name=name, text=text))
    tx.within("1", "s").put(Note(name="a", text="x"))
    assert (tx.count(Note), tx.count(Note, prefix="a"), tx.count(Note, prefix="c")) == (3, 2, 0)
    assert (tx.count(Note, index="text"), tx.count(Note, index="text", prefix="x")) == (3, 2)


@pytest.mark.parametrize("seed", range(60))
def test_parts_of_every_shape(tx: SqliteTx, seed: int) -> None:
    """Against a dict that is copied when a part begins."""
    draw = random.Random(seed)
    now: dict[str, int] = {}

    def part(depth: int) -> None:
        nonlocal now
        for _ in range(draw.randrange(4)):
            what, name, number = draw.randrange(5), draw.choice("abc"), draw.randrange(9)
            if what == 0:
                tx.put(Current(name=name, number=number))
                tx.put(Note(name=name, text=str(number)))
                now[name] = number
            elif what == 1:
                assert tx.delete(Current, name) == tx.delete(Note, name) == (now.pop(name, None) is not None)
            elif what == 2:
                found = tx.get(Current, name)
                assert (None if found is None else found.number) == now.get(name)
            elif depth < 5:
                before = dict(now)
                try:
                    with tx.savepoint():
                        part(depth + 1)
                        if draw.random() < 0.5:
                            raise Undone
                except Undone:
                    now = before

    for _ in range(6):
        part(0)
    assert {note.name: int(note.text) for note in tx.scan(Note)} == now
    for name in "abc":
        found = tx.get(Current, name)
        assert (None if found is None else found.number) == now.get(name)
        assert [note.name for note in tx.find(Note, "text", str(now.get(name, "none")))] == sorted(
            n for n in now if now[n] == now.get(name)
        )
