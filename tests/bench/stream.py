"""A gibibyte in and out of S3: MiB per second, the server's memory meanwhile, and how near that is to sha256 plus fsynced writes."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests_ import client
from servers import Windtunnel

SIZE, CHUNK = 1 << 30, 1 << 20
BLOCK = os.urandom(CHUNK)


def bare(directory: Path) -> float:
    """MiB/s of hashing and writing the same bytes to a file, fsynced at the end."""
    began = time.monotonic()
    digest = hashlib.sha256()
    with (directory / "bare").open("wb", buffering=0) as file:
        for _ in range(SIZE // CHUNK):
            digest.update(BLOCK)
            file.write(BLOCK)
        os.fsync(file.fileno())
    (directory / "bare").unlink()
    return (SIZE >> 20) / (time.monotonic() - began)


def watched(server: Windtunnel, work: Callable[[], Any]) -> tuple[float, float]:
    """(MiB/s, most MiB PSS of the server meanwhile)."""
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            most[0] = max(most[0], server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    done.set()
    watcher.join()
    return (SIZE >> 20) / seconds, most[0]


class Unsigned(S3SigV4Auth):
    """Signs the request but not its body, as streaming clients do."""

    def payload(self, request: Any) -> str:
        return "UNSIGNED-PAYLOAD"


def send(server: Windtunnel, method: str, body: Any) -> http.client.HTTPResponse:
    request = AWSRequest(method=method, url=f"{server.endpoint}/bench-stream/big")
    Unsigned(Credentials(server.key, server.secret), "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    sent = dict(request.headers)
    if body is not None:
        sent["Content-Length"] = str(SIZE)
    connection.request(method, "/bench-stream/big", body=body, headers=sent)
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{method}: {answer.status} {answer.read(500)!r}")
    return answer


def blocks() -> Any:
    for _ in range(SIZE // CHUNK):
        yield BLOCK


def receive(server: Windtunnel) -> None:
    answer, size = send(server, "GET", None), 0
    while data := answer.read(CHUNK):
        size += len(data)
    if size != SIZE:
        raise SystemExit(f"only {size} bytes came back")


def main() -> None:
    server = Windtunnel()
    try:
        client(server, "s3").create_bucket(Bucket="bench-stream")
        limit, idle = bare(server.directory), server.memory()
        put, put_memory = watched(server, lambda: send(server, "PUT", blocks()).read())
        get, get_memory = watched(server, lambda: receive(server))
        print(f"\n1 GiB through S3 (idle {idle:.0f} MiB PSS; sha256 plus fsynced write alone {limit:,.0f} MiB/s)")
        print(f"{'':10}{'MiB/s':>8}{'of bare':>9}{'most MiB PSS':>14}")
        print(f"{'PutObject':10}{put:8,.0f}{put / limit:9.0%}{put_memory:14.0f}")
        print(f"{'GetObject':10}{get:8,.0f}{get / limit:9.0%}{get_memory:14.0f}")
    finally:
        server.close()
