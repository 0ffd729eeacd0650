"""JSON Web Tokens of OpenID Connect issuers: parsed, and proven by the keys that the issuer publishes.

Invariants: only asymmetric algorithms are taken, and only the one that the key is for; the issuer's documents are fetched from
this machine's own addresses only, bounded in time and size, without redirects. RFC 7519, 7517; OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from windtunnel.kernel.cloud import Issuer
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import from_json

if TYPE_CHECKING:
    import http.client

SECONDS = 5
MAX_DOCUMENT = 256 * 1024
SKEW = 300
KEPT_SECONDS = 300
MAX_TOKEN = 20_000
_TAGS = "https://aws.amazon.com/tags"
_SOURCE = "https://aws.amazon.com/source_identity"
_RSA = {"RS256": "SHA256", "RS384": "SHA384", "RS512": "SHA512"}
_EC = {"ES256": ("SHA256", "P-256", 32), "ES384": ("SHA384", "P-384", 48), "ES512": ("SHA512", "P-521", 66)}
_fetched: dict[str, tuple[float, list[dict[str, Any]]]] = {}


class Token(NamedTuple):
    """A token as it was sent, nothing of it proven."""

    header: dict[str, Any]
    payload: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        return str(self.payload.get("iss", ""))


class Claims(NamedTuple):
    """What a proven token says. host: the issuer without its scheme, as condition keys have it."""

    provider: str
    host: str
    subject: str
    audience: str
    more: dict[str, Any]
    tags: tuple[tuple[str, str], ...]
    transitive: tuple[str, ...]
    source_identity: str

    def keys(self) -> dict[str, Any]:
        """The provider's condition keys: `HOST:sub`, `HOST:aud`, …"""
        return {
            f"{self.host}:sub": self.subject,
            f"{self.host}:aud": self.audience,
            **{f"{self.host}:{k}": v for k, v in self.more.items()},
        }


def invalid(words: str) -> AwsError:
    return AwsError("InvalidIdentityToken", words)


def parse(text: str) -> Token:
    """Raises AwsError InvalidIdentityToken for what is no signed token."""
    parts = text.split(".")
    if len(parts) != 3 or len(text) > MAX_TOKEN:
        raise invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
    try:
        header, payload, signature = (_unpadded(part) for part in parts)
        token = Token(
            from_json(header, dict[str, Any]),
            from_json(payload, dict[str, Any]),
            ".".join(parts[:2]).encode(),
            signature,
        )
    except (NotBase64, ValueError, msgspec.DecodeError, RecursionError):
        raise invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)") from None
    if not isinstance(token.payload.get("iss"), str) or not isinstance(token.payload.get("sub"), str):
        raise invalid("Missing a required claim: iss or sub")
    return token


def _unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))


def prove(token: Token, provider: Issuer, now: float, data: Path) -> Claims:
    """The claims of a token that this provider signed, for one of its clients, for now. Raises AwsError."""
    if token.issuer.rstrip("/") != f"{provider.scheme}://{provider.url}":
        raise invalid(f"No OpenIDConnect provider found in your account for {token.issuer}")
    audience = _audience(token.payload, provider)
    _check_times(token.payload, now)
    keys = _keys(provider, data, refresh=False)
    if not _signed_by_any(token, keys) and not _signed_by_any(token, _keys(provider, data, refresh=True)):
        raise invalid("Token signature is invalid")  # asked twice, for keys are replaced
    payload = token.payload
    tags, transitive = _tags(payload.get(_TAGS))
    more = {name: payload[name] for name in ("email", "azp") if isinstance(payload.get(name), str)}
    if isinstance(payload.get("amr"), list):
        more["amr"] = [str(value) for value in payload["amr"]]
    source = payload.get(_SOURCE, "")
    return Claims(provider.arn, provider.url, payload["sub"], audience, more, tags, transitive, source if isinstance(source, str) else "")


def _audience(payload: dict[str, Any], provider: Issuer) -> str:
    """`azp` stands for the audience where a token has both (as on AWS)."""
    named = payload.get("azp") or payload.get("aud")
    for name in named if isinstance(named, list) else [named]:
        if isinstance(name, str) and name in provider.clients:
            return name
    raise invalid("Incorrect token audience")


def _check_times(payload: dict[str, Any], now: float) -> None:
    expires, issued, begins = payload.get("exp"), payload.get("iat"), payload.get("nbf", 0)
    if not isinstance(expires, int | float) or not isinstance(issued, int | float) or not isinstance(begins, int | float):
        raise invalid("Missing a required claim: exp or iat")
    if now > expires:
        raise AwsError(
            "ExpiredTokenException", f"Token expired: current date/time {int(now)} must be before the expiration date/time{int(expires)}"
        )
    if issued > now + SKEW or begins > now + SKEW:
        raise invalid("The token is not valid yet")


