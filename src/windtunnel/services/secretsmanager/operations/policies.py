"""GetResourcePolicy, PutResourcePolicy, DeleteResourcePolicy, ValidateResourcePolicy."""

from __future__ import annotations

from typing import Any

from windtunnel.iam.grammar import validate
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.secretsmanager.guard import need, on_secret
from windtunnel.services.secretsmanager.lookups import the_secret
from windtunnel.services.secretsmanager.public import is_public
from windtunnel.services.secretsmanager.replicas import primary_secret, save

_MALFORMED = "MalformedPolicyDocumentException"


@reads("secretsmanager", "GetResourcePolicy", authorize=on_secret("GetResourcePolicy"), acts="SecretId")
def get_resource_policy(ctx: Context, secret_id: str) -> Reply:
    found = the_secret(ctx, secret_id)
    policy = found.secret.policy
    return {**found.names(), "ResourcePolicy": policy} if policy is not None else {**found.names()}


@writes(
    "secretsmanager",
    "PutResourcePolicy",
    authorize=on_secret("PutResourcePolicy", BlockPublicPolicy="block_public_policy"),
    acts="SecretId ResourcePolicy BlockPublicPolicy",
)
def put_resource_policy(ctx: Context, secret_id: str, resource_policy: str, block_public_policy: bool = False) -> Reply:
    found = primary_secret(ctx, secret_id)
    document = validate(resource_policy, "resource", code=_MALFORMED)
    if block_public_policy and is_public(document):
        words = "This resource policy grants broad access to the secret. You must use a policy that is not public."
        raise AwsError("PublicPolicyException", words)
    found.secret.policy = resource_policy
    save(ctx, found)
    return {**found.names()}


@writes("secretsmanager", "DeleteResourcePolicy", authorize=on_secret("DeleteResourcePolicy"), acts="SecretId")
def delete_resource_policy(ctx: Context, secret_id: str) -> Reply:
    found = primary_secret(ctx, secret_id)
    found.secret.policy = None
    save(ctx, found)
    return {**found.names()}


def on_validate(ctx: Context, secret_id: str | None = None, **_: Any) -> list[Need]:
    action = "ValidateResourcePolicy"
    return [Need(f"secretsmanager:{action}")] if secret_id is None else [need(ctx, action, secret_id)]


@reads("secretsmanager", "ValidateResourcePolicy", authorize=on_validate, acts="SecretId ResourcePolicy")
def validate_resource_policy(ctx: Context, resource_policy: str, secret_id: str | None = None) -> Reply:
    if secret_id is not None:
        the_secret(ctx, secret_id)
    errors = []
    try:
        if is_public(validate(resource_policy, "resource", code=_MALFORMED)):
            words = "The resource policy grants broad access: its principal is everyone, without a condition that narrows it."
            errors.append({"CheckName": "PUBLIC_POLICY", "ErrorMessage": words})
    except AwsError as error:
        if error.code != _MALFORMED:
            raise
        errors.append({"CheckName": "POLICY_SYNTAX", "ErrorMessage": error.message})
    return {"PolicyValidationPassed": not errors, "ValidationErrors": errors}
