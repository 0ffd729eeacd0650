"""Resource types of what releases lean on (logs, events, scheduler, ecr): a template's properties become AWS's, change, are read back, and go.

Each type's life is a row: first properties, then those of an update. What a row does not say of itself is held for all of them below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud, until
from stacks_lab import STACK, Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.checking import check
from windtunnel.provision.registry import Failed, handler
from windtunnel.provision.schemas import schema

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Carrier"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:news"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:work"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus"
TAGS, OTHER_TAGS = [{"Key": "team", "Value": "blue"}, {"Key": "old", "Value": "x"}], [{"Key": "team", "Value": "red"}]
BASIC = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}


def policy(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def expiring(count: int) -> str:
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count}
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("release-types")) as cloud:
        services = [
            f"{name}.amazonaws.com" for name in ("events", "scheduler", "logs", "codebuild", "codepipeline", "codedeploy", "cloudtrail")
        ]
        trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
        cloud.api(
            "iam",
            "CreateRole",
            role_name="Carrier",
            assume_role_policy_document=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        everything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
        cloud.api("iam", "PutRolePolicy", role_name="Carrier", policy_name="all", policy_document=everything)
        cloud.api("sns", "CreateTopic", name="news")
        cloud.api("sqs", "CreateQueue", queue_name="work")
        cloud.api("logs", "CreateLogGroup", log_group_name="held")
        cloud.api("events", "CreateEventBus", name="side")
        cloud.api("events", "CreateConnection", name="open", authorization_type="BASIC", auth_parameters=BASIC)
        cloud.api("scheduler", "CreateScheduleGroup", name="night")
        yield Lab(cloud)


def connection(lab: Lab) -> str:
    return str(lab.cloud.api("events", "DescribeConnection", name="open")["ConnectionArn"])


LOGS: list[Any] = [
    pytest.param("AWS::Logs::LogGroup", {}, {"RetentionInDays": 7}, id="log group, minimal"),
    pytest.param(
        "AWS::Logs::LogGroup",
        {"LogGroupName": "/whole", "RetentionInDays": 14, "LogGroupClass": "STANDARD", "DeletionProtectionEnabled": True, "Tags": TAGS},
        {"LogGroupName": "/whole", "LogGroupClass": "STANDARD", "Tags": OTHER_TAGS},
        id="log group, whole",
    ),
    pytest.param("AWS::Logs::LogStream", {"LogGroupName": "held"}, None, id="log stream"),
    pytest.param(
        "AWS::Logs::ResourcePolicy",
        {"PolicyName": "p", "PolicyDocument": json.dumps(policy("logs:PutLogEvents"))},
        {"PolicyName": "p", "PolicyDocument": json.dumps(policy("logs:*"))},
        id="resource policy",
    ),
    pytest.param(
        "AWS::Logs::QueryDefinition",
        {"Name": "errors", "QueryString": "fields @message", "LogGroupNames": ["held"]},
        {"Name": "faults", "QueryString": "fields @timestamp"},
        id="query definition",
    ),
]
EVENTS: list[Any] = [
    pytest.param("AWS::Events::Rule", {"ScheduleExpression": "rate(5 minutes)"}, {"EventPattern": {"source": ["a"]}}, id="rule, minimal"),
    pytest.param(
        "AWS::Events::Rule",
        {
            "Name": "whole",
            "Description": "d",
            "EventPattern": {"source": ["aws.ecr"], "detail-type": ["x"]},
            "State": "ENABLED",
            "RoleArn": ROLE,
            "Targets": [
                {"Id": "a", "Arn": TOPIC, "InputTransformer": {"InputPathsMap": {"s": "$.source"}, "InputTemplate": '"<s>"'}},
                {"Id": "b", "Arn": QUEUE, "DeadLetterConfig": {"Arn": QUEUE}, "RetryPolicy": {"MaximumRetryAttempts": 3}},
            ],
            "Tags": TAGS,
        },
        {
            "Name": "whole",
            "EventPattern": {"source": ["aws.ecr"]},
            "State": "DISABLED",
            "Targets": [{"Id": "b", "Arn": QUEUE, "Input": "{}"}, {"Id": "c", "Arn": TOPIC}],
            "Tags": OTHER_TAGS,
        },
        id="rule, whole",
    ),
    pytest.param(
        "AWS::Events::Rule",
        {"Name": "there", "EventBusName": "side", "EventPattern": {"source": ["a"]}, "Targets": [{"Id": "t", "Arn": TOPIC}]},
        {"Name": "there", "EventBusName": "side", "EventPattern": {"source": ["b"]}},
        id="rule, on another bus",
    ),
    pytest.param(
        "AWS::Events::EventBus",
        {"Name": "orders", "Description": "d", "Policy": policy("events:PutEvents", f"{BUS}/orders", Sid="a"), "Tags": TAGS},
        {"Name": "orders", "DeadLetterConfig": {"Arn": QUEUE}, "Tags": OTHER_TAGS},
        id="event bus",
    ),
    pytest.param(
        "AWS::Events::EventBusPolicy",
        {"EventBusName": "side", "StatementId": "one", "Action": "events:PutEvents", "Principal": "111122223333"},
        {"EventBusName": "side", "StatementId": "one", "Action": "events:PutEvents", "Principal": "*"},
        id="event bus policy, by members",
    ),
    pytest.param(
        "AWS::Events::EventBusPolicy",
        {"StatementId": "two", "Statement": policy("events:PutEvents", f"{BUS}/default")["Statement"][0]},
        {"StatementId": "two", "Statement": policy("events:PutRule", f"{BUS}/default")["Statement"][0]},
        id="event bus policy, by statement",
    ),
    pytest.param(
        "AWS::Events::Archive",
        {"SourceArn": f"{BUS}/side", "Description": "d", "RetentionDays": 3, "EventPattern": {"source": ["a"]}},
        {"SourceArn": f"{BUS}/side"},
        id="archive",
    ),
    pytest.param(
        "AWS::Events::Connection",
        {"AuthorizationType": "BASIC", "AuthParameters": BASIC, "Description": "d"},
        {"AuthorizationType": "API_KEY", "AuthParameters": {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}},
        id="connection",
    ),
    pytest.param(
        "AWS::Events::ApiDestination",
        {"ConnectionArn": "CONNECTION", "InvocationEndpoint": "https://a.example", "HttpMethod": "POST", "InvocationRateLimitPerSecond": 5},
        {"ConnectionArn": "CONNECTION", "InvocationEndpoint": "https://b.example", "HttpMethod": "PUT", "Description": "d"},
        id="api destination",
    ),
]
SCHEDULER: list[Any] = [
    pytest.param(
        "AWS::Scheduler::Schedule",
        {
            "Name": "whole",
            "GroupName": "night",
            "Description": "d",
            "ScheduleExpression": "cron(0 3 * * ? *)",
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "StartDate": "2030-01-01T00:00:00.000Z",
            "EndDate": "2031-01-01T00:00:00.000Z",
            "State": "DISABLED",
            "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
            "Target": {"Arn": QUEUE, "RoleArn": ROLE, "Input": "{}", "RetryPolicy": {"MaximumRetryAttempts": 2}},
        },
        {
            "Name": "whole",
            "ScheduleExpression": "rate(1 day)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": TOPIC, "RoleArn": ROLE},
        },
        id="schedule, whole, into another group",
    ),
    pytest.param("AWS::Scheduler::ScheduleGroup", {"Tags": TAGS}, {"Tags": OTHER_TAGS}, id="schedule group"),
]
ECR: list[Any] = [
    pytest.param("AWS::ECR::Repository", {}, {"ImageTagMutability": "IMMUTABLE"}, id="repository, minimal"),
    pytest.param(
        "AWS::ECR::Repository",
        {
            "RepositoryName": "team/web",
            "ImageScanningConfiguration": {"ScanOnPush": True},
            "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "ImageTagMutabilityExclusionFilters": [
                {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "v*"}
            ],
            "EncryptionConfiguration": {"EncryptionType": "AES256"},
            "LifecyclePolicy": {"LifecyclePolicyText": expiring(5)},
            "RepositoryPolicyText": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}],
            },
            "EmptyOnDelete": True,
            "Tags": TAGS,
        },
        {
            "RepositoryName": "team/web",
            "EncryptionConfiguration": {"EncryptionType": "AES256"},
            "LifecyclePolicy": {"LifecyclePolicyText": expiring(9)},
            "Tags": OTHER_TAGS,
        },
        id="repository, whole",
    ),
]
CASES = LOGS + EVENTS + SCHEDULER + ECR
WRITE_ONLY = {"AWS::Events::Connection": {"AuthParameters"}, "AWS::ECR::Repository": {"EmptyOnDelete"}}
"""Properties that no read shows: secrets, and what only a deletion heeds."""


def readable(type_name: str, props: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in props.items() if name not in WRITE_ONLY.get(type_name, ())}


@pytest.mark.parametrize(("type_name", "first", "second"), CASES)
def test_its_life(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any] | None) -> None:
    known = schema(type_name)
    assert known is not None
    first, second = (json.loads(json.dumps(props).replace("CONNECTION", connection(lab))) for props in (first, second))
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
