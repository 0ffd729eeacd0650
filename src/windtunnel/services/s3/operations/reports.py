"""Configurations by id, four kinds of one form: inventory, metrics, analytics, intelligent tiering.

They are kept and told. What AWS does by them is not done here: no reports are delivered, there are no request metrics, and no object is moved to
an archive tier by its access (known differences).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3.guard import on_bucket, the_bucket
from windtunnel.services.s3.operations.buckets import decode_token, encode_token
from windtunnel.services.s3.operations.configuration import GET, malformed
from windtunnel.services.s3.settings import Setting, setting, setting_key, settings
from windtunnel.wire.naming import xform

PAGE = 100
MAX_CONFIGURATIONS = 1000


class Kind(NamedTuple):
    """name: in the operations' names; action: in the permissions'."""

    name: str
    action: str

    @property
    def member(self) -> str:
        return f"{self.name}Configuration"


KINDS = (
    Kind("Inventory", "InventoryConfiguration"),
    Kind("Metrics", "MetricsConfiguration"),
    Kind("Analytics", "AnalyticsConfiguration"),
    Kind("IntelligentTiering", "IntelligentTieringConfiguration"),
)


def _missing() -> AwsError:
    return AwsError("NoSuchConfiguration", "The specified configuration does not exist.")


def _put(kind: Kind) -> Callable[..., Reply]:
    argument = xform(kind.member)

    def handler(ctx: Context, bucket: str, id: str, **args: Any) -> Reply:
        found, body = the_bucket(ctx, bucket), args[argument]
        if body.get("Id") != id:
            raise malformed()
        if setting(ctx.tx, found.name, kind.name, id) is None and len(settings(ctx.tx, found.name, kind.name)) >= MAX_CONFIGURATIONS:
            raise AwsError(
                "TooManyConfigurations",
                "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.",
            )
        ctx.tx.put(Setting(bucket=found.name, kind=kind.name, id=id, body=body))
        return {}

    return handler


def _get(kind: Kind) -> Callable[..., Reply]:
    def handler(ctx: Context, bucket: str, id: str, **_: Any) -> Reply:
        body = setting(ctx.tx, the_bucket(ctx, bucket).name, kind.name, id)
        if body is None:
            raise _missing()
        return {kind.member: body}

    return handler


def _delete(kind: Kind) -> Callable[..., Reply]:
    def handler(ctx: Context, bucket: str, id: str, **_: Any) -> Reply:
        if not ctx.tx.delete(Setting, setting_key(the_bucket(ctx, bucket).name, kind.name, id)):
            raise _missing()
        return {}

    return handler


def _list(kind: Kind) -> Callable[..., Reply]:
    def handler(ctx: Context, bucket: str, continuation_token: str | None = None, **_: Any) -> Reply:
        after = decode_token(continuation_token) if continuation_token else ""
        found = settings(ctx.tx, the_bucket(ctx, bucket).name, kind.name, after, PAGE + 1)
        reply: Reply = {"IsTruncated": len(found) > PAGE, f"{kind.member}List": [item.body for item in found[:PAGE]]}
        if continuation_token is not None:
            reply["ContinuationToken"] = continuation_token
        if len(found) > PAGE:
            reply["NextContinuationToken"] = encode_token(found[PAGE - 1].id)
        return reply

    return handler


for kind in KINDS:
    operation = f"Bucket{kind.member}"
    writes("s3", f"Put{operation}", authorize=on_bucket(f"Put{kind.action}"), acts=f"{GET} Id", descriptive=f"{kind.member}.*")(_put(kind))
    reads("s3", f"Get{operation}", authorize=on_bucket(f"Get{kind.action}"), acts=f"{GET} Id")(_get(kind))
    writes("s3", f"Delete{operation}", authorize=on_bucket(f"Put{kind.action}"), acts=f"{GET} Id")(_delete(kind))
    reads("s3", f"List{operation}s", authorize=on_bucket(f"Get{kind.action}"), acts=f"{GET} ContinuationToken", cost="scan")(_list(kind))
