"""CloudWatch Logs through boto3: encryption, export, retention, tail, subscription filters, policies."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.kernel.clock import SystemClock
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import OPERATIONS, writes

GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g"
LOGS = f"logs.{REGION}.amazonaws.com"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=SystemClock(10_000.0)) as running:
        yield running


@pytest.fixture
def logs(door: Door) -> Any:
    client = door.client("logs")
    client.create_log_group(logGroupName="g")
    for stream in ("a", "b"):
        client.create_log_stream(logGroupName="g", logStreamName=stream)
    return client


def now() -> int:
    return int(time.time() * 1000)


def put(logs: Any, *messages: str, stream: str = "a", at: int | None = None) -> int:
    began = now() if at is None else at
    logs.put_log_events(
        logGroupName="g", logStreamName=stream, logEvents=[{"timestamp": began + n, "message": text} for n, text in enumerate(messages)]
    )
    return began


def policy(service: str, bucket: str) -> str:
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["s3:GetBucketAcl", "s3:PutObject"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


def texts(logs: Any, **asked: Any) -> list[str]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="g", **asked)
    return [event["message"] for page in pages for event in page["events"]]


# -- putting and getting --------------------------------------------------------------------------------------------------


def test_ten_thousand_events_come_back_in_order_and_page_by_page(logs: Any) -> None:
    wanted = [f"event {n}" for n in range(10_000)]
    put(logs, *wanted)
    assert texts(logs) == wanted
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = logs.get_log_events(logGroupName="g", logStreamName="a", startFromHead=True, limit=3_000, **token)
        seen += [event["message"] for event in answer["events"]]
        if answer["nextForwardToken"] == token.get("nextToken"):
            break
        token = {"nextToken": answer["nextForwardToken"]}
    assert seen == wanted
    assert [event["message"] for event in logs.get_log_events(logGroupName="g", logStreamName="a", limit=2)["events"]] == wanted[-2:]


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "logEvents"),
        ([{"timestamp": 5, "message": ""}], "message"),
        ([{"timestamp": -1, "message": "x"}], "timestamp"),
        ([{"timestamp": 5}], "message"),
    ],
)
def test_what_is_wrong_is_said_in_awss_words_although_the_quick_way_refused_it(logs: Any, events: Any, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        logs.put_log_events(logGroupName="g", logStreamName="a", logEvents=events)
    assert texts(logs) == []


def test_what_is_too_old_or_too_new_is_rejected_by_index(logs: Any) -> None:
    day = 86_400_000
    late = now() + 3 * 3_600_000
    answer = logs.put_log_events(
        logGroupName="g", logStreamName="a", logEvents=[{"timestamp": now(), "message": "kept"}, {"timestamp": late, "message": "new"}]
    )
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    old = now() - 15 * day
    answer = logs.put_log_events(logGroupName="g", logStreamName="a", logEvents=[{"timestamp": old, "message": "old"}])
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert texts(logs) == ["kept"]


# -- encryption -----------------------------------------------------------------------------------------------------------


def kms_key(door: Door) -> str:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    service = {
        "Effect": "Allow",
        "Principal": {"Service": LOGS},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:*"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [root, service]})
    made: str = door.client("kms").create_key(Policy=document)["KeyMetadata"]["Arn"]
    return made


def stored(cloud: InProcessCloud) -> bytes:
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        return b"".join(body for (body,) in tx.connection.execute("SELECT body FROM logs"))


def test_messages_are_sealed_under_the_groups_key_and_follow_it(door: Door, logs: Any, cloud: InProcessCloud) -> None:
    put(logs, "an open message")
    key = kms_key(door)
    logs.associate_kms_key(logGroupName="g", kmsKeyId=key)
    put(logs, "a secret message")
    assert b"an open message" in stored(cloud) and b"a secret message" not in stored(cloud)
    assert sorted(texts(logs)) == ["a secret message", "an open message"]
    assert logs.describe_log_groups()["logGroups"][0]["kmsKeyId"] == key
    door.client("kms").disable_key(KeyId=key)
    with pytest.raises(ClientError, match="cannot be used"):
        logs.filter_log_events(logGroupName="g")
    with pytest.raises(ClientError, match="cannot be used"):
        put(logs, "another")
    door.client("kms").enable_key(KeyId=key)
    logs.disassociate_kms_key(logGroupName="g")
    put(logs, "open again")
    assert len(texts(logs)) == 3 and b"open again" in stored(cloud)


def test_a_key_that_does_not_allow_the_service_is_refused(door: Door, logs: Any) -> None:
    key = door.client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="not allowed to be used with LogGroup"):
        logs.associate_kms_key(logGroupName="g", kmsKeyId=key)
    with pytest.raises(ClientError, match="not allowed to be used with LogGroup"):
        logs.create_log_group(logGroupName="sealed", kmsKeyId=key.replace(key[-12:], "0" * 12))
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["g"]


# -- groups ---------------------------------------------------------------------------------------------------------------


def test_a_protected_group_is_not_deleted(logs: Any) -> None:
    logs.put_log_group_deletion_protection(logGroupIdentifier="g", deletionProtectionEnabled=True)
    with pytest.raises(ClientError, match="deletion protection"):
        logs.delete_log_group(logGroupName="g")
    logs.put_log_group_deletion_protection(logGroupIdentifier=GROUP, deletionProtectionEnabled=False)
    logs.delete_log_group(logGroupName="g")


def test_classes_are_what_they_can_do(logs: Any) -> None:
    logs.create_log_group(logGroupName="cheap", logGroupClass="INFREQUENT_ACCESS")
    logs.create_log_stream(logGroupName="cheap", logStreamName="s")
    logs.put_log_events(logGroupName="cheap", logStreamName="s", logEvents=[{"timestamp": now(), "message": "x"}])
    with pytest.raises(ClientError, match="INFREQUENT_ACCESS"):
        logs.filter_log_events(logGroupName="cheap")
    logs.create_log_group(logGroupName="passing", logGroupClass="DELIVERY")
    shown = {group["logGroupName"]: group for group in logs.describe_log_groups()["logGroups"]}
    assert shown["passing"]["retentionInDays"] == 2 and shown["cheap"]["logGroupClass"] == "INFREQUENT_ACCESS"
    assert [one["logGroupName"] for one in logs.describe_log_groups(logGroupClass="DELIVERY")["logGroups"]] == ["passing"]
    listed = logs.list_log_groups(logGroupNamePattern="^pas|hea")["logGroups"]
    assert [one["logGroupName"] for one in listed] == ["cheap", "passing"]


def test_what_is_past_its_retention_is_gone_from_the_disk_too(logs: Any, cloud: InProcessCloud) -> None:
    old = now() - 10 * 86_400_000
    put(logs, "ten days old", at=old)
    put(logs, "new")
    put(logs, "also ten days old", stream="b", at=old)
    logs.put_retention_policy(logGroupName="g", retentionInDays=5)
    assert texts(logs) == ["new"]
    until(lambda: b"ten days old" not in stored(cloud), what="the room is given back")
    assert texts(logs) == ["new"]


def test_resource_policies_let_a_service_in(logs: Any, cloud: InProcessCloud) -> None:
    from windtunnel.kernel.errors import AwsError
    from windtunnel.kernel.principal import Principal

    events = Principal.service("events.amazonaws.com", ACCOUNT, "arn:aws:events:us-east-1:123456789012:rule/r")
    with pytest.raises(AwsError, match="AccessDenied"):
        cloud.api("logs", "CreateLogStream", principal=events, log_group_name="g", log_stream_name="by-events")
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*:*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    logs.put_resource_policy(policyName="events", policyDocument=document)
    cloud.api("logs", "CreateLogStream", principal=events, log_group_name="g", log_stream_name="by-events")
    [shown] = logs.describe_resource_policies()["resourcePolicies"]
    assert (shown["policyName"], json.loads(shown["policyDocument"])["Statement"]) == ("events", [allow])
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.put_resource_policy(policyName="bad", policyDocument="{}")
    logs.delete_resource_policy(policyName="events")
    with pytest.raises(ClientError, match="does not exist"):
        logs.delete_resource_policy(policyName="events")


def test_query_definitions_are_kept(logs: Any) -> None:
    made = logs.put_query_definition(name="errors", queryString="fields @message", logGroupNames=["g"])["queryDefinitionId"]
    logs.put_query_definition(name="errors", queryString="fields @timestamp", queryDefinitionId=made)
    [shown] = logs.describe_query_definitions(queryDefinitionNamePrefix="err")["queryDefinitions"]
    assert (shown["queryDefinitionId"], shown["queryString"]) == (made, "fields @timestamp")
    assert logs.delete_query_definition(queryDefinitionId=made)["success"] is True
    assert logs.describe_query_definitions()["queryDefinitions"] == []


def test_what_a_pattern_takes_out_of_messages(logs: Any) -> None:
    line = '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'
    answer = logs.test_metric_filter(
        filterPattern="[ip, identity, user, timestamp, request, status=4*, bytes>1000]", logEventMessages=["other", line]
    )
    [match] = answer["matches"]
    assert match["eventNumber"] == 2
    assert match["extractedValues"] == {
        "$ip": "127.0.0.1",
        "$identity": "Prod",
        "$user": "frank",
        "$timestamp": "10/Oct/2000:13:25:15 -0700",
        "$request": "GET /index.html HTTP/1.0",
        "$status": "404",
        "$bytes": "1534",
    }
    json_answer = logs.test_metric_filter(filterPattern="{ $.a.b > 1 }", logEventMessages=['{"a":{"b":2}}', '{"a":{"b":1}}'])
    assert [one["extractedValues"] for one in json_answer["matches"]] == [{"$.a.b": "2"}]


# -- export ---------------------------------------------------------------------------------------------------------------


def test_an_export_writes_every_event_once(door: Door, logs: Any) -> None:
    s3 = door.client("s3")
    s3.create_bucket(Bucket="exports")
    began = put(logs, *[f"a{n}" for n in range(10_000)])
    put(logs, *[f"a{n}" for n in range(10_000, 12_000)], at=began + 10_000)
    put(logs, "b0", stream="b", at=began)
    asked = {"logGroupName": "g", "fromTime": began, "to": began + 60_000, "destination": "exports", "destinationPrefix": "p"}
    with pytest.raises(ClientError, match="GetBucketAcl call on the given bucket failed"):
        logs.create_export_task(**asked)
    s3.put_bucket_policy(Bucket="exports", Policy=policy(LOGS, "exports"))
    task = logs.create_export_task(**asked)["taskId"]

    def status() -> str:
        [shown] = logs.describe_export_tasks(taskId=task)["exportTasks"]
        code: str = shown["status"]["code"]
        return code

    until(lambda: status() == "COMPLETED", what="the export completes")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="exports", Prefix="p/")["Contents"]]
    assert keys == ["p/aws-logs-write-test", f"p/{task}/a/000000.gz", f"p/{task}/a/000001.gz", f"p/{task}/b/000000.gz"] or sorted(
        keys
    ) == sorted(["p/aws-logs-write-test", f"p/{task}/a/000000.gz", f"p/{task}/a/000001.gz", f"p/{task}/b/000000.gz"])
    lines = [
        line
        for key in keys
        if key.endswith(".gz")
        for line in gzip.decompress(s3.get_object(Bucket="exports", Key=key)["Body"].read()).decode().splitlines()
    ]
    assert sorted(line.split(" ", 1)[1] for line in lines) == sorted([*(f"a{n}" for n in range(12_000)), "b0"])
    assert lines[0].endswith("Z a0") and "T" in lines[0]
    with pytest.raises(ClientError, match="InvalidOperationException"):
        logs.cancel_export_task(taskId=task)


# -- tail and subscriptions -----------------------------------------------------------------------------------------------


class Lambda:
    """A function that remembers what it was given, registered for the time of a test; refuses while `broken`."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []
        self.broken = False

    def register(self) -> None:
        from windtunnel.kernel.errors import AwsError

        def authorize(ctx: Context, **_: Any) -> list[Need]:
            return []

        @writes("lambda", "Invoke", authorize=authorize, acts="FunctionName InvocationType Payload")
        def invoke(ctx: Context, function_name: str, invocation_type: str = "", payload: bytes = b"") -> Reply:
            if self.broken:
                raise AwsError("ServiceException", "not now")
            data = json.loads(payload)["awslogs"]["data"]
            self.given.append(json.loads(gzip.decompress(base64.b64decode(data))))
            return {"StatusCode": 202}


