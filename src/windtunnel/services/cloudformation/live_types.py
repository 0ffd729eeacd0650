"""Parameters whose values must exist: SSM parameters, and things of EC2 and Route 53 (CloudFormation user guide, parameter types)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError


def parameter_values(ctx: Context, names: list[str]) -> dict[str, str]:
    """The values of SSM parameters, read as the caller. AWS's public ones (`/aws/service/…`) are among them."""
    found: dict[str, str] = {}
    asked = list(dict.fromkeys(names))
    for start in range(0, len(asked), 10):
        reply = ctx.on_behalf("cloudformation").call("ssm", "GetParameters", names=asked[start : start + 10])
        for parameter in reply["Parameters"]:
            if parameter["Type"] == "SecureString":
                raise AwsError(
                    "ValidationError",
                    f"Parameters [{parameter['Name']}] referenced by template have types not supported by CloudFormation.",
                )
            found[parameter["Name"] + parameter.get("Selector", "")] = parameter["Value"]
        if reply["InvalidParameters"]:
            absent = ", ".join(reply["InvalidParameters"])
            raise AwsError("ValidationError", f"Unable to fetch parameters [{absent}] from parameter store for this account.")
    return found


def _ec2(operation: str, argument: str, member: str) -> Callable[[Context, list[str]], str | None]:
    """The first of the values that EC2 does not know."""

    def look(ctx: Context, values: list[str]) -> str | None:
        for value in values:
            try:
                if not ctx.call("ec2", operation, **{argument: [value]}).get(member):
                    return value
            except AwsError:
                return value
        return None

    return look


KINDS: dict[str, Callable[[Context, list[str]], str | None]] = {
    "AWS::EC2::AvailabilityZone::Name": _ec2("DescribeAvailabilityZones", "zone_names", "AvailabilityZones"),
    "AWS::EC2::Image::Id": _ec2("DescribeImages", "image_ids", "Images"),
    "AWS::EC2::Instance::Id": _ec2("DescribeInstances", "instance_ids", "Reservations"),
    "AWS::EC2::KeyPair::KeyName": _ec2("DescribeKeyPairs", "key_names", "KeyPairs"),
    "AWS::EC2::SecurityGroup::GroupName": _ec2("DescribeSecurityGroups", "group_names", "SecurityGroups"),
    "AWS::EC2::SecurityGroup::Id": _ec2("DescribeSecurityGroups", "group_ids", "SecurityGroups"),
    "AWS::EC2::Subnet::Id": _ec2("DescribeSubnets", "subnet_ids", "Subnets"),
    "AWS::EC2::Volume::Id": _ec2("DescribeVolumes", "volume_ids", "Volumes"),
    "AWS::EC2::VPC::Id": _ec2("DescribeVpcs", "vpc_ids", "Vpcs"),
}


def facts(ctx: Context) -> dict[str, dict[str, str]]:
    """id -> attributes of every VPC, subnet and security group: what rules can read of them (user guide, Fn::ValueOf)."""
    found: dict[str, dict[str, str]] = {}
    groups = ctx.call("ec2", "DescribeSecurityGroups")["SecurityGroups"]
    lists = ctx.call("ec2", "DescribeNetworkAcls", filters=[{"Name": "default", "Values": ["true"]}])["NetworkAcls"]
    default_groups = {one["VpcId"]: one["GroupId"] for one in groups if one["GroupName"] == "default"}
    default_lists = {one["VpcId"]: one["NetworkAclId"] for one in lists}
    for vpc in ctx.call("ec2", "DescribeVpcs")["Vpcs"]:
        id = vpc["VpcId"]
        found[id] = {"DefaultSecurityGroup": default_groups.get(id, ""), "DefaultNetworkAcl": default_lists.get(id, ""), **_tags(vpc)}
    for subnet in ctx.call("ec2", "DescribeSubnets")["Subnets"]:
        own = {name: subnet[name] for name in ("AvailabilityZone", "VpcId")}
        found[subnet["SubnetId"]] = {**own, **_tags(subnet)}
    for group in groups:
        found[group["GroupId"]] = _tags(group)
    return found


def _tags(shape: dict[str, Any]) -> dict[str, str]:
    return {f"Tags.{tag['Key']}": tag["Value"] for tag in shape.get("Tags") or []}


def missing_value(ctx: Context, kind: str, values: list[Any]) -> str | None:
    """The first value that does not exist; None when all do. Hosted zones cannot exist: Windtunnel has no Route 53."""
    if kind == "AWS::SSM::Parameter::Name":
        asked = [str(value) for value in values]
        reply = ctx.call("ssm", "GetParameters", names=asked)
        absent: list[str] = reply["InvalidParameters"]
        return absent[0] if absent else None
    look = KINDS.get(kind)
    if look is None:
        return str(values[0]) if values else None
    return look(ctx, [str(value) for value in values])
