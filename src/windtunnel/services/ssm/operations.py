"""Parameter Store's operations (Systems Manager API reference, 2014-11-06)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ssm.model import (
    MAX_VERSIONS,
    Parameter,
    ParameterVersion,
    check_name,
    check_value,
    described,
    parameter_arn,
    selected,
    split_selector,
)


def on_parameter(action: str) -> Any:
    def authorize(ctx: Context, name: str, **_: Any) -> list[Need]:
        return [Need(action, parameter_arn(ctx.scope, split_selector(name)[0]))]

    return authorize


def on_parameters(action: str) -> Any:
    def authorize(ctx: Context, names: list[str], **_: Any) -> list[Need]:
        return [Need(action, parameter_arn(ctx.scope, split_selector(name)[0])) for name in names]

    return authorize


def on_path(ctx: Context, path: str, **_: Any) -> list[Need]:
    return [Need("ssm:GetParametersByPath", parameter_arn(ctx.scope, path.rstrip("/") or "/"))]


@writes(
    "ssm",
    "PutParameter",
    authorize=on_parameter("ssm:PutParameter"),
    acts="Name Value Type Overwrite AllowedPattern Tags[].Key Tags[].Value DataType",
    descriptive="Description Tier",
)
def put_parameter(
    ctx: Context,
    name: str,
    value: str,
    type: str | None = None,
    overwrite: bool = False,
    description: str = "",
    allowed_pattern: str = "",
    tags: list[dict[str, str]] | None = None,
    tier: str | None = None,
    data_type: str | None = None,
) -> Reply:
    check_name(name)
    chosen = "Advanced" if tier == "Advanced" or (tier == "Intelligent-Tiering" and len(value.encode()) > 4096) else "Standard"
    old = ctx.tx.get(Parameter, name)
    if old is None and type is None:
        raise AwsError("ValidationException", "A parameter type is required when you create a parameter.")
    kind = type or old.current.type if old is not None else type or "String"
    if kind == "SecureString":
        raise not_built("ssm", "PutParameter", "Type SecureString (it needs KMS)")
    if data_type not in (None, "text"):
        raise not_built("ssm", "PutParameter", f"DataType {data_type}")
    if old is not None and not overwrite:
        raise AwsError(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        )
    if old is not None and tags:
        raise AwsError(
            "ValidationException",
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag.",
        )
    check_value(value, chosen, allowed_pattern)
    version = old.current.version + 1 if old is not None else 1
    entry = ParameterVersion(version, kind, value, ctx.now, ctx.principal.arn, description, allowed_pattern, chosen)
    history = [*(old.history if old is not None else []), entry][-MAX_VERSIONS:]
    kept = old.tags if old is not None else {tag["Key"]: tag["Value"] for tag in tags or []}
    ctx.tx.put(Parameter(name=name, history=history, tags=kept))
    ctx.emit(
        "aws.ssm",
        "Parameter Store Change",
        [parameter_arn(ctx.scope, name)],
        {"name": name, "type": kind, "operation": "Update" if old is not None else "Create", "description": description},
    )
    return {"Version": version, "Tier": chosen}


@reads("ssm", "GetParameter", authorize=on_parameter("ssm:GetParameter"), acts="Name WithDecryption")
def get_parameter(ctx: Context, name: str, with_decryption: bool = False) -> Reply:
    base, selector = split_selector(name)
    parameter = ctx.tx.get(Parameter, base)
    if parameter is None:
        raise AwsError("ParameterNotFound", "")
    entry = selected(parameter, selector)
    if entry is None:
        raise AwsError(
            "ParameterVersionNotFound",
            f"Systems Manager could not find version {selector[1:]} of {base}. Verify the version and try again.",
        )
    return {"Parameter": described(ctx.scope, parameter, entry, selector)}


@reads("ssm", "GetParameters", authorize=on_parameters("ssm:GetParameters"), acts="Names[] WithDecryption")
def get_parameters(ctx: Context, names: list[str], with_decryption: bool = False) -> Reply:
    found, missing = [], []
    for name in dict.fromkeys(names):
        base, selector = split_selector(name)
        parameter = ctx.tx.get(Parameter, base)
        entry = selected(parameter, selector) if parameter is not None else None
        if parameter is None or entry is None:
            missing.append(name)
        else:
            found.append(described(ctx.scope, parameter, entry, selector))
    return {"Parameters": found, "InvalidParameters": missing}


@reads(
    "ssm",
    "GetParametersByPath",
    authorize=on_path,
    acts="Path Recursive WithDecryption MaxResults NextToken",
    cost="scan",
)
def get_parameters_by_path(
    ctx: Context, path: str, recursive: bool = False, with_decryption: bool = False, max_results: int = 10, next_token: str | None = None
) -> Reply:
    if not path.startswith("/"):
        raise AwsError(
            "ValidationException",
            'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can\'t be prefixed with "aws" or "ssm" (case-insensitive).',
        )
    base = path.rstrip("/") + "/"
    after = next_token
    page: list[Parameter] = []
    more = True
    while more and len(page) <= max_results:
        batch = ctx.tx.scan(Parameter, prefix=base, after=after, limit=max_results + 1)
        more = len(batch) > max_results
        page += [p for p in batch if recursive or "/" not in p.name[len(base) :]]
        after = batch[-1].name if batch else None
    reply: Reply = {"Parameters": [described(ctx.scope, p, p.current) for p in page[:max_results]]}
    if len(page) > max_results:
        reply["NextToken"] = page[max_results - 1].name
    return reply


@writes("ssm", "DeleteParameter", authorize=on_parameter("ssm:DeleteParameter"), acts="Name")
def delete_parameter(ctx: Context, name: str) -> Reply:
    if not remove(ctx, name):
        raise AwsError("ParameterNotFound", "")
    return {}


@writes("ssm", "DeleteParameters", authorize=on_parameters("ssm:DeleteParameters"), acts="Names[]")
def delete_parameters(ctx: Context, names: list[str]) -> Reply:
    deleted = [name for name in names if remove(ctx, name)]
    return {"DeletedParameters": deleted, "InvalidParameters": [name for name in names if name not in deleted]}


def remove(ctx: Context, name: str) -> bool:
    parameter = ctx.tx.get(Parameter, name)
    if parameter is None:
        return False
    ctx.tx.delete(Parameter, name)
    entry = parameter.current
    detail = {"name": name, "type": entry.type, "operation": "Delete", "description": entry.description}
    ctx.emit("aws.ssm", "Parameter Store Change", [parameter_arn(ctx.scope, name)], detail)
    return True
