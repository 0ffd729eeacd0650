"""Security groups (EC2 API reference, 2016-11-15); their rules are `rules.py`'s."""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    checked_page,
    every,
    given_tags,
    need,
    new_id,
    new_needs,
    page_of,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.model import NetworkInterface, SecurityGroup, SecurityGroupRule, Vpc
from windtunnel.services.ec2.network.permissions import permissions_shape

NAME = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}\Z")


def rules_of(ctx: Context, group_id: str) -> list[SecurityGroupRule]:
    """A group's rules, in the order in which they came."""
    found = ctx.tx.find(SecurityGroupRule, "group", group_id) or [r for r in every(ctx, SecurityGroupRule) if r.group_id == group_id]
    return sorted(found, key=lambda rule: rule.number)


def group_shape(ctx: Context, group: SecurityGroup) -> Shape:
    rules = rules_of(ctx, group.id)
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc_id,
        "OwnerId": ctx.scope.account,
        "SecurityGroupArn": ctx.arn("ec2", f"security-group/{group.id}"),
        "IpPermissions": permissions_shape(rule for rule in rules if not rule.egress),
        "IpPermissionsEgress": permissions_shape(rule for rule in rules if rule.egress),
        "Tags": tagged(group),
    }


def _permission_filters(prefix: str, member: str) -> dict[str, Any]:
    return {
        f"{prefix}.cidr": tells(member, "IpRanges", "CidrIp"),
        f"{prefix}.from-port": tells(member, "FromPort"),
        f"{prefix}.to-port": tells(member, "ToPort"),
        f"{prefix}.group-id": tells(member, "UserIdGroupPairs", "GroupId"),
        f"{prefix}.ipv6-cidr": tells(member, "Ipv6Ranges", "CidrIpv6"),
        f"{prefix}.prefix-list-id": tells(member, "PrefixListIds", "PrefixListId"),
        f"{prefix}.protocol": tells(member, "IpProtocol"),
        f"{prefix}.user-id": tells(member, "UserIdGroupPairs", "UserId"),
    }


FILTERS = {
    "group-id": tells("GroupId"),
    "group-name": tells("GroupName"),
    "vpc-id": tells("VpcId"),
    "description": tells("Description"),
    "owner-id": tells("OwnerId"),
    **_permission_filters("ip-permission", "IpPermissions"),
    **_permission_filters("egress.ip-permission", "IpPermissionsEgress"),
}


