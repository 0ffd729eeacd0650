"""Snapshots through the command line, of a cloud that works meanwhile; loaded, they run beside it on another port, with all that they held."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import until
from shell import client as client_of
from windtunnel.labs.cloud import LabCloud

pytestmark = pytest.mark.slow
LARGE = b"block of a large object\n" * 50_000


def client(cloud: LabCloud, service: str) -> Any:
    return client_of(cloud, service, retries={"total_max_attempts": 1})


def windtunnel(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "windtunnel", *words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[LabCloud]:
    made = LabCloud(tmp_path / "data", tmp_path / "log")
    made.start()
    yield made
    made.stop()


class Work(threading.Thread):
    """Writes a parameter and an object of the same number, one after the other, and remembers what was acknowledged."""

    def __init__(self, cloud: LabCloud) -> None:
        super().__init__(daemon=True)
        self.ssm, self.s3 = client(cloud, "ssm"), client(cloud, "s3")
        self.done, self.stop = 0, threading.Event()
        self.longest = 0.0

    def run(self) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            self.s3.put_object(Bucket="box", Key=f"{self.done:05d}", Body=b"%d " % self.done + LARGE)
            self.ssm.put_parameter(Name="/done", Value=str(self.done), Type="String", Overwrite=True)
            self.longest = max(self.longest, time.monotonic() - began)
            self.done += 1


def test_a_working_cloud_is_saved_and_what_was_saved_runs_beside_it(cloud: LabCloud, tmp_path: Path) -> None:
    s3, sqs, commits = client(cloud, "s3"), client(cloud, "sqs"), client(cloud, "codecommit")
    s3.create_bucket(Bucket="box")
    commits.create_repository(repositoryName="app")
    commits.put_file(repositoryName="app", branchName="main", filePath="page", fileContent=b"one")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="kept")
    key = client(cloud, "kms").create_key()["KeyMetadata"]["KeyId"]
    sealed = client(cloud, "kms").encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    work = Work(cloud)
    work.start()
    until(lambda: work.done > 5, 30, "some work")
    before = work.done
    said = windtunnel("snapshot", "save", "busy", "--data", str(cloud.data), "--snapshots", str(tmp_path / "snapshots"))
    after = work.done
    assert said.rstrip().endswith(", while the cloud runs")
    until(lambda: work.done > after, 30, "the work goes on")
    work.stop.set()
    work.join(30)
    windtunnel("snapshot", "load", "busy", "--data", str(tmp_path / "other"), "--snapshots", str(tmp_path / "snapshots"))
    windtunnel("doctor", "--data", str(tmp_path / "other"))
    other = LabCloud(tmp_path / "other", tmp_path / "log-of-the-other")
    other.start()
    try:
        assert other.environment()["AWS_ENDPOINT_URL"] != cloud.environment()["AWS_ENDPOINT_URL"]
        done = int(client(other, "ssm").get_parameter(Name="/done")["Parameter"]["Value"])
        assert before - 1 <= done <= after, "the moment lies between the save's beginning and its end"
        keys = [item["Key"] for item in client(other, "s3").list_objects_v2(Bucket="box")["Contents"]]
        assert keys[: done + 1] == [f"{n:05d}" for n in range(done + 1)] and len(keys) <= done + 2
        for n in (0, done):
            assert client(other, "s3").get_object(Bucket="box", Key=f"{n:05d}")["Body"].read() == b"%d " % n + LARGE
        shown = client(other, "codecommit").get_repository(repositoryName="app")["repositoryMetadata"]["cloneUrlHttp"]
        port = other.environment()["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]
        assert port in shown or "127.0.0.1" not in shown
        assert client(other, "codecommit").get_file(repositoryName="app", filePath="page")["fileContent"] == b"one"
        mine = client(other, "sqs").get_queue_url(QueueName="q")["QueueUrl"]
        assert f":{port}/" in mine
        assert client(other, "sqs").receive_message(QueueUrl=mine)["Messages"][0]["Body"] == "kept"
        assert client(other, "kms").decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"
        assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "kept", "each cloud has its own"
    finally:
        other.stop()


def test_up_begins_with_a_snapshot(cloud: LabCloud, tmp_path: Path) -> None:
    client(cloud, "ssm").put_parameter(Name="/a", Value="1", Type="String")
    at = ["--snapshots", str(tmp_path / "snapshots")]
    windtunnel("snapshot", "save", "base", "--data", str(cloud.data), *at)
    command = [
        sys.executable,
        "-P",
        "-m",
        "windtunnel",
        "up",
        "--data",
        str(tmp_path / "fresh"),
        "--port",
        "0",
        "--from-snapshot",
        "base",
        *at,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline().startswith("ready ")
        fresh = LabCloud(tmp_path / "fresh", tmp_path / "none")
        assert client(fresh, "ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "1"
    finally:
        process.terminate()
        process.communicate(timeout=60)
    again = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert again.returncode == 1 and f"there is a cloud in {tmp_path / 'fresh'}" in again.stderr and again.stderr.count("\n") == 1
