"""`status [--json]`: what runs in the cloud of a data directory, read beside it: from its store, its sandboxes' files and /proc.

Invariant: asks the cloud nothing, so that it answers while the cloud is busy, hangs or is down.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from windtunnel.commands.processes import proportional_memory, started_at, tree
from windtunnel.commands.running import run_file

Record = dict[str, Any]
DEPLOYED = ("Succeeded", "Failed", "Stopped")
MIB = 1 << 20


def main(options: argparse.Namespace) -> int:
    if not (options.data / "cloud.db").exists():
        print(f"windtunnel: there is no cloud in {options.data}; start one with `windtunnel up --data {options.data}`", file=sys.stderr)
        return 1
    found = status(options.data)
    print(json.dumps(found, indent=2) if options.json else as_text(found))
    return 0


def status(data: Path) -> Record:
    """Everything that is told, as JSON shows it. `cloud` is None when it is down."""
    shims = sandboxes(data)
    db = sqlite3.connect(f"file:{data / 'cloud.db'}?mode=ro", uri=True, timeout=5)
    try:
        return {"cloud": _cloud(data, [shim["pid"] for shim in shims]), **_under_way(db), "sandboxes": shims}
    finally:
        db.close()


def _cloud(data: Path, shims: list[int]) -> Record | None:
    running = run_file(data)
    if running is None:
        return None
    guests = tree(shims)
    server = tree([running.pid]) - guests
    return {
        "pid": running.pid,
        "endpoint": running.endpoint,
        "tls_endpoint": running.tls_endpoint,
        "region": running.region,
        "account": running.account,
        "since": started_at(running.pid),
        "memory": {"server": proportional_memory(server), "sandboxes": proportional_memory(guests)},
    }


def _under_way(db: sqlite3.Connection) -> Record:
    """Instances that exist, and builds, deployments, executions and jobs that have not ended."""
    return {
        "instances": [
            {
                "id": i["id"],
                "name": i.get("tags", {}).get("Name", ""),
                "type": i["type"],
                "state": i["state"],
                "ip": i.get("elastic_ip") or i.get("private_ip" if i.get("public", True) else "vpc_ip", ""),
            }
            for i in _records(db, "ec2.instance")
            if i["state"] != "terminated"
        ],
        "builds": [
            {"id": b["id"], "started": b["started"], "phase": b["phases"][-1].get("type", "") if b.get("phases") else "QUEUED"}
            for b in _records(db, "codebuild.build")
            if b.get("status", "IN_PROGRESS") == "IN_PROGRESS"
        ],
        "deployments": [
            {"id": d["id"], "application": d["application"], "group": d["group"], "status": d.get("status", "Created")}
            for d in _records(db, "codedeploy.deployment")
            if d.get("status", "Created") not in DEPLOYED
        ],
        "executions": [
            {"id": e["id"], "pipeline": e["pipeline"], "status": e.get("status", "InProgress"), "stage": e.get("stage", "")}
            for e in _records(db, "codepipeline.execution")
            if e.get("status", "InProgress") in ("InProgress", "Stopping")
        ],
        "jobs": dict(db.execute("SELECT kind, count(*) FROM run WHERE state IN ('ready','parked') GROUP BY kind ORDER BY kind")),
    }


def _records(db: sqlite3.Connection, kind: str) -> Iterator[Record]:
    for (body,) in db.execute("SELECT body FROM doc WHERE kind=? ORDER BY key", (kind,)):
        yield json.loads(body)


def sandboxes(data: Path) -> list[Record]:
    """The sandboxes whose supervisor lives, whatever the store says of them. pid: the supervisor's."""
    from windtunnel.compute.boots import boots_of, supervisor_alive

    root = data / "sandboxes" / "sandboxes"
    found = []
    for name in sorted(os.listdir(root)) if root.is_dir() else ():
        for boot in boots_of(root / name):
            handle = boot.handle()
            if handle is not None and boot.exited() is None and supervisor_alive(handle):
                found.append({"id": name, "pid": handle.shim_pid})
    return found


def as_text(found: Record) -> str:
    cloud = found["cloud"]
    lines = ["down: no cloud runs on this data directory"]
    if cloud is not None:
        memory = cloud["memory"]
        lines = [
            f"up: {cloud['endpoint']} (pid {cloud['pid']}, since {_clock(cloud['since'])}), account {cloud['account']}, {cloud['region']}",
            f"memory: server {memory['server'] / MIB:.1f} MiB, sandboxes {memory['sandboxes'] / MIB:.1f} MiB",
        ]
    tables: dict[str, Callable[[Record], str]] = {
        "instances": lambda i: f"{i['id']}  {i['state']:<10} {i['type']:<10} {i['ip'] or '-':<15} {i['name']}",
        "builds": lambda b: f"{b['id']}  {b['phase']}, started {_clock(b['started'])}",
        "deployments": lambda d: f"{d['id']}  {d['status']:<10} {d['application']}/{d['group']}",
        "executions": lambda e: f"{e['id']}  {e['status']:<10} {e['pipeline']}: {e['stage']}",
        "sandboxes": lambda s: f"{s['id']}  pid {s['pid']}",
    }
    for name, line in tables.items():
        lines.append(f"{name}: {len(found[name]) or 'none'}")
        lines.extend(f"  {line(each)}" for each in found[name])
    lines.append("jobs: " + (", ".join(f"{count} {kind}" for kind, count in found["jobs"].items()) or "none"))
    return "\n".join(lines)


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
