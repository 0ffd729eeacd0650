"""Verifies AWS Signature Version 4: in the Authorization header or in a presigned URL.

S3's presigned URLs of version 2 pass through here too (wire/sigv2.py). Two steps: `read_signature` says who claims to have signed and for which service (routing needs it); `verify` proves it.
Invariants: signatures are compared in constant time and never cached; what is cached (the parsed Authorization text, derived keys)
depends on nothing that can be revoked: the key is looked up anew for every request.
"""

from __future__ import annotations

import base64
import hmac
import re
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any, Literal
from urllib.parse import unquote

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential
from windtunnel.wire import sigv2
from windtunnel.wire.autherrors import Family, basic, iso, refused, skewed
from windtunnel.wire.canonical import (
    ALGORITHM,
    UNSIGNED,
    canonical_path,
    canonical_query,
    canonical_value,
    signing_key,
)
from windtunnel.wire.hosts import bucket_of_host

Headers = list[tuple[bytes, bytes]]
Lookup = Callable[[str], Credential | None]
PayloadMode = Literal["hash", "unsigned", "chunks", "chunks-trailer", "chunks-unsigned-trailer"]

SKEW = 15 * 60.0
MAX_EXPIRES = 7 * 24 * 3600
BY_INSTANCE = b"CFN_V1"
"""The scheme of an instance that shows its identity document; `Signed.version` is 1 then, and `proof` what it shows."""
_MAX_CACHED = 4096
_MAX_CACHED_TEXT = 512  # bytes: what nobody has proven yet must not fill the memory
_MODES: dict[str, PayloadMode] = {
    UNSIGNED: "unsigned",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "chunks",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": "chunks-trailer",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": "chunks-unsigned-trailer",
}
_PART = re.compile(rb"\s*([A-Za-z]+)\s*=\s*([^,]*?)\s*(?:,|\Z)")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_STAMP = re.compile(r"\d{8}T\d{6}Z\Z")


class Signed:
    """What a request says of its signature. scope: `date/region/service/aws4_request`; headers: the signed names, as bytes."""

    __slots__ = (
        "access_key",
        "date",
        "region",
        "service",
        "scope",
        "names",
        "signed",
        "pick",
        "template",
        "presigned",
        "all",
        "amz",
        "host",
        "version",
        "proof",
    )

    def __init__(self, credential: str, signed: str, presigned: bool) -> None:
        key, *parts = credential.split("/") if credential.count("/") <= 4 else _long_key(credential)
        self.access_key = key
        self.date, self.region, self.service, terminator = parts
        if terminator != "aws4_request":
            raise ValueError(terminator)
        self.scope = "/".join(parts)
        self.signed = signed
        self.names = tuple(name.encode("ascii") for name in signed.split(";"))
        self.pick: Callable[[dict[bytes, bytes]], Any] = itemgetter(*self.names)
        escaped = b"".join(name.replace(b"%", b"%%") + b":%b\n" for name in self.names)
        self.template = escaped + b"\n" + signed.encode("ascii").replace(b"%", b"%%") + b"\n"
        self.presigned = presigned
        self.version = 4
        self.proof = b""
        self.all = frozenset(self.names)
        self.amz = b"\n".join(self.names).count(b"x-amz-")
        self.host = b"host" in self.all or b":authority" in self.all


def _long_key(credential: str) -> list[str]:
    """An access key id may itself hold slashes: the scope is the last four parts."""
    parts = credential.split("/")
    return ["/".join(parts[:-4]), *parts[-4:]]


class Verified:
    """A proven signature. region: empty for URLs of version 2. payload_hash: the sha256 that the client claims for its body (hex), when payload is "hash".

    For chunked payloads: key, scope, stamp and signature are what the chunks' signatures continue from (see wire/chunked.py).
    """

    __slots__ = (
        "credential",
        "access_key",
        "region",
        "service",
        "scope",
        "session_token",
        "signed_headers",
        "payload",
        "payload_hash",
        "key",
        "stamp",
        "signature",
    )

    def __init__(
        self, credential: Credential, signed: Signed, payload: PayloadMode, payload_hash: str, key: bytes, stamp: str, signature: str
    ) -> None:
        self.credential = credential
        self.access_key = signed.access_key
        self.region = signed.region
        self.service = signed.service
        self.scope = signed.scope
        self.session_token = credential.token
        self.signed_headers = signed.names
        self.payload = payload
        self.payload_hash = payload_hash
        self.key = key
        self.stamp = stamp
        self.signature = signature


