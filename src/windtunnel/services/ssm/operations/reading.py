"""GetParameter, GetParameters, GetParametersByPath."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.ssm.filters import compile_filters
from windtunnel.services.ssm.guard import on_parameter, on_parameters
from windtunnel.services.ssm.model import Parameter, check_path, described, parameter_arn, selected, split_selector
from windtunnel.services.ssm.paging import decode_token, encode_token
from windtunnel.services.ssm.public import PUBLIC, ROOT, below, public_arn

PAGE = 10


def on_path(ctx: Context, path: str, **_: Any) -> list[Need]:
    return [Need("ssm:GetParametersByPath", parameter_arn(ctx.scope, path.rstrip("/") or "/"))]


@reads("ssm", "GetParameter", authorize=on_parameter("GetParameter"), acts="Name WithDecryption")
def get_parameter(ctx: Context, name: str, with_decryption: bool = False) -> Reply:
    base, selector = split_selector(ctx.scope, name)
    parameter = ctx.tx.get(Parameter, base)
    if parameter is not None:
        entry = selected(ctx.tx, parameter, selector)
        if entry is None:
            raise no_such_version(base, selector[1:])
        return {"Parameter": described(parameter_arn(ctx.scope, base), base, entry, selector)}
    if base in PUBLIC and not selector:
        return {"Parameter": described(public_arn(ctx.scope, base), base, PUBLIC[base])}
    raise AwsError("ParameterNotFound", "")


def no_such_version(name: str, version: str) -> AwsError:
    return AwsError(
        "ParameterVersionNotFound", f"Systems Manager could not find version {version} of {name}. Verify the version and try again."
    )


@reads("ssm", "GetParameters", authorize=on_parameters("GetParameters"), acts="Names[] WithDecryption")
def get_parameters(ctx: Context, names: list[str], with_decryption: bool = False) -> Reply:
    found, missing = [], []
    for name in dict.fromkeys(names):
        try:
            found.append(get_parameter(ctx, name)["Parameter"])
        except AwsError:
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
    shown = page[:max_results]
    reply: Reply = {"Parameters": [described(parameter_arn(ctx.scope, p.name), p.name, p.current) for p in shown]}
    if len(page) > max_results:
        reply["NextToken"] = encode_token(shown[-1].name)
    return reply


def _public_page(ctx: Context, base: str, recursive: bool, limit: int, after: str | None) -> Reply:
    names = [name for name in below(base, recursive) if after is None or name > after]
    reply: Reply = {"Parameters": [described(public_arn(ctx.scope, name), name, PUBLIC[name]) for name in names[:limit]]}
    if len(names) > limit:
        reply["NextToken"] = encode_token(names[limit - 1])
    return reply
