"""What CloudFormation's types of EC2 share: made by one operation with tags in TagSpecifications, found by their id, tagged by CreateTags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.tags import users_pairs
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import listed, tag_changes, with_stack_tags
from windtunnel.provision.registry import Created, Properties, Resource, Wanted
from windtunnel.provision.shaping import properties
from windtunnel.provision.simple import Mapped, dig


class Ec2Type(Mapped):
    """kind: as TagSpecifications name it, "" for what has no tags. ids: the input member of `reads` that lists ids; shapes: the output member.

    filter: the filter by which `reads` finds one instead, where it takes no ids. filters: the input member that holds filters.
    """

    service: ClassVar[str] = "ec2"
    kind: ClassVar[str] = ""
    ids: ClassVar[str] = ""
    shapes: ClassVar[str] = ""

    def specifications(self, tags: Any, wanted: Wanted) -> dict[str, Any]:
        """The member with the tags of a new resource, AWS's own included."""
        pairs = with_stack_tags(tags, wanted)
        return {"TagSpecifications": [{"ResourceType": self.kind, "Tags": pairs}]} if pairs else {}

    def asked(self, props: Properties, wanted: Wanted) -> Properties:
        given = {name: value for name, value in props.items() if name != "Tags"}
        return {**given, **self.specifications(props.get("Tags"), wanted)} if self.kind else given

    def look(self, ctx: Context, id: str) -> Reply | None:
        try:
            found = ec2(ctx, self.reads, **{self.ids: [id]})[self.shapes]
        except AwsError as error:
            if error.code in self.missing:
                return None
            raise
        return dict(found[0]) if found else None

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        found = properties(self.schema, {**description, "Tags": None}, rename=self.rename)
        pairs = users_pairs(description.get("Tags") or description.get("TagSet"))
        return {**found, "Tags": pairs} if pairs and self.kind else found

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self.retagged(ctx, resource.id, resource.properties.get("Tags"), new.get("Tags"))
        self.finish(ctx, resource.id, new, resource.properties)
        return Created(id=resource.id, attributes=self.facts(ctx, resource.id)) if self.attributes else None

    def retagged(self, ctx: Context, name: str, old: Any, new: Any) -> None:
        """The tags of a resource, from what they were to what they are to be."""
        added, gone = tag_changes(old, new)
        if gone:
            ctx.call("ec2", "DeleteTags", resources=[name], tags=[{"Key": key} for key in gone])
        if added:
            ctx.call("ec2", "CreateTags", resources=[name], tags=added)

    def list(self, ctx: Context) -> Iterable[str]:
        for shape in listed(ctx, "ec2", self.reads, self.shapes):
            yield str(dig(shape, self.identity.rpartition(".")[2]))


def named_group(name: str | None) -> dict[str, Any]:
    """A group of the default VPC by name; a template's `Ref` of one gives its id where a name is asked for."""
    return {"GroupId": name} if name and name.startswith("sg-") else {"GroupName": name}


def rule_permission(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of a template as an IpPermission."""
    permission = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
    described = {"Description": rule["Description"]} if rule.get("Description") else {}
    group = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    if rule.get("CidrIp"):
        permission["IpRanges"] = [{"CidrIp": rule["CidrIp"], **described}]
    elif rule.get("CidrIpv6"):
        permission["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **described}]
    elif rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId"):
        name = rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId")
        permission["PrefixListIds"] = [{"PrefixListId": name, **described}]
    elif group or rule.get("SourceSecurityGroupName"):
        pair = {"GroupId": group} if group else named_group(rule["SourceSecurityGroupName"])
        if rule.get("SourceSecurityGroupOwnerId"):
            pair["UserId"] = rule["SourceSecurityGroupOwnerId"]
        permission["UserIdGroupPairs"] = [{**pair, **described}]
    return permission


def template_rules(permissions: Iterable[Mapping[str, Any]], egress: bool) -> list[dict[str, Any]]:
    """IpPermissions as the rules of a template."""
    rules: list[dict[str, Any]] = []
    side = "Destination" if egress else "Source"
    for permission in permissions:
        common = {name: permission[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in permission}
        for member, key, name in (("IpRanges", "CidrIp", "CidrIp"), ("Ipv6Ranges", "CidrIpv6", "CidrIpv6")):
            rules += [{**common, name: each[key], **_said(each)} for each in permission.get(member) or []]
        rules += [{**common, f"{side}PrefixListId": each["PrefixListId"], **_said(each)} for each in permission.get("PrefixListIds") or []]
        for pair in permission.get("UserIdGroupPairs") or []:
            owner = {"SourceSecurityGroupOwnerId": pair["UserId"]} if not egress and pair.get("UserId") else {}
            rules.append({**common, f"{side}SecurityGroupId": pair["GroupId"], **owner, **_said(pair)})
    return rules


def _said(each: Mapping[str, Any]) -> dict[str, Any]:
    return {"Description": each["Description"]} if each.get("Description") else {}


def ec2(ctx: Context, operation: str, **given: Any) -> Reply:
    """One operation, by its members' own names."""
    return perform(ctx, "ec2", operation, **given)
