"""AWS::EC2::VPCEndpoint, VPCPeeringConnection, NetworkInterface and PrefixList."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.provision.handling import keyed_changes, parsed, set_changes, text
from windtunnel.provision.registry import Created, Properties, Resource, Wanted, resource_type
from windtunnel.services.ec2.resources.base import Ec2Type, ec2

LISTS = {"RouteTableIds": "RouteTableIds", "SubnetIds": "SubnetIds", "SecurityGroupIds": "SecurityGroupIds"}


@resource_type("AWS::EC2::VPCEndpoint")
class VpcEndpointType(Ec2Type):
    kind = "vpc-endpoint"
    creates, reads = "CreateVpcEndpoint", "DescribeVpcEndpoints"
    ids, shapes, identity = "VpcEndpointIds", "VpcEndpoints", "VpcEndpoint.VpcEndpointId"
    missing = frozenset({"InvalidVpcEndpointId.NotFound"})
    attributes = {"Id": "VpcEndpointId", "NetworkInterfaceIds": "NetworkInterfaceIds", "CreationTimestamp": "CreationTimestamp"}

    def asked(self, props: Properties, wanted: Wanted) -> Properties:
        given = super().asked(props, wanted)
        return {**given, "PolicyDocument": text(given["PolicyDocument"])} if given.get("PolicyDocument") else given

    def facts(self, ctx: Context, id: str) -> dict[str, Any]:
        found = self.look(ctx, id) or {}
        entries = [f"{entry['HostedZoneId']}:{entry['DnsName']}" for entry in found.get("DnsEntries") or []]
        return {**super().facts(ctx, id), "CreationTimestamp": str(found.get("CreationTimestamp", "")), "DnsEntries": entries}

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        if not old:
            return
        given: dict[str, Any] = {}
        for name in LISTS:
            added, gone = set_changes(old.get(name), new.get(name))
            given |= {f"Add{name}": added or None, f"Remove{name}": gone or None}
        if new.get("PolicyDocument") != old.get("PolicyDocument"):
            policy = new.get("PolicyDocument")
            given |= {"PolicyDocument": text(policy)} if policy else {"ResetPolicy": True}
        if new.get("PrivateDnsEnabled", False) != old.get("PrivateDnsEnabled", False):
            given["PrivateDnsEnabled"] = new.get("PrivateDnsEnabled", False)
        if any(value is not None for value in given.values()):
            ec2(ctx, "ModifyVpcEndpoint", VpcEndpointId=id, **given)

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        kept = ("VpcId", "ServiceName", "VpcEndpointType", "RouteTableIds", "SubnetIds", "PrivateDnsEnabled")
        found = {name: description[name] for name in kept if description.get(name)}
        groups = [group["GroupId"] for group in description.get("Groups") or []]
        found |= {"SecurityGroupIds": groups} if groups else {}
        tags = super().told(ctx, id, {"Tags": description.get("Tags")})
        return {**found, **tags, "PolicyDocument": parsed(description["PolicyDocument"])}

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        ec2(ctx, "DeleteVpcEndpoints", VpcEndpointIds=[resource.id])
        return None


GONE = ("deleted", "rejected", "expired")


@resource_type("AWS::EC2::VPCPeeringConnection")
class PeeringType(Ec2Type):
    """Between VPCs of one account it is accepted at once, as AWS's handler does; else whoever owns the other side accepts it."""

    kind = "vpc-peering-connection"
    creates, reads, deletes = "CreateVpcPeeringConnection", "DescribeVpcPeeringConnections", "DeleteVpcPeeringConnection"
    ids, shapes, member = "VpcPeeringConnectionIds", "VpcPeeringConnections", "VpcPeeringConnectionId"
    identity = "VpcPeeringConnection.VpcPeeringConnectionId"
    missing = frozenset({"InvalidVpcPeeringConnectionID.NotFound", "InvalidStateTransition"})
    attributes = {"Id": "VpcPeeringConnectionId"}

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        if props.get("PeerRoleArn"):
            raise not_built("ec2", "CreateVpcPeeringConnection", "PeerRoleArn of a stack")
        made = super().create(ctx, props, wanted)
        found = self.look(ctx, made.id) or {}
        code = found["Status"]["Code"]
        if code == "failed":
            raise AwsError("InvalidParameterValue", f"{made.id}: {found['Status']['Message']}")
        own = props.get("PeerOwnerId", ctx.scope.account) == ctx.scope.account
        if own and props.get("PeerRegion", ctx.scope.region) == ctx.scope.region:
            ec2(ctx, "AcceptVpcPeeringConnection", VpcPeeringConnectionId=made.id)
        return made

    def look(self, ctx: Context, id: str) -> Reply | None:
        found = super().look(ctx, id)
        return None if found is None or found["Status"]["Code"] in GONE else found

    def list(self, ctx: Context) -> Iterable[str]:
        """Those that are gone are described for two hours more, and are none of an account's resources."""
        found = ec2(ctx, "DescribeVpcPeeringConnections")["VpcPeeringConnections"]
        return [str(one["VpcPeeringConnectionId"]) for one in found if one["Status"]["Code"] not in (*GONE, "failed")]

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        peer = description["AccepterVpcInfo"]
        found = {"VpcId": description["RequesterVpcInfo"]["VpcId"], "PeerVpcId": peer["VpcId"]}
        return {
            **found,
            "PeerOwnerId": peer["OwnerId"],
            "PeerRegion": peer["Region"],
            **super().told(ctx, id, {"Tags": description["Tags"]}),
        }


