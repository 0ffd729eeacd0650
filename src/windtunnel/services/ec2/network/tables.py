"""Route tables, their routes and associations (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.ec2.instances import dry, the_instances
from windtunnel.services.ec2.network.addresses import canonical, canonical6, within
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    describes,
    every,
    made_in_vpc,
    need,
    new_id,
    on,
    peek,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.holding import prefix_list_exists, target_state
from windtunnel.services.ec2.network.model import NetworkInterface, Subnet, Vpc
from windtunnel.services.ec2.network.surroundings import Route, RouteAssociation, RouteTable
from windtunnel.services.ec2.network.touching import touched

TARGETS = {
    "gateway_id": "GatewayId",
    "nat_gateway_id": "NatGatewayId",
    "network_interface_id": "NetworkInterfaceId",
    "instance_id": "InstanceId",
    "vpc_peering_connection_id": "VpcPeeringConnectionId",
    "egress_only_internet_gateway_id": "EgressOnlyInternetGatewayId",
}
"""Argument -> member."""
ROUTE = "RouteTableId DestinationCidrBlock DestinationIpv6CidrBlock DestinationPrefixListId DryRun " + " ".join(TARGETS.values())


def route_shape(ctx: Context, table: RouteTable, route: Route) -> Shape:
    shape: Shape = {"Origin": "CreateRoute", "State": target_state(ctx, table.vpc_id, route)}
    shape |= {"DestinationCidrBlock": route.cidr} if route.cidr else {}
    shape |= {"DestinationIpv6CidrBlock": route.cidr6} if route.cidr6 else {}
    shape |= {"DestinationPrefixListId": route.prefix_list} if route.prefix_list else {}
    if route.target == "InstanceId":
        eni = next(iter(ctx.tx.find(NetworkInterface, "instance", route.target_id)), None)
        shape |= {"InstanceId": route.target_id, "InstanceOwnerId": ctx.scope.account}
        return shape | ({"NetworkInterfaceId": eni.id} if eni else {})
    return shape | {route.target: route.target_id}


def local_routes(vpc: Vpc | None) -> list[Shape]:
    if vpc is None:
        return []
    local = {"GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
    routes: list[Shape] = [{"DestinationCidrBlock": block.cidr, **local} for block in vpc.blocks]
    return routes + [{"DestinationIpv6CidrBlock": block.cidr, **local} for block in vpc.ipv6]


def association_shape(table: RouteTable, association: RouteAssociation) -> Shape:
    shape: Shape = {
        "RouteTableAssociationId": association.id,
        "RouteTableId": table.id,
        "Main": association.main,
        "AssociationState": {"State": "associated"},
    }
    shape |= {"SubnetId": association.subnet_id} if association.subnet_id else {}
    return shape | ({"GatewayId": association.gateway_id} if association.gateway_id else {})


def table_shape(ctx: Context, table: RouteTable) -> Shape:
    return {
        "RouteTableId": table.id,
        "VpcId": table.vpc_id,
        "OwnerId": ctx.scope.account,
        "Routes": [*local_routes(peek(ctx, Vpc, table.vpc_id)), *(route_shape(ctx, table, route) for route in table.routes)],
        "Associations": [association_shape(table, association) for association in table.associations],
        "PropagatingVgws": [],
        "Tags": tagged(table),
    }


describes(
    "DescribeRouteTables",
    RouteTable,
    table_shape,
    ids="RouteTableIds",
    member="RouteTableId",
    out="RouteTables",
    limits=(5, 100),
    filters={
        "route-table-id": tells("RouteTableId"),
        "vpc-id": tells("VpcId"),
        "owner-id": tells("OwnerId"),
        "association.main": tells("Associations", "Main"),
        "association.subnet-id": tells("Associations", "SubnetId"),
        "association.gateway-id": tells("Associations", "GatewayId"),
        "association.route-table-id": tells("Associations", "RouteTableId"),
        "association.route-table-association-id": tells("Associations", "RouteTableAssociationId"),
        "route.destination-cidr-block": tells("Routes", "DestinationCidrBlock"),
        "route.destination-ipv6-cidr-block": tells("Routes", "DestinationIpv6CidrBlock"),
        "route.destination-prefix-list-id": tells("Routes", "DestinationPrefixListId"),
        "route.egress-only-internet-gateway-id": tells("Routes", "EgressOnlyInternetGatewayId"),
        "route.gateway-id": tells("Routes", "GatewayId"),
        "route.instance-id": tells("Routes", "InstanceId"),
        "route.nat-gateway-id": tells("Routes", "NatGatewayId"),
        "route.origin": tells("Routes", "Origin"),
        "route.state": tells("Routes", "State"),
        "route.vpc-peering-connection-id": tells("Routes", "VpcPeeringConnectionId"),
    },
)


@writes(
    "ec2",
    "CreateRouteTable",
    authorize=on("CreateRouteTable", (Vpc, "vpc_id"), new=RouteTable),
    acts=f"VpcId ClientToken DryRun {TAGS}",
)
def create_route_table(
    ctx: Context,
    vpc_id: str,
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    table = made_in_vpc(ctx, RouteTable, vpc_id, client_token, tag_specifications, dry_run)
    return {"RouteTable": table_shape(ctx, table), "ClientToken": client_token or ""}


@writes("ec2", "DeleteRouteTable", authorize=on("DeleteRouteTable", (RouteTable, "route_table_id")), acts="RouteTableId DryRun")
def delete_route_table(ctx: Context, route_table_id: str, dry_run: bool = False) -> Reply:
    table = the(ctx, RouteTable, route_table_id)
    if table.associations:
        raise AwsError("DependencyViolation", f"The routeTable '{route_table_id}' has dependencies and cannot be deleted.")
    dry(dry_run)
    ensure(ctx)
    ctx.tx.delete(RouteTable, route_table_id)
    return {}


# -- routes ---------------------------------------------------------------------------------------------------------


def checked_destination(ctx: Context, given: Mapping[str, Any]) -> dict[str, str]:
    """cidr, cidr6 or prefix_list of a Route. Raises AwsError."""
    plain, six, name = (given.get(f"destination_{kind}") for kind in ("cidr_block", "ipv6_cidr_block", "prefix_list_id"))
    if sum(value is not None for value in (plain, six, name)) != 1:
        raise AwsError("MissingParameter", "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock,"
                       " destinationPrefixListId")  # fmt: skip
    if plain is not None:
        cidr = canonical(plain)
        if cidr is None:
            raise AwsError(
                "InvalidParameterValue", f"Value ({plain}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block."
            )
        return {"cidr": cidr}
    if six is not None:
        cidr = canonical6(six)
        if cidr is None:
            raise AwsError(
                "InvalidParameterValue", f"Value ({six}) for parameter destinationIpv6CidrBlock is invalid. This is not a valid CIDR block."
            )
        return {"cidr6": cidr}
    if not prefix_list_exists(ctx, name or ""):
        raise AwsError("InvalidPrefixListID.NotFound", f"The prefix list ID '{name}' does not exist")
    return {"prefix_list": name or ""}


def checked_target(ctx: Context, table: RouteTable, given: Mapping[str, Any]) -> tuple[str, str]:
    """(member, id) of what a route leads to: there, and of the table's VPC. Raises AwsError."""
    from windtunnel.services.ec2.network.egress import EgressOnlyGateway
    from windtunnel.services.ec2.network.nat import NatGateway
    from windtunnel.services.ec2.network.peering import Peering
    from windtunnel.services.ec2.network.surroundings import InternetGateway

    named = [(argument, given[argument]) for argument in TARGETS if given.get(argument)]
    if len(named) != 1:
        raise AwsError("InvalidParameterCombination" if named else "MissingParameter",
                       "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcPeeringConnectionId,"
                       " egressOnlyInternetGatewayId, instanceId")  # fmt: skip
    argument, name = named[0]
    member = TARGETS[argument]
    vpc: str | None = table.vpc_id
    if argument == "gateway_id":
        found = ctx.tx.get(InternetGateway, name) or peek(ctx, InternetGateway, name)
        if found is None:
            raise AwsError("InvalidGatewayID.NotFound", f"The gateway ID '{name}' does not exist")
        if found.vpc_id != table.vpc_id:
            different(table, f"network gateway {name}")
    elif argument == "nat_gateway_id":
        gateway = ctx.tx.get(NatGateway, name)
        if gateway is None or gateway.state == "deleted":
            raise AwsError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{name}' does not exist")
        vpc = gateway.vpc_id
    elif argument == "network_interface_id":
        vpc = the(ctx, NetworkInterface, name).vpc_id
    elif argument == "instance_id":
        vpc = the_instances(ctx, [name])[0].placed(ctx.scope).vpc_id
    elif argument == "egress_only_internet_gateway_id":
        vpc = the(ctx, EgressOnlyGateway, name).vpc_id
    else:
        peering = the(ctx, Peering, name)
        vpc = table.vpc_id if table.vpc_id in (peering.requester.vpc_id, peering.accepter.vpc_id) else None
    if vpc != table.vpc_id:
        different(table, f"{member[0].lower()}{member[1:].removesuffix('Id')} {name}")
    return member, name


