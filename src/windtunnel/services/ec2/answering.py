"""Joins metadata and credentials to a running cloud: what the metadata gateway calls for an instance."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2 import identity
from windtunnel.services.ec2.credentials import SECONDS, InstanceCredentials
from windtunnel.services.ec2.identity import IdentitySigner
from windtunnel.services.ec2.metadata import (
    Answer,
    NeedsCredentials,
    NeedsSignature,
    answer,
    credentials_document,
    find,
    unauthorized_document,
)
from windtunnel.services.ec2.metadata_network import surroundings
from windtunnel.services.ec2.model import Instance

log = logging.getLogger("windtunnel.ec2")
MOST_SIGNED = 1024
"""Signatures that are kept."""


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
        self._where: dict[str, Scope] = {}
        self._signer: IdentitySigner | None = None
        self._signed: dict[NeedsSignature, str] = {}

    async def __call__(self, sandbox_id: str, method: str, path: str, headers: dict[str, str]) -> Answer | None:
        secret = self._secret or await self._make_secret()
        now = self._cloud.clock.now()
        with self._backend.snapshot("", "") as tx:
            found = self._find(tx, sandbox_id)
            if found is None:
                return None
            around = surroundings(tx, *found)
        said = answer(*found, method, path, headers, secret, now, around)
        if isinstance(said, NeedsSignature):
            return await self._signature(said)
        return await self._role(said) if isinstance(said, NeedsCredentials) else said

    async def _signature(self, wanted: NeedsSignature) -> Answer:
        """Signed in a thread, once: a document is the same for as long as its instance is."""
        found = self._signed.get(wanted)
        if found is None:
            signer, sealer = self._signer or await self._make_signer(), self._cloud.part("sealer")
            found = await self._backend.in_thread(lambda: identity.signature(sealer, signer, wanted.document.encode(), wanted.kind))
            if len(self._signed) >= MOST_SIGNED:
                self._signed.clear()
            self._signed[wanted] = found
        return 200, {"Content-Type": "text/plain"}, found.encode()

    async def _make_signer(self) -> IdentitySigner:
        with self._backend.snapshot("", "") as tx:
            held: IdentitySigner | None = tx.get(IdentitySigner, "signer")
        if held is None:
            sealer, now = self._cloud.part("sealer"), self._cloud.clock.now()
            new = await self._backend.in_thread(lambda: identity.made(sealer, now))

            def keep(tx: Any) -> IdentitySigner:
                first: IdentitySigner | None = tx.get(IdentitySigner, "signer")
                if first is None:
                    tx.put(new)
                return first or new

            held = await self._backend.submit(keep)
        self._signer = held
        return held

    def _find(self, tx: Any, sandbox_id: str) -> tuple[Scope, Instance] | None:
        """An instance never moves, so where it was found once it is looked up from then on."""
        where = self._where.get(sandbox_id)
        if where is not None:
            held = tx.within(where.account, where.region).get(Instance, sandbox_id)
            return None if held is None else (where, held)
        found = find(tx, sandbox_id)
        if found is not None:
            self._where[sandbox_id] = found[0]
        return found

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
        held = self._credentials.held(wanted.instance_id, role_arn, now)
        try:
            held = held or await self._backend.submit(
                lambda tx: self._credentials.make(self._cloud.context(tx, wanted.account, wanted.region), wanted, role_arn)
            )
        except AwsError as error:
            log.warning("instance %s gets no credentials of %s: %s", wanted.instance_id, role_arn, error)
            return 200, {"Content-Type": "text/plain"}, unauthorized_document(name, now).encode()
        expires = held.expires or now
        document = credentials_document(held.access_key, held.secret, held.token, expires, expires - SECONDS)
        return 200, {"Content-Type": "text/plain"}, document.encode()
