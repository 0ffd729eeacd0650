"""Sixty-four clients at once for a minute, each sending what the others send too: no error, and nobody waits ten times as long as most."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable

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
            text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
        print(f"\n{CLIENTS} clients at once for {seconds} s, {len(calls)} operations in turn")
        print(report(text))
    finally:
        server.close()


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
