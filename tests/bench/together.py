"""Sixty-four clients at once for a minute, each sending what the others send too: no error, and nobody waits ten times as long as most.

No server that writes durably is steadier than its disk, so a file of 4 KiB beside it is written and synced meanwhile: when that waits for half a
second the minute says nothing about us (docs/decisions/0133).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import ClientError
from requests_ import (
    Call,
    Prepared,
    get_object,
    get_parameter,
    put_events,
    put_log_events,
    put_object,
    put_parameter,
    receive_message,
    send_message,
)
from servers import Windtunnel

CLIENTS, SECONDS, BAR = 64, 60, 10.0
SCRIPT = """
local requests = {%s}
local n = 0
request = function()
  n = n + 1
  return requests[n %% #requests + 1]
end
init = function(args)
  for i, r in ipairs(requests) do requests[i] = wrk.format(r[1], r[2], r[3], r[4]) end
end
"""


def lua(at: Prepared, call: Call) -> str:
    headers = "".join(f"[{json.dumps(name)}]={json.dumps(value)}," for name, value in call.signed(at.server, at.user).items())
    body = json.dumps(call.body.decode()) if call.body else "nil"
    return f"{{{json.dumps(call.method)},{json.dumps(call.path)},{{{headers}}},{body}}}"


def mix(at: Prepared) -> list[Call]:
    """Reads and writes of whatever is built."""
    rows: list[Callable[[Prepared], tuple[Call, object]]] = [
        get_parameter,
        put_parameter,
        get_object,
        put_object,
        send_message,
        receive_message,
        put_log_events,
        put_events,
    ]
    calls = []
    for row in rows:
        try:
            calls.append(row(at)[0])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 501:
                raise
    return calls


def main(seconds: int = SECONDS) -> None:
    server = Windtunnel()
    try:
        at = Prepared(server)
        calls = mix(at)
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(SCRIPT % ",".join(lua(at, call) for call in calls))
            script.flush()
            command = ["wrk", "-t2", f"-c{CLIENTS}", f"-d{seconds}s", "--latency", "-s", script.name, server.endpoint]
            with BareDisk(server.directory / "probe") as disk:
                text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
        print(f"\n{CLIENTS} clients at once for {seconds} s, {len(calls)} operations in turn")
        print(report(text))
        print(disk.report())
    finally:
        server.close()


class BareDisk:
    """How long 4 KiB in place and their fdatasync take, fifty times a second, from a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waits: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> BareDisk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            while not self._over.wait(0.02):
                begun = time.perf_counter()
                os.pwrite(file.fileno(), b"x" * 4096, 0)
                os.fdatasync(file.fileno())
                self._waits.append((time.perf_counter() - begun) * 1000)

    def report(self) -> str:
        waits = sorted(self._waits)
        middle, late = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
        return f"the bare disk meanwhile, 4 KiB synced: p50 {middle:.1f} ms  p99 {late:.1f} ms  longest {waits[-1]:.1f} ms"


def report(text: str) -> str:
    rows = {row: value(text, row) for row in ("50%", "75%", "90%", "99%")}
    count = re.search(r"(\d+) requests in", text)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: (.*)", text)
    shown = "  ".join(f"p{row.rstrip('%')} {ms:.1f} ms" for row, ms in rows.items())
    return (
        f"{int(count[1]) if count else 0:,} answers; errors: {errors[1] if errors else 'none'}{'; ' + broken[1] if broken else ''}\n"
        f"{shown}  p99/p50 {rows['99%'] / rows['50%']:.1f}x (bar {BAR:.0f}x)"
    )


def value(text: str, row: str) -> float:
    found = re.search(rf"^\s+{row}\s+([\d.]+)(us|ms|s)", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"bench: wrk said\n{text}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
