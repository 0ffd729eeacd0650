"""A wall as text: what it says, and that nft takes whatever it can say."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sandboxes
from windtunnel.compute.driver import PrivateNetwork, Rule, Wall, check_wall
from windtunnel.compute.private import guest_batch, link_batch, member, public_batch, with_mac
from windtunnel.compute.wall import wall_rules

OWN, PRIVATE, SERVERS = "198.19.0.10", "10.0.1.4", ["192.0.2.53"]


def text(servers: list[str] | None = None, **wall: Any) -> str:
    return wall_rules(Wall(**wall), OWN, PRIVATE, SERVERS if servers is None else servers)


def chain(rules: str, name: str) -> list[str]:
    body = rules.split(f"  chain {name} {{\n")[1].split("  }\n")[0]
    return [line.strip() for line in body.splitlines()]


def test_it_replaces_itself_without_unhooking() -> None:
    assert text().startswith("table inet wall\nflush table inet wall\ntable inet wall {\n")
    assert "delete" not in text()


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        pytest.param(Rule(), "meta nfproto ipv4 accept", id="everything"),
        pytest.param(Rule(peers=("0.0.0.0/0", "10.0.0.0/8")), "meta nfproto ipv4 accept", id="everybody among others"),
        pytest.param(Rule(protocol=6, ports=(80, 80)), "meta nfproto ipv4 tcp dport 80 accept", id="a port"),
        pytest.param(Rule(protocol=17, ports=(1, 9), peers=("10.0.0.1/32",)), "ip saddr { 10.0.0.1/32 } udp dport 1-9 accept", id="ports"),
        pytest.param(
            Rule(peers=("10.0.0.0/16", "10.0.3.0/24", "10.1.0.0/16")),
            "ip saddr { 10.0.0.0/15 } accept",
            id="networks that overlap and touch",
        ),
        pytest.param(Rule(protocol=1, ports=(8, -1)), "meta nfproto ipv4 meta l4proto 1 icmp type 8 accept", id="a type"),
        pytest.param(Rule(protocol=1, ports=(3, 4)), "meta nfproto ipv4 meta l4proto 1 icmp type 3 icmp code 4 accept", id="type and code"),
        pytest.param(Rule(protocol=50), "meta nfproto ipv4 meta l4proto 50 accept", id="a protocol"),
    ],
)
def test_rules(rule: Rule, line: str) -> None:
    assert chain(text(ingress=(rule,)), "ingress") == [line]
    assert chain(text(egress=(rule,)), "egress") == [line.replace("saddr", "daddr")]


def test_nobody_is_no_rule() -> None:
    assert chain(text(ingress=(Rule(peers=()),)), "ingress") == []


def test_without_a_public_address_nothing_comes_by_the_outside() -> None:
    assert not [line for line in chain(text(ingress=(Rule(),)), "in") if "outside" in line]
    assert chain(text(), "arrive") == ["type nat hook prerouting priority -100"]
    with_one = text(public="198.19.0.77")
    assert "iifname outside ip daddr 198.19.0.77 dnat ip to 10.0.1.4" in chain(with_one, "arrive")
    assert "oifname outside ip saddr 10.0.1.4 snat ip to 198.19.0.77" in chain(with_one, "leave")
    assert "oifname outside ip saddr 10.0.1.4 snat ip to 198.19.0.10" in chain(text(outbound=True), "leave")


def test_names_are_asked_for_before_anything_is_refused() -> None:
    out = chain(text(acl_egress=(), subnet="10.0.1.0/24"), "out")
    names = next(at for at, line in enumerate(out) if "th dport 53 accept" in line)
    assert all(names < at for at, line in enumerate(out) if "drop" in line and "ipv6" not in line or "jump" in line)
    assert "53" not in text(servers=[])


def test_rules_for_each_packet_keep_their_order_and_end_in_a_refusal() -> None:
    rules = (Rule(protocol=6, ports=(22, 22), allow=False), Rule())
    said = text(acl_ingress=rules, subnet="10.0.1.0/24")
    assert chain(said, "acl_in") == ["meta nfproto ipv4 tcp dport 22 drop", "meta nfproto ipv4 return", "drop"]
    assert "iifname eth0 ip saddr != 10.0.1.0/24 jump acl_in" in chain(said, "in")
    assert "jump acl_out" not in said


addresses = st.integers(0, 2**32 - 1).map(lambda n: f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")
networks = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: "{}.{}.{}.{}/{}".format(*((pair[0] >> 32 - pair[1] << 32 - pair[1]) >> shift & 255 for shift in (24, 16, 8, 0)), pair[1])
)
peers = st.none() | st.lists(networks, max_size=6).map(tuple)
ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda pair: (min(pair), max(pair)))
types = st.tuples(st.integers(-1, 255), st.integers(-1, 255))
rules = st.one_of(
    st.builds(Rule, peers=peers, protocol=st.none() | st.integers(0, 255)),
    st.builds(Rule, peers=peers, protocol=st.sampled_from([6, 17]), ports=ports),
    st.builds(Rule, peers=peers, protocol=st.just(1), ports=types),
)
many = st.lists(rules, max_size=8).map(tuple)
walls = st.builds(
    Wall,
    public=st.none() | addresses,
    outbound=st.booleans(),
    ingress=many,
    egress=many,
    acl_ingress=st.none() | many,
    acl_egress=st.none() | many,
    subnet=networks,
)


@pytest.mark.skipif(sandboxes.reason() is not None, reason=f"nft cannot be asked here: {sandboxes.reason()}")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wall=walls, servers=st.lists(addresses, max_size=3, unique=True))
def test_nft_takes_every_wall(wall: Wall, servers: list[str]) -> None:
    check_wall(wall)
    said = wall_rules(wall, OWN, PRIVATE, servers)
    done = subprocess.run(["unshare", "--net", "nft", "-f", "-"], input=said, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{done.stderr}\n{said}"


# -- cables and addresses


def test_every_sandbox_has_a_hardware_address_of_its_own() -> None:
    place = PrivateNetwork(network="vpc-1", ip="10.0.1.4", prefix=24)
    one, two = with_mac(place, "one"), with_mac(place, "two")
    assert one.mac != two.mac and one == with_mac(place, "one") and one.mac.startswith("02:")
    assert with_mac(one, "two") == one
    assert f"address {one.mac} netns @PID@" in link_batch("wt1", one)
    assert member("wt1", one) == f'add element bridge guard members {{ "wt1" . {one.mac} . 10.0.1.4 }}\n'


def test_an_address_that_moves_is_not_kept() -> None:
    assert public_batch(None, OWN) == public_batch(OWN, OWN) == "addr flush dev outside label outside:pub\n"
    assert public_batch("198.19.0.77", OWN).endswith("addr add 198.19.0.77/32 dev outside label outside:pub\n")


@pytest.mark.parametrize(
    ("routes", "neighbours"),
    [
        pytest.param(("10.0.0.0/16",), True, id="apart from the outside"),
        pytest.param(("198.19.0.0/16",), False, id="over the outside: the private network comes first"),
    ],
)
def test_where_packets_go(routes: tuple[str, ...], neighbours: bool) -> None:
    import ipaddress

    place = PrivateNetwork(network="vpc-1", ip="10.0.1.4", prefix=24, routes=routes)
    said = guest_batch(place, OWN, ipaddress.IPv4Network("198.19.0.0/20"))
    assert f"route add {routes[0]} dev eth0 src 10.0.1.4" in said
    assert ("route add 198.19.0.0/20 dev outside src 10.0.1.4" in said) is neighbours
    assert "route add default via 198.19.0.1 dev outside onlink table 119" in said
