"""Group commit: alone and together, undone alone, refused together, and nothing of the world inside."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from harness import InProcessCloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.ssm.model import Parameter
from windtunnel.store.sqlite import SqliteTx


def put(ctx: Context, name: str) -> None:
    ctx.call("ssm", "PutParameter", name=name, value="v", type="String")


def test_one_that_fails_undoes_only_itself(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:

        def fails(tx: SqliteTx) -> None:
            put(cloud.cloud.context(tx, "123456789012", "us-east-1"), "/b")
            raise ValueError("after its write")

        def works(name: str) -> object:
            return lambda tx: put(cloud.cloud.context(tx, "123456789012", "us-east-1"), name)

        submit = cloud.cloud.writer.submit_threadsafe
        first, second, third = submit(works("/a")), submit(fails), submit(works("/c"))  # type: ignore[arg-type]
        first.result(10)
        third.result(10)
        with pytest.raises(ValueError, match="after its write"):
            second.result(10)
        assert [p.name for p in cloud.read(lambda ctx: ctx.tx.scan(Parameter))] == ["/a", "/c"]


def test_what_waits_for_the_commit_happens_only_after_it(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        seen: list[bool] = []

        def work(ctx: Context) -> None:
            put(ctx, "/a")
            ctx.tx.after_commit(lambda: seen.append(cloud.cloud.store.write.in_transaction))

        cloud.write(work)
        assert seen == [False]


def test_a_commit_that_fails_is_an_error_for_every_waiter(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        cloud.write(lambda ctx: put(ctx, "/before"))
        other = sqlite3.connect(tmp_path / "cloud.db", isolation_level=None)
        cloud.cloud.store.write.execute("PRAGMA busy_timeout=50")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AwsError) as refused:
            cloud.write(lambda ctx: put(ctx, "/lost"))
        assert refused.value.code == "ServiceUnavailable" and refused.value.status == 503
        other.execute("ROLLBACK")
        other.close()
        cloud.write(lambda ctx: put(ctx, "/after"))
        assert [p.name for p in cloud.read(lambda ctx: ctx.tx.scan(Parameter))] == ["/after", "/before"]


def dial() -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(lambda path: (path / "x").write_text("y"), id="a file write"),
        pytest.param(lambda path: dial(), id="a socket"),
        pytest.param(lambda path: subprocess.run(["true"]), id="a process"),
    ],
)
def test_a_write_handler_may_not_touch_the_world(tmp_path: Path, deed: object) -> None:
    with InProcessCloud(tmp_path) as cloud, pytest.raises(RuntimeError, match="inside a write transaction"):
        cloud.write(lambda ctx: deed(tmp_path))  # type: ignore[operator]