@pytest.fixture
def function() -> Iterator[Lambda]:
    if ("lambda", "Invoke") in OPERATIONS:
        pytest.skip("lambda is built: this test scripts it")
    made = Lambda()
    made.register()
    try:
        yield made
    finally:
        del OPERATIONS["lambda", "Invoke"]


FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"


def test_a_subscription_filter_delivers_what_matches(logs: Any, function: Lambda) -> None:
    logs.put_subscription_filter(logGroupName="g", filterName="errors", filterPattern="ERROR", destinationArn=FUNCTION)
    assert function.given[0]["messageType"] == "CONTROL_MESSAGE"
    put(logs, "ERROR one", "fine", "ERROR two")
    until(lambda: len(function.given) == 2)
    data = function.given[1]
    assert (data["messageType"], data["owner"], data["logGroup"], data["logStream"]) == ("DATA_MESSAGE", ACCOUNT, "g", "a")
    assert data["subscriptionFilters"] == ["errors"]
    assert [event["message"] for event in data["logEvents"]] == ["ERROR one", "ERROR two"]
    function.broken = True
    put(logs, "ERROR three")
    function.broken = False
    until(lambda: len(function.given) == 3, what="it is tried again")
    [shown] = logs.describe_subscription_filters(logGroupName="g")["subscriptionFilters"]
    assert (shown["filterName"], shown["destinationArn"]) == ("errors", FUNCTION)
    logs.delete_subscription_filter(logGroupName="g", filterName="errors")
    put(logs, "ERROR four")
    assert logs.describe_subscription_filters(logGroupName="g")["subscriptionFilters"] == []
    assert len(function.given) == 3


