"""The log is put into the database file beside the commits: often enough, never in anybody's way, and nothing is lost when it fails."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud, until
from windtunnel.kernel.context import Context
from windtunnel.services.ssm.model import Parameter
from windtunnel.store import checkpoints
from windtunnel.store.checkpoints import Checkpointer
from windtunnel.store.sqlite import connect
from windtunnel.upkeep.doctor.wal import read

FRAME = 4096 + 24
Answer = Callable[[str], BaseException | None]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes of a test: a pass after each 20 frames, the log anew from 80 on."""
    monkeypatch.setattr(checkpoints, "STEP", 20)
    monkeypatch.setattr(checkpoints, "LIMIT", 80)


class Store:
    """A table in a file, a writer that commits, and the checkpointer beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "cloud.db"
        self.db = connect(self.path)
        self.db.execute("CREATE TABLE t (x)")
        self.passes: list[str] = []
        self.fails: Answer = lambda statement: None
        self.made = 0
        self.checkpointer = Checkpointer(self.path, self._connect)
        self.rows = 0

    def _connect(self) -> Any:
        self.made += 1
        return Watched(connect(self.path), self)

    def commit(self, times: int = 1) -> int:
        """Insert a row of a page in each of so many commits, as the writer does; how often the log was finished."""
        finished = 0
        for _ in range(times):
            self.db.execute("INSERT INTO t VALUES (?)", ("x" * 3000,))
            self.rows += 1
            if self.checkpointer.due():
                self.checkpointer.finish()
                finished += 1
        return finished

    @property
    def log(self) -> Path:
        return self.path.with_name("cloud.db-wal")

    def frames(self) -> int:
        """Those of the log's present round."""
        found = read(self.log)
        assert found is not None
        return found[0]

    def close(self) -> None:
        self.checkpointer.close()
        self.db.close()


class Watched:
    """A connection that says which thread ran a pass on it, and fails when it is told to."""

    def __init__(self, db: sqlite3.Connection, store: Store) -> None:
        self._db, self._store = db, store

    def execute(self, statement: str) -> Any:
        error = self._store.fails(statement)
        if error is not None:
            raise error
        if statement.startswith("PRAGMA wal_checkpoint"):
            self._store.passes.append(threading.current_thread().name)
        return self._db.execute(statement)

    def close(self) -> None:
        self._db.close()


@pytest.fixture()
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def beside(store: Store) -> list[str]:
    return [name for name in store.passes if name.startswith("checkpoint")]


def test_a_small_log_is_left_alone(store: Store) -> None:
    store.commit(5)
    assert store.frames() < 20 and store.passes == [] and store.made == 0


def test_a_pass_after_each_step_runs_on_a_thread_of_its_own(store: Store) -> None:
    before = store.path.stat().st_size
    while store.frames() < 20:
        assert store.passes == [] and store.commit() == 0
    until(lambda: store.path.stat().st_size > before, 10, "pages in the database file")
    assert len(store.passes) == 1
    until(lambda: store.commit() == 0 and len(store.passes) == 4, 10, "more of them")
    assert beside(store) == store.passes and store.made == 1
    assert store.log.stat().st_size // FRAME < 80, "where nothing was committed meanwhile the log begins anew at once"


def test_the_log_begins_anew_at_its_limit_and_keeps_its_size(store: Store) -> None:
    """However long it goes on: so that commits overwrite the file, and neither lengthen nor shorten it."""
    finished = 0
    while finished < 1:
        finished += store.commit()
    size = store.log.stat().st_size
    assert 80 <= size // FRAME < 100
    store.commit()
    assert store.frames() < 5, "a new round"
    sizes = set()
    while finished < 6:
        finished += store.commit()
        sizes.add(store.log.stat().st_size)
    assert max(sizes) // FRAME < 100 and min(sizes) >= size
    assert threading.current_thread().name in store.passes and len(beside(store)) >= 6


