"""Walls follow the records: what an instance boots behind, and what changes while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ec2_lab import Machine, described, launch, running  # noqa: E402

from harness import InProcessCloud, until  # noqa: E402
from windtunnel.compute.driver import PrivateNetwork, Rule, Wall  # noqa: E402
from windtunnel.services.ec2.network.model import NetworkInterface  # noqa: E402
from windtunnel.services.ec2.network.surroundings import AclEntry, InternetGateway, NetworkAcl, Route, RouteTable  # noqa: E402
from windtunnel.services.ec2.network.wall import acl_rules, ports_of  # noqa: E402
from windtunnel.services.ec2.walls import changed  # noqa: E402

EVERYTHING = (Rule(),)
WEB = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def cloud(machine: Machine) -> Iterator[InProcessCloud]:
    with machine.cloud() as made:
        yield made


class Network:
    """A VPC with one subnet and a group."""

    def __init__(self, cloud: InProcessCloud) -> None:
        self.cloud = cloud
        self.vpc = str(cloud.api("ec2", "CreateVpc", cidr_block="10.0.0.0/16")["Vpc"]["VpcId"])
        self.subnet = str(cloud.api("ec2", "CreateSubnet", vpc_id=self.vpc, cidr_block="10.0.1.0/24")["Subnet"]["SubnetId"])
        self.group = self.another("web")

    def another(self, name: str) -> str:
        return str(self.cloud.api("ec2", "CreateSecurityGroup", group_name=name, description=name, vpc_id=self.vpc)["GroupId"])

    def allow(self, group: str, **permission: Any) -> None:
        self.cloud.api("ec2", "AuthorizeSecurityGroupIngress", group_id=group, ip_permissions=[permission])

    def instance(self, *groups: str, public: bool = False) -> str:
        place = {"DeviceIndex": 0, "SubnetId": self.subnet, "Groups": list(groups or [self.group]), "AssociatePublicIpAddress": public}
        return running(self.cloud, network_interfaces=[place])

    def way_out(self) -> None:
        def make(ctx: Any) -> None:
            ctx.tx.put(InternetGateway(id="igw-1", vpc_id=self.vpc))
            [table] = ctx.tx.find(RouteTable, "vpc", self.vpc)
            table.routes = [*table.routes, Route("GatewayId", "igw-1", cidr="0.0.0.0/0")]
            ctx.tx.put(table)
            changed(ctx, self.vpc)

        self.cloud.write(make)


def spec(machine: Machine, instance: str) -> PrivateNetwork:
    private = machine.world.boots[instance][-1].spec.private
    assert private is not None
    return private


def becomes(machine: Machine, instance: str, **wanted: Any) -> None:
    def fits() -> bool:
        wall = machine.world.wall(instance)
        return wall is not None and all(getattr(wall, name) == value for name, value in wanted.items())

    until(fits, 10, f"a wall with {wanted}: {machine.world.wall(instance)}")


def test_an_instance_boots_in_its_vpc_behind_its_groups(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    network.allow(network.group, **WEB)
    instance = network.instance()
    eni = described(cloud, instance)["NetworkInterfaces"][0]
    private = spec(machine, instance)
    assert (private.network, private.ip, private.prefix) == (network.vpc, "10.0.1.4", 24)
    assert (private.routes, private.mac) == (("10.0.0.0/16",), eni["MacAddress"])
    assert private.wall == Wall(ingress=(Rule(protocol=6, ports=(80, 81)),), egress=EVERYTHING, subnet="10.0.1.0/24")
    assert machine.world.boots[instance][-1].spec.hostname == "ip-10-0-1-4"
    assert described(cloud, instance)["PrivateIpAddress"] == "10.0.1.4"
    assert "PublicIpAddress" not in described(cloud, instance)


def test_the_default_network_lets_everything_in_and_out(machine: Machine, cloud: InProcessCloud) -> None:
    instance = running(cloud)
    wall = spec(machine, instance).wall
    own = machine.world.addresses[instance]
    assert (wall.public, wall.outbound, wall.ingress, wall.egress) == (own, True, EVERYTHING, EVERYTHING)
    assert described(cloud, instance)["PublicIpAddress"] == own


def test_a_public_address_needs_a_way(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    instance = network.instance(public=True)
    own = machine.world.addresses[instance]
    assert described(cloud, instance)["PublicIpAddress"] == own, "shown, as on AWS, though nothing leads there"
    assert (spec(machine, instance).wall.public, spec(machine, instance).wall.outbound) == (None, False)
    network.way_out()
    becomes(machine, instance, public=own, outbound=True)


def test_a_group_in_a_rule_is_its_members_addresses(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    clients = network.another("clients")
    network.allow(network.group, IpProtocol="tcp", FromPort=5432, ToPort=5432, UserIdGroupPairs=[{"GroupId": clients}])
    server = network.instance()
    becomes(machine, server, ingress=())
    client = network.instance(clients)
    address = f"{spec(machine, client).ip}/32"
    becomes(machine, server, ingress=(Rule(protocol=6, ports=(5432, 5432), peers=(address,)),))
    cloud.api("ec2", "TerminateInstances", instance_ids=[client])
    becomes(machine, server, ingress=())


def test_a_prefix_list_in_a_rule_is_its_entries(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    entries = [{"Cidr": "203.0.113.0/24"}]
    made = cloud.api("ec2", "CreateManagedPrefixList", prefix_list_name="us", max_entries=5, address_family="IPv4", entries=entries)
    name = made["PrefixList"]["PrefixListId"]
    network.allow(network.group, IpProtocol="-1", PrefixListIds=[{"PrefixListId": name}])
    instance = network.instance()
    becomes(machine, instance, ingress=(Rule(peers=("203.0.113.0/24",)),))
    more = [{"Cidr": "198.51.100.0/24"}]
    cloud.api("ec2", "ModifyManagedPrefixList", prefix_list_id=name, current_version=1, add_entries=more)
    becomes(machine, instance, ingress=(Rule(peers=("198.51.100.0/24", "203.0.113.0/24")),))


def test_rules_that_come_and_go_are_built_on_what_runs(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    instance = network.instance()
    network.allow(network.group, **WEB)
    becomes(machine, instance, ingress=(Rule(protocol=6, ports=(80, 81)),))
    cloud.api("ec2", "RevokeSecurityGroupIngress", group_id=network.group, ip_permissions=[WEB])
    becomes(machine, instance, ingress=())
    other = network.another("other")
    network.allow(other, IpProtocol="icmp", FromPort=8, ToPort=-1, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    cloud.api("ec2", "ModifyInstanceAttribute", instance_id=instance, groups=[other])
    becomes(machine, instance, ingress=(Rule(protocol=1, ports=(8, -1), peers=("10.0.0.0/8",)),))
    cloud.api(
        "ec2", "RevokeSecurityGroupEgress", group_id=other, ip_permissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    becomes(machine, instance, egress=())


def test_an_elastic_address_is_the_public_one_while_it_is_associated(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    network.way_out()
    instance = network.instance(public=True)
    own = machine.world.addresses[instance]
    held = cloud.api("ec2", "AllocateAddress", domain="vpc")
    cloud.api("ec2", "AssociateAddress", allocation_id=held["AllocationId"], instance_id=instance)
    becomes(machine, instance, public=held["PublicIp"])
    assert machine.world.addresses[held["AllocationId"]] == held["PublicIp"] == described(cloud, instance)["PublicIpAddress"]
    cloud.api("ec2", "DisassociateAddress", public_ip=held["PublicIp"])
    becomes(machine, instance, public=own)


def test_a_stray_elastic_address_is_given_back_at_the_next_start(machine: Machine) -> None:
    """A cloud that was killed between the driver's reservation and the commit."""
    with machine.cloud() as cloud:
        kept = cloud.api("ec2", "AllocateAddress", domain="vpc")["AllocationId"]
        running(cloud)
        cloud.cloud.part("compute").reserve_address("eipalloc-0123456789abcdef0")
    with machine.cloud():
        until(lambda: "eipalloc-0123456789abcdef0" not in machine.world.addresses, 10, "the stray is gone")
        assert kept in machine.world.addresses


