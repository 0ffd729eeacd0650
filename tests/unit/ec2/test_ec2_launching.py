"""What RunInstances refuses, asks for, and does once only; filters, tags, attributes and pages."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ec2_lab import Machine, becomes, described, launch, running  # noqa: E402

from harness import ACCOUNT, InProcessCloud  # noqa: E402
from windtunnel.kernel.context import Context  # noqa: E402
from windtunnel.kernel.errors import AwsError  # noqa: E402
from windtunnel.kernel.stock import STOCK_AMI  # noqa: E402
from windtunnel.services.ec2.filters import chosen, matches  # noqa: E402
from windtunnel.services.ec2.launching import to_run  # noqa: E402

TAGS = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}]


def tags(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in pairs]}]


@pytest.mark.parametrize(
    "change, code",
    [
        pytest.param({"image_id": ""}, "MissingParameter", id="no image"),
        pytest.param({"image_id": "debian"}, "InvalidAMIID.Malformed", id="not an image's id"),
        pytest.param({"image_id": "ami-00000000"}, "InvalidAMIID.NotFound", id="an image that there is not"),
        pytest.param({"image_id": "resolve:ssm:/no/image"}, "InvalidParameterValue", id="a parameter that there is not"),
        pytest.param({"instance_type": "t3.gigantic"}, "InvalidParameterValue", id="a type that there is not"),
        pytest.param({"subnet_id": "subnet-1"}, "InvalidSubnetID.NotFound", id="a subnet that there is not"),
        pytest.param({"security_group_ids": ["sg-1"]}, "InvalidGroup.NotFound", id="a group that there is not"),
        pytest.param({"security_groups": ["web"]}, "InvalidGroup.NotFound", id="a group's name that there is not"),
        pytest.param({"key_name": "mine"}, "InvalidKeyPair.NotFound", id="a key pair that there is not"),
        pytest.param({"min_count": 0}, "InvalidParameterValue", id="none at least"),
        pytest.param({"min_count": 3, "max_count": 2}, "InvalidParameterValue", id="more at least than at most"),
        pytest.param({"min_count": 21, "max_count": 21}, "InstanceLimitExceeded", id="too many"),
        pytest.param({"user_data": "#!/bin/sh"}, "InvalidParameterValue", id="user data that is not base64"),
        pytest.param({"user_data": base64.b64encode(b"x" * 16385).decode()}, "InvalidParameterValue", id="too much user data"),
        pytest.param({"placement": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue", id="a zone that there is not"),
        pytest.param({"iam_instance_profile": {"Name": "no"}}, "InvalidParameterValue", id="a profile that there is not"),
        pytest.param({"tag_specifications": tags(("aws:x", "1"))}, "InvalidParameterValue", id="one of AWS's own tags"),
        pytest.param({"tag_specifications": tags(("a", "1"), ("a", "2"))}, "InvalidParameterValue", id="a tag twice"),
        pytest.param({"tag_specifications": tags(("k" * 129, ""))}, "InvalidParameterValue", id="a tag's key too long"),
        pytest.param({"tag_specifications": tags(("k", "v" * 257))}, "InvalidParameterValue", id="a tag's value too long"),
        pytest.param({"tag_specifications": tags(*((f"k{n}", "") for n in range(51)))}, "TagLimitExceeded", id="too many tags"),
        pytest.param({"tag_specifications": [{"ResourceType": "vpc", "Tags": []}]}, "NotImplemented", id="tags of what no launch makes"),
        pytest.param({"dry_run": True}, "DryRunOperation", id="a dry run"),
    ],
)
def test_launches_that_are_refused(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    with Machine(tmp_path).cloud() as cloud:
        with pytest.raises(AwsError) as error:
            launch(cloud, **change)
        assert error.value.code == code
        assert cloud.api("ec2", "DescribeInstances")["Reservations"] == []


def test_an_image_may_be_said_by_the_parameter_that_names_it(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        cloud.api("ssm", "PutParameter", name="/golden", value=STOCK_AMI, type="String")
        launched = launch(cloud, image_id="resolve:ssm:/golden:1")
        assert described(cloud, launched)["ImageId"] == STOCK_AMI


def test_a_client_token_launches_once_and_for_the_same_request_only(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        first = launch(cloud, client_token="once", max_count=2)
        assert launch(cloud, client_token="once", max_count=2) == first
        with pytest.raises(AwsError) as error:
            launch(cloud, client_token="once", max_count=1)
        assert error.value.code == "IdempotentParameterMismatch"
        assert launch(cloud, client_token="twice", max_count=2) != first
        assert sum(len(r["Instances"]) for r in cloud.api("ec2", "DescribeInstances")["Reservations"]) == 4


def test_what_a_launch_asks_permission_for(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        policy = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        cloud.api("iam", "CreateRole", role_name="r", assume_role_policy_document=document)
        profile = cloud.api("iam", "CreateInstanceProfile", instance_profile_name="p")["InstanceProfile"]["Arn"]
        cloud.api("iam", "AddRoleToInstanceProfile", instance_profile_name="p", role_name="r")

        def ask(ctx: Context) -> list[Any]:
            options = {"HttpTokens": "required"}
            named = {"Name": "p"}
            return to_run(ctx, STOCK_AMI, "t3.micro", iam_instance_profile=named, tag_specifications=TAGS, metadata_options=options)

        needs = cloud.read(ask)
    kinds = [need.resource.split(":")[-1].split("/")[0] for need in needs]
    assert kinds == ["image", "instance", "network-interface", "subnet", "volume", "security-group", "instance", "role"]
    assert [need.action for need in needs] == ["ec2:RunInstances"] * 6 + ["ec2:CreateTags", "iam:PassRole"]
    instance = needs[1].context
    assert (instance["ec2:MetadataHttpTokens"], instance["ec2:InstanceProfile"]) == ("required", profile)
    assert (instance["aws:RequestTag/Name"], instance["aws:TagKeys"]) == ("web", ["Name"])
    assert needs[6].context["ec2:CreateAction"] == "RunInstances"
    assert needs[7].resource == f"arn:aws:iam::{ACCOUNT}:role/r" and needs[7].context == {"iam:PassedToService": "ec2.amazonaws.com"}


@pytest.mark.parametrize(
    "text, wanted, expected",
    [
        pytest.param("web-1", "web-*", True, id="a star"),
        pytest.param("web", "web-*", False, id="a star needs what stands before it"),
        pytest.param("web-1", "web-?", True, id="a question mark"),
        pytest.param("web-12", "web-?", False, id="is one character"),
        pytest.param("Web", "web", False, id="case matters"),
        pytest.param("a*b", r"a\*b", True, id="a star that was taken its meaning"),
        pytest.param("axb", r"a\*b", False, id="means itself"),
        pytest.param("a\\b", "a\\\\b", True, id="a backslash likewise"),
        pytest.param("a.b", "a?b", True, id="no regular expressions"),
        pytest.param("axb", "a.b", False, id="a dot is a dot"),
        pytest.param("line\nend", "line*", True, id="over a line's end"),
        pytest.param("a" * 200, "*a" * 30 + "b", False, id="many stars end soon"),
    ],
)
def test_matches(text: str, wanted: str, expected: bool) -> None:
    assert matches(text, wanted) == expected


SHAPES: list[dict[str, Any]] = [
    {"Id": "1", "Tags": [{"Key": "Role", "Value": "web"}, {"Key": "Stage", "Value": "prod"}]},
    {"Id": "2", "Tags": [{"Key": "Role", "Value": "db"}]},
    {"Id": "3", "Tags": []},
]


@pytest.mark.parametrize(
    "filters, expected",
    [
        pytest.param([], "123", id="none"),
        pytest.param([("tag:Role", ["web"])], "1", id="a tag's value"),
        pytest.param([("tag:Role", ["web", "db"])], "12", id="one of two values"),
        pytest.param([("tag:Role", ["*"]), ("tag:Stage", ["prod"])], "1", id="two filters"),
        pytest.param([("tag-key", ["Stage"])], "1", id="a tag's key"),
        pytest.param([("tag-value", ["db"])], "2", id="a value under any key"),
        pytest.param([("tag:role", ["web"])], "", id="keys have case"),
        pytest.param([("id", ["2", "3"])], "23", id="a name of its own"),
        pytest.param([("id", [])], "", id="no values"),
    ],
)
def test_chosen(filters: list[tuple[str, list[str]]], expected: str) -> None:
    given = [{"Name": name, "Values": values} for name, values in filters]
    assert "".join(shape["Id"] for shape in chosen(SHAPES, given, {"id": lambda s: [s["Id"]]})) == expected


def test_filters_that_are_refused() -> None:
    for given, code in (
        ([{"Name": "no-such", "Values": ["x"]}], "InvalidParameterValue"),
        ([{"Name": "tag:a", "Values": ["x"] * 201}], "FilterLimitExceeded"),
    ):
        with pytest.raises(AwsError) as error:
            chosen(SHAPES, given, {})
        assert error.value.code == code


def refused(cloud: InProcessCloud, operation: str, **args: Any) -> str:
    with pytest.raises(AwsError) as error:
        cloud.api("ec2", operation, **args)
    return error.value.code


def test_describing_filtering_and_paging(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        for number in range(7):
            launch(cloud, tag_specifications=tags(("Name", f"web-{number}")))
        found = cloud.api("ec2", "DescribeInstances", filters=[{"Name": "tag:Name", "Values": ["web-[3]", "web-?"]}])
        assert len(found["Reservations"]) == 7
        page = cloud.api("ec2", "DescribeInstances", max_results=5)
        rest = cloud.api("ec2", "DescribeInstances", max_results=5, next_token=page["NextToken"])
        names = [t["Value"] for p in (page, rest) for r in p["Reservations"] for i in r["Instances"] for t in i["Tags"]]
        assert sorted(names) == [f"web-{n}" for n in range(7)] and "NextToken" not in rest
        for token in ("x", "LTM=", base64.urlsafe_b64encode(b"99").decode(), "\xe9"):
            assert refused(cloud, "DescribeInstances", max_results=5, next_token=token) == "InvalidNextToken"
        assert refused(cloud, "DescribeInstances", max_results=4) == "InvalidParameterValue"
        instance = page["Reservations"][0]["Instances"][0]["InstanceId"]
        assert refused(cloud, "DescribeInstances", max_results=5, instance_ids=[instance]) == "InvalidParameterCombination"
        assert refused(cloud, "DescribeInstances", instance_ids=["i-1"]) == "InvalidInstanceID.Malformed"
        assert refused(cloud, "DescribeInstances", instance_ids=["i-00000000"]) == "InvalidInstanceID.NotFound"


def test_status_checks(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        up, down = running(cloud), running(cloud)
        cloud.api("ec2", "StopInstances", instance_ids=[down])
        becomes(cloud, down, "stopped")

        def status(**args: Any) -> list[str]:
            return [s["InstanceId"] for s in cloud.api("ec2", "DescribeInstanceStatus", **args)["InstanceStatuses"]]

        assert status() == [up]
        assert sorted(status(include_all_instances=True)) == sorted([up, down])
        assert status(filters=[{"Name": "instance-status.status", "Values": ["ok"]}]) == [up]
        stopped = [{"Name": "instance-state-name", "Values": ["stopped"]}]
        assert status(filters=stopped) == [] and status(filters=stopped, include_all_instances=True) == [down]


def test_tags_of_instances(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        instance = launch(cloud, tag_specifications=TAGS)
        cloud.api("ec2", "CreateTags", resources=[instance], tags=[{"Key": "Name", "Value": "db"}, {"Key": "Empty"}])
        cloud.api("ec2", "DeleteTags", resources=[instance], tags=[{"Key": "Empty", "Value": "full"}])
        assert described(cloud, instance)["Tags"] == [{"Key": "Empty", "Value": ""}, {"Key": "Name", "Value": "db"}]
        cloud.api("ec2", "DeleteTags", resources=[instance], tags=[{"Key": "Empty", "Value": ""}])
        shown = cloud.api("ec2", "DescribeTags", filters=[{"Name": "resource-id", "Values": [instance]}])["Tags"]
        assert shown == [{"ResourceId": instance, "ResourceType": "instance", "Key": "Name", "Value": "db"}]
        many = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
        assert refused(cloud, "CreateTags", resources=[instance], tags=many) == "TagLimitExceeded"
        assert refused(cloud, "CreateTags", resources=[instance], tags=[{"Key": "AWS:x"}]) == "InvalidParameterValue"
        assert refused(cloud, "CreateTags", resources=["vpc-1"], tags=[{"Key": "a"}]) == "InvalidVpcID.NotFound"
        assert refused(cloud, "CreateTags", resources=["thing-1"], tags=[{"Key": "a"}]) == "InvalidID"
        cloud.api("ec2", "DeleteTags", resources=[instance])
        assert described(cloud, instance)["Tags"] == []


def test_attributes(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        instance = running(cloud)

        def modify(**args: Any) -> None:
            cloud.api("ec2", "ModifyInstanceAttribute", instance_id=instance, **args)

        def attribute(name: str) -> Any:
            found = cloud.api("ec2", "DescribeInstanceAttribute", instance_id=instance, attribute=name)
            return found[name[0].upper() + name[1:]].get("Value")

        modify(attribute="disableApiTermination", value="true")
        assert attribute("disableApiTermination") is True
        modify(instance_initiated_shutdown_behavior={"Value": "terminate"})
        assert attribute("instanceInitiatedShutdownBehavior") == "terminate"
        known = {"instance_id": instance}
        assert refused(cloud, "ModifyInstanceAttribute", **known, user_data={"Value": b"x"}) == "IncorrectInstanceState"
        assert refused(cloud, "ModifyInstanceAttribute", **known) == "InvalidParameterCombination"
        assert refused(cloud, "ModifyInstanceAttribute", **known, attribute="kernel", value="x") == "InvalidParameterValue"
        both = {"user_data": {"Value": b"x"}, "instance_type": {"Value": "t3.small"}}
        assert refused(cloud, "ModifyInstanceAttribute", **known, **both) == "InvalidParameterCombination"
        cloud.api("ec2", "StopInstances", instance_ids=[instance])
        becomes(cloud, instance, "stopped")
        modify(user_data={"Value": b"#!/bin/sh\n"})
        assert base64.b64decode(attribute("userData")) == b"#!/bin/sh\n"
        modify(instance_type={"Value": "t3.small"})
        assert attribute("instanceType") == "t3.small"
        assert refused(cloud, "ModifyInstanceAttribute", **known, instance_type={"Value": "x"}) == "InvalidParameterValue"


def test_metadata_options(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        instance = running(cloud)
        changed = cloud.api(
            "ec2", "ModifyInstanceMetadataOptions", instance_id=instance, http_tokens="required", http_put_response_hop_limit=2
        )
        assert changed["InstanceMetadataOptions"] == described(cloud, instance)["MetadataOptions"]
        assert (changed["InstanceMetadataOptions"]["HttpTokens"], changed["InstanceMetadataOptions"]["HttpEndpoint"]) == (
            "required",
            "enabled",
        )
        assert (
            refused(cloud, "ModifyInstanceMetadataOptions", instance_id=instance, http_put_response_hop_limit=65) == "InvalidParameterValue"
        )
