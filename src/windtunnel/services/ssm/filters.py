"""ParameterFilters of DescribeParameters and GetParametersByPath: checked in AWS's words, then a test of a parameter. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from windtunnel.kernel.errors import AwsError
from windtunnel.services.ssm.model import Parameter, check_path

Test = Callable[[Parameter], bool]
Operation = Literal["describe", "by-path"]

_KEYS: dict[Operation, tuple[str, ...]] = {
    "describe": ("Path", "Name", "Type", "KeyId", "Tier", "DataType"),
    "by-path": ("Type", "KeyId", "Label"),
}
_OPTIONS = {
    "Path": ("Recursive", "OneLevel"),
    "Name": ("BeginsWith", "Equals", "Contains"),
    "Type": ("BeginsWith", "Equals"),
    "KeyId": ("BeginsWith", "Equals"),
    "Tier": ("Equals",),
    "DataType": ("Equals",),
    "Label": ("Equals",),
}
_VALUES = {"Type": ("String", "StringList", "SecureString"), "Tier": ("Standard", "Advanced", "Intelligent-Tiering")}


def compile_filters(filters: Sequence[dict[str, Any]], operation: Operation) -> Test:
    """One test for all filters: a parameter passes when it passes each."""
    names = [item["Key"] for item in filters]
    for name in names:
        if names.count(name) > 1:
            raise AwsError(
                "InvalidFilterKey",
                f"The following filter is duplicated in the request: {name}. A request can contain only one occurrence of a specific filter.",
            )
    tests = [_compiled(item, operation) for item in filters]
    return lambda parameter: all(test(parameter) for test in tests)


def _compiled(item: dict[str, Any], operation: Operation) -> Test:
    key, values = item["Key"], item.get("Values") or []
    if key.startswith("tag:") and operation == "describe":
        return _tag_test(key[4:], item.get("Option", "Equals"), values)
    _check(key, item.get("Option"), values, operation)
    option = item.get("Option") or _default_option(key)
    if key == "Path":
        return _path_test(values, recursive=option == "Recursive")
    if key == "Label":
        return lambda parameter: any(label in parameter.labels for label in values)
    field = _FIELDS[key]
    return _COMPARISONS[option](field, values)


def _check(key: str, option: str | None, values: list[str], operation: Operation) -> None:
    if key not in _KEYS[operation]:
        raise AwsError(
            "InvalidFilterKey", f"The following filter key is not valid: {key}. Valid filter keys include: [{', '.join(_KEYS[operation])}]."
        )
    if not values:
        raise AwsError("InvalidFilterValue", f"The following filter values are missing : null for filter key {key}.")
    if option is not None and option not in _OPTIONS[key]:
        raise AwsError(
            "InvalidFilterOption",
            f"The following filter option is not valid: {option}. Valid options include: [{', '.join(_OPTIONS[key])}].",
        )
    for value in values:
        if key in _VALUES and option != "BeginsWith" and value not in _VALUES[key]:
            raise AwsError(
                "InvalidFilterValue",
                f"The following filter value is not valid: {value}. Valid values include: [{', '.join(_VALUES[key])}].",
            )
        if key == "Path":
            check_path(value)


def _default_option(key: str) -> str:
    return "OneLevel" if key == "Path" else "Equals"


def _path_test(paths: list[str], *, recursive: bool) -> Test:
    bases = [path.rstrip("/") + "/" for path in paths]

    def test(parameter: Parameter) -> bool:
        name = parameter.name if "/" in parameter.name else f"/{parameter.name}"
        return any(name.startswith(base) and (recursive or "/" not in name[len(base) :]) for base in bases)

    return test


def _tag_test(key: str, option: str, values: list[str]) -> Test:
    if option not in ("Equals", "BeginsWith"):
        raise AwsError(
            "InvalidFilterOption", f"The following filter option is not valid: {option}. Valid options include: [BeginsWith, Equals]."
        )
    if not values:
        return lambda parameter: key in parameter.tags
    field: Callable[[Parameter], str] = lambda parameter: parameter.tags.get(key, "")  # noqa: E731
    compared = _COMPARISONS[option](field, values)
    return lambda parameter: key in parameter.tags and compared(parameter)


def _equals(field: Callable[[Parameter], str], values: list[str]) -> Test:
    return lambda parameter: field(parameter) in values


def _begins(field: Callable[[Parameter], str], values: list[str]) -> Test:
    return lambda parameter: field(parameter).startswith(tuple(values))


def _contains(field: Callable[[Parameter], str], values: list[str]) -> Test:
    return lambda parameter: any(value in field(parameter) for value in values)


_COMPARISONS: dict[str, Callable[[Callable[[Parameter], str], list[str]], Test]] = {
    "Equals": _equals,
    "BeginsWith": _begins,
    "Contains": _contains,
}
_FIELDS: dict[str, Callable[[Parameter], str]] = {
    "Name": lambda parameter: parameter.name,
    "Type": lambda parameter: parameter.current.type,
    "KeyId": lambda parameter: parameter.current.key_id,
    "Tier": lambda parameter: parameter.current.tier,
    "DataType": lambda parameter: parameter.current.data_type,
}
