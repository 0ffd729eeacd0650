"""Opening a data directory: newer data are refused by name, older brought up to date, indexes made anew when what they say changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from windtunnel.kernel.records import Record
from windtunnel.store import opening
from windtunnel.store.opening import SCHEMA_VERSION, Unusable, settle
from windtunnel.store.sqlite import SqliteStore, SqliteTx, connect, decode


class Before(Record, kw_only=True):
    """A record as a first release wrote it."""

    KIND: ClassVar[str] = "test.thing"
    name: str
    colour: str

    def key(self) -> str:
        return self.name


def paint(raw: dict[str, Any]) -> dict[str, Any]:
    return {"name": raw["name"], "paint": {"colour": raw["colour"]}}


class After(Record, kw_only=True):
    """The same kind later: another shape, and found by what the first release had no index for."""

    KIND: ClassVar[str] = "test.thing"
    SCHEMA: ClassVar[int] = 2
    MIGRATIONS: ClassVar = {1: paint}
    INDEXES: ClassVar = {"colour": lambda thing: (thing.paint["colour"],)}
    name: str
    paint: dict[str, str]

    def key(self) -> str:
        return self.name


@pytest.fixture()
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "cloud.db")
    yield made
    made.close()


def writing(store: SqliteStore) -> SqliteTx:
    return SqliteTx(store.write, "1", "r", [])


def forget(store: SqliteStore, kind: str) -> None:
    """As if a release had written the store that knew nothing of this kind's shape."""
    shapes = opening.recorded_shapes(store.write)
    shapes.pop(kind, None)
    store.write.execute("INSERT OR REPLACE INTO meta VALUES ('kinds', ?)", (msgspec.json.encode(shapes).decode(),))


def test_records_of_an_earlier_shape_are_read_found_and_written(store: SqliteStore) -> None:
    tx = writing(store)
    tx.put(Before(name="a", colour="red"))
    tx.put(Before(name="b", colour="blue"))
    tx.put(Before(name="c", colour="red"))
    assert store.write.execute("SELECT count(*) FROM idx").fetchone() == (0,)
    forget(store, "test.thing")
    assert settle(store.write, store.path, decode) == ["test.thing"]
    assert settle(store.write, store.path, decode) == [], "once is enough"
    assert tx.get(After, "a") == After(name="a", paint={"colour": "red"})
    assert [thing.name for thing in tx.find(After, "colour", "red")] == ["a", "c"]
    tx.put(After(name="a", paint={"colour": "blue"}))
    assert [thing.name for thing in tx.find(After, "colour", "blue")] == ["a", "b"]
    assert [thing.name for thing in tx.find(After, "colour", "red")] == ["c"]
    assert tx.delete(After, "c") and tx.find(After, "colour", "red") == []
    assert store.write.execute("SELECT key, schema FROM doc ORDER BY key").fetchall() == [("1/r/a", 2), ("1/r/b", 1)], "lazily"


def test_a_record_of_a_newer_shape_is_never_read_as_an_older_one(store: SqliteStore) -> None:
    writing(store).put(After(name="a", paint={"colour": "red"}))
    with pytest.raises(ValueError, match=r"test.thing is of shape 2, newer than 1"):
        writing(store).get(Before, "a")


def test_shapes_from_newer_code_are_refused_by_name(store: SqliteStore) -> None:
    store.write.execute("INSERT OR REPLACE INTO meta VALUES ('kinds', '{\"test.thing\": [3, []]}')")
    with pytest.raises(Unusable, match=r"records of test.thing in shape 3, written by a newer Windtunnel \(this one knows up to 2\)"):
        settle(store.write, store.path, decode)


def test_an_index_that_is_no_longer_declared_goes(store: SqliteStore) -> None:
    tx = writing(store)
    tx.put(After(name="a", paint={"colour": "red"}))
    store.write.execute("INSERT INTO idx VALUES ('test.thing', 'size', '1/r/9', '1/r/a')")
    forget(store, "test.thing")
    settle(store.write, store.path, decode)
    assert store.write.execute("SELECT name, value FROM idx WHERE kind='test.thing'").fetchall() == [("colour", "1/r/red")]


def test_a_schema_from_newer_code_is_refused_and_not_touched(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "cloud.db").close()
    db = sqlite3.connect(tmp_path / "cloud.db")
    db.execute("UPDATE meta SET value=? WHERE name='schema'", (str(SCHEMA_VERSION + 1),))
    db.commit()
    db.close()
    before = (tmp_path / "cloud.db").read_bytes()
    with pytest.raises(Unusable, match=f"newer Windtunnel .schema {SCHEMA_VERSION + 1}; this one knows up to {SCHEMA_VERSION}"):
        SqliteStore(tmp_path / "cloud.db")
    assert (tmp_path / "cloud.db").read_bytes() == before


def test_an_older_schema_takes_each_step_once_and_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteStore(tmp_path / "cloud.db").close()
    monkeypatch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 2)

    def first(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE fresh (name TEXT)")

    def second(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO fresh VALUES ('second')")

    def breaks(db: sqlite3.Connection) -> None:
        raise ValueError("in the middle")

    monkeypatch.setitem(opening.MIGRATIONS, SCHEMA_VERSION, first)
    monkeypatch.setitem(opening.MIGRATIONS, SCHEMA_VERSION + 1, breaks)
    with pytest.raises(ValueError, match="in the middle"):
        SqliteStore(tmp_path / "cloud.db")
    db = connect(tmp_path / "cloud.db")
    assert opening.known_version(db) == SCHEMA_VERSION and not db.execute("SELECT 1 FROM sqlite_master WHERE name='fresh'").fetchone()
    db.close()
    monkeypatch.setitem(opening.MIGRATIONS, SCHEMA_VERSION + 1, second)
    for _ in range(2):
        store = SqliteStore(tmp_path / "cloud.db")
        assert store.write.execute("SELECT name FROM fresh").fetchall() == [("second",)]
        assert opening.known_version(store.write) == SCHEMA_VERSION + 2
        store.close()


@pytest.mark.parametrize(
    "damage, said",
    [
        pytest.param(lambda data: b"nonsense" * 4 + data[32:], "its header is damaged", id="a header of something else"),
        pytest.param(lambda data: data[:50], "its header is damaged", id="less than a header"),
        pytest.param(lambda data: data[: len(data) // 2], "was truncated", id="half of it"),
        pytest.param(lambda data: data[:100] + bytes(4096 - 100) + data[4096:], "cannot be opened", id="a first page of zeros"),
    ],
)
def test_a_damaged_file_is_refused_with_the_way_out(tmp_path: Path, damage: Any, said: str) -> None:
    path = tmp_path / "cloud.db"
    SqliteStore(path).close()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Unusable) as refused:
        SqliteStore(path)
    text = str(refused.value)
    assert said in text and f"windtunnel doctor --data {tmp_path}" in text and "windtunnel snapshot load NAME" in text and "\n" not in text
