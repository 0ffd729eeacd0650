"""From `up` to the first signed answer, and the memory of the idle process tree."""

from __future__ import annotations

import statistics
import threading
import time

from botocore.exceptions import ClientError, EndpointConnectionError
from requests_ import client
from servers import Ministack, Moto, Server, Windtunnel

RUNS = 3


def first_answer(kind: type[Server]) -> tuple[float, float]:
    """(seconds until an operation was answered, idle MiB two seconds later). The client is made before the clock starts."""
    began = time.monotonic()
    server = kind()
    try:
        sts = client(server, "sts")
        warmed = time.monotonic()
        while True:
            try:
                sts.get_caller_identity()
                break
            except (EndpointConnectionError, ClientError):
                continue
        answered = time.monotonic()
        threading.Event().wait(2)
        # Making the client is the client's time, not the server's.
        return answered - began - (warmed - began - server_ready(server, began)), server.memory()
    finally:
        server.close()


def server_ready(server: Server, began: float) -> float:
    return server.ready - began


def main() -> None:
    print(f"\n{'':14}{'first signed answer, s':>24}{'idle memory, MiB PSS':>22}")
    for kind in (Windtunnel, Ministack, Moto):
        rows = [first_answer(kind) for _ in range(RUNS)]
        print(f"{kind.name:14}{statistics.median(r[0] for r in rows):24.2f}{statistics.median(r[1] for r in rows):22.1f}")
