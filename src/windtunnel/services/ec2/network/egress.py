"""Internet gateways, and those that let only out (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.model import Instance
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    by_token,
    describes,
    every,
    given_tags,
    made_in_vpc,
    new_id,
    on,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.elastic import Address
from windtunnel.services.ec2.network.model import InVpc, Vpc
from windtunnel.services.ec2.network.surroundings import InternetGateway
from windtunnel.services.ec2.network.touching import touched


class EgressOnlyGateway(InVpc, kw_only=True):
    """For version 6: out and not in."""

    KIND: ClassVar[str] = "ec2.egress-only-internet-gateway"
    TYPE: ClassVar[str] = "egress-only-internet-gateway"
    PREFIX: ClassVar[str] = "eigw"
    MISSING: ClassVar[tuple[str, str]] = (
        "InvalidEgressOnlyInternetGatewayId.NotFound",
        "The egress only internet gateway ID '{}' does not exist",
    )
    INDEXES: ClassVar = {"vpc": "vpc_id", "token": by_token}


def gateway_shape(ctx: Context, gateway: InternetGateway) -> Shape:
    return {
        "InternetGatewayId": gateway.id,
        "OwnerId": ctx.scope.account,
        "Attachments": [{"VpcId": gateway.vpc_id, "State": "available"}] if gateway.vpc_id else [],
        "Tags": tagged(gateway),
    }


describes(
    "DescribeInternetGateways",
    InternetGateway,
    gateway_shape,
    ids="InternetGatewayIds",
    member="InternetGatewayId",
    out="InternetGateways",
    filters={
        "internet-gateway-id": tells("InternetGatewayId"),
        "attachment.state": tells("Attachments", "State"),
        "attachment.vpc-id": tells("Attachments", "VpcId"),
        "owner-id": tells("OwnerId"),
    },
)


@writes("ec2", "CreateInternetGateway", authorize=on("CreateInternetGateway", new=InternetGateway), acts=f"DryRun {TAGS}")
def create_internet_gateway(ctx: Context, tag_specifications: list[dict[str, Any]] | None = None, dry_run: bool = False) -> Reply:
    tags = given_tags(ctx, tag_specifications, InternetGateway)
    dry(dry_run)
    ensure(ctx)
    gateway = InternetGateway(id=new_id(ctx, InternetGateway), tags=tags)
    ctx.tx.put(gateway)
    return {"InternetGateway": gateway_shape(ctx, gateway)}


@writes(
    "ec2",
    "DeleteInternetGateway",
    authorize=on("DeleteInternetGateway", (InternetGateway, "internet_gateway_id")),
    acts="InternetGatewayId DryRun",
)
def delete_internet_gateway(ctx: Context, internet_gateway_id: str, dry_run: bool = False) -> Reply:
    gateway = the(ctx, InternetGateway, internet_gateway_id)
    if gateway.vpc_id:
        raise AwsError("DependencyViolation", f"The internetGateway '{internet_gateway_id}' has dependencies and cannot be deleted.")
    dry(dry_run)
    ensure(ctx)
    ctx.tx.delete(InternetGateway, internet_gateway_id)
    return {}


ON_BOTH = ((InternetGateway, "internet_gateway_id"), (Vpc, "vpc_id"))


@writes("ec2", "AttachInternetGateway", authorize=on("AttachInternetGateway", *ON_BOTH), acts="InternetGatewayId VpcId DryRun")
def attach_internet_gateway(ctx: Context, internet_gateway_id: str, vpc_id: str, dry_run: bool = False) -> Reply:
    gateway = the(ctx, InternetGateway, internet_gateway_id)
    the(ctx, Vpc, vpc_id)
    if gateway.vpc_id:
        raise AwsError("Resource.AlreadyAssociated", f"resource {gateway.id} is already attached to network {gateway.vpc_id}")
    if any(other.vpc_id == vpc_id for other in every(ctx, InternetGateway)):
        raise AwsError("InvalidParameterValue", f"Network {vpc_id} already has an internet gateway attached")
    dry(dry_run)
    ensure(ctx)
    gateway.vpc_id = vpc_id
    ctx.tx.put(gateway)
    touched(ctx, vpc_id)
    return {}


@writes("ec2", "DetachInternetGateway", authorize=on("DetachInternetGateway", *ON_BOTH), acts="InternetGatewayId VpcId DryRun")
def detach_internet_gateway(ctx: Context, internet_gateway_id: str, vpc_id: str, dry_run: bool = False) -> Reply:
    gateway = the(ctx, InternetGateway, internet_gateway_id)
    the(ctx, Vpc, vpc_id)
    if gateway.vpc_id != vpc_id:
        raise AwsError("Gateway.NotAttached", f"resource {internet_gateway_id} is not attached to network {vpc_id}")
    if mapped(ctx, vpc_id):
        raise AwsError(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        )
    dry(dry_run)
    ensure(ctx)
    gateway.vpc_id = ""
    ctx.tx.put(gateway)
    touched(ctx, vpc_id)
    return {}


def mapped(ctx: Context, vpc_id: str) -> bool:
    """Whether something in the VPC has a public address."""
    if any(address.vpc_id == vpc_id for address in every(ctx, Address)):
        return True
    instances = [instance.placed(ctx.scope) for instance in ctx.tx.scan(Instance)]
    return any(i.vpc_id == vpc_id and i.public and i.state in ("pending", "running") for i in instances)


# -- only out -------------------------------------------------------------------------------------------------------


def egress_shape(ctx: Context, gateway: EgressOnlyGateway) -> Shape:
    attachments = [{"VpcId": gateway.vpc_id, "State": "attached"}]
    return {"EgressOnlyInternetGatewayId": gateway.id, "Attachments": attachments, "Tags": tagged(gateway)}


describes(
    "DescribeEgressOnlyInternetGateways",
    EgressOnlyGateway,
    egress_shape,
    ids="EgressOnlyInternetGatewayIds",
    member="EgressOnlyInternetGatewayId",
    out="EgressOnlyInternetGateways",
    limits=(5, 255),
    filters={},
)


@writes(
    "ec2",
    "CreateEgressOnlyInternetGateway",
    authorize=on("CreateEgressOnlyInternetGateway", (Vpc, "vpc_id"), new=EgressOnlyGateway),
    acts=f"VpcId ClientToken DryRun {TAGS}",
)
def create_egress_only_internet_gateway(
    ctx: Context,
    vpc_id: str,
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    gateway = made_in_vpc(ctx, EgressOnlyGateway, vpc_id, client_token, tag_specifications, dry_run)
    return {"EgressOnlyInternetGateway": egress_shape(ctx, gateway), "ClientToken": client_token or ""}


@writes(
    "ec2",
    "DeleteEgressOnlyInternetGateway",
    authorize=on("DeleteEgressOnlyInternetGateway", (EgressOnlyGateway, "egress_only_internet_gateway_id")),
    acts="EgressOnlyInternetGatewayId DryRun",
)
def delete_egress_only_internet_gateway(ctx: Context, egress_only_internet_gateway_id: str, dry_run: bool = False) -> Reply:
    gateway = the(ctx, EgressOnlyGateway, egress_only_internet_gateway_id)
    dry(dry_run)
    ctx.tx.delete(EgressOnlyGateway, gateway.id)
    touched(ctx, gateway.vpc_id)
    return {"ReturnCode": True}
