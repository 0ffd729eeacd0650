"""Identity providers outside the cloud: OpenID Connect issuers and SAML metadata documents. Records, and what sts asks of them.

Invariant: an issuer is known by its URL without the scheme, in the case that was given, as its ARN and condition keys have it.
"""

from __future__ import annotations

from typing import ClassVar

from windtunnel.kernel.cloud import Issuer
from windtunnel.kernel.context import Context
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope


class OIDCProvider(Record, kw_only=True):
    """url: host and path, without its scheme; the scheme is http only where the issuer is on this machine."""

    KIND: ClassVar[str] = "iam.oidc-provider"
    SCOPE: ClassVar[RecordScope] = "account"

    url: str
    scheme: str = "https"
    clients: list[str]
    thumbprints: list[str]
    created: float
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.url


class SAMLProvider(Record, kw_only=True):
    """document: the provider's metadata as XML. valid_until: epoch seconds, 0 where the metadata says nothing."""

    KIND: ClassVar[str] = "iam.saml-provider"
    SCOPE: ClassVar[RecordScope] = "account"

    name: str
    document: str
    created: float
    id: str = ""
    valid_until: float = 0.0
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name


def oidc_arn(scope: Scope, url: str) -> str:
    return scope.global_arn("iam", f"oidc-provider/{url}")


def saml_arn(scope: Scope, name: str) -> str:
    return scope.global_arn("iam", f"saml-provider/{name}")


def issuer(ctx: Context, url: str) -> Issuer | None:
    """The account's provider for an issuer's URL; None when there is none."""
    found = ctx.tx.get(OIDCProvider, url.split("://", 1)[-1].rstrip("/"))
    if found is None:
        return None
    return Issuer(oidc_arn(ctx.scope, found.url), found.scheme, found.url, tuple(found.clients), tuple(found.thumbprints))


def saml_metadata(ctx: Context, arn: str) -> str | None:
    """The metadata of the account's SAML provider of that ARN; None when there is none."""
    found = ctx.tx.get(SAMLProvider, arn.partition(":saml-provider/")[2])
    return found.document if found is not None and saml_arn(ctx.scope, found.name) == arn else None
