"""The other side of doomed_server.py: start it, have it die at a boundary, start it again, and talk to it patiently."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

T = TypeVar("T")
UNREACHED = (EndpointConnectionError, ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError, HTTPClientError)


class DoomedCloud:
    """A server process that is started again whenever it dies. deaths counts the SIGKILLs."""

    def __init__(self, data: Path, pace: float = 60.0) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.data = data
        self.deaths = 0
        self._pace = pace
        self._ports = (0, 0)
        self._stopping = False
        self._lock = threading.Lock()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            str(Path(__file__).with_name("doomed_server.py")),
            str(self.data),
            str(self._ports[0]),
            str(self._ports[1]),
            str(self._pace),
        ]
        with (self.data / "log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], 60)
        line = process.stdout.readline().decode() if readable else ""
        process.stdout.close()
        if readable and not line and process.wait(10) == -signal.SIGKILL:
            # What it takes up again passes boundaries before it says that it is ready, and one of them was armed meanwhile.
            self.deaths += 1
            return self._start()
        assert line.startswith("ready "), f"the cloud did not start: {(self.data / 'log').read_text()[-3000:]}"
        run = json.loads((self.data / "run.json").read_text())
        self._ports = (run["port"], run["tls_port"])
        return process

    def _keep(self) -> None:
        while True:
            self._process.wait()
            with self._lock:
                if self._stopping:
                    return
                self.deaths += 1
                self._process = self._start()

    @property
    def answers(self) -> bool:
        """Whether a server that said "ready" lives now."""
        with self._lock:
            return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, now; it is started again by itself."""
        self._process.kill()

    def crash_at(self, boundary: str) -> None:
        fresh = self.data / ".crash-at"
        fresh.write_text(boundary)
        fresh.replace(self.data / "crash-at")

    @property
    def armed(self) -> bool:
        return (self.data / "crash-at").exists()

    def disarm(self) -> None:
        (self.data / "crash-at").unlink(missing_ok=True)

    def boundaries(self) -> list[str]:
        return list(dict.fromkeys((self.data / "boundaries").read_text().splitlines()))

    def client(self, service: str) -> Any:
        keys = json.loads((self.data / "credentials.json").read_text())
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self._ports[0]}",
            region_name="us-east-1",
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=20, s3={"addressing_style": "path"}),
        )

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._process.terminate()
        self._process.wait(90)
        self._keeper.join(10)


def patiently(call: Callable[[], T], seconds: float = 60.0) -> T:
    """The call's answer, asked again while the cloud is not there."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        try:
            return call()
        except UNREACHED:
            if time.monotonic() > deadline:
                raise
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 or time.monotonic() > deadline:
                raise
        pause.wait(0.05)


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """condition()'s value once it is truthy, asked patiently."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = patiently(condition)
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s (last {value!r})"
        pause.wait(0.1)