def test_a_destination_that_is_not_there_is_refused(logs: Any, function: Lambda) -> None:
    function.broken = True
    with pytest.raises(ClientError, match="Could not execute the lambda function"):
        logs.put_subscription_filter(logGroupName="g", filterName="f", filterPattern="", destinationArn=FUNCTION)
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
    with pytest.raises(ClientError, match="does not run logs:PutSubscriptionFilter with destinationArn of kinesis"):
        logs.put_subscription_filter(logGroupName="g", filterName="f", filterPattern="", destinationArn=stream)
    assert logs.describe_subscription_filters(logGroupName="g")["subscriptionFilters"] == []


def test_live_tail_sends_what_is_put_meanwhile_and_matches(logs: Any, cloud: InProcessCloud) -> None:
    put(logs, "ERROR before")
    reply = cloud.read(lambda ctx: _tail(ctx))
    stream = reply["responseStream"]
    assert stream.events[0]["sessionStart"]["logGroupIdentifiers"] == [GROUP]
    put(logs, "ERROR one", "fine")
    put(logs, "ERROR late", stream="b", at=now() - 3_600_000)

    def results() -> list[str]:
        [update] = cloud.read(stream.follow)
        return [event["message"] for event in update["sessionUpdate"]["sessionResults"]]

    assert sorted(results()) == ["ERROR late", "ERROR one"]
    assert results() == []


def _tail(ctx: Context) -> Any:
    return OPERATIONS["logs", "StartLiveTail"].handler(ctx, log_group_identifiers=[GROUP], log_event_filter_pattern="ERROR")


def test_what_nobody_made_is_not_there(logs: Any) -> None:
    assert logs.describe_metric_filters(logGroupName="g")["metricFilters"] == []
    assert logs.describe_account_policies(policyType="DATA_PROTECTION_POLICY")["accountPolicies"] == []
    assert logs.describe_index_policies(logGroupIdentifiers=["g"])["indexPolicies"] == []
    assert "policyDocument" not in logs.get_data_protection_policy(logGroupIdentifier="g")
    for refused in (
        lambda: logs.put_metric_filter(logGroupName="g", filterName="f", filterPattern="", metricTransformations=[]),
        lambda: logs.start_query(logGroupName="g", startTime=0, endTime=1, queryString="fields @message"),
        lambda: logs.put_data_protection_policy(logGroupIdentifier="g", policyDocument="{}"),
    ):
        with pytest.raises(ClientError, match="does not run"):
            refused()
