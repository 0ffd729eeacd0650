"""Subnets (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.network.addresses import canonical, canonical6, overlap, usable, within, within6
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
from windtunnel.services.ec2.network.defaults import ensure, subnet_id
from windtunnel.services.ec2.network.model import Block, NetworkInterface, Subnet, Vpc
from windtunnel.services.ec2.network.surroundings import AclAssociation, NetworkAcl, RouteTable
from windtunnel.services.ec2.network.zones import zone_id, zone_names


def free_count(ctx: Context, subnet: Subnet) -> int:
    taken = sum(1 + len(eni.secondary_ips) for eni in ctx.tx.find(NetworkInterface, "subnet", subnet.id))
    return usable(subnet.cidr) - taken


def subnet_shape(ctx: Context, subnet: Subnet) -> Shape:
    return {
        "SubnetId": subnet.id,
        "SubnetArn": ctx.arn("ec2", f"subnet/{subnet.id}"),
        "VpcId": subnet.vpc_id,
        "OwnerId": ctx.scope.account,
        "CidrBlock": subnet.cidr,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": zone_id(subnet.zone),
        "AvailableIpAddressCount": free_count(ctx, subnet),
        "DefaultForAz": subnet.is_default,
        "MapPublicIpOnLaunch": subnet.map_public_ip,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": subnet.assign_ipv6,
        "Ipv6CidrBlockAssociationSet": [block_shape(block) for block in subnet.ipv6],
        "Ipv6Native": False,
        "EnableDns64": subnet.dns64,
        "PrivateDnsNameOptionsOnLaunch": subnet.dns,
        "State": "available",
        "Tags": tagged(subnet),
    }


def block_shape(block: Block, state: str = "associated") -> Shape:
    return {"AssociationId": block.association, "Ipv6CidrBlock": block.cidr, "Ipv6CidrBlockState": {"State": state}}


describes(
    "DescribeSubnets",
    Subnet,
    subnet_shape,
    ids="SubnetIds",
    member="SubnetId",
    out="Subnets",
    filters={
        "subnet-id": tells("SubnetId"),
        "subnet-arn": tells("SubnetArn"),
        "vpc-id": tells("VpcId"),
        "availability-zone": tells("AvailabilityZone"),
        "availabilityZone": tells("AvailabilityZone"),
        "availability-zone-id": tells("AvailabilityZoneId"),
        "availabilityZoneId": tells("AvailabilityZoneId"),
        "available-ip-address-count": tells("AvailableIpAddressCount"),
        "default-for-az": tells("DefaultForAz"),
        "defaultForAz": tells("DefaultForAz"),
        "state": tells("State"),
        "cidr": tells("CidrBlock"),
        "cidr-block": tells("CidrBlock"),
        "cidrBlock": tells("CidrBlock"),
        "map-public-ip-on-launch": tells("MapPublicIpOnLaunch"),
        "ipv6-cidr-block-association.ipv6-cidr-block": tells("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"),
        "ipv6-cidr-block-association.association-id": tells("Ipv6CidrBlockAssociationSet", "AssociationId"),
        "ipv6-cidr-block-association.state": tells("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlockState", "State"),
        "ipv6-native": tells("Ipv6Native"),
        "enable-dns64": tells("EnableDns64"),
        "owner-id": tells("OwnerId"),
    },
)


def checked_block(ctx: Context, vpc: Vpc, text: str) -> str:
    """A subnet's block: /16 to /28, in its VPC and in no other subnet's way. Raises InvalidSubnet.Range, InvalidSubnet.Conflict."""
    cidr = canonical(text)
    if cidr is None:
        raise AwsError("InvalidParameterValue", f"Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block.")
    if not 16 <= int(cidr.rpartition("/")[2]) <= 28 or not any(within(cidr, block.cidr) for block in vpc.blocks):
        raise AwsError("InvalidSubnet.Range", f"The CIDR '{text}' is invalid.")
    if any(overlap(cidr, subnet.cidr) for subnet in every(ctx, Subnet) if subnet.vpc_id == vpc.id):
        raise AwsError("InvalidSubnet.Conflict", f"The CIDR '{text}' conflicts with another subnet")
    return cidr


def checked_block6(ctx: Context, vpc: Vpc, text: str) -> Block:
    cidr = canonical6(text)
    if cidr is None or not any(within6(cidr, block.cidr) for block in vpc.ipv6) or not cidr.endswith("/64"):
        raise AwsError("InvalidSubnet.Range", f"The CIDR '{text}' is invalid.")
    if any(block.cidr == cidr for subnet in every(ctx, Subnet) if subnet.vpc_id == vpc.id for block in subnet.ipv6):
        raise AwsError("InvalidSubnet.Conflict", f"The CIDR '{text}' conflicts with another subnet")
    return Block(new_id(ctx, "subnet-cidr-assoc"), cidr)


def checked_zone(ctx: Context, zone: str | None, by_id: str | None = None) -> str:
    """The zone by name or id, the first for none. Raises InvalidParameterValue."""
    zones = zone_names(ctx.scope.region)
    if zone is None and by_id is not None:
        zone = next((name for name in zones if zone_id(name) == by_id), by_id)
    if zone is not None and zone not in zones:
        said = ", ".join(zones)
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability"
            f" zones: {said}.",
        )
    return zone or zones[0]


def to_create(ctx: Context, vpc_id: str, tag_specifications: Any = None, availability_zone: str | None = None, **_: Any) -> list[Need]:
    extra = {"ec2:Vpc": ctx.arn("ec2", f"vpc/{vpc_id}"), "ec2:AvailabilityZone": availability_zone or zone_names(ctx.scope.region)[0]}
    return [*new_needs(ctx, "CreateSubnet", Subnet, tag_specifications, extra), need(ctx, "CreateSubnet", Vpc, vpc_id)]


@writes(
    "ec2",
    "CreateSubnet",
    authorize=to_create,
    acts=f"VpcId CidrBlock Ipv6CidrBlock AvailabilityZone AvailabilityZoneId DryRun {TAGS}",
)
def create_subnet(
    ctx: Context,
    vpc_id: str,
    cidr_block: str | None = None,
    ipv6_cidr_block: str | None = None,
    availability_zone: str | None = None,
    availability_zone_id: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    vpc, tags = the(ctx, Vpc, vpc_id), given_tags(ctx, tag_specifications, Subnet)
    if not cidr_block:
        raise AwsError("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
    zone = checked_zone(ctx, availability_zone, availability_zone_id)
    cidr = checked_block(ctx, vpc, cidr_block)
    ipv6 = [checked_block6(ctx, vpc, ipv6_cidr_block)] if ipv6_cidr_block else []
    dry(dry_run)
    ensure(ctx)
    subnet = Subnet(id=new_id(ctx, Subnet), vpc_id=vpc_id, cidr=cidr, zone=zone, ipv6=ipv6, tags=tags)
    place(ctx, subnet)
    return {"Subnet": subnet_shape(ctx, subnet)}


def place(ctx: Context, subnet: Subnet) -> None:
    """Store it, under its VPC's default ACL."""
    ctx.tx.put(subnet)
    acl = next(acl for acl in ctx.tx.find(NetworkAcl, "vpc", subnet.vpc_id) if acl.is_default)
    acl.associations = [*acl.associations, AclAssociation(new_id(ctx, "aclassoc"), subnet.id)]
    ctx.tx.put(acl)