def different(table: RouteTable, what: str) -> NoReturn:
    raise AwsError("InvalidParameterValue", f"route table {table.id} and {what} belong to different networks")


def is_local(ctx: Context, table: RouteTable, to: str) -> bool:
    vpc = peek(ctx, Vpc, table.vpc_id)
    return vpc is not None and any(to == block.cidr for block in (*vpc.blocks, *vpc.ipv6))


@writes("ec2", "CreateRoute", authorize=on("CreateRoute", (RouteTable, "route_table_id")), acts=ROUTE)
def create_route(ctx: Context, route_table_id: str, dry_run: bool = False, **given: Any) -> Reply:
    table = the(ctx, RouteTable, route_table_id)
    to = checked_destination(ctx, given)
    target, name = checked_target(ctx, table, given)
    route = Route(target, name, **to)
    if is_local(ctx, table, route.to) or any(held.to == route.to for held in table.routes):
        raise AwsError("RouteAlreadyExists", f"The route identified by {route.to} already exists.")
    vpc = the(ctx, Vpc, table.vpc_id)
    if route.cidr and target == "GatewayId" and any(within(route.cidr, block.cidr) for block in vpc.blocks):
        raise AwsError("InvalidParameterValue", f"Route {route.cidr} is more specific than the local route and cannot lead to {name}.")
    dry(dry_run)
    ensure(ctx)
    table.routes = [*table.routes, route]
    ctx.tx.put(table)
    touched(ctx, table.vpc_id)
    return {"Return": True}


