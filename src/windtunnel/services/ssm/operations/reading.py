"""GetParameter, GetParameters, GetParametersByPath."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.ssm.filters import compile_filters
from windtunnel.services.ssm.guard import on_parameter, on_parameters
from windtunnel.services.ssm.model import (
    SECURE,
    Parameter,
    ParameterVersion,
    check_path,
    described,
    find_parameter,
    parameter_arn,
    selected,
)
from windtunnel.services.ssm.paging import decode_token, encode_token
from windtunnel.services.ssm.public import PUBLIC, ROOT, below, public_arn
from windtunnel.services.ssm.references import is_reference, referenced
from windtunnel.services.ssm.secure import opened

PAGE = 10


def on_path(ctx: Context, path: str, recursive: bool = False, **_: Any) -> list[Need]:
    return [Need("ssm:GetParametersByPath", parameter_arn(ctx.scope, path.rstrip("/") or "/"), {"ssm:Recursive": recursive})]


@reads("ssm", "GetParameter", authorize=on_parameter("GetParameter"), acts="Name WithDecryption")
def get_parameter(ctx: Context, name: str, with_decryption: bool = False) -> Reply:
    parameter, base, selector = find_parameter(ctx.tx, ctx.scope, name)
    if is_reference(base):
        return {"Parameter": referenced(ctx, base, selector, with_decryption)}
    if parameter is not None:
        entry = selected(ctx.tx, parameter, selector)
        if entry is None:
            raise no_such_version(base, selector[1:])
        return {"Parameter": shown(ctx, parameter, entry, with_decryption, selector)}
    if base in PUBLIC and not selector:
        return {"Parameter": described(public_arn(ctx.scope, base), base, PUBLIC[base])}
    raise AwsError("ParameterNotFound", "")


def shown(ctx: Context, parameter: Parameter, entry: ParameterVersion, with_decryption: bool, selector: str = "") -> dict[str, Any]:
    """The Parameter shape, a SecureString in the clear if that is asked for."""
    reply = described(parameter_arn(ctx.scope, parameter.name), parameter.name, entry, selector)
    if with_decryption and entry.type == SECURE:
        reply["Value"] = opened(ctx, parameter.name, entry)
    return reply


def no_such_version(name: str, version: str) -> AwsError:
    return AwsError(
        "ParameterVersionNotFound", f"Systems Manager could not find version {version} of {name}. Verify the version and try again."
    )


@reads("ssm", "GetParameters", authorize=on_parameters("GetParameters"), acts="Names[] WithDecryption")
def get_parameters(ctx: Context, names: list[str], with_decryption: bool = False) -> Reply:
    found, missing = [], []
    for name in dict.fromkeys(names):
        try:
            found.append(get_parameter(ctx, name, with_decryption)["Parameter"])
        except AwsError as error:
            if error.code not in ("ParameterNotFound", "ParameterVersionNotFound"):
                raise
            missing.append(name)
    return {"Parameters": found, "InvalidParameters": missing}


@reads(
    "ssm",
    "GetParametersByPath",
    authorize=on_path,
    acts="Path Recursive WithDecryption MaxResults NextToken ParameterFilters[].Key ParameterFilters[].Option ParameterFilters[].Values[]",
    cost="scan",
)
def get_parameters_by_path(
    ctx: Context,
    path: str,
    recursive: bool = False,
    with_decryption: bool = False,
    max_results: int = PAGE,
    next_token: str | None = None,
    parameter_filters: list[dict[str, Any]] | None = None,
) -> Reply:
    check_path(path)
    passes = compile_filters(parameter_filters or [], "by-path")
    labels: list[str] = next((item["Values"] for item in parameter_filters or [] if item["Key"] == "Label"), [])
    base, after = path.rstrip("/") + "/", decode_token(next_token)
    if base.startswith(ROOT):
        return _public_page(ctx, base, recursive, max_results, after)
    page: list[Parameter] = []
    while len(page) <= max_results:
        batch = ctx.tx.scan(Parameter, prefix=base, after=after, limit=max_results + 1)
        page += [parameter for parameter in batch if (recursive or "/" not in parameter.name[len(base) :]) and passes(parameter)]
        if len(batch) <= max_results:
            break
        after = batch[-1].name
    those = page[:max_results]
    reply: Reply = {"Parameters": [shown(ctx, p, _labelled(ctx, p, labels), with_decryption) for p in those]}
    if len(page) > max_results:
        reply["NextToken"] = encode_token(those[-1].name)
    return reply


def _labelled(ctx: Context, parameter: Parameter, labels: list[str]) -> ParameterVersion:
    """The version that a Label filter asks for: the current one without such a filter."""
    wanted = next((label for label in labels if label in parameter.labels), None)
    entry = None if wanted is None else selected(ctx.tx, parameter, f":{wanted}")
    return entry or parameter.current


def _public_page(ctx: Context, base: str, recursive: bool, limit: int, after: str | None) -> Reply:
    names = [name for name in below(base, recursive) if after is None or name > after]
    reply: Reply = {"Parameters": [described(public_arn(ctx.scope, name), name, PUBLIC[name]) for name in names[:limit]]}
    if len(names) > limit:
        reply["NextToken"] = encode_token(names[limit - 1])
    return reply
