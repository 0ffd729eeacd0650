"""Sixty-four clients at once, each with reads and writes of its own: no error, nobody is left behind, everything acknowledged is there.

How fast they are answered is the bench's (`windtunnel bench clients`).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from windtunnel.commands.running import RunFile, credentials, run_file
from windtunnel.labs.cloud import LabCloud

pytestmark = pytest.mark.slow
CLIENTS, SECONDS = 64, 5.0


class Client(threading.Thread):
    """One connection; every request is signed anew, as a client's are."""

    def __init__(self, number: int, running: RunFile, keys: Credentials, start: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self.number, self.running, self.keys, self.start_together = number, running, keys, start
        self.answers: dict[int, int] = {}
        self.last = ""
        self.object = b""
        self.broken: list[str] = []

    def send(self, service: str, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        url = f"{self.running.endpoint}{path}"
        if service == "s3":
            headers = headers | {"x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        request = AWSRequest(method=method, url=url, headers=headers, data=body)
        (S3SigV4Auth if service == "s3" else SigV4Auth)(self.keys, service, "us-east-1").add_auth(request)
        self.connection.request(method, path, body=body, headers=dict(request.headers))
        answer = self.connection.getresponse()
        content = answer.read()
        self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
        if answer.status >= 300:
            self.broken.append(f"{service} {method} {path}: {answer.status} {content[:200]!r}")
        return answer.status, content

    def ssm(self, operation: str, **members: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonSSM.{operation}"}
        status, content = self.send("ssm", "POST", "/", headers, json.dumps(members).encode())
        found: dict[str, Any] = json.loads(content) if status == 200 else {}
        return found

    def run(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=60)
        self.start_together.wait(60)
        ends, n = time.monotonic() + SECONDS, 0
        try:
            while time.monotonic() < ends:
                self.once(n)
                n += 1
        except (OSError, http.client.HTTPException) as error:
            self.broken.append(f"{type(error).__name__}: {error}")
        finally:
            self.connection.close()

    def once(self, n: int) -> None:
        name, path = f"/client/{self.number}", f"/together/{self.number}"
        self.ssm("PutParameter", Name=name, Value=str(n), Type="String", Overwrite=True)
        self.last = str(n)
        read = self.ssm("GetParameter", Name=name)["Parameter"]["Value"]
        if read != self.last:
            self.broken.append(f"{name} was written as {n} and read as {read}")
        body = b"%d of %d " % (n, self.number) * (200 if n % 2 else 4000)
        self.send("s3", "PUT", path, {}, body)
        self.object = body
        if self.send("s3", "GET", path, {}, b"")[1] != body:
            self.broken.append(f"{path} was read as something else")
        if n % 4 == 0:
            self.send("s3", "GET", "/together?list-type=2", {}, b"")


def test_sixty_four_clients_at_once(tmp_path: Path) -> None:
    cloud = LabCloud(tmp_path / "data", tmp_path / "log")
    cloud.start()
    try:
        running, found = run_file(cloud.data), credentials(cloud.data)
        assert running is not None and found is not None
        keys, start = Credentials(found.access_key_id, found.secret_access_key), threading.Barrier(CLIENTS + 1)
        clients = [Client(number, running, keys, start) for number in range(CLIENTS)]
        clients[0].connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        clients[0].send("s3", "PUT", "/together", {}, b"")
        clients[0].connection.close()
        for client in clients:
            client.start()
        start.wait(60)
        for client in clients:
            client.join(120)
        assert not any(client.is_alive() for client in clients), "a client hangs"
        assert [line for client in clients for line in client.broken] == []
        counts = sorted(sum(client.answers.values()) for client in clients)
        assert counts[0] * 4 > counts[len(counts) // 2] > 8, f"somebody is left behind: {counts}"
        cloud.kill()
        cloud.start()
        for client in clients:
            client.connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
            assert client.ssm("GetParameter", Name=f"/client/{client.number}")["Parameter"]["Value"] == client.last
            assert client.send("s3", "GET", f"/together/{client.number}", {}, b"")[1] == client.object
            client.connection.close()
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        cloud.stop()
