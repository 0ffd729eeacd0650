"""VPCs and their address blocks (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.model import default_id
from windtunnel.services.ec2.network.addresses import canonical, overlap, parsed
from windtunnel.services.ec2.network.common import TAGS, Shape, describes, every, given_tags, new_id, on, tagged, tells, the
from windtunnel.services.ec2.network.defaults import default_records, ensure
from windtunnel.services.ec2.network.model import (
    Block,
    NetworkInterface,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)
from windtunnel.services.ec2.network.surroundings import (
    EVERYTHING,
    InternetGateway,
    NetworkAcl,
    RouteAssociation,
    RouteTable,
    default_options,
)

IN_A_VPC = (Subnet, NetworkInterface, InternetGateway)
"""Kinds any of which keeps its VPC from being deleted, found by their index "vpc"; tables, ACLs and groups do unless they came with it."""


def vpc_shape(ctx: Context, vpc: Vpc) -> Shape:
    return {
        "VpcId": vpc.id,
        "OwnerId": ctx.scope.account,
        "CidrBlock": vpc.cidr,
        "CidrBlockAssociationSet": [
            {"AssociationId": block.association, "CidrBlock": block.cidr, "CidrBlockState": {"State": "associated"}} for block in vpc.blocks
        ],
        "Ipv6CidrBlockAssociationSet": [ipv6_shape(ctx, block) for block in vpc.ipv6],
        "DhcpOptionsId": vpc.dhcp_options,
        "InstanceTenancy": vpc.tenancy,
        "IsDefault": vpc.is_default,
        "State": "available",
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "Tags": tagged(vpc),
    }


def ipv6_shape(ctx: Context, block: Block) -> Shape:
    return {
        "AssociationId": block.association,
        "Ipv6CidrBlock": block.cidr,
        "Ipv6CidrBlockState": {"State": "associated"},
        "NetworkBorderGroup": ctx.scope.region,
        "Ipv6Pool": "Amazon",
        "Ipv6AddressAttribute": "public",
        "IpSource": "amazon",
    }


describes(
    "DescribeVpcs",
    Vpc,
    vpc_shape,
    ids="VpcIds",
    member="VpcId",
    out="Vpcs",
    filters={
        "vpc-id": tells("VpcId"),
        "is-default": tells("IsDefault"),
        "isDefault": tells("IsDefault"),
        "cidr": tells("CidrBlock"),
        "cidr-block": tells("CidrBlock"),
        "cidr-block-association.cidr-block": tells("CidrBlockAssociationSet", "CidrBlock"),
        "cidr-block-association.association-id": tells("CidrBlockAssociationSet", "AssociationId"),
        "cidr-block-association.state": tells("CidrBlockAssociationSet", "CidrBlockState", "State"),
        "ipv6-cidr-block-association.ipv6-cidr-block": tells("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"),
        "ipv6-cidr-block-association.association-id": tells("Ipv6CidrBlockAssociationSet", "AssociationId"),
        "ipv6-cidr-block-association.state": tells("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlockState", "State"),
        "dhcp-options-id": tells("DhcpOptionsId"),
        "state": tells("State"),
        "owner-id": tells("OwnerId"),
    },
)


def checked_block(text: str, name: str = "cidrBlock") -> str:
    """A VPC's block: /16 to /28. Raises InvalidParameterValue or InvalidVpc.Range."""
    cidr = canonical(text)
    if cidr is None:
        raise AwsError("InvalidParameterValue", f"Value ({text}) for parameter {name} is invalid. This is not a valid CIDR block.")
    if not 16 <= int(cidr.rpartition("/")[2]) <= 28:
        raise AwsError("InvalidVpc.Range", f"The CIDR '{text}' is invalid.")
    return cidr


def ipv6_block(ctx: Context) -> Block:
    """A /56 of the range that is set aside for documentation: no packet of version 6 leaves this machine."""
    digits = ctx.ids.hex(8)
    return Block(new_id(ctx, "vpc-cidr-assoc"), f"2001:db8:{int(digits[:4], 16):x}:{int(digits[4:6] + '00', 16):x}::/56")


