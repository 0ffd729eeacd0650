"""The one error that handlers raise: an AWS error code with its message.

Invariant: whatever reaches a client as a failure is an `AwsError`; its HTTP status comes from the service's model unless
the raiser says otherwise (`status`), so that code and status cannot disagree with botocore.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AwsError(Exception):
    """An AWS API error.

    code: the error's name as clients match it (`RepositoryDoesNotExistException`).
    message: the text in AWS's manner.
    status: the HTTP status; None means "as the model says, else 400".
    extra: further members of the error shape (for example `{"BucketName": ...}`).
    headers: what S3 tells beside the body, which a HEAD does not have (`x-amz-delete-marker`).
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        status: int | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.extra: Mapping[str, Any] = extra or {}
        self.headers: Mapping[str, str] = headers or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class StoreUnavailable(AwsError):
    """The disk, or the file on it, failed; the caller did nothing wrong, nothing of the call happened, and it may be sent again.

    Clients and SDKs retry a 503 by themselves; jobs are driven again later instead of failing.
    """

    def __init__(self, message: str) -> None:
        super().__init__("ServiceUnavailable", message, status=503)


def not_built(service: str, operation: str, member: str | None = None) -> AwsError:
    """The refusal that names itself: 501, nothing changed (promise 2: never fake a success)."""
    what = f"{service}:{operation}" + (f" with {member}" if member else "")
    return AwsError("NotImplemented", f"Windtunnel does not run {what} yet; nothing was changed.", status=501)
