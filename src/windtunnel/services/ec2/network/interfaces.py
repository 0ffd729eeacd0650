"""The interfaces that instances, NAT gateways and endpoints have in subnets: made, given an address, taken away."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.ec2.model import Instance, default_id
from windtunnel.services.ec2.network.addresses import free, mac_of, usable_address
from windtunnel.services.ec2.network.common import new_id, the
from windtunnel.services.ec2.network.model import NetworkInterface, Subnet


def make_interface(ctx: Context, subnet: Subnet, private_ip: str = "", **fields: Any) -> NetworkInterface:
    """A new interface in a subnet, with this address or the lowest that is free. Raises InvalidIPAddress.InUse, InsufficientFreeAddressesInSubnet."""
    used = [ip for eni in ctx.tx.find(NetworkInterface, "subnet", subnet.id) for ip in (eni.private_ip, *eni.secondary_ips)]
    if private_ip:
        if not usable_address(private_ip, subnet.cidr):
            raise AwsError("InvalidParameterValue", f"Address does not fall within the subnet's address range: {private_ip}")
        if private_ip in used:
            raise AwsError("InvalidIPAddress.InUse", f"Address {private_ip} is in use.")
    address = private_ip or free(subnet.cidr, used)
    if address is None:
        raise AwsError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of instances.",
        )
    name = new_id(ctx, NetworkInterface)
    made = NetworkInterface(
        id=name, vpc_id=subnet.vpc_id, subnet_id=subnet.id, zone=subnet.zone, private_ip=address, mac=mac_of(name), **fields
    )
    ctx.tx.put(made)
    return made


def attach(ctx: Context, eni: NetworkInterface, instance: Instance, device: int = 0, delete: bool = True) -> None:
    eni.instance_id, eni.device, eni.attached, eni.delete_on_termination = instance.id, device, ctx.now, delete
    eni.attachment_id = new_id(ctx, "eni-attach")
    ctx.tx.put(eni)


def give_interface(
    ctx: Context, instance: Instance, subnet: Subnet | None = None, groups: list[str] | None = None, private_ip: str = "", **fields: Any
) -> NetworkInterface:
    """The instance's first interface, in the default subnet and group unless others are given; its record says so (and is not put here)."""
    subnet = subnet or the(ctx, Subnet, default_id("subnet", ctx.scope))
    groups = groups or [default_id("sg", ctx.scope)]
    eni = make_interface(ctx, subnet, private_ip, groups=groups, **fields)
    attach(ctx, eni, instance)
    wear(instance, eni)
    return eni


def wear(instance: Instance, eni: NetworkInterface) -> None:
    """The instance's record shows what its first interface has."""
    instance.vpc_id, instance.subnet_id, instance.zone = eni.vpc_id, eni.subnet_id, eni.zone
    instance.vpc_ip, instance.groups, instance.interface_id = eni.private_ip, list(eni.groups), eni.id


def take_interfaces(ctx: Context, instance_id: str) -> None:
    """What follows when an instance is gone: its interfaces go with it, or are free again; elastic addresses are no longer its."""
    from windtunnel.services.ec2.network.elastic import Address, parted

    for address in ctx.tx.find(Address, "instance", instance_id):
        parted(ctx, address)
    for eni in ctx.tx.find(NetworkInterface, "instance", instance_id):
        if eni.delete_on_termination:
            ctx.tx.delete(NetworkInterface, eni.id)
        else:
            eni.instance_id = eni.attachment_id = ""
            ctx.tx.put(eni)
