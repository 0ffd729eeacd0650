"""RestoreObject: archived objects are readable again at once, until their copy's time is over. Nothing is waited for (known differences)."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.s3 import notify
from windtunnel.services.s3.describing import ARCHIVED
from windtunnel.services.s3.guard import on_object, the_bucket
from windtunnel.services.s3.operations.configuration import GET, malformed
from windtunnel.services.s3.operations.reading import visible

_DAY = 86400


@writes(
    "s3",
    "RestoreObject",
    authorize=on_object("RestoreObject"),
    acts=f"{GET} ChecksumAlgorithm Key VersionId RequestPayer RestoreRequest.Days",
    descriptive="RestoreRequest.GlacierJobParameters.Tier",
)
def restore_object(
    ctx: Context, bucket: str, key: str, restore_request: dict[str, Any] | None = None, version_id: str | None = None, **_: Any
) -> Reply:
    home = the_bucket(ctx, bucket)
    version = visible(ctx, home, key, version_id)
    days = (restore_request or {}).get("Days")
    if days is None:
        raise malformed()
    if days < 1:
        raise AwsError(
            "InvalidArgument", "restoration days should be at least 1", extra={"ArgumentName": "Days", "ArgumentValue": str(days)}
        )
    if version.described.storage_class not in ARCHIVED:
        raise AwsError(
            "InvalidObjectState",
            "Restore is not allowed for the object's current storage class",
            status=403,
            extra={"StorageClass": version.described.storage_class},
        )
    until = math.ceil((ctx.now + days * _DAY) / _DAY) * _DAY
    restored = msgspec.structs.replace(version, restored=float(until))
    ctx.tx.put(restored)
    if version.restored <= ctx.now:
        notify.restored(ctx, home, restored)
    return {}
