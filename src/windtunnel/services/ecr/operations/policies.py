"""A repository's two policies: who may use it, and which images go by themselves (of which there are none yet)."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from windtunnel.iam.grammar import validate
from windtunnel.iam.policy import statements_of
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ecr.lifecycle import fault
from windtunnel.services.ecr.lookups import in_registry, invalid, on_repository, registry, the_repository


def checked_policy(text: str) -> str:
    """A repository's policy names no Resource: the repository is it. Otherwise it is a policy like any."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    statements = statements_of(document) if isinstance(document, dict) else []
    if not statements or not all(isinstance(one, dict) for one in statements):
        raise invalid("PolicyText", "Invalid repository policy provided")
    whole = {**document, "Statement": [{"Resource": "*", **one} for one in statements]}
    try:
        validate(json.dumps(whole), "resource", code="InvalidParameterException")
    except AwsError as refused:
        raise invalid("PolicyText", f"Invalid repository policy provided: {refused.message}") from refused
    return text


@writes(
    "ecr",
    "SetRepositoryPolicy",
    authorize=on_repository("SetRepositoryPolicy"),
    acts="registryId repositoryName policyText",
    default_only={"force": False},
)
def set_repository_policy(
    ctx: Context, repository_name: str, policy_text: str, registry_id: str | None = None, force: bool = False
) -> Reply:
    home = registry(ctx, registry_id)
    changed = msgspec.structs.replace(the_repository(home, repository_name), policy=checked_policy(policy_text))
    home.tx.put(changed)
    return changed.named(home.scope) | {"policyText": policy_text}


def _policy(home: Context, name: str) -> Reply:
    found = the_repository(home, name)
    if not found.policy:
        raise AwsError("RepositoryPolicyNotFoundException", f"Repository policy does not exist for the {in_registry(home, name)}")
    return found.named(home.scope) | {"policyText": found.policy}


@reads("ecr", "GetRepositoryPolicy", authorize=on_repository("GetRepositoryPolicy"), acts="registryId repositoryName")
def get_repository_policy(ctx: Context, repository_name: str, registry_id: str | None = None) -> Reply:
    return _policy(registry(ctx, registry_id), repository_name)


@writes("ecr", "DeleteRepositoryPolicy", authorize=on_repository("DeleteRepositoryPolicy"), acts="registryId repositoryName")
def delete_repository_policy(ctx: Context, repository_name: str, registry_id: str | None = None) -> Reply:
    home = registry(ctx, registry_id)
    reply = _policy(home, repository_name)
    home.tx.put(msgspec.structs.replace(the_repository(home, repository_name), policy=""))
    return reply


@writes(
    "ecr",
    "PutLifecyclePolicy",
    authorize=on_repository("PutLifecyclePolicy"),
    acts="registryId repositoryName",
    descriptive="lifecyclePolicyText",
)
def put_lifecycle_policy(ctx: Context, repository_name: str, lifecycle_policy_text: str, registry_id: str | None = None) -> Reply:
    home = registry(ctx, registry_id)
    found = the_repository(home, repository_name)
    wrong = fault(lifecycle_policy_text)
    if wrong:
        raise invalid("LifecyclePolicyText", wrong)
    home.tx.put(msgspec.structs.replace(found, lifecycle=lifecycle_policy_text))
    return found.named(home.scope) | {"lifecyclePolicyText": lifecycle_policy_text}


def _lifecycle(home: Context, name: str) -> Reply:
    found = the_repository(home, name)
    if not found.lifecycle:
        raise AwsError("LifecyclePolicyNotFoundException", f"Lifecycle policy does not exist for the {in_registry(home, name)}")
    return found.named(home.scope) | {"lifecyclePolicyText": found.lifecycle}


@reads("ecr", "GetLifecyclePolicy", authorize=on_repository("GetLifecyclePolicy"), acts="registryId repositoryName")
def get_lifecycle_policy(ctx: Context, repository_name: str, registry_id: str | None = None) -> Reply:
    return _lifecycle(registry(ctx, registry_id), repository_name)


@writes("ecr", "DeleteLifecyclePolicy", authorize=on_repository("DeleteLifecyclePolicy"), acts="registryId repositoryName")
def delete_lifecycle_policy(ctx: Context, repository_name: str, registry_id: str | None = None) -> Reply:
    home = registry(ctx, registry_id)
    reply = _lifecycle(home, repository_name)
    home.tx.put(msgspec.structs.replace(the_repository(home, repository_name), lifecycle=""))
    return reply
