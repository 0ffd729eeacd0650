"""Jobs and events: runs that can be driven, steps and waits that belong to one, an outbox that can be read, and what piles up."""

from __future__ import annotations

import sqlite3
from functools import partial

import msgspec

from windtunnel.kernel.context import Event
from windtunnel.kernel.typed import from_json
from windtunnel.upkeep.doctor.database import MOST, mending
from windtunnel.upkeep.doctor.findings import REPAIR, Case

ORPHANS = {
    "step": "SELECT count(*) FROM step WHERE run NOT IN (SELECT id FROM run)",
    "waiting": "SELECT count(*) FROM waiting WHERE run NOT IN (SELECT id FROM run WHERE state='parked')",
}
REMOVE = {
    "step": "DELETE FROM step WHERE run NOT IN (SELECT id FROM run)",
    "waiting": "DELETE FROM waiting WHERE run NOT IN (SELECT id FROM run WHERE state='parked')",
}
STATES = ("ready", "parked", "done", "failed", "cancelled")


def look(case: Case, db: sqlite3.Connection) -> None:
    case.looked["runs"] = int(db.execute("SELECT count(*) FROM run").fetchone()[0])
    for run_id, kind, args, state, waiting in db.execute("SELECT id, kind, args, state, waiting FROM run"):
        _run(case, f"{kind} {run_id}", args, state, waiting)
    for table, question in ORPHANS.items():
        count = int(db.execute(question).fetchone()[0])
        if count:
            case.warning(
                "runs", table, f"{count} rows belong to no run that goes on", REPAIR, mending(case, partial(_remove, REMOVE[table]))
            )
    for run_id, kind in db.execute(
        "SELECT id, kind FROM run WHERE state='parked' AND wake_at IS NULL AND id NOT IN (SELECT run FROM waiting) LIMIT ?", (MOST,)
    ):
        case.error(
            "runs", f"{kind} {run_id}", "is parked, and waits for nothing", "start the cloud: it is driven again, and its log says more"
        )
    for seq, body in db.execute("SELECT seq, body FROM outbox ORDER BY seq"):
        try:
            from_json(body, Event)
        except msgspec.MsgspecError as error:
            case.error(
                "events", f"outbox row {seq}", f"is no event: {error}", "send it in with the data: no part of Windtunnel writes such"
            )
    _piles(case, db)


def _run(case: Case, subject: str, args: bytes, state: str, waiting: str) -> None:
    try:
        msgspec.json.decode(args)
        msgspec.json.decode(waiting)
    except msgspec.MsgspecError as error:
        case.error("runs", subject, f"its arguments cannot be read: {error}", "go back with `windtunnel snapshot load NAME --replace`")
    if state not in STATES:
        case.error("runs", subject, f"is in the unknown state {state}", "use the Windtunnel that wrote it")


def _remove(statement: str, db: sqlite3.Connection) -> None:
    db.execute(statement)


def _piles(case: Case, db: sqlite3.Connection) -> None:
    """What has had its time and is kept."""
    for what, question in {
        "runs that have ended": "SELECT count(*) FROM run WHERE state NOT IN ('ready','parked')",
        "signals that no run waits for": "SELECT count(*) FROM signal WHERE name NOT IN (SELECT name FROM waiting)",
    }.items():
        count = int(db.execute(question).fetchone()[0])
        if count:
            case.looked[what] = count
