"""Service-specific credentials: a user's name and password for git over HTTPS to CodeCommit."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, now, save, user
from windtunnel.services.iam.model import ServiceCredential, User
from windtunnel.services.iam.operations.authorize import on_user

_SERVICE = "codecommit.amazonaws.com"
_LIMIT = 2


def _described(owner: User, credential: ServiceCredential, *, secret: bool = False) -> dict[str, Any]:
    reply: dict[str, Any] = {
        "CreateDate": credential.created,
        "ServiceName": credential.service,
        "ServiceUserName": credential.login,
        "ServiceSpecificCredentialId": credential.id,
        "UserName": owner.name,
        "Status": "Active" if credential.active else "Inactive",
    }
    return {**reply, "ServicePassword": credential.password} if secret else reply


def _credential(ctx: Context, owner: User, credential_id: str) -> ServiceCredential:
    found = ctx.tx.get(ServiceCredential, credential_id)
    if found is None or found.user != owner.key():
        raise AwsError("NoSuchEntity", f"No such credential {credential_id} exists")
    return found


def _supported(service_name: str) -> None:
    if service_name != _SERVICE:
        raise AwsError("NotSupportedService", f"The service {service_name} does not support service specific credentials.")


@writes(
    "iam",
    "CreateServiceSpecificCredential",
    authorize=on_user("CreateServiceSpecificCredential"),
    acts="UserName ServiceName",
)
def create_service_specific_credential(ctx: Context, user_name: str, service_name: str) -> Reply:
    _supported(service_name)
    owner = user(ctx, user_name)
    held = ctx.tx.find(ServiceCredential, "user", owner.key())
    if len(held) >= _LIMIT:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for ServiceSpecificCredentialsPerUser: {_LIMIT}")
    # The second credential of a user gets `+1` in its name, as on AWS.
    plus = "+1" if any(credential.login == f"{owner.name}-at-{ctx.scope.account}" for credential in held) else ""
    made = ServiceCredential(
        id="ACCA" + ctx.ids.upper(17),
        user=owner.key(),
        service=service_name,
        login=f"{owner.name}{plus}-at-{ctx.scope.account}",
        password=ctx.ids.secret(42) + "=",
        created=now(ctx),
    )
    save(ctx, made)
    return {"ServiceSpecificCredential": _described(owner, made, secret=True)}


@reads(
    "iam",
    "ListServiceSpecificCredentials",
    authorize=on_user("ListServiceSpecificCredentials"),
    acts="UserName ServiceName",
)
def list_service_specific_credentials(ctx: Context, user_name: str | None = None, service_name: str | None = None) -> Reply:
    if service_name is not None:
        _supported(service_name)
    owner = user(ctx, user_name)
    held = ctx.tx.find(ServiceCredential, "user", owner.key())
    return {"ServiceSpecificCredentials": [_described(owner, credential) for credential in held], "IsTruncated": False}


@writes(
    "iam",
    "ResetServiceSpecificCredential",
    authorize=on_user("ResetServiceSpecificCredential"),
    acts="UserName ServiceSpecificCredentialId",
)
def reset_service_specific_credential(ctx: Context, service_specific_credential_id: str, user_name: str | None = None) -> Reply:
    owner = user(ctx, user_name)
    old = _credential(ctx, owner, service_specific_credential_id)
    new = msgspec.structs.replace(old, password=ctx.ids.secret(42) + "=")
    save(ctx, new)
    return {"ServiceSpecificCredential": _described(owner, new, secret=True)}


@writes(
    "iam",
    "UpdateServiceSpecificCredential",
    authorize=on_user("UpdateServiceSpecificCredential"),
    acts="UserName ServiceSpecificCredentialId Status",
)
def update_service_specific_credential(
    ctx: Context, service_specific_credential_id: str, status: str, user_name: str | None = None
) -> Reply:
    old = _credential(ctx, user(ctx, user_name), service_specific_credential_id)
    save(ctx, msgspec.structs.replace(old, active=status == "Active"))
    return {}


@writes(
    "iam",
    "DeleteServiceSpecificCredential",
    authorize=on_user("DeleteServiceSpecificCredential"),
    acts="UserName ServiceSpecificCredentialId",
)
def delete_service_specific_credential(ctx: Context, service_specific_credential_id: str, user_name: str | None = None) -> Reply:
    drop(ctx, _credential(ctx, user(ctx, user_name), service_specific_credential_id))
    return {}
