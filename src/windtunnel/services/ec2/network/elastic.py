"""Elastic IP addresses (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from typing import ClassVar

from windtunnel.kernel.context import Context
from windtunnel.services.ec2.network.model import Resource


class Address(Resource, kw_only=True):
    """An elastic address; association_id is empty while nothing has it. instance_id: the instance whose interface has it."""

    KIND: ClassVar[str] = "ec2.elastic-ip"
    TYPE: ClassVar[str] = "elastic-ip"
    PREFIX: ClassVar[str] = "eipalloc"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist")
    INDEXES: ClassVar = {
        "public": "public_ip",
        "association": lambda address: [address.association_id] if address.association_id else [],
        "instance": lambda address: [address.instance_id] if address.instance_id else [],
        "interface": lambda address: [address.interface_id] if address.interface_id else [],
    }

    public_ip: str
    association_id: str = ""
    instance_id: str = ""
    interface_id: str = ""
    private_ip: str = ""
    vpc_id: str = ""


def parted(ctx: Context, address: Address) -> None:
    """Nothing has the address any longer."""
    address.association_id = address.instance_id = address.interface_id = address.private_ip = address.vpc_id = ""
    ctx.tx.put(address)
