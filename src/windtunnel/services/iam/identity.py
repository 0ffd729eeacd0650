"""Who is who, and what they may do: the store-backed implementation of kernel.cloud.Identity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.records import Record, RecordScope, Tx


class RootKey(Record, kw_only=True):
    """An access key of an account's root user."""

    KIND: ClassVar[str] = "iam.root-key"
    SCOPE: ClassVar[RecordScope] = "cloud"

    access_key: str
    secret: str
    account: str

    def key(self) -> str:
        return self.access_key


class StoreIdentity:
    """Only root keys are known so far."""

    def credential(self, tx: Tx, access_key: str) -> Credential | None:
        found = tx.get(RootKey, access_key)
        return None if found is None else Credential(access_key, found.secret, Principal.root(found.account, access_key))

    def check(self, ctx: Context, needs: Iterable[Need]) -> None:
        if ctx.principal.kind not in ("root", "service", "assumed-role"):
            raise AwsError("AccessDenied", f"User: {ctx.principal.arn} is not authorized to perform: {next(iter(needs)).action}")

    def assume_for_service(self, ctx: Context, role_arn: str, session_name: str, service: str) -> Principal:
        name = role_arn.rsplit("/", 1)[-1]
        arn = f"arn:aws:sts::{ctx.scope.account}:assumed-role/{name}/{session_name}"
        return Principal("assumed-role", ctx.scope.account, arn, role_arn, f"AROA:{session_name}", session_name, via_service=service)

    def issue(self, ctx: Context, principal: Principal, seconds: float) -> Credential:
        raise AwsError("AccessDenied", "sessions are not built")
