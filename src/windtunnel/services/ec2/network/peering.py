"""VPC peering, between any accounts and regions of one cloud (EC2 API reference, 2016-11-15).

Invariant: both sides have the same record, each in its own account and region; whoever changes one changes both.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.network.addresses import overlap
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    describes,
    every,
    given_tags,
    need,
    new_id,
    new_needs,
    on,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import default_records, ensure
from windtunnel.services.ec2.network.model import Resource, Vpc
from windtunnel.services.ec2.network.touching import touched

EXPIRES = 7 * 86400.0
OPTIONS = ("AllowDnsResolutionFromRemoteVpc", "AllowEgressFromLocalClassicLinkToRemoteVpc", "AllowEgressFromLocalVpcToRemoteClassicLink")
WORDS = {
    "pending-acceptance": "Pending Acceptance by {}",
    "active": "Active",
    "rejected": "Rejected by {}",
    "deleted": "Deleted by {}",
    "expired": "Expired",
    "failed": "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range",
}


class Side(msgspec.Struct):
    vpc_id: str
    account: str
    region: str
    blocks: list[str] = []
    dns: bool = False


class Peering(Resource, kw_only=True):
    """by: who deleted or rejected it. ended: when it was. An active one, and one that waits, are found by both VPCs."""

    KIND: ClassVar[str] = "ec2.vpc-peering-connection"
    TYPE: ClassVar[str] = "vpc-peering-connection"
    PREFIX: ClassVar[str] = "pcx"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '{}' does not exist")
    INDEXES: ClassVar = {"vpc": lambda p: [p.requester.vpc_id, p.accepter.vpc_id] if p.state == "active" else []}

    requester: Side
    accepter: Side
    state: str
    created: float
    by: str = ""
    ended: float = 0.0

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        def arn(side: Side) -> str:
            return Scope(side.account, side.region).arn("ec2", f"vpc/{side.vpc_id}")

        return {
            "ec2:VpcPeeringConnectionID": self.id,
            "ec2:RequesterVpc": arn(self.requester),
            "ec2:AccepterVpc": arn(self.accepter),
        }


def side_shape(side: Side, active: bool) -> Shape:
    shape: Shape = {"VpcId": side.vpc_id, "OwnerId": side.account, "Region": side.region}
    if side.blocks:
        shape |= {"CidrBlock": side.blocks[0], "CidrBlockSet": [{"CidrBlock": cidr} for cidr in side.blocks]}
    if active:
        shape["PeeringOptions"] = dict.fromkeys(OPTIONS, False) | {OPTIONS[0]: side.dns}
    return shape


def state_of(ctx: Context, peering: Peering) -> str:
    return "expired" if peering.state == "pending-acceptance" and ctx.now - peering.created > EXPIRES else peering.state


def peering_shape(ctx: Context, peering: Peering) -> Shape:
    state = state_of(ctx, peering)
    shape: Shape = {
        "VpcPeeringConnectionId": peering.id,
        "RequesterVpcInfo": side_shape(peering.requester, state == "active"),
        "AccepterVpcInfo": side_shape(peering.accepter, state == "active"),
        "Status": {"Code": state, "Message": WORDS[state].format(peering.by or peering.accepter.account)},
        "Tags": tagged(peering),
    }
    if state == "pending-acceptance":
        shape["ExpirationTime"] = peering.created + EXPIRES
    return shape


def shown(ctx: Context) -> list[Peering]:
    return [peering for peering in every(ctx, Peering) if not peering.ended or ctx.now - peering.ended < 3600]


describes(
    "DescribeVpcPeeringConnections",
    Peering,
    peering_shape,
    ids="VpcPeeringConnectionIds",
    member="VpcPeeringConnectionId",
    out="VpcPeeringConnections",
    listed=shown,
    filters={
        "vpc-peering-connection-id": tells("VpcPeeringConnectionId"),
        "accepter-vpc-info.cidr-block": tells("AccepterVpcInfo", "CidrBlock"),
        "accepter-vpc-info.owner-id": tells("AccepterVpcInfo", "OwnerId"),
        "accepter-vpc-info.vpc-id": tells("AccepterVpcInfo", "VpcId"),
        "requester-vpc-info.cidr-block": tells("RequesterVpcInfo", "CidrBlock"),
        "requester-vpc-info.owner-id": tells("RequesterVpcInfo", "OwnerId"),
        "requester-vpc-info.vpc-id": tells("RequesterVpcInfo", "VpcId"),
        "status-code": tells("Status", "Code"),
        "status-message": tells("Status", "Message"),
    },
)


def keep(ctx: Context, peering: Peering) -> None:
    """On both sides, each of which has tags of its own."""
    for side in (peering.requester, peering.accepter):
        tx = ctx.tx.within(side.account, side.region)
        here = (side.account, side.region) == (ctx.scope.account, ctx.scope.region)
        held = tx.get(Peering, peering.id)
        tx.put(peering if here else msgspec.structs.replace(peering, tags=held.tags if held else {}))
        touched(ctx.in_scope(side.account, side.region), side.vpc_id)


def far_vpc(ctx: Context, account: str, region: str, name: str) -> Vpc | None:
    """A VPC of another account or region, its default one included."""
    tx = ctx.tx.within(account, region)
    found = tx.get(Vpc, name)
    if found is None and not tx.scan(Vpc, limit=1):
        return next((vpc for vpc in default_records(Scope(account, region)) if isinstance(vpc, Vpc) and vpc.id == name), None)
    return found


def to_create(ctx: Context, vpc_id: str, peer_vpc_id: str | None = None, tag_specifications: Any = None, **_: Any) -> list[Need]:
    action = "CreateVpcPeeringConnection"
    extra = {"ec2:RequesterVpc": ctx.arn("ec2", f"vpc/{vpc_id}")}
    return [need(ctx, action, Vpc, vpc_id), *new_needs(ctx, action, Peering, tag_specifications, extra)]


@writes(
    "ec2",
    "CreateVpcPeeringConnection",
    authorize=to_create,
    acts=f"VpcId PeerVpcId PeerOwnerId PeerRegion DryRun {TAGS}",
)
def create_vpc_peering_connection(
    ctx: Context,
    vpc_id: str,
    peer_vpc_id: str | None = None,
    peer_owner_id: str | None = None,
    peer_region: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    vpc, tags = the(ctx, Vpc, vpc_id), given_tags(ctx, tag_specifications, Peering)
    if not peer_vpc_id:
        raise AwsError("MissingParameter", "The request must contain the parameter peerVpcId")
    account, region = peer_owner_id or ctx.scope.account, peer_region or ctx.scope.region
    peer = far_vpc(ctx, account, region, peer_vpc_id)
    requester = Side(vpc_id, ctx.scope.account, ctx.scope.region, [block.cidr for block in vpc.blocks])
    accepter = Side(peer_vpc_id, account, region, [block.cidr for block in peer.blocks] if peer else [])
    if peer is None and account == ctx.scope.account:
        raise AwsError("InvalidVpcID.NotFound", f"The vpc ID '{peer_vpc_id}' does not exist")
    dry(dry_run)
    ensure(ctx)
    peering = Peering(
        id=new_id(ctx, Peering), requester=requester, accepter=accepter, state="pending-acceptance", created=ctx.now, tags=tags
    )
    overlapping = any(overlap(one, two) for one in requester.blocks for two in accepter.blocks)
    if peer is None or overlapping:
        peering.state, peering.ended = "failed", ctx.now
        ctx.tx.put(peering)
    else:
        keep(ctx, peering)
    return {"VpcPeeringConnection": peering_shape(ctx, peering)}


def pending(ctx: Context, name: str | None, verb: str) -> Peering:
    """One that waits for this account's answer. Raises AwsError."""
    peering = the(ctx, Peering, name or "")
    if state_of(ctx, peering) != "pending-acceptance":
        raise AwsError(
            "InvalidStateTransition", f"Invalid state transition for {peering.id}, attempted to transition from {peering.state} to {verb}"
        )
    if (peering.accepter.account, peering.accepter.region) != (ctx.scope.account, ctx.scope.region):
        raise AwsError(
            "OperationNotPermitted",
            f"User {ctx.scope.account} cannot {'accept' if verb == 'active' else 'reject'} peering {peering.id}",
        )
    return peering


