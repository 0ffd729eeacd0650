"""The credentials that a sandbox may fetch for itself, as a build container does from 169.254.170.2.

Invariant: they are given to the sandbox that they belong to alone: the listener on which the question came is the asker's identity.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import structs

from windtunnel.kernel.records import RecordScope, Sealable


class SandboxCredential(Sealable, kw_only=True):
    """path: the relative URI under which they are fetched. expires: epoch seconds."""

    KIND: ClassVar[str] = "compute.credential"
    SCOPE: ClassVar[RecordScope] = "cloud"

    sealed: bool | bytes = True
    sandbox: str
    path: str
    role_arn: str
    access_key: str
    secret: str
    token: str
    expires: float

    def key(self) -> str:
        return self.sandbox

    def shell(self) -> SandboxCredential:
        return structs.replace(self, secret="", token="")
