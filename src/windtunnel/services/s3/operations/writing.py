"""PutObject."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.cloud import Body
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import writes
from windtunnel.services.s3 import checksums, notify
from windtunnel.services.s3.conditions import check_write
from windtunnel.services.s3.describing import DESCRIBING, described_by, owned_by, quoted, redirect_of, version_headers
from windtunnel.services.s3.encryption import SSE_MEMBERS, etag_of, for_new, kept, told
from windtunnel.services.s3.guard import on_new_object, the_bucket
from windtunnel.services.s3.locks import for_new as for_new_lock
from windtunnel.services.s3.objects import EMPTY, Current, check_key, object_key, whole
from windtunnel.services.s3.versions import put_version

BODY = " ".join(["Bucket Key Body ContentLength ContentMD5 ChecksumAlgorithm ExpectedBucketOwner", *checksums.MEMBERS])
"""The members of an upload's body; what they promise of it has been checked while it was staged."""


@writes(
    "s3",
    "PutObject",
    authorize=on_new_object,
    acts=f"{BODY} {DESCRIBING} {SSE_MEMBERS} IfMatch IfNoneMatch",
    body="stage",
)
def put_object(
    ctx: Context,
    bucket: str,
    key: str,
    body: Body | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    **said: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    check_key(key)
    whose = owned_by(ctx, home, said)
    retention, hold = for_new_lock(home, said, ctx.now)
    staged = body or Body(EMPTY)
    if if_match is not None or if_none_match is not None:
        check_write(key, ctx.tx.get(Current, object_key(bucket, key)), if_match, if_none_match)
    encryption, data_key = for_new(ctx, home, key, said, "PutObject")
    ref = kept(ctx, staged.ref, data_key)
    version = put_version(
        ctx,
        home,
        Current(
            bucket=bucket,
            name=key,
            number=0,
            modified=ctx.now,
            size=staged.ref.size,
            etag=etag_of(ref, encryption),
            described=described_by(said, "PutObject"),
            checksums=checksums.of_body(staged),
            content=[whole(ref)],
            encryption=encryption,
            account=whose.account,
            acl=whose.acl,
            retention=retention,
            legal_hold=hold,
            redirect=redirect_of(said),
        ),
    )
    notify.created(ctx, home, version, ctx.found.pop(notify.REASON, "PutObject"))
    reply: Reply = {"ETag": quoted(version.etag), **told(encryption), **version_headers(home, version)}
    if version.checksums:
        reply |= {**checksums.members(version.checksums), "ChecksumType": "FULL_OBJECT"}
    return reply