ON = (Peering, "vpc_peering_connection_id")


@writes("ec2", "AcceptVpcPeeringConnection", authorize=on("AcceptVpcPeeringConnection", ON), acts="VpcPeeringConnectionId DryRun")
def accept_vpc_peering_connection(ctx: Context, vpc_peering_connection_id: str, dry_run: bool = False) -> Reply:
    peering = pending(ctx, vpc_peering_connection_id, "active")
    dry(dry_run)
    ensure(ctx)
    peering.state = "active"
    keep(ctx, peering)
    return {"VpcPeeringConnection": peering_shape(ctx, peering)}


@writes("ec2", "RejectVpcPeeringConnection", authorize=on("RejectVpcPeeringConnection", ON), acts="VpcPeeringConnectionId DryRun")
def reject_vpc_peering_connection(ctx: Context, vpc_peering_connection_id: str, dry_run: bool = False) -> Reply:
    peering = pending(ctx, vpc_peering_connection_id, "rejected")
    dry(dry_run)
    peering.state, peering.by, peering.ended = "rejected", ctx.scope.account, ctx.now
    keep(ctx, peering)
    return {"Return": True}


@writes("ec2", "DeleteVpcPeeringConnection", authorize=on("DeleteVpcPeeringConnection", ON), acts="VpcPeeringConnectionId DryRun")
def delete_vpc_peering_connection(ctx: Context, vpc_peering_connection_id: str, dry_run: bool = False) -> Reply:
    peering = the(ctx, Peering, vpc_peering_connection_id)
    if peering.state not in ("active", "pending-acceptance"):
        raise AwsError(
            "InvalidStateTransition", f"Invalid state transition for {peering.id}, attempted to transition from {peering.state} to deleting"
        )
    dry(dry_run)
    peering.state, peering.by, peering.ended = "deleted", ctx.scope.account, ctx.now
    keep(ctx, peering)
    return {"Return": True}


