"""Between a request's IpPermissions and rules: read, checked, compared and shown. Pure.

Source: EC2 API reference, IpPermission, AuthorizeSecurityGroupIngress; the codes of its list of errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from windtunnel.kernel.errors import AwsError
from windtunnel.services.ec2.network.addresses import canonical, canonical6
from windtunnel.services.ec2.network.model import SecurityGroupRule

PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
WITH_PORTS = ("tcp", "udp")
MAX_RULES = 60
"""Rules of a group in one direction (Amazon VPC quotas)."""


class Asked(NamedTuple):
    """One rule as it is asked for, before it has an id; `peer` is a group's id."""

    protocol: str
    from_port: int
    to_port: int
    cidr: str = ""
    cidr6: str = ""
    prefix_list: str = ""
    peer: str = ""
    peer_owner: str = ""
    description: str = ""

    def what(self, egress: bool) -> tuple[Any, ...]:
        """As SecurityGroupRule.what."""
        return (egress, self.protocol, self.from_port, self.to_port, self.cidr, self.cidr6, self.prefix_list, self.peer)


def checked_protocol(text: str | None) -> str:
    given = (text or "").lower()
    if not given:
        raise AwsError("MissingParameter", "The request must contain the parameter ipProtocol")
    name = PROTOCOLS.get(given, given)
    if name in ("-1", "tcp", "udp", "icmp", "icmpv6") or (name.isascii() and name.isdigit() and len(name) < 4 and int(name) < 256):
        return name
    raise AwsError("InvalidParameterValue", f"Invalid value '{text}' for IP protocol. Unknown protocol.")


def checked_ports(protocol: str, low: int | None, high: int | None) -> tuple[int, int]:
    """(from, to) as they are stored. Raises InvalidParameterValue."""
    if protocol in WITH_PORTS:
        if low is None or high is None:
            raise AwsError("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
        if (low, high) == (-1, -1):
            return 0, 65535
        if not 0 <= low <= high <= 65535:
            raise AwsError("InvalidParameterValue", f"Invalid TCP/UDP port range ({low}:{high})")
        return low, high
    if protocol in ("icmp", "icmpv6"):
        kind, code = -1 if low is None else low, -1 if high is None else high
        if not (-1 <= kind <= 255 and -1 <= code <= 255):
            raise AwsError("InvalidParameterValue", f"ICMP code ({code}) out of range")
        return kind, code
    return -1, -1


def checked_description(text: str | None) -> str:
    if text and (len(text) > 255 or any(not (c.isascii() and (c.isalnum() or c in " ._-:/()#,@[]+=&;{}!$*")) for c in text)):
        raise AwsError(
            "InvalidParameterValue",
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:"
            "  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        )
    return text or ""


def checked_cidr(text: str | None, version: int) -> str:
    found = (canonical if version == 4 else canonical6)(text or "")
    if found is None:
        raise AwsError("InvalidParameterValue", f"CIDR block {text} is malformed")
    return found


def asked_of(permission: Mapping[str, Any], group_of: Any, prefix_list_of: Any) -> list[Asked]:
    """The rules in one IpPermission. group_of: UserIdGroupPair -> (group id, owner); prefix_list_of: id -> id. Raises AwsError."""
    protocol = checked_protocol(permission.get("IpProtocol"))
    low, high = checked_ports(protocol, permission.get("FromPort"), permission.get("ToPort"))
    found = []
    for item in permission.get("IpRanges") or []:
        found.append(
            Asked(protocol, low, high, cidr=checked_cidr(item.get("CidrIp"), 4), description=checked_description(item.get("Description")))
        )
    for item in permission.get("Ipv6Ranges") or []:
        found.append(
            Asked(
                protocol, low, high, cidr6=checked_cidr(item.get("CidrIpv6"), 6), description=checked_description(item.get("Description"))
            )
        )
    for item in permission.get("PrefixListIds") or []:
        name = prefix_list_of(item.get("PrefixListId") or "")
        found.append(Asked(protocol, low, high, prefix_list=name, description=checked_description(item.get("Description"))))
    for item in permission.get("UserIdGroupPairs") or []:
        peer, owner = group_of(item)
        found.append(Asked(protocol, low, high, peer=peer, peer_owner=owner, description=checked_description(item.get("Description"))))
    return found


def flat_permission(given: Mapping[str, Any]) -> dict[str, Any]:
    """The older form of a request, one rule in members of its own, as an IpPermission."""
    shape: dict[str, Any] = {"IpProtocol": given.get("ip_protocol"), "FromPort": given.get("from_port"), "ToPort": given.get("to_port")}
    if given.get("cidr_ip"):
        shape["IpRanges"] = [{"CidrIp": given["cidr_ip"]}]
    if given.get("source_security_group_name"):
        pair = {"GroupName": given["source_security_group_name"], "UserId": given.get("source_security_group_owner_id")}
        shape["UserIdGroupPairs"] = [pair]
        if not shape["IpProtocol"]:
            shape |= {"IpProtocol": "-1"}
    return shape


def said(asked: Asked) -> str:
    """A rule as InvalidPermission.Duplicate names it."""
    peer = asked.cidr or asked.cidr6 or asked.prefix_list or asked.peer
    if asked.protocol == "-1":
        return f"peer: {peer}, ALL, ALLOW"
    if asked.protocol in WITH_PORTS:
        return f"peer: {peer}, {asked.protocol.upper()}, from port: {asked.from_port}, to port: {asked.to_port}, ALLOW"
    return f"peer: {peer}, {asked.protocol.upper()}, type: {asked.from_port}, code: {asked.to_port}, ALLOW"


def permissions_shape(rules: Iterable[SecurityGroupRule]) -> list[dict[str, Any]]:
    """Rules as IpPermissions: one for each protocol and range of ports, with whom below it."""
    shapes: dict[tuple[str, int, int], dict[str, Any]] = {}
    for rule in rules:
        shape = shapes.get((rule.protocol, rule.from_port, rule.to_port))
        if shape is None:
            shape = {"IpProtocol": rule.protocol, "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
            if rule.protocol in ("tcp", "udp", "icmp", "icmpv6"):
                shape |= {"FromPort": rule.from_port, "ToPort": rule.to_port}
            shapes[rule.protocol, rule.from_port, rule.to_port] = shape
        described = {"Description": rule.description} if rule.description else {}
        if rule.cidr:
            shape["IpRanges"].append({"CidrIp": rule.cidr, **described})
        elif rule.cidr6:
            shape["Ipv6Ranges"].append({"CidrIpv6": rule.cidr6, **described})
        elif rule.prefix_list:
            shape["PrefixListIds"].append({"PrefixListId": rule.prefix_list, **described})
        else:
            shape["UserIdGroupPairs"].append({"GroupId": rule.peer, "UserId": rule.peer_owner, **described})
    return list(shapes.values())


def rule_shape(rule: SecurityGroupRule, owner: str, arn: str) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "SecurityGroupRuleId": rule.id,
        "SecurityGroupRuleArn": arn,
        "GroupId": rule.group_id,
        "GroupOwnerId": owner,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from_port,
        "ToPort": rule.to_port,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(rule.tags.items())],
    }
    if rule.cidr:
        shape["CidrIpv4"] = rule.cidr
    elif rule.cidr6:
        shape["CidrIpv6"] = rule.cidr6
    elif rule.prefix_list:
        shape["PrefixListId"] = rule.prefix_list
    else:
        shape["ReferencedGroupInfo"] = {"GroupId": rule.peer, "UserId": rule.peer_owner}
    if rule.description:
        shape["Description"] = rule.description
    return shape
