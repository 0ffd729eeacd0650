"""Reads the bodies of signed uploads as they arrive: aws-chunked with signed or unsigned chunks and trailers, and plain ones.

Invariant: memory does not grow with the body or with any chunk. Data is handed on before its chunk's signature is proven, so whoever takes
it must keep nothing until `finish` has returned.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

from windtunnel.kernel.errors import AwsError
from windtunnel.wire.autherrors import refused
from windtunnel.wire.canonical import EMPTY_SHA256
from windtunnel.wire.checksums import Checksums
from windtunnel.wire.sigv4 import Verified

_MAX_LINE = 4096
_MAX_TRAILERS = 16384
_HEADER = re.compile(rb"([0-9a-fA-F]{1,16})\s*((?:;[^;\r\n]*)*)\Z")
_SIGNATURE = re.compile(rb";chunk-signature=([0-9a-f]{64})\s*\Z")
_TRAILER = re.compile(rb"([A-Za-z0-9-]+)\s*:\s*(.*?)\s*\Z")
State = Literal["header", "data", "data-end", "trailers", "done"]


def body_reader(verified: Verified | None, headers: Mapping[str, str]) -> ChunkedDecoder | PlainBody:
    """The reader for a request's body. headers: lower-case names. verified: None for an anonymous request."""
    if verified is not None and verified.payload.startswith("chunks"):
        return ChunkedDecoder(verified, headers)
    return PlainBody(headers)


class PlainBody:
    """A body as it is, its checksums verified."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._checks = Checksums(headers)
        self.checksums: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> bytes:
        self._checks.update(data)
        return data

    def finish(self) -> bytes:
        self.checksums = self._checks.verify()
        return b""


class ChunkedDecoder:
    """An aws-chunked body. `feed` gives the data in what came; `finish` at its end checks that it was whole.

    checksums: after `finish`, the verified (algorithm, base64) pairs of headers and trailer.
    """

    def __init__(self, verified: Verified, headers: Mapping[str, str]) -> None:
        self._signed = verified.payload != "chunks-unsigned-trailer"
        self._trailing = verified.payload != "chunks"
        self._key = verified.key
        self._frame = f"{verified.stamp}\n{verified.scope}\n"
        self._previous = verified.signature
        self._expected = ""
        self._digest: Any = sha256()
        self._buffer = bytearray()
        self._state: State = "header"
        self._remaining = 0
        self._size = 0
        self._length = _decoded_length(headers)
        self._names = tuple(name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",") if name.strip())
        self._trailers: list[tuple[str, str]] = []
        self._checks = Checksums(headers, self._names)
        self.checksums: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> bytes:
        """The decoded bytes that are complete with this piece. Raises AwsError."""
        self._buffer += data
        out: list[bytes] = []
        while self._step(out):
            pass
        return b"".join(out)

    def finish(self) -> bytes:
        """The body has ended. Raises AwsError when it was cut off, or when a length, checksum or trailer is wrong."""
        if self._state != "done" or self._size != self._length:
            raise AwsError("IncompleteBody", "The request body terminated unexpectedly", status=400)
        for name, value in self._trailers:
            if name.startswith("x-amz-checksum-"):
                self._checks.claim(name, value)
        self.checksums = self._checks.verify()
        return b""

    def _step(self, out: list[bytes]) -> bool:
        """One move; False when more must come first."""
        if self._state == "data":
            return self._take_data(out)
        if self._state == "done":
            if self._buffer:
                raise _invalid("There are bytes after the last chunk.")
            return False
        line = self._line()
        if line is None:
            return False
        if self._state == "header":
            self._open(line)
        elif self._state == "data-end":
            if line:
                raise _invalid("A chunk is longer than it says.")
            self._state = "header"
        else:
            self._trailer(line)
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, _MAX_LINE + 2)
        if end < 0:
            if len(self._buffer) > _MAX_LINE:
                raise _invalid("A chunk's header is too long.")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _open(self, line: bytes) -> None:
        match = _HEADER.match(line)
        if match is None:
            raise _invalid("A chunk's header is malformed.")
        self._remaining = int(match[1], 16)
        if self._signed:
            signature = _SIGNATURE.match(match[2])
            if signature is None:
                raise _invalid("A chunk has no signature.")
            self._expected = signature[1].decode("ascii")
        if self._size + self._remaining > self._length:
            raise AwsError(
                "IncompleteBody", "You did not provide the number of bytes specified by the x-amz-decoded-content-length header", status=400
            )
        if self._remaining:
            self._state = "data"
        else:
            self._close()
            self._state = "trailers"

    def _take_data(self, out: list[bytes]) -> bool:
        if not self._buffer:
            return False
        piece = bytes(self._buffer[: self._remaining])
        del self._buffer[: len(piece)]
        self._remaining -= len(piece)
        self._size += len(piece)
        if self._signed:
            self._digest.update(piece)
        self._checks.update(piece)
        out.append(piece)
        if self._remaining == 0:
            self._close()
            self._state = "data-end"
        return True

    def _close(self) -> None:
        """A chunk is whole: its signature must continue the chain."""
        if not self._signed:
            return
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{self._frame}{self._previous}\n{EMPTY_SHA256}\n{self._digest.hexdigest()}"
        self._prove(text, self._expected)
        self._digest = sha256()

    def _prove(self, text: str, given: str) -> None:
        actual = hmac.digest(self._key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(actual, given):
            raise refused("s3", "mismatch")
        self._previous = actual

    def _trailer(self, line: bytes) -> None:
        if not line:
            self._end_trailers()
            return
        match = _TRAILER.match(line)
        if match is None or not self._trailing or sum(len(n) + len(v) for n, v in self._trailers) > _MAX_TRAILERS:
            raise _malformed_trailer()
        name = match[1].decode("ascii").lower()
        self._trailers.append((name, match[2].decode("latin-1")))

    def _end_trailers(self) -> None:
        signatures = [value for name, value in self._trailers if name == "x-amz-trailer-signature"]
        self._trailers = [(name, value) for name, value in self._trailers if name != "x-amz-trailer-signature"]
        if sorted(name for name, _ in self._trailers) != sorted(self._names if self._trailing else ()):
            raise _malformed_trailer()
        if self._signed and self._trailing:
            if len(signatures) != 1:
                raise _malformed_trailer()
            block = "".join(f"{name}:{value}\n" for name, value in self._trailers)
            digest = sha256(block.encode("latin-1")).hexdigest()
            self._prove(f"AWS4-HMAC-SHA256-TRAILER\n{self._frame}{self._previous}\n{digest}", signatures[0])
        self._state = "done"


def _decoded_length(headers: Mapping[str, str]) -> int:
    text = headers.get("x-amz-decoded-content-length", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise AwsError("MissingContentLength", "You must provide the Content-Length HTTP header.", status=411)
    return int(text)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequest", message, status=400)


def _malformed_trailer() -> AwsError:
    message = "The request contained trailing data that was not well-formed or did not conform to our published schema."
    return AwsError("MalformedTrailerError", message, status=400)
