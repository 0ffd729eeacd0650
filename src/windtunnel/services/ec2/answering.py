"""Joins metadata and credentials to a running cloud: what the metadata gateway calls for an instance."""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.records import Record, RecordScope
from windtunnel.services.ec2.credentials import InstanceCredentials
from windtunnel.services.ec2.metadata import Answer, NeedsCredentials, answer, credentials_document, find


class MetadataSecret(Record, kw_only=True):
    """What this cloud seals metadata tokens with."""

    KIND: ClassVar[str] = "ec2.metadata-secret"
    SCOPE: ClassVar[RecordScope] = "cloud"

    secret: str

    def key(self) -> str:
        return "secret"


class InstanceMetadata:
    """Answers for instances, by sandbox id."""

    def __init__(self, cloud: Any, backend: Any) -> None:
        self._cloud = cloud
        self._backend = backend
        self._credentials = InstanceCredentials()
        self._secret: bytes | None = None

    async def __call__(self, sandbox_id: str, method: str, path: str, headers: dict[str, str]) -> Answer | None:
        secret = self._secret or await self._make_secret()
        now = self._cloud.clock.now()
        with self._backend.snapshot("", "") as tx:
            found = find(tx, sandbox_id)
        if found is None:
            return None
        said = answer(*found, method, path, headers, secret, now)
        return await self._role(said) if isinstance(said, NeedsCredentials) else said

    async def _make_secret(self) -> bytes:
        def make(tx: Any) -> str:
            held = tx.get(MetadataSecret, "secret")
            if held is None:
                held = MetadataSecret(secret=self._cloud.ids.hex(64))
                tx.put(held)
            secret: str = held.secret
            return secret

        self._secret = (await self._backend.submit(make)).encode()
        return self._secret

    async def _role(self, wanted: NeedsCredentials) -> Answer:
        with self._backend.snapshot(wanted.account, wanted.region) as tx:
            role_arn = self._credentials.role_name(self._cloud.context(tx, wanted.account, wanted.region), wanted)
        name = role_arn.rsplit("/", 1)[-1] if role_arn else ""
        if role_arn is None or (wanted.role and wanted.role != name):
            return 404, {"Content-Type": "text/plain"}, b"Not Found"
        if not wanted.role:
            return 200, {"Content-Type": "text/plain"}, name.encode()
        now = self._cloud.clock.now()
        held = self._credentials.held(wanted.instance_id, now)
        if held is None:
            held = await self._backend.submit(
                lambda tx: self._credentials.make(self._cloud.context(tx, wanted.account, wanted.region), wanted, role_arn)
            )
        document = credentials_document(held.access_key, held.secret, held.token, held.expires or 0, now)
        return 200, {"Content-Type": "text/plain"}, document.encode()
