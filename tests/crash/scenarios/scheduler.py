"""The Scheduler: each due time writes one parameter that names it, so that a time which is missing or twice there is seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

ACCOUNT = "123456789012"
JOBS = ("scheduler.schedule", "scheduler.invoke", "scheduler.forget")
MINUTE = 60.0


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.scheduler, self.ssm = cloud.client("scheduler"), cloud.client("ssm")

    def set_up(self) -> None:
        iam = self.cloud.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam.create_role(RoleName="clockwork", AssumeRolePolicyDocument=document(trust))
        iam.put_role_policy(
            RoleName="clockwork", PolicyName="p", PolicyDocument=document({"Effect": "Allow", "Action": "*", "Resource": "*"})
        )

    def go(self, nonce: str) -> None:
        """A schedule ticks once a paced minute; its group takes it away. No tick is missing, none is there twice."""
        made(lambda: self.scheduler.create_schedule_group(Name=nonce))
        written = {
            "Name": f"/{nonce}/<aws.scheduler.execution-id>",
            "Value": "<aws.scheduler.scheduled-time>",
            "Type": "String",
        }
        made(
            lambda: self.scheduler.create_schedule(
                Name="tick",
                GroupName=nonce,
                ScheduleExpression="rate(1 minute)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={
                    "Arn": "arn:aws:scheduler:::aws-sdk:ssm:putParameter",
                    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/clockwork",
                    "Input": json.dumps(written),
                },
            )
        )
        until(lambda: len(self.ticks(nonce)) >= 3, 60, "three ticks")
        try:
            patiently(lambda: self.scheduler.delete_schedule_group(Name=nonce))
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceNotFoundException", error
        until(lambda: not self.there(nonce), 30, "the group being gone")
        found = self.ticks(nonce)
        assert found == [found[0] + MINUTE * number for number in range(len(found))], found

    def ticks(self, nonce: str) -> list[float]:
        """The due times that were told, in order."""
        pages = self.ssm.get_paginator("get_parameters_by_path").paginate(Path=f"/{nonce}")
        found: list[dict[str, Any]] = patiently(lambda: [parameter for page in pages for parameter in page["Parameters"]])
        return sorted(datetime.strptime(one["Value"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() for one in found)

    def there(self, nonce: str) -> bool:
        groups = patiently(lambda: self.scheduler.list_schedule_groups(NamePrefix=nonce))["ScheduleGroups"]
        return any(group["Name"] == nonce for group in groups)


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def made(call: Any) -> None:
    """What a call before the kill has made already is there."""
    try:
        patiently(call)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConflictException":
            raise
