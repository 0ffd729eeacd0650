"""DescribeCustomKeyStores: there are none, for they stand on hardware or on a proxy that this machine does not have."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.kms.guard import everywhere


@reads(
    "kms",
    "DescribeCustomKeyStores",
    authorize=everywhere("DescribeCustomKeyStores"),
    acts="CustomKeyStoreId CustomKeyStoreName Limit Marker",
)
def describe_custom_key_stores(
    ctx: Context,
    custom_key_store_id: str | None = None,
    custom_key_store_name: str | None = None,
    limit: int = 1000,
    marker: str | None = None,
) -> Reply:
    asked = custom_key_store_id or custom_key_store_name
    if asked is not None:
        raise AwsError("CustomKeyStoreNotFoundException", f"The custom key store {asked} does not exist.")
    return {"CustomKeyStores": [], "Truncated": False}
