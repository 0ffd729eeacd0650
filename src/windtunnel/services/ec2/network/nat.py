"""NAT gateways (EC2 API reference, 2016-11-15).

A gateway is made within the call: the answer says `pending`, the first description `available`, or `failed` with the reason that AWS finds later.
"""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    by_token,
    describes,
    every,
    fingerprint,
    given_tags,
    made_before,
    need,
    new_id,
    new_needs,
    on,
    required,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.elastic import Address, join, parted
from windtunnel.services.ec2.network.interfaces import make_interface
from windtunnel.services.ec2.network.model import InVpc, NetworkInterface, Subnet
from windtunnel.services.ec2.network.surroundings import InternetGateway
from windtunnel.services.ec2.network.touching import touched

SHOWN = 3600.0
"""How long a deleted gateway is still described, in seconds."""


class NatGateway(InVpc, kw_only=True):
    """failure: (code, message) of one that could not be made. A deleted one is no longer found by its VPC."""

    KIND: ClassVar[str] = "ec2.nat-gateway"
    TYPE: ClassVar[str] = "natgateway"
    PREFIX: ClassVar[str] = "nat"
    MISSING: ClassVar[tuple[str, str]] = ("NatGatewayNotFound", "NatGateway {} was not found")
    INDEXES: ClassVar = {"vpc": lambda nat: [nat.vpc_id] if nat.state == "available" else [], "token": by_token}

    subnet_id: str
    state: str
    connectivity: str
    created: float
    deleted: float = 0.0
    allocation_id: str = ""
    association_id: str = ""
    interface_id: str = ""
    private_ip: str = ""
    public_ip: str = ""
    failure: tuple[str, str] = ("", "")

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return super().condition_keys(scope) | {"ec2:Subnet": scope.arn("ec2", f"subnet/{self.subnet_id}")}


def nat_shape(ctx: Context, nat: NatGateway) -> Shape:
    address: Shape = {"NetworkInterfaceId": nat.interface_id, "PrivateIp": nat.private_ip, "IsPrimary": True, "Status": "succeeded"}
    if nat.allocation_id:
        address |= {"AllocationId": nat.allocation_id, "PublicIp": nat.public_ip, "AssociationId": nat.association_id}
    shape: Shape = {
        "NatGatewayId": nat.id,
        "SubnetId": nat.subnet_id,
        "VpcId": nat.vpc_id,
        "State": nat.state,
        "ConnectivityType": nat.connectivity,
        "CreateTime": nat.created,
        "NatGatewayAddresses": [{name: value for name, value in address.items() if value != ""}],
        "Tags": tagged(nat),
    }
    if nat.deleted:
        shape["DeleteTime"] = nat.deleted
    if nat.failure[0]:
        shape |= {"FailureCode": nat.failure[0], "FailureMessage": nat.failure[1]}
    return shape


def shown(ctx: Context) -> list[NatGateway]:
    return [nat for nat in every(ctx, NatGateway) if nat.state == "available" or ctx.now - (nat.deleted or nat.created) < SHOWN]


describes(
    "DescribeNatGateways",
    NatGateway,
    nat_shape,
    ids="NatGatewayIds",
    member="NatGatewayId",
    out="NatGateways",
    filter_member="Filter",
    listed=shown,
    filters={
        "nat-gateway-id": tells("NatGatewayId"),
        "state": tells("State"),
        "subnet-id": tells("SubnetId"),
        "vpc-id": tells("VpcId"),
    },
)


def to_create(
    ctx: Context, subnet_id: str | None = None, allocation_id: str | None = None, tag_specifications: Any = None, **_: Any
) -> list[Need]:
    action = "CreateNatGateway"
    addresses = [need(ctx, action, Address, allocation_id)] if allocation_id else []
    return [*addresses, need(ctx, action, Subnet, subnet_id or "*"), *new_needs(ctx, action, NatGateway, tag_specifications)]


