"""SSH public keys and signing certificates of users, and the account's server certificates."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.sealing import Sealer
from windtunnel.services.iam.certificates import (
    ServerCertificate,
    SigningCertificate,
    SSHPublicKey,
    check_pair,
    read_certificate,
    server_certificate_arn,
    ssh_as_pem,
    ssh_key,
)
from windtunnel.services.iam.directory import drop, now, save, user
from windtunnel.services.iam.model import User, checked_tags, merged_tags, tag_list
from windtunnel.services.iam.operations.authorize import on_certificate, on_path, on_user
from windtunnel.services.iam.operations.paging import page

_MAX_SSH = 5
_MAX_SIGNING = 2
_MAX_SERVER = 20


def _status(active: bool) -> str:
    return "Active" if active else "Inactive"


# --- SSH public keys: CodeCommit over SSH is not served here, so they identify nobody yet ------------------------------------


def _ssh(ctx: Context, owner: User, key_id: str) -> SSHPublicKey:
    found = ctx.tx.get(SSHPublicKey, key_id)
    if found is None or found.user != owner.key():
        raise AwsError("NoSuchEntity", f"The Public Key with id {key_id} cannot be found.")
    return found


def _ssh_listed(owner: User, key: SSHPublicKey) -> dict[str, Any]:
    return {"UserName": owner.name, "SSHPublicKeyId": key.id, "Status": _status(key.active), "UploadDate": key.created}


@writes("iam", "UploadSSHPublicKey", authorize=on_user("UploadSSHPublicKey"), acts="UserName", descriptive="SSHPublicKeyBody")
def upload_ssh_public_key(ctx: Context, user_name: str, ssh_public_key_body: str) -> Reply:
    owner = user(ctx, user_name)
    body, fingerprint = ssh_key(ssh_public_key_body)
    held = ctx.tx.find(SSHPublicKey, "user", owner.key())
    if any(key.fingerprint == fingerprint for key in held):
        raise AwsError("DuplicateSSHPublicKey", "The SSH public key is already associated with the user.")
    if len(held) >= _MAX_SSH:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for SSHPublicKeysPerUser: {_MAX_SSH}")
    made = SSHPublicKey(id="APKA" + ctx.ids.upper(17), user=owner.key(), body=body, fingerprint=fingerprint, created=now(ctx))
    save(ctx, made)
    return {"SSHPublicKey": {**_ssh_listed(owner, made), "Fingerprint": fingerprint, "SSHPublicKeyBody": body}}


@reads("iam", "GetSSHPublicKey", authorize=on_user("GetSSHPublicKey"), acts="UserName SSHPublicKeyId Encoding")
def get_ssh_public_key(ctx: Context, user_name: str, ssh_public_key_id: str, encoding: str) -> Reply:
    owner = user(ctx, user_name)
    key = _ssh(ctx, owner, ssh_public_key_id)
    body = ssh_as_pem(key.body) if encoding == "PEM" else key.body
    return {"SSHPublicKey": {**_ssh_listed(owner, key), "Fingerprint": key.fingerprint, "SSHPublicKeyBody": body}}


@reads("iam", "ListSSHPublicKeys", authorize=on_user("ListSSHPublicKeys"), acts="UserName Marker MaxItems")
def list_ssh_public_keys(ctx: Context, user_name: str | None = None, marker: str | None = None, max_items: int | None = None) -> Reply:
    owner = user(ctx, user_name)
    held = ctx.tx.find(SSHPublicKey, "user", owner.key())
    return page("SSHPublicKeys", held, lambda key: _ssh_listed(owner, key), SSHPublicKey.key, marker, max_items)


@writes("iam", "UpdateSSHPublicKey", authorize=on_user("UpdateSSHPublicKey"), acts="UserName SSHPublicKeyId", descriptive="Status")
def update_ssh_public_key(ctx: Context, user_name: str, ssh_public_key_id: str, status: str) -> Reply:
    save(ctx, msgspec.structs.replace(_ssh(ctx, user(ctx, user_name), ssh_public_key_id), active=status == "Active"))
    return {}


@writes("iam", "DeleteSSHPublicKey", authorize=on_user("DeleteSSHPublicKey"), acts="UserName SSHPublicKeyId")
def delete_ssh_public_key(ctx: Context, user_name: str, ssh_public_key_id: str) -> Reply:
    drop(ctx, _ssh(ctx, user(ctx, user_name), ssh_public_key_id))
    return {}


# --- signing certificates: for SOAP requests, which no service takes any more ------------------------------------------------


def _signing(ctx: Context, owner: User, certificate_id: str) -> SigningCertificate:
    found = ctx.tx.get(SigningCertificate, certificate_id)
    if found is None or found.user != owner.key():
        raise AwsError("NoSuchEntity", f"The Certificate with id {certificate_id} cannot be found.")
    return found


def _signing_shown(owner: User, found: SigningCertificate) -> dict[str, Any]:
    return {
        "UserName": owner.name,
        "CertificateId": found.id,
        "CertificateBody": found.body,
        "Status": _status(found.active),
        "UploadDate": found.created,
    }


@writes("iam", "UploadSigningCertificate", authorize=on_user("UploadSigningCertificate"), acts="UserName", descriptive="CertificateBody")
def upload_signing_certificate(ctx: Context, certificate_body: str, user_name: str | None = None) -> Reply:
    owner = user(ctx, user_name)
    read_certificate(certificate_body)
    held = ctx.tx.find(SigningCertificate, "user", owner.key())
    if any(found.body == certificate_body for found in held):
        raise AwsError("DuplicateCertificate", "The certificate is already associated with the user.")
    if len(held) >= _MAX_SIGNING:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for SigningCertificatesPerUser: {_MAX_SIGNING}")
    made = SigningCertificate(id=ctx.ids.upper(32), user=owner.key(), body=certificate_body, created=now(ctx))
    save(ctx, made)
    return {"Certificate": _signing_shown(owner, made)}


@reads("iam", "ListSigningCertificates", authorize=on_user("ListSigningCertificates"), acts="UserName Marker MaxItems")
def list_signing_certificates(ctx: Context, user_name: str | None = None, marker: str | None = None, max_items: int | None = None) -> Reply:
    owner = user(ctx, user_name)
    held = ctx.tx.find(SigningCertificate, "user", owner.key())
    return page("Certificates", held, lambda found: _signing_shown(owner, found), SigningCertificate.key, marker, max_items)


@writes(
    "iam",
    "UpdateSigningCertificate",
    authorize=on_user("UpdateSigningCertificate"),
    acts="UserName CertificateId",
    descriptive="Status",
)
def update_signing_certificate(ctx: Context, certificate_id: str, status: str, user_name: str | None = None) -> Reply:
    save(ctx, msgspec.structs.replace(_signing(ctx, user(ctx, user_name), certificate_id), active=status == "Active"))
    return {}


@writes("iam", "DeleteSigningCertificate", authorize=on_user("DeleteSigningCertificate"), acts="UserName CertificateId")
def delete_signing_certificate(ctx: Context, certificate_id: str, user_name: str | None = None) -> Reply:
    drop(ctx, _signing(ctx, user(ctx, user_name), certificate_id))
    return {}


# --- server certificates --------------------------------------------------------------------------------------------------------


def server_certificate(ctx: Context, name: str) -> ServerCertificate:
    found = ctx.tx.get(ServerCertificate, name.lower())
    if found is None:
        raise AwsError("NoSuchEntity", f"The Server Certificate with name {name} cannot be found.")
    return found


def _metadata(ctx: Context, found: ServerCertificate) -> dict[str, Any]:
    return {
        "Path": found.path,
        "ServerCertificateName": found.name,
        "ServerCertificateId": found.id,
        "Arn": server_certificate_arn(ctx.scope, found.path, found.name),
        "UploadDate": found.created,
        "Expiration": float(int(found.expires)),
    }


@writes(
    "iam",
    "UploadServerCertificate",
    authorize=on_certificate("UploadServerCertificate"),
    acts="Path ServerCertificateName CertificateBody PrivateKey Tags[].*",
    descriptive="CertificateChain",
)
def upload_server_certificate(
    ctx: Context,
    server_certificate_name: str,
    certificate_body: str,
    private_key: str,
    path: str = "/",
    certificate_chain: str = "",
    tags: list[dict[str, str]] | None = None,
) -> Reply:
    """The key must be the certificate's. No load balancer takes it yet."""
    read = read_certificate(certificate_body)
    check_pair(read, private_key)
    if certificate_chain:
        read_certificate(certificate_chain)
    if ctx.tx.get(ServerCertificate, server_certificate_name.lower()) is not None:
        raise AwsError("EntityAlreadyExists", f"The Server Certificate with name {server_certificate_name} already exists.")
    if ctx.tx.count(ServerCertificate) >= _MAX_SERVER:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for ServerCertificatesPerAccount: {_MAX_SERVER}")
    sealer: Sealer = ctx.cloud.part("sealer")
    identifier = "ASCA" + ctx.ids.upper(17)
    made = ServerCertificate(
        name=server_certificate_name,
        path=path,
        id=identifier,
        body=certificate_body.strip(),  # as AWS gives it back
        chain=certificate_chain.strip(),
        private=b64encode(sealer.seal(private_key.encode(), f"iam.server-certificate/{identifier}".encode())).decode(),
        created=now(ctx),
        expires=read.expires,
        tags=merged_tags({}, checked_tags(tags)),
    )
    save(ctx, made)
    reply: Reply = {"ServerCertificateMetadata": _metadata(ctx, made)}
    return {**reply, "Tags": tag_list(made.tags)} if made.tags else reply


