"""AWS::EC2::Instance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.provision.handling import listed
from windtunnel.provision.registry import Created, Failed, Properties, Resource, Wanted, resource_type
from windtunnel.services.ec2.reshaping import reshape, reshaped
from windtunnel.services.ec2.resources.base import Ec2Type, ec2

ENDED = ("terminated", "shutting-down")


AS_LAUNCHED = ("LaunchTemplate", "NetworkInterfaces", "BlockDeviceMappings", "CreditSpecification")
"""What an instance was launched with, and no operation that runs can change or tell."""
METADATA = ("HttpEndpoint", "HttpPutResponseHopLimit", "HttpTokens", "InstanceMetadataTags")


@resource_type("AWS::EC2::Instance")
class InstanceType(Ec2Type):
    kind = "instance"
    creates, reads, deletes = "RunInstances", "DescribeInstances", "TerminateInstances"
    identity = "Instances.0.InstanceId"
    rename = {"NetworkInterfaces.GroupSet": "Groups", "CreditSpecification.CPUCredits": "CpuCredits"}
    drop = ("SourceDestCheck", "PropagateTagsToVolumeOnCreation")
    missing = frozenset({"InvalidInstanceID.NotFound"})

    def asked(self, props: Properties, wanted: Wanted) -> Properties:
        given = super().asked(props, wanted)
        if given.get("IamInstanceProfile"):
            given["IamInstanceProfile"] = {"Name": given["IamInstanceProfile"]}
        if "Monitoring" in given:
            given["Monitoring"] = {"Enabled": given["Monitoring"]}
        place = {"AvailabilityZone": given.pop("AvailabilityZone", None), "Tenancy": given.pop("Tenancy", None)}
        place = {name: value for name, value in place.items() if value}
        named = given.pop("SecurityGroups", None) or []
        ids = [*(given.pop("SecurityGroupIds", None) or []), *(name for name in named if name.startswith("sg-"))]
        names = [name for name in named if not name.startswith("sg-")]
        given |= {"SecurityGroupIds": ids} if ids else {}
        given |= {"SecurityGroups": names} if names else {}
        if given.get("NetworkInterfaces"):
            given["NetworkInterfaces"] = [{**nic, "DeviceIndex": int(nic.get("DeviceIndex", 0))} for nic in given["NetworkInterfaces"]]
        return {**given, **({"Placement": place} if place else {}), "MinCount": 1, "MaxCount": 1}

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = self.creating.call(ctx, self.asked(props, wanted))["Instances"][0]["InstanceId"]
        if props.get("SourceDestCheck") is False:
            ec2(ctx, "ModifyInstanceAttribute", InstanceId=made, SourceDestCheck={"Value": False})
        return Created(id=made, attributes={"InstanceId": made}, ready=False)

    def look(self, ctx: Context, id: str) -> Reply | None:
        try:
            found = ec2(ctx, "DescribeInstances", InstanceIds=[id])["Reservations"]
        except AwsError as error:
            if error.code in self.missing:
                return None
            raise
        shape: Reply = found[0]["Instances"][0]
        return shape

    def settled(self, ctx: Context, resource: Resource) -> bool | Created:
        going = reshaped(ctx, resource.id)
        if going is not None:
            if going.failure:
                raise Failed(going.failure, "NotStabilized")
            return False
        shape = self.look(ctx, resource.id)
        state = shape["State"]["Name"] if shape else "terminated"
        if shape is None or state in ENDED:
            why = (shape or {}).get("StateReason", {}).get("Message") or (shape or {}).get("StateTransitionReason") or "it is gone"
            raise Failed(f"Instance {resource.id} did not stabilize: it is {state} ({why})", "NotStabilized")
        return Created(id=resource.id, attributes=attributes_of(shape)) if state == "running" else False

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        kept = ("ImageId", "InstanceType", "KeyName", "SubnetId", "EbsOptimized", "SourceDestCheck")
        found = {name: description[name] for name in kept if description.get(name) not in (None, "")}
        found |= {"SecurityGroupIds": [group["GroupId"] for group in description["SecurityGroups"]]}
        found |= {"AvailabilityZone": description["Placement"]["AvailabilityZone"], "Tenancy": description["Placement"]["Tenancy"]}
        found |= {"Monitoring": description["Monitoring"]["State"] == "enabled"}
        found["MetadataOptions"] = {name: description["MetadataOptions"][name] for name in METADATA}
        if description.get("IamInstanceProfile"):
            found["IamInstanceProfile"] = description["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        for name, value in (("DisableApiTermination", "Value"), ("InstanceInitiatedShutdownBehavior", "Value"), ("UserData", "Value")):
            shown = ec2(ctx, "DescribeInstanceAttribute", InstanceId=id, Attribute=name[0].lower() + name[1:])[name]
            if value in shown:
                found[name] = shown[value]
        return {**found, **super().told(ctx, id, {"Tags": description.get("Tags")})}

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        shape = self.look(ctx, resource.id)
        if shape is None or shape["State"]["Name"] in ENDED:
            return None
        given = resource.properties
        found = {**self.told(ctx, resource.id, shape), **{name: given[name] for name in AS_LAUNCHED if name in given}}
        if "SecurityGroups" in given:  # ids or names, as they were asked for
            shown = [
                each["GroupId" if any(one.startswith("sg-") for one in given["SecurityGroups"]) else "GroupName"]
                for each in shape["SecurityGroups"]
            ]
            found["SecurityGroups"] = shown
        return found

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old, name = resource.properties, resource.id
        self.retagged(ctx, name, old.get("Tags"), new.get("Tags"))

        def differs(*properties: str) -> bool:
            return any(old.get(each) != new.get(each) for each in properties)

        if differs("SecurityGroupIds") and new.get("SecurityGroupIds"):
            ec2(ctx, "ModifyInstanceAttribute", InstanceId=name, Groups=new["SecurityGroupIds"])
        if differs("SourceDestCheck"):
            ec2(ctx, "ModifyInstanceAttribute", InstanceId=name, SourceDestCheck={"Value": new.get("SourceDestCheck", True)})
        if differs("DisableApiTermination"):
            ec2(ctx, "ModifyInstanceAttribute", InstanceId=name, DisableApiTermination={"Value": new.get("DisableApiTermination", False)})
        if differs("InstanceInitiatedShutdownBehavior"):
            behaviour = {"Value": new.get("InstanceInitiatedShutdownBehavior", "stop")}
            ec2(ctx, "ModifyInstanceAttribute", InstanceId=name, InstanceInitiatedShutdownBehavior=behaviour)
        if differs("Monitoring"):
            ec2(ctx, "MonitorInstances" if new.get("Monitoring") else "UnmonitorInstances", InstanceIds=[name])
        if differs("MetadataOptions"):
            ec2(ctx, "ModifyInstanceMetadataOptions", InstanceId=name, **(new.get("MetadataOptions") or {"HttpTokens": "optional"}))
        if differs("IamInstanceProfile"):
            self.exchange(ctx, name, new.get("IamInstanceProfile"))
        for each in ("BlockDeviceMappings", "Tenancy", "EbsOptimized", "SsmAssociations"):
            if differs(each):
                raise not_built("ec2", "ModifyInstanceAttribute", f"{each} of an instance of a stack")
        if not differs("InstanceType", "UserData"):
            return Created(id=name, attributes=attributes_of(self.look(ctx, name) or {}))
        kind = new.get("InstanceType", "m1.small") if differs("InstanceType") else None
        reshape(ctx, name, kind, new.get("UserData", "") if differs("UserData") else None)
        return Created(id=name, attributes=resource.attributes, ready=False)

    def exchange(self, ctx: Context, name: str, profile: str | None) -> None:
        """Another instance profile, or none."""
        held = ec2(ctx, "DescribeIamInstanceProfileAssociations", Filters=[{"Name": "instance-id", "Values": [name]}])
        found = [one["AssociationId"] for one in held["IamInstanceProfileAssociations"]]
        wanted = {"Name": profile}
        if profile and found:
            ec2(ctx, "ReplaceIamInstanceProfileAssociation", AssociationId=found[0], IamInstanceProfile=wanted)
        elif profile:
            ec2(ctx, "AssociateIamInstanceProfile", InstanceId=name, IamInstanceProfile=wanted)
        elif found:
            ec2(ctx, "DisassociateIamInstanceProfile", AssociationId=found[0])

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        shape = self.look(ctx, resource.id)
        if shape is None or shape["State"]["Name"] == "terminated":
            return None
        ec2(ctx, "TerminateInstances", InstanceIds=[resource.id])
        return False

    def gone(self, ctx: Context, resource: Resource) -> bool:
        shape = self.look(ctx, resource.id)
        return shape is None or shape["State"]["Name"] == "terminated"

    def list(self, ctx: Context) -> Iterable[str]:
        for reservation in listed(ctx, "ec2", "DescribeInstances", "Reservations"):
            yield from (shape["InstanceId"] for shape in reservation["Instances"] if shape["State"]["Name"] not in ENDED)


def attributes_of(shape: Reply) -> dict[str, Any]:
    """What GetAtt gives of an instance."""
    state = shape.get("State") or {}
    return {
        "InstanceId": shape.get("InstanceId", ""),
        "AvailabilityZone": (shape.get("Placement") or {}).get("AvailabilityZone", ""),
        "PrivateDnsName": shape.get("PrivateDnsName", ""),
        "PrivateIp": shape.get("PrivateIpAddress", ""),
        "PublicDnsName": shape.get("PublicDnsName", ""),
        "PublicIp": shape.get("PublicIpAddress", ""),
        "VpcId": shape.get("VpcId", ""),
        "State.Code": str(state.get("Code", "")),
        "State.Name": state.get("Name", ""),
    }
