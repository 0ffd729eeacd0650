"""A browser's upload form: multipart/form-data as it streams, and the policy that its signature covers.

Source: API reference, "POST Object" and "POST policy"; RFC 7578. Pure but for what is fed in.
Invariant: memory does not grow with the file; every field that S3 looks at is either part of the signature or named by the policy.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any, Literal

import msgspec

from windtunnel.kernel.errors import AwsError

MAX_FIELDS = 20 * 1024
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"]*)"')
_FILENAME = re.compile(rb'[;\s]filename="([^"]*)"')
FREE = frozenset(("x-amz-signature", "awsaccesskeyid", "signature", "policy", "file"))
"""Fields that no condition needs to name (beside x-ignore-…)."""


class FormReader:
    """Fed piece by piece; `fields` (lower-case names) are whole when `in_file`; what `feed` returns is the file's."""

    def __init__(self, content_type: str) -> None:
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise AwsError("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
        self._end = b"\r\n--" + (found[1] or found[2]).encode("latin-1")
        self._buffer = bytearray(b"\r\n")
        self._state: Literal["between", "headers", "field", "file", "done"] = "between"
        self._name = ""
        self._size = 0
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.file_type = ""

    @property
    def in_file(self) -> bool:
        return self._state in ("file", "done")

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        if not self.in_file:
            self._size += len(data)
        out = b""
        while (piece := self._step()) is not None:
            out += piece
        if not self.in_file and self._size > MAX_FIELDS + len(data):
            raise AwsError("MaxPostPreDataLengthExceededError", "Your POST request fields preceding the upload file were too large.")
        return out

    def finish(self) -> None:
        if self._state != "done":
            raise AwsError("IncompleteBody", "The body of your POST request is not well-formed multipart/form-data.")

    def _step(self) -> bytes | None:
        """One move: the file's bytes that it frees; None when more must come first."""
        if self._state == "done":
            self._buffer.clear()
            return None
        if self._state == "headers":
            return self._headers()
        at = self._buffer.find(self._end)
        if at < 0:
            if self._state != "file":
                return None
            free = max(0, len(self._buffer) - len(self._end))
            return self._take(free) if free else None
        data = self._take(at)
        after = bytes(self._buffer[len(self._end) : len(self._end) + 2])
        if len(after) < 2:
            self._buffer[:0] = data
            return None
        del self._buffer[: len(self._end) + 2]
        state, self._state = self._state, "headers"
        if state == "field":
            self._keep(data)
        if state == "file":
            # What comes after the file is not looked at (API reference, "POST Object": file must be the last field).
            self._state = "done"
            return data
        if after == b"--":
            raise AwsError(
                "InvalidArgument",
                "POST requires exactly one file upload per request.",
                extra={"ArgumentName": "file", "ArgumentValue": "0"},
            )
        return b""

    def _keep(self, data: bytes) -> None:
        if self._name in self.fields:
            raise AwsError("InvalidArgument", f"POST form has the field {self._name[:64]} twice.")
        self.fields[self._name] = data.decode("utf-8", "replace")

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _headers(self) -> bytes | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = b";" + self._take(end)
        del self._buffer[:4]
        name = _NAME.search(head)
        self._name = name[1].decode("utf-8", "replace").lower() if name else ""
        filename = _FILENAME.search(head)
        if self._name == "file":
            self.filename = filename[1].decode("utf-8", "replace").rpartition("/")[2].rpartition("\\")[2] if filename else ""
            self._state = "file"
        else:
            self._state = "field"
        return b""


class Policy(msgspec.Struct, frozen=True):
    """What a form's signer allows. Lengths in bytes, None without a condition."""

    shortest: int | None
    longest: int | None


def checked_policy(encoded: str, fields: dict[str, str], bucket: str, now: float) -> Policy:
    """The policy of a signed form, after all of its conditions but the length have held. Raises AccessDenied in S3's words."""
    try:
        document: dict[str, Any] = msgspec.json.decode(base64.b64decode(encoded, validate=True))
        expires = datetime.fromisoformat(str(document["expiration"]).replace("Z", "+00:00")).timestamp()
        conditions = document["conditions"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise _bad_policy("Invalid JSON.") from None
    if not isinstance(conditions, list):
        raise _bad_policy("Invalid conditions.")
    if expires <= now:
        raise _denied("Policy expired.")
    given = {**fields, "bucket": bucket}
    named, shortest, longest = set(FREE), None, None
    for condition in conditions:
        operator, name, value = _condition(condition)
        if operator == "content-length-range":
            shortest, longest = int(name), int(value)
            continue
        named.add(name)
        if not _holds(operator, given.get(name, ""), value):
            raise _denied(f"Policy Condition failed: {msgspec.json.encode([operator, f'${name}', value]).decode()}")
    extra = sorted(name for name in fields if name not in named and not name.startswith("x-ignore-"))
    if extra:
        raise _denied(f"Extra input fields: {', '.join(extra)}")
    return Policy(shortest, longest)


def _condition(condition: Any) -> tuple[str, str, str]:
    if isinstance(condition, dict) and len(condition) == 1:
        ((name, value),) = condition.items()
        return "eq", str(name).lower(), str(value)
    if isinstance(condition, list) and len(condition) == 3:
        operator, name, value = (str(part) for part in condition)
        operator = operator.lower()
        if operator in ("eq", "starts-with") and name.startswith("$"):
            return operator, name[1:].lower(), value
        if operator == "content-length-range" and name.isdecimal() and value.isdecimal() and len(name) < 16 and len(value) < 16:
            return operator, name, value
    raise _bad_policy("Invalid Condition.")


def _holds(operator: str, given: str, value: str) -> bool:
    if operator == "eq":
        return given == value
    return all(part.strip().startswith(value) for part in given.split(",")) if "," in given and value else given.startswith(value)


def _denied(words: str) -> AwsError:
    return AwsError("AccessDenied", f"Invalid according to Policy: {words}", status=403)


def _bad_policy(words: str) -> AwsError:
    return AwsError("InvalidPolicyDocument", f"Invalid Policy: {words}")
