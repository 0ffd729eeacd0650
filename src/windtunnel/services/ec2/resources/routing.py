"""AWS::EC2::InternetGateway, VPCGatewayAttachment, EgressOnlyInternetGateway, RouteTable, Route and SubnetRouteTableAssociation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.provision.handling import listed
from windtunnel.provision.registry import Created, Failed, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.provision.shaping import Walk
from windtunnel.services.ec2.network.detaching import detach_when_free, detaching
from windtunnel.services.ec2.resources.base import Ec2Type, ec2
from windtunnel.services.ec2.resources.vpc import by


@resource_type("AWS::EC2::InternetGateway")
class InternetGatewayType(Ec2Type):
    kind = "internet-gateway"
    creates, reads, deletes = "CreateInternetGateway", "DescribeInternetGateways", "DeleteInternetGateway"
    ids, shapes, member = "InternetGatewayIds", "InternetGateways", "InternetGatewayId"
    identity = "InternetGateway.InternetGatewayId"
    missing = frozenset({"InvalidInternetGatewayID.NotFound"})
    attributes = {"InternetGatewayId": "InternetGatewayId"}


@resource_type("AWS::EC2::EgressOnlyInternetGateway")
class EgressOnlyInternetGatewayType(Ec2Type):
    kind = "egress-only-internet-gateway"
    creates, reads, deletes = "CreateEgressOnlyInternetGateway", "DescribeEgressOnlyInternetGateways", "DeleteEgressOnlyInternetGateway"
    ids, shapes, member = "EgressOnlyInternetGatewayIds", "EgressOnlyInternetGateways", "EgressOnlyInternetGatewayId"
    identity = "EgressOnlyInternetGateway.EgressOnlyInternetGatewayId"
    missing = frozenset({"InvalidEgressOnlyInternetGatewayId.NotFound"})
    attributes = {"Id": "EgressOnlyInternetGatewayId"}

    def told(self, ctx: Context, id: str, description: Any) -> Properties:
        return {**super().told(ctx, id, description), "VpcId": description["Attachments"][0]["VpcId"]}


@resource_type("AWS::EC2::VPCGatewayAttachment")
class GatewayAttachmentType(ResourceType):
    """Its physical id names the kind of gateway and the VPC (`IGW|vpc-…`), as AWS's does."""

    missing = frozenset({"InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound", "Gateway.NotAttached"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        if props.get("VpnGatewayId"):
            raise not_built("ec2", "AttachVpnGateway")
        if not props.get("InternetGatewayId"):
            raise Failed("Either VpnGatewayId or InternetGatewayId must be specified", "InvalidRequest")
        ec2(ctx, "AttachInternetGateway", InternetGatewayId=props["InternetGatewayId"], VpcId=props["VpcId"])
        return Created(id=f"IGW|{props['VpcId']}", attributes={"AttachmentType": "IGW"})

    def attached(self, ctx: Context, vpc: str) -> str | None:
        found = ec2(ctx, "DescribeInternetGateways", Filters=by("attachment.vpc-id", vpc))["InternetGateways"]
        return found[0]["InternetGatewayId"] if found else None

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        vpc = resource.id.rpartition("|")[2]
        gateway = self.attached(ctx, vpc)
        return {"VpcId": vpc, "InternetGatewayId": gateway} if gateway else None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        if new.get("InternetGatewayId") != resource.properties.get("InternetGatewayId"):
            ec2(ctx, "DetachInternetGateway", InternetGatewayId=resource.properties["InternetGatewayId"], VpcId=new["VpcId"])
            return self.create(ctx, new, wanted)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        """As long as something in the VPC has a public address the gateway stays: an instance that ends in the same stack, say."""
        vpc = resource.id.rpartition("|")[2]
        gateway = self.attached(ctx, vpc)
        if gateway is None or gateway != resource.properties.get("InternetGatewayId", gateway):
            return None
        try:
            ec2(ctx, "DetachInternetGateway", InternetGatewayId=gateway, VpcId=vpc)
        except AwsError as error:
            if error.code != "DependencyViolation":
                if error.code in self.missing:
                    return None
                raise
            detach_when_free(ctx, gateway, vpc)
            return False
        return None

    def gone(self, ctx: Context, resource: Resource) -> bool:
        found = detaching(ctx, resource.id.rpartition("|")[2])
        if found is not None and found.failure:
            raise Failed(found.failure, "NotStabilized")
        return found is None

    def list(self, ctx: Context) -> Iterable[str]:
        for gateway in listed(ctx, "ec2", "DescribeInternetGateways", "InternetGateways"):
            yield from (f"IGW|{held['VpcId']}" for held in gateway.get("Attachments") or [])


@resource_type("AWS::EC2::RouteTable")
class RouteTableType(Ec2Type):
    kind = "route-table"
    creates, reads, deletes = "CreateRouteTable", "DescribeRouteTables", "DeleteRouteTable"
    ids, shapes, member, identity = "RouteTableIds", "RouteTables", "RouteTableId", "RouteTable.RouteTableId"
    missing = frozenset({"InvalidRouteTableID.NotFound"})
    attributes = {"RouteTableId": "RouteTableId"}


DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
CREATE_ROUTE, REPLACE_ROUTE = Walk("ec2", "CreateRoute"), Walk("ec2", "ReplaceRoute")


@resource_type("AWS::EC2::Route")
class RouteType(ResourceType):
    """Its physical id is `rtb-…|10.0.0.0/8`: the table and where to."""

    missing = frozenset({"InvalidRouteTableID.NotFound", "InvalidRoute.NotFound"})

    def to(self, props: Properties) -> tuple[str, str]:
        found = [(name, props[name]) for name in DESTINATIONS if props.get(name)]
        if len(found) != 1:
            raise Failed("Exactly one of DestinationCidrBlock, DestinationIpv6CidrBlock and DestinationPrefixListId must be specified",
                         "InvalidRequest")  # fmt: skip
        return found[0]

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        _, to = self.to(props)
        CREATE_ROUTE.call(ctx, props)
        return Created(id=f"{props['RouteTableId']}|{to}", attributes={"CidrBlock": to})

    def shown(self, ctx: Context, resource: Resource) -> dict[str, Any] | None:
        table, _, to = resource.id.partition("|")
        for found in ec2(ctx, "DescribeRouteTables", Filters=by("route-table-id", table))["RouteTables"]:
            for route in found["Routes"]:
                if to in [route.get(name) for name in DESTINATIONS]:
                    return dict(route)
        return None

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        route = self.shown(ctx, resource)
        if route is None:
            return None
        kept = (*DESTINATIONS, "GatewayId", "NatGatewayId", "InstanceId", "VpcPeeringConnectionId", "EgressOnlyInternetGatewayId")
        found = {name: route[name] for name in kept if route.get(name)}
        if "InstanceId" not in found and route.get("NetworkInterfaceId"):
            found["NetworkInterfaceId"] = route["NetworkInterfaceId"]
        return {"RouteTableId": resource.id.partition("|")[0], **found}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        REPLACE_ROUTE.call(ctx, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        table, _, to = resource.id.partition("|")
        name = "DestinationPrefixListId" if to.startswith("pl-") else "DestinationIpv6CidrBlock" if ":" in to else "DestinationCidrBlock"
        try:
            ec2(ctx, "DeleteRoute", RouteTableId=table, **{name: to})
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for table in listed(ctx, "ec2", "DescribeRouteTables", "RouteTables"):
            for route in table["Routes"]:
                if route["Origin"] == "CreateRoute":
                    yield f"{table['RouteTableId']}|{next(route[name] for name in DESTINATIONS if route.get(name))}"


@resource_type("AWS::EC2::SubnetRouteTableAssociation")
class RouteTableAssociationType(ResourceType):
    missing = frozenset({"InvalidAssociationID.NotFound"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        """A subnet that has a table already gets this one: the resource that had said otherwise is replaced by this one."""
        held = ec2(ctx, "DescribeRouteTables", Filters=by("association.subnet-id", props["SubnetId"]))["RouteTables"]
        own = [one for table in held for one in table["Associations"] if one.get("SubnetId") == props["SubnetId"]]
        if own:
            reply = ec2(
                ctx,
                "ReplaceRouteTableAssociation",
                AssociationId=own[0]["RouteTableAssociationId"],
                RouteTableId=props["RouteTableId"],
            )
            made = reply["NewAssociationId"]
        else:
            made = ec2(ctx, "AssociateRouteTable", RouteTableId=props["RouteTableId"], SubnetId=props["SubnetId"])["AssociationId"]
        return Created(id=made, attributes={"Id": made})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        filters = by("association.route-table-association-id", resource.id)
        for table in ec2(ctx, "DescribeRouteTables", Filters=filters)["RouteTables"]:
            for one in table["Associations"]:
                if one["RouteTableAssociationId"] == resource.id:
                    return {"RouteTableId": table["RouteTableId"], "SubnetId": one["SubnetId"]}
        return None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        try:
            ec2(ctx, "DisassociateRouteTable", AssociationId=resource.id)
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for table in listed(ctx, "ec2", "DescribeRouteTables", "RouteTables"):
            yield from (one["RouteTableAssociationId"] for one in table["Associations"] if one.get("SubnetId"))
