"""Elastic IP addresses (EC2 API reference, 2016-11-15).

Invariant: an address that can answer on this machine is the compute driver's, reserved under the allocation's id before the transaction and given
back by a job after the release; where no sandbox can run there is none, and the address is one of a range that is set aside (198.18.0.0/16).
"""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.compute.driver import SandboxError
from windtunnel.jobs import Run, job
from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything, the_instances
from windtunnel.services.ec2.model import Instance
from windtunnel.services.ec2.network.common import TAGS, Shape, every, given_tags, need, new_id, on, tagged, tells, the
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.model import NetworkInterface, Resource
from windtunnel.services.ec2.network.surroundings import InternetGateway
from windtunnel.services.ec2.network.touching import touched


class Address(Resource, kw_only=True):
    """An elastic address; association_id is empty while nothing has it. instance_id: the instance whose interface has it.

    reserved: it is the compute driver's. holder: what has it if no instance does, a NAT gateway's id.
    """

    KIND: ClassVar[str] = "ec2.elastic-ip"
    TYPE: ClassVar[str] = "elastic-ip"
    PREFIX: ClassVar[str] = "eipalloc"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist")
    INDEXES: ClassVar = {
        "public": "public_ip",
        "association": lambda address: [address.association_id] if address.association_id else [],
        "instance": lambda address: [address.instance_id] if address.instance_id else [],
        "interface": lambda address: [address.interface_id] if address.interface_id else [],
    }

    public_ip: str
    association_id: str = ""
    instance_id: str = ""
    interface_id: str = ""
    private_ip: str = ""
    vpc_id: str = ""
    holder: str = ""
    reserved: bool = False

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:AllocationId": self.id, "ec2:Domain": "vpc", "ec2:PublicIpAddress": self.public_ip}


def address_shape(ctx: Context, address: Address) -> Shape:
    shape: Shape = {
        "PublicIp": address.public_ip,
        "AllocationId": address.id,
        "Domain": "vpc",
        "NetworkBorderGroup": ctx.scope.region,
        "PublicIpv4Pool": "amazon",
        "Tags": tagged(address),
    }
    if address.association_id:
        shape |= {
            "AssociationId": address.association_id,
            "NetworkInterfaceId": address.interface_id,
            "NetworkInterfaceOwnerId": ctx.scope.account,
            "PrivateIpAddress": address.private_ip,
        }
    if address.instance_id:
        shape["InstanceId"] = address.instance_id
    return shape


FILTERS = {
    "allocation-id": tells("AllocationId"),
    "association-id": tells("AssociationId"),
    "domain": tells("Domain"),
    "instance-id": tells("InstanceId"),
    "network-border-group": tells("NetworkBorderGroup"),
    "network-interface-id": tells("NetworkInterfaceId"),
    "network-interface-owner-id": tells("NetworkInterfaceOwnerId"),
    "private-ip-address": tells("PrivateIpAddress"),
    "public-ip": tells("PublicIp"),
}


def by_ip(ctx: Context, ip: str) -> Address:
    found = ctx.tx.find(Address, "public", ip, limit=1)
    if not found:
        raise AwsError("InvalidAddress.NotFound", f"Address '{ip}' not found.")
    return found[0]


