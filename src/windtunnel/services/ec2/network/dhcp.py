"""DHCP option sets (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.network.common import TAGS, Shape, describes, every, given_tags, need, new_id, on, tagged, tells, the
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.model import Vpc
from windtunnel.services.ec2.network.surroundings import DhcpOptions

KNOWN = (
    "domain-name-servers",
    "domain-name",
    "ntp-servers",
    "netbios-name-servers",
    "netbios-node-type",
    "ipv6-address-preferred-lease-time",
)


def options_shape(ctx: Context, options: DhcpOptions) -> Shape:
    return {
        "DhcpOptionsId": options.id,
        "OwnerId": ctx.scope.account,
        "DhcpConfigurations": [{"Key": key, "Values": [{"Value": value} for value in held]} for key, held in options.options.items()],
        "Tags": tagged(options),
    }


describes(
    "DescribeDhcpOptions",
    DhcpOptions,
    options_shape,
    ids="DhcpOptionsIds",
    member="DhcpOptionsId",
    out="DhcpOptions",
    filters={
        "dhcp-options-id": tells("DhcpOptionsId"),
        "key": tells("DhcpConfigurations", "Key"),
        "value": tells("DhcpConfigurations", "Values", "Value"),
        "owner-id": tells("OwnerId"),
    },
)


@writes(
    "ec2",
    "CreateDhcpOptions",
    authorize=on("CreateDhcpOptions", new=DhcpOptions),
    acts=f"DhcpConfigurations[].Key DhcpConfigurations[].Values[] DryRun {TAGS}",
)
def create_dhcp_options(
    ctx: Context,
    dhcp_configurations: list[dict[str, Any]],
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    options: dict[str, list[str]] = {}
    for item in dhcp_configurations:
        key, values = item.get("Key", ""), item.get("Values") or []
        if key not in KNOWN:
            raise AwsError("InvalidParameterValue", f"Value ({key}) for parameter dhcpOption is invalid. Unknown DHCP option")
        if not values:
            raise AwsError("InvalidParameterValue", f"Value () for parameter {key} is invalid. No value was given.")
        options[key] = list(values)
    if not options:
        raise AwsError("MissingParameter", "The request must contain the parameter dhcpConfiguration")
    tags = given_tags(ctx, tag_specifications, DhcpOptions)
    dry(dry_run)
    ensure(ctx)
    made = DhcpOptions(id=new_id(ctx, DhcpOptions), options=options, tags=tags)
    ctx.tx.put(made)
    return {"DhcpOptions": options_shape(ctx, made)}


@writes("ec2", "DeleteDhcpOptions", authorize=on("DeleteDhcpOptions", (DhcpOptions, "dhcp_options_id")), acts="DhcpOptionsId DryRun")
def delete_dhcp_options(ctx: Context, dhcp_options_id: str, dry_run: bool = False) -> Reply:
    options = the(ctx, DhcpOptions, dhcp_options_id)
    if any(vpc.dhcp_options == options.id for vpc in every(ctx, Vpc)):
        raise AwsError("DependencyViolation", f"The dhcpOptions '{dhcp_options_id}' has dependencies and cannot be deleted.")
    dry(dry_run)
    ensure(ctx)
    ctx.tx.delete(DhcpOptions, options.id)
    return {}


def to_associate(ctx: Context, dhcp_options_id: str, vpc_id: str, **_: Any) -> list[Need]:
    action = "AssociateDhcpOptions"
    sets = [need(ctx, action, DhcpOptions, dhcp_options_id)] if dhcp_options_id != "default" else []
    return [*sets, need(ctx, action, Vpc, vpc_id)]


@writes("ec2", "AssociateDhcpOptions", authorize=to_associate, acts="DhcpOptionsId VpcId DryRun")
def associate_dhcp_options(ctx: Context, dhcp_options_id: str, vpc_id: str, dry_run: bool = False) -> Reply:
    vpc = the(ctx, Vpc, vpc_id)
    if dhcp_options_id != "default":
        the(ctx, DhcpOptions, dhcp_options_id)
    dry(dry_run)
    ensure(ctx)
    vpc.dhcp_options = dhcp_options_id
    ctx.tx.put(vpc)
    return {}
