"""The doctor names every kind of damage in a line with what to do, finds nothing in a whole cloud, and mends what can be mended."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.cli import main
from windtunnel.commands.running import try_lock
from windtunnel.store.blobs import INLINE_LIMIT
from windtunnel.upkeep.doctor import examine, repair
from windtunnel.upkeep.doctor.wal import read
from windtunnel.upkeep.snapshots import blob_files

LARGE = b"x" * (INLINE_LIMIT + 1)


@pytest.fixture()
def data(tmp_path: Path) -> Path:
    """A stopped cloud with some of everything."""
    load_services()
    home = tmp_path / "data"
    home.mkdir(mode=0o700)
    with InProcessCloud(home) as cloud:
        cloud.api("ssm", "PutParameter", name="/a", value="1", type="String")
        cloud.api("s3", "CreateBucket", bucket="box")
        cloud.api("s3", "PutObject", bucket="box", key="large", body=LARGE)
        cloud.api("codecommit", "CreateRepository", repository_name="app")
        cloud.api("codecommit", "PutFile", repository_name="app", branch_name="main", file_path="page", file_content=b"one")
    return home


def change(data: Path, statement: str, *values: object) -> None:
    db = sqlite3.connect(data / "cloud.db")
    db.execute(statement, values)
    db.commit()
    db.close()


def the_blob(data: Path) -> Path:
    (found,) = blob_files(data / "blobs")
    return found


def git_objects(data: Path) -> list[Path]:
    return sorted(path for path in (data / "git").rglob("objects/??/*"))


def test_a_whole_cloud_has_no_findings(data: Path) -> None:
    case = examine(data, running=False)
    assert [finding.line() for finding in case.findings] == []
    assert case.looked["blobs"] == 1 and case.looked["repositories"] == 1 and case.looked["records"] > 4


def test_a_running_cloud_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    with InProcessCloud(tmp_path / "data") as cloud:
        cloud.api("ssm", "PutParameter", name="/a", value="1", type="String")
        (tmp_path / "data" / "blobs" / "00").mkdir()
        (tmp_path / "data" / "blobs" / "00" / ("0" * 64)).write_bytes(b"its row comes in a moment")
        assert examine(tmp_path / "data", running=True).findings == []


DAMAGE: list[object] = [
    pytest.param(
        lambda d: the_blob(d).unlink(), "error", r"blobs: \w{64} \(s3.object //box/large\): its file is not there", False, id="gone"
    ),
    pytest.param(
        lambda d: the_blob(d).write_bytes(b"y" + LARGE[1:]), "error", r"blobs: \w{64} .*: its file has been altered", False, id="altered"
    ),
    pytest.param(
        lambda d: the_blob(d).write_bytes(LARGE[:9]), "error", r"blobs: .*: its file has been altered \(9 bytes", False, id="cut short"
    ),
    pytest.param(
        lambda d: (d / "blobs" / "00").mkdir() or (d / "blobs" / "00" / ("0" * 64)).write_bytes(b"stray"),
        "note",
        r"blobs: .*: 1 files that nothing names \(5 bytes\)",
        True,
        id="a file that nothing names",
    ),
    pytest.param(
        lambda d: change(d, "DELETE FROM idx WHERE name='blob'"),
        "error",
        r"indexes: s3.object //box/large: is not found under blob",
        True,
        id="an index row is missing",
    ),
    pytest.param(
        lambda d: change(d, "INSERT INTO idx VALUES ('s3.object','id',?,'//box/large')", "//1"),
        "error",
        "indexes: s3.object //box/large: is found under id = //1, which it does not say",
        True,
        id="an index row too many",
    ),
    pytest.param(
        lambda d: change(d, "INSERT INTO idx VALUES ('s3.object','id','//x','//box/none')"),
        "error",
        r"indexes: s3.object //box/none: index id names a record that is not there",
        True,
        id="an index row of nothing",
    ),
    pytest.param(
        lambda d: change(d, "UPDATE doc SET body='{}' WHERE kind='ssm.parameter'"),
        "error",
        "records: ssm.parameter .*: cannot be read: ValidationError",
        False,
        id="a record without its members",
    ),
    pytest.param(
        lambda d: change(d, "INSERT INTO doc VALUES ('new.kind','1/r/a',1,1,'{}')"),
        "warning",
        "records: new.kind: 1 records of a kind that this Windtunnel does not know",
        False,
        id="a kind of the future",
    ),
    pytest.param(
        lambda d: change(d, "INSERT INTO step VALUES ('none','a',0,'null')"),
        "warning",
        "runs: step: 1 rows belong to no run",
        True,
        id="a step without a run",
    ),
    pytest.param(
        lambda d: change(
            d,
            "INSERT INTO run (id, kind, version, account, region, cause, args, state, created) VALUES ('x','k',1,'a','r','',x'7b7d','parked',0)",
        ),
        "error",
        "runs: k x: is parked, and waits for nothing",
        False,
        id="a run that nothing wakes",
    ),
    pytest.param(
        lambda d: change(d, "INSERT INTO outbox (body) VALUES (x'5b5d')"),
        "error",
        r"events: outbox row \d+: is no event",
        False,
        id="no event",
    ),
    pytest.param(lambda d: git_objects(d)[0].unlink(), "error", "git: app", False, id="a git object is gone"),
    pytest.param(
        lambda d: change(d, "UPDATE doc SET body=replace(body, json_extract(body, '$.target'), ?) WHERE kind='codecommit.ref'", "1" * 40),
        "error",
        "git: app refs/heads/main: its commit 1{40} is not there",
        False,
        id="a ref to nothing",
    ),
    pytest.param(
        lambda d: d.chmod(0o755), "warning", r"rights: .*: others than its owner may use it \(0755\)", True, id="an open directory"
    ),
    pytest.param(
        lambda d: (d / "cloud.db").chmod(0o644),
        "warning",
        r"rights: .*cloud.db: others than its owner may use it",
        True,
        id="an open store",
    ),
    pytest.param(
        lambda d: change(d, "UPDATE meta SET value='99' WHERE name='schema'"),
        "error",
        "database: cloud.db: is of schema 99",
        False,
        id="newer",
    ),
]


@pytest.mark.parametrize("damage, level, said, mendable", DAMAGE)
def test_damage_is_named_and_mended(data: Path, damage: Callable[[Path], object], level: str, said: str, mendable: bool) -> None:
    damage(data)
    case = examine(data, running=False)
    lines = [finding.line() for finding in case.findings]
    assert any(re.match(f"{level}: {said}", line) for line in lines), lines
    assert all("\n" not in line and "; " in line for line in lines), "each says what to do"
    repair(case)
    again = examine(data, running=False)
    assert (again.findings == []) is mendable, [finding.line() for finding in again.findings]
    assert (case.troubles == []) is mendable


def test_pages_of_nonsense_are_found(data: Path) -> None:
    content = bytearray((data / "cloud.db").read_bytes())
    content[8192:12288] = b"\xff" * 4096
    (data / "cloud.db").write_bytes(bytes(content))
    lines = [finding.line() for finding in examine(data, running=False).findings]
    assert lines and lines[0].startswith("error: database: cloud.db") and "snapshot load" in lines[0]


def test_a_truncated_database_is_named(data: Path) -> None:
    (data / "cloud.db").write_bytes((data / "cloud.db").read_bytes()[:8192])
    (finding,) = examine(data, running=False).findings
    assert finding.level == "error" and "was truncated" in finding.line() and "snapshot load" in finding.line()


def written(path: Path, rows: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("CREATE TABLE t (x)")
    for n in range(rows):
        db.execute("INSERT INTO t VALUES (?)", ("x" * 3000 + str(n),))
    return db


def test_a_log_is_read_as_sqlite_reads_it(tmp_path: Path) -> None:
    """Cut at every length that matters, the doctor's last whole commit is what SQLite's own recovery opens at."""
    db = written(tmp_path / "cloud.db", 6)
    base, log = (tmp_path / "cloud.db").read_bytes(), (tmp_path / "cloud.db-wal").read_bytes()
    db.close()
    frames = (len(log) - 32) // 4120
    most = -1
    for kept in [*(32 + n * 4120 for n in range(frames + 1)), *(32 + n * 4120 + 2000 for n in range(frames))]:
        home = tmp_path / str(kept)
        home.mkdir()
        (home / "cloud.db").write_bytes(base)
        (home / "cloud.db-wal").write_bytes(log[:kept])
        whole = read(home / "cloud.db-wal")
        assert whole is not None
        assert whole[0] == (kept - 32) // 4120 and whole[2] is bool((kept - 32) % 4120)
        other = sqlite3.connect(home / "cloud.db")
        there = other.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        rows = other.execute("SELECT count(*) FROM t").fetchone()[0] if there else -1
        other.close()
        commits = read_commits(log, whole[1])
        assert rows == commits - 1, "one commit made the table, each other a row"
        most = max(most, rows)
    assert most == 6


def read_commits(log: bytes, frames: int) -> int:
    """Commits among the first frames: those that carry the size of the database."""
    return sum(log[32 + n * 4120 + 4 : 32 + n * 4120 + 8] != bytes(4) for n in range(frames))


def test_a_log_that_was_cut_off_is_told(data: Path) -> None:
    db = written(data / "cloud.db", 3)
    log = (data / "cloud.db-wal").read_bytes()
    base = (data / "cloud.db").read_bytes()
    db.close()
    (data / "cloud.db").write_bytes(base)
    (data / "cloud.db-wal").write_bytes(log[:-100])
    told = [finding for finding in examine(data, running=False).findings if finding.check == "log"]
    assert len(told) == 1 and told[0].level == "warning" and "is cut off within frame" in told[0].line()


def test_the_command(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--data", str(data)]) == 0
    assert capsys.readouterr().out.startswith(f"{data} (stopped) is whole: ")
    the_blob(data).unlink()
    assert main(["doctor", "--data", str(data)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("error: blobs: ") and f"{data} (stopped) is not whole: " in out
    assert main(["doctor", "--data", str(data), "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["findings"][0]["check"] == "blobs" and shown["running"] is False
    change(data, "INSERT INTO step VALUES ('none','a',0,'null')")
    assert main(["doctor", "--data", str(data), "--repair"]) == 1
    assert "1 rows belong to no run that goes on; mended\n" in capsys.readouterr().out
    held = try_lock(data)
    assert held is not None
    with held:
        assert main(["doctor", "--data", str(data), "--repair"]) == 1
        assert "a cloud runs on" in capsys.readouterr().err
    assert main(["doctor", "--data", str(data / "none")]) == 1
    assert "there is no cloud in" in capsys.readouterr().err
