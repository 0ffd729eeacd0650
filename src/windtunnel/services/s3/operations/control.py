"""S3 Control: Block Public Access of a whole account, which guard.access_block joins with each bucket's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3.buckets import AccessBlock, AccountBlock

SERVICE = "s3control"
_BLOCK = "PublicAccessBlockConfiguration"
_SWITCHES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def on_account(action: str) -> Authorize:
    """The caller's own account, which is named in the request."""

    def authorize(ctx: Context, account_id: str, **_: Any) -> list[Need]:
        if account_id != ctx.scope.account:
            raise AwsError("AccessDenied", "Access Denied", status=403)
        return [Need(f"s3:{action}")]

    return authorize


@reads(SERVICE, "GetPublicAccessBlock", authorize=on_account("GetAccountPublicAccessBlock"), acts="AccountId")
def get_public_access_block(ctx: Context, account_id: str) -> Reply:
    found = ctx.tx.get(AccountBlock, "block")
    if found is None:
        raise AwsError("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", status=404)
    block = found.block
    switches = (block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets)
    return {_BLOCK: dict(zip(_SWITCHES, switches, strict=True))}


@writes(
    SERVICE,
    "PutPublicAccessBlock",
    authorize=on_account("PutAccountPublicAccessBlock"),
    acts=" ".join(["AccountId", *(f"{_BLOCK}.{name}" for name in _SWITCHES)]),
)
def put_public_access_block(ctx: Context, account_id: str, public_access_block_configuration: Mapping[str, bool]) -> Reply:
    ctx.tx.put(AccountBlock(block=AccessBlock(*(bool(public_access_block_configuration.get(name, False)) for name in _SWITCHES))))
    return {}


@writes(SERVICE, "DeletePublicAccessBlock", authorize=on_account("PutAccountPublicAccessBlock"), acts="AccountId")
def delete_public_access_block(ctx: Context, account_id: str) -> Reply:
    ctx.tx.delete(AccountBlock, "block")
    return {}