_parsed: dict[bytes, Signed] = {}
_keys: dict[tuple[str, str], bytes] = {}
_stamps: dict[str, float] = {}


def is_signed(headers: dict[bytes, bytes], raw_query: str) -> bool:
    """Whether the request claims to be signed at all (anonymous ones are the resource policies' business)."""
    return (
        b"authorization" in headers or "X-Amz-Algorithm=" in raw_query or "X-Amz-Signature=" in raw_query or sigv2.is_presigned(raw_query)
    )


def read_signature(headers: dict[bytes, bytes], raw_query: str, family: Family = "json") -> Signed | None:
    """Who claims to have signed, for which scope; None when the request is not signed. Raises AwsError when it is malformed."""
    authorization = headers.get(b"authorization")
    if authorization is None:
        if raw_query and is_signed(headers, raw_query):
            return _read_version_2(raw_query) if family == "s3" and sigv2.is_presigned(raw_query) else _read_presigned(raw_query, family)
        return None
    head, mark, rest = authorization.partition(b"Signature=")
    found = _parsed.get(head) if mark else None
    if found is None:
        found = _parse_authorization(authorization, headers, family)
        if mark and b"," not in rest and len(head) <= _MAX_CACHED_TEXT:
            if len(_parsed) >= _MAX_CACHED:
                _parsed.clear()
            _parsed[head] = found
    return found


def _parse_authorization(authorization: bytes, headers: dict[bytes, bytes], family: Family) -> Signed:
    scheme, _, rest = authorization.strip().partition(b" ")
    if scheme == BY_INSTANCE and family == "query":
        return _read_instance(rest)
    if scheme != ALGORITHM.encode():
        if family == "s3":
            raise refused(family, "not-supported")
        raise refused(family, "not-supported", f"Authorization header requires '{ALGORITHM}' as its algorithm.")
    parts: dict[bytes, bytes] = dict(_PART.findall(rest))
    lacking = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name.encode())
    ]
    if b"x-amz-date" not in headers and b"date" not in headers:
        lacking.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if lacking:
        digest = base64.b64encode(sha256(authorization).digest()).decode()
        raise refused(family, "incomplete", " ".join(lacking) + f" (Hashed with SHA-256 and encoded with Base64) Authorization={digest}")
    try:
        return Signed(parts[b"Credential"].decode("ascii"), parts[b"SignedHeaders"].decode("ascii").lower(), False)
    except (ValueError, UnicodeDecodeError):
        shown = parts[b"Credential"].decode("latin-1")
        raise refused(
            family,
            "incomplete",
            f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{shown}'",
        ) from None


def _read_instance(rest: bytes) -> Signed:
    """`CFN_V1 <identity document in base64>:<its signature>`: what CloudFormation's helper scripts send. Who it is, `wire/core.py` asks."""
    signed = Signed("////aws4_request", "host", False)
    signed.service, signed.version, signed.proof = "cloudformation", 1, rest
    return signed


def _read_version_2(raw_query: str) -> Signed:
    """A presigned URL of version 2 names no date, region or service."""
    signed = Signed(f"{sigv2.access_key(raw_query)}////aws4_request", "host", True)
    signed.service, signed.version = "s3", 2
    return signed


_REQUIRED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires")


