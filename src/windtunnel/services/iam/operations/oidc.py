"""OpenID Connect providers: whose tokens sts takes for which roles."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, now, save
from windtunnel.services.iam.model import checked_tags, merged_tags, tag_list
from windtunnel.services.iam.operations.authorize import on_account, on_oidc
from windtunnel.services.iam.providers import OIDCProvider, oidc_arn

_MAX_CLIENTS = 100
_MAX_THUMBPRINTS = 5
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|localhost|::1")


def oidc_provider(ctx: Context, arn: str) -> OIDCProvider:
    url = arn.partition(":oidc-provider/")[2]
    if not url:
        raise AwsError("InvalidInput", f"Invalid ARN:  {arn}")
    found = ctx.tx.get(OIDCProvider, url) if arn == oidc_arn(ctx.scope, url) else None
    if found is None:
        raise AwsError("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    return found


def _parsed(url: str) -> tuple[str, str]:
    """(scheme, the rest). AWS takes https without a port only; an issuer on this machine may have both http and a port."""
    try:
        parts = urlsplit(url)
        local = _LOOPBACK.fullmatch(parts.hostname or "") is not None
        port = parts.port
    except ValueError:
        raise AwsError("InvalidInput", "Invalid Open ID Connect Provider URL") from None
    if parts.scheme not in (("https", "http") if local else ("https",)) or not parts.hostname or parts.query or parts.fragment:
        raise AwsError("ValidationError", "Invalid Open ID Connect Provider URL")
    if parts.username is not None or (port is not None and not local):
        raise AwsError("InvalidInput", "Invalid Open ID Connect Provider URL")
    return parts.scheme, f"{parts.netloc}{parts.path}".rstrip("/")


def _thumbprints(given: list[str]) -> list[str]:
    if len(given) > _MAX_THUMBPRINTS:
        raise AwsError("InvalidInput", f"Thumbprint list must contain fewer than {_MAX_THUMBPRINTS} entries.")
    if any(re.fullmatch(r"[0-9A-Fa-f]{40}", thumbprint) is None for thumbprint in given):
        raise AwsError("InvalidInput", "Thumbprint must be a SHA-1 digest of 40 hexadecimal characters.")
    return [thumbprint.lower() for thumbprint in given]


def _clients(given: list[str]) -> list[str]:
    if len(given) > _MAX_CLIENTS:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {_MAX_CLIENTS}")
    return list(dict.fromkeys(given))


@writes(
    "iam",
    "CreateOpenIDConnectProvider",
    authorize=on_oidc("CreateOpenIDConnectProvider"),
    acts="Url ClientIDList[] ThumbprintList[] Tags[].*",
)
def create_open_id_connect_provider(
    ctx: Context,
    url: str,
    client_id_list: list[str] | None = None,
    thumbprint_list: list[str] | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Reply:
    scheme, bare = _parsed(url)
    if ctx.tx.get(OIDCProvider, bare) is not None:
        raise AwsError("EntityAlreadyExists", f"Provider with url {url} already exists.")
    made = OIDCProvider(
        url=bare,
        scheme=scheme,
        clients=_clients(client_id_list or []),
        thumbprints=_thumbprints(thumbprint_list or []),
        created=now(ctx),
        tags=merged_tags({}, checked_tags(tags)),
    )
    save(ctx, made)
    reply: Reply = {"OpenIDConnectProviderArn": oidc_arn(ctx.scope, bare)}
    return {**reply, "Tags": tag_list(made.tags)} if made.tags else reply


@reads("iam", "GetOpenIDConnectProvider", authorize=on_oidc("GetOpenIDConnectProvider"), acts="OpenIDConnectProviderArn")
def get_open_id_connect_provider(ctx: Context, open_id_connect_provider_arn: str) -> Reply:
    found = oidc_provider(ctx, open_id_connect_provider_arn)
    reply: dict[str, Any] = {
        "Url": found.url,
        "ClientIDList": found.clients,
        "ThumbprintList": found.thumbprints,
        "CreateDate": found.created,
    }
    return {**reply, "Tags": tag_list(found.tags)} if found.tags else reply


@reads("iam", "ListOpenIDConnectProviders", authorize=on_account("ListOpenIDConnectProviders"), cost="scan")
def list_open_id_connect_providers(ctx: Context) -> Reply:
    return {"OpenIDConnectProviderList": [{"Arn": oidc_arn(ctx.scope, found.url)} for found in ctx.tx.scan(OIDCProvider)]}


@writes("iam", "DeleteOpenIDConnectProvider", authorize=on_oidc("DeleteOpenIDConnectProvider"), acts="OpenIDConnectProviderArn")
def delete_open_id_connect_provider(ctx: Context, open_id_connect_provider_arn: str) -> Reply:
    drop(ctx, oidc_provider(ctx, open_id_connect_provider_arn))
    return {}


@writes(
    "iam",
    "AddClientIDToOpenIDConnectProvider",
    authorize=on_oidc("AddClientIDToOpenIDConnectProvider"),
    acts="OpenIDConnectProviderArn ClientID",
)
def add_client_id_to_open_id_connect_provider(ctx: Context, open_id_connect_provider_arn: str, client_id: str) -> Reply:
    found = oidc_provider(ctx, open_id_connect_provider_arn)
    save(ctx, msgspec.structs.replace(found, clients=_clients([*found.clients, client_id])))
    return {}


@writes(
    "iam",
    "RemoveClientIDFromOpenIDConnectProvider",
    authorize=on_oidc("RemoveClientIDFromOpenIDConnectProvider"),
    acts="OpenIDConnectProviderArn ClientID",
)
def remove_client_id_from_open_id_connect_provider(ctx: Context, open_id_connect_provider_arn: str, client_id: str) -> Reply:
    found = oidc_provider(ctx, open_id_connect_provider_arn)
    save(ctx, msgspec.structs.replace(found, clients=[client for client in found.clients if client != client_id]))
    return {}


@writes(
    "iam",
    "UpdateOpenIDConnectProviderThumbprint",
    authorize=on_oidc("UpdateOpenIDConnectProviderThumbprint"),
    acts="OpenIDConnectProviderArn ThumbprintList[]",
)
def update_open_id_connect_provider_thumbprint(ctx: Context, open_id_connect_provider_arn: str, thumbprint_list: list[str]) -> Reply:
    found = oidc_provider(ctx, open_id_connect_provider_arn)
    save(ctx, msgspec.structs.replace(found, thumbprints=_thumbprints(thumbprint_list)))
    return {}
