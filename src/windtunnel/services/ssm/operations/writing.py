"""PutParameter, DeleteParameter, DeleteParameters."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import writes
from windtunnel.services.ssm.guard import need, on_parameter, on_parameters, request_tags
from windtunnel.services.ssm.model import (
    MAX_VERSIONS,
    Parameter,
    ParameterVersion,
    Past,
    check_name,
    check_value,
    chosen_tier,
    invalid,
    parameter_arn,
    past_key,
    past_prefix,
    split_selector,
)
from windtunnel.services.ssm.operations.tagging import tag_map


def on_put(ctx: Context, name: str, tags: list[dict[str, str]] | None = None, overwrite: bool = False, **_: Any) -> list[Need]:
    asked = request_tags(tags) if tags else {}
    needs = [need(ctx, "PutParameter", name, {**asked, "ssm:Overwrite": overwrite})]
    return [*needs, need(ctx, "AddTagsToResource", name, asked)] if tags else needs


@writes(
    "ssm",
    "PutParameter",
    authorize=on_put,
    acts="Name Value Type Overwrite AllowedPattern Tags[].Key Tags[].Value DataType Tier",
    descriptive="Description",
)
def put_parameter(
    ctx: Context,
    name: str,
    value: str,
    type: str | None = None,
    overwrite: bool = False,
    description: str | None = None,
    allowed_pattern: str = "",
    tags: list[dict[str, str]] | None = None,
    tier: str | None = None,
    data_type: str | None = None,
) -> Reply:
    check_name(name)
    old = ctx.tx.get(Parameter, name)
    kind = type or (old.current.type if old is not None else None)
    if kind is None:
        raise invalid("A parameter type is required when you create a parameter.")
    if kind == "SecureString":
        raise not_built("ssm", "PutParameter", "Type SecureString (it needs KMS)")
    if data_type not in (None, "text"):
        raise not_built("ssm", "PutParameter", f"DataType {data_type}")
    if old is not None:
        _check_overwrite(old, overwrite, tags)
    chosen = chosen_tier(tier, value, old.current if old is not None else None)
    check_value(value, chosen, allowed_pattern)
    if description is None:
        description = old.current.description if old is not None else ""
    version = old.current.version + 1 if old is not None else 1
    entry = ParameterVersion(version, kind, value, ctx.now, ctx.principal.arn, description, allowed_pattern, chosen)
    if old is None:
        ctx.tx.put(Parameter(name=name, current=entry, tags=tag_map({}, tags or [])))
    else:
        _retire(ctx, old)
        ctx.tx.put(Parameter(name=name, current=entry, tags=old.tags, labels=old.labels))
    _tell(ctx, name, entry, "Create" if old is None else "Update")
    return {"Version": version, "Tier": chosen}


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
    base, _ = split_selector(ctx.scope, name)
    parameter = ctx.tx.get(Parameter, base)
    if parameter is None:
        return False
    ctx.tx.delete(Parameter, base)
    for past in ctx.tx.scan(Past, prefix=past_prefix(base)):
        ctx.tx.delete(Past, past.key())
    _tell(ctx, base, parameter.current, "Delete")
    return True
