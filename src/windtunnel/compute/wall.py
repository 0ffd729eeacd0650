"""A wall as nftables rules inside a sandbox's network namespace, where the guest has no NET_ADMIN to change it. Pure.

Invariant: the text replaces whatever wall is there in one transaction, and at no instant is there none: the chains stay hooked, only
their rules are exchanged. What a spec says enters the text as numbers and as addresses that were parsed.

How packets come. The public address lies on `outside` (the cable to the host's bridge), the private one on `eth0`. What arrives at the
public one is turned to the private one before it is looked at, so that programs see what they see on AWS: one address, their private one.
What leaves by `outside` leaves as the public address. A connection that came by `outside` is answered there although a private network
may claim the asker's address: it is marked, and marks have a routing table of their own (see private.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from windtunnel.compute.driver import Rule, Wall

OUTSIDE = "outside"
INSIDE = "eth0"
MARK = 0x77
ICMP, TCP, UDP = 1, 6, 17
_PORTS = {TCP: "tcp", UDP: "udp"}


def wall_rules(wall: Wall, own: str, private: str, servers: Sequence[str]) -> str:
    """For `nft -f`. own: the sandbox's address on the host's side; private: its address on eth0; servers: whom it asks for names."""
    names = f"ip daddr {{ {', '.join(servers)} }} meta l4proto {{ tcp, udp }} th dport 53" if servers else ""
    named = f"ip saddr {{ {', '.join(servers)} }} meta l4proto {{ tcp, udp }} th sport 53" if servers else ""
    public = wall.public
    chains = {
        "arrive": [f"iifname {OUTSIDE} ip daddr {public} dnat ip to {private}"] if public else [],
        "note": [f"iifname {OUTSIDE} ct state new ct mark set {MARK}"],
        "way": [f"ct mark {MARK} meta mark set {MARK}", *([f"{names} meta mark set {MARK}"] if names else [])],
        "leave": [f"oifname {OUTSIDE} ip saddr {private} snat ip to {public or own}"],
        "in": [
            "iifname lo accept",
            "meta nfproto ipv6 drop",
            *([f"{named} ct state established accept"] if named else []),
            *_acl("acl_in", wall.acl_ingress, f"iifname {OUTSIDE}", f"iifname {INSIDE} ip saddr != {wall.subnet}"),
            "ct state established,related accept",
            *([f"iifname {OUTSIDE} ct status dnat ct original ip daddr {public} jump ingress"] if public else []),
            f"iifname {INSIDE} jump ingress",
            "drop",
        ],
        "out": [
            "oifname lo accept",
            "meta nfproto ipv6 drop",
            *([f"{names} accept"] if names else []),
            *_acl("acl_out", wall.acl_egress, f"oifname {OUTSIDE}", f"oifname {INSIDE} ip daddr != {wall.subnet}"),
            "ct state established,related accept",
            *([] if wall.outbound else [f"oifname {OUTSIDE} drop"]),
            "jump egress",
            "drop",
        ],
        "ingress": list(_rules(wall.ingress, "saddr")),
        "egress": list(_rules(wall.egress, "daddr")),
        "acl_in": [*_rules(wall.acl_ingress or (), "saddr", "return"), "drop"],
        "acl_out": [*_rules(wall.acl_egress or (), "daddr", "return"), "drop"],
    }
    hooked = {
        "arrive": "type nat hook prerouting priority -100",
        "note": "type filter hook prerouting priority -150",
        "way": "type route hook output priority -150",
        "leave": "type nat hook postrouting priority 100",
        "in": "type filter hook input priority 0",
        "out": "type filter hook output priority 0",
    }
    plain = [name for name in chains if name not in hooked]  # before they are jumped to
    body = "".join(_chain(name, [hooked[name]] if name in hooked else [], chains[name]) for name in [*plain, *hooked])
    return f"table inet wall\nflush table inet wall\ntable inet wall {{\n{body}}}\n"


def _chain(name: str, head: list[str], rules: list[str]) -> str:
    lines = "".join(f"    {line}\n" for line in [*head, *rules])
    return f"  chain {name} {{\n{lines}  }}\n"


def _acl(chain: str, rules: tuple[Rule, ...] | None, *where: str) -> list[str]:
    return [] if rules is None else [f"{place} jump {chain}" for place in where]


def _rules(rules: Iterable[Rule], side: str, passing: str = "accept") -> Iterable[str]:
    for rule in rules:
        if rule.peers is not None and not rule.peers:
            continue  # nobody
        yield " ".join([*_peers(rule, side), *_what(rule), passing if rule.allow else "drop"])


def _peers(rule: Rule, side: str) -> list[str]:
    """Collapsed: nft takes no set whose members overlap."""
    networks = list(ipaddress.collapse_addresses(ipaddress.IPv4Network(peer) for peer in rule.peers or ()))
    if rule.peers is None or networks == [ipaddress.IPv4Network("0.0.0.0/0")]:
        return ["meta nfproto ipv4"]
    return [f"ip {side} {{ {', '.join(map(str, networks))} }}"]


def _what(rule: Rule) -> list[str]:
    if rule.protocol is None:
        return []
    if rule.ports is None:
        return [f"meta l4proto {rule.protocol}"]
    first, last = rule.ports
    if rule.protocol == ICMP:
        return ["meta l4proto 1", *([f"icmp type {first}"] if first >= 0 else []), *([f"icmp code {last}"] if last >= 0 else [])]
    if first < 0:
        return [f"meta l4proto {rule.protocol}"]
    return [f"{_PORTS[rule.protocol]} dport {first}-{last}" if first != last else f"{_PORTS[rule.protocol]} dport {first}"]