@writes(
    "ec2",
    "CreateVpc",
    authorize=on("CreateVpc", new=Vpc),
    acts=f"CidrBlock InstanceTenancy AmazonProvidedIpv6CidrBlock DryRun {TAGS}",
)
def create_vpc(
    ctx: Context,
    cidr_block: str | None = None,
    instance_tenancy: str = "default",
    amazon_provided_ipv6_cidr_block: bool = False,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    if cidr_block is None:
        raise AwsError("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
    cidr, tags = checked_block(cidr_block), given_tags(ctx, tag_specifications, Vpc)
    if instance_tenancy == "host":
        raise AwsError("InvalidParameterValue", "A VPC's instance tenancy must be default or dedicated.")
    dry(dry_run)
    ensure(ctx)
    vpc = Vpc(
        id=new_id(ctx, Vpc),
        cidr=cidr,
        blocks=[Block(new_id(ctx, "vpc-cidr-assoc"), cidr)],
        ipv6=[ipv6_block(ctx)] if amazon_provided_ipv6_cidr_block else [],
        tenancy=instance_tenancy,
        dhcp_options=default_options(ctx.scope).id,
        tags=tags,
    )
    ctx.tx.put(vpc)
    furnish(ctx, vpc)
    return {"Vpc": vpc_shape(ctx, vpc)}


def furnish(ctx: Context, vpc: Vpc) -> None:
    """What comes with every VPC: a main route table, a default ACL and a default security group, which lets in only what is in it itself."""
    main = RouteAssociation(new_id(ctx, "rtbassoc"), main=True)
    ctx.tx.put(RouteTable(id=new_id(ctx, RouteTable), vpc_id=vpc.id, associations=[main]))
    ctx.tx.put(NetworkAcl(id=new_id(ctx, NetworkAcl), vpc_id=vpc.id, is_default=True, entries=list(EVERYTHING)))
    group = SecurityGroup(id=new_id(ctx, SecurityGroup), vpc_id=vpc.id, name="default", description="default VPC security group")
    ctx.tx.put(group)
    own = SecurityGroupRule(
        id=new_id(ctx, SecurityGroupRule), group_id=group.id, egress=False, protocol="-1", peer=group.id, peer_owner=ctx.scope.account
    )
    ctx.tx.put(own)
    ctx.tx.put(SecurityGroupRule(id=new_id(ctx, SecurityGroupRule), group_id=group.id, egress=True, protocol="-1", cidr="0.0.0.0/0"))


@writes("ec2", "DeleteVpc", authorize=on("DeleteVpc", (Vpc, "vpc_id")), acts="VpcId DryRun")
def delete_vpc(ctx: Context, vpc_id: str, dry_run: bool = False) -> Reply:
    vpc = the(ctx, Vpc, vpc_id)
    dry(dry_run)
    ensure(ctx)
    tables = ctx.tx.find(RouteTable, "vpc", vpc_id)
    acls = ctx.tx.find(NetworkAcl, "vpc", vpc_id)
    groups = ctx.tx.find(SecurityGroup, "vpc", vpc_id)
    others = any(not table.main for table in tables) or any(not acl.is_default for acl in acls) or any(g.name != "default" for g in groups)
    if others or any(ctx.tx.find(kind, "vpc", vpc_id, limit=1) for kind in IN_A_VPC) or in_the_way(ctx, vpc_id):
        raise AwsError("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    for group in groups:
        if any(rule.group_id != group.id for rule in ctx.tx.find(SecurityGroupRule, "peer", group.id)):
            raise AwsError("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
        for rule in ctx.tx.find(SecurityGroupRule, "group", group.id):
            ctx.tx.delete(SecurityGroupRule, rule.id)
        ctx.tx.delete(SecurityGroup, group.id)
    for table in tables:
        ctx.tx.delete(RouteTable, table.id)
    for acl in acls:
        ctx.tx.delete(NetworkAcl, acl.id)
    ctx.tx.delete(Vpc, vpc.id)
    return {}


def in_the_way(ctx: Context, vpc_id: str) -> bool:
    """Gateways, endpoints and peerings that hold on to a VPC."""
    from windtunnel.services.ec2.network.holding import holders

    return any(ctx.tx.find(kind, "vpc", vpc_id, limit=1) for kind in holders())


@writes("ec2", "CreateDefaultVpc", authorize=on("CreateDefaultVpc", new=Vpc), acts="DryRun")
def create_default_vpc(ctx: Context, dry_run: bool = False) -> Reply:
    """The default VPC as it was in the beginning, for whoever has deleted it."""
    if any(vpc.is_default for vpc in every(ctx, Vpc)):
        raise AwsError("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
    dry(dry_run)
    for record in default_records(ctx.scope):
        ctx.tx.put(record)
    return {"Vpc": vpc_shape(ctx, the(ctx, Vpc, default_id("vpc", ctx.scope)))}


SWITCHES = {
    "enable_dns_support": ("EnableDnsSupport", "dns_support"),
    "enable_dns_hostnames": ("EnableDnsHostnames", "dns_hostnames"),
    "enable_network_address_usage_metrics": ("EnableNetworkAddressUsageMetrics", "usage_metrics"),
}
"""Argument -> (member of the answer, field)."""


@writes(
    "ec2",
    "ModifyVpcAttribute",
    authorize=on("ModifyVpcAttribute", (Vpc, "vpc_id")),
    descriptive="EnableDnsSupport.Value EnableDnsHostnames.Value EnableNetworkAddressUsageMetrics.Value",
    acts="VpcId",
)
def modify_vpc_attribute(ctx: Context, vpc_id: str, **named: Any) -> Reply:
    """One attribute a call."""
    given = {name: shape for name, shape in named.items() if shape is not None}
    vpc = the(ctx, Vpc, vpc_id)
    if len(given) != 1:
        word = "No attributes specified." if not given else "Fields for multiple attribute types specified"
        raise AwsError("InvalidParameterCombination", word)
    ensure(ctx)
    ((name, shape),) = given.items()
    setattr(vpc, SWITCHES[name][1], bool(shape.get("Value")))
    ctx.tx.put(vpc)
    return {}


@reads("ec2", "DescribeVpcAttribute", authorize=on("DescribeVpcAttribute", (Vpc, "vpc_id")), acts="VpcId Attribute DryRun")
def describe_vpc_attribute(ctx: Context, vpc_id: str, attribute: str, dry_run: bool = False) -> Reply:
    vpc = the(ctx, Vpc, vpc_id)
    dry(dry_run)
    for member, field in SWITCHES.values():
        if attribute == member[0].lower() + member[1:]:
            return {"VpcId": vpc_id, member: {"Value": getattr(vpc, field)}}
    raise AwsError("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid. Unknown attribute.")


@writes(
    "ec2",
    "AssociateVpcCidrBlock",
    authorize=on("AssociateVpcCidrBlock", (Vpc, "vpc_id")),
    acts="VpcId CidrBlock AmazonProvidedIpv6CidrBlock",
)
def associate_vpc_cidr_block(
    ctx: Context, vpc_id: str, cidr_block: str | None = None, amazon_provided_ipv6_cidr_block: bool = False
) -> Reply:
    vpc = the(ctx, Vpc, vpc_id)
    if (cidr_block is None) == (not amazon_provided_ipv6_cidr_block):
        word = "Only one of" if cidr_block else "One of"
        raise AwsError(
            "InvalidParameterCombination" if cidr_block else "MissingParameter",
            f"{word} 'cidrBlock' and 'amazonProvidedIpv6CidrBlock' must be provided.",
        )
    ensure(ctx)
    if cidr_block is None:
        if vpc.ipv6:
            raise AwsError("CidrConflict", f"The VPC '{vpc_id}' already has an IPv6 CIDR block.")
        block = ipv6_block(ctx)
        vpc.ipv6 = [*vpc.ipv6, block]
        ctx.tx.put(vpc)
        shown = ipv6_shape(ctx, block) | {"Ipv6CidrBlockState": {"State": "associating"}}
        return {"VpcId": vpc_id, "Ipv6CidrBlockAssociation": shown}
    cidr = checked_block(cidr_block)
    if any(overlap(cidr, held.cidr) for held in vpc.blocks):
        raise AwsError("InvalidVpc.Range", f"The CIDR '{cidr_block}' conflicts with another block of the VPC.")
    if len(vpc.blocks) >= 5:
        raise AwsError("CidrLimitExceeded", f"This network '{vpc_id}' has met its maximum number of allowed CIDRs: 5")
    block = Block(new_id(ctx, "vpc-cidr-assoc"), cidr)
    vpc.blocks = [*vpc.blocks, block]
    ctx.tx.put(vpc)
    shown = {"AssociationId": block.association, "CidrBlock": cidr, "CidrBlockState": {"State": "associating"}}
    return {"VpcId": vpc_id, "CidrBlockAssociation": shown}


@writes("ec2", "DisassociateVpcCidrBlock", authorize=on("DisassociateVpcCidrBlock"), acts="AssociationId")
def disassociate_vpc_cidr_block(ctx: Context, association_id: str) -> Reply:
    found = [(vpc, block) for vpc in every(ctx, Vpc) for block in (*vpc.blocks, *vpc.ipv6) if block.association == association_id]
    if not found:
        raise AwsError("InvalidVpcCidrBlockAssociationID.NotFound", f"The vpc CIDR block association ID '{association_id}' does not exist")
    vpc, block = found[0]
    ensure(ctx)
    if block == vpc.blocks[0]:
        raise AwsError("OperationNotPermitted", f"The vpc CIDR block with association ID {association_id} may not be disassociated. ")
    subnets = ctx.tx.find(Subnet, "vpc", vpc.id)
    of_version_4 = parsed(block.cidr) is not None
    used = any(overlap(s.cidr, block.cidr) for s in subnets) if of_version_4 else any(s.ipv6 for s in subnets)
    if used:
        raise AwsError("CidrBlockInUse", f"The vpc {vpc.id} currently has a subnet within CIDR block {block.cidr}", status=400)
    vpc.blocks = [held for held in vpc.blocks if held != block]
    vpc.ipv6 = [held for held in vpc.ipv6 if held != block]
    ctx.tx.put(vpc)
    state = {"State": "disassociating"}
    if of_version_4:
        shown = {"AssociationId": association_id, "CidrBlock": block.cidr, "CidrBlockState": state}
        return {"VpcId": vpc.id, "CidrBlockAssociation": shown}
    return {"VpcId": vpc.id, "Ipv6CidrBlockAssociation": ipv6_shape(ctx, block) | {"Ipv6CidrBlockState": state}}
