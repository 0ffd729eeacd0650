"""A started server and ten thousand connections: it goes on answering, within its memory, and is as before when they have gone."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from harness import until
from windtunnel.labs.cloud import LabCloud, tail

CROWD = 10_000
BYTES_EACH = 16_000
"""What a connection that says nothing may cost the server's memory."""

pytestmark = pytest.mark.slow


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LabCloud]:
    running = LabCloud(tmp_path / "data", tmp_path / "log")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + 500:
        pytest.skip(f"this machine lets a process open {hard} files; {CROWD + 500} are needed on each side")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CROWD + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory(pid: int) -> int:
    """Proportional set size in bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("Pss:")[1].split()[0]) * 1024


def test_ten_thousand_connections(cloud: LabCloud, many_files: None) -> None:
    environment = cloud.environment()
    ssm = boto3.client(
        "ssm",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
    )
    ssm.put_parameter(Name="/crowd", Value="0", Type="String")
    before = memory(cloud.pid)
    port = int(environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
    silent: list[socket.socket] = []
    dripping: list[socket.socket] = []
    try:
        for number in range(CROWD):
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            if number % 10 == 0:
                sock.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nab")
                dripping.append(sock)
            else:
                silent.append(sock)
        slowest = 0.0
        for number in range(50):
            started = time.monotonic()
            ssm.put_parameter(Name="/crowd", Value=str(number), Type="String", Overwrite=True)
            assert ssm.get_parameter(Name="/crowd")["Parameter"]["Value"] == str(number)
            slowest = max(slowest, time.monotonic() - started)
        grown = memory(cloud.pid) - before
        print(f"{CROWD} connections: slowest put and get {slowest * 1000:.0f} ms, {grown / CROWD:.0f} bytes each")
        assert slowest < 5.0
        assert grown < CROWD * BYTES_EACH
    finally:
        for sock in (*silent, *dripping):
            sock.close()
    until(lambda: len(list(Path(f"/proc/{cloud.pid}/fd").iterdir())) < 200, what="their file descriptors are given back")
    assert ssm.get_parameter(Name="/crowd")["Parameter"]["Value"] == "49"
    assert "Traceback" not in tail(cloud.log, 1000)
