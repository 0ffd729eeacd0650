"""What sts tells of things that others made: encoded authorization messages and access key ids."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads


def _needs(action: str) -> Any:
    return lambda ctx, **_: [Need(action)]


@reads("sts", "DecodeAuthorizationMessage", authorize=_needs("sts:DecodeAuthorizationMessage"), acts="EncodedMessage")
def decode_authorization_message(ctx: Context, encoded_message: str) -> Reply:
    """The decision that stands in a refusal of this account's."""
    found = ctx.cloud.identity.decode_refusal(ctx, encoded_message)
    if found is None:
        raise AwsError("InvalidAuthorizationMessageException", "Message is not valid")
    return {"DecodedMessage": found}


@reads("sts", "GetAccessKeyInfo", authorize=_needs("sts:GetAccessKeyInfo"), acts="AccessKeyId")
def get_access_key_info(ctx: Context, access_key_id: str) -> Reply:
    """The account of a key of this cloud; it says nothing of whether the key is active."""
    account = ctx.cloud.identity.account_of(ctx.tx, access_key_id)
    if account is None:
        raise AwsError("ValidationError", f"Invalid access key ID: {access_key_id}")
    return {"Account": account}