@writes("ec2", "ReplaceRoute", authorize=on("ReplaceRoute", (RouteTable, "route_table_id")), acts=ROUTE)
def replace_route(ctx: Context, route_table_id: str, dry_run: bool = False, **given: Any) -> Reply:
    table = the(ctx, RouteTable, route_table_id)
    to = checked_destination(ctx, given)
    route = Route(*checked_target(ctx, table, given), **to)
    if not any(held.to == route.to for held in table.routes):
        raise AwsError("InvalidParameterValue", f"There is no route defined for '{route.to}' in the route table. Use CreateRoute instead.")
    dry(dry_run)
    ensure(ctx)
    table.routes = [route if held.to == route.to else held for held in table.routes]
    ctx.tx.put(table)
    touched(ctx, table.vpc_id)
    return {}


@writes(
    "ec2",
    "DeleteRoute",
    authorize=on("DeleteRoute", (RouteTable, "route_table_id")),
    acts="RouteTableId DestinationCidrBlock DestinationIpv6CidrBlock DestinationPrefixListId DryRun",
)
def delete_route(ctx: Context, route_table_id: str, dry_run: bool = False, **given: Any) -> Reply:
    table = the(ctx, RouteTable, route_table_id)
    to = next(iter(checked_destination(ctx, given).values()))
    if is_local(ctx, table, to):
        raise AwsError("InvalidParameterValue", f"cannot remove local route {to} in route table {route_table_id}")
    if not any(held.to == to for held in table.routes):
        raise AwsError("InvalidRoute.NotFound", f"no route with destination-cidr-block {to} in route table {route_table_id}")
    dry(dry_run)
    ensure(ctx)
    table.routes = [held for held in table.routes if held.to != to]
    ctx.tx.put(table)
    touched(ctx, table.vpc_id)
    return {}


