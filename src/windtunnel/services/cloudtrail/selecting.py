"""Which events a trail takes: basic and advanced event selectors. Pure.

Source: API reference, EventSelector and AdvancedFieldSelector. A trail has one kind or the other; the default takes every management event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.kernel.errors import AwsError

DEFAULT: list[dict[str, Any]] = [
    {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [], "ExcludeManagementEventSources": []}
]
BASIC_TYPES = {"AWS::S3::Object": "arn:aws:s3", "AWS::Lambda::Function": "arn:aws:lambda"}
"""What a basic selector can name besides management events, and the value that means all of it. (DynamoDB tables have no events here.)"""
ADVANCED_TYPES = ("AWS::S3::Object", "AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::SNS::Topic")
EXCLUDED = ("kms.amazonaws.com", "rdsdata.amazonaws.com")
FIELDS = ("eventCategory", "readOnly", "eventSource", "eventName", "resources.type", "resources.ARN", "userIdentity.arn", "eventType")
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "Equals": lambda value, wanted: value == wanted,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
}
MAX_SELECTORS = 5


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidEventSelectorsException", text)


def check_basic(selectors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The selectors with their defaults filled in, as GetEventSelectors shows them."""
    if not selectors or len(selectors) > MAX_SELECTORS:
        raise _invalid(f"The number of event selectors must be between 1 and {MAX_SELECTORS}.")
    return [_filled(selector) for selector in selectors]


def _filled(selector: dict[str, Any]) -> dict[str, Any]:
    management = selector.get("IncludeManagementEvents", True)
    resources = selector.get("DataResources") or []
    for resource in resources:
        kind, values = resource.get("Type", ""), resource.get("Values") or []
        if kind not in BASIC_TYPES:
            raise _invalid(f"The data resource type {kind} is not valid. Valid values are: {', '.join(BASIC_TYPES)}.")
        if not values or any(not value.startswith(BASIC_TYPES[kind]) for value in values):
            raise _invalid(f"Value {(values or [''])[0]} for DataResources.Values is not valid for the type {kind}.")
    excluded = selector.get("ExcludeManagementEventSources") or []
    if any(source not in EXCLUDED for source in excluded):
        raise _invalid(f"ExcludeManagementEventSources can only hold {', '.join(EXCLUDED)}.")
    if not management and not resources:
        raise _invalid("An event selector must include management events or data resources.")
    return {
        "ReadWriteType": selector.get("ReadWriteType", "All"),
        "IncludeManagementEvents": management,
        "DataResources": [{"Type": one["Type"], "Values": list(one["Values"])} for one in resources],
        "ExcludeManagementEventSources": list(excluded),
    }


def check_advanced(selectors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not selectors:
        raise _invalid("At least one advanced event selector must be given.")
    for selector in selectors:
        fields = {field["Field"]: field for field in selector["FieldSelectors"]}
        if len(fields) != len(selector["FieldSelectors"]):
            raise _invalid("A field can be used once in an advanced event selector.")
        unknown = next((name for name in fields if name not in FIELDS), None)
        if unknown is not None:
            raise _invalid(f"The field {unknown} is not supported in an advanced event selector.")
        category = fields.get("eventCategory", {}).get("Equals", [])
        if category not in (["Management"], ["Data"]):
            raise _invalid("An advanced event selector must have an eventCategory that equals Management or Data.")
        if category == ["Data"]:
            types = fields.get("resources.type", {}).get("Equals", [])
            if len(types) != 1 or types[0] not in ADVANCED_TYPES:
                raise _invalid(f"A selector of data events must have one resources.type of: {', '.join(ADVANCED_TYPES)}.")
        elif "resources.type" in fields or "resources.ARN" in fields:
            raise _invalid("A selector of management events cannot have resources.type or resources.ARN.")
    return [{name: value for name, value in selector.items() if value is not None} for selector in selectors]


def takes_data(basic: list[dict[str, Any]], advanced: list[dict[str, Any]]) -> bool:
    return any(one["DataResources"] for one in basic) or any(_category(one) == "Data" for one in advanced)


def takes_management(basic: list[dict[str, Any]], advanced: list[dict[str, Any]]) -> bool:
    return any(one["IncludeManagementEvents"] for one in basic) or any(_category(one) == "Management" for one in advanced)


def _category(selector: dict[str, Any]) -> str:
    return next((str(field["Equals"][0]) for field in selector["FieldSelectors"] if field["Field"] == "eventCategory"), "")


def selected(record: dict[str, Any], basic: list[dict[str, Any]], advanced: list[dict[str, Any]]) -> bool:
    """Whether a trail with these selectors takes an event."""
    if advanced:
        return any(all(_field(record, field) for field in selector["FieldSelectors"]) for selector in advanced)
    return any(_basic(record, selector) for selector in basic)


def _basic(record: dict[str, Any], selector: dict[str, Any]) -> bool:
    wanted = selector["ReadWriteType"]
    if wanted != "All" and record["readOnly"] != (wanted == "ReadOnly"):
        return False
    if record["managementEvent"]:
        return bool(selector["IncludeManagementEvents"]) and record["eventSource"] not in selector["ExcludeManagementEventSources"]
    found = [(one["type"], one["ARN"]) for one in record.get("resources", ())]
    return any(
        kind == resource["Type"] and any(arn.startswith(value) for value in resource["Values"])
        for resource in selector["DataResources"]
        for kind, arn in found
    )


def _field(record: dict[str, Any], field: dict[str, Any]) -> bool:
    values = _values(record, field["Field"])
    for operator, test in _OPERATORS.items():
        wanted, unwanted = field.get(operator), field.get(f"Not{operator}")
        if wanted and not any(test(value, one) for value in values for one in wanted):
            return False
        if unwanted and any(test(value, one) for value in values for one in unwanted):
            return False
    return True


def _values(record: dict[str, Any], field: str) -> list[str]:
    if field == "readOnly":
        return ["true" if record["readOnly"] else "false"]
    if field == "resources.type":
        return [one["type"] for one in record.get("resources", ())]
    if field == "resources.ARN":
        return [one["ARN"] for one in record.get("resources", ())]
    if field == "userIdentity.arn":
        return [record["userIdentity"].get("arn", "")]
    return [str(record.get(field, ""))]
