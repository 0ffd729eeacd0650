"""The network that every account has in every region from the beginning: a default VPC, a default subnet per zone, and what belongs to them.

Invariant: until something in this account and region's network is changed, none of it is stored and reads make it up, the same each time; the first
change stores all of it (`ensure`) before it does anything else. Ids follow from account and region, so that they are what they were when they were
made up only.
"""

from __future__ import annotations

import hashlib
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.model import Instance, default_id
from windtunnel.services.ec2.network.model import (
    Block,
    DefaultNetwork,
    NetworkInterface,
    Resource,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)
from windtunnel.services.ec2.network.zones import zone_names

VPC_CIDR = "172.31.0.0/16"


def made_up(prefix: str, what: str, scope: Scope) -> str:
    """The id of a part of the default network that has brothers of its kind."""
    return f"{prefix}-0{hashlib.sha256(f'{what}/{scope.account}/{scope.region}'.encode()).hexdigest()[:16]}"


def subnet_id(scope: Scope, zone: str) -> str:
    """The default subnet of a zone; that of the first has the id that there was when it was the only one."""
    return default_id("subnet", scope) if zone == zone_names(scope.region)[0] else made_up("subnet", zone, scope)


def default_records(scope: Scope) -> list[Resource]:
    """The default network of an account and region. The default group lets everything in: see docs/known-differences.md."""
    from windtunnel.services.ec2.network.surroundings import default_surroundings

    vpc, group = default_id("vpc", scope), default_id("sg", scope)
    found: list[Resource] = [
        Vpc(
            id=vpc,
            cidr=VPC_CIDR,
            blocks=[Block(default_id("vpc-cidr-assoc", scope), VPC_CIDR)],
            is_default=True,
            dhcp_options=default_id("dopt", scope),
            dns_hostnames=True,
        ),
        SecurityGroup(id=group, vpc_id=vpc, name="default", description="default VPC security group"),
        SecurityGroupRule(id=default_id("sgr", scope), group_id=group, egress=False, protocol="-1", cidr="0.0.0.0/0"),
        SecurityGroupRule(id=made_up("sgr", "sgr-egress", scope), group_id=group, egress=True, protocol="-1", cidr="0.0.0.0/0"),
    ]
    subnets = [
        Subnet(id=subnet_id(scope, zone), vpc_id=vpc, cidr=f"172.31.{number * 16}.0/20", zone=zone, is_default=True, map_public_ip=True)
        for number, zone in enumerate(zone_names(scope.region))
    ]
    return [*found, *subnets, *default_surroundings(scope, [subnet.id for subnet in subnets])]


def stored(ctx: Context) -> bool:
    """Whether this account and region's default network is in the store."""
    return ctx.tx.get(DefaultNetwork, "default") is not None


def virtual(ctx: Context, kind: type[Any]) -> list[Any]:
    """The default network's records of a kind, while they are made up."""
    return [] if stored(ctx) else [record for record in default_records(ctx.scope) if type(record) is kind]


def ensure(ctx: Context) -> None:
    """Store the default network, in a write transaction; instances that are there already get their interfaces in it."""
    if stored(ctx):
        return
    from windtunnel.services.ec2.network.interfaces import give_interface

    ctx.tx.put(DefaultNetwork(made=ctx.now))
    for record in default_records(ctx.scope):
        ctx.tx.put(record)
    for instance in ctx.tx.scan(Instance):
        if instance.state != "terminated" and not ctx.tx.find(NetworkInterface, "instance", instance.id, limit=1):
            give_interface(ctx, instance)
            ctx.tx.put(instance)
