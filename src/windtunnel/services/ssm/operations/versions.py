"""A parameter's history, and the labels on its versions."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ssm.guard import on_parameter
from windtunnel.services.ssm.model import (
    MAX_LABELS,
    SECURE,
    Parameter,
    ParameterVersion,
    Past,
    find_parameter,
    parameter_arn,
    past_key,
    past_prefix,
    valid_label,
)
from windtunnel.services.ssm.operations.reading import no_such_version
from windtunnel.services.ssm.paging import decode_token, encode_token
from windtunnel.services.ssm.secure import opened

PAGE = 50


def the_parameter(ctx: Context, name: str) -> Parameter:
    parameter, _, _ = find_parameter(ctx.tx, ctx.scope, name)
    if parameter is None:
        raise AwsError("ParameterNotFound", "")
    return parameter


@reads(
    "ssm",
    "GetParameterHistory",
    authorize=on_parameter("GetParameterHistory"),
    acts="Name WithDecryption MaxResults NextToken",
    cost="scan",
)
def get_parameter_history(
    ctx: Context, name: str, with_decryption: bool = False, max_results: int = PAGE, next_token: str | None = None
) -> Reply:
    parameter = the_parameter(ctx, name)
    after = decode_token(next_token)
    past = ctx.tx.scan(Past, prefix=past_prefix(parameter.name), after=after, limit=max_results + 1)
    page = [_history(ctx, parameter, entry.entry, with_decryption) for entry in past[:max_results]]
    if len(past) < max_results:
        return {"Parameters": [*page, _history(ctx, parameter, parameter.current, with_decryption)]}
    return {"Parameters": page, "NextToken": encode_token(past[max_results - 1].key())}


def _history(ctx: Context, parameter: Parameter, entry: ParameterVersion, with_decryption: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "Name": parameter.name,
        "Type": entry.type,
        "Value": opened(ctx, parameter.name, entry) if with_decryption and entry.type == SECURE else entry.value,
        "Version": entry.version,
        "LastModifiedDate": entry.modified,
        "LastModifiedUser": entry.user,
        "Labels": sorted(label for label, version in parameter.labels.items() if version == entry.version),
        "Tier": entry.tier,
        "Policies": [policy.shown() for policy in entry.policies],
        "DataType": entry.data_type,
    }
    if entry.key_id:
        item["KeyId"] = entry.key_id
    if entry.description:
        item["Description"] = entry.description
    if entry.allowed_pattern:
        item["AllowedPattern"] = entry.allowed_pattern
    return item


def _version(ctx: Context, parameter: Parameter, asked: int | None) -> int:
    """The asked version of a parameter, which must be there; the current one by default."""
    if asked is None or asked == parameter.current.version:
        return parameter.current.version
    if ctx.tx.get(Past, past_key(parameter.name, asked)) is None:
        raise no_such_version(parameter.name, str(asked))
    return asked


@writes("ssm", "LabelParameterVersion", authorize=on_parameter("LabelParameterVersion"), acts="Name ParameterVersion Labels[]")
def label_parameter_version(ctx: Context, name: str, labels: list[str], parameter_version: int | None = None) -> Reply:
    parameter = the_parameter(ctx, name)
    version = _version(ctx, parameter, parameter_version)
    wanted = [label for label in labels if valid_label(label)]
    attached = {label for label, marked in parameter.labels.items() if marked == version} | set(wanted)
    if len(attached) > MAX_LABELS:
        raise AwsError(
            "ParameterVersionLabelLimitExceeded",
            "A parameter version can have maximum 10 labels. Move one or more labels to another version and try again.",
        )
    parameter.labels = {**parameter.labels, **dict.fromkeys(wanted, version)}
    ctx.tx.put(parameter)
    _tell(ctx, parameter)
    return {"InvalidLabels": [label for label in labels if label not in wanted], "ParameterVersion": version}


@writes("ssm", "UnlabelParameterVersion", authorize=on_parameter("UnlabelParameterVersion"), acts="Name ParameterVersion Labels[]")
def unlabel_parameter_version(ctx: Context, name: str, parameter_version: int, labels: list[str]) -> Reply:
    parameter = the_parameter(ctx, name)
    version = _version(ctx, parameter, parameter_version)
    removed = [label for label in labels if parameter.labels.get(label) == version]
    parameter.labels = {label: marked for label, marked in parameter.labels.items() if label not in removed}
    ctx.tx.put(parameter)
    return {"RemovedLabels": removed, "InvalidLabels": [label for label in labels if label not in removed]}


def _tell(ctx: Context, parameter: Parameter) -> None:
    detail = {"name": parameter.name, "type": parameter.current.type, "operation": "LabelParameterVersion"}
    if parameter.current.description:
        detail["description"] = parameter.current.description
    ctx.emit("aws.ssm", "Parameter Store Change", [parameter_arn(ctx.scope, parameter.name)], detail)