# -- associations ---------------------------------------------------------------------------------------------------


def associated(ctx: Context, association_id: str) -> tuple[RouteTable, RouteAssociation]:
    """The association, and the table that has it. Raises InvalidAssociationID.NotFound."""
    for table in every(ctx, RouteTable):
        for association in table.associations:
            if association.id == association_id:
                return table, association
    raise AwsError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")


def on_association(action: str, *more: str) -> Any:
    """authorize= of an operation on an association: its table, and the other table that is named."""

    def authorize(ctx: Context, association_id: str, route_table_id: str | None = None, **_: Any) -> list[Need]:
        tables = [table.id for table in every(ctx, RouteTable) for held in table.associations if held.id == association_id] or ["*"]
        return [need(ctx, action, RouteTable, name) for name in [*tables, *([route_table_id] if route_table_id else [])]]

    return authorize


@writes(
    "ec2",
    "AssociateRouteTable",
    authorize=on("AssociateRouteTable", (RouteTable, "route_table_id"), (Subnet, "subnet_id")),
    acts="RouteTableId SubnetId DryRun",
)
def associate_route_table(ctx: Context, route_table_id: str, subnet_id: str | None = None, dry_run: bool = False) -> Reply:
    table = the(ctx, RouteTable, route_table_id)
    if not subnet_id:
        raise AwsError("MissingParameter", "The request must contain the parameter subnetId or gatewayId")
    subnet = the(ctx, Subnet, subnet_id)
    if subnet.vpc_id != table.vpc_id:
        raise AwsError("InvalidParameterValue", f"Route table {route_table_id} and subnet {subnet_id} belong to different networks")
    held = [(other, one) for other in every(ctx, RouteTable) for one in other.associations if one.subnet_id == subnet_id]
    if held and held[0][0].id != table.id:
        raise AwsError(
            "Resource.AlreadyAssociated",
            f"the specified association for route table {route_table_id} conflicts with an existing association",
        )
    dry(dry_run)
    ensure(ctx)
    if not held:
        association = RouteAssociation(new_id(ctx, "rtbassoc"), subnet_id=subnet_id)
        table.associations = [*table.associations, association]
        ctx.tx.put(table)
        touched(ctx, table.vpc_id)
    else:
        association = held[0][1]
    return {"AssociationId": association.id, "AssociationState": {"State": "associated"}}


@writes("ec2", "DisassociateRouteTable", authorize=on_association("DisassociateRouteTable"), acts="AssociationId DryRun")
def disassociate_route_table(ctx: Context, association_id: str, dry_run: bool = False) -> Reply:
    table, association = associated(ctx, association_id)
    if association.main:
        raise AwsError("InvalidParameterValue", f"cannot disassociate the main route table association {association_id}")
    dry(dry_run)
    ensure(ctx)
    table.associations = [held for held in table.associations if held.id != association_id]
    ctx.tx.put(table)
    touched(ctx, table.vpc_id)
    return {}


@writes(
    "ec2",
    "ReplaceRouteTableAssociation",
    authorize=on_association("ReplaceRouteTableAssociation"),
    acts="AssociationId RouteTableId DryRun",
)
def replace_route_table_association(ctx: Context, association_id: str, route_table_id: str, dry_run: bool = False) -> Reply:
    """The subnet (or the VPC, for the main association) has this table from now on, under a new id."""
    old, association = associated(ctx, association_id)
    table = the(ctx, RouteTable, route_table_id)
    if table.vpc_id != old.vpc_id:
        what = f"subnet {association.subnet_id}" if association.subnet_id else f"network {old.vpc_id}"
        raise AwsError("InvalidParameterValue", f"Route table {route_table_id} and {what} belong to different networks")
    dry(dry_run)
    ensure(ctx)
    fresh = RouteAssociation(new_id(ctx, "rtbassoc"), association.subnet_id, association.gateway_id, association.main)
    old.associations = [held for held in old.associations if held.id != association_id]
    ctx.tx.put(old)
    table = old if table.id == old.id else table
    table.associations = [*table.associations, fresh]
    ctx.tx.put(table)
    touched(ctx, table.vpc_id)
    return {"NewAssociationId": fresh.id, "AssociationState": {"State": "associated"}}
