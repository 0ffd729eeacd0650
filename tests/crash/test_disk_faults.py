"""A started cloud on a disk that is full, read-only or damaged, beside another cloud, and out of file descriptors."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError

from harness import until
from shell import client as client_of
from windtunnel.commands.running import run_file
from windtunnel.labs.cloud import LabCloud

pytestmark = pytest.mark.slow
LARGE = b"x" * (1 << 20)
TRIES: dict[str, Any] = {"total_max_attempts": 1}


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[LabCloud]:
    made = LabCloud(tmp_path / "data", tmp_path / "log")
    yield made
    made.stop()


def client(cloud: LabCloud, service: str) -> Any:
    return client_of(cloud, service, retries=TRIES, read_timeout=20, connect_timeout=5)


def windtunnel(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "windtunnel", *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def is_whole(data: Path) -> None:
    done = windtunnel("doctor", "--data", str(data))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture()
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """16 MiB of a file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts file systems")
    where = tmp_path / "small"
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", str(where)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this machine mounts no tmpfs: {done.stderr.strip()}")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def status(call: Callable[[], Any]) -> int:
    try:
        call()
    except ClientError as error:
        found: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert found == 503 and error.response["Error"]["Code"] == "ServiceUnavailable", error.response
        return found
    return 200


def test_a_full_disk_refuses_writes_answers_reads_and_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    cloud = LabCloud(small_disk, tmp_path / "log")
    cloud.start()
    try:
        s3, ssm = client(cloud, "s3"), client(cloud, "ssm")
        s3.create_bucket(Bucket="box")
        kept: dict[str, str] = {}
        objects: list[str] = []
        refused = {"s3": 0, "ssm": 0}
        for number in range(400):
            if min(refused.values()) >= 5:
                break
            if status(lambda n=number: s3.put_object(Bucket="box", Key=f"k{n}", Body=LARGE)) == 200:
                objects.append(f"k{number}")
            else:
                refused["s3"] += 1
            name, value = f"/p/{number}", f"{number}" * 900
            if status(lambda n=name, v=value: ssm.put_parameter(Name=n, Value=v[:4000], Type="String")) == 200:
                kept[name] = value[:4000]
            else:
                refused["ssm"] += 1
        assert min(refused.values()) >= 5 and len(objects) > 3 and kept, (refused, len(objects))
        for key in objects:
            assert s3.get_object(Bucket="box", Key=key)["Body"].read() == LARGE
        for name, value in kept.items():
            assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == value
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        until(lambda: status(lambda: ssm.put_parameter(Name="/after", Value="v", Type="String", Overwrite=True)) == 200, 10, "a write")
        s3.put_object(Bucket="box", Key="after", Body=LARGE)
        cloud.kill()
        cloud.start()
        s3, ssm = client(cloud, "s3"), client(cloud, "ssm")
        assert {o["Key"] for o in s3.list_objects_v2(Bucket="box")["Contents"]} == {*objects, "after"}
        for name, value in (kept | {"/after": "v"}).items():
            assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == value
        refused_names = {f"/p/{n}" for n in range(number)} - kept.keys()
        assert ssm.get_parameters(Names=sorted(refused_names)[:10])["Parameters"] == []
        is_whole(small_disk)
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        cloud.stop()


