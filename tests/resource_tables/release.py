"""The resource types of what releases lean on (logs, events, scheduler, ecr): (type, properties, what an update makes of them)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Bearer"
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


def world(cloud: InProcessCloud) -> None:
    services = [
        f"{name}.amazonaws.com" for name in ("events", "scheduler", "logs", "codebuild", "codepipeline", "codedeploy", "cloudtrail")
    ]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    cloud.api(
        "iam",
        "CreateRole",
        role_name="Bearer",
        assume_role_policy_document=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    everything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    cloud.api("iam", "PutRolePolicy", role_name="Bearer", policy_name="all", policy_document=everything)
    cloud.api("sns", "CreateTopic", name="news")
    cloud.api("sqs", "CreateQueue", queue_name="work")
    cloud.api("logs", "CreateLogGroup", log_group_name="held")
    cloud.api("events", "CreateEventBus", name="side")
    cloud.api("events", "CreateConnection", name="open", authorization_type="BASIC", auth_parameters=BASIC)
    cloud.api("scheduler", "CreateScheduleGroup", name="night")


LOGS: list[Any] = [
    pytest.param("AWS::Logs::LogGroup", {}, {"RetentionInDays": 7}, id="log group, minimal"),
    pytest.param(
        "AWS::Logs::LogGroup",
        {"LogGroupName": "/whole", "RetentionInDays": 14, "LogGroupClass": "STANDARD", "Tags": TAGS},
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


def resolved(cloud: InProcessCloud, props: dict[str, Any] | None) -> dict[str, Any]:
    """With the ARN of the connection, which nobody knows before it is made."""
    arn = cloud.api("events", "DescribeConnection", name="open")["ConnectionArn"]
    found: dict[str, Any] = json.loads(json.dumps(props).replace("CONNECTION", arn)) or {}
    return found
