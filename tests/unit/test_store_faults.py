"""The store when the disk fails it: everyone is told, nothing acknowledged is lost, and it goes on when the disk does."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud, until
from windtunnel.jobs import Run, job
from windtunnel.kernel.clock import SystemClock
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, StoreUnavailable
from windtunnel.services.ssm.model import Parameter
from windtunnel.store.blobs import INLINE_LIMIT
from windtunnel.store.sqlite import SqliteTx, connect, note_time

ACCOUNT, REGION = "123456789012", "us-east-1"


def put(ctx: Context, name: str, value: str = "v") -> str:
    ctx.call("ssm", "PutParameter", name=name, value=value, type="String", overwrite=True)
    return name


def names(cloud: InProcessCloud) -> set[str]:
    return {p.name for p in cloud.read(lambda ctx: ctx.tx.scan(Parameter))}


def group(cloud: InProcessCloud, works: list[Callable[[Context], Any]]) -> list[Any]:
    """Submit all in one loop turn, so that they share a transaction; each one's result or error."""

    def submit() -> list[Any]:
        def bound(work: Callable[[Context], Any]) -> Callable[[SqliteTx], Any]:
            return lambda tx: work(cloud.cloud.context(tx, ACCOUNT, REGION))

        return [cloud.cloud.writer.submit(bound(work)) for work in works]

    futures = cloud.on_loop(submit)
    until(lambda: all(future.done() for future in futures), 20, "every waiter is answered")
    return [future.exception() or future.result() for future in futures]


class Failing:
    """Stands before a connection: `fails` decides by the statement's text."""

    def __init__(self, db: sqlite3.Connection, fails: Callable[[str], BaseException | None]) -> None:
        self._db = db
        self._fails = fails

    def execute(self, statement: str, *values: Any) -> Any:
        error = self._fails(f"{statement} {values}" if values else statement)
        if error is not None:
            raise error
        return self._db.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class Broken:
    """The cloud's disk from now on, and for every connection that is opened after: until `mend`."""

    def __init__(self, cloud: InProcessCloud, fails: Callable[[str], BaseException | None]) -> None:
        self.mended = False
        store = cloud.cloud.store

        def opened(path: Path) -> Any:
            return Failing(connect(path), lambda statement: None if self.mended else fails(statement))

        def place() -> None:
            store._connect = opened
            store.write = Failing(store.write, lambda statement: None if self.mended else fails(statement))  # type: ignore[assignment]

        cloud.on_loop(place)

    def mend(self) -> None:
        self.mended = True


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(sqlite3.OperationalError("disk I/O error"), id="an fsync that fails"),
        pytest.param(sqlite3.OperationalError("database or disk is full"), id="a full disk"),
        pytest.param(sqlite3.OperationalError("attempt to write a readonly database"), id="a read-only disk"),
        pytest.param(MemoryError("in the commit's thread"), id="a thread that would have died"),
    ],
)
def test_a_commit_that_fails_is_everyones_error_and_the_connection_is_not_used_again(cloud: InProcessCloud, error: BaseException) -> None:
    cloud.write(lambda ctx: put(ctx, "/before"))
    poisoned = cloud.cloud.store.write
    disk = Broken(cloud, lambda statement: error if statement == "COMMIT" and committing() else None)
    found = group(cloud, [lambda ctx, n=n: put(ctx, f"/{n}") for n in range(3)])  # type: ignore[misc]
    assert [(type(f), f.status) for f in found] == [(StoreUnavailable, 503)] * 3
    assert names(cloud) == {"/before"}
    disk.mend()
    assert cloud.write(lambda ctx: put(ctx, "/after")) == "/after"
    assert cloud.cloud.store.write is not poisoned
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        poisoned.execute("SELECT 1")
    assert names(cloud) == {"/before", "/after"}


