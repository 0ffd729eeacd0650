"""Event notifications: which configurations are valid, which match an event, and what is sent. Pure.

Source: API reference, PutBucketNotificationConfiguration; User Guide, "Event message structure".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn

KINDS = (
    ("TopicConfigurations", "TopicArn", "sns"),
    ("QueueConfigurations", "QueueArn", "sqs"),
    ("LambdaFunctionConfigurations", "LambdaFunctionArn", "lambda"),
)
EVENTS = frozenset(
    f"s3:{name}"
    for name in [
        "ReducedRedundancyLostObject",
        "ObjectCreated:*",
        "ObjectCreated:Put",
        "ObjectCreated:Post",
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectRemoved:*",
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRestore:*",
        "ObjectRestore:Post",
        "ObjectRestore:Completed",
        "ObjectRestore:Delete",
        "Replication:*",
        "Replication:OperationFailedReplication",
        "Replication:OperationNotTracked",
        "Replication:OperationMissedThreshold",
        "Replication:OperationReplicatedAfterThreshold",
        "LifecycleTransition",
        "IntelligentTiering",
        "ObjectAcl:Put",
        "LifecycleExpiration:*",
        "LifecycleExpiration:Delete",
        "LifecycleExpiration:DeleteMarkerCreated",
        "ObjectTagging:*",
        "ObjectTagging:Put",
        "ObjectTagging:Delete",
    ]
)


class Destination(NamedTuple):
    """service: sns, sqs or lambda; body: its configuration."""

    service: str
    arn: str
    body: Mapping[str, Any]


def destinations(configuration: Mapping[str, Any]) -> Iterator[Destination]:
    for member, arn, service in KINDS:
        for body in configuration.get(member) or ():
            yield Destination(service, body[arn], body)


def _invalid(message: str, name: str = "", value: str = "") -> AwsError:
    return AwsError("InvalidArgument", message, extra={"ArgumentName": name, "ArgumentValue": value} if name else None)


def check(configuration: Mapping[str, Any], region: str) -> None:
    """Everything that can be said without asking the destinations."""
    found = list(destinations(configuration))
    ids = [item.body["Id"] for item in found if item.body.get("Id")]
    if len(set(ids)) != len(ids):
        raise _invalid("Same ID used for multiple configurations. IDs must be unique")
    for item in found:
        arn = Arn.parse(item.arn)
        if arn is None or arn.service != item.service:
            raise _invalid("The ARN is not well formed", item.arn, "The ARN is not well formed")
        if arn.region != region:
            raise _invalid("The notification destination service region is not valid for the bucket location constraint")
        if item.arn.endswith(".fifo"):
            raise _invalid("FIFO SQS queues are not supported." if item.service == "sqs" else "FIFO SNS topics are not supported.")
        for event in item.body["Events"]:
            if event not in EVENTS:
                raise _invalid("A specified event is not supported for notifications.", "Event", event)
        rules = _rules(item.body)
        if len({name for name, _ in rules}) != len(rules):
            raise _invalid(
                "Cannot specify more than one prefix rule in a filter."
                if rules[0][0] == "prefix"
                else "Cannot specify more than one suffix rule in a filter."
            )
        if any(name not in ("prefix", "suffix") for name, _ in rules):
            raise _invalid("filter rule name must be either prefix or suffix")
    _check_overlaps(found)


def _rules(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    rules = ((body.get("Filter") or {}).get("Key") or {}).get("FilterRules") or ()
    return [(str(rule.get("Name", "")).lower(), str(rule.get("Value", ""))) for rule in rules]


def _ends(body: Mapping[str, Any]) -> tuple[str, str]:
    rules = dict(_rules(body))
    return rules.get("prefix", ""), rules.get("suffix", "")


def _check_overlaps(found: list[Destination]) -> None:
    """One event goes to one destination at most."""
    for n, one in enumerate(found):
        for other in found[n + 1 :]:
            if not any(_same_event(a, b) for a in one.body["Events"] for b in other.body["Events"]):
                continue
            (prefix, suffix), (other_prefix, other_suffix) = _ends(one.body), _ends(other.body)
            prefixes = prefix.startswith(other_prefix) or other_prefix.startswith(prefix)
            suffixes = suffix.endswith(other_suffix) or other_suffix.endswith(suffix)
            if prefixes and suffixes:
                raise _invalid(
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type."
                    if not (prefix or suffix or other_prefix or other_suffix)
                    else "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping"
                    " for the same event type."
                )


def _same_event(one: str, other: str) -> bool:
    return one == other or (one.endswith("*") and other.startswith(one[:-1])) or (other.endswith("*") and one.startswith(other[:-1]))


def matching(configuration: Mapping[str, Any], event: str, key: str) -> Iterator[Destination]:
    """event: `ObjectCreated:Put`."""
    name = f"s3:{event}"
    for item in destinations(configuration):
        prefix, suffix = _ends(item.body)
        if key.startswith(prefix) and key.endswith(suffix) and any(_same_event(wanted, name) for wanted in item.body["Events"]):
            yield item


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Told(NamedTuple):
    """What a message says. described: of the object."""

    event: str
    region: str
    at: float
    principal: str
    source_ip: str
    request_id: str
    bucket: str
    bucket_owner: str
    described: dict[str, Any]


def message(told: Told, configuration_id: str) -> dict[str, Any]:
    """The S3 event message: one record."""
    described = {**told.described, "key": quote_plus(told.described["key"], safe="/*-._")}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": told.region,
        "eventTime": instant(told.at),
        "eventName": told.event,
        "userIdentity": {"principalId": told.principal},
        "requestParameters": {"sourceIPAddress": told.source_ip},
        "responseElements": {"x-amz-request-id": told.request_id, "x-amz-id-2": told.request_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {"name": told.bucket, "ownerIdentity": {"principalId": told.bucket_owner}, "arn": f"arn:aws:s3:::{told.bucket}"},
            "object": described,
        },
    }
    return {"Records": [record]}


def test_message(bucket: str, at: float, request_id: str) -> dict[str, Any]:
    """What a destination gets when it is configured."""
    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": instant(at),
        "Bucket": bucket,
        "RequestId": request_id,
        "HostId": request_id,
    }
