"""What is configured on a bucket and is not needed to read or write an object: CORS, lifecycle, website, inventories, ….

Invariant: each stands in a record of its own, as the client said it, so that the bucket's record, which every request reads, stays
small; where a request must know that there is one, the bucket has a flag, which changes with the record.
"""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.records import Record, RecordScope, Tx


class Setting(Record, kw_only=True):
    """One configuration. kind: `cors`; id: of those that may be several; body: in the model's member names."""

    KIND: ClassVar[str] = "s3.setting"
    SCOPE: ClassVar[RecordScope] = "cloud"

    bucket: str
    kind: str
    id: str = ""
    body: dict[str, Any]

    def key(self) -> str:
        return setting_key(self.bucket, self.kind, self.id)


def setting_key(bucket: str, kind: str, id: str = "") -> str:
    return f"{bucket}/{kind}/{id}"


def setting(tx: Tx, bucket: str, kind: str, id: str = "") -> dict[str, Any] | None:
    found = tx.get(Setting, setting_key(bucket, kind, id))
    return None if found is None else found.body


def settings(tx: Tx, bucket: str, kind: str, after: str = "", limit: int | None = None) -> list[Setting]:
    """All of a kind by id, from after that one on."""
    prefix = f"{bucket}/{kind}/"
    return tx.scan(Setting, prefix=prefix, after=prefix + after if after else None, limit=limit)


def drop_settings(tx: Tx, bucket: str) -> None:
    """All of a bucket that goes."""
    for found in tx.scan(Setting, prefix=f"{bucket}/"):
        tx.delete(Setting, found.key())
