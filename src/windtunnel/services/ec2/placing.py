"""Where RunInstances puts an instance: what subnet, groups and interface a request asks for, found and checked before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.services.ec2.network.common import every, peek, the
from windtunnel.services.ec2.network.model import NetworkInterface, SecurityGroup, Subnet
from windtunnel.services.ec2.network.zones import zone_names


class Place(NamedTuple):
    """subnet and groups (ids), and what the request says of the first interface. interface: one that exists already."""

    subnet: Subnet
    groups: list[str]
    private_ip: str = ""
    public: bool = False
    description: str = ""
    interface: NetworkInterface | None = None
    delete_interface: bool = True


def default_subnet(ctx: Context, zone: str | None) -> Subnet:
    """That of the zone, or of the first one that has any. Raises MissingInput."""
    found = sorted((subnet for subnet in every(ctx, Subnet) if subnet.is_default), key=lambda subnet: subnet.zone)
    chosen = next((subnet for subnet in found if zone in (None, subnet.zone)), None)
    if chosen is None:
        if not found:
            raise AwsError("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
        raise AwsError("MissingInput", f"No default subnet for availability zone: '{zone}'.")
    return chosen


def group_named(ctx: Context, name: str, vpc_id: str) -> str:
    found = next((group.id for group in every(ctx, SecurityGroup) if group.vpc_id == vpc_id and group.name == name), None)
    if found is None:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in VPC '{vpc_id}'")
    return found


def checked_groups(ctx: Context, subnet: Subnet, ids: Sequence[str], names: Sequence[str] = ()) -> list[str]:
    """Of the subnet's VPC; its default group when none is asked for."""
    found = list(dict.fromkeys([*ids, *(group_named(ctx, name, subnet.vpc_id) for name in names)]))
    for name in found:
        if the(ctx, SecurityGroup, name).vpc_id != subnet.vpc_id:
            raise AwsError("InvalidParameter", f"Security group {name} and subnet {subnet.id} belong to different networks.")
    if len(found) > 5:
        raise AwsError("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
    return found or [group_named(ctx, "default", subnet.vpc_id)]


def asked_place(
    ctx: Context,
    subnet_id: str | None,
    group_ids: Sequence[str],
    group_names: Sequence[str],
    zone: str | None,
    private_ip: str | None,
    interfaces: Sequence[Mapping[str, Any]],
    source_dest_check: bool = True,
) -> Place:
    """Raises AwsError in EC2's words for what is not there or does not fit."""
    if zone is not None and zone not in zone_names(ctx.scope.region):
        raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
    if not interfaces:
        subnet = the(ctx, Subnet, subnet_id) if subnet_id else default_subnet(ctx, zone)
        in_zone(subnet, zone)
        return Place(subnet, checked_groups(ctx, subnet, group_ids, group_names), private_ip or "", subnet.map_public_ip)
    if len(interfaces) > 1 or interfaces[0].get("DeviceIndex", 0) != 0:
        raise not_built("ec2", "RunInstances", "NetworkInterfaces beyond the first")
    if subnet_id or group_ids or group_names or private_ip:
        raise AwsError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID may not be specified on the same request"
            if subnet_id
            else "Network interfaces and an instance-level security groups may not be specified on the same request",
        )
    return of_interface(ctx, interfaces[0], zone)


def of_interface(ctx: Context, asked: Mapping[str, Any], zone: str | None) -> Place:
    delete = asked.get("DeleteOnTermination")
    if asked.get("NetworkInterfaceId"):
        eni = the(ctx, NetworkInterface, asked["NetworkInterfaceId"])
        if eni.instance_id or eni.kind != "interface":
            raise AwsError("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
        if asked.get("AssociatePublicIpAddress"):
            raise AwsError(
                "InvalidParameterCombination",
                "The associatePublicIPAddress parameter cannot be specified when launching with a network interface that exists",
            )
        subnet = the(ctx, Subnet, eni.subnet_id)
        in_zone(subnet, zone)
        return Place(subnet, eni.groups, eni.private_ip, False, eni.description, eni, bool(delete))
    subnet = the(ctx, Subnet, asked["SubnetId"]) if asked.get("SubnetId") else default_subnet(ctx, zone)
    in_zone(subnet, zone)
    public = asked.get("AssociatePublicIpAddress")
    return Place(
        subnet,
        checked_groups(ctx, subnet, asked.get("Groups") or []),
        asked.get("PrivateIpAddress") or "",
        subnet.map_public_ip if public is None else bool(public),
        asked.get("Description") or "",
        None,
        delete is not False,
    )


def in_zone(subnet: Subnet, zone: str | None) -> None:
    if zone is not None and subnet.zone != zone:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({subnet.zone}) for parameter availabilityZone is invalid. Subnet '{subnet.id}' is in the"
            f" availability zone {subnet.zone}",
        )


def place_for_needs(ctx: Context, given: Mapping[str, Any]) -> tuple[str, list[str], str]:
    """(subnet id, group ids, zone) that a request would be launched with, as far as they can be told before it is checked."""
    interfaces = given.get("network_interfaces") or [{}]
    subnet_id = given.get("subnet_id") or interfaces[0].get("SubnetId")
    zone = (given.get("placement") or {}).get("AvailabilityZone")
    if not subnet_id:
        defaults = sorted((subnet for subnet in every(ctx, Subnet) if subnet.is_default), key=lambda subnet: subnet.zone)
        subnet_id = next((subnet.id for subnet in defaults if zone in (None, subnet.zone)), "*")
    subnet = peek(ctx, Subnet, subnet_id)
    groups = list(given.get("security_group_ids") or interfaces[0].get("Groups") or [])
    wanted = given.get("security_groups") or ([] if groups else ["default"])
    vpc = subnet.vpc_id if subnet else ""
    groups += [group.id for group in every(ctx, SecurityGroup) if group.vpc_id == vpc and group.name in wanted] if vpc else []
    return subnet_id, groups, subnet.zone if subnet else zone or zone_names(ctx.scope.region)[0]
