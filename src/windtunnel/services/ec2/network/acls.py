"""Network ACLs, their entries and associations (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.network.addresses import canonical, canonical6
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    describes,
    every,
    made_in_vpc,
    need,
    new_id,
    on,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.model import Vpc
from windtunnel.services.ec2.network.surroundings import AclAssociation, AclEntry, NetworkAcl
from windtunnel.services.ec2.network.touching import touched

NUMBERS = {"all": "-1", "tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"}


def entry_shape(entry: AclEntry) -> Shape:
    shape: Shape = {"RuleNumber": entry.number, "Egress": entry.egress, "RuleAction": entry.action, "Protocol": entry.protocol}
    shape |= {"CidrBlock": entry.cidr} if entry.cidr else {"Ipv6CidrBlock": entry.cidr6}
    if entry.ports is not None:
        shape["PortRange"] = {"From": entry.ports[0], "To": entry.ports[1]}
    if entry.icmp is not None:
        shape["IcmpTypeCode"] = {"Type": entry.icmp[0], "Code": entry.icmp[1]}
    return shape


def acl_shape(ctx: Context, acl: NetworkAcl) -> Shape:
    last = [AclEntry(32767, egress, "deny", "-1", cidr="0.0.0.0/0") for egress in (True, False)]
    entries = sorted([*acl.entries, *last], key=lambda entry: (not entry.egress, entry.number))
    return {
        "NetworkAclId": acl.id,
        "VpcId": acl.vpc_id,
        "OwnerId": ctx.scope.account,
        "IsDefault": acl.is_default,
        "Entries": [entry_shape(entry) for entry in entries],
        "Associations": [
            {"NetworkAclAssociationId": held.id, "NetworkAclId": acl.id, "SubnetId": held.subnet_id} for held in acl.associations
        ],
        "Tags": tagged(acl),
    }


describes(
    "DescribeNetworkAcls",
    NetworkAcl,
    acl_shape,
    ids="NetworkAclIds",
    member="NetworkAclId",
    out="NetworkAcls",
    filters={
        "network-acl-id": tells("NetworkAclId"),
        "vpc-id": tells("VpcId"),
        "default": tells("IsDefault"),
        "owner-id": tells("OwnerId"),
        "association.association-id": tells("Associations", "NetworkAclAssociationId"),
        "association.network-acl-id": tells("Associations", "NetworkAclId"),
        "association.subnet-id": tells("Associations", "SubnetId"),
        "entry.cidr": tells("Entries", "CidrBlock"),
        "entry.egress": tells("Entries", "Egress"),
        "entry.icmp.code": tells("Entries", "IcmpTypeCode", "Code"),
        "entry.icmp.type": tells("Entries", "IcmpTypeCode", "Type"),
        "entry.ipv6-cidr": tells("Entries", "Ipv6CidrBlock"),
        "entry.port-range.from": tells("Entries", "PortRange", "From"),
        "entry.port-range.to": tells("Entries", "PortRange", "To"),
        "entry.protocol": tells("Entries", "Protocol"),
        "entry.rule-action": tells("Entries", "RuleAction"),
        "entry.rule-number": tells("Entries", "RuleNumber"),
    },
)


@writes(
    "ec2", "CreateNetworkAcl", authorize=on("CreateNetworkAcl", (Vpc, "vpc_id"), new=NetworkAcl), acts=f"VpcId ClientToken DryRun {TAGS}"
)
def create_network_acl(
    ctx: Context,
    vpc_id: str,
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    """It lets nothing pass until entries say so."""
    acl = made_in_vpc(ctx, NetworkAcl, vpc_id, client_token, tag_specifications, dry_run)
    return {"NetworkAcl": acl_shape(ctx, acl), "ClientToken": client_token or ""}


@writes("ec2", "DeleteNetworkAcl", authorize=on("DeleteNetworkAcl", (NetworkAcl, "network_acl_id")), acts="NetworkAclId DryRun")
def delete_network_acl(ctx: Context, network_acl_id: str, dry_run: bool = False) -> Reply:
    acl = the(ctx, NetworkAcl, network_acl_id)
    if acl.is_default:
        raise AwsError("InvalidParameterValue", f"cannot delete default network ACL {network_acl_id}")
    if acl.associations:
        raise AwsError("DependencyViolation", f"The networkAcl '{network_acl_id}' has dependencies and cannot be deleted.")
    dry(dry_run)
    ctx.tx.delete(NetworkAcl, network_acl_id)
    return {}


# -- entries --------------------------------------------------------------------------------------------------------

ENTRY = (
    "NetworkAclId RuleNumber Egress RuleAction Protocol CidrBlock Ipv6CidrBlock PortRange.From PortRange.To IcmpTypeCode.Type"
    " IcmpTypeCode.Code DryRun"
)


def checked_entry(given: Mapping[str, Any]) -> AclEntry:
    """The entry that a request asks for. Raises InvalidParameterValue, MissingParameter."""
    number = given["rule_number"]
    if not 1 <= number <= 32766:
        raise AwsError("InvalidParameterValue", f"Value ({number}) for parameter ruleNumber is invalid. Valid values are 1 to 32766.")
    name = str(given["protocol"]).lower()
    protocol = NUMBERS.get(name, name)
    if protocol != "-1" and not (protocol.isascii() and protocol.isdigit() and len(protocol) < 4 and int(protocol) < 256):
        raise AwsError("InvalidParameterValue", f"Invalid value '{given['protocol']}' for IP protocol. Unknown protocol.")
    plain, six = given.get("cidr_block"), given.get("ipv6_cidr_block")
    if (plain is None) == (six is None):
        raise AwsError("MissingParameter", "The request must contain exactly one of cidrBlock and ipv6CidrBlock")
    cidr, cidr6 = canonical(plain) if plain is not None else "", canonical6(six) if six is not None else ""
    if cidr is None or cidr6 is None:
        raise AwsError(
            "InvalidParameterValue", f"Value ({plain or six}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
        )
    ports, icmp = given.get("port_range") or {}, given.get("icmp_type_code") or {}
    held: tuple[int, int] | None = None
    if protocol in ("6", "17"):
        if "From" not in ports or "To" not in ports:
            raise AwsError("MissingParameter", "The request must contain the parameter portRange.from and portRange.to")
        held = ports["From"], ports["To"]
        if not 0 <= held[0] <= held[1] <= 65535:
            raise AwsError("InvalidParameterValue", f"Invalid TCP/UDP port range ({held[0]}:{held[1]})")
    kinds: tuple[int, int] | None = None
    if protocol in ("1", "58"):
        if "Type" not in icmp or "Code" not in icmp:
            raise AwsError("MissingParameter", "The request must contain the parameter icmpTypeCode.type and icmpTypeCode.code")
        kinds = icmp["Type"], icmp["Code"]
        if not all(-1 <= kind <= 255 for kind in kinds):
            raise AwsError("InvalidParameterValue", f"ICMP type and code out of range ({kinds[0]}:{kinds[1]})")
    return AclEntry(number, given["egress"], given["rule_action"], protocol, cidr, cidr6, held, kinds)


def same(entry: AclEntry, number: int, egress: bool) -> bool:
    return entry.number == number and entry.egress == egress


@writes("ec2", "CreateNetworkAclEntry", authorize=on("CreateNetworkAclEntry", (NetworkAcl, "network_acl_id")), acts=ENTRY)
def create_network_acl_entry(
    ctx: Context, network_acl_id: str, egress: bool, protocol: str, rule_action: str, rule_number: int, dry_run: bool = False, **given: Any
) -> Reply:
    acl = the(ctx, NetworkAcl, network_acl_id)
    entry = checked_entry({"egress": egress, "protocol": protocol, "rule_action": rule_action, "rule_number": rule_number, **given})
    if any(same(held, entry.number, entry.egress) for held in acl.entries):
        raise AwsError("NetworkAclEntryAlreadyExists", f"The network acl entry identified by {entry.number} already exists.")
    if sum(1 for held in acl.entries if held.egress == egress) >= 40:
        raise AwsError("NetworkAclEntryLimitExceeded", "The maximum number of network ACL entries has been reached.")
    dry(dry_run)
    ensure(ctx)
    acl.entries = [*acl.entries, entry]
    ctx.tx.put(acl)
    touched(ctx, acl.vpc_id)
    return {}


def absent(number: int, acl_id: str) -> AwsError:
    return AwsError(
        "InvalidNetworkAclEntry.NotFound", f"The network acl entry identified by {number} does not exist in network ACL {acl_id}"
    )


@writes("ec2", "ReplaceNetworkAclEntry", authorize=on("ReplaceNetworkAclEntry", (NetworkAcl, "network_acl_id")), acts=ENTRY)
def replace_network_acl_entry(
    ctx: Context, network_acl_id: str, egress: bool, protocol: str, rule_action: str, rule_number: int, dry_run: bool = False, **given: Any
) -> Reply:
    acl = the(ctx, NetworkAcl, network_acl_id)
    entry = checked_entry({"egress": egress, "protocol": protocol, "rule_action": rule_action, "rule_number": rule_number, **given})
    if not any(same(held, entry.number, entry.egress) for held in acl.entries):
        raise absent(rule_number, network_acl_id)
    dry(dry_run)
    ensure(ctx)
    acl.entries = [entry if same(held, entry.number, entry.egress) else held for held in acl.entries]
    ctx.tx.put(acl)
    touched(ctx, acl.vpc_id)
    return {}


@writes(
    "ec2",
    "DeleteNetworkAclEntry",
    authorize=on("DeleteNetworkAclEntry", (NetworkAcl, "network_acl_id")),
    acts="NetworkAclId RuleNumber Egress DryRun",
)
def delete_network_acl_entry(ctx: Context, network_acl_id: str, egress: bool, rule_number: int, dry_run: bool = False) -> Reply:
    acl = the(ctx, NetworkAcl, network_acl_id)
    left = [held for held in acl.entries if not same(held, rule_number, egress)]
    if len(left) == len(acl.entries):
        raise absent(rule_number, network_acl_id)
    dry(dry_run)
    ensure(ctx)
    acl.entries = left
    ctx.tx.put(acl)
    touched(ctx, acl.vpc_id)
    return {}


def to_replace(ctx: Context, association_id: str, network_acl_id: str, **_: Any) -> list[Need]:
    action = "ReplaceNetworkAclAssociation"
    found = [acl.id for acl in every(ctx, NetworkAcl) for held in acl.associations if held.id == association_id] or ["*"]
    return [need(ctx, action, NetworkAcl, name) for name in (*found, network_acl_id)]


@writes("ec2", "ReplaceNetworkAclAssociation", authorize=to_replace, acts="AssociationId NetworkAclId DryRun")
def replace_network_acl_association(ctx: Context, association_id: str, network_acl_id: str, dry_run: bool = False) -> Reply:
    """The subnet has this ACL from now on, under a new id."""
    found = [(acl, held) for acl in every(ctx, NetworkAcl) for held in acl.associations if held.id == association_id]
    if not found:
        raise AwsError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")
    (old, held), acl = found[0], the(ctx, NetworkAcl, network_acl_id)
    if acl.vpc_id != old.vpc_id:
        raise AwsError("InvalidParameterValue", f"Network ACL {network_acl_id} and subnet {held.subnet_id} belong to different networks")
    dry(dry_run)
    ensure(ctx)
    old.associations = [each for each in old.associations if each.id != association_id]
    ctx.tx.put(old)
    acl = old if acl.id == old.id else acl
    fresh = AclAssociation(new_id(ctx, "aclassoc"), held.subnet_id)
    acl.associations = [*acl.associations, fresh]
    ctx.tx.put(acl)
    touched(ctx, acl.vpc_id)
    return {"NewAssociationId": fresh.id}
