"""What every account and region has from the beginning: one image, the default VPC with a subnet and a security group, zones."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.model import GIB, TYPES, default_id, image, zone, zone_id

VPC_CIDR = "172.31.0.0/16"


def picked(shapes: list[dict[str, Any]], ids: list[str] | None, member: str, code: str, what: str) -> list[dict[str, Any]]:
    """Those asked for by id, or all. Raises `code` for an id that is not there."""
    if not ids:
        return shapes
    by_id = {shape[member]: shape for shape in shapes}
    for name in ids:
        if name not in by_id:
            raise AwsError(code, f"The {what} '{name}' does not exist")
    return [by_id[name] for name in ids]


@reads(
    "ec2",
    "DescribeImages",
    authorize=on_everything("ec2:DescribeImages"),
    acts="ImageIds[] Owners[] Filters[].Name Filters[].Values[] DryRun",
    descriptive="IncludeDeprecated IncludeDisabled",
)
def describe_images(
    ctx: Context,
    image_ids: list[str] | None = None,
    owners: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
    **_: Any,
) -> Reply:
    dry(dry_run)
    for name in image_ids or []:
        if name != STOCK_AMI:
            raise AwsError("InvalidAMIID.NotFound", f"The image id '[{name}]' does not exist")
    stock = image(ctx.scope)
    if owners and not {"amazon", stock["OwnerId"]} & set(owners):
        return {"Images": []}
    known = {
        "name": lambda s: [s["Name"]],
        "image-id": lambda s: [s["ImageId"]],
        "architecture": lambda s: [s["Architecture"]],
        "state": lambda s: [s["State"]],
        "owner-alias": lambda s: [s["ImageOwnerAlias"]],
        "owner-id": lambda s: [s["OwnerId"]],
        "virtualization-type": lambda s: [s["VirtualizationType"]],
        "root-device-type": lambda s: [s["RootDeviceType"]],
        "is-public": lambda s: ["true"],
    }
    return {"Images": chosen([stock], filters, known)}


@reads("ec2", "DescribeVpcs", authorize=on_everything("ec2:DescribeVpcs"), acts="VpcIds[] Filters[].Name Filters[].Values[] DryRun")
def describe_vpcs(
    ctx: Context, vpc_ids: list[str] | None = None, filters: list[dict[str, Any]] | None = None, dry_run: bool = False
) -> Reply:
    dry(dry_run)
    vpc = {
        "VpcId": default_id("vpc", ctx.scope),
        "CidrBlock": VPC_CIDR,
        "IsDefault": True,
        "State": "available",
        "OwnerId": ctx.scope.account,
        "InstanceTenancy": "default",
        "DhcpOptionsId": default_id("dopt", ctx.scope),
        "CidrBlockAssociationSet": [
            {"AssociationId": default_id("vpc-cidr-assoc", ctx.scope), "CidrBlock": VPC_CIDR, "CidrBlockState": {"State": "associated"}}
        ],
        "Ipv6CidrBlockAssociationSet": [],
        "Tags": [],
    }
    known = {
        "vpc-id": lambda s: [s["VpcId"]],
        "is-default": lambda s: ["true"],
        "isDefault": lambda s: ["true"],
        "cidr": lambda s: [s["CidrBlock"]],
        "cidr-block": lambda s: [s["CidrBlock"]],
        "state": lambda s: [s["State"]],
        "owner-id": lambda s: [s["OwnerId"]],
    }
    return {"Vpcs": chosen(picked([vpc], vpc_ids, "VpcId", "InvalidVpcID.NotFound", "vpc ID"), filters, known)}


@reads(
    "ec2",
    "DescribeSubnets",
    authorize=on_everything("ec2:DescribeSubnets"),
    acts="SubnetIds[] Filters[].Name Filters[].Values[] DryRun",
    cost="scan",
)
def describe_subnets(
    ctx: Context, subnet_ids: list[str] | None = None, filters: list[dict[str, Any]] | None = None, dry_run: bool = False
) -> Reply:
    dry(dry_run)
    subnet: dict[str, Any] = {
        "SubnetId": default_id("subnet", ctx.scope),
        "SubnetArn": ctx.arn("ec2", f"subnet/{default_id('subnet', ctx.scope)}"),
        "VpcId": default_id("vpc", ctx.scope),
        "CidrBlock": ctx.cloud.part("compute").subnet() or VPC_CIDR,
        "AvailabilityZone": zone(ctx.scope),
        "AvailabilityZoneId": zone_id(ctx.scope.region),
        "AvailableIpAddressCount": 4091,
        "DefaultForAz": True,
        "MapPublicIpOnLaunch": True,
        "AssignIpv6AddressOnCreation": False,
        "State": "available",
        "OwnerId": ctx.scope.account,
        "Ipv6CidrBlockAssociationSet": [],
        "Tags": [],
    }
    known = {
        "subnet-id": lambda s: [s["SubnetId"]],
        "vpc-id": lambda s: [s["VpcId"]],
        "availability-zone": lambda s: [s["AvailabilityZone"]],
        "availabilityZone": lambda s: [s["AvailabilityZone"]],
        "default-for-az": lambda s: ["true"],
        "defaultForAz": lambda s: ["true"],
        "state": lambda s: [s["State"]],
        "cidr-block": lambda s: [s["CidrBlock"]],
        "map-public-ip-on-launch": lambda s: ["true"],
    }
    return {"Subnets": chosen(picked([subnet], subnet_ids, "SubnetId", "InvalidSubnetID.NotFound", "subnet ID"), filters, known)}


@reads(
    "ec2",
    "DescribeSecurityGroups",
    authorize=on_everything("ec2:DescribeSecurityGroups"),
    acts="GroupIds[] GroupNames[] Filters[].Name Filters[].Values[] DryRun",
)
def describe_security_groups(
    ctx: Context,
    group_ids: list[str] | None = None,
    group_names: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    """The default group lets everything in, for that is what this machine does: groups that filter come with EC2 networking."""
    dry(dry_run)
    everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
    group = {
        "GroupId": default_id("sg", ctx.scope),
        "GroupName": "default",
        "Description": "default VPC security group",
        "VpcId": default_id("vpc", ctx.scope),
        "OwnerId": ctx.scope.account,
        "IpPermissions": [everywhere],
        "IpPermissionsEgress": [everywhere],
        "Tags": [],
    }
    known = {"group-id": lambda s: [s["GroupId"]], "group-name": lambda s: [s["GroupName"]], "vpc-id": lambda s: [s["VpcId"]]}
    found = picked([group], group_ids, "GroupId", "InvalidGroup.NotFound", "security group")
    return {"SecurityGroups": chosen(picked(found, group_names, "GroupName", "InvalidGroup.NotFound", "security group"), filters, known)}


@reads(
    "ec2",
    "DescribeAvailabilityZones",
    authorize=on_everything("ec2:DescribeAvailabilityZones"),
    acts="ZoneNames[] Filters[].Name Filters[].Values[] DryRun",
    descriptive="AllAvailabilityZones",
)
def describe_availability_zones(
    ctx: Context, zone_names: list[str] | None = None, filters: list[dict[str, Any]] | None = None, dry_run: bool = False, **_: Any
) -> Reply:
    dry(dry_run)
    shown = {
        "ZoneName": zone(ctx.scope),
        "ZoneId": zone_id(ctx.scope.region),
        "RegionName": ctx.scope.region,
        "State": "available",
        "ZoneType": "availability-zone",
        "GroupName": ctx.scope.region,
        "NetworkBorderGroup": ctx.scope.region,
        "OptInStatus": "opt-in-not-required",
        "Messages": [],
    }
    known = {
        "zone-name": lambda s: [s["ZoneName"]],
        "region-name": lambda s: [s["RegionName"]],
        "state": lambda s: [s["State"]],
        "zone-type": lambda s: [s["ZoneType"]],
        "opt-in-status": lambda s: [s["OptInStatus"]],
    }
    return {
        "AvailabilityZones": chosen(picked([shown], zone_names, "ZoneName", "InvalidParameterValue", "availability zone"), filters, known)
    }


@reads(
    "ec2",
    "DescribeInstanceTypes",
    authorize=on_everything("ec2:DescribeInstanceTypes"),
    acts="InstanceTypes[] Filters[].Name Filters[].Values[] DryRun",
)
def describe_instance_types(
    ctx: Context, instance_types: list[str] | None = None, filters: list[dict[str, Any]] | None = None, dry_run: bool = False
) -> Reply:
    dry(dry_run)
    shapes = [
        {
            "InstanceType": name,
            "CurrentGeneration": not name.startswith("m1"),
            "VCpuInfo": {"DefaultVCpus": cpus},
            "MemoryInfo": {"SizeInMiB": int(memory * GIB) >> 20},
            "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        }
        for name, (cpus, memory) in TYPES.items()
        if not instance_types or name in instance_types
    ]
    unknown = sorted(set(instance_types or []) - set(TYPES))
    if unknown:
        raise AwsError("InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]")
    return {"InstanceTypes": chosen(shapes, filters, {"instance-type": lambda s: [s["InstanceType"]]})}
