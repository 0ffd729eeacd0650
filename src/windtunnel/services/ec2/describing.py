"""What there is in every region whatever anybody does: one image, zones, instance types."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.model import GIB, TYPES, image
from windtunnel.services.ec2.network.zones import zone_id, zone_names


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


@reads(
    "ec2",
    "DescribeAvailabilityZones",
    authorize=on_everything("ec2:DescribeAvailabilityZones"),
    acts="ZoneNames[] ZoneIds[] Filters[].Name Filters[].Values[] DryRun",
    descriptive="AllAvailabilityZones",
)
def describe_availability_zones(
    ctx: Context,
    zone_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
    **given: Any,
) -> Reply:
    dry(dry_run)
    shapes = [
        {
            "ZoneName": name,
            "ZoneId": zone_id(name),
            "RegionName": ctx.scope.region,
            "State": "available",
            "ZoneType": "availability-zone",
            "GroupName": f"{ctx.scope.region}-zg-1",
            "NetworkBorderGroup": ctx.scope.region,
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
        }
        for name in zone_names(ctx.scope.region)
    ]
    if zone_ids:
        shapes = picked(shapes, zone_ids, "ZoneId", "InvalidParameterValue", "availability zone")
    known = {
        "zone-name": lambda s: [s["ZoneName"]],
        "zone-id": lambda s: [s["ZoneId"]],
        "group-name": lambda s: [s["GroupName"]],
        "region-name": lambda s: [s["RegionName"]],
        "state": lambda s: [s["State"]],
        "zone-type": lambda s: [s["ZoneType"]],
        "opt-in-status": lambda s: [s["OptInStatus"]],
    }
    named = given.get("zone_names")
    if set(named or []) - {shape["ZoneName"] for shape in shapes}:
        raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{', '.join(named or [])}]")
    return {"AvailabilityZones": chosen(picked(shapes, named, "ZoneName", "InvalidParameterValue", "availability zone"), filters, known)}


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