def test_a_statement_that_breaks_the_transaction_undoes_the_group_and_nobody_waits_for_ever(cloud: InProcessCloud) -> None:
    """SQLite itself rolls back when it finds no room in the middle of a transaction: the savepoints are gone with it."""
    cloud.write(lambda ctx: put(ctx, "/before"))
    pages = cloud.on_loop(lambda: cloud.cloud.store.write.execute("PRAGMA page_count").fetchone()[0])
    cloud.on_loop(lambda: cloud.cloud.store.write.execute(f"PRAGMA max_page_count={pages + 2}").fetchone())
    works: list[Callable[[Context], Any]] = [
        lambda ctx: put(ctx, "/first"),
        lambda ctx: [put(ctx, f"/much/{n}", "x" * 4000) for n in range(50)],
        lambda ctx: put(ctx, "/third"),
    ]
    found = group(cloud, works)
    assert isinstance(found[1], StoreUnavailable) and "full" in found[1].message
    kept = {name for name, outcome in zip(("/first", "/third"), (found[0], found[2]), strict=True) if outcome == name}
    assert all(outcome == name or isinstance(outcome, StoreUnavailable) for name, outcome in (("/first", found[0]), ("/third", found[2])))
    assert names(cloud) == {"/before"} | kept, "what was acknowledged is there, what was not is not"
    cloud.on_loop(lambda: cloud.cloud.store.write.execute("PRAGMA max_page_count=1000000").fetchone())
    assert cloud.write(lambda ctx: put(ctx, "/after", "x" * 4000)) == "/after"


def test_reads_go_on_while_nothing_can_be_written(cloud: InProcessCloud) -> None:
    cloud.write(lambda ctx: put(ctx, "/before"))
    full = sqlite3.OperationalError("database or disk is full")
    disk = Broken(cloud, lambda statement: full if statement.startswith(("BEGIN IMMEDIATE", "SAVEPOINT")) else None)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            cloud.write(lambda ctx: put(ctx, "/lost"))
        assert names(cloud) == {"/before"}
    disk.mend()
    assert cloud.write(lambda ctx: put(ctx, "/after")) == "/after"
    assert names(cloud) == {"/before", "/after"}


