"""Signs requests as a client does: for the house's own calls over HTTP, presigned URLs that it hands out, and tests.

Invariant: what is signed here `sigv4.verify` accepts; no clock is read, `now` is given.
"""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import quote

from windtunnel.kernel.principal import Credential
from windtunnel.wire.autherrors import basic
from windtunnel.wire.canonical import (
    ALGORITHM,
    UNSIGNED,
    canonical_path,
    canonical_query,
    canonical_request,
    canonical_value,
    signature,
    signing_key,
    string_to_sign,
)
from windtunnel.wire.gitauth import git_signature
from windtunnel.wire.sigv4 import Headers


def sign_request(
    credential: Credential,
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Headers,
    body: bytes,
    *,
    region: str,
    service: str,
    now: float,
    payload_hash: str | None = None,
) -> Headers:
    """The headers with `x-amz-date`, the token and `authorization` added. headers must hold `host`; all of them are signed.

    payload_hash: `UNSIGNED-PAYLOAD` or a streaming mode instead of the body's digest.
    """
    stamp = basic(now)
    digest = payload_hash or sha256(body).hexdigest()
    sent = [(name.lower(), value) for name, value in headers] + [(b"x-amz-date", stamp.encode())]
    if credential.token:
        sent.append((b"x-amz-security-token", credential.token.encode()))
    if service == "s3" or payload_hash:
        sent.append((b"x-amz-content-sha256", digest.encode()))
    ordered = sorted((name, canonical_value(value)) for name, value in sent)
    signed = ";".join(name.decode() for name, _ in ordered)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    request = canonical_request(method, canonical_path(raw_path, service == "s3"), canonical_query(raw_query), ordered, signed, digest)
    proof = signature(signing_key(credential.secret, stamp[:8], region, service), string_to_sign(stamp, scope, request))
    value = f"{ALGORITHM} Credential={credential.access_key}/{scope}, SignedHeaders={signed}, Signature={proof}"
    return [*sent, (b"authorization", value.encode())]


def presign(
    credential: Credential,
    method: str,
    host: str,
    raw_path: str,
    raw_query: str = "",
    *,
    region: str,
    service: str,
    now: float,
    expires: int,
) -> str:
    """The query string of a presigned URL, signature included; only `host` is signed."""
    stamp = basic(now)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    fields = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credential.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": "host",
    }
    if credential.token:
        fields["X-Amz-Security-Token"] = credential.token
    query = "&".join(filter(None, [raw_query, *(f"{name}={quote(value, safe='')}" for name, value in fields.items())]))
    digest = UNSIGNED if service == "s3" else sha256(b"").hexdigest()
    headers = [(b"host", host.encode())]
    request = canonical_request(method, canonical_path(raw_path, service == "s3"), canonical_query(query), headers, "host", digest)
    proof = signature(signing_key(credential.secret, stamp[:8], region, service), string_to_sign(stamp, scope, request))
    return f"{query}&X-Amz-Signature={proof}"


def sign_git(credential: Credential, host: str, path: str, *, region: str, now: float) -> tuple[str, str]:
    """(user, password) for git's Basic authentication, as the CLI's credential helper makes them. path: `/v1/repos/NAME`."""
    stamp = basic(now)[:-1]
    user = credential.access_key + (f"%{credential.token}" if credential.token else "")
    return user, f"{stamp}Z{git_signature(credential.secret, stamp, region, host, path)}"
