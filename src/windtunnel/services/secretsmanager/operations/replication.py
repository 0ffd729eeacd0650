"""ReplicateSecretToRegions, RemoveRegionsFromReplication, StopReplicationToReplica."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.secretsmanager import replicas
from windtunnel.services.secretsmanager.guard import need, on_secret
from windtunnel.services.secretsmanager.lookups import live_secret
from windtunnel.services.secretsmanager.replicas import primary_secret, save


def on_replicate(
    ctx: Context, secret_id: str, add_replica_regions: replicas.Regions, force_overwrite_replica_secret: bool = False
) -> list[Need]:
    asked: dict[str, Any] = {
        "secretsmanager:AddReplicaRegions": [item.get("Region", "") for item in add_replica_regions],
        "secretsmanager:ForceOverwriteReplicaSecret": force_overwrite_replica_secret,
    }
    return [need(ctx, "ReplicateSecretToRegions", secret_id, asked)]


@writes(
    "secretsmanager",
    "ReplicateSecretToRegions",
    authorize=on_replicate,
    acts="SecretId AddReplicaRegions[].Region AddReplicaRegions[].KmsKeyId ForceOverwriteReplicaSecret",
)
def replicate_secret_to_regions(
    ctx: Context, secret_id: str, add_replica_regions: replicas.Regions, force_overwrite_replica_secret: bool = False
) -> Reply:
    found = primary_secret(ctx, secret_id)
    replicas.add(ctx, found, add_replica_regions, force_overwrite_replica_secret)
    save(ctx, found)
    return {"ARN": found.arn, "ReplicationStatus": replicas.status(found.secret)}


@writes(
    "secretsmanager",
    "RemoveRegionsFromReplication",
    authorize=on_secret("RemoveRegionsFromReplication"),
    acts="SecretId RemoveReplicaRegions[]",
)
def remove_regions_from_replication(ctx: Context, secret_id: str, remove_replica_regions: list[str]) -> Reply:
    found = primary_secret(ctx, secret_id)
    for region in remove_replica_regions:
        replicas.remove(ctx, found, region)
    save(ctx, found)
    return {"ARN": found.arn, "ReplicationStatus": replicas.status(found.secret)}


@writes("secretsmanager", "StopReplicationToReplica", authorize=on_secret("StopReplicationToReplica"), acts="SecretId")
def stop_replication_to_replica(ctx: Context, secret_id: str) -> Reply:
    """A replica becomes a secret of its own; its primary knows nothing of it any more."""
    found = live_secret(ctx, secret_id)
    if not found.secret.primary:
        raise AwsError("InvalidRequestException", "The secret is not a replica: there is no replication to stop.")
    primary = replicas.primary_of(found)
    if primary is not None:
        primary.secret.replicas = {name: it for name, it in primary.secret.replicas.items() if name != found.scope.region}
        primary.tx.put(primary.secret)
    found.secret.primary = ""
    found.tx.put(found.secret)
    return {"ARN": found.arn}
