"""CloudTrail through boto3: which calls are events, what an event shows, and how they are found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until


def found(door: Door, **asked: Any) -> list[dict[str, Any]]:
    return list(door.client("cloudtrail").get_paginator("lookup_events").paginate(**asked).search("Events[]"))


def by(key: str, value: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


def detail(event: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(event["CloudTrailEvent"])
    return made


def test_a_write_is_found_at_once_with_what_was_asked_and_answered(door: Door) -> None:
    door.client("iam").create_user(UserName="ann", Tags=[{"Key": "team", "Value": "a"}])
    [event] = found(door, **by("EventName", "CreateUser"))
    assert (event["EventSource"], event["Username"], event["ReadOnly"]) == ("iam.amazonaws.com", "root", "false")
    assert {"ResourceType": "AWS::IAM::User", "ResourceName": "ann"} in event["Resources"]
    record = detail(event)
    assert record["requestParameters"] == {"userName": "ann", "tags": [{"key": "team", "value": "a"}]}
    assert record["responseElements"]["user"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/ann"
    assert record["userIdentity"] == {
        "type": "Root",
        "principalId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:root",
        "accountId": ACCOUNT,
        "accessKeyId": door.root[0],
    }
    assert (record["eventVersion"], record["eventType"], record["eventCategory"]) == ("1.11", "AwsApiCall", "Management")
    assert record["eventID"] == event["EventId"] and record["requestID"] != record["eventID"]
    assert "Boto3" in record["userAgent"] and record["sourceIPAddress"] == "127.0.0.1"


def test_a_read_is_found_within_its_second_without_its_answer(door: Door) -> None:
    door.client("iam").list_users()
    [event] = until(lambda: found(door, **by("EventName", "ListUsers")))
    assert event["ReadOnly"] == "true"
    assert detail(event)["responseElements"] is None


def test_a_secret_is_hidden_before_it_is_kept(door: Door, cloud: InProcessCloud) -> None:
    door.client("ssm").put_parameter(Name="/db/password", Value="hunter2-hunter2", Type="String")
    [event] = found(door, **by("EventSource", "ssm.amazonaws.com"))
    assert detail(event)["requestParameters"]["value"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        kept = b"".join(body for (body,) in tx.connection.execute("SELECT body FROM trail"))
    assert b"/db/password" in kept and b"hunter2" not in kept


def test_a_new_access_keys_secret_is_not_in_its_event(door: Door) -> None:
    door.client("iam").create_user(UserName="ann")
    made = door.client("iam").create_access_key(UserName="ann")["AccessKey"]
    [event] = found(door, **by("EventName", "CreateAccessKey"))
    shown = detail(event)["responseElements"]["accessKey"]
    assert shown["accessKeyId"] == made["AccessKeyId"] and made["SecretAccessKey"] not in event["CloudTrailEvent"]


def test_a_refusal_is_an_event_with_its_code_and_its_caller(door: Door) -> None:
    door.client("iam").create_user(UserName="ann")
    made = door.client("iam").create_access_key(UserName="ann")["AccessKey"]
    ann = (made["AccessKeyId"], made["SecretAccessKey"], "")
    with pytest.raises(ClientError, match="AccessDenied"):
        door.client("logs", ann).create_log_group(logGroupName="g")
    [event] = until(lambda: found(door, **by("AccessKeyId", ann[0])))
    record = detail(event)
    assert (record["errorCode"], record["userIdentity"]["type"], record["userIdentity"]["userName"]) == ("AccessDenied", "IAMUser", "ann")
    assert "is not authorized to perform: logs:CreateLogGroup" in record["errorMessage"]
    assert record["responseElements"] is None
    with pytest.raises(ClientError):
        door.client("logs").delete_log_group(logGroupName="nothing")
    [event] = until(lambda: found(door, **by("EventName", "DeleteLogGroup")))
    assert detail(event)["errorCode"] == "ResourceNotFoundException"


def test_what_is_refused_for_not_being_built_is_no_event(door: Door) -> None:
    door.client("logs").create_log_group(logGroupName="g")
    with pytest.raises(ClientError):
        door.client("logs").put_metric_filter(logGroupName="g", filterName="f", filterPattern="", metricTransformations=[])
    door.client("logs").create_log_group(logGroupName="h")
    names = [event["EventName"] for event in found(door, **by("EventSource", "logs.amazonaws.com"))]
    assert names == ["CreateLogGroup", "CreateLogGroup"]


def test_data_events_are_not_looked_up(door: Door) -> None:
    s3 = door.client("s3")
    s3.create_bucket(Bucket="first")
    s3.put_object(Bucket="first", Key="k", Body=b"x" * 50_000)
    s3.get_object(Bucket="first", Key="k")
    door.client("logs").create_log_group(logGroupName="g")
    assert [event["EventName"] for event in found(door, **by("EventSource", "s3.amazonaws.com"))] == ["CreateBucket"]
    [event] = found(door, **by("ResourceName", "first"))
    assert detail(event)["requestParameters"]["bucketName"] == "first"


def test_a_sessions_event_names_its_role(door: Door) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    allow = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    iam = door.client("iam")
    iam.create_user(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=allow)
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=document)
    iam.put_role_policy(RoleName="deploy", PolicyName="p", PolicyDocument=allow)
    sts = door.client("sts", (key["AccessKeyId"], key["SecretAccessKey"], ""))
    got = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/deploy", RoleSessionName="me")["Credentials"]
    session = (got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    door.client("logs", session).create_log_group(logGroupName="g")
    [event] = found(door, **by("EventName", "CreateLogGroup"))
    who = detail(event)["userIdentity"]
    assert event["Username"] == "me"
    assert (who["type"], who["sessionContext"]["sessionIssuer"]["userName"]) == ("AssumedRole", "deploy")
    assert who["sessionContext"]["attributes"]["creationDate"].startswith("20")
    [assumed] = until(lambda: found(door, **by("EventName", "AssumeRole")))
    assert detail(assumed)["responseElements"]["credentials"]["accessKeyId"] == got["AccessKeyId"]
    assert assumed["ReadOnly"] == "true" and got["SecretAccessKey"] not in assumed["CloudTrailEvent"]


def test_pages_hold_each_event_once_newest_first(door: Door) -> None:
    logs = door.client("logs")
    for nth in range(7):
        logs.create_log_group(logGroupName=f"g{nth}")
    client = door.client("cloudtrail")
    seen: list[str] = []
    answer: dict[str, Any] = {"NextToken": None}
    while "NextToken" in answer:
        more = {"NextToken": answer["NextToken"]} if answer["NextToken"] else {}
        answer = client.lookup_events(**by("EventName", "CreateLogGroup"), MaxResults=3, **more)
        seen += [detail(event)["requestParameters"]["logGroupName"] for event in answer["Events"]]
    assert seen == [f"g{nth}" for nth in reversed(range(7))]


def test_a_search_that_looks_at_much_answers_with_a_token_and_goes_on(door: Door, cloud: InProcessCloud) -> None:
    door.client("logs").create_log_group(logGroupName="oldest")
    for _ in range(40):
        filler = b'{"who":{},"notes":[]}' + b" " * (2 << 20)
        cloud.write(lambda ctx, body=filler: ctx.tx.append_audit(int(ctx.now * 1e6), body))  # type: ignore[misc]
    client, asked = door.client("cloudtrail"), by("ResourceName", "oldest")
    first = client.lookup_events(**asked)
    assert first["Events"] == [] and first["NextToken"]
    assert [event["EventName"] for event in client.lookup_events(**asked, NextToken=first["NextToken"])["Events"]] == ["CreateLogGroup"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("EventName", "CreateUser", 1),
        ("EventName", "Create", 0),
        ("ReadOnly", "false", 2),
        ("Username", "root", 2),
        ("Username", "roo", 0),
        ("ResourceType", "AWS::Logs::LogGroup", 1),
        ("ResourceName", 'quo"ted', 0),
        ("ResourceName", "group", 1),
        ("EventSource", "iam.amazonaws.com", 1),
        ("EventSource", "iam", 0),
        ("AccessKeyId", "AKIAROOTROOTROOTROOT", 2),
    ],
)
def test_each_attribute_finds_what_it_names(door: Door, key: str, value: str, expected: int) -> None:
    door.client("iam").create_user(UserName="ann")
    door.client("logs").create_log_group(logGroupName="group")
    writes = [event for event in found(door, **by(key, value)) if event["ReadOnly"] == "false"]
    assert len(writes) == expected


def test_an_event_is_found_by_its_id_and_by_time(door: Door) -> None:
    door.client("logs").create_log_group(logGroupName="group")
    [event] = found(door, **by("EventName", "CreateLogGroup"))
    assert [one["EventId"] for one in found(door, **by("EventId", event["EventId"]))] == [event["EventId"]]
    at = event["EventTime"].timestamp()
    assert not found(door, **by("EventName", "CreateLogGroup"), EndTime=at - 5)
    assert not found(door, **by("EventName", "CreateLogGroup"), StartTime=at + 5)
    assert found(door, **by("EventName", "CreateLogGroup"), StartTime=at - 5, EndTime=at + 5)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"NextToken": "nonsense"}, "InvalidNextTokenException"),
        ({"MaxResults": 51}, "Invalid"),
        ({"StartTime": 2_000_000_000, "EndTime": 1_000_000_000}, "InvalidTimeRangeException"),
        ({"LookupAttributes": [{"AttributeKey": "EventId", "AttributeValue": "a"}] * 2}, "InvalidLookupAttributesException"),
    ],
)
def test_what_cannot_be_looked_up(door: Door, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        door.client("cloudtrail").lookup_events(**asked)


def test_regions_are_apart_and_iam_is_in_us_east_1(door: Door) -> None:
    door.client("iam", region="eu-west-1").create_user(UserName="ann")
    door.client("logs", region="eu-west-1").create_log_group(logGroupName="g")
    assert [event["EventName"] for event in found(door, **by("ReadOnly", "false"))] == ["CreateUser"]
    there = door.client("cloudtrail", region="eu-west-1").lookup_events(**by("ReadOnly", "false"))["Events"]
    assert [(event["EventName"], detail(event)["awsRegion"]) for event in there] == [("CreateLogGroup", "eu-west-1")]


def test_events_survive_a_restart_and_go_after_90_days(tmp_path: Path) -> None:
    from windtunnel.services.cloudtrail.retention import KEPT_SECONDS, forget

    with InProcessCloud(tmp_path) as cloud:
        door = Door(cloud)
        door.client("logs").create_log_group(logGroupName="g")
        door.client("logs").describe_log_groups()
    with InProcessCloud(tmp_path) as cloud:
        door = Door(cloud)
        assert {event["EventName"] for event in found(door, **by("EventSource", "logs.amazonaws.com"))} == {
            "CreateLogGroup",
            "DescribeLogGroups",
        }
        cloud.write(lambda ctx: ctx.tx.append_audit(int((ctx.now - KEPT_SECONDS - 60) * 1e6), b'{"who":{},"notes":[]}'))
        assert cloud.write(forget) == 1
        assert cloud.write(forget) == 0
        assert REGION in {region for _, region in cloud.read(lambda ctx: ctx.tx.audited())}


def test_a_stacks_event_has_its_parameters_keys_and_no_values(door: Door) -> None:
    body = json.dumps({"Parameters": {"Word": {"Type": "String"}}, "Resources": {"A": {"Type": "AWS::SQS::Queue"}}})
    given = [{"ParameterKey": "Word", "ParameterValue": "hush"}]
    door.client("cloudformation").create_stack(StackName="told", TemplateBody=body, Parameters=given)
    [event] = found(door, **by("EventName", "CreateStack"))
    asked = detail(event)["requestParameters"]
    assert (asked["stackName"], asked["parameters"], "templateBody" in asked) == ("told", [{"parameterKey": "Word"}], False)
