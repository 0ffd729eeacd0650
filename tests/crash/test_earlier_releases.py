"""Data directories that earlier releases left (killed, with half-done runs) under today's code: all readable, and everything goes on."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness import REGION, InProcessCloud, until
from windtunnel.commands.running import credentials
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.principal import Principal
from windtunnel.labs.cloud import LabCloud
from windtunnel.store.opening import SCHEMA_VERSION

pytestmark = pytest.mark.slow
ARCHIVES = sorted((Path(__file__).parents[1] / "fixtures").glob("data-*.tar.*"))


class Then(LabCloud):
    """A cloud that believes to be of a minute after its archive was made."""

    def command(self, port: int, tls_port: int) -> list[str]:
        ago = time.time() - made(self.data) - 60
        return [sys.executable, str(Path(__file__).with_name("then_server.py")), str(self.data), str(port), str(tls_port), str(ago)]


def made(data: Path) -> float:
    """When a data directory was left, epoch seconds."""
    return (data / "credentials.json").stat().st_mtime


class Opened:
    def __init__(self, cloud: LabCloud) -> None:
        self.cloud = cloud

    def client(self, service: str, key: str = "", secret: str = "") -> Any:
        found = self.cloud.environment()
        return boto3.client(
            service,
            endpoint_url=found["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=key or found["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret or found["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )


def unpack(archive: Path, into: Path) -> Path:
    into.mkdir(mode=0o700)
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    return into


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name.partition(".tar")[0])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    home = tmp_path_factory.mktemp("earlier")
    cloud = Then(unpack(request.param, home / "data"), home / "log")
    keys = credentials(home / "data")
    cloud.start()
    try:
        assert credentials(home / "data") == keys, "the root key stays"
        yield Opened(cloud)
    finally:
        cloud.stop()


def test_there_is_one_for_the_first_release() -> None:
    assert "data-0.1.0.tar.gz" in {path.name for path in ARCHIVES}
    assert all(path.stat().st_size < 300 << 10 for path in ARCHIVES)


def test_the_schema_is_brought_up_to_date(opened: Opened) -> None:
    db = sqlite3.connect(f"file:{opened.cloud.data / 'cloud.db'}?mode=ro", uri=True)
    shown = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('schema', 'kinds')").fetchall())
    db.close()
    assert shown["schema"] == str(SCHEMA_VERSION) and "s3.object" in json.loads(shown["kinds"])


def test_parameters_and_identities(opened: Opened) -> None:
    ssm = opened.client("ssm")
    assert ssm.get_parameter(Name="/app/version")["Parameter"]["Value"] == "2"
    assert [h["Value"] for h in ssm.get_parameter_history(Name="/app/version")["Parameters"]] == ["1", "2"]
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/app/version")["TagList"] == [{"Key": "team", "Value": "web"}]
    key, secret = ssm.get_parameter(Name="/reader/key")["Parameter"]["Value"].split()
    assert opened.client("sts", key, secret).get_caller_identity()["Arn"].endswith(":user/reader")
    with pytest.raises(ClientError) as denied:
        opened.client("ssm", key, secret).put_parameter(Name="/no", Value="v", Type="String")
    assert denied.value.response["Error"]["Code"] == "AccessDeniedException"


def test_objects(opened: Opened) -> None:
    s3 = opened.client("s3")
    versions = s3.list_object_versions(Bucket="releases", Prefix="small.txt")["Versions"]
    bodies = [s3.get_object(Bucket="releases", Key="small.txt", VersionId=v["VersionId"])["Body"].read() for v in versions]
    assert bodies == [b"two", b"one"]
    assert s3.get_object(Bucket="releases", Key="large.bin")["Body"].read() == b"windtunnel\n" * 4000
    with pytest.raises(ClientError) as gone:
        s3.get_object(Bucket="releases", Key="gone.txt")
    assert gone.value.response["Error"]["Code"] == "NoSuchKey"


def test_an_upload_that_was_half_done_is_finished(opened: Opened) -> None:
    s3 = opened.client("s3")
    (upload,) = s3.list_multipart_uploads(Bucket="releases")["Uploads"]
    where = {"Bucket": "releases", "Key": "parts.bin", "UploadId": upload["UploadId"]}
    (first,) = s3.list_parts(**where)["Parts"]
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}]
    if first["Size"] >= 5 << 20:  # else it can only be the last
        parts.append({"PartNumber": 2, "ETag": s3.upload_part(**where, PartNumber=2, Body=b"q")["ETag"]})
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    body = s3.get_object(Bucket="releases", Key="parts.bin")["Body"].read()
    assert body == b"p" * first["Size"] + b"q" * (len(parts) - 1)


def test_log_events(opened: Opened) -> None:
    found = opened.client("logs").get_log_events(logGroupName="/app", logStreamName="web", startFromHead=True)["events"]
    assert [event["message"] for event in found] == [f"line {n}" for n in range(20)]


def test_the_repository_is_cloned(opened: Opened, tmp_path: Path) -> None:
    api = opened.client("codecommit")
    branch = api.get_branch(repositoryName="app", branchName="main")["branch"]
    content = api.get_file(repositoryName="app", filePath="page.html")["fileContent"]
    assert content == b"<h1>one</h1>\n" and len(branch["commitId"]) == 40
    shown = api.get_repository(repositoryName="app")["repositoryMetadata"]
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "fsck", "--full"],
        cwd=opened.cloud.data / "git" / f"{shown['repositoryId']}.git",
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_rules_and_their_schedules(opened: Opened) -> None:
    rules = {rule["Name"]: rule for rule in opened.client("events").list_rules()["Rules"]}
    assert rules["nightly"]["ScheduleExpression"] == "rate(12 hours)" and "EventPattern" in rules["pushes"]
    assert " of the unknown kind " not in opened.cloud.log.read_text(), "every run that goes on is of a kind that we still have"


def test_the_execution_that_waited_for_its_approval_goes_on(opened: Opened) -> None:
    pipelines = opened.client("codepipeline")
    stages = {stage["stageName"]: stage for stage in pipelines.get_pipeline_state(name="release")["stageStates"]}
    token = stages["Approve"]["actionStates"][0]["latestExecution"]["token"]
    pipelines.put_approval_result(
        pipelineName="release", stageName="Approve", actionName="Approve", token=token, result={"summary": "go", "status": "Approved"}
    )

    def released() -> Any:
        (execution,) = pipelines.list_pipeline_executions(pipelineName="release")["pipelineExecutionSummaries"]
        assert execution["status"] in ("InProgress", "Succeeded")
        return execution["status"] == "Succeeded"

    until(released, 60, "the release")
    assert opened.client("s3").get_object(Bucket="site", Key="index.html")["Body"].read() == b"<h1>released</h1>"
    packed = io.BytesIO(opened.client("s3").get_object(Bucket="releases", Key="site.zip")["Body"].read())
    assert zipfile.ZipFile(packed).namelist() == ["index.html"]


# -- what came with issue 3 ------------------------------------------------------------------------------------------------


@pytest.fixture()
def foundations(opened: Opened) -> Opened:
    if opened.client("ssm").get_parameters(Names=["/sealed"])["Parameters"] == []:
        pytest.skip("this release had neither keys nor queues")
    return opened


def test_what_was_sealed_opens(foundations: Opened) -> None:
    ssm, kms = foundations.client("ssm"), foundations.client("kms")
    sealed = base64.b64decode(ssm.get_parameter(Name="/sealed")["Parameter"]["Value"])
    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"for": "later"})["Plaintext"] == b"secret"
    assert ssm.get_parameter(Name="/app/password", WithDecryption=True)["Parameter"]["Value"] == "hidden"
    assert foundations.client("s3").get_object(Bucket="releases", Key="sealed.bin")["Body"].read() == b"windtunnel\n" * 2000
    secrets = foundations.client("secretsmanager")
    values = {stage: secrets.get_secret_value(SecretId="db", VersionStage=stage)["SecretString"] for stage in ("AWSCURRENT", "AWSPREVIOUS")}
    assert values == {"AWSCURRENT": "two", "AWSPREVIOUS": "one"}


WORDS = {"work": ["first", "second"], "work.fifo": ["one", "two", "three"], "told": ["published"]}


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.partition(".tar")[0])
def test_messages_are_still_there(archive: Path, tmp_path: Path) -> None:
    """At the archive's own time: a queue keeps its messages for four days."""
    data = unpack(archive, tmp_path / "data")
    clock = FixedClock(made(data) + 60)
    with InProcessCloud(data, clock=clock) as cloud:

        def call(operation: str, **members: Any) -> Any:
            root = Principal.root("000000000000")
            return cloud.write(lambda ctx: ctx.in_scope("000000000000", REGION).call("sqs", operation, **members), root)

        if "QueueUrls" not in call("ListQueues"):
            pytest.skip("this release had no queues")
        for queue, words in WORDS.items():
            url, seen = call("GetQueueUrl", queue_name=queue)["QueueUrl"], []
            for _ in range(5):
                for message in call("ReceiveMessage", queue_url=url, max_number_of_messages=10).get("Messages", []):
                    seen.append(message["Body"])
                    call("DeleteMessage", queue_url=url, receipt_handle=message["ReceiptHandle"])
            assert sorted(seen) == sorted(words) and (queue != "work.fifo" or seen == words)


def test_topics_and_schedules_go_on(foundations: Opened) -> None:
    (subscription,) = foundations.client("sns").list_subscriptions()["Subscriptions"]
    assert subscription["Protocol"] == "sqs" and subscription["Endpoint"].endswith(":told")
    shown = foundations.client("scheduler").get_schedule(Name="far")
    assert shown["State"] == "ENABLED" and shown["Target"]["Input"] == "due"
