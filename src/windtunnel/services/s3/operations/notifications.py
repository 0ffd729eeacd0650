"""Who hears of a bucket's changes."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3 import delivering
from windtunnel.services.s3.guard import on_bucket, the_bucket
from windtunnel.services.s3.notification import KINDS, check, destinations, test_message
from windtunnel.services.s3.operations.configuration import GET
from windtunnel.services.s3.settings import Setting, setting, setting_key


@writes(
    "s3",
    "PutBucketNotificationConfiguration",
    authorize=on_bucket("PutBucketNotification"),
    acts=f"{GET} NotificationConfiguration.* SkipDestinationValidation",
)
def put_bucket_notification_configuration(
    ctx: Context, bucket: str, notification_configuration: dict[str, Any], skip_destination_validation: bool | None = None, **_: Any
) -> Reply:
    """The whole configuration is replaced. Each destination takes a test message first, or nothing is changed."""
    found = the_bucket(ctx, bucket)
    check(notification_configuration, found.region)
    named = {
        member: [{**body, "Id": body.get("Id") or ctx.ids.uuid()} for body in notification_configuration.get(member) or ()]
        for member, _, _ in KINDS
    }
    kept = {member: bodies for member, bodies in named.items() if bodies}
    if not skip_destination_validation:
        for destination in destinations(kept):
            delivering.test(ctx, found, destination, test_message(found.name, ctx.now, ctx.request.id))
    found.event_bridge = notification_configuration.get("EventBridgeConfiguration") is not None
    found.notifies = bool(kept)
    if kept:
        ctx.tx.put(Setting(bucket=found.name, kind="notification", body=kept))
    else:
        ctx.tx.delete(Setting, setting_key(found.name, "notification"))
    ctx.tx.put(found)
    return {}


@reads("s3", "GetBucketNotificationConfiguration", authorize=on_bucket("GetBucketNotification"), acts=GET)
def get_bucket_notification_configuration(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    kept = setting(ctx.tx, found.name, "notification") if found.notifies else None
    return {**(kept or {}), **({"EventBridgeConfiguration": {}} if found.event_bridge else {})}