@reads("iam", "GetServerCertificate", authorize=on_certificate("GetServerCertificate"), acts="ServerCertificateName")
def get_server_certificate(ctx: Context, server_certificate_name: str) -> Reply:
    found = server_certificate(ctx, server_certificate_name)
    reply: dict[str, Any] = {"ServerCertificateMetadata": _metadata(ctx, found), "CertificateBody": found.body}
    if found.chain:
        reply["CertificateChain"] = found.chain
    if found.tags:
        reply["Tags"] = tag_list(found.tags)
    return {"ServerCertificate": reply}


@reads(
    "iam",
    "ListServerCertificates",
    authorize=on_path("ListServerCertificates", "server-certificate"),
    acts="PathPrefix Marker MaxItems",
    cost="scan",
)
def list_server_certificates(ctx: Context, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None) -> Reply:
    held = (found for found in ctx.tx.scan(ServerCertificate) if found.path.startswith(path_prefix))
    return page("ServerCertificateMetadataList", held, lambda found: _metadata(ctx, found), ServerCertificate.key, marker, max_items)


@writes(
    "iam",
    "UpdateServerCertificate",
    authorize=on_certificate("UpdateServerCertificate"),
    acts="ServerCertificateName NewPath NewServerCertificateName",
)
def update_server_certificate(
    ctx: Context, server_certificate_name: str, new_path: str | None = None, new_server_certificate_name: str | None = None
) -> Reply:
    old = server_certificate(ctx, server_certificate_name)
    new = msgspec.structs.replace(old, path=new_path or old.path, name=new_server_certificate_name or old.name)
    if new.key() != old.key():
        if ctx.tx.get(ServerCertificate, new.key()) is not None:
            raise AwsError("EntityAlreadyExists", f"The Server Certificate with name {new.name} already exists.")
        drop(ctx, old)
    save(ctx, new)
    return {}


@writes("iam", "DeleteServerCertificate", authorize=on_certificate("DeleteServerCertificate"), acts="ServerCertificateName")
def delete_server_certificate(ctx: Context, server_certificate_name: str) -> Reply:
    drop(ctx, server_certificate(ctx, server_certificate_name))
    return {}