@writes(
    "ec2",
    "ModifyVpcPeeringConnectionOptions",
    authorize=on("ModifyVpcPeeringConnectionOptions", ON),
    acts="VpcPeeringConnectionId DryRun",
    descriptive="AccepterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc"
    " RequesterPeeringConnectionOptions.AllowDnsResolutionFromRemoteVpc",
)
def modify_vpc_peering_connection_options(
    ctx: Context,
    vpc_peering_connection_id: str,
    accepter_peering_connection_options: dict[str, bool] | None = None,
    requester_peering_connection_options: dict[str, bool] | None = None,
    dry_run: bool = False,
) -> Reply:
    peering = the(ctx, Peering, vpc_peering_connection_id)
    if peering.state != "active":
        raise AwsError(
            "OperationNotPermitted", f"Peering {peering.id} is not active. Peering options can be added only to active peerings."
        )
    dry(dry_run)
    reply: Reply = {}
    for name, side, given in (
        ("AccepterPeeringConnectionOptions", peering.accepter, accepter_peering_connection_options),
        ("RequesterPeeringConnectionOptions", peering.requester, requester_peering_connection_options),
    ):
        if given is not None:
            side.dns = bool(given.get(OPTIONS[0], side.dns))
            reply[name] = {OPTIONS[0]: side.dns}
    keep(ctx, peering)
    return reply
