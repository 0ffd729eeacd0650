"""What an instance's metadata says of its network: addresses, hardware address, groups, subnet and VPC.

Invariant: it is what DescribeInstances says, except that a public address is known from the first boot on, when the instance counts as pending still.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from windtunnel.kernel.records import Tx
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.model import Instance, private_address, private_dns
from windtunnel.services.ec2.network.model import NetworkInterface, SecurityGroup, Subnet, Vpc


class Surroundings(NamedTuple):
    """What the instance's own record does not hold. blocks: the VPC's, the primary one first; mac: empty for a boot that has no place in a VPC."""

    mac: str = ""
    subnet_cidr: str = ""
    blocks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("default",)


NO_VPC = Surroundings()


def surroundings(tx: Tx, scope: Scope, instance: Instance) -> Surroundings:
    here = tx.within(scope.account, scope.region)
    eni = here.get(NetworkInterface, instance.interface_id) if instance.wired else None
    subnet = here.get(Subnet, eni.subnet_id) if eni is not None else None
    vpc = here.get(Vpc, eni.vpc_id) if eni is not None else None
    if eni is None or subnet is None or vpc is None:
        return NO_VPC
    named = [group.name for name in eni.groups if (group := here.get(SecurityGroup, name)) is not None]
    return Surroundings(eni.mac, subnet.cidr, tuple(block.cidr for block in vpc.blocks), tuple(named))


def network_tree(scope: Scope, instance: Instance, around: Surroundings) -> dict[str, Any]:
    """The parts of `/latest/meta-data/` that are about the network."""
    private, public = private_address(instance), instance.elastic_ip or (instance.private_ip if instance.public else "")
    name, mac, groups = private_dns(scope, private), around.mac or made_up_mac(private), "\n".join(around.groups)
    interface: dict[str, Any] = {
        "device-number": "0",
        "interface-id": instance.interface_id,
        "local-hostname": name,
        "local-ipv4s": private,
        "mac": mac,
        "owner-id": instance.owner,
        "security-groups": groups,
        "security-group-ids": "\n".join(instance.groups),
        "subnet-id": instance.subnet_id,
        "subnet-ipv4-cidr-block": around.subnet_cidr,
        "vpc-id": instance.vpc_id,
        "vpc-ipv4-cidr-block": around.blocks[0] if around.blocks else "",
        "vpc-ipv4-cidr-blocks": "\n".join(around.blocks),
    }
    tree = {"hostname": name, "local-hostname": name, "local-ipv4": private, "mac": mac, "security-groups": groups}
    if public:
        interface |= {"public-hostname": public, "public-ipv4s": public, "ipv4-associations": {public: private}}
        tree |= {"public-hostname": public, "public-ipv4": public}
    shown = {leaf: value for leaf, value in interface.items() if value}
    return tree | {"network": {"interfaces": {"macs": {mac: shown}}}}


def made_up_mac(address: str) -> str:
    return "02:" + ":".join(f"{part:02x}" for part in [0, *(int(p) for p in (address or "0.0.0.0").split("."))])
