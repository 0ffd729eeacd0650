"""What the generated contract tests need to know of `s3control`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT

NAMES: dict[str, Any] = {"accountid": ACCOUNT}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("PutPublicAccessBlock", {"account_id": ACCOUNT, "public_access_block_configuration": {}}),
]
ACTIONS: dict[str, list[str]] = {
    "DeletePublicAccessBlock": ["s3:PutAccountPublicAccessBlock"],
    "GetPublicAccessBlock": ["s3:GetAccountPublicAccessBlock"],
    "PutPublicAccessBlock": ["s3:PutAccountPublicAccessBlock"],
}
ERRORS = {"InvalidRequest"}