def _tags(claim: Any) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    if not isinstance(claim, dict):
        return (), ()
    principal = claim.get("principal_tags", {})
    pairs: list[tuple[str, str]] = []
    for key, values in principal.items() if isinstance(principal, dict) else ():
        value = values[0] if isinstance(values, list) and len(values) == 1 else values
        if not isinstance(value, str) or not 0 < len(key) <= 128 or len(value) > 256:
            raise invalid("The tags of the token are not valid")
        pairs.append((key, value))
    if len(pairs) > 50 or len({key.lower() for key, _ in pairs}) < len(pairs):
        raise invalid("The tags of the token are not valid")
    keys = claim.get("transitive_tag_keys", [])
    named = tuple(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else ()
    return tuple(pairs), tuple(key for key in named if key in dict(pairs))


# --- signatures --------------------------------------------------------------------------------------------------------------


def _signed_by_any(token: Token, keys: list[dict[str, Any]]) -> bool:
    name = token.header.get("kid")
    fitting = [key for key in keys if name is None or key.get("kid") in (None, name)]
    return any(_signed_by(token, key) for key in fitting)


def _signed_by(token: Token, key: dict[str, Any]) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    algorithm = token.header.get("alg")
    if key.get("alg") not in (None, algorithm) or key.get("use") not in (None, "sig"):
        return False
    try:
        if algorithm in _RSA and key.get("kty") == "RSA":
            numbers = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"]))
            numbers.public_key().verify(token.signature, token.signed, padding.PKCS1v15(), getattr(hashes, _RSA[algorithm])())
            return True
        if algorithm in _EC and key.get("kty") == "EC":
            digest, curve, size = _EC[algorithm]
            if key.get("crv") != curve or len(token.signature) != 2 * size:
                return False
            group = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[curve]
            public = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), group).public_key()
            halves = (int.from_bytes(token.signature[:size], "big"), int.from_bytes(token.signature[size:], "big"))
            public.verify(encode_dss_signature(*halves), token.signed, ec.ECDSA(getattr(hashes, digest)()))
            return True
    except (InvalidSignature, KeyError, ValueError, TypeError, AttributeError, NotBase64):
        return False
    return False


def _number(text: str) -> int:
    return int.from_bytes(_unpadded(text), "big")


# --- the issuer's documents ---------------------------------------------------------------------------------------------------


def _keys(provider: Issuer, data: Path, refresh: bool) -> list[dict[str, Any]]:
    issuer = f"{provider.scheme}://{provider.url}"
    known = _fetched.get(issuer)
    if known is not None and not refresh and time.monotonic() - known[0] < KEPT_SECONDS:
        return known[1]
    found = _document(f"{issuer}/.well-known/openid-configuration", provider, data)
    where = found.get("jwks_uri")
    if not isinstance(where, str):
        raise _unreachable()
    keys = _document(where, provider, data).get("keys")
    listed = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    if len(_fetched) >= 64:
        _fetched.clear()
    _fetched[issuer] = (time.monotonic(), listed)
    return listed


def _unreachable() -> AwsError:
    words = (
        "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for"
        " requirements"
    )
    return invalid(words)


def is_loopback(host: str | None) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _document(url: str, provider: Issuer, data: Path) -> dict[str, Any]:
    import http.client

    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not is_loopback(parts.hostname):
            raise _unreachable()
        connection = _connect(parts.scheme, str(parts.hostname), parts.port, provider, data)
        try:
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            answer = connection.getresponse()
            body = answer.read(MAX_DOCUMENT + 1)
        finally:
            connection.close()
        if answer.status != 200 or len(body) > MAX_DOCUMENT:
            raise _unreachable()
        return from_json(body, dict[str, Any])
    except (OSError, http.client.HTTPException, ValueError, msgspec.DecodeError, RecursionError):
        raise _unreachable() from None


def _connect(scheme: str, host: str, port: int | None, provider: Issuer, data: Path) -> http.client.HTTPConnection:
    import hashlib
    import http.client
    import ssl

    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=SECONDS)
    trusted = ssl.create_default_context()
    ours = data / "tls" / "ca.pem"
    if ours.exists():
        trusted.load_verify_locations(ours)
    connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=trusted)
    try:
        connection.connect()
        return connection
    except ssl.SSLCertVerificationError:
        connection.close()
    # As on AWS, the registered thumbprint is enough for a certificate that no authority vouches for.
    unproven = ssl.create_default_context()
    unproven.check_hostname = False
    unproven.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=unproven)
    connection.connect()
    certificate = connection.sock.getpeercert(binary_form=True) or b""
    if hashlib.sha1(certificate, usedforsecurity=False).hexdigest() not in provider.thumbprints:
        connection.close()
        raise invalid("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
    return connection
