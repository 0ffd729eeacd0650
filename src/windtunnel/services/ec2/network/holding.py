"""What the nouns of a VPC ask of those that reach beyond it, in one place, because these import them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windtunnel.kernel.context import Context

if TYPE_CHECKING:
    from windtunnel.services.ec2.network.surroundings import Route


def holders() -> tuple[type[Any], ...]:
    """The kinds of records that keep their VPC from being deleted, beside its subnets: found by their index "vpc"."""
    from windtunnel.services.ec2.network.egress import EgressOnlyGateway
    from windtunnel.services.ec2.network.endpoints import Endpoint
    from windtunnel.services.ec2.network.nat import NatGateway
    from windtunnel.services.ec2.network.peering import Peering

    return EgressOnlyGateway, NatGateway, Endpoint, Peering


def peered(ctx: Context, one: str, two: str) -> bool:
    """Whether an active peering connects two VPCs."""
    from windtunnel.services.ec2.network.peering import Peering

    found = (peering for peering in ctx.tx.find(Peering, "vpc", one) if peering.state == "active")
    return any(two in (peering.requester.vpc_id, peering.accepter.vpc_id) for peering in found)


def prefix_list_exists(ctx: Context, name: str) -> bool:
    from windtunnel.services.ec2.network.prefixes import exists

    return exists(ctx, name)


def target_state(ctx: Context, vpc_id: str, route: Route) -> str:
    """`active`, or `blackhole` when what the route leads to is no longer there, or not of this VPC."""
    from windtunnel.services.ec2.model import Instance
    from windtunnel.services.ec2.network.common import peek
    from windtunnel.services.ec2.network.egress import EgressOnlyGateway
    from windtunnel.services.ec2.network.endpoints import Endpoint
    from windtunnel.services.ec2.network.model import NetworkInterface
    from windtunnel.services.ec2.network.nat import NatGateway
    from windtunnel.services.ec2.network.peering import Peering
    from windtunnel.services.ec2.network.surroundings import InternetGateway

    name = route.target_id
    good = False
    if name.startswith("vpce-"):
        good = ctx.tx.get(Endpoint, name) is not None
    elif route.target == "GatewayId":
        gateway = peek(ctx, InternetGateway, name)
        good = gateway is not None and gateway.vpc_id == vpc_id
    elif route.target == "NatGatewayId":
        nat = ctx.tx.get(NatGateway, name)
        good = nat is not None and nat.state == "available"
    elif route.target == "InstanceId":
        instance = ctx.tx.get(Instance, name)
        good = instance is not None and instance.state == "running"
    elif route.target == "NetworkInterfaceId":
        eni = ctx.tx.get(NetworkInterface, name)
        good = eni is not None and bool(eni.instance_id)
    elif route.target == "EgressOnlyInternetGatewayId":
        good = ctx.tx.get(EgressOnlyGateway, name) is not None
    else:
        peering = ctx.tx.get(Peering, name)
        good = peering is not None and peering.state == "active"
    return "active" if good else "blackhole"
