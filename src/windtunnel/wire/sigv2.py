"""S3's older presigned URLs (signature version 2): what boto3 and `aws s3 presign` still make unless they are told otherwise.

Only the query form is accepted; the header form is refused as S3 refuses it in newer regions. Invariant: every query parameter that
decides what a request does is part of the signature, or the request is refused: version 2 signs a fixed list of them, and the holder of a URL
must not be able to turn it into another operation.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from urllib.parse import unquote

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential
from windtunnel.wire.autherrors import iso, refused

_SIGNED_NAMES = (
    "accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location logging metrics notification object-lock partNumber "
    "policy replication requestPayment response-cache-control response-content-disposition response-content-encoding "
    "response-content-language response-content-type response-expires restore select select-type storageClass tagging torrent uploadId "
    "uploads versionId versioning versions website"
)
"""The parameters of the canonical resource; client and server must have the same list."""
_HARMLESS_NAMES = (
    "AWSAccessKeyId Expires Signature continuation-token content-md5 content-type delimiter encoding-type fetch-owner key-marker list-type "
    "marker max-keys max-parts max-uploads part-number-marker prefix start-after upload-id-marker version-id-marker x-id"
)
"""Unsigned ones that narrow what the signed operation answers."""
_SIGNED, _HARMLESS = frozenset(_SIGNED_NAMES.split()), frozenset(_HARMLESS_NAMES.split())


def is_presigned(raw_query: str) -> bool:
    return "AWSAccessKeyId=" in raw_query


def access_key(raw_query: str) -> str:
    """The key id that claims to have signed. Raises AwsError when the request is not complete."""
    values = dict(_pairs(raw_query))
    if not all(values.get(name) for name in ("AWSAccessKeyId", "Signature", "Expires")):
        raise AwsError(
            "AccessDenied", "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters", status=403
        )
    return values["AWSAccessKeyId"]


def prove(
    method: str, path: str, raw_query: str, headers: dict[bytes, bytes], lookup: Callable[[str], Credential | None], now: float
) -> tuple[Credential, str]:
    """(the credential behind a presigned URL, its session token). path: as sent, with the bucket in front. Raises AwsError."""
    pairs = _pairs(raw_query)
    values = dict(pairs)
    credential = lookup(access_key(raw_query))
    if credential is None:
        raise refused("s3", "unknown-key", extra={"AWSAccessKeyId": values["AWSAccessKeyId"]})
    _check_expiry(values["Expires"], now)
    for name, _ in pairs:
        if name not in _SIGNED and name not in _HARMLESS and not name.lower().startswith("x-amz-"):
            raise AwsError("AccessDenied", f"The parameter {name[:128]} is not covered by a signature of version 2.", status=403)
    text = _string_to_sign(method, path, pairs, values, headers)
    proof = base64.b64encode(hmac.digest(credential.secret.encode(), text.encode(), "sha1"))
    if not hmac.compare_digest(proof, values["Signature"].encode()):
        extra = {"AWSAccessKeyId": values["AWSAccessKeyId"], "StringToSign": text, "SignatureProvided": values["Signature"]}
        raise refused("s3", "mismatch", extra=extra)
    return credential, values.get("x-amz-security-token", "")


def _pairs(raw_query: str) -> list[tuple[str, str]]:
    out = []
    for piece in raw_query.split("&"):
        name, _, value = piece.partition("=")
        if name:
            out.append((unquote(name), unquote(value)))
    return out


def _check_expiry(expires: str, now: float) -> None:
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise AwsError("AccessDenied", f"Invalid date (should be seconds since epoch): {expires[:64]}", status=403)
    if now > int(expires):
        at = iso(int(expires)) if int(expires) < 253402300800 else expires
        raise AwsError("AccessDenied", "Request has expired", status=403, extra={"Expires": at, "ServerTime": iso(now)})


def _string_to_sign(method: str, path: str, pairs: list[tuple[str, str]], values: dict[str, str], headers: dict[bytes, bytes]) -> str:
    def standard(name: str) -> str:
        sent = headers.get(name.encode())
        return sent.decode("utf-8", "replace").strip() if sent is not None else values.get(name, "")

    custom = {name.lower(): value for name, value in pairs if name.lower().startswith("x-amz-")}
    custom |= {name.decode(): value.decode("utf-8", "replace").strip() for name, value in headers.items() if name.startswith(b"x-amz-")}
    lines = [method, standard("content-md5"), standard("content-type"), values["Expires"]]
    lines += [f"{name}:{custom[name]}" for name in sorted(custom)]
    named = sorted((name, value) for name, value in pairs if name in _SIGNED)
    resource = path + ("?" + "&".join(f"{name}={value}" if value else name for name, value in named) if named else "")
    return "\n".join([*lines, resource])
