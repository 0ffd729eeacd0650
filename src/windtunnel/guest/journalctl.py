"""`journalctl`: what the services of this instance have said.

Why it exists: it is how people and hooks look for the reason of a failure.

The invariant it keeps: it filters and formats only; options that it does not have are refused by name.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from windtunnel.guest import journal, unitdir
from windtunnel.guest.journal import Record

FLAGS = {
    "--no-pager": "", "-e": "end", "--pager-end": "end", "-x": "", "--catalog": "", "-f": "follow", "--follow": "follow", "-r": "reverse",
    "--reverse": "reverse", "-b": "boot", "--boot": "boot", "-q": "quiet", "--quiet": "quiet", "-a": "", "--all": "", "-l": "", "--full": "",
    "--no-full": "", "--no-hostname": "no-hostname", "--utc": "", "--no-tail": "no-tail", "-m": "", "--merge": "", "--system": "",
}  # fmt: skip
VALUES = {
    "-u": "unit", "--unit": "unit", "-n": "lines", "--lines": "lines", "-o": "output", "--output": "output", "-S": "since", "--since": "since",
    "-U": "until", "--until": "until", "-t": "identifier", "--identifier": "identifier", "-g": "grep", "--grep": "grep",
}  # fmt: skip
OUTPUTS = ("short", "short-iso", "short-full", "short-unix", "short-precise", "cat", "json")


class Refused(Exception):
    """An option or a value that is not understood."""


class Query(NamedTuple):
    """What to show. lines: -1 is all."""

    units: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    lines: int = -1
    output: str = "short"
    since: float = 0.0
    until: float = float("inf")
    grep: str = ""
    flags: frozenset[str] = frozenset()


def parse(argv: list[str], now: float) -> Query:
    flags: set[str] = set()
    values: dict[str, list[str]] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word in FLAGS:
            flags.add(FLAGS[word])
        elif name in VALUES and (equals or rest):
            values.setdefault(VALUES[name], []).append(value if equals else rest.pop(0))
        elif len(word) > 2 and word[0] == "-" != word[1]:
            # Letters run together, the last perhaps with its value: -xeu nginx, -n50.
            head, tail = word[:2], word[2:]
            rest = [head, tail, *rest] if head in VALUES else [head, f"-{tail}", *rest]
        else:
            raise Refused(f"journalctl: {word} is not built into this image.")
    units = tuple(_own_name(name) for name in values.get("unit", []))
    output = values.get("output", ["short"])[-1]
    if output not in OUTPUTS:
        raise Refused(f"journalctl: -o {output} is not built into this image; it has {', '.join(OUTPUTS)}.")
    count = values.get("lines", [""])[-1]
    lines = -1 if count == "all" else int(count) if count.isdigit() else 1000 if "end" in flags else 10 if "follow" in flags else -1
    since, until = values.get("since", [""])[-1], values.get("until", [""])[-1]
    grep = values.get("grep", [""])[-1]
    return Query(
        units, tuple(values.get("identifier", [])), lines, output, moment(since, now) if since else 0.0,
        moment(until, now) if until else float("inf"), grep, frozenset(flags),
    )  # fmt: skip


def _own_name(name: str) -> str:
    """An alias (httpd) stands for its unit (apache2.service)."""
    try:
        return unitdir.find(name).name
    except (unitdir.NotFound, unitdir.Masked):
        return unitdir.full_name(name)


_SPANS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "week": 604800,
}


def moment(text: str, now: float) -> float:
    """A time as journalctl takes it: `today`, `-1h`, `10 minutes ago`, `2026-11-23 18:00:00`. Raises Refused."""
    today = time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    named = {"now": now, "today": today, "yesterday": today - 86400}
    if text in named:
        return named[text]
    if text.startswith("@") and text[1:].isdigit():
        return float(text[1:])
    span = text.removeprefix("-").removesuffix(" ago").replace(" ", "")
    number = span[: len(span) - len(span.lstrip("0123456789"))]
    unit = span[len(number) :]
    if number and unit and (unit in _SPANS or unit.rstrip("s") in _SPANS):
        return now - int(number) * (_SPANS.get(unit) or _SPANS[unit.rstrip("s")])
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        try:
            return time.mktime(time.strptime(text.removesuffix(" UTC"), form))
        except ValueError:
            continue
    raise Refused(f"Failed to parse timestamp: {text}")


def matches(record: Record, query: Query) -> bool:
    unit = not query.units or record.unit in query.units
    source = not query.identifiers or record.source.partition("[")[0] in query.identifiers
    return unit and source and query.since <= record.time <= query.until and query.grep in record.message


def text(record: Record, query: Query, host: str) -> str:
    if query.output == "cat":
        return record.message
    if query.output == "json":
        fields = {"__REALTIME_TIMESTAMP": str(int(record.time * 1e6)), "_HOSTNAME": host, "_SYSTEMD_UNIT": record.unit}
        return json.dumps({**fields, "SYSLOG_IDENTIFIER": record.source.partition("[")[0], "MESSAGE": record.message})
    if query.output == "short":
        return journal.short(record, host)
    stamp = {
        "short-iso": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.time)),
        "short-full": time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(record.time)),
        "short-unix": f"{record.time:.6f}",
        "short-precise": time.strftime("%b %d %H:%M:%S", time.localtime(record.time)) + f"{record.time % 1:.6f}"[1:],
    }[query.output]
    return f"{stamp} {host} {record.source}: {record.message}"


def _follow(path: str) -> Iterator[Record]:
    """New records as they come, across the change of files."""
    stream = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115
    stream.seek(0, os.SEEK_END)
    while True:
        line = stream.readline()
        if line.endswith("\n"):
            record = journal.parse(line)
            if record is not None:
                yield record
            continue
        if line:
            stream.seek(stream.tell() - len(line.encode()))
        elif os.stat(path).st_ino != os.fstat(stream.fileno()).st_ino:
            stream.close()
            stream = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115
        select.select([], [], [], 0.2)


def _this_boot() -> float:
    with open("/proc/1/stat", "rb") as stream:
        ticks = int(stream.read().rpartition(b")")[2].split()[19])
    with open("/proc/uptime", encoding="ascii") as uptime:
        return time.time() - float(uptime.read().split()[0]) + ticks / os.sysconf("SC_CLK_TCK") - 1


def main() -> int:
    try:
        query = parse(sys.argv[1:], time.time())
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if "boot" in query.flags:
        query = query._replace(since=max(query.since, _this_boot()))
    host = socket.gethostname()
    try:
        records = [record for record in journal.read() if matches(record, query)]
        shown = records[-query.lines :] if query.lines > 0 else [] if query.lines == 0 else records
        for record in reversed(shown) if "reverse" in query.flags else shown:
            print(text(record, query, host))
        if not shown and "quiet" not in query.flags and "follow" not in query.flags:
            print("-- No entries --")
        sys.stdout.flush()
        if "follow" in query.flags:
            for record in _follow(journal.PATH):
                if matches(record, query):
                    print(text(record, query, host), flush=True)
    except PermissionError:
        sys.stderr.write("No journal files were opened due to insufficient permissions.\n")
        return 1
    except (BrokenPipeError, KeyboardInterrupt):
        return 0
    return 0