@reads(
    "ec2",
    "DescribeAddresses",
    authorize=on_everything("ec2:DescribeAddresses"),
    acts="PublicIps[] AllocationIds[] Filters[].Name Filters[].Values[] DryRun",
    cost="scan",
)
def describe_addresses(
    ctx: Context,
    public_ips: list[str] | None = None,
    allocation_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    found = [the(ctx, Address, name) for name in allocation_ids or []] + [by_ip(ctx, ip) for ip in public_ips or []]
    if not allocation_ids and not public_ips:
        found = every(ctx, Address)
    return {"Addresses": chosen([address_shape(ctx, address) for address in found], filters, FILTERS)}


@reads(
    "ec2",
    "DescribeAddressesAttribute",
    authorize=on_everything("ec2:DescribeAddressesAttribute"),
    acts="AllocationIds[] Attribute DryRun",
    cost="scan",
)
def describe_addresses_attribute(
    ctx: Context, allocation_ids: list[str] | None = None, attribute: str | None = None, dry_run: bool = False
) -> Reply:
    """No address has a reverse name: `ModifyAddressAttribute` is not built."""
    dry(dry_run)
    found = [the(ctx, Address, name) for name in allocation_ids] if allocation_ids else every(ctx, Address)
    return {"Addresses": [{"PublicIp": address.public_ip, "AllocationId": address.id} for address in found]}


def prepared_address(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """prepare= of an allocation: its id, and the address that the driver keeps for it (None where no sandbox can run)."""
    if args.get("dry_run"):
        return args
    return {**args, "prepared": reserved_address(ctx)}


def reserved_address(ctx: Context) -> tuple[str, str | None]:
    """(id of an allocation to be made, its address or None). In a thread: it asks the compute driver."""
    name = new_id(ctx, Address)
    driver = ctx.cloud.part("compute")
    if driver.available() is not None:
        return name, None
    try:
        return name, driver.reserve_address(name)
    except SandboxError:
        return name, None


def set_aside(ctx: Context) -> str:
    """An address of 198.18.0.0/16 that no allocation has: nothing answers there."""
    while True:
        number = int(ctx.ids.hex(4), 16)
        ip = f"198.18.{number >> 8}.{number & 255}"
        if not ctx.tx.find(Address, "public", ip, limit=1):
            return ip


@writes(
    "ec2",
    "AllocateAddress",
    authorize=on("AllocateAddress", new=Address),
    acts=f"Domain DryRun {TAGS}",
    default_only={"PublicIpv4Pool": "amazon"},
    prepare=prepared_address,
)
def allocate_address(
    ctx: Context,
    domain: str = "vpc",
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
    prepared: tuple[str, str | None] | None = None,
    **_: Any,
) -> Reply:
    tags = given_tags(ctx, tag_specifications, Address)
    if domain != "vpc":
        raise AwsError("InvalidParameterValue", f"Value ({domain}) for parameter domain is invalid. Only 'vpc' is supported.")
    dry(dry_run)
    name, ip = prepared or (new_id(ctx, Address), None)
    address = Address(id=name, public_ip=ip or set_aside(ctx), reserved=ip is not None, tags=tags)
    ctx.tx.put(address)
    return {
        "AllocationId": address.id,
        "PublicIp": address.public_ip,
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": ctx.scope.region,
        "Domain": "vpc",
    }


def on_address(action: str) -> Any:
    """authorize= of an operation on an address by allocation, association or the address itself, and on what is to have it."""

    def authorize(ctx: Context, **given: Any) -> list[Need]:
        name = given.get("allocation_id")
        if not name:
            held = [
                a for a in every(ctx, Address) if given.get("association_id") == a.association_id or given.get("public_ip") == a.public_ip
            ]
            name = held[0].id if held else "*"
        needs = [need(ctx, action, Address, name)]
        if given.get("instance_id"):
            needs.append(Need(f"ec2:{action}", ctx.arn("ec2", f"instance/{given['instance_id']}"), {"ec2:Region": ctx.scope.region}))
        if given.get("network_interface_id"):
            needs.append(need(ctx, action, NetworkInterface, given["network_interface_id"]))
        return needs

    return authorize


def named(ctx: Context, allocation_id: str | None, public_ip: str | None) -> Address:
    if allocation_id:
        return the(ctx, Address, allocation_id)
    if public_ip:
        return by_ip(ctx, public_ip)
    raise AwsError("MissingParameter", "Either public IP or allocation id must be specified")


@writes(
    "ec2",
    "ReleaseAddress",
    authorize=on_address("ReleaseAddress"),
    acts="AllocationId PublicIp DryRun",
    descriptive="NetworkBorderGroup",
)
def release_address(ctx: Context, allocation_id: str | None = None, public_ip: str | None = None, dry_run: bool = False, **_: Any) -> Reply:
    address = named(ctx, allocation_id, public_ip)
    if address.association_id:
        raise AwsError("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
    dry(dry_run)
    ctx.tx.delete(Address, address.id)
    ctx.start_job("ec2.release-address", f"{address.id}/release", allocation_id=address.id)
    return {}


@job("ec2.release-address")
def give_back(run: Run, allocation_id: str) -> None:
    """The driver may give the address to another. Repeating it does nothing."""
    run.effect("remove", hand_back, run.cloud, allocation_id)


def hand_back(cloud: Cloud, allocation_id: str, token: str) -> None:
    driver = cloud.part("compute")
    if driver.available() is None:
        driver.remove(allocation_id)


@writes(
    "ec2",
    "AssociateAddress",
    authorize=on_address("AssociateAddress"),
    acts="AllocationId PublicIp InstanceId NetworkInterfaceId PrivateIpAddress AllowReassociation DryRun",
)
def associate_address(
    ctx: Context,
    allocation_id: str | None = None,
    public_ip: str | None = None,
    instance_id: str | None = None,
    network_interface_id: str | None = None,
    private_ip_address: str | None = None,
    allow_reassociation: bool | None = None,
    dry_run: bool = False,
) -> Reply:
    """With an instance's first interface, or one that is named. Without AllowReassociation=false what had the address loses it, as on AWS."""
    address = named(ctx, allocation_id, public_ip)
    eni = the_interface(ctx, instance_id, network_interface_id)
    ip = private_ip_address or eni.private_ip
    if ip not in (eni.private_ip, *eni.secondary_ips):
        raise AwsError(
            "InvalidParameterValue", f"You must specify a private IP address of the network interface: {ip} is none of {eni.id}."
        )
    taken = address.association_id and address.interface_id != eni.id
    if taken and (not allow_reassociation or address.holder):
        raise AwsError(
            "Resource.AlreadyAssociated", f"resource {address.id} is already associated with associate-id {address.association_id}"
        )
    if not any(gateway.vpc_id == eni.vpc_id for gateway in every(ctx, InternetGateway)):
        raise AwsError("Gateway.NotAttached", f"Network {eni.vpc_id} is not attached to any internet gateway")
    dry(dry_run)
    ensure(ctx)
    for other in ctx.tx.find(Address, "interface", eni.id):
        if other.id != address.id:
            parted(ctx, other)
    if address.association_id:
        parted(ctx, address)
    join(ctx, address, eni, ip)
    return {"AssociationId": address.association_id}


def the_interface(ctx: Context, instance_id: str | None, network_interface_id: str | None) -> NetworkInterface:
    if instance_id and network_interface_id:
        raise AwsError("InvalidParameterCombination", "Either an instance or a network interface may be specified, not both")
    if network_interface_id:
        return the(ctx, NetworkInterface, network_interface_id)
    if not instance_id:
        raise AwsError("MissingParameter", "Either instance ID or network interface id must be specified")
    instance = the_instances(ctx, [instance_id])[0]
    if instance.state in ("shutting-down", "terminated"):
        raise AwsError("IncorrectInstanceState", f"The instance '{instance_id}' is not in a valid state for this operation.")
    ensure(ctx)
    return min(ctx.tx.find(NetworkInterface, "instance", instance_id), key=lambda eni: eni.device)


def join(ctx: Context, address: Address, eni: NetworkInterface, private_ip: str, holder: str = "") -> None:
    """The interface has the address from now on."""
    address.association_id, address.interface_id, address.private_ip = new_id(ctx, "eipassoc"), eni.id, private_ip
    address.vpc_id, address.instance_id, address.holder = eni.vpc_id, eni.instance_id, holder
    ctx.tx.put(address)
    shown_by(ctx, address.instance_id, address.public_ip)
    touched(ctx, address.vpc_id)


def parted(ctx: Context, address: Address) -> None:
    """Nothing has the address any longer."""
    vpc, instance = address.vpc_id, address.instance_id
    address.association_id = address.instance_id = address.interface_id = address.private_ip = address.vpc_id = address.holder = ""
    ctx.tx.put(address)
    shown_by(ctx, instance, "")
    touched(ctx, vpc)


def shown_by(ctx: Context, instance_id: str, ip: str) -> None:
    instance = ctx.tx.get(Instance, instance_id) if instance_id else None
    if instance is not None:
        instance.elastic_ip = ip
        ctx.tx.put(instance)


@writes("ec2", "DisassociateAddress", authorize=on_address("DisassociateAddress"), acts="AssociationId PublicIp DryRun")
def disassociate_address(ctx: Context, association_id: str | None = None, public_ip: str | None = None, dry_run: bool = False) -> Reply:
    if association_id:
        found = ctx.tx.find(Address, "association", association_id, limit=1)
        if not found:
            raise AwsError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")
        address = found[0]
    else:
        address = named(ctx, None, public_ip)
    if address.holder:
        raise AwsError("AuthFailure", "You do not have permission to access the specified resource.", status=403)
    dry(dry_run)
    if address.association_id:
        parted(ctx, address)
    return {}
