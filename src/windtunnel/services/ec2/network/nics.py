"""Network interfaces as resources of their own (EC2 API reference, 2016-11-15).

A sandbox has one interface, so that attaching another one to an instance is not built; one that stands ready may be an instance's first.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.model import Instance
from windtunnel.services.ec2.network.common import (
    TAGS,
    describes,
    fingerprint,
    given_tags,
    made_before,
    need,
    new_needs,
    on,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.elastic import Address
from windtunnel.services.ec2.network.interfaces import make_interface, wear
from windtunnel.services.ec2.network.model import NetworkInterface, SecurityGroup, Subnet
from windtunnel.services.ec2.network.showing import groups_shape, interface_shape
from windtunnel.services.ec2.network.touching import touched
from windtunnel.services.ec2.placing import checked_groups

describes(
    "DescribeNetworkInterfaces",
    NetworkInterface,
    interface_shape,
    ids="NetworkInterfaceIds",
    member="NetworkInterfaceId",
    out="NetworkInterfaces",
    filters={
        "network-interface-id": tells("NetworkInterfaceId"),
        "subnet-id": tells("SubnetId"),
        "vpc-id": tells("VpcId"),
        "availability-zone": tells("AvailabilityZone"),
        "description": tells("Description"),
        "group-id": tells("Groups", "GroupId"),
        "group-name": tells("Groups", "GroupName"),
        "interface-type": tells("InterfaceType"),
        "mac-address": tells("MacAddress"),
        "owner-id": tells("OwnerId"),
        "private-ip-address": tells("PrivateIpAddress"),
        "private-dns-name": tells("PrivateDnsName"),
        "addresses.private-ip-address": tells("PrivateIpAddresses", "PrivateIpAddress"),
        "addresses.primary": tells("PrivateIpAddresses", "Primary"),
        "addresses.association.public-ip": tells("PrivateIpAddresses", "Association", "PublicIp"),
        "association.allocation-id": tells("Association", "AllocationId"),
        "association.association-id": tells("Association", "AssociationId"),
        "association.public-ip": tells("Association", "PublicIp"),
        "attachment.attachment-id": tells("Attachment", "AttachmentId"),
        "attachment.delete-on-termination": tells("Attachment", "DeleteOnTermination"),
        "attachment.device-index": tells("Attachment", "DeviceIndex"),
        "attachment.instance-id": tells("Attachment", "InstanceId"),
        "attachment.instance-owner-id": tells("Attachment", "InstanceOwnerId"),
        "attachment.status": tells("Attachment", "Status"),
        "requester-id": tells("RequesterId"),
        "requester-managed": tells("RequesterManaged"),
        "source-dest-check": tells("SourceDestCheck"),
        "status": tells("Status"),
    },
)


def to_create(ctx: Context, subnet_id: str, groups: list[str] | None = None, tag_specifications: Any = None, **_: Any) -> list[Need]:
    action = "CreateNetworkInterface"
    extra = {"ec2:Subnet": ctx.arn("ec2", f"subnet/{subnet_id}")}
    needs = [*new_needs(ctx, action, NetworkInterface, tag_specifications, extra), need(ctx, action, Subnet, subnet_id)]
    return needs + [need(ctx, action, SecurityGroup, name) for name in groups or []]


@writes(
    "ec2",
    "CreateNetworkInterface",
    authorize=to_create,
    acts=f"SubnetId PrivateIpAddress PrivateIpAddresses[].PrivateIpAddress PrivateIpAddresses[].Primary Groups[] ClientToken DryRun {TAGS}",
    descriptive="Description",
    default_only={"InterfaceType": "interface"},
)
def create_network_interface(
    ctx: Context,
    subnet_id: str,
    private_ip_address: str | None = None,
    private_ip_addresses: list[dict[str, Any]] | None = None,
    groups: list[str] | None = None,
    description: str = "",
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
    **_: Any,
) -> Reply:
    for asked in private_ip_addresses or []:
        if asked.get("Primary") is False or (private_ip_address and asked.get("PrivateIpAddress") != private_ip_address):
            raise not_built("ec2", "CreateNetworkInterface", "PrivateIpAddresses beyond the primary one")
        private_ip_address = asked.get("PrivateIpAddress")
    request = {"SubnetId": subnet_id, "Ip": private_ip_address, "Groups": groups, "Description": description, "Tags": tag_specifications}
    eni = made_before(ctx, NetworkInterface, client_token, request)
    if eni is None:
        subnet, tags = the(ctx, Subnet, subnet_id), given_tags(ctx, tag_specifications, NetworkInterface)
        wanted = checked_groups(ctx, subnet, groups or [])
        dry(dry_run)
        ensure(ctx)
        eni = make_interface(
            ctx, subnet, private_ip_address or "", groups=wanted, description=description, tags=tags, client_token=client_token or "",
            fingerprint=fingerprint(request),
        )  # fmt: skip
    shape = interface_shape(ctx, eni)
    return {"NetworkInterface": shape | {"Status": "pending"}, "ClientToken": client_token or ""}


@writes(
    "ec2",
    "DeleteNetworkInterface",
    authorize=on("DeleteNetworkInterface", (NetworkInterface, "network_interface_id")),
    acts="NetworkInterfaceId DryRun",
)
def delete_network_interface(ctx: Context, network_interface_id: str, dry_run: bool = False) -> Reply:
    eni = the(ctx, NetworkInterface, network_interface_id)
    if eni.managed_by:
        raise AwsError("OperationNotPermitted", "You do not have permission to access the specified resource.")
    if eni.instance_id:
        raise AwsError("InvalidParameterValue", f"Network interface '{eni.id}' is currently in use.")
    if ctx.tx.find(Address, "interface", eni.id, limit=1):
        raise AwsError("InvalidParameterValue", f"Network interface '{eni.id}' has an elastic IP address associated with it.")
    dry(dry_run)
    ctx.tx.delete(NetworkInterface, eni.id)
    return {}


@writes(
    "ec2",
    "ModifyNetworkInterfaceAttribute",
    authorize=on("ModifyNetworkInterfaceAttribute", (NetworkInterface, "network_interface_id"), (SecurityGroup, "groups")),
    acts="NetworkInterfaceId Groups[] Attachment.AttachmentId Attachment.DeleteOnTermination DryRun",
    descriptive="Description.Value SourceDestCheck.Value",
)
def modify_network_interface_attribute(
    ctx: Context,
    network_interface_id: str,
    groups: list[str] | None = None,
    attachment: dict[str, Any] | None = None,
    description: dict[str, str] | None = None,
    source_dest_check: dict[str, bool] | None = None,
    dry_run: bool = False,
) -> Reply:
    """One attribute a call."""
    eni = the(ctx, NetworkInterface, network_interface_id)
    given = [each for each in (groups, attachment, description, source_dest_check) if each is not None]
    if len(given) != 1:
        word = "Fields for multiple attribute types specified" if given else "No attributes specified."
        raise AwsError("InvalidParameterCombination", word)
    if groups is not None:
        regroup(ctx, eni, groups, dry_run)
        return {}
    if attachment is not None:
        if not eni.attachment_id or attachment.get("AttachmentId") not in (None, eni.attachment_id):
            raise AwsError("InvalidAttachmentID.NotFound", f"The attachment ID '{attachment.get('AttachmentId')}' does not exist")
        eni.delete_on_termination = bool(attachment.get("DeleteOnTermination"))
    elif description is not None:
        eni.description = description.get("Value") or ""
    elif source_dest_check is not None:
        eni.source_dest_check = bool(source_dest_check.get("Value"))
    dry(dry_run)
    ctx.tx.put(eni)
    return {}


def regroup(ctx: Context, eni: NetworkInterface, groups: list[str], dry_run: bool = False) -> None:
    """The interface, and the instance whose first it is, has these groups from now on."""
    if eni.kind == "nat_gateway":
        raise AwsError("OperationNotPermitted", "You do not have permission to access the specified resource.")
    if not groups:
        raise AwsError("InvalidParameterValue", "Invalid security groups: []")
    eni.groups = checked_groups(ctx, the(ctx, Subnet, eni.subnet_id), groups)
    dry(dry_run)
    ctx.tx.put(eni)
    instance = ctx.tx.get(Instance, eni.instance_id) if eni.instance_id and eni.device == 0 else None
    if instance is not None:
        wear(instance, eni)
        ctx.tx.put(instance)
    touched(ctx, eni.vpc_id)


@reads(
    "ec2",
    "DescribeNetworkInterfaceAttribute",
    authorize=on("DescribeNetworkInterfaceAttribute", (NetworkInterface, "network_interface_id")),
    acts="NetworkInterfaceId Attribute DryRun",
)
def describe_network_interface_attribute(
    ctx: Context, network_interface_id: str, attribute: str | None = None, dry_run: bool = False
) -> Reply:
    eni = the(ctx, NetworkInterface, network_interface_id)
    dry(dry_run)
    known: dict[str, Reply] = {
        "description": {"Description": {"Value": eni.description}},
        "groupSet": {"Groups": groups_shape(ctx, eni.groups)},
        "sourceDestCheck": {"SourceDestCheck": {"Value": eni.source_dest_check}},
        "attachment": {"Attachment": interface_shape(ctx, eni).get("Attachment", {})},
    }
    if not attribute:
        raise AwsError("MissingParameter", "The request must contain the parameter attribute")
    if attribute not in known:
        raise not_built("ec2", "DescribeNetworkInterfaceAttribute", f"Attribute {attribute}")
    return {"NetworkInterfaceId": eni.id, **known[attribute]}
