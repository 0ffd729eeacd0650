"""Delivery of S3's messages to topics, queues and functions: a durable run each, tried again for a day.

Invariant: a delivery's success commits with what the target did, so each message arrives once. Only what the target's own policy grants to
`s3.amazonaws.com` is possible, as on AWS; a refusal that will not pass ends in the log and in the trail.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.trail import trail
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.notification import Destination, Told, message

log = logging.getLogger("windtunnel.s3")
SERVICE = "s3.amazonaws.com"
MAX_AGE = 86400.0
MAX_PAUSE = 900.0
FINAL = ("AccessDenied", "NotFound", "NonExistent", "DoesNotExist", "NotImplemented", "Invalid")
"""Errors whose code has one of these in it would be the same at the next attempt."""


def start(ctx: Context, bucket: Bucket, destination: Destination, told: Told) -> None:
    """With the change of which it tells."""
    body = msgspec.json.encode(message(told, destination.body.get("Id", ""))).decode()
    ctx.in_scope(bucket.account, bucket.region).start_job(
        "s3.notify", f"s3.notify/{ctx.ids.uuid()}", bucket=bucket.name, arn=destination.arn, body=body, since=ctx.now
    )


@job("s3.notify")
def deliver(run: Run, bucket: str, arn: str, body: str, since: float) -> None:
    number = 0
    while (pause := run.tx(f"attempt-{number}", attempt, bucket, arn, body, since, number)) is not None:
        run.sleep(f"pause-{number}", pause)
        number += 1


def attempt(ctx: Context, bucket: str, arn: str, body: str, since: float, number: int) -> float | None:
    """None when that is settled, else how long to wait before the next attempt."""
    try:
        send(ctx, bucket, arn, body)
    except AwsError as error:
        reason = f"{error.code}: {error.message}"
        if not any(word in error.code for word in FINAL) and ctx.now - since < MAX_AGE:
            return min(MAX_PAUSE, 2.0 ** min(number, 10))
        text = f"bucket {bucket}: a notification was not delivered to {arn}: {reason}"
        log.warning("%s", text)
        trail(ctx, [bucket, arn], text, level="error")
    return None


def send(ctx: Context, bucket: str, arn: str, body: str) -> None:
    """As S3, for that bucket, in the destination's account and region."""
    to = Arn.parse(arn)
    if to is None:
        raise AwsError("InvalidArgument", "The ARN is not well formed")
    there = ctx.as_service(SERVICE, f"arn:aws:s3:::{bucket}").in_scope(to.account, to.region)
    if to.service == "sns":
        there.call("sns", "Publish", topic_arn=arn, message=body, subject="Amazon S3 Notification")
    elif to.service == "sqs":
        url = f"{ctx.cloud.endpoint}/{to.account}/{to.resource}"
        there.call("sqs", "SendMessage", queue_url=url, message_body=body)
    else:
        there.call("lambda", "Invoke", function_name=arn, invocation_type="Event", payload=body.encode())


def test(ctx: Context, bucket: Bucket, destination: Destination, body: dict[str, Any]) -> None:
    """What AWS asks of a destination when it is configured: to take a test message. Raises InvalidArgument."""
    try:
        send(ctx.in_scope(bucket.account, bucket.region), bucket.name, destination.arn, msgspec.json.encode(body).decode())
    except AwsError as error:
        log.info("bucket %s: %s did not take the test event: %s", bucket.name, destination.arn, error)
        why = "The destination service does not run here yet" if error.code == "NotImplemented" else error.message
        raise AwsError(
            "InvalidArgument",
            "Unable to validate the following destination configurations",
            extra={"ArgumentName": destination.arn, "ArgumentValue": why},
        ) from None
