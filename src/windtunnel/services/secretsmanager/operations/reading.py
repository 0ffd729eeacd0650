"""GetSecretValue, BatchGetSecretValue, DescribeSecret, ListSecretVersionIds."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.secretsmanager import replicas, values
from windtunnel.services.secretsmanager.filters import compile_filters
from windtunnel.services.secretsmanager.guard import need, need_on, on_secret
from windtunnel.services.secretsmanager.lookups import Found, live_secret, the_secret
from windtunnel.services.secretsmanager.model import CURRENT, Secret, Version, described, stages_by_version

BATCH = 20


def on_get(ctx: Context, secret_id: str, version_id: str | None = None, version_stage: str | None = None, **_: Any) -> list[Need]:
    asked: dict[str, Any] = {}
    if version_id is not None:
        asked["secretsmanager:VersionId"] = version_id
    if version_stage is not None or version_id is None:
        asked["secretsmanager:VersionStage"] = version_stage or CURRENT
    return [need(ctx, "GetSecretValue", secret_id, asked)]


@reads("secretsmanager", "GetSecretValue", authorize=on_get, acts="SecretId VersionId VersionStage")
def get_secret_value(ctx: Context, secret_id: str, version_id: str | None = None, version_stage: str | None = None) -> Reply:
    found = live_secret(ctx, secret_id)
    return values.shown(ctx, found, _asked_version(found, version_id, version_stage))


def _asked_version(found: Found, version_id: str | None, version_stage: str | None) -> Version:
    label = version_stage or (CURRENT if version_id is None else None)
    version = found.version(version_id if version_id is not None else found.secret.stages.get(label or ""))
    if version is None:
        what = f"VersionId: {version_id}" if version_id is not None else f"staging label: {label}"
        raise AwsError("ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {what}")
    if label is not None and found.secret.stages.get(label) != version.id:
        words = "You provided a VersionStage that is not associated to the provided VersionId."
        raise AwsError("InvalidRequestException", words)
    return version


def on_batch(ctx: Context, filters: list[dict[str, Any]] | None = None, **_: Any) -> list[Need]:
    """The secrets themselves are asked for one by one: what the caller may not read is told among the errors."""
    needs = [Need("secretsmanager:BatchGetSecretValue")]
    return [*needs, Need("secretsmanager:ListSecrets")] if filters else needs


@reads(
    "secretsmanager",
    "BatchGetSecretValue",
    authorize=on_batch,
    acts="SecretIdList[] Filters[].Key Filters[].Values[] MaxResults NextToken",
    cost="scan",
)
def batch_get_secret_value(
    ctx: Context,
    secret_id_list: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> Reply:
    if (secret_id_list is None) == (filters is None):
        raise AwsError("InvalidParameterException", "Either SecretIdList or Filters must be provided, but not both.")
    if secret_id_list is not None and (max_results is not None or next_token is not None):
        raise AwsError("InvalidParameterException", "MaxResults and NextToken can't be used with SecretIdList.")
    if secret_id_list is not None:
        return _values(ctx, secret_id_list)
    passes, limit = compile_filters(filters or []), max_results or BATCH
    live = (secret for secret in ctx.tx.scan(Secret, after=next_token) if secret.deletion is None)
    names = [secret.name for secret in live if passes(secret, ctx.scope.region)]
    reply = _values(ctx, names[:limit])
    return {**reply, "NextToken": names[limit - 1]} if len(names) > limit else reply


def _values(ctx: Context, ids: list[str]) -> Reply:
    found: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    for secret_id in ids:
        try:
            secret = live_secret(ctx, secret_id)
            ctx.cloud.identity.check(ctx, [need_on(secret, "GetSecretValue", {"secretsmanager:VersionStage": CURRENT})])
            found.append(values.shown(ctx, secret, _asked_version(secret, None, None)))
        except AwsError as error:
            code = "AccessDeniedException" if error.code == "AccessDenied" else error.code
            errors.append({"SecretId": secret_id, "ErrorCode": code, "Message": error.message})
    return {"SecretValues": found, "Errors": errors}


@reads("secretsmanager", "DescribeSecret", authorize=on_secret("DescribeSecret"), acts="SecretId")
def describe_secret(ctx: Context, secret_id: str) -> Reply:
    found = the_secret(ctx, secret_id)
    reply = described(found.scope, found.secret)
    if found.secret.replicas:
        reply["ReplicationStatus"] = replicas.status(found.secret)
    stages = stages_by_version(found.secret)
    return {**reply, "VersionIdsToStages": stages} if stages else reply


@reads(
    "secretsmanager",
    "ListSecretVersionIds",
    authorize=on_secret("ListSecretVersionIds"),
    acts="SecretId MaxResults NextToken IncludeDeprecated",
    cost="scan",
)
def list_secret_version_ids(
    ctx: Context, secret_id: str, max_results: int = 100, next_token: str | None = None, include_deprecated: bool = False
) -> Reply:
    found = the_secret(ctx, secret_id)
    labelled = set(found.secret.stages.values())
    wanted = [version for version in found.versions() if include_deprecated or version.id in labelled]
    left = [version for version in wanted if next_token is None or version.id > next_token]
    reply: Reply = {"Versions": [_entry(found, version) for version in left[:max_results]], **found.names()}
    return {**reply, "NextToken": left[max_results - 1].id} if len(left) > max_results else reply


def _entry(found: Found, version: Version) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "VersionId": version.id,
        "CreatedDate": version.created,
        "KmsKeyIds": [version.kms_key or "DefaultEncryptionKey"],
    }
    labels = found.secret.labels(version.id)
    if labels:
        entry["VersionStages"] = labels
    return entry
