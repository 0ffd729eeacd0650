"""The rules of security groups: authorised, revoked, changed, described (EC2 API reference, 2016-11-15).

Invariant: no two rules of a group say the same (`SecurityGroupRule.what`); a request that asks for several rules gets all of them or none.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.ec2.instances import dry
from windtunnel.services.ec2.network.common import TAGS, Shape, describes, every, given_tags, need, new_id, new_needs, peek, tells, the
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.groups import on_group, one_group, rules_of, the_default
from windtunnel.services.ec2.network.model import SecurityGroup, SecurityGroupRule, Vpc
from windtunnel.services.ec2.network.permissions import (
    MAX_RULES,
    Asked,
    asked_of,
    checked_description,
    flat_permission,
    permissions_shape,
    rule_shape,
    said,
)
from windtunnel.services.ec2.network.touching import touched

PERMISSIONS = (
    "IpPermissions[].IpProtocol IpPermissions[].FromPort IpPermissions[].ToPort IpPermissions[].IpRanges[].CidrIp"
    " IpPermissions[].IpRanges[].Description IpPermissions[].Ipv6Ranges[].CidrIpv6 IpPermissions[].Ipv6Ranges[].Description"
    " IpPermissions[].PrefixListIds[].PrefixListId IpPermissions[].PrefixListIds[].Description"
    " IpPermissions[].UserIdGroupPairs[].GroupId IpPermissions[].UserIdGroupPairs[].GroupName IpPermissions[].UserIdGroupPairs[].UserId"
    " IpPermissions[].UserIdGroupPairs[].VpcId IpPermissions[].UserIdGroupPairs[].VpcPeeringConnectionId"
    " IpPermissions[].UserIdGroupPairs[].PeeringStatus IpPermissions[].UserIdGroupPairs[].Description"
)
FLAT = "CidrIp FromPort ToPort IpProtocol SourceSecurityGroupName SourceSecurityGroupOwnerId"


def shape(ctx: Context, rule: SecurityGroupRule) -> Shape:
    return rule_shape(rule, ctx.scope.account, ctx.arn("ec2", f"security-group-rule/{rule.id}"))


describes(
    "DescribeSecurityGroupRules",
    SecurityGroupRule,
    shape,
    ids="SecurityGroupRuleIds",
    member="SecurityGroupRuleId",
    out="SecurityGroupRules",
    filters={"group-id": tells("GroupId"), "security-group-rule-id": tells("SecurityGroupRuleId")},
    listed=lambda ctx: sorted(every(ctx, SecurityGroupRule), key=lambda rule: (rule.group_id, rule.number)),
)


def reader(ctx: Context, group: SecurityGroup) -> Any:
    """IpPermission -> rules that are asked for, names turned into ids."""

    def group_of(pair: dict[str, Any]) -> tuple[str, str]:
        from windtunnel.services.ec2.network.holding import peered

        owner = pair.get("UserId") or ctx.scope.account
        if not pair.get("GroupId"):
            return the_default(ctx, pair.get("GroupName") or "").id, ctx.scope.account
        name = pair["GroupId"]
        if owner == ctx.scope.account:
            other = the(ctx, SecurityGroup, name)
        else:
            found = ctx.tx.within(owner, ctx.scope.region).get(SecurityGroup, name)
            if found is None:
                raise AwsError("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
            other = found
        if other.vpc_id != group.vpc_id and not peered(ctx, group.vpc_id, other.vpc_id):
            raise AwsError("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
        return name, owner

    def prefix_list_of(name: str) -> str:
        from windtunnel.services.ec2.network.holding import prefix_list_exists

        if not prefix_list_exists(ctx, name):
            raise AwsError("InvalidPrefixListID.NotFound", f"The prefix list ID '{name}' does not exist")
        return name

    return lambda permission: asked_of(permission, group_of, prefix_list_of)


def asked_rules(ctx: Context, group: SecurityGroup, given: dict[str, Any]) -> list[Asked]:
    """The rules that a request names, in either form. Raises MissingParameter when it names none."""
    permissions = given.get("ip_permissions") or []
    flat = any(given.get(name) not in (None, "") for name in ("cidr_ip", "ip_protocol", "source_security_group_name"))
    read = reader(ctx, group)
    found = [asked for permission in ([flat_permission(given)] if flat else permissions) for asked in read(permission)]
    if not found:
        raise AwsError("MissingParameter", "The request must contain the parameter ipPermissions with at least one source or destination")
    return found


def authorized(ctx: Context, egress: bool, given: dict[str, Any]) -> Reply:
    group = one_group(ctx, given.get("group_id"), given.get("group_name"))
    tags = given_tags(ctx, given.get("tag_specifications"), SecurityGroupRule)
    asked = asked_rules(ctx, group, given)
    rules = rules_of(ctx, group.id)
    held = {rule.what() for rule in rules}
    for one in asked:
        if one.what(egress) in held:
            if [other.what(egress) for other in asked].count(one.what(egress)) > 1 and one.what(egress) not in {r.what() for r in rules}:
                raise AwsError("InvalidParameterValue", "The same permission must not appear multiple times")
            raise AwsError("InvalidPermission.Duplicate", f'the specified rule "{said(one)}" already exists')
        held.add(one.what(egress))
    if sum(1 for rule in rules if rule.egress == egress) + len(asked) > MAX_RULES:
        raise AwsError("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
    dry(given.get("dry_run", False))
    ensure(ctx)
    number = max((rule.number for rule in rules), default=0)
    made = []
    for one in asked:
        number += 1
        rule = SecurityGroupRule(
            id=new_id(ctx, SecurityGroupRule), group_id=group.id, egress=egress, number=number, tags=dict(tags), **one._asdict()
        )
        ctx.tx.put(rule)
        made.append(rule)
    touched(ctx, group.vpc_id)
    return {"Return": True, "SecurityGroupRules": [shape(ctx, rule) for rule in made]}


def to_authorize(action: str) -> Any:
    def authorize(ctx: Context, tag_specifications: Any = None, **given: Any) -> list[Need]:
        needs: list[Need] = on_group(action)(ctx, **given)
        if any(item.get("Tags") for item in tag_specifications or []):
            needs += new_needs(ctx, action, SecurityGroupRule, tag_specifications)
        return needs

    return authorize


@writes(
    "ec2",
    "AuthorizeSecurityGroupIngress",
    authorize=to_authorize("AuthorizeSecurityGroupIngress"),
    acts=f"GroupId GroupName DryRun {FLAT} {PERMISSIONS} {TAGS}",
)
def authorize_security_group_ingress(ctx: Context, **given: Any) -> Reply:
    return authorized(ctx, False, given)


@writes(
    "ec2",
    "AuthorizeSecurityGroupEgress",
    authorize=to_authorize("AuthorizeSecurityGroupEgress"),
    acts=f"GroupId DryRun {FLAT} {PERMISSIONS} {TAGS}",
)
def authorize_security_group_egress(ctx: Context, group_id: str, **given: Any) -> Reply:
    return authorized(ctx, True, {"group_id": group_id, **given})


def revoked(ctx: Context, egress: bool, given: dict[str, Any]) -> Reply:
    group = one_group(ctx, given.get("group_id"), given.get("group_name"))
    rules = [rule for rule in rules_of(ctx, group.id) if rule.egress == egress]
    unknown: list[dict[str, Any]] = []
    if given.get("security_group_rule_ids"):
        by_id = {rule.id: rule for rule in rules}
        for name in given["security_group_rule_ids"]:
            if name not in by_id:
                raise AwsError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{name}' does not exist")
        going = [by_id[name] for name in dict.fromkeys(given["security_group_rule_ids"])]
    else:
        by_what = {rule.what(): rule for rule in rules}
        asked = asked_rules(ctx, group, given)
        going = [by_what[one.what(egress)] for one in asked if one.what(egress) in by_what]
        absent = [one for one in asked if one.what(egress) not in by_what]
        if absent:
            vpc = peek(ctx, Vpc, group.vpc_id)
            if vpc is None or not vpc.is_default:
                raise AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            unknown = permissions_shape(SecurityGroupRule(id="", group_id=group.id, egress=egress, **one._asdict()) for one in absent)
    dry(given.get("dry_run", False))
    ensure(ctx)
    for rule in going:
        ctx.tx.delete(SecurityGroupRule, rule.id)
    touched(ctx, group.vpc_id)
    shown = []
    for rule in going:
        one = shape(ctx, rule)
        peer = one.pop("ReferencedGroupInfo", None)
        kept = (
            "SecurityGroupRuleId",
            "GroupId",
            "IsEgress",
            "IpProtocol",
            "FromPort",
            "ToPort",
            "CidrIpv4",
            "CidrIpv6",
            "PrefixListId",
            "Description",
        )
        shown.append({name: one[name] for name in kept if name in one} | ({"ReferencedGroupId": peer["GroupId"]} if peer else {}))
    return {"Return": True, "UnknownIpPermissions": unknown, "RevokedSecurityGroupRules": shown}


@writes(
    "ec2",
    "RevokeSecurityGroupIngress",
    authorize=on_group("RevokeSecurityGroupIngress"),
    acts=f"GroupId GroupName SecurityGroupRuleIds[] DryRun {FLAT} {PERMISSIONS}",
)
def revoke_security_group_ingress(ctx: Context, **given: Any) -> Reply:
    return revoked(ctx, False, given)


@writes(
    "ec2",
    "RevokeSecurityGroupEgress",
    authorize=on_group("RevokeSecurityGroupEgress"),
    acts=f"GroupId SecurityGroupRuleIds[] DryRun {FLAT} {PERMISSIONS}",
)
def revoke_security_group_egress(ctx: Context, group_id: str, **given: Any) -> Reply:
    return revoked(ctx, True, {"group_id": group_id, **given})


def to_modify(ctx: Context, group_id: str, security_group_rules: list[dict[str, Any]], **_: Any) -> list[Need]:
    action = "ModifySecurityGroupRules"
    rules = [need(ctx, action, SecurityGroupRule, item.get("SecurityGroupRuleId") or "*") for item in security_group_rules]
    return [need(ctx, action, SecurityGroup, group_id), *rules]


FIELDS = "IpProtocol FromPort ToPort CidrIpv4 CidrIpv6 PrefixListId ReferencedGroupId Description"


@writes(
    "ec2",
    "ModifySecurityGroupRules",
    authorize=to_modify,
    acts="GroupId DryRun SecurityGroupRules[].SecurityGroupRuleId "
    + " ".join(f"SecurityGroupRules[].SecurityGroupRule.{name}" for name in FIELDS.split()),
)
def modify_security_group_rules(ctx: Context, group_id: str, security_group_rules: list[dict[str, Any]], dry_run: bool = False) -> Reply:
    """Each rule becomes what it is given as, whole: what is not given of it is none."""
    group = the(ctx, SecurityGroup, group_id)
    held = {rule.id: rule for rule in rules_of(ctx, group_id)}
    read = reader(ctx, group)
    for item in security_group_rules:
        name, wanted = item.get("SecurityGroupRuleId") or "", item.get("SecurityGroupRule") or {}
        if name not in held:
            raise AwsError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{name}' does not exist")
        become(held[name], wanted, read)
    if len({rule.what() for rule in held.values()}) < len(held):
        raise AwsError("InvalidPermission.Duplicate", "The specified rule already exists")
    dry(dry_run)
    ensure(ctx)
    for item in security_group_rules:
        ctx.tx.put(held[item["SecurityGroupRuleId"]])
    touched(ctx, group.vpc_id)
    return {"Return": True}


def become(rule: SecurityGroupRule, wanted: dict[str, Any], read: Any) -> None:
    sides = [name for name in ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId") if wanted.get(name)]
    if len(sides) != 1:
        raise AwsError(
            "InvalidParameterCombination", "Exactly one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId must be specified."
        )
    permission = {name: wanted.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}
    value, described = wanted[sides[0]], {"Description": wanted.get("Description")}
    permission |= {
        "CidrIpv4": {"IpRanges": [{"CidrIp": value, **described}]},
        "CidrIpv6": {"Ipv6Ranges": [{"CidrIpv6": value, **described}]},
        "PrefixListId": {"PrefixListIds": [{"PrefixListId": value, **described}]},
        "ReferencedGroupId": {"UserIdGroupPairs": [{"GroupId": value, **described}]},
    }[sides[0]]
    (asked,) = read(permission)
    for name, given in asked._asdict().items():
        setattr(rule, name, given)


def described_anew(ctx: Context, egress: bool, given: dict[str, Any]) -> Reply:
    group = one_group(ctx, given.get("group_id"), given.get("group_name"))
    rules = {rule.what(): rule for rule in rules_of(ctx, group.id) if rule.egress == egress}
    by_id = {rule.id: rule for rule in rules.values()}
    going: list[tuple[SecurityGroupRule, str]] = []
    for item in given.get("security_group_rule_descriptions") or []:
        name = item.get("SecurityGroupRuleId") or ""
        if name not in by_id:
            raise AwsError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{name}' does not exist")
        going.append((by_id[name], checked_description(item.get("Description"))))
    if not going:
        for one in asked_rules(ctx, group, given):
            if one.what(egress) not in rules:
                raise AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            going.append((rules[one.what(egress)], one.description))
    dry(given.get("dry_run", False))
    ensure(ctx)
    for rule, words in going:
        rule.description = words
        ctx.tx.put(rule)
    return {"Return": True}


DESCRIPTIONS = f"GroupId GroupName DryRun SecurityGroupRuleDescriptions[].SecurityGroupRuleId SecurityGroupRuleDescriptions[].Description {PERMISSIONS}"


@writes(
    "ec2",
    "UpdateSecurityGroupRuleDescriptionsIngress",
    authorize=on_group("UpdateSecurityGroupRuleDescriptionsIngress"),
    acts=DESCRIPTIONS,
)
def update_security_group_rule_descriptions_ingress(ctx: Context, **given: Any) -> Reply:
    return described_anew(ctx, False, given)


@writes(
    "ec2",
    "UpdateSecurityGroupRuleDescriptionsEgress",
    authorize=on_group("UpdateSecurityGroupRuleDescriptionsEgress"),
    acts=DESCRIPTIONS,
)
def update_security_group_rule_descriptions_egress(ctx: Context, **given: Any) -> Reply:
    return described_anew(ctx, True, given)
