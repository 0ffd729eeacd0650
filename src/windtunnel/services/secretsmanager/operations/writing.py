"""CreateSecret, PutSecretValue, UpdateSecret."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.kernel.tags import by_stack, users_pairs
from windtunnel.services.secretsmanager import replicas, values
from windtunnel.services.secretsmanager.guard import creating, need, request_tags
from windtunnel.services.secretsmanager.lookups import Found
from windtunnel.services.secretsmanager.model import (
    CURRENT,
    MAX_STAGES,
    MAX_VERSIONS,
    Secret,
    Version,
    check_name,
    moved,
    tag_map,
    version_key,
)
from windtunnel.services.secretsmanager.replicas import primary_secret, save

Tags = list[dict[str, str]]


def on_create(
    ctx: Context,
    name: str,
    description: str | None = None,
    kms_key_id: str | None = None,
    tags: Tags | None = None,
    add_replica_regions: replicas.Regions | None = None,
    **_: Any,
) -> list[Need]:
    tags = users_pairs(tags)
    asked: dict[str, Any] = {"secretsmanager:Name": name, **request_tags(tags)}
    if add_replica_regions:
        asked["secretsmanager:AddReplicaRegions"] = [item.get("Region", "") for item in add_replica_regions]
    if description is not None:
        asked["secretsmanager:Description"] = description
    if kms_key_id:
        asked["secretsmanager:KmsKeyId"] = asked["secretsmanager:KmsKeyArn"] = kms_key_id
    needs = [creating(ctx, "CreateSecret", name, asked)]
    return [*needs, creating(ctx, "TagResource", name, asked)] if tags else needs


@writes(
    "secretsmanager",
    "CreateSecret",
    authorize=on_create,
    acts="Name ClientRequestToken KmsKeyId SecretBinary SecretString Tags[].Key Tags[].Value AddReplicaRegions[].Region"
    " AddReplicaRegions[].KmsKeyId ForceOverwriteReplicaSecret",
    descriptive="Description",
)
def create_secret(
    ctx: Context,
    name: str,
    client_request_token: str | None = None,
    description: str = "",
    kms_key_id: str = "",
    secret_binary: bytes | None = None,
    secret_string: str | None = None,
    tags: Tags | None = None,
    add_replica_regions: replicas.Regions | None = None,
    force_overwrite_replica_secret: bool = False,
) -> Reply:
    """Asked twice with one token and one value, there is one secret."""
    check_name(name)
    value = values.given(secret_string, secret_binary)
    old = ctx.tx.get(Secret, name)
    if old is not None:
        return _again(ctx, Found(old, ctx.scope, ctx.tx), client_request_token, value)
    secret = Secret(
        name=name,
        suffix=ctx.ids.alnum(6),
        created=ctx.now,
        changed=ctx.now,
        description=description,
        kms_key=kms_key_id,
        tags=tag_map({}, tags or [], by_stack(ctx)),
    )
    found = Found(secret, ctx.scope, ctx.tx)
    reply: Reply = found.names()
    if value is not None:
        reply["VersionId"] = add_version(ctx, found, client_request_token, value, [CURRENT]).id
    if add_replica_regions:
        replicas.add(ctx, found, add_replica_regions, force_overwrite_replica_secret)
    save(ctx, found)
    return {**reply, "ReplicationStatus": replicas.status(secret)} if secret.replicas else reply


def _again(ctx: Context, found: Found, token: str | None, value: tuple[bytes, bool] | None) -> Reply:
    if found.secret.deletion is not None:
        words = "You can't create this secret because a secret with this name is already scheduled for deletion."
        raise AwsError("InvalidRequestException", words)
    version = found.version(token)
    if version is None or value is None or version.mark != values.mark(ctx, *value):
        raise AwsError("ResourceExistsException", f"The operation failed because the secret {found.secret.name} already exists.")
    return {**found.names(), "VersionId": version.id}


def add_version(ctx: Context, found: Found, token: str | None, value: tuple[bytes, bool], labels: list[str]) -> Version:
    """A new version with this value, and the labels on it; the secret is changed and still to be put."""
    secret = found.secret
    version = Version(secret=secret.name, id=token or ctx.ids.uuid(), created=ctx.now)
    found.tx.put(values.encrypted(ctx, found, version, *value, secret.kms_key))
    secret.stages = moved(secret.stages, labels, version.id)
    secret.order = [*secret.order, version.id]
    secret.changed = ctx.now
    forget_old(found)
    return version


def forget_old(found: Found) -> None:
    """Versions without a label are deprecated; the oldest of them go when there are more than a secret may have."""
    secret = found.secret
    surplus = len(secret.order) - MAX_VERSIONS
    if surplus <= 0:
        return
    labelled = set(secret.stages.values())
    if len(labelled) > MAX_VERSIONS:
        raise AwsError("LimitExceededException", f"A secret can have at most {MAX_VERSIONS} labelled versions.")
    gone = [version for version in secret.order if version not in labelled][:surplus]
    for version in gone:
        found.tx.delete(Version, version_key(secret.name, version))
    secret.order = [version for version in secret.order if version not in gone]


def on_put(ctx: Context, secret_id: str, **_: Any) -> list[Need]:
    return [need(ctx, "PutSecretValue", secret_id)]


@writes(
    "secretsmanager",
    "PutSecretValue",
    authorize=on_put,
    acts="SecretId ClientRequestToken SecretBinary SecretString VersionStages[]",
)
def put_secret_value(
    ctx: Context,
    secret_id: str,
    client_request_token: str | None = None,
    secret_binary: bytes | None = None,
    secret_string: str | None = None,
    version_stages: list[str] | None = None,
) -> Reply:
    found = primary_secret(ctx, secret_id)
    value = values.given(secret_string, secret_binary)
    if value is None:
        raise AwsError("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
    labels = list(dict.fromkeys(version_stages or [CURRENT]))
    if CURRENT not in found.secret.stages and CURRENT not in labels:
        labels.append(CURRENT)
    same = found.version(client_request_token)
    if same is not None:
        if same.mark != values.mark(ctx, *value):
            raise in_use(found, same.id)
        return {**found.names(), "VersionId": same.id, "VersionStages": found.secret.labels(same.id)}
    version = add_version(ctx, found, client_request_token, value, labels)
    _check_labels(found.secret, version.id)
    save(ctx, found)
    return {**found.names(), "VersionId": version.id, "VersionStages": found.secret.labels(version.id)}


def in_use(found: Found, token: str) -> AwsError:
    words = f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {found.arn}."
    return AwsError("ResourceExistsException", words)


def _check_labels(secret: Secret, version: str) -> None:
    if len(secret.labels(version)) > MAX_STAGES:
        raise AwsError("LimitExceededException", f"A version can have at most {MAX_STAGES} staging labels.")


def on_update(ctx: Context, secret_id: str, description: str | None = None, kms_key_id: str | None = None, **_: Any) -> list[Need]:
    asked: dict[str, Any] = {}
    if description is not None:
        asked["secretsmanager:Description"] = description
    if kms_key_id:
        asked["secretsmanager:KmsKeyId"] = asked["secretsmanager:KmsKeyArn"] = kms_key_id
    return [need(ctx, "UpdateSecret", secret_id, asked)]


@writes(
    "secretsmanager",
    "UpdateSecret",
    authorize=on_update,
    acts="SecretId ClientRequestToken KmsKeyId SecretBinary SecretString",
    descriptive="Description",
)
def update_secret(
    ctx: Context,
    secret_id: str,
    client_request_token: str | None = None,
    description: str | None = None,
    kms_key_id: str | None = None,
    secret_binary: bytes | None = None,
    secret_string: str | None = None,
) -> Reply:
    found = primary_secret(ctx, secret_id)
    secret = found.secret
    value = values.given(secret_string, secret_binary)
    if description is not None:
        secret.description = description
    if kms_key_id is not None and kms_key_id != secret.kms_key:
        secret.kms_key = kms_key_id
        _re_encrypt(ctx, found)
    reply: Reply = found.names()
    if value is not None:
        if client_request_token is not None and found.version(client_request_token) is not None:
            raise in_use(found, client_request_token)
        reply["VersionId"] = add_version(ctx, found, client_request_token, value, [CURRENT]).id
    secret.changed = ctx.now
    save(ctx, found)
    return reply


def _re_encrypt(ctx: Context, found: Found) -> None:
    """The labelled versions under the new key. Whoever may not read the old key keeps them as they are, as AWS does."""
    for version_id in set(found.secret.stages.values()):
        version = found.version(version_id)
        if version is None:
            continue
        try:
            value = values.decrypted(ctx, found, version)
        except AwsError:
            continue
        found.tx.put(values.encrypted(ctx, found, version, value, version.binary, found.secret.kms_key))
