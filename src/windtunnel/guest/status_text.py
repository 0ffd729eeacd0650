"""What `systemctl status`, `show` and `list-units` print.

Why it exists: people and scripts read these texts; they are systemd's, line by line.

The invariant it keeps: only what is known is printed; nothing is made up for a line that systemd would have.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from windtunnel.guest import journal, unitdir

Row = tuple[str, str, str, str, str]


def status(unit: dict[str, Any], now: float, lines: int) -> list[str]:
    """The block of `systemctl status` for one unit as the init shows it."""
    state, name = unit["ActiveState"], unit["Id"]
    dot = {"active": "●", "reloading": "●", "activating": "●", "failed": "×"}.get(state, "○")
    if unit["LoadState"] != "loaded":
        return [
            f"{dot} {name}",
            f"     Loaded: {unit['LoadState']} (Reason: {unit.get('LoadError', '')})",
            f"     Active: {state} ({unit['SubState']})",
        ]
    path, enabled, dropins = _file(name)
    out = [f"{dot} {name} - {unit['Description']}", f"     Loaded: loaded ({path}; {enabled}; preset: disabled)"]
    if dropins:
        out.append(f"    Drop-In: {dropins[0].rpartition('/')[0]}")
        out.append("             └─" + ", ".join(p.rpartition("/")[2] for p in dropins))
    out.append("     Active: " + _active(unit, now))
    main = int(unit["MainPID"])
    if main:
        out.append(f"   Main PID: {main} ({_comm(main)})")
    elif unit["ExecMainCode"] != "0":
        code = "exited" if unit["ExecMainCode"] == "1" else "killed"
        out.append(f"   Main PID: (code={code}, status={unit['ExecMainStatus']})")
    pids = unit["Processes"]
    if pids:
        out.append(f"      Tasks: {len(pids)}")
        out.append(f"     CGroup: /system.slice/{name}")
        for index, pid in enumerate(pids):
            out.append(f"             {'└─' if index == len(pids) - 1 else '├─'}{pid} {_command(pid)}")
    said = [record for record in journal.read() if record.unit == name][-lines:] if lines else []
    if said:
        host = socket.gethostname()
        out += ["", *(journal.short(record, host) for record in said)]
    return out


def _file(name: str) -> tuple[str, str, tuple[str, ...]]:
    try:
        unit = unitdir.find(name)
        return unit.path, unitdir.is_enabled(name), unit.dropins
    except (unitdir.NotFound, unitdir.Masked):
        return "n/a", "n/a", ()


def _active(unit: dict[str, Any], now: float) -> str:
    state, sub = unit["ActiveState"], unit["SubState"]
    text = f"{state} ({sub})" if state != "failed" else f"failed (Result: {unit['Result']})"
    if state == "activating" and sub == "auto-restart":
        text += f" (Result: {unit['Result']})"
    if not unit["Since"]:
        return text
    return f"{text} since {_stamp(unit['Since'], now)}; {_ago(now - unit['Since'])} ago"


def _stamp(since: float, now: float) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(time.time() - (now - since)))


def _ago(seconds: float) -> str:
    whole = int(seconds)
    parts = [
        (whole // 86400, "d" if whole < 2 * 86400 else " days"),
        (whole // 3600 % 24, "h"),
        (whole // 60 % 60, "min"),
        (whole % 60, "s"),
    ]
    shown = [f"{count}{unit}" for count, unit in parts if count][:2]
    return " ".join(shown) if shown else f"{int(seconds * 1000)}ms"


def _comm(pid: int) -> str:
    return _proc(pid, "comm").strip() or "n/a"


def _command(pid: int) -> str:
    return _proc(pid, "cmdline").replace("\0", " ").strip() or f"[{_comm(pid)}]"


def _proc(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def properties(unit: dict[str, Any], now: float) -> dict[str, str]:
    """`systemctl show`: property to value."""
    found = {key: str(value) for key, value in unit.items() if key not in ("Processes", "Since", "LoadError")}
    found["Names"] = found["Id"]
    if found["LoadState"] == "loaded":
        path, enabled, dropins = _file(found["Id"])
        found.update(FragmentPath=path, UnitFileState=enabled, DropInPaths=" ".join(dropins))
        stamp = _stamp(unit["Since"], now) if unit["Since"] else ""
        active = found["ActiveState"] in ("active", "reloading")
        found.update(
            StateChangeTimestamp=stamp, ActiveEnterTimestamp=stamp if active else "", InactiveEnterTimestamp="" if active else stamp
        )
        found["TasksCurrent"] = str(len(unit["Processes"])) if unit["Processes"] else "[not set]"
    return found


def units_table(rows: list[Row], legend: bool, bullets: bool) -> list[str]:
    """`systemctl list-units`."""
    widths = [max([len(title), *(len(row[i]) for row in rows)]) for i, title in enumerate(("UNIT", "LOAD", "ACTIVE", "SUB"))]

    def line(cells: tuple[str, ...], mark: str) -> str:
        return (mark + " ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)) + " " + cells[4]).rstrip()

    mark = "  " if bullets else ""
    out = [line(row, "● " if bullets and row[2] == "failed" else mark) for row in rows]
    if not legend:
        return out
    return [line(("UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"), mark), *out, f"\n{len(rows)} loaded units listed."]
