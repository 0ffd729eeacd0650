"""Stacks nested in stacks: made, turned back with their parent, changed by a change set for the whole family, deleted. Nothing twice, nothing forgotten."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

from scenarios.cloudformation import Clients, group, queue
from scenarios.cloudformation_failures import broken

JOBS = ("cloudformation.operation",)
BUCKET = "nested-templates"


class Scenario(Clients):
    def __init__(self, cloud: DoomedCloud) -> None:
        super().__init__(cloud)
        self.s3 = cloud.client("s3")

    def set_up(self) -> None:
        patiently(lambda: self.s3.create_bucket(Bucket=BUCKET))

    def keep(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """The resource that nests a template."""
        patiently(lambda: self.s3.put_object(Bucket=BUCKET, Key=name, Body=json.dumps(body).encode()))
        return {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": f"https://s3.amazonaws.com/{BUCKET}/{name}"}}

    def family(self, nonce: str) -> dict[str, str]:
        """The names and statuses of the nested stacks that are there."""
        found = patiently(lambda: self.stacks.list_stacks())["StackSummaries"]
        nested = [stack for stack in found if stack["StackName"].startswith(f"{nonce}-") and stack["StackStatus"] != "DELETE_COMPLETE"]
        return {stack["StackName"]: stack["StackStatus"] for stack in nested}

    def execute(self, name: str, body: dict[str, Any], change_set: str) -> str:
        asked: dict[str, Any] = {"StackName": name, "ChangeSetName": change_set, "TemplateBody": json.dumps(body)}
        try:
            patiently(lambda: self.stacks.create_change_set(IncludeNestedStacks=True, ClientToken=change_set, **asked))
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AlreadyExistsException", error
        try:
            patiently(lambda: self.stacks.execute_change_set(StackName=name, ChangeSetName=change_set))
        except ClientError as error:
            assert error.response["Error"]["Code"] == "InvalidChangeSetStatus", error
        return self.arrived(name)

    def go(self, nonce: str) -> None:
        nonce = f"nest-{nonce}"
        deep = self.keep(f"{nonce}-deep", {"Resources": {"D": group(f"{nonce}-d")}})
        child = self.keep(f"{nonce}-child", {"Resources": {"C": queue(f"{nonce}-c"), "Deep": deep}})
        assert self.create(nonce, {"Resources": {"Child": child}}) == "CREATE_COMPLETE"
        assert self.everything(nonce) == [f"{nonce}-c", f"{nonce}-d"] and len(self.family(nonce)) == 2
        self.keep(f"{nonce}-deep", {"Resources": {"D": group(f"{nonce}-d", 3), "E": group(f"{nonce}-e", 1, "D")}})
        bad = {"Resources": {"Child": child, "X": broken("Child")}}
        assert self.update(nonce, bad, f"{nonce}-update") == "UPDATE_ROLLBACK_COMPLETE"
        assert self.everything(nonce) == [f"{nonce}-c", f"{nonce}-d"]
        assert list(self.family(nonce).values()) == ["UPDATE_ROLLBACK_COMPLETE"] * 2
        assert self.days(f"{nonce}-d") == 1
        new = self.keep(f"{nonce}-new", {"Resources": {"N": queue(f"{nonce}-n")}})
        assert self.execute(nonce, {"Resources": {"Child": child, "New": new}}, f"{nonce}-plan") == "UPDATE_COMPLETE"
        assert self.everything(nonce) == [f"{nonce}-c", f"{nonce}-d", f"{nonce}-e", f"{nonce}-n"]
        assert sorted(self.family(nonce).values()) == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE"]
        assert self.days(f"{nonce}-d") == 3
        self.delete(nonce)
        until(lambda: self.family(nonce) == {}, 60, "the nested stacks being gone")
        assert self.everything(nonce) == []

    def days(self, name: str) -> int:
        found = patiently(lambda: self.logs.describe_log_groups(logGroupNamePrefix=name))["logGroups"]
        days: int = found[0]["retentionInDays"]
        return days
