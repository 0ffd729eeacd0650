"""Records that hold secrets: whole for whoever reads through a transaction, a shell in the file, and under the same indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec import structs

from windtunnel.kernel.records import Sealable
from windtunnel.kernel.sealing import Unsealable
from windtunnel.store.opening import expected_rows
from windtunnel.store.sealing import RootKeySealer
from windtunnel.store.sqlite import SqliteStore, SqliteTx, decode

SECRET = "hush-0f9d3c5b7a1e"


class Note(Sealable, kw_only=True):
    KIND: ClassVar[str] = "test.sealed-note"
    INDEXES: ClassVar = {"owner": "owner"}

    name: str
    owner: str
    text: str

    def key(self) -> str:
        return self.name

    def shell(self) -> Note:
        return structs.replace(self, text="")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "cloud.db")
    made.sealer = lambda: RootKeySealer(b"k" * 32)
    yield made
    made.close()


@pytest.fixture
def tx(store: SqliteStore) -> SqliteTx:
    return SqliteTx(store.write, "1", "r", [], sealer=store.sealer)


def note(name: str, *, sealed: bool = True, owner: str = "ann") -> Note:
    return Note(name=name, owner=owner, text=SECRET, sealed=sealed)


def bodies(store: SqliteStore) -> list[bytes]:
    return [body for (body,) in store.write.execute("SELECT body FROM doc WHERE kind=? ORDER BY key", (Note.KIND,))]


def test_every_way_in_and_out(store: SqliteStore, tx: SqliteTx) -> None:
    tx.put(note("a"))
    tx.insert(note("b"))
    tx.put_all([note("c"), note("d", sealed=False)])
    whole = [note("a"), note("b"), note("c"), note("d", sealed=False)]
    assert [tx.get(Note, name) for name in "abcd"] == tx.scan(Note) == tx.scan_back(Note)[::-1] == tx.find(Note, "owner", "ann") == whole
    assert tx.everywhere(Note) == [("1", "r", found) for found in whole]
    with store.thread_snapshot("1", "r") as read:
        assert read.scan(Note) == whole
    assert [SECRET.encode() in body for body in bodies(store)] == [False, False, False, True], "only what says so is sealed"


def test_an_index_follows_a_sealed_record(store: SqliteStore, tx: SqliteTx) -> None:
    tx.put(note("a"))
    tx.put(note("a", owner="bob"))
    assert (tx.find(Note, "owner", "ann"), tx.find(Note, "owner", "bob")) == ([], [note("a", owner="bob")])
    rows = list(expected_rows(store.write, Note, decode, lambda key, why: pytest.fail(why)))
    assert rows == [("owner", "1/r/bob", "1/r/a")], "without the key too: the doctor has none"
    assert tx.delete(Note, "a") and tx.find(Note, "owner", "bob") == []


def test_one_records_secrets_are_not_anothers(store: SqliteStore, tx: SqliteTx) -> None:
    tx.put(note("a"))
    store.write.execute("INSERT INTO doc SELECT kind, '1/r/b', version, schema, replace(body, '\"a\"', '\"b\"') FROM doc")
    with pytest.raises(Unsealable):
        tx.get(Note, "b")


def test_what_was_written_before_its_kind_was_sealed_is_read_and_then_sealed(store: SqliteStore, tx: SqliteTx) -> None:
    store.write.execute(
        "INSERT INTO doc VALUES (?, '1/r/a', 1, 1, ?)", (Note.KIND, f'{{"name":"a","owner":"ann","text":"{SECRET}"}}'.encode())
    )
    found = tx.get(Note, "a")
    assert found == note("a", sealed=False)
    found.sealed = True
    tx.put(found)
    assert SECRET.encode() not in bodies(store)[0] and tx.get(Note, "a") == note("a")
