"""AWS::EC2::SecurityGroup, SecurityGroupIngress, SecurityGroupEgress, NetworkAcl, NetworkAclEntry and SubnetNetworkAclAssociation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.handling import listed, set_changes
from windtunnel.provision.registry import Created, Name, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.services.ec2.resources.base import Ec2Type, ec2, named_group, rule_permission, template_rules
from windtunnel.services.ec2.resources.vpc import by

ANYWHERE = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
"""The rule with which a group comes: everything may go out."""


@resource_type("AWS::EC2::SecurityGroup")
class SecurityGroupType(Ec2Type):
    name = Name("GroupName", 255)
    kind = "security-group"
    creates, reads, deletes = "CreateSecurityGroup", "DescribeSecurityGroups", "DeleteSecurityGroup"
    ids, shapes, member, identity = "GroupIds", "SecurityGroups", "GroupId", "GroupId"
    rename = {"GroupDescription": "Description"}
    drop = ("SecurityGroupIngress", "SecurityGroupEgress")
    missing = frozenset({"InvalidGroup.NotFound"})
    attributes = {"GroupId": "GroupId", "Id": "GroupId", "VpcId": "VpcId", "GroupName": "GroupName"}

    def asked(self, props: Properties, wanted: Wanted) -> Properties:
        return {**super().asked(props, wanted), "GroupName": wanted.name}

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        self.rules(ctx, id, "Ingress", old.get("SecurityGroupIngress"), new.get("SecurityGroupIngress"))
        had, wanted = old.get("SecurityGroupEgress"), new.get("SecurityGroupEgress")
        if wanted and not had:
            ec2(ctx, "RevokeSecurityGroupEgress", GroupId=id, IpPermissions=ANYWHERE)
        self.rules(ctx, id, "Egress", had, wanted)
        if had and not wanted:
            ec2(ctx, "AuthorizeSecurityGroupEgress", GroupId=id, IpPermissions=ANYWHERE)

    def rules(self, ctx: Context, id: str, way: str, old: Any, new: Any) -> None:
        before, after = ([rule_permission(rule) for rule in rules or []] for rules in (old, new))
        added, gone = set_changes(before, after)
        if gone:
            try:
                ec2(ctx, f"RevokeSecurityGroup{way}", GroupId=id, IpPermissions=gone)
            except AwsError as error:
                if error.code != "InvalidPermission.NotFound":
                    raise
        if added:
            unique = [one for at, one in enumerate(added) if one not in added[:at]]
            ec2(ctx, f"AuthorizeSecurityGroup{way}", GroupId=id, IpPermissions=unique)

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        found = super().told(ctx, id, {key: value for key, value in description.items() if not key.startswith("IpPermissions")})
        for name, member, egress in (
            ("SecurityGroupIngress", "IpPermissions", False),
            ("SecurityGroupEgress", "IpPermissionsEgress", True),
        ):
            rules = template_rules(description.get(member) or [], egress)
            if rules:
                found[name] = rules
        return found

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        """Rules in the order in which the template has them, then the others; a source group's owner only where the template names it."""
        found = super().read(ctx, resource)
        for name in ("SecurityGroupIngress", "SecurityGroupEgress"):
            if found is None or name not in found:
                continue
            stated = resource.properties.get(name) or []
            if not stated and name == "SecurityGroupEgress" and found[name] == [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]:
                del found[name]
                continue
            found[name] = in_order(found[name], stated)
        return found


