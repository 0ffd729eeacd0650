"""The records of what surrounds a VPC's subnets: route tables, network ACLs, internet gateways, DHCP options. Pure.

Invariants: a VPC has one main route table and one default network ACL; a subnet is associated with exactly one ACL, and with at most one route table
(the main one is that of those with none); the local routes are not stored: they follow from the VPC's blocks.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.model import default_id
from windtunnel.services.ec2.network.model import InVpc, Resource


class Route(msgspec.Struct):
    """Exactly one of cidr, cidr6 and prefix_list is where to. target: the member of the API that names it (`GatewayId`, `NatGatewayId`, …), and its id."""

    target: str
    target_id: str
    cidr: str = ""
    cidr6: str = ""
    prefix_list: str = ""

    @property
    def to(self) -> str:
        return self.cidr or self.cidr6 or self.prefix_list


class RouteAssociation(msgspec.Struct):
    """Of a subnet or a gateway with a route table; the one that makes it its VPC's main table names neither."""

    id: str
    subnet_id: str = ""
    gateway_id: str = ""
    main: bool = False


class RouteTable(InVpc, kw_only=True):
    KIND: ClassVar[str] = "ec2.route-table"
    TYPE: ClassVar[str] = "route-table"
    PREFIX: ClassVar[str] = "rtb"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist")
    INDEXES: ClassVar = {
        "vpc": "vpc_id",
        "token": lambda table: [table.client_token] if table.client_token else [],
        "association": lambda table: [association.id for association in table.associations],
        "subnet": lambda table: [association.subnet_id for association in table.associations if association.subnet_id],
        "target": lambda table: [route.target_id for route in table.routes],
    }

    routes: list[Route] = []
    associations: list[RouteAssociation] = []

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return super().condition_keys(scope) | {"ec2:RouteTableID": self.id}

    @property
    def main(self) -> bool:
        return any(association.main for association in self.associations)


class AclEntry(msgspec.Struct):
    """protocol: a number as text, or `-1`; ports of TCP and UDP; icmp: (type, code)."""

    number: int
    egress: bool
    action: str
    protocol: str
    cidr: str = ""
    cidr6: str = ""
    ports: tuple[int, int] | None = None
    icmp: tuple[int, int] | None = None


class AclAssociation(msgspec.Struct):
    id: str
    subnet_id: str


EVERYTHING = [AclEntry(100, egress, "allow", "-1", cidr="0.0.0.0/0") for egress in (True, False)]
"""The entries of a default ACL, before the last one that denies and is in every ACL."""


class NetworkAcl(InVpc, kw_only=True):
    KIND: ClassVar[str] = "ec2.network-acl"
    TYPE: ClassVar[str] = "network-acl"
    PREFIX: ClassVar[str] = "acl"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist")
    INDEXES: ClassVar = {
        "vpc": "vpc_id",
        "token": lambda acl: [acl.client_token] if acl.client_token else [],
        "association": lambda acl: [association.id for association in acl.associations],
        "subnet": lambda acl: [association.subnet_id for association in acl.associations],
    }

    is_default: bool = False
    entries: list[AclEntry] = []
    associations: list[AclAssociation] = []

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return super().condition_keys(scope) | {"ec2:NetworkAclID": self.id}


class InternetGateway(Resource, kw_only=True):
    KIND: ClassVar[str] = "ec2.internet-gateway"
    TYPE: ClassVar[str] = "internet-gateway"
    PREFIX: ClassVar[str] = "igw"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist")
    INDEXES: ClassVar = {"vpc": lambda gateway: [gateway.vpc_id] if gateway.vpc_id else []}

    vpc_id: str = ""

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:InternetGatewayID": self.id}


class DhcpOptions(Resource, kw_only=True):
    """options: key -> values, in the order given."""

    KIND: ClassVar[str] = "ec2.dhcp-options"
    TYPE: ClassVar[str] = "dhcp-options"
    PREFIX: ClassVar[str] = "dopt"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidDhcpOptionID.NotFound", "The dhcpOption ID '{}' does not exist")

    options: dict[str, list[str]] = {}

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:DhcpOptionsID": self.id}


def default_options(scope: Scope) -> DhcpOptions:
    domain = "ec2.internal" if scope.region == "us-east-1" else f"{scope.region}.compute.internal"
    options = {"domain-name": [domain], "domain-name-servers": ["AmazonProvidedDNS"]}
    return DhcpOptions(id=default_id("dopt", scope), options=options)


def default_surroundings(scope: Scope, subnets: list[str]) -> list[Resource]:
    """What surrounds the default VPC: its gateway, the way to it, an ACL that lets everything pass."""
    vpc, gateway = default_id("vpc", scope), default_id("igw", scope)
    acl = default_id("acl", scope)
    return [
        default_options(scope),
        InternetGateway(id=gateway, vpc_id=vpc),
        RouteTable(
            id=default_id("rtb", scope),
            vpc_id=vpc,
            routes=[Route("GatewayId", gateway, cidr="0.0.0.0/0")],
            associations=[RouteAssociation(default_id("rtbassoc", scope), main=True)],
        ),
        NetworkAcl(
            id=acl,
            vpc_id=vpc,
            is_default=True,
            entries=list(EVERYTHING),
            associations=[AclAssociation(subnet.replace("subnet-", "aclassoc-"), subnet) for subnet in subnets],
        ),
    ]
