"""`aws logs` and `aws cloudtrail` as a person types them, against a real server: the CLI validates what a trail delivered, and tails a group."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from harness import until
from shell import Shell, started_shell

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    yield from started_shell(tmp_path_factory.mktemp("shell"))


def test_a_group_is_filled_and_searched(shell: Shell) -> None:
    shell.aws("logs", "create-log-group", "--log-group-name", "/app", "--tags", "team=a")
    shell.aws("logs", "create-log-stream", "--log-group-name", "/app", "--log-stream-name", "s")
    shell.aws("logs", "put-retention-policy", "--log-group-name", "/app", "--retention-in-days", "7")
    now = int(time.time() * 1000)
    events = [{"timestamp": now + n, "message": json.dumps({"level": level, "n": n})} for n, level in enumerate(["INFO", "ERROR", "INFO"])]
    (shell.work / "events.json").write_text(json.dumps(events))
    shell.aws("logs", "put-log-events", "--log-group-name", "/app", "--log-stream-name", "s", "--log-events", "file://events.json")
    found = shell.json("logs", "filter-log-events", "--log-group-name", "/app", "--filter-pattern", '{ $.level = "ERROR" && $.n > 0 }')
    assert [json.loads(event["message"])["n"] for event in found["events"]] == [1]
    got = shell.json("logs", "get-log-events", "--log-group-name", "/app", "--log-stream-name", "s", "--start-from-head")
    assert len(got["events"]) == 3
    [group] = shell.json("logs", "describe-log-groups", "--log-group-name-prefix", "/a")["logGroups"]
    assert (group["retentionInDays"], group["logGroupName"]) == (7, "/app")
    shell.aws("logs", "get-log-events", "--log-group-name", "/app", "--log-stream-name", "none", fails="ResourceNotFoundException")


def test_a_live_tail_shows_what_is_put_meanwhile(shell: Shell) -> None:
    logs = shell.client("logs")
    logs.create_log_group(logGroupName="/live")
    logs.create_log_stream(logGroupName="/live", logStreamName="s")
    arn = logs.describe_log_groups(logGroupNamePrefix="/live")["logGroups"][0]["logGroupArn"]
    stream = logs.start_live_tail(logGroupIdentifiers=[arn], logEventFilterPattern="ERROR")["responseStream"]
    events = iter(stream)
    assert next(events)["sessionStart"]["logGroupIdentifiers"] == [arn]
    now = int(time.time() * 1000)
    texts = ["ERROR one", "fine", "ERROR two"]
    logs.put_log_events(
        logGroupName="/live", logStreamName="s", logEvents=[{"timestamp": now + n, "message": text} for n, text in enumerate(texts)]
    )
    seen: list[str] = []
    while len(seen) < 2:
        seen += [event["message"] for event in next(events)["sessionUpdate"]["sessionResults"]]
    assert seen == ["ERROR one", "ERROR two"]
    stream.close()


def test_what_was_typed_is_found_and_a_trails_files_are_valid(shell: Shell) -> None:
    account = shell.aws("sts", "get-caller-identity", "--query", "Account", "--output", "text")
    shell.aws("s3", "mb", "s3://trails")
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": ["s3:GetBucketAcl", "s3:PutObject"],
        "Resource": ["arn:aws:s3:::trails", "arn:aws:s3:::trails/*"],
    }
    create = ("cloudtrail", "create-trail", "--name", "all", "--s3-bucket-name", "trails", "--enable-log-file-validation")
    shell.aws(*create, fails="InsufficientS3BucketPolicyException")
    shell.aws("s3api", "put-bucket-policy", "--bucket", "trails", "--policy", json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    arn = shell.json(*create)["TrailARN"]
    shell.aws("cloudtrail", "start-logging", "--name", "all")
    shell.aws("iam", "create-user", "--user-name", "ann")
    asked = ("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=ResourceName,AttributeValue=ann")
    [event] = shell.json(*asked)["Events"]
    assert (event["EventName"], event["Username"]) == ("CreateUser", "root")
    assert "aws-cli" in json.loads(event["CloudTrailEvent"])["userAgent"]
    prefix = f"AWSLogs/{account}/CloudTrail/"
    until(lambda: shell.client("s3").list_objects_v2(Bucket="trails", Prefix=prefix)["KeyCount"] > 1, 30, "a file is delivered")
    shell.aws("cloudtrail", "stop-logging", "--name", "all")
    digests = f"AWSLogs/{account}/CloudTrail-Digest/"
    until(lambda: shell.client("s3").list_objects_v2(Bucket="trails", Prefix=digests)["KeyCount"], 30, "a digest is delivered")
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = shell.aws("cloudtrail", "validate-logs", "--trail-arn", arn, "--start-time", since, "--verbose")
    assert "1/1 digest files valid" in said and "INVALID" not in said, said
    [key] = [one["Key"] for one in shell.client("s3").list_objects_v2(Bucket="trails", Prefix=prefix + "us-east-1/")["Contents"]][:1]
    shell.client("s3").put_object(Bucket="trails", Key=key, Body=b"altered")
    shell.aws("cloudtrail", "validate-logs", "--trail-arn", arn, "--start-time", since, fails="INVALID")
