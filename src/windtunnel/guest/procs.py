"""Which processes belong to a service, told from the process table alone.

Why it exists: a sandbox has no control groups of its own, so a service's processes are followed by descent, session and group.

The invariant it keeps: a process is counted to at most the service that it descends from; pid 1 and processes of other services never.

Pure, apart from `table`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple


class Process(NamedTuple):
    """One row: ids, start time in ticks since boot, and state (Z: a zombie)."""

    pid: int
    parent: int
    session: int
    started: int
    state: str


def table() -> dict[int, Process]:
    """All processes of this PID namespace."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = read(int(name))
            if process is not None:
                found[process.pid] = process
    return found


def read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            # The name, in parentheses, may hold anything; the last ")" ends it.
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0].decode())


def members(rows: Mapping[int, Process], known: Mapping[int, int], sessions: Collection[int], foreign: Collection[int]) -> dict[int, int]:
    """The living processes (pid to start time) of a service.

    known: members seen before. sessions: session ids that its processes have led. foreign: pids that belong to others and whose
    descendants therefore do, too.
    """
    alive = {pid: p for pid, p in rows.items() if p.state != "Z" and pid != 1 and pid not in foreign}
    found = {pid for pid, started in known.items() if pid in alive and alive[pid].started == started}
    found |= {pid for pid, p in alive.items() if p.session in sessions}
    children: dict[int, list[int]] = {}
    for pid, process in alive.items():
        children.setdefault(process.parent, []).append(pid)
    todo = list(found)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return {pid: alive[pid].started for pid in found}


def adopted(rows: Mapping[int, Process], since: int, taken: Collection[int]) -> list[int]:
    """Processes that init has inherited and that nobody claims, started not before `since` (ticks): a daemon that forked away."""
    return sorted(
        pid for pid, p in rows.items() if p.parent == 1 and p.started >= since and pid not in taken and p.state != "Z" and pid != 1
    )


def ticks_now() -> int:
    """The clock of `Process.started`."""
    with open("/proc/uptime", encoding="ascii") as stream:
        return int(float(stream.read().split()[0]) * os.sysconf("SC_CLK_TCK"))


def lead(rows: Mapping[int, Process], pids: Iterable[int]) -> set[int]:
    """The sessions that these processes are in; 0 (that of the kernel's first process) is nobody's."""
    return {rows[pid].session for pid in pids if pid in rows and rows[pid].session > 1}