def _read_presigned(raw_query: str, family: Family) -> Signed:
    values = _query_values(raw_query)
    required = _REQUIRED if family == "s3" else _REQUIRED[:5]
    if any(name not in values for name in required):
        if family == "s3":
            raise _query_error(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
                "X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
        absent = " ".join(f"AWS query-string parameters must include '{name}'." for name in required if name not in values)
        raise refused(family, "incomplete", absent)
    if values["X-Amz-Algorithm"] != ALGORITHM:
        if family == "s3":
            raise _query_error(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
        raise refused(family, "incomplete", f"Unsupported AWS 'algorithm': '{values['X-Amz-Algorithm'][:64]}'.")
    try:
        return Signed(values["X-Amz-Credential"], values["X-Amz-SignedHeaders"].lower(), True)
    except (ValueError, UnicodeEncodeError):
        if family == "s3":
            raise _query_error(
                'Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
            ) from None
        raise refused(family, "incomplete", "Credential must have exactly 5 slash-delimited elements.") from None


def _query_error(message: str) -> AwsError:
    return AwsError("AuthorizationQueryParametersError", message, status=400)


def _query_values(raw_query: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for piece in raw_query.split("&"):
        name, _, value = piece.partition("=")
        if name[:2] in ("X-", "x-"):
            out.setdefault(name, unquote(value))
    return out


def shown_document(proof: bytes) -> tuple[bytes, bytes] | None:
    """(identity document, its signature) of a `proof`; None when it is malformed."""
    document, colon, signature = proof.strip().partition(b":")
    try:
        return (base64.b64decode(document, validate=True), base64.b64decode(signature, validate=True)) if colon else None
    except ValueError:
        return None


def verify(
    signed: Signed,
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Headers,
    body_hash: Callable[[], str],
    lookup: Lookup,
    now: float,
    family: Family = "json",
    expected: str | None = None,
) -> Verified:
    """Proves the signature that `read_signature` found. Raises AwsError in the family's words.

    headers: lower-case names, in order, repeated ones apart. body_hash: the body's sha256 as hex; asked only when the client did not
    claim one (`x-amz-content-sha256`): a claimed hash must be compared with the body by `check_body` once that is there.
    lookup: access key id -> credential. now: epoch seconds. expected: the signing name of the service that was asked.
    """
    if expected is not None and signed.service != expected:
        raise _wrong_service(family, signed, expected)
    values = dict(headers)
    if len(values) != len(headers):
        values = _joined(headers)
    if signed.version == 2:
        return _verify_version_2(signed, method, raw_path, raw_query, values, lookup, now)
    query = _query_values(raw_query) if signed.presigned else None
    stamp, at = _when(signed, values, query, family)
    _check_date(signed, stamp, at, now, query, family)
    _check_signed_names(signed, values, family)
    credential = lookup(signed.access_key)
    if credential is None:
        extra = {"AWSAccessKeyId": signed.access_key} if family == "s3" else None
        raise refused(family, "unknown-key", extra=extra)
    given = _given_signature(values, query)
    mode, payload = _payload(values, signed.presigned, body_hash, family)
    key = _key(credential.secret, signed)
    request = _canonical(signed, method, raw_path, raw_query, values, payload, family)
    text = f"{ALGORITHM}\n{stamp}\n{signed.scope}\n{sha256(request).hexdigest()}"
    proof = hmac.digest(key, text.encode(), "sha256").hex()
    if not hmac.compare_digest(proof.encode(), given):
        raise _mismatch(family, signed, given, text, request)
    _check_token(credential, values, query, now, family)
    return Verified(credential, signed, mode, payload, key, stamp, proof)


def _verify_version_2(
    signed: Signed, method: str, raw_path: str, raw_query: str, values: dict[bytes, bytes], lookup: Lookup, now: float
) -> Verified:
    bucket = bucket_of_host(values.get(b"host", b"").decode("latin-1"))
    credential, token = sigv2.prove(method, f"/{bucket}{raw_path}" if bucket else raw_path, raw_query, values, lookup, now)
    if token or credential.token:
        check_session(credential, token, now, "s3")
    return Verified(credential, signed, "unsigned", UNSIGNED, b"", "", "")


def _wrong_service(family: Family, signed: Signed, expected: str) -> AwsError:
    if family == "s3":
        where = "X-Amz-Credential parameter" if signed.presigned else "authorization header"
        message = f'The {where} is malformed; incorrect service "{signed.service}". This endpoint belongs to "{expected}".'
        return AwsError("AuthorizationQueryParametersError" if signed.presigned else "AuthorizationHeaderMalformed", message, status=400)
    return refused(family, "mismatch", f"Credential should be scoped to correct service: '{expected}'. " if family != "ec2" else "")


def check_body(verified: Verified, digest: str) -> None:
    """The body is the one that was signed. digest: the sha256 of what arrived, as hex. Raises AwsError."""
    if verified.payload == "hash" and not hmac.compare_digest(verified.payload_hash, digest):
        extra = {"ClientComputedContentSHA256": verified.payload_hash, "S3ComputedContentSHA256": digest}
        raise AwsError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            status=400,
            extra=extra,
        )


def _joined(headers: Headers) -> dict[bytes, bytes]:
    out: dict[bytes, bytes] = {}
    for name, value in headers:
        out[name] = out[name] + b"," + value.strip() if name in out else value
    return out


def _when(signed: Signed, values: dict[bytes, bytes], query: dict[str, str] | None, family: Family) -> tuple[str, float]:
    stamp = query["X-Amz-Date"] if query is not None else values.get(b"x-amz-date", b"").decode("latin-1")
    if not stamp:
        stamp = _from_http_date(values.get(b"date", b"").decode("latin-1"))
    at = _stamps.get(stamp)
    if at is None:
        if not _STAMP.match(stamp):
            raise refused(
                family,
                "incomplete",
                f"Date must be in ISO-8601 'basic format'. Got '{stamp[:64]}'. See http://en.wikipedia.org/wiki/ISO_8601",
            )
        try:
            at = float(timegm(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").utctimetuple()))
        except ValueError:
            raise refused(family, "incomplete", f"Date must be in ISO-8601 'basic format'. Got '{stamp[:64]}'.") from None
        if len(_stamps) >= _MAX_CACHED:
            _stamps.clear()
        _stamps[stamp] = at
    return stamp, at


def _from_http_date(text: str) -> str:
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).strftime("%Y%m%dT%H%M%SZ")
    except ValueError:
        return text or "missing"


def _check_date(signed: Signed, stamp: str, at: float, now: float, query: dict[str, str] | None, family: Family) -> None:
    if signed.date != stamp[:8]:
        words = f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{signed.date}' != '{stamp[:8]}', from '{stamp}'."
        raise refused(family, "incomplete" if family == "s3" else "mismatch", words)
    if query is not None and "X-Amz-Expires" in query:
        _check_expiry(query["X-Amz-Expires"], stamp, at, now, family)
    elif abs(now - at) > SKEW:
        raise skewed(family, stamp, at, now, SKEW)


def _check_expiry(expires: str, stamp: str, at: float, now: float, family: Family) -> None:
    if not (expires.lstrip("-").isascii() and expires.lstrip("-").isdigit()) or len(expires) > 12:
        raise _query_error("X-Amz-Expires should be a number")
    seconds = int(expires)
    if seconds < 0:
        raise _query_error("X-Amz-Expires must be non-negative")
    if seconds > MAX_EXPIRES:
        raise _query_error(
            f"X-Amz-Expires must be less than a week (in seconds) that is, the given X-Amz-Expires must be less than {MAX_EXPIRES} seconds"
        )
    if at > now + SKEW:
        raise AwsError("AccessDenied", "Request is not valid yet", status=403) if family == "s3" else skewed(family, stamp, at, now, SKEW)
    if now > at + seconds:
        if family != "s3":
            words = f"Signature expired: {stamp} is now earlier than {basic(now - seconds)} ({basic(now)} - {seconds // 60} min.)"
            raise refused(family, "mismatch", words)
        extra = {"X-Amz-Expires": expires, "Expires": iso(at + seconds), "ServerTime": iso(now)}
        raise AwsError("AccessDenied", "Request has expired", status=403, extra=extra)


def _check_signed_names(signed: Signed, values: dict[bytes, bytes], family: Family) -> None:
    names = signed.names
    if not signed.host:
        raise refused(
            family, "unsigned-header", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization." if family != "s3" else ""
        )
    if b"\n".join(values).count(b"x-amz-") == signed.amz and values.keys() >= signed.all:
        return  # every signed name is there, and no x-amz- name beside them
    for name in values:
        if name.startswith(b"x-amz-") and name not in names and name != b"x-amz-security-token":
            shown = name.decode("latin-1")
            if family == "s3":
                raise refused(family, "unsigned-header", extra={"HeadersNotSigned": shown})
            raise refused(family, "unsigned-header", f"'{shown}' must be a 'SignedHeader' in the AWS Authorization.")


def _given_signature(values: dict[bytes, bytes], query: dict[str, str] | None) -> bytes:
    if query is not None:
        return query["X-Amz-Signature"].encode("utf-8", "replace")
    return values[b"authorization"].partition(b"Signature=")[2].partition(b",")[0].strip()


def _payload(values: dict[bytes, bytes], presigned: bool, body_hash: Callable[[], str], family: Family) -> tuple[PayloadMode, str]:
    text = values.get(b"x-amz-content-sha256", b"").decode("latin-1")
    if not text:
        if family != "s3":
            return "hash", body_hash()
        if presigned:
            return "unsigned", UNSIGNED
        raise AwsError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", status=400)
    mode = _MODES.get(text)
    if mode is not None:
        return mode, text
    if _DIGEST.match(text):
        return "hash", text
    if family != "s3":
        return "hash", body_hash()
    raise AwsError(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        status=400,
        extra={"ArgumentName": "x-amz-content-sha256", "ArgumentValue": text[:128]},
    )


def _key(secret: str, signed: Signed) -> bytes:
    key = _keys.get((secret, signed.scope))
    if key is None:
        if len(_keys) >= _MAX_CACHED:
            _keys.clear()
        key = _keys[secret, signed.scope] = signing_key(secret, signed.date, signed.region, signed.service)
    return key


def _canonical(
    signed: Signed, method: str, raw_path: str, raw_query: str, values: dict[bytes, bytes], payload: str, family: Family
) -> bytes:
    try:
        picked = signed.pick(values)
    except KeyError:
        picked = tuple(values.get(name, b"") for name in signed.names) if len(signed.names) > 1 else values.get(signed.names[0], b"")
    block: bytes = signed.template % picked
    if b" " in block or b"\t" in block:  # one character is found quickly; most requests have none
        each = picked if len(signed.names) > 1 else (picked,)
        block = signed.template % tuple(canonical_value(value) for value in each)
    if raw_path == "/" and not raw_query:
        return b"%b\n/\n\n%b%b" % (method.encode(), block, payload.encode())
    path = canonical_path(raw_path, family == "s3")
    query = canonical_query(raw_query, without="X-Amz-Signature" if signed.presigned else None)
    return f"{method}\n{path}\n{query}\n".encode() + block + payload.encode()


def _mismatch(family: Family, signed: Signed, given: bytes, text: str, request: bytes) -> AwsError:
    if family != "s3":
        return refused(family, "mismatch")
    shown = request.decode("utf-8", "replace")
    extra = {
        "AWSAccessKeyId": signed.access_key,
        "StringToSign": text,
        "SignatureProvided": given.decode("latin-1"),
        "StringToSignBytes": text.encode().hex(" "),
        "CanonicalRequest": shown,
        "CanonicalRequestBytes": request.hex(" "),
    }
    return refused(family, "mismatch", extra=extra)


def _check_token(credential: Credential, values: dict[bytes, bytes], query: dict[str, str] | None, now: float, family: Family) -> None:
    token = (query or {}).get("X-Amz-Security-Token", "") or values.get(b"x-amz-security-token", b"").decode("latin-1")
    if token or credential.token:
        check_session(credential, token, now, family)
    elif credential.expires is not None and now >= credential.expires:
        raise refused(family, "expired-token")


def check_session(credential: Credential, token: str, now: float, family: Family) -> None:
    """The session token is the credential's, and still good. Raises AwsError."""
    if not hmac.compare_digest(token.encode(), credential.token.encode()):
        raise refused(family, "bad-token")
    if credential.expires is not None and now >= credential.expires:
        raise refused(family, "expired-token")
