"""Ended runs are forgotten after a day, or when there are too many; those that go on never."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import InProcessCloud, until
from windtunnel.jobs import collecting
from windtunnel.jobs.collecting import DAY, GROUP, MINUTES, forget
from windtunnel.store.sqlite import SqliteTx

NOW = 1_800_000_000.0


def runs(cloud: InProcessCloud) -> tuple[set[str], set[str]]:
    """(runs, runs that have steps), of this test."""

    def read(tx: SqliteTx) -> tuple[set[str], set[str]]:
        there = {i for (i,) in tx.connection.execute("SELECT id FROM run WHERE kind='test.ended'")}
        return there, {i for (i,) in tx.connection.execute("SELECT DISTINCT run FROM step WHERE run LIKE 'e-%'")}

    return cloud.cloud.writer.submit_threadsafe(read).result(10)


def add(cloud: InProcessCloud, ended: dict[str, float | None]) -> None:
    def write(tx: SqliteTx) -> None:
        for name, at in ended.items():
            state = "parked" if at is None else "done"
            tx.connection.execute(
                "INSERT INTO run (id, kind, version, account, region, cause, args, state, created, ended)"
                " VALUES (?,'test.ended',1,'a','r','',x'7b7d',?,?,?)",
                (name, state, NOW - 9 * DAY, at),
            )
            tx.connection.execute("INSERT INTO step VALUES (?, 'one', 0, x'31')", (name,))

    cloud.cloud.writer.submit_threadsafe(write).result(10)


def collect(cloud: InProcessCloud) -> int:
    return cloud.cloud.writer.submit_threadsafe(lambda tx: forget(tx, NOW)).result(10)


def test_a_day_after_its_end_a_run_is_forgotten_with_its_steps(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        add(cloud, {"e-old": NOW - DAY - 1, "e-young": NOW - DAY + 1, "e-on": None})
        assert collect(cloud) == 1
        assert runs(cloud) == ({"e-young", "e-on"}, {"e-young", "e-on"})
        assert collect(cloud) == 0


def test_too_many_are_forgotten_earlier_but_none_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST", 2)
    with InProcessCloud(tmp_path) as cloud:
        add(cloud, {f"e-{n}": NOW - MINUTES - 10 + n for n in range(5)} | {f"e-new{n}": NOW - n for n in range(3)} | {"e-on": None})
        assert collect(cloud) == 5
        assert runs(cloud)[0] == {"e-new0", "e-new1", "e-new2", "e-on"}


def test_they_go_in_groups_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "EVERY", 0.01)
    monkeypatch.setattr(collecting, "SOON", 0.001)
    with InProcessCloud(tmp_path) as cloud:
        add(cloud, {f"e-{n}": 1.0 + n for n in range(GROUP * 2 + 5)} | {"e-on": None})
        until(lambda: runs(cloud) == ({"e-on"}, {"e-on"}), 20, "only what goes on is left")
