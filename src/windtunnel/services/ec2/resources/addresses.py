"""AWS::EC2::EIP, EIPAssociation and NatGateway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import shown_tags
from windtunnel.provision.registry import Created, Failed, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.services.ec2.network.elastic import reserved_address
from windtunnel.services.ec2.resources.base import Ec2Type, ec2
from windtunnel.services.ec2.resources.vpc import by


def address_of(ctx: Context, ip: str) -> dict[str, Any] | None:
    found = ec2(ctx, "DescribeAddresses", Filters=by("public-ip", ip))["Addresses"]
    return found[0] if found else None


@resource_type("AWS::EC2::EIP")
class EipType(Ec2Type):
    """Its physical id is the address."""

    kind = "elastic-ip"
    creates, reads = "AllocateAddress", "DescribeAddresses"
    missing = frozenset({"InvalidAddress.NotFound", "InvalidAllocationID.NotFound"})
    slow = True
    ids, shapes, identity = "PublicIps", "Addresses", "PublicIp"
    attributes = {"AllocationId": "AllocationId", "PublicIp": "PublicIp"}

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Any:
        """The address, which the machine keeps for the allocation."""
        return {"prepared": reserved_address(ctx)}

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        given = {name: props[name] for name in ("Domain", "PublicIpv4Pool", "NetworkBorderGroup", "Address") if props.get(name)}
        given |= self.specifications(props.get("Tags"), wanted)
        made = perform(ctx, "ec2", "AllocateAddress", prepared=ctx.found.get("prepared"), **given)
        self.join(ctx, made["AllocationId"], props.get("InstanceId"))
        return Created(id=made["PublicIp"], attributes={"AllocationId": made["AllocationId"], "PublicIp": made["PublicIp"]})

    def join(self, ctx: Context, allocation: str, instance: str | None) -> None:
        if instance:
            ec2(ctx, "AssociateAddress", AllocationId=allocation, InstanceId=instance, AllowReassociation=True)

    def look(self, ctx: Context, id: str) -> Reply | None:
        return address_of(ctx, id)

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        found = {
            name: description[name] for name in ("Domain", "InstanceId", "PublicIpv4Pool", "NetworkBorderGroup") if description.get(name)
        }
        tags = shown_tags(description.get("Tags"))
        return {**found, "Tags": tags} if tags else found

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        spare = (ctx.found.get("prepared") or {}).get("prepared")
        if spare:
            ctx.start_job("ec2.release-address", f"{spare[0]}/release", allocation_id=spare[0])
        held = address_of(ctx, resource.id)
        if held is None:
            raise AwsError("InvalidAddress.NotFound", f"Address '{resource.id}' not found.")
        self.retagged(ctx, held["AllocationId"], resource.properties.get("Tags"), new.get("Tags"))
        if new.get("InstanceId") != resource.properties.get("InstanceId"):
            if held.get("AssociationId"):
                ec2(ctx, "DisassociateAddress", AssociationId=held["AssociationId"])
            self.join(ctx, held["AllocationId"], new.get("InstanceId"))
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        held = address_of(ctx, resource.id)
        if held is None or held["AllocationId"] != resource.attributes.get("AllocationId", held["AllocationId"]):
            return None
        if held.get("AssociationId") and resource.properties.get("InstanceId"):
            ec2(ctx, "DisassociateAddress", AssociationId=held["AssociationId"])
        ec2(ctx, "ReleaseAddress", AllocationId=held["AllocationId"])
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return [str(address["PublicIp"]) for address in ec2(ctx, "DescribeAddresses")["Addresses"]]


@resource_type("AWS::EC2::EIPAssociation")
class EipAssociationType(ResourceType):
    missing = frozenset({"InvalidAssociationID.NotFound"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        given = {name: props[name] for name in ("AllocationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress") if props.get(name)}
        if props.get("EIP"):
            given["PublicIp"] = props["EIP"]
        made = ec2(ctx, "AssociateAddress", **given, AllowReassociation=True)["AssociationId"]
        return Created(id=made, attributes={"Id": made})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = ec2(ctx, "DescribeAddresses", Filters=by("association-id", resource.id))["Addresses"]
        if not found:
            return None
        shown = {
            name: found[0][name] for name in ("AllocationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress") if found[0].get(name)
        }
        stated = resource.properties
        return {
            **{name: value for name, value in shown.items() if name in stated},
            **({"EIP": found[0]["PublicIp"]} if "EIP" in stated else {}),
        }

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        try:
            ec2(ctx, "DisassociateAddress", AssociationId=resource.id)
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return [str(one["AssociationId"]) for one in ec2(ctx, "DescribeAddresses")["Addresses"] if one.get("AssociationId")]


@resource_type("AWS::EC2::NatGateway")
class NatGatewayType(Ec2Type):
    kind = "natgateway"
    creates, reads, deletes = "CreateNatGateway", "DescribeNatGateways", "DeleteNatGateway"
    ids, shapes, member, identity = "NatGatewayIds", "NatGateways", "NatGatewayId", "NatGateway.NatGatewayId"
    missing = frozenset({"NatGatewayNotFound"})
    attributes = {"NatGatewayId": "NatGatewayId", "EniId": "NatGatewayAddresses.0.NetworkInterfaceId"}
    drop = ("MaxDrainDurationSeconds",)

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = super().create(ctx, props, wanted)
        found = self.look(ctx, made.id)
        if found is None or found["State"] == "failed":
            said = f"NatGateway {made.id} is in state failed and hence failed to stabilize. Detailed failure message: "
            raise Failed(said + str((found or {}).get("FailureMessage", "")), "NotStabilized")
        return made

    def look(self, ctx: Context, id: str) -> Reply | None:
        found = super().look(ctx, id)
        return None if found is None or found["State"] == "deleted" else found

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        found = super().told(ctx, id, description)
        address = description["NatGatewayAddresses"][0]
        found |= {"AllocationId": address["AllocationId"]} if address.get("AllocationId") else {}
        return {name: value for name, value in found.items() if name != "VpcId"}

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        for name in ("SecondaryAllocationIds", "SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount"):
            if old and old.get(name) != new.get(name):
                raise not_built("ec2", "AssociateNatGatewayAddress")

    def list(self, ctx: Context) -> Iterable[str]:
        return [str(nat["NatGatewayId"]) for nat in ec2(ctx, "DescribeNatGateways")["NatGateways"] if nat["State"] != "deleted"]
