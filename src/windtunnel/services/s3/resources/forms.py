"""A bucket's configurations in the template's form and in the operations'. Pure.

Invariant: names that a form does not know go through as they are, so that the operation refuses them by name; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Body = dict[str, Any]
Names = Mapping[str, Any]
"""Template's name -> the operation's, or (the operation's, the names below it)."""


def to_api(value: Any, names: Names) -> Any:
    if isinstance(value, list):
        return [to_api(item, names) for item in value]
    if not isinstance(value, Mapping):
        return value
    out: Body = {}
    for name, item in value.items():
        found = names.get(name, name)
        theirs, below = found if isinstance(found, tuple) else (found, {})
        out[theirs] = to_api(item, below)
    return out


def from_api(value: Any, names: Names) -> Any:
    return to_api(value, _reversed(names))


def _reversed(names: Names) -> Names:
    return {
        found[0] if isinstance(found, tuple) else found: (name, _reversed(found[1])) if isinstance(found, tuple) else name
        for name, found in names.items()
    }


def holds(live: Any, given: Any) -> bool:
    """Whether the live state is what was given: it may say more (defaults, ids that the service made up), and lists have no order."""
    if isinstance(given, Mapping) and isinstance(live, Mapping):
        return all(holds(live.get(name), item) for name, item in given.items())
    if isinstance(given, list) and isinstance(live, list):
        return len(given) == len(live) and all(any(holds(other, item) for other in live) for item in given)
    return bool(live == given)


# --- encryption, CORS, website, ownership ---------------------------------------------------------------------------------------

ENCRYPTION: Names = {
    "ServerSideEncryptionConfiguration": ("Rules", {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}),
}
CORS: Names = {"CorsRules": ("CORSRules", {"Id": "ID", "ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"})}
_ROUTING: Names = {"RoutingRules": ("RoutingRules", {"RedirectRule": "Redirect", "RoutingRuleCondition": "Condition"})}


def website(value: Body) -> Body:
    body: Body = to_api(value, _ROUTING)
    for name, member in (("IndexDocument", "Suffix"), ("ErrorDocument", "Key")):
        if name in body:
            body[name] = {member: body[name]}
    return body


def from_website(body: Body) -> Body:
    value: Body = from_api(body, _ROUTING)
    for name, member in (("IndexDocument", "Suffix"), ("ErrorDocument", "Key")):
        if name in value:
            value[name] = value[name][member]
    return value


# --- filters -------------------------------------------------------------------------------------------------------------------

_SIZES = ("ObjectSizeGreaterThan", "ObjectSizeLessThan")


def filtered(prefix: str | None, tags: list[Body] | None, **others: Any) -> Body | None:
    """A Filter: one condition stands alone, several stand in `And`. None without any."""
    body: Body = {} if prefix is None else {"Prefix": prefix}
    body |= {name: value for name, value in others.items() if value is not None}
    if len(body) + len(tags or ()) > 1:
        return {"And": body | ({"Tags": tags} if tags else {})}
    return {"Tag": tags[0]} if tags else body or None


def unfiltered(body: Body | None) -> Body:
    """The inverse: Prefix, TagFilters and the sizes."""
    inside = dict((body or {}).get("And") or body or {})
    tags = [*inside.pop("Tags", ()), *([inside.pop("Tag")] if "Tag" in inside else [])]
    return inside | ({"TagFilters": tags} if tags else {})


# --- lifecycle -----------------------------------------------------------------------------------------------------------------


def lifecycle_rule(rule: Body) -> Body:
    left = dict(rule)
    body: Body = {}
    if "Id" in left:
        body["ID"] = left.pop("Id")
    sizes = {name: int(left.pop(name)) for name in _SIZES if name in left}
    prefix, tags = left.pop("Prefix", None), left.pop("TagFilters", None)
    body["Filter"] = filtered(prefix, tags, **sizes) or {"Prefix": ""}
    expiration = {
        member: left.pop(name)
        for name, member in (("ExpirationDate", "Date"), ("ExpirationInDays", "Days"), ("ExpiredObjectDeleteMarker",) * 2)
        if name in left
    }
    if expiration:
        body["Expiration"] = _dated(expiration)
    transitions = [*left.pop("Transitions", ()), *([left.pop("Transition")] if "Transition" in left else [])]
    if transitions:
        body["Transitions"] = [
            _dated(to_api(_classed(item), {"TransitionDate": "Date", "TransitionInDays": "Days"})) for item in transitions
        ]
    if "NoncurrentVersionExpirationInDays" in left:
        body["NoncurrentVersionExpiration"] = {"NoncurrentDays": left.pop("NoncurrentVersionExpirationInDays")}
    noncurrent = [
        *left.pop("NoncurrentVersionTransitions", ()),
        *([left.pop("NoncurrentVersionTransition")] if "NoncurrentVersionTransition" in left else []),
    ]
    if noncurrent:
        body["NoncurrentVersionTransitions"] = to_api([_classed(item) for item in noncurrent], {"TransitionInDays": "NoncurrentDays"})
    return body | left


def _classed(transition: Body) -> Body:
    """The type's schema knows GLACIER by an older name too."""
    return {**transition, "StorageClass": "GLACIER"} if transition.get("StorageClass") == "Glacier" else transition


def from_lifecycle_rule(body: Body) -> Body:
    left = dict(body)
    rule: Body = {"Id": left.pop("ID")} if "ID" in left else {}
    kept = unfiltered(left.pop("Filter", None))
    if kept.get("Prefix") == "":
        del kept["Prefix"]
    rule |= {name: str(value) if name in _SIZES else value for name, value in kept.items()}
    for member, value in left.pop("Expiration", {}).items():
        name = {"Date": "ExpirationDate", "Days": "ExpirationInDays"}.get(member, member)
        rule[name] = _moment(value) if member == "Date" else value
    if "Transitions" in left:
        rule["Transitions"] = [
            {
                {"Date": "TransitionDate", "Days": "TransitionInDays"}.get(name, name): _moment(value) if name == "Date" else value
                for name, value in item.items()
            }
            for item in left.pop("Transitions")
        ]
    if "NoncurrentVersionTransitions" in left:
        rule["NoncurrentVersionTransitions"] = from_api(left.pop("NoncurrentVersionTransitions"), {"TransitionInDays": "NoncurrentDays"})
    return rule | left


def _dated(body: Body) -> Body:
    return {**body, "Date": _seconds(body["Date"])} if "Date" in body else body


def _seconds(moment: str) -> float:
    parsed = datetime.fromisoformat(moment)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- notifications -------------------------------------------------------------------------------------------------------------

_KINDS = (
    ("LambdaConfigurations", "LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
    ("QueueConfigurations", "QueueConfigurations", "Queue", "QueueArn"),
    ("TopicConfigurations", "TopicConfigurations", "Topic", "TopicArn"),
)


def notification(value: Body) -> Body:
    left = dict(value)
    body: Body = {}
    for property_name, member, target, arn in _KINDS:
        items = left.pop(property_name, None)
        if items:
            body[member] = [_told(item, target, arn) for item in items]
    bridge = left.pop("EventBridgeConfiguration", None)
    if bridge is not None and bridge.get("EventBridgeEnabled", True):
        body["EventBridgeConfiguration"] = {}
    return body | left


def _told(item: Body, target: str, arn: str) -> Body:
    left = dict(item)
    body: Body = {arn: left.pop(target), "Events": [left.pop("Event")]}
    if "Filter" in left:
        body["Filter"] = {"Key": {"FilterRules": left.pop("Filter")["S3Key"]["Rules"]}}
    return body | left


def from_notification(body: Body) -> Body:
    value: Body = {}
    for property_name, member, target, arn in _KINDS:
        items = [
            {target: item[arn], "Event": event}
            | ({"Filter": {"S3Key": {"Rules": item["Filter"]["Key"]["FilterRules"]}}} if "Filter" in item else {})
            for item in body.get(member) or ()
            for event in item["Events"]
        ]
        if items:
            value[property_name] = items
    return value | ({"EventBridgeConfiguration": {"EventBridgeEnabled": True}} if "EventBridgeConfiguration" in body else {})


# --- configurations by id --------------------------------------------------------------------------------------------------------


def _destination(value: Body) -> Body:
    return {"S3BucketDestination": to_api(value, _BUCKET)}


_BUCKET: Names = {"BucketArn": "Bucket", "BucketAccountId": "AccountId"}
_ANALYTICS_BUCKET: Names = {"BucketArn": "Bucket"}


def inventory(value: Body) -> Body:
    left = dict(value)
    body: Body = {"IsEnabled": left.pop("Enabled"), "Schedule": {"Frequency": left.pop("ScheduleFrequency")}}
    body["Destination"] = _destination(left.pop("Destination"))
    if "Prefix" in left:
        body["Filter"] = {"Prefix": left.pop("Prefix")}
    return body | left


def from_inventory(body: Body) -> Body:
    left = dict(body)
    value: Body = {"Enabled": left.pop("IsEnabled"), "ScheduleFrequency": left.pop("Schedule")["Frequency"]}
    value["Destination"] = from_api(left.pop("Destination")["S3BucketDestination"], _BUCKET)
    value |= left.pop("Filter", {})
    return value | left


def metrics(value: Body) -> Body:
    left = dict(value)
    chosen = filtered(left.pop("Prefix", None), left.pop("TagFilters", None), AccessPointArn=left.pop("AccessPointArn", None))
    return left | ({"Filter": chosen} if chosen else {})


def analytics(value: Body) -> Body:
    body = metrics(value)
    export = body.get("StorageClassAnalysis", {}).get("DataExport")
    if export is not None:
        destination = {"S3BucketDestination": to_api(export["Destination"], _ANALYTICS_BUCKET)}
        body["StorageClassAnalysis"] = {"DataExport": {**export, "Destination": destination}}
    return body


def from_analytics(body: Body) -> Body:
    value = from_metrics(body)
    export = value.get("StorageClassAnalysis", {}).get("DataExport")
    if export is not None:
        destination = from_api(export["Destination"]["S3BucketDestination"], _ANALYTICS_BUCKET)
        value["StorageClassAnalysis"] = {"DataExport": {**export, "Destination": destination}}
    return value


def from_metrics(body: Body) -> Body:
    left = dict(body)
    return unfiltered(left.pop("Filter", None)) | left