@writes(
    "ec2",
    "CreateDefaultSubnet",
    authorize=on("CreateDefaultSubnet", new=Subnet),
    acts="AvailabilityZone DryRun",
    default_only={"Ipv6Native": False},
)
def create_default_subnet(ctx: Context, availability_zone: str | None = None, dry_run: bool = False, **_: Any) -> Reply:
    zone = checked_zone(ctx, availability_zone)
    vpc = next((vpc for vpc in every(ctx, Vpc) if vpc.is_default), None)
    if vpc is None:
        raise AwsError("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
    if any(subnet.is_default and subnet.zone == zone for subnet in every(ctx, Subnet)):
        raise AwsError("DefaultSubnetAlreadyExistsInAvailabilityZone", f"A default subnet already exists in {zone}.")
    cidr = checked_block(ctx, vpc, f"172.31.{zone_names(ctx.scope.region).index(zone) * 16}.0/20")
    dry(dry_run)
    ensure(ctx)
    subnet = Subnet(id=subnet_id(ctx.scope, zone), vpc_id=vpc.id, cidr=cidr, zone=zone, is_default=True, map_public_ip=True)
    place(ctx, subnet)
    return {"Subnet": subnet_shape(ctx, subnet)}


@writes("ec2", "DeleteSubnet", authorize=on("DeleteSubnet", (Subnet, "subnet_id")), acts="SubnetId DryRun")
def delete_subnet(ctx: Context, subnet_id: str, dry_run: bool = False) -> Reply:
    the(ctx, Subnet, subnet_id)
    dry(dry_run)
    ensure(ctx)
    if ctx.tx.find(NetworkInterface, "subnet", subnet_id, limit=1):
        raise AwsError("DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    for acl in ctx.tx.find(NetworkAcl, "subnet", subnet_id):
        acl.associations = [held for held in acl.associations if held.subnet_id != subnet_id]
        ctx.tx.put(acl)
    for table in ctx.tx.find(RouteTable, "subnet", subnet_id):
        table.associations = [held for held in table.associations if held.subnet_id != subnet_id]
        ctx.tx.put(table)
    ctx.tx.delete(Subnet, subnet_id)
    return {}


@writes(
    "ec2",
    "ModifySubnetAttribute",
    authorize=on("ModifySubnetAttribute", (Subnet, "subnet_id")),
    acts="SubnetId MapPublicIpOnLaunch.Value",
    descriptive="AssignIpv6AddressOnCreation.Value EnableDns64.Value PrivateDnsHostnameTypeOnLaunch"
    " EnableResourceNameDnsARecordOnLaunch.Value EnableResourceNameDnsAAAARecordOnLaunch.Value",
    default_only={"MapCustomerOwnedIpOnLaunch.Value": False},
)
def modify_subnet_attribute(ctx: Context, subnet_id: str, **named: Any) -> Reply:
    """One attribute a call."""
    given = {name: value for name, value in named.items() if value is not None}
    subnet = the(ctx, Subnet, subnet_id)
    if len(given) != 1:
        word = "No attributes specified." if not given else "Fields for multiple attribute types specified"
        raise AwsError("InvalidParameterCombination", word)
    ensure(ctx)
    ((name, value),) = given.items()
    wanted = value.get("Value") if isinstance(value, dict) else value
    if name == "assign_ipv6_address_on_creation" and wanted and not subnet.ipv6:
        raise AwsError(
            "InvalidParameterValue", "Invalid value 'true' for assignIpv6AddressOnCreation. Subnet doesn't have an IPv6 CIDR block."
        )
    dns = {
        "private_dns_hostname_type_on_launch": "HostnameType",
        "enable_resource_name_dns_a_record_on_launch": "EnableResourceNameDnsARecord",
        "enable_resource_name_dns_aaaa_record_on_launch": "EnableResourceNameDnsAAAARecord",
    }
    fields = {"map_public_ip_on_launch": "map_public_ip", "assign_ipv6_address_on_creation": "assign_ipv6", "enable_dns64": "dns64"}
    if name in fields:
        setattr(subnet, fields[name], bool(wanted))
    elif name in dns:
        subnet.dns = {**subnet.dns, dns[name]: wanted}
    ctx.tx.put(subnet)
    return {}


@writes("ec2", "AssociateSubnetCidrBlock", authorize=on("AssociateSubnetCidrBlock", (Subnet, "subnet_id")), acts="SubnetId Ipv6CidrBlock")
def associate_subnet_cidr_block(ctx: Context, subnet_id: str, ipv6_cidr_block: str | None = None) -> Reply:
    subnet = the(ctx, Subnet, subnet_id)
    if not ipv6_cidr_block:
        raise AwsError("MissingParameter", "The request must contain the parameter ipv6CidrBlock")
    if subnet.ipv6:
        raise AwsError("CidrConflict", f"The subnet '{subnet_id}' already has an IPv6 CIDR block.")
    block = checked_block6(ctx, the(ctx, Vpc, subnet.vpc_id), ipv6_cidr_block)
    ensure(ctx)
    subnet.ipv6 = [block]
    ctx.tx.put(subnet)
    return {"SubnetId": subnet_id, "Ipv6CidrBlockAssociation": block_shape(block, "associating")}


@writes("ec2", "DisassociateSubnetCidrBlock", authorize=on("DisassociateSubnetCidrBlock"), acts="AssociationId")
def disassociate_subnet_cidr_block(ctx: Context, association_id: str) -> Reply:
    found = [(subnet, block) for subnet in every(ctx, Subnet) for block in subnet.ipv6 if block.association == association_id]
    if not found:
        raise AwsError(
            "InvalidSubnetCidrBlockAssociationID.NotFound", f"The subnet CIDR block association ID '{association_id}' does not exist"
        )
    subnet, block = found[0]
    ensure(ctx)
    subnet.ipv6, subnet.assign_ipv6 = [], False
    ctx.tx.put(subnet)
    return {"SubnetId": subnet.id, "Ipv6CidrBlockAssociation": block_shape(block, "disassociating")}
