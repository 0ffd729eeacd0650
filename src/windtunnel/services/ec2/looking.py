"""Describing instances, and looking into one (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

import base64
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads
from windtunnel.kernel.typed import convert
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, groups_of, on_everything, on_instance, shape, the_instances, visible
from windtunnel.services.ec2.model import Instance
from windtunnel.services.ec2.network.showing import of_instance

STATUS_FILTERS = {
    "availability-zone": lambda s: [s["AvailabilityZone"]],
    "instance-state-name": lambda s: [s["InstanceState"]["Name"]],
    "instance-state-code": lambda s: [str(s["InstanceState"]["Code"])],
    "instance-status.status": lambda s: [s["InstanceStatus"]["Status"]],
    "instance-status.reachability": lambda s: [d["Status"] for d in s["InstanceStatus"]["Details"]],
    "system-status.status": lambda s: [s["SystemStatus"]["Status"]],
    "system-status.reachability": lambda s: [d["Status"] for d in s["SystemStatus"]["Details"]],
}
FILTERS = {
    "instance-id": lambda s: [s["InstanceId"]],
    "instance-state-name": lambda s: [s["State"]["Name"]],
    "instance-state-code": lambda s: [str(s["State"]["Code"])],
    "instance-type": lambda s: [s["InstanceType"]],
    "image-id": lambda s: [s["ImageId"]],
    "private-ip-address": lambda s: [s.get("PrivateIpAddress", "")],
    "ip-address": lambda s: [s.get("PublicIpAddress", "")],
    "private-dns-name": lambda s: [s.get("PrivateDnsName", "")],
    "state-reason-code": lambda s: [s.get("StateReason", {}).get("Code", "")],
    "root-device-type": lambda s: [s["RootDeviceType"]],
    "tenancy": lambda s: [s["Placement"]["Tenancy"]],
    "virtualization-type": lambda s: [s["VirtualizationType"]],
    "hypervisor": lambda s: [s["Hypervisor"]],
    "monitoring-state": lambda s: [s["Monitoring"]["State"]],
    "key-name": lambda s: [s.get("KeyName", "")],
    "iam-instance-profile.id": lambda s: [s.get("IamInstanceProfile", {}).get("Id", "")],
    "metadata-options.http-tokens": lambda s: [s["MetadataOptions"]["HttpTokens"]],
    "metadata-options.http-endpoint": lambda s: [s["MetadataOptions"]["HttpEndpoint"]],
    "group-id": lambda s: [g["GroupId"] for g in s["SecurityGroups"]],
    "group-name": lambda s: [g["GroupName"] for g in s["SecurityGroups"]],
    "dns-name": lambda s: [s.get("PublicDnsName", "")],
    "vpc-id": lambda s: [s.get("VpcId", "")],
    "subnet-id": lambda s: [s.get("SubnetId", "")],
    "availability-zone": lambda s: [s["Placement"]["AvailabilityZone"]],
    "iam-instance-profile.arn": lambda s: [s.get("IamInstanceProfile", {}).get("Arn", "")],
    "client-token": lambda s: [s["ClientToken"]],
    "reservation-id": lambda s: [s["ReservationId"]],
    "owner-id": lambda s: [s["OwnerId"]],
    "architecture": lambda s: [s["Architecture"]],
    "instance.group-id": lambda s: [g["GroupId"] for g in s["SecurityGroups"]],
    "instance.group-name": lambda s: [g["GroupName"] for g in s["SecurityGroups"]],
}


@reads(
    "ec2",
    "DescribeInstances",
    authorize=on_everything("ec2:DescribeInstances"),
    acts="InstanceIds[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_instances(
    ctx: Context,
    instance_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    if max_results is not None and not 5 <= max_results <= 1000:
        word = "greater than 5" if max_results < 5 else "less than 1000"
        raise AwsError("InvalidParameterValue", f"Value ( {max_results} ) for parameter maxResults is invalid. Expecting a value {word}.")
    if instance_ids and max_results:
        raise AwsError("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
    found = the_instances(ctx, instance_ids) if instance_ids else visible(ctx)
    shapes = [shape(ctx, i) | {"ReservationId": i.reservation_id, "OwnerId": i.owner} for i in found]
    kept = chosen(shapes, filters, FILTERS)
    kept.sort(key=lambda s: (s["LaunchTime"], s["ReservationId"], s["AmiLaunchIndex"]))
    start = token_position(next_token, len(kept))
    page = kept[start : start + max_results] if max_results else kept[start:]
    reservations: dict[str, dict[str, Any]] = {}
    for item in page:
        owner, name = item.pop("OwnerId"), item.pop("ReservationId")
        reservations.setdefault(name, {"ReservationId": name, "OwnerId": owner, "Groups": [], "Instances": []})["Instances"].append(item)
    reply: Reply = {"Reservations": list(reservations.values())}
    if start + len(page) < len(kept):
        reply["NextToken"] = base64.urlsafe_b64encode(str(start + len(page)).encode()).decode()
    return reply


def token_position(token: str | None, size: int) -> int:
    if token is None:
        return 0
    try:
        position = int(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        position = -1
    if not 0 <= position <= size:
        raise AwsError("InvalidNextToken", "The specified nextToken is invalid.")
    return position


@reads(
    "ec2",
    "DescribeInstanceStatus",
    authorize=on_everything("ec2:DescribeInstanceStatus"),
    acts="InstanceIds[] Filters[].Name Filters[].Values[] IncludeAllInstances DryRun",
    cost="scan",
)
def describe_instance_status(
    ctx: Context,
    instance_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    include_all_instances: bool = False,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    found = the_instances(ctx, instance_ids) if instance_ids else visible(ctx)
    statuses = []
    for item in (shape(ctx, i) for i in found):
        running = item["State"]["Name"] == "running"
        if not running and not include_all_instances:
            continue
        word = "ok" if running else "not-applicable"
        check = {"Status": word, "Details": [{"Name": "reachability", "Status": "passed"}] if running else []}
        statuses.append(
            {
                "InstanceId": item["InstanceId"],
                "AvailabilityZone": item["Placement"]["AvailabilityZone"],
                "InstanceState": item["State"],
                "InstanceStatus": check,
                "SystemStatus": check,
                "Events": [],
            }
        )
    return {"InstanceStatuses": chosen(statuses, filters, STATUS_FILTERS)}


@reads(
    "ec2", "GetConsoleOutput", authorize=on_instance("ec2:GetConsoleOutput"), acts="InstanceId DryRun", descriptive="Latest", cost="scan"
)
def get_console_output(ctx: Context, instance_id: str, dry_run: bool = False, latest: bool = False) -> Reply:
    """The last 64 KiB that the instance wrote to its console, base64."""
    dry(dry_run)
    instance = the_instances(ctx, [instance_id])[0]
    return {"InstanceId": instance_id, "Timestamp": ctx.now, "Output": base64.b64encode(console(ctx, instance)).decode()}


def console(ctx: Context, instance: Instance) -> bytes:
    from windtunnel.compute.driver import Handle

    if instance.handle is None or instance.state == "terminated":
        return b""
    driver, handle = ctx.cloud.part("compute"), convert(instance.handle, Handle)
    tail, offset = b"", 0
    while True:
        frames, following = driver.logs(handle, offset)
        tail = (tail + b"".join(frame.data for frame in frames))[-65536:]
        if following == offset:
            return tail
        offset = following


@reads(
    "ec2",
    "DescribeInstanceAttribute",
    authorize=on_instance("ec2:DescribeInstanceAttribute"),
    acts="InstanceId Attribute DryRun",
)
def describe_instance_attribute(ctx: Context, instance_id: str, attribute: str, dry_run: bool = False) -> Reply:
    dry(dry_run)
    instance = the_instances(ctx, [instance_id])[0]
    known: dict[str, tuple[str, Any]] = {
        "userData": ("UserData", {"Value": instance.user_data} if instance.user_data else {}),
        "instanceType": ("InstanceType", {"Value": instance.type}),
        "disableApiTermination": ("DisableApiTermination", {"Value": instance.protected}),
        "disableApiStop": ("DisableApiStop", {"Value": False}),
        "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", {"Value": instance.shutdown_behavior}),
        "groupSet": ("Groups", groups_of(ctx, instance)),
        "ebsOptimized": ("EbsOptimized", {"Value": False}),
        "sourceDestCheck": ("SourceDestCheck", {"Value": all(nic["SourceDestCheck"] for nic in of_instance(ctx, instance))}),
        "rootDeviceName": ("RootDeviceName", {"Value": "/dev/xvda"}),
    }
    if attribute not in known:
        raise not_built("ec2", "DescribeInstanceAttribute", f"Attribute {attribute}")
    name, value = known[attribute]
    return {"InstanceId": instance_id, name: value}
