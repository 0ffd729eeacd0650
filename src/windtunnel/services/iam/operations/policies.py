"""Managed policies: customers' with their versions, and AWS's, which nobody changes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from windtunnel.iam.grammar import validate
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.aws_managed import PREFIX, AwsPolicy, aws_policies
from windtunnel.services.iam.directory import drop, now, own_policy, save
from windtunnel.services.iam.model import (
    MAX_MANAGED_SIZE,
    MAX_POLICY_VERSIONS,
    Entity,
    Group,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
    checked_tags,
    encoded,
    merged_tags,
    policy_arn,
    policy_size,
    tag_list,
)
from windtunnel.services.iam.operations.authorize import on_account, on_new_policy, on_policy
from windtunnel.services.iam.operations.paging import page

_HOLDERS: tuple[type[Entity], ...] = (User, Group, Role)


def customer_policy(ctx: Context, arn: str) -> ManagedPolicy:
    """A policy that the account may change."""
    if arn.startswith(PREFIX):
        raise AwsError("AccessDenied", f"Policy {arn} is managed by AWS and cannot be changed.", status=403)
    found = own_policy(ctx, arn)
    if found is None:
        raise AwsError("NoSuchEntity", f"Policy {arn} was not found.")
    return found


def _any_policy(ctx: Context, arn: str) -> ManagedPolicy | AwsPolicy:
    provided = aws_policies().get(arn)
    if provided is None and arn.startswith(PREFIX):
        raise AwsError("NoSuchEntity", f"Policy {arn} was not found.")
    return provided or customer_policy(ctx, arn)


def _holders(ctx: Context, arn: str, index: str = "attached") -> list[Entity]:
    return [holder for kind in _HOLDERS for holder in ctx.tx.find(kind, index, arn)]


def _checked(document: str) -> str:
    validate(document, "identity")
    if policy_size(document) > MAX_MANAGED_SIZE:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PolicySize: {MAX_MANAGED_SIZE}")
    return document


def _arn(ctx: Context, policy: ManagedPolicy | AwsPolicy) -> str:
    return policy.arn if isinstance(policy, AwsPolicy) else policy_arn(ctx.scope, policy)


def described_policy(ctx: Context, policy: ManagedPolicy | AwsPolicy, *, whole: bool = False) -> dict[str, Any]:
    """The Policy shape. whole: with description and tags, which ListPolicies leaves out."""
    arn = _arn(ctx, policy)
    reply: dict[str, Any] = {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": arn,
        "Path": policy.path,
        "AttachmentCount": len(_holders(ctx, arn)),
        "PermissionsBoundaryUsageCount": len(_holders(ctx, arn, "boundary")),
        "IsAttachable": True,
        "CreateDate": policy.created,
    }
    if isinstance(policy, AwsPolicy):
        return {**reply, "DefaultVersionId": f"v{policy.version}", "UpdateDate": policy.updated, "IsAttachable": policy.attachable}
    reply |= {"DefaultVersionId": f"v{policy.default}", "UpdateDate": policy.updated}
    if whole and policy.description:
        reply["Description"] = policy.description
    if whole and policy.tags:
        reply["Tags"] = tag_list(policy.tags)
    return reply


@writes(
    "iam",
    "CreatePolicy",
    authorize=on_new_policy("CreatePolicy"),
    acts="PolicyName Path PolicyDocument Tags[].*",
    descriptive="Description",
)
def create_policy(
    ctx: Context,
    policy_name: str,
    policy_document: str,
    path: str = "/",
    description: str = "",
    tags: list[dict[str, str]] | None = None,
) -> Reply:
    document = _checked(policy_document)
    if ctx.tx.get(ManagedPolicy, policy_name.lower()) is not None:
        raise AwsError("EntityAlreadyExists", f"A policy called {policy_name} already exists. Duplicate names are not allowed.")
    made = ManagedPolicy(
        name=policy_name,
        path=path,
        id="ANPA" + ctx.ids.upper(17),
        description=description,
        created=now(ctx),
        updated=now(ctx),
        versions=[PolicyVersion(1, document, now(ctx))],
        tags=merged_tags({}, checked_tags(tags)),
    )
    save(ctx, made)
    return {"Policy": described_policy(ctx, made, whole=True)}


@reads("iam", "GetPolicy", authorize=on_policy("GetPolicy"), acts="PolicyArn")
def get_policy(ctx: Context, policy_arn: str) -> Reply:
    return {"Policy": described_policy(ctx, _any_policy(ctx, policy_arn), whole=True)}


@reads(
    "iam",
    "ListPolicies",
    authorize=on_account("ListPolicies"),
    acts="Scope OnlyAttached PathPrefix PolicyUsageFilter Marker MaxItems",
    cost="scan",
)
def list_policies(
    ctx: Context,
    scope: str = "All",
    only_attached: bool = False,
    path_prefix: str = "/",
    policy_usage_filter: str | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> Reply:
    found: list[ManagedPolicy | AwsPolicy] = []
    if scope != "AWS":
        found += ctx.tx.scan(ManagedPolicy)
    if scope != "Local":
        found += aws_policies().values()
    index = "boundary" if policy_usage_filter == "PermissionsBoundary" else "attached"
    wanted = only_attached or policy_usage_filter == "PermissionsBoundary"
    listed = [policy for policy in found if policy.path.startswith(path_prefix) and (not wanted or _holders(ctx, _arn(ctx, policy), index))]
    return page("Policies", listed, lambda policy: described_policy(ctx, policy), lambda policy: policy.name.lower(), marker, max_items)


@writes("iam", "DeletePolicy", authorize=on_policy("DeletePolicy"), acts="PolicyArn")
def delete_policy(ctx: Context, policy_arn: str) -> Reply:
    found = customer_policy(ctx, policy_arn)
    if _holders(ctx, policy_arn) or _holders(ctx, policy_arn, "boundary"):
        raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.")
    if len(found.versions) > 1:
        raise AwsError(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy.",
        )
    drop(ctx, found)
    return {}


# --- versions --------------------------------------------------------------------------------------------------------------


def _described_version(policy: ManagedPolicy, version: PolicyVersion, *, document: bool = False) -> dict[str, Any]:
    reply: dict[str, Any] = {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == policy.default,
        "CreateDate": version.created,
    }
    return {**reply, "Document": encoded(version.document)} if document else reply


def _aws_version(policy: AwsPolicy) -> dict[str, Any]:
    return {"VersionId": f"v{policy.version}", "IsDefaultVersion": True, "CreateDate": policy.updated}


def listed_versions(policy: ManagedPolicy | AwsPolicy) -> list[dict[str, Any]]:
    """Every version, without its document."""
    if isinstance(policy, AwsPolicy):
        return [_aws_version(policy)]
    return [_described_version(policy, version) for version in policy.versions]


def whole_versions(policy: ManagedPolicy | AwsPolicy) -> list[dict[str, Any]]:
    """Every version with its document."""
    if isinstance(policy, AwsPolicy):
        return [{**_aws_version(policy), "Document": encoded(policy.text)}]
    return [_described_version(policy, version, document=True) for version in policy.versions]


def _version(policy: ManagedPolicy, arn: str, version_id: str) -> PolicyVersion:
    number = int(version_id[1:]) if re.fullmatch(r"v[0-9]{1,9}", version_id) else 0
    found = policy.version(number)
    if found is None:
        raise AwsError("NoSuchEntity", f"Policy {arn} version {version_id} does not exist or is not attachable.")
    return found


@writes("iam", "CreatePolicyVersion", authorize=on_policy("CreatePolicyVersion"), acts="PolicyArn PolicyDocument SetAsDefault")
def create_policy_version(ctx: Context, policy_arn: str, policy_document: str, set_as_default: bool = False) -> Reply:
    policy = customer_policy(ctx, policy_arn)
    document = _checked(policy_document)
    if len(policy.versions) >= MAX_POLICY_VERSIONS:
        raise AwsError(
            "LimitExceeded",
            "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
        )
    version = PolicyVersion(policy.latest + 1, document, now(ctx))
    changed = msgspec.structs.replace(
        policy,
        versions=[*policy.versions, version],
        latest=version.number,
        default=version.number if set_as_default else policy.default,
        updated=now(ctx),
    )
    save(ctx, changed)
    return {"PolicyVersion": _described_version(changed, version)}


@reads("iam", "GetPolicyVersion", authorize=on_policy("GetPolicyVersion"), acts="PolicyArn VersionId")
def get_policy_version(ctx: Context, policy_arn: str, version_id: str) -> Reply:
    policy = _any_policy(ctx, policy_arn)
    if isinstance(policy, ManagedPolicy):
        return {"PolicyVersion": _described_version(policy, _version(policy, policy_arn, version_id), document=True)}
    if version_id != f"v{policy.version}":
        raise AwsError("NoSuchEntity", f"Policy {policy_arn} version {version_id} does not exist or is not attachable.")
    return {"PolicyVersion": {**_aws_version(policy), "Document": encoded(policy.text)}}


@reads("iam", "ListPolicyVersions", authorize=on_policy("ListPolicyVersions"), acts="PolicyArn Marker MaxItems")
def list_policy_versions(ctx: Context, policy_arn: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    versions = listed_versions(_any_policy(ctx, policy_arn))
    # The newest version comes first, and there are never more than five.
    return page(
        "Versions", versions, lambda version: version, lambda version: f"{10**9 - int(version['VersionId'][1:]):010d}", marker, max_items
    )


@writes("iam", "SetDefaultPolicyVersion", authorize=on_policy("SetDefaultPolicyVersion"), acts="PolicyArn VersionId")
def set_default_policy_version(ctx: Context, policy_arn: str, version_id: str) -> Reply:
    policy = customer_policy(ctx, policy_arn)
    chosen = _version(policy, policy_arn, version_id)
    save(ctx, msgspec.structs.replace(policy, default=chosen.number, updated=now(ctx)))
    return {}


@writes("iam", "DeletePolicyVersion", authorize=on_policy("DeletePolicyVersion"), acts="PolicyArn VersionId")
def delete_policy_version(ctx: Context, policy_arn: str, version_id: str) -> Reply:
    policy = customer_policy(ctx, policy_arn)
    gone = _version(policy, policy_arn, version_id)
    if gone.number == policy.default:
        raise AwsError("DeleteConflict", "Cannot delete the default version of a policy.")
    save(ctx, msgspec.structs.replace(policy, versions=[version for version in policy.versions if version is not gone]))
    return {}


@reads(
    "iam",
    "ListEntitiesForPolicy",
    authorize=on_policy("ListEntitiesForPolicy"),
    acts="PolicyArn EntityFilter PathPrefix PolicyUsageFilter Marker MaxItems",
)
def list_entities_for_policy(
    ctx: Context,
    policy_arn: str,
    entity_filter: str | None = None,
    path_prefix: str = "/",
    policy_usage_filter: str | None = None,
    marker: str | None = None,
    max_items: int | None = None,
) -> Reply:
    _any_policy(ctx, policy_arn)
    index = "boundary" if policy_usage_filter == "PermissionsBoundary" else "attached"
    holders = [
        holder
        for holder in _holders(ctx, policy_arn, index)
        if holder.path.startswith(path_prefix) and entity_filter in (None, holder.NOUN.title())
    ]
    reply = page("Holders", holders, lambda holder: holder, lambda holder: f"{holder.NOUN}/{holder.key()}", marker, max_items)
    listed: list[Entity] = reply.pop("Holders")
    for kind in _HOLDERS:
        title = kind.NOUN.title()
        reply[f"Policy{title}s"] = [{f"{title}Name": holder.name, f"{title}Id": holder.id} for holder in listed if isinstance(holder, kind)]
    return reply
