"""Subscription filters: what is put into a group and matches goes to a destination, gzipped, by a durable run for each put.

Invariant: a filter is there only if its destination took AWS's test message; a delivery that is refused is tried again for as long as AWS does,
and then dropped, as AWS does.
"""

from __future__ import annotations

import base64
import gzip
from typing import Any, ClassVar

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.records import Record
from windtunnel.kernel.scope import Arn
from windtunnel.services.logs.model import LogStream, group_arn, stream_key
from windtunnel.services.logs.patterns import compile_pattern
from windtunnel.services.logs.reading import stream_events

TRIES = 24
RETRY = 60.0
SYSTEM = "CloudwatchLogs"


class Subscription(Record, kw_only=True):
    """A subscription filter. created: epoch milliseconds."""

    KIND: ClassVar[str] = "logs.subscription"

    group: str
    name: str
    pattern: str
    destination: str
    role: str = ""
    distribution: str = "ByLogStream"
    created: int

    def key(self) -> str:
        return f"{self.group}:{self.name}"

    def described(self) -> dict[str, Any]:
        reply = {
            "filterName": self.name,
            "logGroupName": self.group,
            "filterPattern": self.pattern,
            "destinationArn": self.destination,
            "distribution": self.distribution,
            "applyOnTransformedLogs": False,
            "creationTime": self.created,
        }
        return reply | ({"roleArn": self.role} if self.role else {})


def message(kind: str, owner: str, group: str, stream: str, filters: list[str], events: list[dict[str, Any]]) -> bytes:
    """The payload that every destination gets, gzipped."""
    document = {
        "messageType": kind,
        "owner": owner,
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": filters,
        "logEvents": events,
    }
    return gzip.compress(msgspec.json.encode(document), 6, mtime=0)


def send(ctx: Context, group: str, destination: str, payload: bytes) -> None:
    """Hand a payload to a destination. Raises what it says; a kind of destination that is not built is refused by name."""
    arn = Arn.parse(destination)
    if arn is None or arn.service not in ("lambda", "kinesis", "firehose", "logs", "es"):
        raise AwsError("InvalidParameterException", f"Invalid destinationArn: {destination}")
    if arn.service != "lambda":
        raise not_built("logs", "PutSubscriptionFilter", f"destinationArn of {arn.service}")
    service = ctx.as_service("logs.amazonaws.com", f"{group_arn(ctx.scope, group)}:*")
    body = msgspec.json.encode({"awslogs": {"data": base64.b64encode(payload).decode()}})
    service.call("lambda", "Invoke", function_name=destination, invocation_type="Event", payload=body)


def check(ctx: Context, group: str, destination: str) -> None:
    """Send AWS's test message."""
    stream = SYSTEM
    event = {"id": "", "timestamp": int(ctx.now * 1000), "message": "CWL CONTROL MESSAGE: Checking health of destination Lambda."}
    try:
        send(ctx, group, destination, message("CONTROL_MESSAGE", SYSTEM, "", stream, [], [event]))
    except AwsError as error:
        if error.status == 501 or error.code == "InvalidParameterException":
            raise
        raise AwsError(
            "InvalidParameterException",
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your function.",
        ) from error


def deliver_soon(ctx: Context, group: str, stream: str, first: int, last: int, seq: int, count: int) -> None:
    """Start the run that delivers what was just put: `count` events from number `seq` on."""
    ctx.start_job(
        "logs.subscription",
        f"logs.subscription/{group}/{stream}/{seq}",
        group=group,
        stream=stream,
        first=first,
        last=last,
        seq=seq,
        count=count,
    )


@job("logs.subscription")
def deliver(run: Run, group: str, stream: str, first: int, last: int, seq: int, count: int) -> None:
    names = run.tx("filters", lambda ctx: [found.name for found in ctx.tx.scan(Subscription, prefix=f"{group}:")])
    for step, name in run.each("filter", names):
        for nth in range(TRIES):
            payload = run.read(payload_for, group, stream, name, first, last, seq, count)
            if payload is None or step.tx(f"send {nth}", try_to_send, group, name, payload):
                break
            step.sleep(f"pause {nth}", RETRY * (nth + 1), paced=True)


def payload_for(ctx: Context, group: str, stream: str, name: str, first: int, last: int, seq: int, count: int) -> bytes | None:
    """What a filter lets through of one put, None for nothing."""
    found = ctx.tx.get(Subscription, f"{group}:{name}")
    record = ctx.tx.get(LogStream, stream_key(group, stream))
    if found is None or record is None:
        return None
    matches = compile_pattern(found.pattern)
    events = [
        {"id": f"{position:056d}", "timestamp": at, "message": text}
        for position, at, _, text in stream_events(ctx, record, start=first, end=last + 1)
        if seq <= position & ((1 << 40) - 1) < seq + count and matches(text)
    ]
    return message("DATA_MESSAGE", ctx.scope.account, group, stream, [name], events) if events else None


def try_to_send(ctx: Context, group: str, name: str, payload: bytes) -> bool:
    found = ctx.tx.get(Subscription, f"{group}:{name}")
    if found is None:
        return True
    try:
        send(ctx, group, found.destination, payload)
    except AwsError:
        return False
    return True
