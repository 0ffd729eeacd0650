"""A small cloud in which most names that an operation can be asked about exist: what `samples` names, seeded through operations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tables import placers, seeds

from harness import InProcessCloud, until
from windtunnel.compute.dummy import DummyDriver, World

TABLES = ("doc", "idx", "outbox", "run", "step", "signal", "waiting")


@contextmanager
def seeded_cloud(data: Path) -> Iterator[InProcessCloud]:
    """A cloud with one of each thing that nothing has to run for, and nothing under way. Its sandboxes are in name only."""
    with InProcessCloud(data, parts={"compute": DummyDriver(World())}) as cloud:
        for service, operation, args in seeds():
            cloud.api(service, operation, **args)
        for place in placers():
            cloud.write(place)
        until(lambda: quiet(cloud), what="the seeds' events and jobs are done")
        yield cloud


def quiet(cloud: InProcessCloud) -> bool:
    """Whether no event waits for its delivery and no job is under way."""
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        events = tx.connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
        runs = tx.connection.execute("SELECT count(*) FROM run WHERE state='ready'").fetchone()[0]
    return not events and not runs


def store_hash(cloud: InProcessCloud) -> str:
    """Of everything but log lines."""
    digest = hashlib.sha256()
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        for table in TABLES:
            for row in tx.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
                digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