@writes(
    "ec2",
    "CreateNatGateway",
    authorize=to_create,
    acts=f"SubnetId AllocationId ConnectivityType PrivateIpAddress ClientToken DryRun {TAGS}",
)
def create_nat_gateway(
    ctx: Context,
    subnet_id: str | None = None,
    allocation_id: str | None = None,
    connectivity_type: str = "public",
    private_ip_address: str | None = None,
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    request = {
        "SubnetId": subnet_id, "AllocationId": allocation_id, "ConnectivityType": connectivity_type,
        "PrivateIpAddress": private_ip_address, "TagSpecifications": tag_specifications,
    }  # fmt: skip
    nat = made_before(ctx, NatGateway, client_token, request)
    if nat is None:
        subnet, tags = the(ctx, Subnet, required(subnet_id, "subnetId")), given_tags(ctx, tag_specifications, NatGateway)
        if connectivity_type == "public" and not allocation_id:
            raise AwsError(
                "MissingParameter", "The request must include the AllocationId parameter. Add the required parameter and retry the request."
            )
        if connectivity_type == "private" and allocation_id:
            raise AwsError("InvalidParameterCombination", "The AllocationId parameter cannot be specified for a private NAT gateway.")
        address = the(ctx, Address, allocation_id) if allocation_id else None
        dry(dry_run)
        ensure(ctx)
        nat = NatGateway(
            id=new_id(ctx, NatGateway),
            vpc_id=subnet.vpc_id,
            subnet_id=subnet.id,
            state="available",
            connectivity=connectivity_type,
            created=ctx.now,
            tags=tags,
            allocation_id=allocation_id or "",
            client_token=client_token or "",
            fingerprint=fingerprint(request),
        )
        establish(ctx, nat, subnet, address, private_ip_address or "")
        ctx.tx.put(nat)
        touched(ctx, nat.vpc_id)
    return {"NatGateway": nat_shape(ctx, nat) | {"State": "pending"}, "ClientToken": client_token or ""}


def establish(ctx: Context, nat: NatGateway, subnet: Subnet, address: Address | None, private_ip: str) -> None:
    """Its interface and its address; or why it fails (VPC user guide, "Troubleshoot NAT gateways")."""
    if address is not None and address.association_id:
        fail(ctx, nat, "Resource.AlreadyAssociated", f"Elastic IP address [{address.id}] is already associated")
        return
    if address is not None and not any(gateway.vpc_id == nat.vpc_id for gateway in every(ctx, InternetGateway)):
        fail(ctx, nat, "Gateway.NotAttached", f"Network {nat.vpc_id} has no Internet gateway attached")
        return
    eni = make_interface(
        ctx, subnet, private_ip, kind="nat_gateway", description=f"Interface for NAT Gateway {nat.id}", managed_by=ctx.scope.account,
        source_dest_check=False,
    )  # fmt: skip
    nat.interface_id, nat.private_ip = eni.id, eni.private_ip
    if address is not None:
        join(ctx, address, eni, eni.private_ip, holder=nat.id)
        nat.public_ip, nat.association_id = address.public_ip, address.association_id


def fail(ctx: Context, nat: NatGateway, code: str, message: str) -> None:
    nat.state, nat.failure, nat.deleted = "failed", (code, message), ctx.now


@writes("ec2", "DeleteNatGateway", authorize=on("DeleteNatGateway", (NatGateway, "nat_gateway_id")), acts="NatGatewayId DryRun")
def delete_nat_gateway(ctx: Context, nat_gateway_id: str, dry_run: bool = False) -> Reply:
    nat = the(ctx, NatGateway, nat_gateway_id)
    dry(dry_run)
    if nat.state != "deleted":
        for address in ctx.tx.find(Address, "interface", nat.interface_id) if nat.interface_id else []:
            parted(ctx, address)
        ctx.tx.delete(NetworkInterface, nat.interface_id)
        nat.state, nat.deleted = "deleted", ctx.now
        ctx.tx.put(nat)
        touched(ctx, nat.vpc_id)
    for old in ctx.tx.scan(NatGateway):
        if old.state != "available" and ctx.now - old.deleted >= SHOWN:
            ctx.tx.delete(NatGateway, old.id)
    return {"NatGatewayId": nat_gateway_id}