@reads(
    "ec2",
    "DescribeSecurityGroups",
    authorize=on_everything("ec2:DescribeSecurityGroups"),
    acts="GroupIds[] GroupNames[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_security_groups(
    ctx: Context,
    group_ids: list[str] | None = None,
    group_names: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    size = checked_page(max_results)
    found = [the(ctx, SecurityGroup, name) for name in dict.fromkeys(group_ids)] if group_ids else every(ctx, SecurityGroup)
    if group_names:
        named = [the_default(ctx, name) for name in dict.fromkeys(group_names)]
        found = named if not group_ids else [*found, *(group for group in named if group.id not in group_ids)]
    shapes = chosen([group_shape(ctx, group) for group in found], filters, FILTERS)
    return page_of(shapes, "GroupId", "SecurityGroups", size, next_token)


def the_default(ctx: Context, name: str) -> SecurityGroup:
    """A group of the default VPC by its name; names say nothing in other VPCs. Raises InvalidGroup.NotFound."""
    vpc = next((vpc.id for vpc in every(ctx, Vpc) if vpc.is_default), "")
    found = next((group for group in every(ctx, SecurityGroup) if group.vpc_id == vpc and group.name == name), None)
    if found is None:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC '{vpc}'")
    return found


def one_group(ctx: Context, group_id: str | None, group_name: str | None) -> SecurityGroup:
    """By id, or by the name that it has in the default VPC."""
    if group_id:
        return the(ctx, SecurityGroup, group_id)
    if group_name:
        return the_default(ctx, group_name)
    raise AwsError("MissingParameter", "The request must contain the parameter groupName or groupId")


def on_group(action: str) -> Any:
    """authorize= of an operation on one group, which is given by id or by name."""

    def authorize(ctx: Context, group_id: str | None = None, group_name: str | None = None, **_: Any) -> list[Need]:
        vpc = next((vpc.id for vpc in every(ctx, Vpc) if vpc.is_default), "") if not group_id else ""
        named = (
            [group.id for group in every(ctx, SecurityGroup) if group.name == group_name and group.vpc_id == vpc] if not group_id else []
        )
        return [need(ctx, action, SecurityGroup, group_id or (named[0] if named else "*"))]

    return authorize


def to_create(ctx: Context, vpc_id: str | None = None, tag_specifications: Any = None, **_: Any) -> list[Need]:
    extra = {"ec2:Vpc": ctx.arn("ec2", f"vpc/{vpc_id}")} if vpc_id else {}
    needs = new_needs(ctx, "CreateSecurityGroup", SecurityGroup, tag_specifications, extra)
    return [*needs, need(ctx, "CreateSecurityGroup", Vpc, vpc_id)] if vpc_id else needs


@writes("ec2", "CreateSecurityGroup", authorize=to_create, acts=f"Description GroupName VpcId DryRun {TAGS}")
def create_security_group(
    ctx: Context,
    description: str,
    group_name: str,
    vpc_id: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    vpc = next((vpc for vpc in every(ctx, Vpc) if vpc.is_default), None) if vpc_id is None else the(ctx, Vpc, vpc_id)
    if vpc is None:
        raise AwsError("VPCIdNotSpecified", "No default VPC for this user")
    tags = given_tags(ctx, tag_specifications, SecurityGroup)
    if not NAME.match(group_name) or group_name.startswith("sg-"):
        why = (
            "Group names may not be in the format sg-*."
            if group_name.startswith("sg-")
            else "Character sets beyond ASCII are not supported."
        )
        raise AwsError("InvalidParameterValue", f"Value ({group_name[:300]}) for parameter GroupName is invalid. {why}")
    if not NAME.match(description):
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({description[:300]}) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.",
        )
    if group_name == "default":
        raise AwsError("InvalidParameterValue", "Cannot use reserved security group name: default")
    if any(group.name == group_name and group.vpc_id == vpc.id for group in every(ctx, SecurityGroup)):
        raise AwsError("InvalidGroup.Duplicate", f"The security group '{group_name}' already exists for VPC '{vpc.id}'")
    dry(dry_run)
    ensure(ctx)
    group = SecurityGroup(id=new_id(ctx, SecurityGroup), vpc_id=vpc.id, name=group_name, description=description, tags=tags)
    ctx.tx.put(group)
    ctx.tx.put(SecurityGroupRule(id=new_id(ctx, SecurityGroupRule), group_id=group.id, egress=True, protocol="-1", cidr="0.0.0.0/0"))
    return {"GroupId": group.id, "Tags": tagged(group), "SecurityGroupArn": ctx.arn("ec2", f"security-group/{group.id}")}


@writes("ec2", "DeleteSecurityGroup", authorize=on_group("DeleteSecurityGroup"), acts="GroupId GroupName DryRun")
def delete_security_group(ctx: Context, group_id: str | None = None, group_name: str | None = None, dry_run: bool = False) -> Reply:
    group = one_group(ctx, group_id, group_name)
    if group.name == "default":
        raise AwsError("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
    dry(dry_run)
    ensure(ctx)
    referred = any(rule.group_id != group.id for rule in ctx.tx.find(SecurityGroupRule, "peer", group.id))
    if referred or ctx.tx.find(NetworkInterface, "group", group.id, limit=1):
        raise AwsError("DependencyViolation", f"resource {group.id} has a dependent object")
    for rule in ctx.tx.find(SecurityGroupRule, "group", group.id):
        ctx.tx.delete(SecurityGroupRule, rule.id)
    ctx.tx.delete(SecurityGroup, group.id)
    return {"Return": True, "GroupId": group.id}