def test_no_connection_to_be_had_is_no_end(cloud: InProcessCloud) -> None:
    cloud.write(lambda ctx: put(ctx, "/before"))

    def never(path: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    Broken(cloud, lambda statement: sqlite3.OperationalError("disk I/O error") if statement == "COMMIT" and committing() else None)
    cloud.cloud.store._connect = never
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            cloud.write(lambda ctx: put(ctx, "/lost"))
    assert names(cloud) == {"/before"}
    cloud.cloud.store._connect = connect
    until(lambda: patiently(cloud, "/after"), 10, "a connection")
    assert names(cloud) == {"/before", "/after"}


def patiently(cloud: InProcessCloud, name: str) -> bool:
    try:
        return cloud.write(lambda ctx: put(ctx, name)) == name
    except StoreUnavailable:
        return False


def committing() -> bool:
    """Whether this is the thread that commits; the COMMIT of a read is another's."""
    return threading.current_thread().name.startswith("commit")


def test_a_read_that_the_file_fails_is_told_apart_from_a_mistake_of_ours(cloud: InProcessCloud) -> None:
    with pytest.raises(StoreUnavailable, match="malformed"):
        cloud.read(lambda ctx: _raise(sqlite3.DatabaseError("database disk image is malformed")))
    with pytest.raises(sqlite3.ProgrammingError):
        cloud.read(lambda ctx: _raise(sqlite3.ProgrammingError("a mistake of ours")))


def _raise(error: BaseException) -> None:
    raise error


def test_bytes_that_find_no_room_are_a_503_and_leave_nothing(cloud: InProcessCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from windtunnel.store import blobs

    cloud.api("s3", "CreateBucket", bucket="box")
    monkeypatch.setattr(blobs, "_write_all", lambda file, data: _raise(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(StoreUnavailable, match="No space left on device") as refused:
        cloud.api("s3", "PutObject", bucket="box", key="large", body=b"x" * (INLINE_LIMIT + 1))
    assert refused.value.status == 503
    monkeypatch.undo()
    assert list((cloud.cloud.data / "blobs" / "tmp").iterdir()) == []
    assert cloud.api("s3", "ListObjectsV2", bucket="box")["KeyCount"] == 0


# -- jobs on a store that takes no changes -------------------------------------------------------------------------------

ran: list[str] = []
told: list[str] = []


def failed(ctx: Context, message: str, **_: Any) -> None:
    told.append(message)


@job("test.persists", failed=failed)
def persists(run: Run, name: str) -> None:
    run.tx("first", lambda ctx: put(ctx, f"/{name}/first"))
    run.effect("outside", lambda token: ran.append(token))
    try:
        run.tx("second", lambda ctx: put(ctx, f"/{name}/second"))
    except AwsError:
        run.tx("wrong", lambda ctx: put(ctx, f"/{name}/wrong"))


def test_a_job_stands_still_on_a_full_disk_and_goes_on_after(cloud: InProcessCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither fails nor takes the disk's fault for an answer of the service that it called."""
    from windtunnel.jobs import engine

    monkeypatch.setattr(engine, "AGAIN", 0.02)
    told.clear(), ran.clear()
    steps, commits = [0], [0]

    def fails(statement: str) -> BaseException | None:
        """The first and the third commit of a step find no room."""
        if statement.startswith("INSERT INTO step") and "run-1" in statement:
            steps[0] += 1
        if statement != "COMMIT" or not committing() or steps[0] == 0:
            return None
        steps[0], commits[0] = 0, commits[0] + 1
        return sqlite3.OperationalError("database or disk is full") if commits[0] in (1, 3) else None

    Broken(cloud, fails)
    cloud.write(lambda ctx: ctx.start_job("test.persists", "run-1", name="n"))
    until(lambda: {"/n/first", "/n/second"} <= names(cloud), 20, "both steps")
    assert names(cloud) == {"/n/first", "/n/second"} and told == []
    assert commits[0] == 5 and set(ran) == {"run-1/outside"}


def state(cloud: InProcessCloud, run_id: str) -> str:
    found: str = cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT state FROM run WHERE id=?", (run_id,)).fetchone()[0])  # type: ignore[attr-defined]
    return found


# -- clocks that jump ----------------------------------------------------------------------------------------------------


class Times:
    """What the wall's and the monotonic clock say, each moved by hand."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self.wall, self.steady = wall, 5000.0

    def clock(self, floor: float = 0.0) -> SystemClock:
        return SystemClock(1.0, floor, lambda: self.wall, lambda: self.steady)


@job("test.waits")
def waits(run: Run, name: str, seconds: float) -> None:
    run.sleep("a while", seconds)
    run.tx("woken", lambda ctx: put(ctx, f"/{name}"))


def parked(cloud: InProcessCloud, run_id: str) -> None:
    """Its row says so, and the engine, which notes a moment later until when, has let go of it."""
    until(lambda: state(cloud, run_id) == "parked" and not cloud.cloud.engine._driving, 10, "parked")


def asked(cloud: InProcessCloud, run_id: str) -> None:
    cloud.cloud.engine.wake(run_id)
    until(lambda: not cloud.cloud.engine._driving, 10, "the run was looked at")


@pytest.mark.parametrize(
    "wall, steady, over",
    [
        pytest.param(0, 0, False, id="no time has passed"),
        pytest.param(99, 99, False, id="almost"),
        pytest.param(100, 100, True, id="as long as was asked for"),
        pytest.param(-3500, 100, True, id="set back by an hour meanwhile: not a second longer"),
        pytest.param(-3500, 99, False, id="set back by an hour: nor shorter"),
        pytest.param(3600, 1, True, id="the machine slept for an hour, and its monotonic clock with it"),
    ],
)
def test_a_wait_is_as_long_as_was_asked_for_whatever_the_clock_does(tmp_path: Path, wall: float, steady: float, over: bool) -> None:
    times = Times()
    with InProcessCloud(tmp_path, clock=times.clock()) as cloud:
        cloud.write(lambda ctx: ctx.start_job("test.waits", "w", name="w", seconds=100.0))
        parked(cloud, "w")
        times.wall += wall
        times.steady += steady
        asked(cloud, "w")
        assert (names(cloud) == {"/w"}) is over


def test_a_clock_that_was_set_back_while_the_cloud_was_down_makes_no_wait_longer_than_it_was(tmp_path: Path) -> None:
    times = Times()
    with InProcessCloud(tmp_path, clock=times.clock()) as cloud:
        cloud.write(lambda ctx: ctx.start_job("test.waits", "w", name="w", seconds=100.0))
        parked(cloud, "w")
    later = Times(times.wall - 86400)
    with InProcessCloud(tmp_path, clock=later.clock()) as cloud:
        asked(cloud, "w")
        assert names(cloud) == set()
        later.steady += 100
        asked(cloud, "w")
        assert names(cloud) == {"/w"}


def test_a_jump_has_those_that_wait_looked_at_and_nothing_turns_in_circles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from windtunnel.jobs import engine

    monkeypatch.setattr(engine, "LOOK", 0.02)
    times, passes = Times(), [0]
    seen = threading.Event()

    def boundary(kind: str, step: str, when: str) -> None:
        if kind == "test.waits" and when == "begin":
            passes[0] += 1
            seen.set()

    with InProcessCloud(tmp_path, clock=times.clock(), boundary=boundary) as cloud:
        cloud.write(lambda ctx: ctx.start_job("test.waits", "w", name="w", seconds=100.0))
        parked(cloud, "w")
        times.wall += 50
        until(lambda: passes[0] == 2, 10, "it was looked at after the jump")
        looks = [0]

        def look() -> bool:
            looks[0] += 1
            return looks[0] > 10

        until(look, 10, "some looks at the clock")
        assert passes[0] == 2 and names(cloud) == set(), "one look for one jump"
        times.wall += 51
        until(lambda: names(cloud) == {"/w"}, 10, "the wait is over")


# -- the cloud's own time --------------------------------------------------------------------------------------------------


def test_the_clouds_time_follows_the_clock_forward_and_never_goes_back() -> None:
    times = Times(1000.0)
    clock = times.clock()
    assert clock.now() == 1000.0
    times.wall, times.steady = 1010.0, times.steady + 10
    assert clock.now() == 1010.0
    times.wall += 3600
    assert clock.now() == 4610.0, "set forward"
    times.wall -= 3600
    assert clock.now() == 4610.0 and clock.wall() == 1010.0, "set back"
    times.wall, times.steady = times.wall + 100, times.steady + 100
    assert clock.now() == 4705.0, "it goes on, a little slower"
    times.wall, times.steady = times.wall + 72000, times.steady + 72000
    assert clock.now() == times.wall, "and they have met again"


@pytest.mark.parametrize(
    "ahead, begins",
    [
        pytest.param(-5.0, 0.0, id="a clock that went on"),
        pytest.param(3600.0, 3600.0, id="a clock that was set back while the cloud was down"),
        pytest.param(86400.0 * 365, 0.0, id="a clock that had been wrong by a year"),
    ],
)
def test_over_a_restart_too(ahead: float, begins: float) -> None:
    times = Times(1_800_000_000.0)
    assert times.clock(floor=times.wall + ahead).now() == times.wall + begins


def test_a_message_is_there_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """What was sent before is not of the future, and what was taken comes back in its time; also over a restart."""
    times = Times()
    with InProcessCloud(tmp_path, clock=times.clock()) as cloud:
        url = cloud.api("sqs", "CreateQueue", queue_name="q", attributes={"VisibilityTimeout": "30"})["QueueUrl"]
        cloud.api("sqs", "SendMessage", queue_url=url, message_body="one")
        times.wall -= 3600
        assert [m["Body"] for m in cloud.api("sqs", "ReceiveMessage", queue_url=url)["Messages"]] == ["one"]
        times.wall, times.steady = times.wall + 32, times.steady + 32
        assert [m["Body"] for m in cloud.api("sqs", "ReceiveMessage", queue_url=url)["Messages"]] == ["one"]
        cloud.cloud.writer.submit_threadsafe(lambda tx: note_time(tx, cloud.cloud.clock.now())).result(10)
    with InProcessCloud(tmp_path) as cloud:
        reached = cloud.cloud.store.time_reached()
        assert reached > times.wall + 3500
    times.steady += 32
    with InProcessCloud(tmp_path, clock=times.clock(floor=reached)) as cloud:
        times.wall, times.steady = times.wall + 32, times.steady + 32
        assert [m["Body"] for m in cloud.api("sqs", "ReceiveMessage", queue_url=url)["Messages"]] == ["one"]


def test_signatures_are_compared_with_the_clients_time(tmp_path: Path) -> None:
    from clients import Door

    with InProcessCloud(tmp_path, clock=SystemClock(1.0, floor=time.time() + 7200)) as cloud:
        assert cloud.cloud.clock.now() > time.time() + 7000
        assert Door(cloud).client("sts").get_caller_identity()["Account"] == ACCOUNT
