"""What there is in every region whatever anybody does: one image, zones, instance types."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything, the_instances, visible
from windtunnel.services.ec2.model import GIB, OLD, PREVIOUS, TYPES, image
from windtunnel.services.ec2.network.common import checked_page, every, page_of, tells
from windtunnel.services.ec2.network.model import Vpc
from windtunnel.services.ec2.network.zones import REGIONS, zone_id, zone_names


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


TYPE_FILTERS = {
    "instance-type": tells("InstanceType"),
    "current-generation": tells("CurrentGeneration"),
    "free-tier-eligible": tells("FreeTierEligible"),
    "bare-metal": tells("BareMetal"),
    "hypervisor": tells("Hypervisor"),
    "burstable-performance-supported": tells("BurstablePerformanceSupported"),
    "instance-storage-supported": tells("InstanceStorageSupported"),
    "memory-info.size-in-mib": tells("MemoryInfo", "SizeInMiB"),
    "processor-info.supported-architecture": tells("ProcessorInfo", "SupportedArchitectures"),
    "supported-root-device-type": tells("SupportedRootDeviceTypes"),
    "supported-usage-class": tells("SupportedUsageClasses"),
    "supported-virtualization-type": tells("SupportedVirtualizationTypes"),
    "vcpu-info.default-vcpus": tells("VCpuInfo", "DefaultVCpus"),
    "vcpu-info.default-cores": tells("VCpuInfo", "DefaultCores"),
}


@reads(
    "ec2",
    "DescribeInstanceTypes",
    authorize=on_everything("ec2:DescribeInstanceTypes"),
    acts="InstanceTypes[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
)
def describe_instance_types(
    ctx: Context,
    instance_types: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    size = checked_page(max_results, 5, 100)
    shapes = [
        {
            "InstanceType": name,
            "CurrentGeneration": not name.startswith(PREVIOUS),
            "FreeTierEligible": name in ("t2.micro", "t3.micro"),
            "SupportedUsageClasses": ["on-demand"],
            "SupportedRootDeviceTypes": ["ebs"],
            "SupportedVirtualizationTypes": ["hvm"],
            "BareMetal": False,
            "Hypervisor": "xen" if name.startswith(OLD) else "nitro",
            "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
            "VCpuInfo": {"DefaultVCpus": cpus, "DefaultCores": max(1, cpus // 2), "DefaultThreadsPerCore": 2 if cpus > 1 else 1},
            "MemoryInfo": {"SizeInMiB": int(memory * GIB) >> 20},
            "InstanceStorageSupported": False,
            "NetworkInfo": {
                "MaximumNetworkInterfaces": 1,
                "MaximumNetworkCards": 1,
                "Ipv4AddressesPerInterface": 1,
                "Ipv6Supported": False,
                "EnaSupport": "unsupported" if name.startswith(OLD) else "required",
            },
            "BurstablePerformanceSupported": name.startswith("t"),
            "DedicatedHostsSupported": False,
            "AutoRecoverySupported": False,
            "HibernationSupported": False,
        }
        for name, (cpus, memory) in TYPES.items()
        if not instance_types or name in instance_types
    ]
    unknown = sorted(set(instance_types or []) - set(TYPES))
    if unknown:
        raise AwsError("InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]")
    return page_of(chosen(shapes, filters, TYPE_FILTERS), "InstanceType", "InstanceTypes", size, next_token)


@reads(
    "ec2",
    "DescribeRegions",
    authorize=on_everything("ec2:DescribeRegions"),
    acts="RegionNames[] Filters[].Name Filters[].Values[] AllRegions DryRun",
)
def describe_regions(
    ctx: Context,
    region_names: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    all_regions: bool = False,
    dry_run: bool = False,
) -> Reply:
    """Every region answers; those that AWS has one opt into are not opted into."""
    dry(dry_run)
    shapes = [
        {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "not-opted-in" if opt else "opt-in-not-required"}
        for name, opt in REGIONS.items()
        if all_regions or not opt or region_names
    ]
    for name in region_names or []:
        if name not in REGIONS:
            raise AwsError("InvalidParameterValue", f"Invalid region name: [{name}]")
    known = {
        "region-name": lambda s: [s["RegionName"]],
        "endpoint": lambda s: [s["Endpoint"]],
        "opt-in-status": lambda s: [s["OptInStatus"]],
    }
    return {"Regions": chosen([s for s in shapes if not region_names or s["RegionName"] in region_names], filters, known)}


ATTRIBUTES = {
    "supported-platforms": "VPC", "default-vpc": "", "max-instances": "20", "vpc-max-security-groups-per-interface": "5",
    "max-elastic-ips": "5", "vpc-max-elastic-ips": "5",
}  # fmt: skip


@reads(
    "ec2",
    "DescribeAccountAttributes",
    authorize=on_everything("ec2:DescribeAccountAttributes"),
    acts="AttributeNames[] DryRun",
)
def describe_account_attributes(ctx: Context, attribute_names: list[str] | None = None, dry_run: bool = False) -> Reply:
    dry(dry_run)
    vpc = next((vpc.id for vpc in every(ctx, Vpc) if vpc.is_default), "none")
    known = ATTRIBUTES | {"default-vpc": vpc}
    for name in attribute_names or []:
        if name not in known:
            raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter attributeName is invalid. Unknown attribute.")
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}
            for name, value in known.items()
            if not attribute_names or name in attribute_names
        ]
    }


@reads(
    "ec2",
    "DescribeInstanceTypeOfferings",
    authorize=on_everything("ec2:DescribeInstanceTypeOfferings"),
    acts="LocationType Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
)
def describe_instance_type_offerings(
    ctx: Context,
    location_type: str = "region",
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    """Every type in every zone."""
    dry(dry_run)
    zones = zone_names(ctx.scope.region)
    places = {"region": [ctx.scope.region], "availability-zone": zones, "availability-zone-id": [zone_id(zone) for zone in zones]}
    shapes = [
        {"InstanceType": name, "LocationType": location_type, "Location": place, "At": f"{name} {place}"}
        for name in TYPES
        for place in places.get(location_type, [])
    ]
    known = {"instance-type": lambda s: [s["InstanceType"]], "location": lambda s: [s["Location"]]}
    reply = page_of(chosen(shapes, filters, known), "At", "InstanceTypeOfferings", checked_page(max_results), next_token)
    offered = [{key: value for key, value in shape.items() if key != "At"} for shape in reply["InstanceTypeOfferings"]]
    return {**reply, "InstanceTypeOfferings": offered}


@reads(
    "ec2",
    "DescribeInstanceCreditSpecifications",
    authorize=on_everything("ec2:DescribeInstanceCreditSpecifications"),
    acts="InstanceIds[] Filters[].Name Filters[].Values[] DryRun",
    cost="scan",
)
def describe_instance_credit_specifications(
    ctx: Context, instance_ids: list[str] | None = None, filters: list[dict[str, Any]] | None = None, dry_run: bool = False
) -> Reply:
    """Burstable types: T3 unlimited, T2 standard, unless the launch said otherwise. Credits limit nothing here."""
    dry(dry_run)
    found = the_instances(ctx, instance_ids) if instance_ids else visible(ctx)
    burstable = [instance for instance in found if instance.type.startswith("t") and instance.state != "terminated"]
    shapes = [{"InstanceId": i.id, "CpuCredits": i.credits or ("standard" if i.type.startswith("t2") else "unlimited")} for i in burstable]
    return {"InstanceCreditSpecifications": chosen(shapes, filters, {"instance-id": lambda s: [s["InstanceId"]]})}
