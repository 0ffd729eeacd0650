"""The records of EC2's networking: VPCs, subnets, security groups and their rules, network interfaces. Pure.

Invariants: every address that is in use within a subnet is that of a `NetworkInterface`, an instance's, a NAT gateway's or an endpoint's alike, so
that who is counted, who is in the way of a deletion and which address is free are one question; a rule of a security group is a record of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope


class Resource(Record, kw_only=True):
    """What all of EC2's resources have. fingerprint: of the request with that client token (see `common.made_before`).

    TYPE: as ARNs and TagSpecifications name it. PREFIX: of its ids. MISSING: the code and the words for an id that is not there.
    """

    SCOPE: ClassVar[RecordScope] = "region"
    TYPE: ClassVar[str] = ""
    PREFIX: ClassVar[str] = ""
    MISSING: ClassVar[tuple[str, str]] = ("", "")

    id: str
    tags: dict[str, str] = {}
    client_token: str = ""
    fingerprint: str = ""

    def key(self) -> str:
        return self.id

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        """Its condition keys beside its tags and region (Service Authorization Reference, EC2)."""
        return {}


class Block(msgspec.Struct, frozen=True):
    """A CIDR block, associated under an id."""

    association: str
    cidr: str


class Vpc(Resource, kw_only=True):
    """cidr is the primary block, found in `blocks` too (its first); ipv6: blocks of version 6."""

    KIND: ClassVar[str] = "ec2.vpc"
    TYPE: ClassVar[str] = "vpc"
    PREFIX: ClassVar[str] = "vpc"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist")

    cidr: str
    blocks: list[Block]
    ipv6: list[Block] = []
    tenancy: str = "default"
    is_default: bool = False
    dhcp_options: str = "default"
    dns_support: bool = True
    dns_hostnames: bool = False
    usage_metrics: bool = False

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:VpcID": self.id, "ec2:Tenancy": self.tenancy}


class InVpc(Resource, kw_only=True):
    """A resource that belongs to one VPC."""

    INDEXES: ClassVar = {"vpc": "vpc_id"}

    vpc_id: str

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:Vpc": scope.arn("ec2", f"vpc/{self.vpc_id}")}


PLAIN_NAMES = {"HostnameType": "ip-name", "EnableResourceNameDnsARecord": False, "EnableResourceNameDnsAAAARecord": False}


class Subnet(InVpc, kw_only=True):
    """zone: the name of its availability zone; dns: PrivateDnsNameOptionsOnLaunch."""

    KIND: ClassVar[str] = "ec2.subnet"
    TYPE: ClassVar[str] = "subnet"
    PREFIX: ClassVar[str] = "subnet"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist")

    cidr: str
    zone: str
    is_default: bool = False
    map_public_ip: bool = False
    assign_ipv6: bool = False
    ipv6: list[Block] = []
    dns64: bool = False
    dns: dict[str, Any] = msgspec.field(default_factory=lambda: dict(PLAIN_NAMES))

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return super().condition_keys(scope) | {"ec2:AvailabilityZone": self.zone, "ec2:SubnetID": self.id}


class SecurityGroup(InVpc, kw_only=True):
    KIND: ClassVar[str] = "ec2.security-group"
    TYPE: ClassVar[str] = "security-group"
    PREFIX: ClassVar[str] = "sg"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidGroup.NotFound", "The security group '{}' does not exist")

    name: str
    description: str

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return super().condition_keys(scope) | {"ec2:SecurityGroupID": self.id}


class SecurityGroupRule(Resource, kw_only=True):
    """What a group lets in, or with `egress` out. protocol: `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.

    from_port and to_port: of TCP and UDP the ports, of ICMP type and code, -1 for all. Exactly one of cidr, cidr6, prefix_list and peer (another
    group's id, of the account peer_owner) says with whom.
    """

    KIND: ClassVar[str] = "ec2.security-group-rule"
    TYPE: ClassVar[str] = "security-group-rule"
    PREFIX: ClassVar[str] = "sgr"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '{}' does not exist")
    INDEXES: ClassVar = {"group": "group_id", "peer": lambda rule: [rule.peer] if rule.peer else []}

    group_id: str
    egress: bool
    protocol: str
    from_port: int = -1
    to_port: int = -1
    cidr: str = ""
    cidr6: str = ""
    prefix_list: str = ""
    peer: str = ""
    peer_owner: str = ""
    description: str = ""
    number: int = 0
    """Rules of a group are shown in the order in which they came: the least first."""

    def what(self) -> tuple[Any, ...]:
        """Everything by which two rules of a group are the same one."""
        return (self.egress, self.protocol, self.from_port, self.to_port, self.cidr, self.cidr6, self.prefix_list, self.peer)


class NetworkInterface(InVpc, kw_only=True):
    """An address in a subnet. kind: `interface`, `nat_gateway` or `vpc_endpoint`; instance_id: the instance of which it is interface `device`."""

    KIND: ClassVar[str] = "ec2.network-interface"
    TYPE: ClassVar[str] = "network-interface"
    PREFIX: ClassVar[str] = "eni"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist")
    INDEXES: ClassVar = {
        "vpc": "vpc_id",
        "subnet": "subnet_id",
        "token": lambda eni: [eni.client_token] if eni.client_token else [],
        "instance": lambda eni: [eni.instance_id] if eni.instance_id else [],
        "group": lambda eni: list(eni.groups),
    }

    subnet_id: str
    zone: str
    private_ip: str
    mac: str
    groups: list[str] = []
    secondary_ips: list[str] = []
    description: str = ""
    kind: str = "interface"
    managed_by: str = ""
    instance_id: str = ""
    attachment_id: str = ""
    device: int = 0
    attached: float = 0.0
    delete_on_termination: bool = False
    source_dest_check: bool = True
    public: bool = False

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return super().condition_keys(scope) | {
            "ec2:AvailabilityZone": self.zone,
            "ec2:NetworkInterfaceID": self.id,
            "ec2:Subnet": scope.arn("ec2", f"subnet/{self.subnet_id}"),
        }


class DefaultNetwork(Record, kw_only=True):
    """That this account and region's default network stands in the store (see `defaults.py`); what of it is missing then was deleted."""

    KIND: ClassVar[str] = "ec2.default-network"

    made: float

    def key(self) -> str:
        return "default"
