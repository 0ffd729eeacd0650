"""AWS's words for a request whose signature is missing, malformed, old or wrong; they differ by family of services.

Invariant: every refusal of the signature code is made here, so that one table shows what each family answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from windtunnel.kernel.errors import AwsError

Family = Literal["s3", "json", "rest-json", "query", "ec2"]
Reason = Literal["missing", "incomplete", "unknown-key", "bad-token", "expired-token", "mismatch", "unsigned-header", "not-supported"]

_CODES: dict[str, Mapping[Reason, tuple[str, int]]] = {
    "json": {
        "missing": ("MissingAuthenticationTokenException", 400),
        "incomplete": ("IncompleteSignatureException", 400),
        "unknown-key": ("UnrecognizedClientException", 400),
        "bad-token": ("UnrecognizedClientException", 400),
        "expired-token": ("ExpiredTokenException", 400),
        "mismatch": ("InvalidSignatureException", 400),
        "unsigned-header": ("InvalidSignatureException", 400),
        "not-supported": ("IncompleteSignatureException", 400),
    },
    "query": {
        "missing": ("MissingAuthenticationToken", 403),
        "incomplete": ("IncompleteSignature", 400),
        "unknown-key": ("InvalidClientTokenId", 403),
        "bad-token": ("InvalidClientTokenId", 403),
        "expired-token": ("ExpiredToken", 403),
        "mismatch": ("SignatureDoesNotMatch", 403),
        "unsigned-header": ("SignatureDoesNotMatch", 403),
        "not-supported": ("IncompleteSignature", 400),
    },
    "ec2": {
        "missing": ("MissingAuthenticationToken", 400),
        "incomplete": ("IncompleteSignature", 400),
        "unknown-key": ("AuthFailure", 401),
        "bad-token": ("AuthFailure", 401),
        "expired-token": ("RequestExpired", 400),
        "mismatch": ("AuthFailure", 401),
        "unsigned-header": ("AuthFailure", 401),
        "not-supported": ("AuthFailure", 401),
    },
    "s3": {
        "missing": ("AccessDenied", 403),
        "incomplete": ("AuthorizationHeaderMalformed", 400),
        "unknown-key": ("InvalidAccessKeyId", 403),
        "bad-token": ("InvalidToken", 400),
        "expired-token": ("ExpiredToken", 400),
        "mismatch": ("SignatureDoesNotMatch", 403),
        "unsigned-header": ("AccessDenied", 403),
        "not-supported": ("InvalidRequest", 400),
    },
}
_CODES["rest-json"] = {reason: (code, 400 if reason == "incomplete" else 403) for reason, (code, _) in _CODES["json"].items()}
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. "
    "Consult the service documentation for details."
)
_EC2_CREDENTIALS = "AWS was not able to validate the provided access credentials"
_WORDS: dict[str, Mapping[Reason, str]] = {
    "json": {
        "missing": "Missing Authentication Token",
        "unknown-key": "The security token included in the request is invalid.",
        "bad-token": "The security token included in the request is invalid.",
        "expired-token": "The security token included in the request is expired",
        "mismatch": _MISMATCH,
    },
    "query": {
        "missing": "Request is missing Authentication Token",
        "unknown-key": "The security token included in the request is invalid.",
        "bad-token": "The security token included in the request is invalid.",
        "expired-token": "The security token included in the request is expired",
        "mismatch": _MISMATCH,
    },
    "ec2": {
        "missing": "Request is missing Authentication Token",
        "unknown-key": _EC2_CREDENTIALS,
        "bad-token": _EC2_CREDENTIALS,
        "expired-token": "Request has expired.",
        "mismatch": _EC2_CREDENTIALS,
    },
    "s3": {
        "missing": "Access Denied",
        "unknown-key": "The AWS Access Key Id you provided does not exist in our records.",
        "bad-token": "The provided token is malformed or otherwise invalid.",
        "expired-token": "The provided token has expired.",
        "mismatch": ("The request signature we calculated does not match the signature you provided. Check your key and signing method."),
        "unsigned-header": "There were headers present in the request which were not signed",
        "not-supported": "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    },
}
_WORDS["rest-json"] = _WORDS["json"]


def refused(family: Family, reason: Reason, message: str = "", extra: Mapping[str, Any] | None = None) -> AwsError:
    """The family's error for a reason; message: instead of its usual words."""
    code, status = _CODES[family][reason]
    return AwsError(code, message or _WORDS[family].get(reason, ""), status=status, extra=extra)


def skewed(family: Family, stamp: str, at: float, now: float, window: float) -> AwsError:
    """The request's date is too far from ours. stamp: as sent; at, now: epoch seconds; window: seconds allowed."""
    if family == "s3":
        extra = {"RequestTime": stamp, "ServerTime": iso(now), "MaxAllowedSkewMilliseconds": int(window * 1000)}
        return AwsError(
            "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", status=403, extra=extra
        )
    if family == "ec2":
        return AwsError("RequestExpired", "Request has expired.", status=400)
    minutes = int(window // 60)
    if at < now:
        words = f"Signature expired: {stamp} is now earlier than {basic(now - window)} ({basic(now)} - {minutes} min.)"
    else:
        words = f"Signature not yet current: {stamp} is still later than {basic(now + window)} ({basic(now)} + {minutes} min.)"
    return refused(family, "mismatch", words)


def basic(seconds: float) -> str:
    """`20150830T123600Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y%m%dT%H%M%SZ")


def iso(seconds: float) -> str:
    """`2015-08-30T12:36:00Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
