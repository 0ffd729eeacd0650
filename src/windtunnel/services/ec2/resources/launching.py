"""AWS::EC2::LaunchTemplate, KeyPair and Volume."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt, checked_tags, listed, shown_tags
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.provision.shaping import Walk, properties
from windtunnel.services.ec2.keypairs import made_key, named
from windtunnel.services.ec2.resources.base import Ec2Type, ec2

RENAME = {"LaunchTemplateData.CreditSpecification.CPUCredits": "CpuCredits"}
CREATE = Walk("ec2", "CreateLaunchTemplate", rename={**RENAME, "TagSpecifications": "TagSpecifications"})
VERSION = Walk("ec2", "CreateLaunchTemplateVersion", rename=RENAME)


@resource_type("AWS::EC2::LaunchTemplate")
class LaunchTemplateType(ResourceType):
    name = Name("LaunchTemplateName", 128)
    missing = frozenset({"InvalidLaunchTemplateId.NotFound"})

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        given: Properties = {
            name: props[name] for name in ("LaunchTemplateData", "VersionDescription", "TagSpecifications") if name in props
        }
        made = CREATE.call(ctx, {**given, "LaunchTemplateName": wanted.name})["LaunchTemplate"]
        return Created(id=made["LaunchTemplateId"], attributes=numbers(made))

    def look(self, ctx: Context, id: str) -> Reply | None:
        reply = attempt(ctx, self.missing, "ec2", "DescribeLaunchTemplates", LaunchTemplateIds=[id])
        return dict(reply["LaunchTemplates"][0]) if reply else None

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        shape = self.look(ctx, resource.id)
        if shape is None:
            return None
        reply = ec2(ctx, "DescribeLaunchTemplateVersions", LaunchTemplateId=resource.id, Versions=["$Latest"])
        version = reply["LaunchTemplateVersions"][0]
        found = {"LaunchTemplateName": shape["LaunchTemplateName"], "LaunchTemplateData": version["LaunchTemplateData"]}
        said = {"VersionDescription": version["VersionDescription"]} if version.get("VersionDescription") else {}
        tags = shown_tags(shape.get("Tags"))
        marked = {"TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags}]} if tags else {}
        return {**found, **said, **marked}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        """Another version, beside those that there are; the default stays the first, as AWS's handler leaves it."""
        old = resource.properties
        if any(old.get(name) != new.get(name) for name in ("LaunchTemplateData", "VersionDescription")):
            given: Properties = {name: new[name] for name in ("LaunchTemplateData", "VersionDescription") if name in new}
            VERSION.call(ctx, {**given, "LaunchTemplateId": resource.id})
        return Created(id=resource.id, attributes=numbers(self.look(ctx, resource.id) or {}))

    def replaces(self, old: Properties, new: Properties, changed: frozenset[str]) -> bool:
        return "TagSpecifications" in changed

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        attempt(ctx, self.missing, "ec2", "DeleteLaunchTemplate", LaunchTemplateId=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return [str(one["LaunchTemplateId"]) for one in listed(ctx, "ec2", "DescribeLaunchTemplates", "LaunchTemplates")]


def numbers(shape: Reply) -> dict[str, Any]:
    return {
        "LaunchTemplateId": shape.get("LaunchTemplateId", ""),
        "LatestVersionNumber": str(shape.get("LatestVersionNumber", "")),
        "DefaultVersionNumber": str(shape.get("DefaultVersionNumber", "")),
    }


@resource_type("AWS::EC2::KeyPair")
class KeyPairType(ResourceType):
    """A new pair's private key is kept in Parameter Store, as `/ec2/keypair/KEY-PAIR-ID`, which is where AWS puts it."""

    name = Name("KeyName", 255)
    slow = True
    missing = frozenset({"InvalidKeyPair.NotFound"})

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Any:
        if props.get("PublicKeyMaterial") or named(ctx, props["KeyName"]) is not None:
            return None
        return {"prepared": made_key(props.get("KeyType", "rsa"), "pem")}

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        name = props["KeyName"]
        tags = checked_tags(props.get("Tags"))
        given: dict[str, Any] = {"TagSpecifications": [{"ResourceType": "key-pair", "Tags": tags}]} if tags else {}
        if props.get("PublicKeyMaterial"):
            made = ec2(ctx, "ImportKeyPair", KeyName=name, PublicKeyMaterial=props["PublicKeyMaterial"].encode(), **given)
        else:
            given |= {key: props[key] for key in ("KeyType", "KeyFormat") if key in props}
            made = perform(ctx, "ec2", "CreateKeyPair", prepared=ctx.found.get("prepared"), KeyName=name, **given)
            parameter = f"/ec2/keypair/{made['KeyPairId']}"
            perform(ctx, "ssm", "PutParameter", Name=parameter, Value=made["KeyMaterial"], Type="SecureString")
        attributes = {"KeyPairId": made["KeyPairId"], "KeyFingerprint": made["KeyFingerprint"]}
        return Created(id=name, attributes=attributes)

    def look(self, ctx: Context, name: str) -> Reply | None:
        reply = attempt(ctx, self.missing, "ec2", "DescribeKeyPairs", KeyNames=[name], IncludePublicKey=True)
        return dict(reply["KeyPairs"][0]) if reply else None

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        shape = self.look(ctx, resource.id)
        if shape is None:
            return None
        found: Properties = {"KeyName": shape["KeyName"], "KeyType": shape["KeyType"], "KeyFormat": "pem"}
        if resource.properties.get("PublicKeyMaterial"):
            found["PublicKeyMaterial"] = resource.properties["PublicKeyMaterial"]
        tags = shown_tags(shape.get("Tags"))
        return {**found, "Tags": tags} if tags else found

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        shape = self.look(ctx, resource.id)
        if shape is None:
            return None
        ec2(ctx, "DeleteKeyPair", KeyName=resource.id)
        if not resource.properties.get("PublicKeyMaterial"):
            attempt(ctx, {"ParameterNotFound"}, "ssm", "DeleteParameter", Name=f"/ec2/keypair/{shape['KeyPairId']}")
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return [str(pair["KeyName"]) for pair in ec2(ctx, "DescribeKeyPairs")["KeyPairs"]]


@resource_type("AWS::EC2::Volume")
class VolumeType(Ec2Type):
    kind = "volume"
    creates, reads, deletes = "CreateVolume", "DescribeVolumes", "DeleteVolume"
    ids, shapes, member, identity = "VolumeIds", "Volumes", "VolumeId", "VolumeId"
    missing = frozenset({"InvalidVolume.NotFound"})
    attributes = {"VolumeId": "VolumeId"}
    drop = ("AutoEnableIO",)
    snapshots = True

    def snapshot(self, ctx: Context, resource: Resource) -> None:
        ec2(ctx, "CreateSnapshot", VolumeId=resource.id)

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        names = ("Size", "VolumeType", "Iops", "Throughput")
        given = {name: new[name] for name in names if old and name in new and new[name] != old.get(name)}
        if given:
            ec2(ctx, "ModifyVolume", VolumeId=id, **given)

    def replaces(self, old: Properties, new: Properties, changed: frozenset[str]) -> bool:
        """The schema has no create-only ones: AWS's handler refuses these."""
        return False

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        for name in ("AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId"):
            if new.get(name) != resource.properties.get(name):
                raise Failed(f"Update to resource type AWS::EC2::Volume is not supported for property {name}.", "NotUpdatable")
        return super().update(ctx, resource, new, wanted)

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        shown = {key: value for key, value in description.items() if key not in ("State", "Attachments") and value not in ("", None)}
        found = properties(self.schema, {**shown, "Tags": None})
        tags = shown_tags(description.get("Tags"))
        return {**found, "Tags": tags} if tags else found

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        try:
            ec2(ctx, "DeleteVolume", VolumeId=resource.id)
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None