def test_a_reader_that_needs_the_log_makes_it_grow_and_nobody_wait(store: Store) -> None:
    store.commit()
    reader = connect(store.path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
    finished = store.commit(150)
    assert store.frames() > 250 and 3 < finished < 40, "tried again and again, and not at every commit"
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (1,)
    reader.execute("COMMIT")
    until(lambda: store.commit() == 0 and store.frames() < 80, 10, "a new round")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (store.rows,)
    reader.close()


def test_what_a_long_reader_made_of_the_log_is_cut_off_again(store: Store) -> None:
    store.db.execute(f"PRAGMA journal_size_limit={120 * 4096}")
    store.commit()
    reader = connect(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM t").fetchone()
    store.commit(300)
    long = store.log.stat().st_size
    reader.close()
    until(lambda: store.commit() or store.log.stat().st_size < long, 10, "commits")
    until(lambda: store.commit() == 0 and store.log.stat().st_size <= 120 * 4096, 10, "a shorter log")


@pytest.mark.parametrize("error", ["database or disk is full", "disk I/O error"])
def test_a_pass_that_fails_costs_nothing_and_another_comes(store: Store, error: str, caplog: pytest.LogCaptureFixture) -> None:
    store.fails = lambda statement: sqlite3.OperationalError(error) if statement.startswith("PRAGMA wal_checkpoint") else None
    assert store.commit(100) > 0
    assert store.frames() > 150 and store.passes == []
    assert f"and grows until it is: {error}" in caplog.text
    store.fails = lambda statement: None
    until(lambda: store.commit() == 0 and store.frames() < 80, 10, "a new round")
    assert store.made > 1, "a connection that failed is not used again"
    assert store.db.execute("SELECT count(*) FROM t").fetchone() == (store.rows,)


def test_no_connection_to_be_had_is_no_end(tmp_path: Path) -> None:
    def none() -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    store = Store(tmp_path)
    store.checkpointer = Checkpointer(store.path, none)
    assert store.commit(100) > 0 and store.frames() > 150
    store.close()


def test_while_a_pass_runs_no_commit_waits_for_it_and_the_end_does(store: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(statement: str) -> None:
        if threading.current_thread().name.startswith("checkpoint"):
            begun.set()
            go_on.wait(10)

    store.fails = slow
    assert store.commit(30) == 0
    assert begun.wait(10)
    assert store.commit(100) == 0, "past the limit, and still nobody waits"
    assert store.frames() > 120
    closing = threading.Thread(target=store.checkpointer.close)
    closing.start()
    assert store.passes == [] and closing.is_alive()
    go_on.set()
    closing.join(10)
    assert not closing.is_alive() and len(store.passes) >= 1


def test_a_log_that_a_kill_left_is_taken_on(tmp_path: Path) -> None:
    """It is as long as it was: the first commits of the next process finish it."""
    first = Store(tmp_path)
    first.checkpointer.close()
    first.db.execute("PRAGMA wal_autocheckpoint=0")
    for _ in range(150):
        first.db.execute("INSERT INTO t VALUES (?)", ("x" * 3000,))
    home = tmp_path / "after"
    home.mkdir()
    for name in ("cloud.db", "cloud.db-wal"):
        (home / name).write_bytes((tmp_path / name).read_bytes())
    first.db.close()
    db = connect(home / "cloud.db")
    checkpointer = Checkpointer(home / "cloud.db", lambda: connect(home / "cloud.db"))
    log, tries = home / "cloud.db-wal", [0]

    def commit() -> bool:
        tries[0] += 1
        db.execute("INSERT INTO t VALUES (?)", ("x" * 3000,))
        if checkpointer.due():
            checkpointer.finish()
        found = read(log)
        return found is not None and found[0] < 80

    until(commit, 10, "a new round")
    assert db.execute("SELECT count(*) FROM t").fetchone() == (150 + tries[0],)
    checkpointer.close()
    db.close()


# -- in a cloud ------------------------------------------------------------------------------------------------------------


def put(ctx: Context, name: str) -> str:
    ctx.call("ssm", "PutParameter", name=name, value="x" * 4000, type="String", overwrite=True)
    return name


def test_a_cloud_keeps_its_log_short_and_all_that_it_answered(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        for number in range(150):
            cloud.write(lambda ctx, n=number: put(ctx, f"/{n:03d}"))  # type: ignore[misc]
        assert (tmp_path / "cloud.db-wal").stat().st_size // FRAME < 160
        assert (tmp_path / "cloud.db").stat().st_size > 100 * 4096
        with cloud.cloud.store.thread_snapshot("123456789012", "us-east-1") as tx:
            expected = {p.name for p in tx.scan(Parameter)}
    assert len(expected) == 150
    assert not (tmp_path / "cloud.db-wal").exists(), "a clean end leaves no log"
    with InProcessCloud(tmp_path) as cloud:
        assert {p.name for p in cloud.read(lambda ctx: ctx.tx.scan(Parameter))} == expected


def test_an_answer_does_not_wait_for_the_pass_that_follows_it(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        checkpointer = cloud.cloud.writer._checkpoints
        mine, begun, go_on = threading.Event(), threading.Event(), threading.Event()
        finish = checkpointer.finish

        def work(ctx: Context) -> str:
            mine.set()
            return put(ctx, "/answered")

        def slow() -> None:
            begun.set()
            go_on.wait(10)
            finish()

        checkpointer.due = lambda: mine.is_set() and not begun.is_set()  # type: ignore[method-assign]
        checkpointer.finish = slow  # type: ignore[method-assign]
        assert cloud.write(work) == "/answered"
        assert begun.wait(10) and not go_on.is_set()
        assert cloud.read(lambda ctx: ctx.tx.get(Parameter, "/answered")) is not None
        later = cloud.cloud.writer.submit_threadsafe(lambda tx: "after")
        assert not later.done()
        go_on.set()
        assert later.result(10) == "after"
