"""Network interfaces as they are shown: by themselves, and within the instance that has them."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.ec2.model import Instance, private_address, private_dns, public_address
from windtunnel.services.ec2.network.common import peek, tagged
from windtunnel.services.ec2.network.elastic import Address
from windtunnel.services.ec2.network.model import NetworkInterface, SecurityGroup


def groups_shape(ctx: Context, groups: list[str]) -> list[dict[str, str]]:
    found = [(name, peek(ctx, SecurityGroup, name)) for name in groups]
    return [{"GroupId": name, "GroupName": group.name if group else ""} for name, group in found]


def association(ctx: Context, eni: NetworkInterface, instance: Instance | None) -> dict[str, Any] | None:
    """Its public address: an elastic one, or the one that its instance has while it runs."""
    elastic = ctx.tx.find(Address, "interface", eni.id, limit=1)
    if elastic:
        held = elastic[0]
        shown = {"PublicIp": held.public_ip, "PublicDnsName": held.public_ip, "IpOwnerId": ctx.scope.account}
        return shown | {"AllocationId": held.id, "AssociationId": held.association_id}
    public = public_address(instance) if instance is not None and eni.device == 0 else ""
    return {"PublicIp": public, "PublicDnsName": public, "IpOwnerId": "amazon"} if public else None


def core(ctx: Context, eni: NetworkInterface, instance: Instance | None, within: bool = False) -> dict[str, Any]:
    """What both shapes have. within: of the one within an instance, which tells less of the address."""
    first = instance is not None and eni.device == 0 and bool(private_address(instance))
    ip = private_address(instance) if first and instance is not None else eni.private_ip
    public = association(ctx, eni, instance)
    if public is not None and within:
        public = {name: public[name] for name in ("PublicIp", "PublicDnsName", "IpOwnerId")}
    addresses: list[dict[str, Any]] = [{"Primary": True, "PrivateIpAddress": ip, "PrivateDnsName": private_dns(ctx.scope, ip)}]
    addresses += [
        {"Primary": False, "PrivateIpAddress": other, "PrivateDnsName": private_dns(ctx.scope, other)} for other in eni.secondary_ips
    ]
    shape: dict[str, Any] = {
        "NetworkInterfaceId": eni.id,
        "SubnetId": eni.subnet_id,
        "VpcId": eni.vpc_id,
        "OwnerId": ctx.scope.account,
        "MacAddress": eni.mac,
        "Description": eni.description,
        "InterfaceType": eni.kind,
        "PrivateIpAddress": ip,
        "PrivateDnsName": private_dns(ctx.scope, ip),
        "PrivateIpAddresses": addresses,
        "Groups": groups_shape(ctx, eni.groups),
        "Ipv6Addresses": [],
        "SourceDestCheck": eni.source_dest_check,
        "Status": "in-use" if eni.instance_id or eni.kind != "interface" else "available",
    }
    if public is not None:
        shape["Association"] = public
        addresses[0]["Association"] = public
    return shape


def of_instance(ctx: Context, instance: Instance) -> list[dict[str, Any]]:
    """The interfaces of an instance, the first first."""
    shapes = []
    for eni in sorted(ctx.tx.find(NetworkInterface, "instance", instance.id), key=lambda eni: eni.device):
        attachment = {
            "AttachmentId": eni.attachment_id,
            "AttachTime": eni.attached,
            "DeleteOnTermination": eni.delete_on_termination,
            "DeviceIndex": eni.device,
            "NetworkCardIndex": 0,
            "Status": "attached",
        }
        shapes.append(core(ctx, eni, instance, within=True) | {"Attachment": attachment})
    return shapes


def interface_shape(ctx: Context, eni: NetworkInterface) -> dict[str, Any]:
    """NetworkInterface, as DescribeNetworkInterfaces shows it."""
    instance = ctx.tx.get(Instance, eni.instance_id) if eni.instance_id else None
    managed = bool(eni.managed_by)
    shape = core(ctx, eni, instance) | {
        "AvailabilityZone": eni.zone,
        "RequesterManaged": managed,
        "TagSet": tagged(eni),
        "Operator": {"Managed": False},
    }
    if managed:
        shape["RequesterId"] = eni.managed_by
    if eni.instance_id:
        shape["Attachment"] = {
            "AttachmentId": eni.attachment_id,
            "AttachTime": eni.attached,
            "DeleteOnTermination": eni.delete_on_termination,
            "DeviceIndex": eni.device,
            "NetworkCardIndex": 0,
            "InstanceId": eni.instance_id,
            "InstanceOwnerId": ctx.scope.account,
            "Status": "attached",
        }
    return shape
