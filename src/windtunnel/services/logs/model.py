"""Log groups and streams, and what PutLogEvents takes. Pure.

Invariant: a stream's events live in the store's log table under (group, stream); the record here only counts them.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.kernel.scope import Scope
from windtunnel.services.logs.accepting import DAY

service_rules("logs", ServiceRules(validation_code="InvalidParameterException"))

RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
MAX_PAGE_BYTES = 1_048_576
_ARN = re.compile(r"arn:[^:]+:logs:[^:]*:[^:]*:log-group:([^:]+)(?::\*)?\Z")


class LogGroup(Record, kw_only=True):
    """created: epoch milliseconds. retention: days, None for ever. data_key: names the sealing.DataKey of what is put from now on."""

    KIND: ClassVar[str] = "logs.group"

    name: str
    created: int
    retention: int | None = None
    tags: dict[str, str] = {}
    kms_key: str = ""
    data_key: str = ""
    log_class: str = "STANDARD"
    protected: bool = False
    subscribed: bool = False
    """Whether it has subscription filters."""

    def key(self) -> str:
        return self.name

    def described(self, scope: Scope, stored: int) -> dict[str, Any]:
        arn = group_arn(scope, self.name)
        reply = {
            "logGroupName": self.name,
            "creationTime": self.created,
            "metricFilterCount": 0,
            "arn": f"{arn}:*",
            "storedBytes": stored,
            "logGroupClass": self.log_class,
            "logGroupArn": arn,
            "deletionProtectionEnabled": self.protected,
        }
        if self.kms_key:
            reply["kmsKeyId"] = self.kms_key
        if self.retention is not None:
            reply["retentionInDays"] = self.retention
        return reply


class LogStream(Record, kw_only=True):
    """Times in epoch milliseconds, None before the first event. span: the longest of its chunks, in ms (a day where it is not known)."""

    KIND: ClassVar[str] = "logs.stream"

    group: str
    name: str
    created: int
    first: int | None = None
    last: int | None = None
    ingested: int | None = None
    stored: int = 0
    span: int = DAY
    newest: int = 0
    """The number of the event that arrived last."""

    def key(self) -> str:
        return stream_key(self.group, self.name)

    def described(self, scope: Scope) -> dict[str, Any]:
        reply: dict[str, Any] = {
            "logStreamName": self.name,
            "creationTime": self.created,
            "arn": f"{group_arn(scope, self.group)}:log-stream:{self.name}",
            "storedBytes": self.stored,
        }
        if self.first is not None:
            reply |= {"firstEventTimestamp": self.first, "lastEventTimestamp": self.last, "lastIngestionTime": self.ingested}
            reply["uploadSequenceToken"] = sequence_token(self.ingested or 0)
        return reply


def put_signal(ctx: Context) -> str:
    """Notified when events were put into any group of this region."""
    return f"logs/{ctx.scope.account}/{ctx.scope.region}/put"


def stream_key(group: str, stream: str) -> str:
    """Neither name may hold a colon, so that a group's streams are one range of keys."""
    return f"{group}:{stream}"


def sequence_token(ingested: int) -> str:
    """Tokens have no meaning any more, but clients still pass them along: 56 digits, as AWS gives them."""
    return f"{ingested:056d}"


# -- names and permissions ------------------------------------------------------------------------------------------------


def group_arn(scope: Scope, name: str) -> str:
    return scope.arn("logs", f"log-group:{name}")


def group_name(name: str | None, identifier: str | None = None) -> str:
    """The group that a request names, by logGroupName or by logGroupIdentifier (a name or an ARN)."""
    if name and identifier:
        raise AwsError("InvalidParameterException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.")
    given = name or identifier or ""
    if not given:
        raise AwsError("InvalidParameterException", "Either logGroupName or logGroupIdentifier must be specified.")
    found = _ARN.match(given)
    if found:
        return found.group(1)
    if given.startswith("arn:"):
        raise AwsError("InvalidParameterException", f"Invalid resource ARN: {given}")
    return given


def need(ctx: Context, action: str, group: str, stream: str = "") -> list[Need]:
    """CloudWatch Logs decides on `log-group:NAME:log-stream:STREAM`, with an empty STREAM for what concerns the group."""
    record = ctx.tx.get(LogGroup, group) if group else None
    tags = {f"aws:ResourceTag/{key}": value for key, value in record.tags.items()} if record is not None and record.tags else {}
    policy = account_policy(ctx) if ctx.principal.kind == "service" else None
    return [Need(f"logs:{action}", f"{group_arn(ctx.scope, group)}:log-stream:{stream}", tags, policy)]


class ResourcePolicy(Record, kw_only=True):
    """A policy of the account's log groups, by which other services may write into them. updated: epoch milliseconds."""

    KIND: ClassVar[str] = "logs.resourcepolicy"

    name: str
    document: str
    updated: int

    def key(self) -> str:
        return self.name

    def described(self) -> dict[str, Any]:
        return {"policyName": self.name, "policyDocument": self.document, "lastUpdatedTime": self.updated, "policyScope": "ACCOUNT"}


def account_policy(ctx: Context) -> str | None:
    """The statements of all of the account's resource policies, as one document; None when there are none."""
    found = ctx.tx.scan(ResourcePolicy)
    if not found:
        return None
    statements: list[Any] = []
    for policy in found:
        own = msgspec.json.decode(policy.document).get("Statement", [])
        statements += own if isinstance(own, list) else [own]
    return msgspec.json.encode({"Version": "2012-10-17", "Statement": statements}).decode()


def group_or_error(ctx: Context, name: str) -> LogGroup:
    group = ctx.tx.get(LogGroup, name)
    if group is None:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    return group


def stream_or_error(ctx: Context, group: str, name: str) -> LogStream:
    stream = ctx.tx.get(LogStream, stream_key(group, name))
    if stream is None:
        group_or_error(ctx, group)
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    return stream


# -- tokens ---------------------------------------------------------------------------------------------------------------

INVALID_TOKEN = "The specified nextToken is invalid."


def page_token(*parts: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def parse_page_token(token: str, *types: type) -> list[Any]:
    """The parts of a token that we gave; InvalidParameterException for any other text."""
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise AwsError("InvalidParameterException", INVALID_TOKEN) from error
    if not isinstance(parts, list) or len(parts) != len(types) or not all(map(isinstance, parts, types)):
        raise AwsError("InvalidParameterException", INVALID_TOKEN)
    return parts


def event_token(direction: str, position: int) -> str:
    """`f/…/s` or `b/…/s`, as GetLogEvents gives them."""
    return f"{direction}/{position:056d}/s"


def parse_event_token(token: str) -> tuple[bool, int]:
    """(forward, position)."""
    found = re.fullmatch(r"([fb])/(\d{56})(?:/s)?", token)
    if found is None:
        raise AwsError("InvalidParameterException", INVALID_TOKEN)
    return found.group(1) == "f", int(found.group(2))


def oldest_kept(group: LogGroup, now: int) -> int:
    """Events before this time have passed their retention and are not shown any more."""
    return 0 if group.retention is None else now - group.retention * DAY
