"""Transforms that need the outside: what is included from S3, what fails to be, and what nobody has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from stacks import Stacks

GROUP = "AWS::Logs::LogGroup"


def included(location: Any) -> dict[str, Any]:
    include = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": location}}}
    return {"Resources": {"Group": {"Type": GROUP, "Properties": {"LogGroupName": "mine", **include}}}}


def test_what_lies_in_s3_is_included(door: Door, stacks: Stacks) -> None:
    s3 = door.client("s3")
    s3.create_bucket(Bucket="parts")
    s3.put_object(Bucket="parts", Key="days.yaml", Body=b"RetentionInDays: 14\n")
    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_AUTO_EXPAND\]"):
        stacks.create("include", included("s3://parts/days.yaml"))
    assert stacks.create("include", included("s3://parts/days.yaml"), Capabilities=["CAPABILITY_AUTO_EXPAND"]) == "CREATE_COMPLETE"
    assert door.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 14


def test_what_cannot_be_included_rolls_the_stack_back(stacks: Stacks) -> None:
    assert stacks.create("missing", included("s3://nowhere/x"), Capabilities=["CAPABILITY_AUTO_EXPAND"]) == "ROLLBACK_COMPLETE"
    said = "Transform AWS::Include failed with: S3 bucket [nowhere] does not exist.. Rollback requested by user."
    assert ("missing", "ROLLBACK_IN_PROGRESS", said) in stacks.events("missing")
    body = json.dumps(included("s3://nowhere/x"))
    stacks.api.create_change_set(StackName="planned", ChangeSetName="plan", ChangeSetType="CREATE", TemplateBody=body)
    found = stacks.api.describe_change_set(StackName="planned", ChangeSetName="plan")
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert found["StatusReason"] == "Transform AWS::Include failed with: S3 bucket [nowhere] does not exist."


def test_a_macro_that_nobody_has(stacks: Stacks) -> None:
    body = {"Transform": "Mine", "Resources": {"Group": {"Type": GROUP}}}
    with pytest.raises(ClientError, match="No transform named 123456789012::Mine found."):
        stacks.create("macro", body, Capabilities=["CAPABILITY_AUTO_EXPAND"])


def test_loops_are_unrolled_and_the_original_is_kept(door: Door, stacks: Stacks) -> None:
    loop = {"Fn::ForEach::Groups": ["Name", ["a", "b"], {"Group${Name}": {"Type": GROUP, "Properties": {"LogGroupName": {"Ref": "Name"}}}}]}
    body = {"Transform": "AWS::LanguageExtensions", "Resources": loop}
    assert stacks.create("loop", body, Capabilities=["CAPABILITY_AUTO_EXPAND"]) == "CREATE_COMPLETE"
    assert [found["logGroupName"] for found in door.client("logs").describe_log_groups()["logGroups"]] == ["a", "b"]
    assert stacks.api.get_template(StackName="loop")["TemplateBody"]["Resources"] == loop
    processed = stacks.api.get_template(StackName="loop", TemplateStage="Processed")["TemplateBody"]
    assert sorted(processed["Resources"]) == ["Groupa", "Groupb"]