def in_order(live: list[dict[str, Any]], stated: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Live rules as the template writes them: those that it has first, in its order and its words."""
    left, ordered = list(live), []
    for rule in stated:
        (permission,) = (rule_permission(rule),)
        match = next((one for one in left if _same(rule_permission(one), permission)), None)
        if match is not None:
            left.remove(match)
            ordered.append(dict(rule))
    return ordered + [{name: value for name, value in one.items() if name != "SourceSecurityGroupOwnerId"} for one in left]


def _same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    def plain(permission: dict[str, Any]) -> dict[str, Any]:
        pairs = [{k: v for k, v in pair.items() if k != "UserId"} for pair in permission.get("UserIdGroupPairs") or []]
        shown = {k: v for k, v in permission.items() if k != "UserIdGroupPairs"} | ({"UserIdGroupPairs": pairs} if pairs else {})
        return {k: v for k, v in shown.items() if k not in ("FromPort", "ToPort")} if shown.get("IpProtocol") == "-1" else shown

    return plain(one) == plain(two)


class RuleType(ResourceType):
    """A rule that is a resource of its own."""

    way: ClassVar[str] = ""
    missing = frozenset({"InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        group = {"GroupId": props["GroupId"]} if props.get("GroupId") else named_group(props.get("GroupName"))
        reply = ec2(ctx, f"AuthorizeSecurityGroup{self.way}", **group, IpPermissions=[rule_permission(props)])
        made = reply["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return Created(id=made, attributes={"Id": made})

    def shown(self, ctx: Context, name: str) -> dict[str, Any] | None:
        try:
            found = ec2(ctx, "DescribeSecurityGroupRules", SecurityGroupRuleIds=[name])["SecurityGroupRules"]
        except AwsError as error:
            if error.code in self.missing:
                return None
            raise
        return found[0] if found else None

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        rule = self.shown(ctx, resource.id)
        if rule is None:
            return None
        side = "Source" if self.way == "Ingress" else "Destination"
        found: Properties = {name: rule[name] for name in ("GroupId", "IpProtocol", "FromPort", "ToPort", "Description") if name in rule}
        if rule["IpProtocol"] == "-1":
            found = {name: value for name, value in found.items() if name not in ("FromPort", "ToPort")}
        for member, name in (("CidrIpv4", "CidrIp"), ("CidrIpv6", "CidrIpv6"), ("PrefixListId", f"{side}PrefixListId")):
            if rule.get(member):
                found[name] = rule[member]
        if rule.get("ReferencedGroupInfo"):
            found[f"{side}SecurityGroupId"] = rule["ReferencedGroupInfo"]["GroupId"]
        return found

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        """Only the description can change."""
        rule = self.shown(ctx, resource.id) or {}
        described = [{"SecurityGroupRuleId": resource.id, "Description": new.get("Description", "")}]
        ec2(
            ctx,
            f"UpdateSecurityGroupRuleDescriptions{self.way}",
            GroupId=rule.get("GroupId"),
            SecurityGroupRuleDescriptions=described,
        )
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        rule = self.shown(ctx, resource.id)
        if rule is not None:
            ec2(ctx, f"RevokeSecurityGroup{self.way}", GroupId=rule["GroupId"], SecurityGroupRuleIds=[resource.id])
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for rule in listed(ctx, "ec2", "DescribeSecurityGroupRules", "SecurityGroupRules"):
            if rule["IsEgress"] == (self.way == "Egress"):
                yield rule["SecurityGroupRuleId"]


@resource_type("AWS::EC2::SecurityGroupIngress")
class SecurityGroupIngressType(RuleType):
    way = "Ingress"


@resource_type("AWS::EC2::SecurityGroupEgress")
class SecurityGroupEgressType(RuleType):
    way = "Egress"


@resource_type("AWS::EC2::NetworkAcl")
class NetworkAclType(Ec2Type):
    kind = "network-acl"
    creates, reads, deletes = "CreateNetworkAcl", "DescribeNetworkAcls", "DeleteNetworkAcl"
    ids, shapes, member, identity = "NetworkAclIds", "NetworkAcls", "NetworkAclId", "NetworkAcl.NetworkAclId"
    missing = frozenset({"InvalidNetworkAclID.NotFound"})
    attributes = {"Id": "NetworkAclId"}


@resource_type("AWS::EC2::NetworkAclEntry")
class NetworkAclEntryType(ResourceType):
    """Its physical id is made up, as AWS does; the entry is found by ACL, direction and number."""

    missing = frozenset({"InvalidNetworkAclID.NotFound", "InvalidNetworkAclEntry.NotFound"})

    def asked(self, props: Properties) -> dict[str, Any]:
        kept = ("NetworkAclId", "RuleNumber", "RuleAction", "CidrBlock", "Ipv6CidrBlock", "PortRange")
        found = {name: props[name] for name in kept if name in props}
        icmp = {"IcmpTypeCode": props["Icmp"]} if props.get("Icmp") else {}
        return {**found, **icmp, "Protocol": str(props["Protocol"]), "Egress": props.get("Egress", False)}

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        ec2(ctx, "CreateNetworkAclEntry", **self.asked(props))
        made = f"{wanted.stack_name}-{wanted.logical_id}-{ctx.ids.upper(12)}"
        return Created(id=made, attributes={"Id": made})

    def shown(self, ctx: Context, props: Properties) -> dict[str, Any] | None:
        for acl in ec2(ctx, "DescribeNetworkAcls", Filters=by("network-acl-id", props["NetworkAclId"]))["NetworkAcls"]:
            for entry in acl["Entries"]:
                if (entry["RuleNumber"], entry["Egress"]) == (props["RuleNumber"], props.get("Egress", False)):
                    return dict(entry)
        return None

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        entry = self.shown(ctx, resource.properties) if resource.properties.get("NetworkAclId") else None
        if entry is None:
            return None
        found: Properties = {
            name: entry[name] for name in ("RuleNumber", "Egress", "RuleAction", "CidrBlock", "Ipv6CidrBlock") if name in entry
        }
        found |= {"NetworkAclId": resource.properties["NetworkAclId"], "Protocol": int(entry["Protocol"])}
        found |= {"PortRange": entry["PortRange"]} if entry.get("PortRange") else {}
        return found | ({"Icmp": entry["IcmpTypeCode"]} if entry.get("IcmpTypeCode") else {})

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        ec2(ctx, "ReplaceNetworkAclEntry", **self.asked(new))
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        props = resource.properties
        try:
            ec2(
                ctx,
                "DeleteNetworkAclEntry",
                NetworkAclId=props["NetworkAclId"],
                RuleNumber=props["RuleNumber"],
                Egress=props.get("Egress", False),
            )
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None


@resource_type("AWS::EC2::SubnetNetworkAclAssociation")
class NetworkAclAssociationType(ResourceType):
    """Deleting it gives the subnet back to the VPC's default ACL."""

    missing = frozenset({"InvalidAssociationID.NotFound"})

    def held(self, ctx: Context, filter_name: str, value: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        names = {"association.subnet-id": "SubnetId", "association.association-id": "NetworkAclAssociationId"}
        for acl in ec2(ctx, "DescribeNetworkAcls", Filters=by(filter_name, value))["NetworkAcls"]:
            for one in acl["Associations"]:
                if one[names[filter_name]] == value:
                    return acl, one
        return None

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        found = self.held(ctx, "association.subnet-id", props["SubnetId"])
        if found is None:
            raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{props['SubnetId']}' does not exist")
        association = found[1]["NetworkAclAssociationId"]
        reply = ec2(ctx, "ReplaceNetworkAclAssociation", AssociationId=association, NetworkAclId=props["NetworkAclId"])
        return Created(id=reply["NewAssociationId"], attributes={"AssociationId": reply["NewAssociationId"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = self.held(ctx, "association.association-id", resource.id)
        return None if found is None else {"NetworkAclId": found[0]["NetworkAclId"], "SubnetId": found[1]["SubnetId"]}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        found = self.held(ctx, "association.association-id", resource.id)
        if found is None or found[0]["IsDefault"]:
            return None
        (default,) = ec2(ctx, "DescribeNetworkAcls", Filters=[*by("vpc-id", found[0]["VpcId"]), *by("default", "true")])["NetworkAcls"]
        ec2(ctx, "ReplaceNetworkAclAssociation", AssociationId=resource.id, NetworkAclId=default["NetworkAclId"])
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for acl in listed(ctx, "ec2", "DescribeNetworkAcls", "NetworkAcls"):
            yield from (one["NetworkAclAssociationId"] for one in acl["Associations"])