def test_a_read_only_directory_is_named_at_the_start(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = windtunnel("up", "--data", str(small_disk), "--port", "0")
    assert done.returncode == 1
    assert done.stderr == f"windtunnel: {small_disk} cannot be written (Read-only file system); give a directory that can be with --data\n"


def test_a_full_disk_at_the_start_is_named(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (15 << 20))
    with (small_disk / "rest").open("wb", buffering=0) as rest, pytest.raises(OSError):
        while True:
            rest.write(b"x" * 4096)
    done = windtunnel("up", "--data", str(small_disk), "--port", "0")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "full" in done.stderr or "No space left on device" in done.stderr


def test_a_log_that_was_cut_short_opens_at_a_whole_commit_and_is_named(cloud: LabCloud) -> None:
    cloud.start()
    ssm = client(cloud, "ssm")
    for number in range(20):
        ssm.put_parameter(Name=f"/n/{number:02d}", Value="v", Type="String")
    cloud.kill()
    log = cloud.data / "cloud.db-wal"
    log.write_bytes(log.read_bytes()[:-1500])
    named = windtunnel("doctor", "--data", str(cloud.data))
    assert named.returncode == 1 and "is cut off within frame" in named.stdout, named.stdout
    cloud.start()
    found = [p["Name"] for p in client(cloud, "ssm").get_parameters_by_path(Path="/n", MaxResults=10)["Parameters"]]
    assert found == [f"/n/{number:02d}" for number in range(len(found))] and found
    cloud.stop()
    is_whole(cloud.data)


@pytest.mark.parametrize(
    "damage, said",
    [
        pytest.param(lambda content: content[: len(content) // 2], "was truncated", id="truncated"),
        pytest.param(lambda content: b"\0" * 4096 + content[4096:], "its header is damaged", id="without its first page"),
    ],
)
def test_a_damaged_store_is_refused_and_a_snapshot_is_the_way_out(cloud: LabCloud, tmp_path: Path, damage: Any, said: str) -> None:
    cloud.start()
    client(cloud, "ssm").put_parameter(Name="/a", Value="1", Type="String")
    at = ["--data", str(cloud.data), "--snapshots", str(tmp_path / "snapshots")]
    assert windtunnel("snapshot", "save", "good", *at).returncode == 0
    cloud.stop()
    store = cloud.data / "cloud.db"
    store.write_bytes(damage(store.read_bytes()))
    refused = windtunnel("up", "--data", str(cloud.data), "--port", "0")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and said in refused.stderr, refused.stderr
    assert "windtunnel snapshot load NAME --replace" in refused.stderr
    loaded = windtunnel("snapshot", "load", "good", "--replace", *at)
    assert loaded.returncode == 0, loaded.stderr
    cloud.start()
    assert client(cloud, "ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "1"


def test_a_second_cloud_on_the_same_directory_is_refused_by_name(cloud: LabCloud) -> None:
    cloud.start()
    running = run_file(cloud.data)
    assert running is not None
    second = windtunnel("up", "--data", str(cloud.data), "--port", "0")
    assert second.returncode == 1
    assert second.stderr == (
        f"windtunnel: a cloud already runs on {cloud.data} at {running.endpoint} (pid {running.pid});"
        f" stop it with `windtunnel down --data {cloud.data}`\n"
    )
    assert client(cloud, "sts").get_caller_identity()["Account"]


FEW = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
sys.argv = ["windtunnel", "up", "--data", sys.argv[1], "--port", "0"]
runpy.run_module("windtunnel", run_name="__main__")
"""


def test_out_of_file_descriptors_it_goes_on(tmp_path: Path) -> None:
    """Connections that find no descriptor fail; those that stand are answered; when some are given back, all is as before."""
    data = tmp_path / "data"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-P", "-c", FEW, str(data)], stdout=subprocess.PIPE, stderr=log)
    held: list[socket.socket] = []
    try:
        assert process.stdout is not None and process.stdout.readline().startswith(b"ready ")
        running = run_file(data)
        assert running is not None
        keys = json.loads((data / "credentials.json").read_text())
        settings: dict[str, Any] = {
            "region_name": "us-east-1",
            "endpoint_url": running.endpoint,
            "config": Config(retries=TRIES, read_timeout=5),
        }
        ssm = boto3.client("ssm", aws_access_key_id=keys["access_key_id"], aws_secret_access_key=keys["secret_access_key"], **settings)
        ssm.put_parameter(Name="/a", Value="1", Type="String")
        for _ in range(150):
            held.append(socket.create_connection(("127.0.0.1", running.port), 5))
        for number in range(20):
            answered = status_or_none(lambda n=number: ssm.put_parameter(Name=f"/n/{n}", Value="1", Type="String"))
            assert answered in (200, 503), "the connection that stands is answered"
        assert process.poll() is None
        for sock in held:
            sock.close()
        fresh = boto3.client("ssm", aws_access_key_id=keys["access_key_id"], aws_secret_access_key=keys["secret_access_key"], **settings)
        until(
            lambda: status_or_none(lambda: fresh.put_parameter(Name="/b", Value="1", Type="String", Overwrite=True)) == 200, 20, "a write"
        )
        assert fresh.get_parameter(Name="/a")["Parameter"]["Value"] == "1"
    finally:
        for sock in held:
            sock.close()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def status_or_none(call: Callable[[], Any]) -> int | None:
    try:
        return status(call)
    except (ConnectionClosedError, EndpointConnectionError, HTTPClientError):
        return None
