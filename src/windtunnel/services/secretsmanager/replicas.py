"""Replicas: the same secret in other regions of the account, each under a key of its own region.

Invariants: a replica changes only as its primary changes, in the same transaction; what cannot be copied there (no key, a namesake) makes
its status `Failed`, with the reason, and leaves what stands there as it was.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.scope import Scope
from windtunnel.services.secretsmanager import values
from windtunnel.services.secretsmanager.jobs import erase
from windtunnel.services.secretsmanager.lookups import Found, live_secret
from windtunnel.services.secretsmanager.model import Replica, Secret, Version, version_key

Regions = list[dict[str, str]]


def primary_secret(ctx: Context, secret_id: str) -> Found:
    """A live secret that may be changed here. Raises InvalidRequestException for a replica."""
    found = live_secret(ctx, secret_id)
    check_primary(found)
    return found


def check_primary(found: Found) -> None:
    if found.secret.primary:
        words = "Operation not permitted on a replica secret. Call must be made in primary secret's region."
        raise AwsError("InvalidRequestException", words)


def save(ctx: Context, found: Found) -> None:
    """Write a secret, and have its replicas follow."""
    secret = found.secret
    secret.replicas = {region: _follow(ctx, found, region, replica) for region, replica in secret.replicas.items()}
    found.tx.put(secret)


def add(ctx: Context, found: Found, regions: Regions, overwrite: bool) -> None:
    """Begin to replicate; the secret is still to be saved. The caller must be able to encrypt under each replica's key."""
    for item in regions:
        region, kms_key = item.get("Region", ""), item.get("KmsKeyId", "")
        if not region or region == found.scope.region:
            raise AwsError("InvalidParameterException", "Invalid replica region.")
        found.secret.replicas[region] = _begin(ctx, found, region, kms_key, overwrite)


def _begin(ctx: Context, found: Found, region: str, kms_key: str, overwrite: bool) -> Replica:
    there = ctx.in_scope(found.scope.account, region)
    old = there.tx.get(Secret, found.secret.name)
    if old is not None and old.primary == found.scope.region:
        return Replica(kms_key)
    if old is not None and not overwrite:
        words = f"Replication failed: Secret name {found.secret.name} already exists in region {region}."
        return Replica(kms_key, "Failed", words)
    asked = {"key_id": kms_key or values.DEFAULT_KEY, "key_spec": "AES_256"}
    try:
        there.on_behalf("secretsmanager").call("kms", "GenerateDataKey", **asked)
    except AwsError as error:
        return Replica(kms_key, "Failed", f"Replication failed: {error.message or error.code}")
    if old is not None:
        erase(there.tx, old)
    secret = found.secret
    theirs = Secret(name=secret.name, suffix=secret.suffix, created=ctx.now, changed=ctx.now, kms_key=kms_key, primary=found.scope.region)
    there.tx.put(theirs)
    return Replica(kms_key)


def remove(ctx: Context, found: Found, region: str) -> None:
    """Stop replicating to a region, and forget what was replicated there."""
    there = found.tx.within(found.scope.account, region)
    theirs = there.get(Secret, found.secret.name)
    if theirs is not None and theirs.primary == found.scope.region:
        erase(there, theirs)
    found.secret.replicas = {name: replica for name, replica in found.secret.replicas.items() if name != region}


def _follow(ctx: Context, found: Found, region: str, replica: Replica) -> Replica:
    """One replica brought to what its primary is now, by the cloud itself: the permissions were looked at when it began."""
    cloud = ctx.acting(Principal.service("windtunnel", found.scope.account))
    there = cloud.in_scope(found.scope.account, region)
    theirs, secret = there.tx.get(Secret, found.secret.name), found.secret
    if theirs is None or theirs.primary != found.scope.region:
        return replica
    copy = Found(theirs, Scope(found.scope.account, region), there.tx)
    try:
        for version in found.versions():
            if there.tx.get(Version, version.key()) is None:
                value = values.decrypted(cloud, found, version)
                fresh = Version(secret=secret.name, id=version.id, created=version.created)
                there.tx.put(values.encrypted(there, copy, fresh, value, version.binary, replica.kms_key))
    except AwsError as error:
        return Replica(replica.kms_key, "Failed", f"Replication failed: {error.message or error.code}")
    for gone in set(theirs.order) - set(secret.order):
        there.tx.delete(Version, version_key(secret.name, gone))
    theirs.description, theirs.tags, theirs.policy = secret.description, secret.tags, secret.policy
    theirs.stages, theirs.order, theirs.changed = secret.stages, secret.order, secret.changed
    there.tx.put(theirs)
    return Replica(replica.kms_key)


def primary_of(found: Found) -> Found | None:
    """The secret that a replica follows."""
    scope = Scope(found.scope.account, found.secret.primary)
    tx = found.tx.within(scope.account, scope.region)
    secret = tx.get(Secret, found.secret.name)
    return None if secret is None else Found(secret, scope, tx)


def status(secret: Secret) -> list[dict[str, Any]]:
    """The ReplicationStatus of a primary."""
    return [
        {
            "Region": region,
            "Status": replica.status,
            **({"KmsKeyId": replica.kms_key} if replica.kms_key else {"KmsKeyId": values.DEFAULT_KEY}),
            **({"StatusMessage": replica.message} if replica.message else {}),
        }
        for region, replica in sorted(secret.replicas.items())
    ]