@resource_type("AWS::EC2::NetworkInterface")
class NetworkInterfaceType(Ec2Type):
    kind = "network-interface"
    creates, reads, deletes = "CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface"
    ids, shapes, member = "NetworkInterfaceIds", "NetworkInterfaces", "NetworkInterfaceId"
    identity = "NetworkInterface.NetworkInterfaceId"
    rename = {"GroupSet": "Groups"}
    drop = ("SourceDestCheck",)
    missing = frozenset({"InvalidNetworkInterfaceID.NotFound"})
    attributes = {"Id": "NetworkInterfaceId", "PrimaryPrivateIpAddress": "PrivateIpAddress", "VpcId": "VpcId"}

    def facts(self, ctx: Context, id: str) -> dict[str, Any]:
        return {**super().facts(ctx, id), "SecondaryPrivateIpAddresses": []}

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        if new.get("SourceDestCheck", True) != old.get("SourceDestCheck", True):
            ec2(ctx, "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=id, SourceDestCheck={"Value": new.get("SourceDestCheck", True)})
        if old and new.get("GroupSet") != old.get("GroupSet") and new.get("GroupSet"):
            ec2(ctx, "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=id, Groups=new["GroupSet"])
        if old and new.get("Description") != old.get("Description"):
            ec2(ctx, "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=id, Description={"Value": new.get("Description", "")})

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        kept = ("SubnetId", "Description", "PrivateIpAddress", "InterfaceType", "SourceDestCheck")
        found = {name: description[name] for name in kept if description.get(name) not in (None, "")}
        tags = super().told(ctx, id, {"Tags": description.get("TagSet")})
        return {**found, **tags, "GroupSet": [group["GroupId"] for group in description["Groups"]]}


@resource_type("AWS::EC2::PrefixList")
class PrefixListType(Ec2Type):
    kind = "prefix-list"
    creates, reads, deletes = "CreateManagedPrefixList", "DescribeManagedPrefixLists", "DeleteManagedPrefixList"
    ids, shapes, member, identity = "PrefixListIds", "PrefixLists", "PrefixListId", "PrefixList.PrefixListId"
    missing = frozenset({"InvalidPrefixListID.NotFound"})
    attributes = {"PrefixListId": "PrefixListId", "OwnerId": "OwnerId", "Version": "Version", "Arn": "PrefixListArn"}

    def asked(self, props: Properties, wanted: Wanted) -> Properties:
        given = super().asked(props, wanted)
        return {**given, "MaxEntries": given.get("MaxEntries") or max(1, len(given.get("Entries") or []))}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old = resource.properties
        added, gone = keyed_changes(old.get("Entries"), new.get("Entries"), lambda entry: str(entry["Cidr"]))
        version = (self.look(ctx, resource.id) or {}).get("Version")
        given: dict[str, Any] = {"AddEntries": added or None, "RemoveEntries": [{"Cidr": cidr} for cidr in gone] or None}
        given |= {name: new[name] for name in ("PrefixListName", "MaxEntries") if name in new and new[name] != old.get(name)}
        if any(value is not None for value in given.values()):
            ec2(ctx, "ModifyManagedPrefixList", PrefixListId=resource.id, CurrentVersion=version, **given)
        self.retagged(ctx, resource.id, old.get("Tags"), new.get("Tags"))
        return Created(id=resource.id, attributes=self.facts(ctx, resource.id))

    def replaces(self, old: Properties, new: Properties, changed: frozenset[str]) -> bool:
        return "AddressFamily" in changed

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        found = {name: description[name] for name in ("PrefixListName", "AddressFamily", "MaxEntries") if description.get(name)}
        entries = ec2(ctx, "GetManagedPrefixListEntries", PrefixListId=id)["Entries"]
        found |= {"Entries": entries} if entries else {}
        return {**found, **super().told(ctx, id, {"Tags": description.get("Tags")})}

    def list(self, ctx: Context) -> Iterable[str]:
        return [str(one["PrefixListId"]) for one in ec2(ctx, "DescribeManagedPrefixLists")["PrefixLists"] if one["OwnerId"] != "AWS"]
