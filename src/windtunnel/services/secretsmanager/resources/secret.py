"""AWS::SecretsManager::Secret. Its value is written and never read: neither drift nor Cloud Control tell it, as on AWS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed, keyed_changes, listed, shown_tags, tag_changes, with_stack_tags, without_none
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.secretsmanager.resources.shared import MISSING, described, secrets

_PASSWORD = (
    "ExcludeCharacters",
    "ExcludeLowercase",
    "ExcludeNumbers",
    "ExcludePunctuation",
    "ExcludeUppercase",
    "IncludeSpace",
    "PasswordLength",
    "RequireEachIncludedType",
)
_DEFAULT_KEY = "alias/aws/secretsmanager"


def _value(ctx: Context, props: Properties) -> str | None:
    """What the template says, or a password by its rules, alone or in a JSON object."""
    asked = props.get("GenerateSecretString")
    if asked is None:
        return props.get("SecretString")
    if "SecretString" in props:
        raise Failed("You can't specify both GenerateSecretString and SecretString.", "InvalidRequest")
    template, key = asked.get("SecretStringTemplate"), asked.get("GenerateStringKey")
    if (template is None) != (key is None):
        raise Failed("You must specify both SecretStringTemplate and GenerateStringKey, or neither of them.", "InvalidRequest")
    password = secrets(ctx, "GetRandomPassword", **{name: asked[name] for name in _PASSWORD if name in asked})["RandomPassword"]
    if template is None:
        return str(password)
    try:
        document = msgspec.json.decode(template)
    except msgspec.DecodeError:
        document = None
    if not isinstance(document, dict):
        raise Failed("SecretStringTemplate must be a valid JSON object.", "InvalidRequest")
    return msgspec.json.encode({**document, key: password}).decode()


def _replicas(props: Properties) -> list[dict[str, Any]]:
    return [without_none({"Region": item["Region"], "KmsKeyId": item.get("KmsKeyId")}) for item in props.get("ReplicaRegions") or ()]


@resource_type("AWS::SecretsManager::Secret")
class SecretType(Direct):
    service = "secretsmanager"
    calls = (
        "CreateSecret UpdateSecret DescribeSecret DeleteSecret GetRandomPassword ReplicateSecretToRegions "
        "RemoveRegionsFromReplication TagResource UntagResource"
    )
    name = Name("Name", 256)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        # AWS's own name for one without: `LOGICALID-RANDOM12`.
        name = props.get("Name") or f"{wanted.logical_id}-{wanted.name.rpartition('-')[2]}"
        tags = with_stack_tags(props.get("Tags"), wanted)
        arn = secrets(
            ctx,
            "CreateSecret",
            Name=name,
            Description=props.get("Description"),
            KmsKeyId=props.get("KmsKeyId"),
            SecretString=_value(ctx, props),
            AddReplicaRegions=_replicas(props) or None,
            Type=props.get("Type"),
            Tags=tags or None,
        )["ARN"]
        return Created(id=arn, attributes={"Id": arn})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = described(ctx, resource.id)
        if found is None:
            return None
        replicas = [
            without_none({"Region": item["Region"], "KmsKeyId": None if item["KmsKeyId"] == _DEFAULT_KEY else item["KmsKeyId"]})
            for item in found.get("ReplicationStatus") or ()
        ]
        return without_none(
            {
                "Name": found["Name"],
                "Description": found.get("Description"),
                "KmsKeyId": found.get("KmsKeyId"),
                "ReplicaRegions": replicas or None,
                "Tags": shown_tags(found["Tags"]),
                "Id": found["ARN"],
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        arn, old = resource.id, resource.properties
        if changed(old, new, "Type"):
            secrets(ctx, "UpdateSecret", SecretId=arn, Type=new.get("Type", ""))
        fresh = _value(ctx, new) if changed(old, new, "SecretString", "GenerateSecretString") else None
        if fresh is not None or changed(old, new, "Description", "KmsKeyId"):
            secrets(
                ctx,
                "UpdateSecret",
                SecretId=arn,
                Description=new.get("Description", ""),
                KmsKeyId=new.get("KmsKeyId", _DEFAULT_KEY) if changed(old, new, "KmsKeyId") else None,
                SecretString=fresh,
            )
        came, went = keyed_changes(_replicas(old), _replicas(new), lambda item: str(item["Region"]))
        again = [item["Region"] for item in came if any(item["Region"] == before["Region"] for before in _replicas(old))]
        if went or again:
            secrets(ctx, "RemoveRegionsFromReplication", SecretId=arn, RemoveReplicaRegions=[*went, *again])
        if came:
            secrets(ctx, "ReplicateSecretToRegions", SecretId=arn, AddReplicaRegions=came)
        put, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        if gone:
            secrets(ctx, "UntagResource", SecretId=arn, TagKeys=gone)
        if put:
            secrets(ctx, "TagResource", SecretId=arn, Tags=put)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        """Without a recovery window, as CloudFormation deletes secrets, so that a stack of the same names can be made again."""
        found = described(ctx, resource.id)
        regions = [item["Region"] for item in (found or {}).get("ReplicationStatus") or ()]
        if regions:
            secrets(ctx, "RemoveRegionsFromReplication", SecretId=resource.id, RemoveReplicaRegions=regions)
        secrets(ctx, "DeleteSecret", SecretId=resource.id, ForceDeleteWithoutRecovery=True)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (secret["ARN"] for secret in listed(ctx, "secretsmanager", "ListSecrets", "SecretList"))
