"""SAML providers: whose assertions sts takes for which roles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, now, save
from windtunnel.services.iam.model import checked_tags, merged_tags, tag_list
from windtunnel.services.iam.operations.authorize import on_account, on_saml
from windtunnel.services.iam.providers import SAMLProvider, saml_arn

_METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_UNREADABLE = "Could not parse metadata"


def saml_provider(ctx: Context, arn: str) -> SAMLProvider:
    name = arn.partition(":saml-provider/")[2]
    if not name:
        raise AwsError("InvalidInput", f"Invalid ARN:  {arn}")
    found = ctx.tx.get(SAMLProvider, name) if arn == saml_arn(ctx.scope, name) else None
    if found is None:
        raise AwsError("NoSuchEntity", f"Manifest not found for arn {arn}")
    return found


def _valid_until(document: str) -> float:
    """When the metadata ends, 0 where it does not say. Raises AwsError for what is no identity provider's metadata."""
    if "<!DOCTYPE" in document or "<!ENTITY" in document:  # no definitions: they can make a document of any size
        raise AwsError("InvalidInput", _UNREADABLE)
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(document)
        said = root.get("validUntil")
        until = datetime.fromisoformat(said).timestamp() if said else 0.0
    except (ElementTree.ParseError, ValueError, OverflowError, RecursionError):
        raise AwsError("InvalidInput", _UNREADABLE) from None
    if root.tag != f"{_METADATA}EntityDescriptor" or root.find(f"{_METADATA}IDPSSODescriptor") is None:
        raise AwsError("InvalidInput", _UNREADABLE)
    return float(int(until))


@writes(
    "iam",
    "CreateSAMLProvider",
    authorize=on_saml("CreateSAMLProvider"),
    acts="SAMLMetadataDocument Name Tags[].*",
)
def create_saml_provider(ctx: Context, saml_metadata_document: str, name: str, tags: list[dict[str, str]] | None = None) -> Reply:
    until = _valid_until(saml_metadata_document)
    if ctx.tx.get(SAMLProvider, name) is not None:
        raise AwsError("EntityAlreadyExists", f"SAMLProvider with name {name} already exists.")
    made = SAMLProvider(
        name=name,
        document=saml_metadata_document,
        created=now(ctx),
        id="ASPA" + ctx.ids.upper(17),
        valid_until=until,
        tags=merged_tags({}, checked_tags(tags)),
    )
    save(ctx, made)
    reply: Reply = {"SAMLProviderArn": saml_arn(ctx.scope, name)}
    return {**reply, "Tags": tag_list(made.tags)} if made.tags else reply


@reads("iam", "GetSAMLProvider", authorize=on_saml("GetSAMLProvider"), acts="SAMLProviderArn")
def get_saml_provider(ctx: Context, saml_provider_arn: str) -> Reply:
    found = saml_provider(ctx, saml_provider_arn)
    reply: dict[str, Any] = {
        "SAMLProviderUUID": found.id,
        "SAMLMetadataDocument": found.document,
        "CreateDate": found.created,
    }
    if found.valid_until:
        reply["ValidUntil"] = found.valid_until
    return {**reply, "Tags": tag_list(found.tags)} if found.tags else reply


@reads("iam", "ListSAMLProviders", authorize=on_account("ListSAMLProviders"), cost="scan")
def list_saml_providers(ctx: Context) -> Reply:
    return {"SAMLProviderList": [_listed(ctx, found) for found in ctx.tx.scan(SAMLProvider)]}


def _listed(ctx: Context, found: SAMLProvider) -> dict[str, Any]:
    reply: dict[str, Any] = {"Arn": saml_arn(ctx.scope, found.name), "CreateDate": found.created}
    return {**reply, "ValidUntil": found.valid_until} if found.valid_until else reply


@writes("iam", "UpdateSAMLProvider", authorize=on_saml("UpdateSAMLProvider"), acts="SAMLMetadataDocument SAMLProviderArn")
def update_saml_provider(ctx: Context, saml_provider_arn: str, saml_metadata_document: str | None = None) -> Reply:
    found = saml_provider(ctx, saml_provider_arn)
    if saml_metadata_document is not None:
        until = _valid_until(saml_metadata_document)
        save(ctx, msgspec.structs.replace(found, document=saml_metadata_document, valid_until=until))
    return {"SAMLProviderArn": saml_provider_arn}


@writes("iam", "DeleteSAMLProvider", authorize=on_saml("DeleteSAMLProvider"), acts="SAMLProviderArn")
def delete_saml_provider(ctx: Context, saml_provider_arn: str) -> Reply:
    drop(ctx, saml_provider(ctx, saml_provider_arn))
    return {}
