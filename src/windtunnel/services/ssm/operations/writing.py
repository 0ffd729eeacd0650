"""PutParameter, DeleteParameter, DeleteParameters."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import writes
from windtunnel.kernel.tags import by_stack, users_pairs
from windtunnel.services.ssm.guard import need, on_parameter, on_parameters, request_tags
from windtunnel.services.ssm.model import (
    MAX_VERSIONS,
    SECURE,
    Parameter,
    ParameterVersion,
    Past,
    check_name,
    check_value,
    chosen_tier,
    find_parameter,
    invalid,
    parameter_arn,
    past_key,
    past_prefix,
)
from windtunnel.services.ssm.operations.settings import default_tier
from windtunnel.services.ssm.operations.tagging import tag_map
from windtunnel.services.ssm.policies import parse
from windtunnel.services.ssm.secure import DEFAULT_KEY, encrypted

IMAGE = "aws:ec2:image"


def on_put(
    ctx: Context, name: str, tags: list[dict[str, str]] | None = None, overwrite: bool = False, policies: str | None = None, **_: Any
) -> list[Need]:
    tags = users_pairs(tags)
    asked = request_tags(tags) if tags else {}
    needs = [need(ctx, "PutParameter", name, {**asked, "ssm:Overwrite": overwrite, "ssm:Policies": policies is not None})]
    return [*needs, need(ctx, "AddTagsToResource", name, asked)] if tags else needs


@writes(
    "ssm",
    "PutParameter",
    authorize=on_put,
    acts="Name Value Type KeyId Overwrite AllowedPattern Tags[].Key Tags[].Value DataType Tier Policies",
    descriptive="Description",
)
def put_parameter(
    ctx: Context,
    name: str,
    value: str,
    type: str | None = None,
    key_id: str | None = None,
    overwrite: bool = False,
    description: str | None = None,
    allowed_pattern: str = "",
    tags: list[dict[str, str]] | None = None,
    tier: str | None = None,
    policies: str | None = None,
    data_type: str | None = None,
) -> Reply:
    check_name(name)
    old = ctx.tx.get(Parameter, name)
    kind = type or (old.current.type if old is not None else None)
    if kind is None:
        raise invalid("A parameter type is required when you create a parameter.")
    if key_id is not None and kind != SECURE:
        raise invalid(f"KeyId is not required for {kind} type parameter .")
    if old is not None:
        _check_overwrite(old, overwrite, tags)
    before = old.current if old is not None else None
    planned = before.policies if policies is None and before is not None else tuple(parse(policies, ctx.now)) if policies else ()
    asked = tier or (default_tier(ctx) if before is None else None)
    chosen = chosen_tier(asked, value, before, bool(planned))
    check_value(value, chosen, allowed_pattern)
    kept_type = data_type or (before.data_type if before is not None else "text")
    _check_data_type(ctx, kind, kept_type, value)
    if description is None:
        description = before.description if before is not None else ""
    key = (key_id or (before.key_id if before is not None else "") or DEFAULT_KEY) if kind == SECURE else ""
    entry = ParameterVersion(
        version=before.version + 1 if before is not None else 1,
        type=kind,
        value=encrypted(ctx, name, value, chosen, key) if key else value,
        modified=ctx.now,
        user=ctx.principal.arn,
        description=description,
        allowed_pattern=allowed_pattern,
        tier=chosen,
        data_type=kept_type,
        key_id=key,
        policies=tuple(msgspec.structs.replace(policy, status="Pending") for policy in planned),
    )
    if old is None:
        ctx.tx.put(Parameter(name=name, current=entry, tags=tag_map({}, tags or [], by_stack(ctx))))
    else:
        _retire(ctx, old)
        ctx.tx.put(Parameter(name=name, current=entry, tags=old.tags, labels=old.labels))
    _tell(ctx, name, entry, "Create" if old is None else "Update")
    if entry.policies:
        plan(ctx, name, entry)
    return {"Version": entry.version, "Tier": chosen}


def _check_data_type(ctx: Context, kind: str, data_type: str, value: str) -> None:
    """An image's id is looked up as the caller, before it is stored; AWS stores it first and tells by an event."""
    if data_type == "text":
        return
    if data_type != IMAGE:
        if data_type != "aws:ssm:integration":
            raise invalid(f"The following data type is not supported: {data_type} (Data type names are all lowercase.)")
        raise not_built("ssm", "PutParameter", f"DataType {data_type}")
    if kind != "String":
        raise invalid(f"The parameter type {kind} is not supported with the data type {IMAGE}.")
    try:
        found = ctx.on_behalf("ssm").call("ec2", "DescribeImages", image_ids=[value])["Images"]
    except AwsError as error:
        if error.code == "AccessDenied":
            raise
        found = []
    if not found:
        raise invalid(f"The parameter value {value} is not the ID of an Amazon Machine Image in this Region that you can use.")


