"""AWS::EC2::VPC, VPCCidrBlock, Subnet, SubnetCidrBlock, DHCPOptions and VPCDHCPOptionsAssociation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.handling import listed
from windtunnel.provision.registry import Created, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.services.ec2.resources.base import Ec2Type, ec2

DNS = ("EnableDnsSupport", "EnableDnsHostnames")


def by(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


@resource_type("AWS::EC2::VPC")
class VpcType(Ec2Type):
    kind = "vpc"
    creates, reads, deletes = "CreateVpc", "DescribeVpcs", "DeleteVpc"
    ids, shapes, member, identity = "VpcIds", "Vpcs", "VpcId", "Vpc.VpcId"
    drop = DNS
    missing = frozenset({"InvalidVpcID.NotFound"})
    live = frozenset({"CidrBlockAssociations", "Ipv6CidrBlocks"})

    def attribute(self, ctx: Context, resource: Resource, name: str) -> Any:
        return self.facts(ctx, resource.id)[name]

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        held = {"EnableDnsSupport": True, "EnableDnsHostnames": False} | {name: old[name] for name in DNS if name in old}
        for name in DNS:
            wanted = new.get(name, name == "EnableDnsSupport")
            if wanted != held[name]:
                ec2(ctx, "ModifyVpcAttribute", VpcId=id, **{name: {"Value": wanted}})
        if old and new.get("InstanceTenancy", "default") != old.get("InstanceTenancy", "default"):
            raise AwsError("InvalidParameterValue", "The instance tenancy of a VPC can only be set when it is made.")

    def facts(self, ctx: Context, id: str) -> dict[str, Any]:
        vpc = self.look(ctx, id) or {}
        (acl,) = ec2(ctx, "DescribeNetworkAcls", Filters=[*by("vpc-id", id), *by("default", "true")])["NetworkAcls"]
        (group,) = ec2(ctx, "DescribeSecurityGroups", Filters=[*by("vpc-id", id), *by("group-name", "default")])["SecurityGroups"]
        return {
            "VpcId": id,
            "CidrBlock": vpc.get("CidrBlock"),
            "CidrBlockAssociations": [block["AssociationId"] for block in vpc.get("CidrBlockAssociationSet") or []],
            "Ipv6CidrBlocks": [block["Ipv6CidrBlock"] for block in vpc.get("Ipv6CidrBlockAssociationSet") or []],
            "DefaultNetworkAcl": acl["NetworkAclId"],
            "DefaultSecurityGroup": group["GroupId"],
        }

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        super().update(ctx, resource, new, wanted)
        return Created(id=resource.id, attributes=self.facts(ctx, resource.id))

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        found = super().told(ctx, id, description)
        for name in DNS:
            shown = ec2(ctx, "DescribeVpcAttribute", VpcId=id, Attribute=name[0].lower() + name[1:])
            found[name] = shown[name]["Value"]
        return found


@resource_type("AWS::EC2::VPCCidrBlock")
class VpcCidrBlockType(ResourceType):
    missing = frozenset({"InvalidVpcCidrBlockAssociationID.NotFound", "InvalidVpcID.NotFound"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        given = {name: props[name] for name in ("VpcId", "CidrBlock", "AmazonProvidedIpv6CidrBlock") if name in props}
        reply = ec2(ctx, "AssociateVpcCidrBlock", **given)
        association = reply.get("CidrBlockAssociation") or reply["Ipv6CidrBlockAssociation"]
        made = association["AssociationId"]
        return Created(id=made, attributes={"Id": made})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        for vpc in listed(ctx, "ec2", "DescribeVpcs", "Vpcs"):
            for block in vpc.get("CidrBlockAssociationSet") or []:
                if block["AssociationId"] == resource.id:
                    return {"VpcId": vpc["VpcId"], "CidrBlock": block["CidrBlock"]}
            for block in vpc.get("Ipv6CidrBlockAssociationSet") or []:
                if block["AssociationId"] == resource.id:
                    return {"VpcId": vpc["VpcId"], "AmazonProvidedIpv6CidrBlock": True}
        return None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        try:
            ec2(ctx, "DisassociateVpcCidrBlock", AssociationId=resource.id)
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for vpc in listed(ctx, "ec2", "DescribeVpcs", "Vpcs"):
            yield from (block["AssociationId"] for block in (vpc.get("CidrBlockAssociationSet") or [])[1:])
            yield from (block["AssociationId"] for block in vpc.get("Ipv6CidrBlockAssociationSet") or [])


SWITCHES = ("MapPublicIpOnLaunch", "AssignIpv6AddressOnCreation", "EnableDns64")
LAUNCH = {
    "HostnameType": "PrivateDnsHostnameTypeOnLaunch",
    "EnableResourceNameDnsARecord": "EnableResourceNameDnsARecordOnLaunch",
    "EnableResourceNameDnsAAAARecord": "EnableResourceNameDnsAAAARecordOnLaunch",
}


@resource_type("AWS::EC2::Subnet")
class SubnetType(Ec2Type):
    kind = "subnet"
    creates, reads, deletes = "CreateSubnet", "DescribeSubnets", "DeleteSubnet"
    ids, shapes, member, identity = "SubnetIds", "Subnets", "SubnetId", "Subnet.SubnetId"
    drop = (*SWITCHES, "PrivateDnsNameOptionsOnLaunch")
    missing = frozenset({"InvalidSubnetID.NotFound"})
    live = frozenset({"NetworkAclAssociationId", "Ipv6CidrBlocks"})

    def attribute(self, ctx: Context, resource: Resource, name: str) -> Any:
        return self.facts(ctx, resource.id)[name]

    attributes = {
        "AvailabilityZone": "AvailabilityZone",
        "AvailabilityZoneId": "AvailabilityZoneId",
        "CidrBlock": "CidrBlock",
        "SubnetId": "SubnetId",
        "VpcId": "VpcId",
    }

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        before = old.get("Ipv6CidrBlock")
        if old and new.get("Ipv6CidrBlock") != before:
            for block in (self.look(ctx, id) or {}).get("Ipv6CidrBlockAssociationSet") or []:
                ec2(ctx, "DisassociateSubnetCidrBlock", AssociationId=block["AssociationId"])
            if new.get("Ipv6CidrBlock"):
                ec2(ctx, "AssociateSubnetCidrBlock", SubnetId=id, Ipv6CidrBlock=new["Ipv6CidrBlock"])
        for name in SWITCHES:
            if new.get(name, False) != old.get(name, False):
                ec2(ctx, "ModifySubnetAttribute", SubnetId=id, **{name: {"Value": new.get(name, False)}})
        had, wanted = old.get("PrivateDnsNameOptionsOnLaunch") or {}, new.get("PrivateDnsNameOptionsOnLaunch") or {}
        for name, member in LAUNCH.items():
            value = wanted.get(name, "ip-name" if name == "HostnameType" else False)
            if value != had.get(name, "ip-name" if name == "HostnameType" else False):
                ec2(ctx, "ModifySubnetAttribute", SubnetId=id, **{member: value if name == "HostnameType" else {"Value": value}})

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        blocks = [block["Ipv6CidrBlock"] for block in description.get("Ipv6CidrBlockAssociationSet") or []]
        return {**super().told(ctx, id, description), **({"Ipv6CidrBlock": blocks[0]} if blocks else {})}

    def facts(self, ctx: Context, id: str) -> dict[str, Any]:
        shown = self.look(ctx, id) or {}
        (acl,) = ec2(ctx, "DescribeNetworkAcls", Filters=by("association.subnet-id", id))["NetworkAcls"]
        own = next(held for held in acl["Associations"] if held["SubnetId"] == id)
        blocks = [block["Ipv6CidrBlock"] for block in shown.get("Ipv6CidrBlockAssociationSet") or []]
        return {
            **super().facts(ctx, id),
            "NetworkAclAssociationId": own["NetworkAclAssociationId"],
            "Ipv6CidrBlocks": blocks,
        }


@resource_type("AWS::EC2::SubnetCidrBlock")
class SubnetCidrBlockType(ResourceType):
    missing = frozenset({"InvalidSubnetCidrBlockAssociationID.NotFound", "InvalidSubnetID.NotFound"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        given = {name: props[name] for name in ("SubnetId", "Ipv6CidrBlock") if name in props}
        made = ec2(ctx, "AssociateSubnetCidrBlock", **given)["Ipv6CidrBlockAssociation"]["AssociationId"]
        return Created(id=made, attributes={"Id": made})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        for subnet in listed(ctx, "ec2", "DescribeSubnets", "Subnets"):
            for block in subnet.get("Ipv6CidrBlockAssociationSet") or []:
                if block["AssociationId"] == resource.id:
                    return {"SubnetId": subnet["SubnetId"], "Ipv6CidrBlock": block["Ipv6CidrBlock"]}
        return None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        try:
            ec2(ctx, "DisassociateSubnetCidrBlock", AssociationId=resource.id)
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for subnet in listed(ctx, "ec2", "DescribeSubnets", "Subnets"):
            yield from (block["AssociationId"] for block in subnet.get("Ipv6CidrBlockAssociationSet") or [])


OPTIONS = {
    "DomainName": "domain-name",
    "DomainNameServers": "domain-name-servers",
    "NtpServers": "ntp-servers",
    "NetbiosNameServers": "netbios-name-servers",
    "NetbiosNodeType": "netbios-node-type",
    "Ipv6AddressPreferredLeaseTime": "ipv6-address-preferred-lease-time",
}


@resource_type("AWS::EC2::DHCPOptions")
class DhcpOptionsType(Ec2Type):
    kind = "dhcp-options"
    creates, reads, deletes = "CreateDhcpOptions", "DescribeDhcpOptions", "DeleteDhcpOptions"
    ids, shapes, member, identity = "DhcpOptionsIds", "DhcpOptions", "DhcpOptionsId", "DhcpOptions.DhcpOptionsId"
    missing = frozenset({"InvalidDhcpOptionID.NotFound"})
    attributes = {"DhcpOptionsId": "DhcpOptionsId"}

    def asked(self, props: Properties, wanted: Wanted) -> Properties:
        configurations = [
            {"Key": key, "Values": [str(value) for value in (props[name] if isinstance(props[name], list) else [props[name]])]}
            for name, key in OPTIONS.items()
            if props.get(name) not in (None, "", [])
        ]
        return {"DhcpConfigurations": configurations, **self.specifications(props.get("Tags"), wanted)}

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        found = super().told(ctx, id, {"Tags": description.get("Tags")})
        held = {item["Key"]: [value["Value"] for value in item["Values"]] for item in description["DhcpConfigurations"]}
        for name, key in OPTIONS.items():
            if key in held:
                plain = name in ("DomainName", "NetbiosNodeType", "Ipv6AddressPreferredLeaseTime")
                value: Any = held[key][0] if plain else held[key]
                found[name] = int(value) if name in ("NetbiosNodeType", "Ipv6AddressPreferredLeaseTime") else value
        return found


@resource_type("AWS::EC2::VPCDHCPOptionsAssociation")
class DhcpAssociationType(ResourceType):
    missing = frozenset({"InvalidVpcID.NotFound", "InvalidDhcpOptionID.NotFound"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        ec2(ctx, "AssociateDhcpOptions", DhcpOptionsId=props["DhcpOptionsId"], VpcId=props["VpcId"])
        return Created(id=f"{props['DhcpOptionsId']}|{props['VpcId']}")

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        options, _, vpc = resource.id.partition("|")
        found = ec2(ctx, "DescribeVpcs", Filters=by("vpc-id", vpc))["Vpcs"]
        return {"DhcpOptionsId": options, "VpcId": vpc} if found and found[0]["DhcpOptionsId"] == options else None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        if self.read(ctx, resource) is not None:
            ec2(ctx, "AssociateDhcpOptions", DhcpOptionsId="default", VpcId=resource.id.partition("|")[2])
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return [f"{vpc['DhcpOptionsId']}|{vpc['VpcId']}" for vpc in listed(ctx, "ec2", "DescribeVpcs", "Vpcs")]
