"""CloudFormation's types of KMS: AWS::KMS::Key and AWS::KMS::Alias."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, attempt, changed, checked_tags, listed, parsed, tag_changes, text, without_none
from windtunnel.provision.registry import Created, Failed, Properties, Resource, Wanted, resource_type
from windtunnel.services.kms.model import default_policy
from windtunnel.services.kms.operations.keys import make_pair

_MISSING = frozenset({"NotFoundException"})
_FIXED = ("KeySpec", "KeyUsage", "Origin", "MultiRegion")
_MARKER = ("NextMarker", "Marker")
_LONGEST = 30
_YEAR = 365


def _kms(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "kms", operation, **members)


def _pairs(tags: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tags]


def _rotation(props: Properties) -> tuple[bool, int]:
    return bool(props.get("EnableKeyRotation")), int(props.get("RotationPeriodInDays", _YEAR))


@resource_type("AWS::KMS::Key")
class KeyType(Direct):
    service = "kms"
    calls = (
        "CreateKey DescribeKey EnableKey DisableKey EnableKeyRotation DisableKeyRotation PutKeyPolicy UpdateKeyDescription "
        "ScheduleKeyDeletion TagResource UntagResource"
    )
    missing = _MISSING
    slow = True

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Any:
        """An asymmetric key's pair."""
        asked = {"key_spec": props.get("KeySpec"), "key_usage": props.get("KeyUsage"), "origin": props.get("Origin", "AWS_KMS")}
        return make_pair(ctx, asked).get("pair")

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        tags = _pairs(checked_tags(props.get("Tags")))
        given = {
            "Policy": text(props["KeyPolicy"]) if "KeyPolicy" in props else None,
            "Description": props.get("Description"),
            "KeyUsage": props.get("KeyUsage"),
            "KeySpec": props.get("KeySpec"),
            "Origin": props.get("Origin"),
            "MultiRegion": props.get("MultiRegion"),
            "BypassPolicyLockoutSafetyCheck": props.get("BypassPolicyLockoutSafetyCheck"),
            "Tags": tags or None,
        }
        made = perform(ctx, "kms", "CreateKey", prepared={"pair": ctx.found.get("prepared")}, **given)["KeyMetadata"]
        key = made["KeyId"]
        if props.get("EnableKeyRotation"):
            _kms(ctx, "EnableKeyRotation", KeyId=key, RotationPeriodInDays=props.get("RotationPeriodInDays"))
        if not props.get("Enabled", True):
            _kms(ctx, "DisableKey", KeyId=key)
        return Created(id=key, attributes={"Arn": made["Arn"], "KeyId": key})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        key = resource.id
        found = attempt(ctx, _MISSING, "kms", "DescribeKey", KeyId=key)
        if found is None or found["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return None
        metadata = found["KeyMetadata"]
        rotation = _kms(ctx, "GetKeyRotationStatus", KeyId=key)
        tags = [
            {"Key": tag["TagKey"], "Value": tag["TagValue"]} for tag in listed(ctx, "kms", "ListResourceTags", "Tags", _MARKER, KeyId=key)
        ]
        return without_none(
            {
                "KeyPolicy": parsed(_kms(ctx, "GetKeyPolicy", KeyId=key, PolicyName="default")["Policy"]),
                "Description": metadata["Description"],
                "KeySpec": metadata["KeySpec"],
                "KeyUsage": metadata["KeyUsage"],
                "Origin": metadata["Origin"],
                "MultiRegion": metadata["MultiRegion"],
                "Enabled": metadata["KeyState"] != "Disabled",
                "EnableKeyRotation": rotation["KeyRotationEnabled"],
                "RotationPeriodInDays": rotation.get("RotationPeriodInDays"),
                "Tags": tags or None,
                "Arn": metadata["Arn"],
                "KeyId": key,
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        key, old = resource.id, resource.properties
        if changed(old, new, *_FIXED):
            raise Failed(
                f"You cannot change the {', '.join(name for name in _FIXED if changed(old, new, name))} of a KMS key.", "NotUpdatable"
            )
        if new.get("Enabled", True) and not old.get("Enabled", True):
            _kms(ctx, "EnableKey", KeyId=key)
        if changed(old, new, "KeyPolicy"):
            policy = text(new["KeyPolicy"]) if "KeyPolicy" in new else default_policy(ctx.scope.account)
            bypass = new.get("BypassPolicyLockoutSafetyCheck")
            _kms(ctx, "PutKeyPolicy", KeyId=key, PolicyName="default", Policy=policy, BypassPolicyLockoutSafetyCheck=bypass)
        if changed(old, new, "Description"):
            _kms(ctx, "UpdateKeyDescription", KeyId=key, Description=new.get("Description", ""))
        rotates, days = _rotation(new)
        if rotates and (rotates, days) != _rotation(old):
            _kms(ctx, "EnableKeyRotation", KeyId=key, RotationPeriodInDays=days)
        elif not rotates and old.get("EnableKeyRotation"):
            _kms(ctx, "DisableKeyRotation", KeyId=key)
        put, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        if gone:
            _kms(ctx, "UntagResource", KeyId=key, TagKeys=gone)
        if put:
            _kms(ctx, "TagResource", KeyId=key, Tags=_pairs(put))
        if not new.get("Enabled", True) and old.get("Enabled", True):
            _kms(ctx, "DisableKey", KeyId=key)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        """A key that waits for its end is gone for its stack."""
        found = _kms(ctx, "DescribeKey", KeyId=resource.id)["KeyMetadata"]
        if found["KeyState"] != "PendingDeletion":
            days = resource.properties.get("PendingWindowInDays", _LONGEST)
            _kms(ctx, "ScheduleKeyDeletion", KeyId=resource.id, PendingWindowInDays=days)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (key["KeyId"] for key in listed(ctx, "kms", "ListKeys", "Keys", _MARKER))


@resource_type("AWS::KMS::Alias")
class AliasType(Direct):
    service = "kms"
    calls = "CreateAlias UpdateAlias DeleteAlias"
    missing = _MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        _kms(ctx, "CreateAlias", AliasName=props["AliasName"], TargetKeyId=props["TargetKeyId"])
        return Created(id=props["AliasName"])

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        aliases = listed(ctx, "kms", "ListAliases", "Aliases", _MARKER)
        found = next((alias for alias in aliases if alias["AliasName"] == resource.id), None)
        if found is None:
            return None
        target, given = found["TargetKeyId"], str(resource.properties.get("TargetKeyId", ""))
        return {"AliasName": resource.id, "TargetKeyId": given if given.rpartition("/")[2] == target else target}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        _kms(ctx, "UpdateAlias", AliasName=resource.id, TargetKeyId=new["TargetKeyId"])
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _kms(ctx, "DeleteAlias", AliasName=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        aliases = listed(ctx, "kms", "ListAliases", "Aliases", _MARKER)
        return (alias["AliasName"] for alias in aliases if not alias["AliasName"].startswith("alias/aws/"))