def plan(ctx: Context, name: str, entry: ParameterVersion) -> None:
    """Start what the policies of a new version ask for. Only the wait for a change that does not come is paced: the others are dates."""
    expiration = next((policy.at for policy in entry.policies if policy.type == "Expiration"), 0.0)
    for place, policy in enumerate(entry.policies):
        if policy.type == "Expiration":
            seconds = policy.at - ctx.now
        elif policy.type == "ExpirationNotification":
            seconds = expiration - policy.seconds - ctx.now
        else:
            seconds = ctx.clock.paced(policy.seconds)
        ctx.start_job(
            "ssm.policy",
            f"ssm.policy/{ctx.ids.uuid()}",
            name=name,
            version=entry.version,
            modified=entry.modified,
            place=place,
            seconds=max(0.0, seconds),
        )


def _check_overwrite(old: Parameter, overwrite: bool, tags: list[dict[str, str]] | None) -> None:
    if not overwrite:
        raise AwsError(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        )
    if tags:
        raise invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag."
            " To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource."
        )


def _retire(ctx: Context, old: Parameter) -> None:
    """Keep the current version as a past one, and forget the oldest when there are too many."""
    oldest = old.current.version + 1 - MAX_VERSIONS
    if oldest in old.labels.values():
        raise AwsError(
            "ParameterMaxVersionLimitExceeded",
            f"You attempted to create a new version of {old.name} by calling the PutParameter API with the overwrite flag."
            f" Version {oldest}, the oldest version, can't be deleted because it has a label associated with it."
            " Move the label to another version of the parameter, and try again.",
        )
    ctx.tx.put(Past(name=old.name, entry=old.current))
    if oldest > 0:
        ctx.tx.delete(Past, past_key(old.name, oldest))


def _tell(ctx: Context, name: str, entry: ParameterVersion, operation: str) -> None:
    detail = {"name": name, "type": entry.type, "operation": operation}
    if entry.description:
        detail["description"] = entry.description
    ctx.emit("aws.ssm", "Parameter Store Change", [parameter_arn(ctx.scope, name)], detail)


@writes("ssm", "DeleteParameter", authorize=on_parameter("DeleteParameter"), acts="Name")
def delete_parameter(ctx: Context, name: str) -> Reply:
    if not remove(ctx, name):
        raise AwsError("ParameterNotFound", "")
    return {}


@writes("ssm", "DeleteParameters", authorize=on_parameters("DeleteParameters"), acts="Names[]")
def delete_parameters(ctx: Context, names: list[str]) -> Reply:
    gone = {name: remove(ctx, name) for name in dict.fromkeys(names)}
    return {
        "DeletedParameters": [name for name, deleted in gone.items() if deleted],
        "InvalidParameters": [name for name, deleted in gone.items() if not deleted],
    }


def remove(ctx: Context, name: str) -> bool:
    """Delete a parameter with its history; False when there is none."""
    parameter, base, _ = find_parameter(ctx.tx, ctx.scope, name)
    if parameter is None:
        return False
    ctx.tx.delete(Parameter, base)
    for past in ctx.tx.scan(Past, prefix=past_prefix(base)):
        ctx.tx.delete(Past, past.key())
    _tell(ctx, base, parameter.current, "Delete")
    return True
