"""Resource types of what releases lean on (logs, events, scheduler, ecr): a template's properties become AWS's, change, are read back, and go.

Each type's life is a row: first properties, then those of an update. What a row does not say of itself is held for all of them below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud, until
from resource_tables import release
from resource_tables.release import BUS, CASES, OTHER_TAGS, ROLE, TAGS, TOPIC, readable, world
from stacks_lab import STACK, Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.checking import check
from windtunnel.provision.registry import Failed, handler
from windtunnel.provision.schemas import schema


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("release-types")) as cloud:
        world(cloud)
        yield Lab(cloud)


@pytest.mark.parametrize(("type_name", "first", "second"), CASES)
def test_its_life(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any] | None) -> None:
    known = schema(type_name)
    assert known is not None
    first, second = release.resolved(lab.cloud, first), None if second is None else release.resolved(lab.cloud, second)
    assert check(known, first)[1] == check(known, second or first)[1] == [], "a template may say so"
    before = set(lab.list(type_name))
    made = lab.create(type_name, **first)
    assert differences(readable(type_name, first), lab.read(made)) == []
    [listed] = set(lab.list(type_name)) - before
    assert made.id in (listed, *listed.split("|"))
    assert made.attributes.keys() <= known.attributes
    told = {path.split("/")[1] for path in known.read_only if path.count("/") == 1} - {"RuleName"}
    assert told <= made.attributes.keys(), "every documented value of GetAtt"
    if second is not None:
        lab.update(made, **second)
        live = lab.read(made) or {}
        assert differences(readable(type_name, second), live) == []
        for gone in readable(type_name, first).keys() - second.keys():
            assert live.get(gone) != first[gone], gone
    lab.delete(made)
    until(lambda: lab.read(made) is None, what=f"{made.id} is gone")
    until(lambda: set(lab.list(type_name)) == before, what="what was there before is there")
    lab.delete(made)


SYSTEM = {"aws:cloudformation:stack-name", "aws:cloudformation:stack-id", "aws:cloudformation:logical-id"}


def marks(lab: Lab, service: str, operation: str, member: str, **asked: Any) -> dict[str, str]:
    found = lab.cloud.api(service, operation, **asked)[member]
    return found if isinstance(found, dict) else {tag["Key"]: tag["Value"] for tag in found}


def test_what_is_made_tells_its_stack_and_nobody_takes_that_away(lab: Lab) -> None:
    group = lab.create("AWS::Logs::LogGroup", Tags=TAGS)
    rule = lab.create("AWS::Events::Rule", ScheduleExpression="rate(1 day)")
    night = lab.create("AWS::Scheduler::ScheduleGroup")
    repository = lab.create("AWS::ECR::Repository")
    asked = [
        ("logs", {"resource_arn": group.attributes["Arn"].removesuffix(":*")}, "tags"),
        ("events", {"resource_arn": rule.attributes["Arn"]}, "Tags"),
        ("scheduler", {"resource_arn": night.attributes["Arn"]}, "Tags"),
        ("ecr", {"resource_arn": repository.attributes["Arn"]}, "tags"),
    ]
    for service, named, member in asked:
        found = marks(lab, service, "ListTagsForResource", member, **named)
        assert found.keys() >= SYSTEM and found["aws:cloudformation:stack-name"] == STACK, service
        tags: Any = {"aws:x": "y"} if service == "logs" else [{"Key": "aws:x", "Value": "y"}]
        with pytest.raises(AwsError, match="aws:"):
            lab.cloud.api(service, "TagResource", tags=tags, **named)
        with pytest.raises(AwsError, match="aws:"):
            lab.cloud.api(service, "UntagResource", tag_keys=["aws:cloudformation:stack-name"], **named)
    lab.update(group, Tags=OTHER_TAGS)
    assert marks(lab, *("logs", "ListTagsForResource", "tags"), **asked[0][1]).keys() >= SYSTEM
    for each in (group, rule, night, repository):
        lab.delete(each)


def refused(lab: Lab, type_name: str, words: str, error: type[Exception] = AwsError, **props: Any) -> None:
    """Creating it fails in these words, and leaves nothing."""
    before = list(lab.list(type_name))
    with pytest.raises(error, match=words):
        lab.create(type_name, **props)
    assert list(lab.list(type_name)) == before


def test_what_is_refused_leaves_nothing(lab: Lab) -> None:
    kinesis = {"Id": "k", "Arn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s", "RoleArn": ROLE}
    refused(lab, "AWS::Events::Rule", "a target of kinesis", ScheduleExpression="rate(1 day)", Targets=[kinesis])
    batch = {"Id": "b", "Arn": TOPIC, "BatchParameters": {"JobDefinition": "d", "JobName": "n"}}
    refused(lab, "AWS::Events::Rule", r"Targets\[\].BatchParameters", ScheduleExpression="rate(1 day)", Targets=[batch])
    refused(lab, "AWS::Logs::LogGroup", "PutDataProtectionPolicy", DataProtectionPolicy={"Name": "x"})
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    props = {"LogGroupName": "held", "FilterPattern": "", "DestinationArn": function}
    refused(lab, "AWS::Logs::SubscriptionFilter", "lambda", **props)
    refused(lab, "AWS::Logs::SubscriptionFilter", "roleArn", **props, RoleArn=ROLE)
    refused(lab, "AWS::Logs::LogGroup", "PutIndexPolicy", FieldIndexPolicies=[{"Fields": ["x"]}])
    refused(lab, "AWS::ECR::Repository", "encryptionType KMS", EncryptionConfiguration={"EncryptionType": "KMS"})
    refused(lab, "AWS::ECR::Repository", "Lifecycle policy validation", LifecyclePolicy={"LifecyclePolicyText": " " * 120})
    refused(lab, "AWS::Events::Archive", "does not exist", SourceArn=f"{BUS}/none")
    oauth = {"OAuthParameters": {"AuthorizationEndpoint": "https://a.example", "HttpMethod": "POST"}}
    refused(lab, "AWS::Events::Connection", "OAuthParameters", AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters=oauth)


def test_what_somebody_else_made_is_not_taken_over(lab: Lab) -> None:
    lab.cloud.api("events", "PutRule", name="theirs", schedule_expression="rate(1 day)")
    refused(lab, "AWS::Events::Rule", "'theirs' already exists", Failed, Name="theirs", ScheduleExpression="rate(1 day)")
    lab.cloud.api("events", "DeleteRule", name="theirs")
    refused(lab, "AWS::Logs::LogGroup", "already exists", LogGroupName="held")
    refused(lab, "AWS::Events::EventBus", "already exists", Name="side")


def test_a_log_group_changes_its_key_and_not_its_class(lab: Lab) -> None:
    key = lab.cloud.api("kms", "CreateKey")["KeyMetadata"]["Arn"]
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    service = {"Effect": "Allow", "Principal": {"Service": f"logs.{REGION}.amazonaws.com"}, "Action": "kms:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement, service]})
    lab.cloud.api("kms", "PutKeyPolicy", key_id=key, policy=document)
    group = lab.create("AWS::Logs::LogGroup", KmsKeyId=key)
    assert (lab.read(group) or {})["KmsKeyId"] == key
    lab.update(group)
    assert "KmsKeyId" not in (lab.read(group) or {})
    with pytest.raises(Failed, match="LogGroupClass cannot be updated"):
        lab.update(group, LogGroupClass="INFREQUENT_ACCESS")
    lab.delete(group)


def test_types_without_their_operations_do_not_run() -> None:
    for name in ("AWS::Logs::MetricFilter", "AWS::Logs::Destination", "AWS::CodeBuild::ReportGroup", "AWS::CodePipeline::Webhook"):
        assert handler(name) is None


def test_a_protected_log_group_is_kept_until_it_is_protected_no_more(lab: Lab) -> None:
    group = lab.create("AWS::Logs::LogGroup", DeletionProtectionEnabled=True)
    with pytest.raises(AwsError, match="deletion protection enabled"):
        lab.delete(group)
    lab.update(group)
    assert (lab.read(group) or {})["DeletionProtectionEnabled"] is False
    lab.delete(group)
    assert lab.read(group) is None
