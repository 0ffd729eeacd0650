"""What may reach an instance and what it may reach, out of the records of its network: the driver's `PrivateNetwork`. Reads only.

Invariants, as on AWS (VPC user guide, "Security groups", "Network ACLs", "Internet gateways"): what one of its groups allows is allowed; a group named
in a rule stands for the private addresses of the interfaces in it; a public address works while the subnet's default route leads to a gateway of
its VPC, and who has none of its own goes out by a NAT gateway or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.compute.driver import PrivateNetwork, Rule, Wall
from windtunnel.kernel.context import Context
from windtunnel.services.ec2.model import Instance
from windtunnel.services.ec2.network.elastic import Address
from windtunnel.services.ec2.network.model import NetworkInterface, SecurityGroupRule, Subnet, Vpc
from windtunnel.services.ec2.network.prefixes import blocks_of
from windtunnel.services.ec2.network.surroundings import AclEntry, InternetGateway, NetworkAcl, RouteTable

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
ANYWHERE = "0.0.0.0/0"


def private_network(ctx: Context, instance: Instance) -> PrivateNetwork | None:
    """Its place by its first interface; None for what has none (an instance of a release that knew no networks, not booted since)."""
    eni = ctx.tx.get(NetworkInterface, instance.interface_id) if instance.interface_id else None
    subnet = ctx.tx.get(Subnet, eni.subnet_id) if eni is not None else None
    vpc = ctx.tx.get(Vpc, eni.vpc_id) if eni is not None else None
    if eni is None or subnet is None or vpc is None:
        return None
    return PrivateNetwork(
        network=vpc.id,
        ip=eni.private_ip,
        prefix=int(subnet.cidr.rpartition("/")[2]),
        routes=tuple(block.cidr for block in vpc.blocks),
        mac=eni.mac,
        wall=wall(ctx, instance, eni, subnet),
    )


def wall(ctx: Context, instance: Instance, eni: NetworkInterface, subnet: Subnet) -> Wall:
    by_gateway, by_nat = ways_out(ctx, subnet)
    public = public_of(ctx, instance, eni) if by_gateway else None
    rules = [rule for group in eni.groups for rule in ctx.tx.find(SecurityGroupRule, "group", group)]
    acl = acl_of(ctx, subnet)
    return Wall(
        public=public,
        outbound=by_nat or public is not None,
        ingress=group_rules(ctx, (rule for rule in rules if not rule.egress)),
        egress=group_rules(ctx, (rule for rule in rules if rule.egress)),
        acl_ingress=acl_rules(acl.entries, egress=False) if acl is not None else None,
        acl_egress=acl_rules(acl.entries, egress=True) if acl is not None else None,
        subnet=subnet.cidr,
    )


def public_of(ctx: Context, instance: Instance, eni: NetworkInterface) -> str | None:
    """The address at which the outside may know it: an elastic one before its own."""
    elastic = ctx.tx.find(Address, "interface", eni.id, limit=1)
    if elastic:
        return elastic[0].public_ip if elastic[0].reserved else None
    return instance.private_ip if instance.public and instance.private_ip else None


def ways_out(ctx: Context, subnet: Subnet) -> tuple[bool, bool]:
    """Whether the subnet's default route leads to a gateway that its VPC has, and whether to a NAT gateway."""
    tables = ctx.tx.find(RouteTable, "subnet", subnet.id, limit=1) or [t for t in ctx.tx.find(RouteTable, "vpc", subnet.vpc_id) if t.main]
    for route in tables[0].routes if tables else ():
        if route.cidr == ANYWHERE and route.target == "GatewayId":
            gateway = ctx.tx.get(InternetGateway, route.target_id)
            return gateway is not None and gateway.vpc_id == subnet.vpc_id, False
        if route.cidr == ANYWHERE and route.target == "NatGatewayId":
            return False, True
    return False, False


# -- rules ----------------------------------------------------------------------------------------------------------


def group_rules(ctx: Context, rules: Iterable[SecurityGroupRule]) -> tuple[Rule, ...]:
    """One rule for each kind of packet, with all whom any of the rules names; in an order of its own, so that equal walls are equal."""
    peers: dict[tuple[int, tuple[int, int] | None], set[str]] = {}
    for rule in rules:
        named = peers_of(ctx, rule)
        if named:
            protocol = number_of(rule.protocol)
            peers.setdefault((-1 if protocol is None else protocol, ports_of(protocol, rule.from_port, rule.to_port)), set()).update(named)
    return tuple(
        Rule(protocol=None if protocol < 0 else protocol, ports=ports, peers=None if ANYWHERE in named else tuple(sorted(named)))
        for (protocol, ports), named in sorted(peers.items(), key=lambda item: (item[0][0], item[0][1] or (-1, -1)))
    )


def peers_of(ctx: Context, rule: SecurityGroupRule) -> list[str]:
    """The networks that a rule names: none for one of version 6."""
    if rule.cidr:
        return [rule.cidr]
    if rule.peer:
        tx = ctx.tx if rule.peer_owner in ("", ctx.scope.account) else ctx.tx.within(rule.peer_owner, ctx.scope.region)
        members = tx.find(NetworkInterface, "group", rule.peer)
        return [f"{ip}/32" for eni in members for ip in (eni.private_ip, *eni.secondary_ips)]
    return blocks_of(ctx, rule.prefix_list) if rule.prefix_list else []


def number_of(protocol: str) -> int | None:
    """An IP protocol's number; None for all of them."""
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else None if protocol == "-1" else int(protocol)


def ports_of(protocol: int | None, first: int, last: int) -> tuple[int, int] | None:
    """Ports of TCP and UDP, type and code of ICMP; None where the rule is about all of them, or the protocol has none."""
    if protocol not in (1, 6, 17) or first == -1:
        return None
    return (first, last) if protocol == 1 else (first, max(first, last))


def acl_of(ctx: Context, subnet: Subnet) -> NetworkAcl | None:
    found = ctx.tx.find(NetworkAcl, "subnet", subnet.id, limit=1)
    return found[0] if found else next((acl for acl in ctx.tx.find(NetworkAcl, "vpc", subnet.vpc_id) if acl.is_default), None)


def acl_rules(entries: Iterable[AclEntry], egress: bool) -> tuple[Rule, ...] | None:
    """In the order of their numbers, those of version 4; None if the first lets everything pass, as that of a default ACL does."""
    rules = []
    for entry in sorted((e for e in entries if e.egress == egress and e.cidr), key=lambda entry: entry.number):
        protocol = number_of(entry.protocol)
        ports = entry.icmp if protocol == 1 and entry.icmp and entry.icmp[0] >= 0 else entry.ports if protocol in (6, 17) else None
        allow, anybody = entry.action == "allow", entry.cidr == ANYWHERE
        rules.append(Rule(protocol=protocol, ports=ports, peers=None if anybody else (entry.cidr,), allow=allow))
        if allow and anybody and protocol is None:
            if len(rules) == 1:
                return None
            break
    return tuple(rules)