def test_a_killed_cloud_s_change_is_built_by_the_next(machine: Machine) -> None:
    with machine.cloud() as cloud:
        network = Network(cloud)
        instance = network.instance()
        machine.world.boots[instance][-1].wall = Wall()  # what was built last is not what the records say
    with machine.cloud():
        becomes(machine, instance, egress=EVERYTHING)


def test_nothing_is_built_while_nothing_runs(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    cloud.write(lambda ctx: changed(ctx, network.vpc))
    assert not cloud.cloud.part("walls")._wanted


def test_a_stopped_instance_boots_behind_the_rules_of_then(machine: Machine, cloud: InProcessCloud) -> None:
    network = Network(cloud)
    instance = network.instance()
    cloud.api("ec2", "StopInstances", instance_ids=[instance])
    until(lambda: described(cloud, instance)["State"]["Name"] == "stopped", 10, "the stop")
    network.allow(network.group, **WEB)
    cloud.api("ec2", "StartInstances", instance_ids=[instance])
    until(lambda: machine.boots(instance) == 2 and machine.runs(instance), 10, "the second boot")
    assert spec(machine, instance).wall.ingress == (Rule(protocol=6, ports=(80, 81)),)
    assert spec(machine, instance).ip == "10.0.1.4"


def test_instances_of_one_launch_have_addresses_of_their_own(machine: Machine, cloud: InProcessCloud) -> None:
    launch(cloud, min_count=2, max_count=2)
    until(lambda: len(machine.world.boots) == 2, 10, "both")
    assert len({spec(machine, name).ip for name in machine.world.boots}) == 2
    assert cloud.read(lambda ctx: len(ctx.tx.scan(NetworkInterface))) == 2


# -- the pure part


@pytest.mark.parametrize(
    ("protocol", "first", "last", "ports"),
    [
        pytest.param(6, 80, 90, (80, 90), id="ports"),
        pytest.param(6, -1, -1, None, id="all ports"),
        pytest.param(1, 8, -1, (8, -1), id="echo requests of every code"),
        pytest.param(1, -1, -1, None, id="all of ICMP"),
        pytest.param(50, 0, 65535, None, id="a protocol without ports"),
        pytest.param(None, -1, -1, None, id="everything"),
    ],
)
def test_ports(protocol: int | None, first: int, last: int, ports: tuple[int, int] | None) -> None:
    assert ports_of(protocol, first, last) == ports


def entry(number: int, action: str, cidr: str = "0.0.0.0/0", **more: Any) -> AclEntry:
    return AclEntry(number, False, action, more.pop("protocol", "-1"), cidr=cidr, **more)


@pytest.mark.parametrize(
    ("entries", "rules"),
    [
        pytest.param([entry(100, "allow")], None, id="everything passes"),
        pytest.param([], (), id="nothing passes"),
        pytest.param(
            [entry(200, "allow"), entry(100, "deny", "10.9.0.0/16"), entry(300, "deny", "10.8.0.0/16")],
            (Rule(peers=("10.9.0.0/16",), allow=False), Rule()),
            id="in the order of numbers, to where it is decided",
        ),
        pytest.param(
            [entry(1, "allow", protocol="6", ports=(1024, 65535)), entry(2, "allow", protocol="1", icmp=(8, -1))],
            (Rule(protocol=6, ports=(1024, 65535)), Rule(protocol=1, ports=(8, -1))),
            id="ports and types",
        ),
        pytest.param(
            [AclEntry(1, True, "allow", "-1", cidr="0.0.0.0/0"), AclEntry(2, False, "allow", "-1", cidr6="::/0")], (), id="others"
        ),
    ],
)
def test_rules_of_an_acl(entries: list[AclEntry], rules: tuple[Rule, ...] | None) -> None:
    assert acl_rules(entries, egress=False) == rules
    assert NetworkAcl(id="acl-1", vpc_id="vpc-1", entries=entries).entries == entries
