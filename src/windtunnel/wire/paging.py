"""Page tokens as clients see them: opaque, the same for the same page, and good for the request that they were given to only.

A handler gives and takes plain tokens (the last key of a page, a position): they are sealed on their way out and opened on their way in, for every
operation whose input and output have such a member. Invariants: a token that this cloud did not make, or made for another operation, account,
region or other parameters, is refused in the service's words before the handler runs; sealing is deterministic, so that an answer does not
change when it is asked for twice, and outlives a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from typing import Any

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import ServiceRules
from windtunnel.kernel.scope import Scope
from windtunnel.wire.models import OperationModel
from windtunnel.wire.naming import xform

_GIVEN = {
    "nexttoken": ("nexttoken",),
    "marker": ("marker", "nextmarker"),
    "continuationtoken": ("nextcontinuationtoken", "continuationtoken"),
}
"""An input member, in small letters -> the output member that feeds it; the first that the output has."""
_PLAIN = {("s3", "ListObjects"), ("s3", "ListMultipartUploads"), ("s3", "ListObjectVersions"), ("s3", "ListParts")}
"""Operations whose markers are keys, by their documentation: clients may make them up."""
_SIZE = re.compile(r"(?:max_\w+|limit|page_size)\Z")
_MAC_BYTES = 12
KeyOf = Callable[[], bytes]
"""The key, made when it is first asked for."""
_REFUSALS = (
    re.compile(
        r"Invalid(?:Next|Pagination|Page|Continuation)?Token(?:Exception)?\Z|InvalidNextToken\w*\Z|InvalidContinuationToken\w*\Z|InvalidMarker\w*\Z"
    ),
    re.compile(r"ValidationException\Z|ValidationError\Z"),
    re.compile(r"InvalidInput(?:Exception)?\Z|InvalidRequest(?:Exception)?\Z|InvalidParameter\w*\Z|BadRequestException\Z"),
)
_EC2 = ("InvalidNextToken", "The specified nextToken is invalid.")
_S3 = ("InvalidArgument", "The continuation token provided is incorrect")


class PageTokens:
    """One operation's. argument: the handler's parameter; given: the output member; echoed: one that repeats what was asked."""

    __slots__ = ("argument", "given", "echoed", "_label", "_refusal")

    def __init__(self, operation: OperationModel, member: str, given: str, echoed: str | None, refusal: tuple[str, str]) -> None:
        self.argument = xform(member)
        self.given = given
        self.echoed = echoed
        self._label = f"{operation.service.name}:{operation.name}"
        self._refusal = refusal

    def open(self, key_of: KeyOf, scope: Scope, args: dict[str, Any]) -> None:
        """Replaces the sealed token in args by the handler's own. Raises AwsError."""
        sealed = args[self.argument]
        try:
            data = urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
        except (NotBase64, UnicodeError, ValueError):
            data = b""
        key, mac, text = key_of(), data[:_MAC_BYTES], data[_MAC_BYTES:]
        plain = _masked(key, mac, text)
        if not text or not hmac.compare_digest(mac, self._mac(key, scope, args, plain)):
            raise AwsError(*self._refusal)
        args[self.argument] = _unpacked(plain)

    def seal(self, key_of: KeyOf, scope: Scope, args: dict[str, Any], reply: dict[str, Any], sent: str | None) -> dict[str, Any]:
        """The reply with its token sealed. sent: the token of the request, as the client sent it."""
        token = reply.get(self.given)
        if sent is not None and self.echoed in reply:
            reply = {**reply, self.echoed: sent}
        if not token:
            return reply
        key, plain = key_of(), _packed(token)
        mac = self._mac(key, scope, args, plain)
        return {**reply, self.given: urlsafe_b64encode(mac + _masked(key, mac, plain)).rstrip(b"=").decode()}

    def _mac(self, key: bytes, scope: Scope, args: dict[str, Any], plain: bytes) -> bytes:
        asked = {name: value for name, value in args.items() if name != self.argument and value is not None and not _SIZE.match(name)}
        bound = msgspec.json.encode([self._label, scope.account, scope.region, asked], order="deterministic", enc_hook=str)
        return hmac.digest(key, hashlib.sha256(bound).digest() + plain, "sha256")[:_MAC_BYTES]


def _masked(key: bytes, mac: bytes, text: bytes) -> bytes:
    """Text under a key stream that no other token has (and the other way round)."""
    size = len(text)
    stream = hashlib.shake_256(key + mac).digest(size)
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def _packed(token: str) -> bytes:
    """A token that is base64 already does not grow by a second coat of it."""
    try:
        data = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (NotBase64, UnicodeError, ValueError):
        data = b""
    for mark in (b"b", b"n"):
        if data and _unpacked(mark + data) == token:
            return mark + data
    return b"t" + token.encode()


def _unpacked(plain: bytes) -> str:
    mark, data = plain[:1], plain[1:]
    if mark == b"t":
        return data.decode()
    text = urlsafe_b64encode(data).decode()
    return text if mark == b"b" else text.rstrip("=")


def page_tokens(operation: OperationModel, rules: ServiceRules) -> PageTokens | None:
    """None for an operation without pages, or whose page markers are not opaque on AWS."""
    if (operation.service.name, operation.name) in _PLAIN:
        return None
    outputs = {name.lower(): name for name in operation.output_shape.members}
    for member in operation.input_shape.members:
        names = [outputs[name] for name in _GIVEN.get(member.lower(), ()) if name in outputs]
        if names:
            echoed = names[1] if len(names) > 1 else None
            return PageTokens(operation, member, names[0], echoed, rules.bad_token or _refusal(operation, rules, member))
    return None


def _refusal(operation: OperationModel, rules: ServiceRules, member: str) -> tuple[str, str]:
    if operation.service.name in ("ec2", "s3"):
        return _EC2 if operation.service.name == "ec2" else _S3
    words = f"The specified {member} is invalid."
    for pattern in _REFUSALS:
        for code in operation.errors:
            if pattern.match(code):
                shape = operation.service.shape(code)
                own = operation.service.documentation(code) if pattern is _REFUSALS[0] else ""
                return (shape.error.code if shape.error and shape.error.code else code), own or words
    query = "query" in operation.service.protocols and rules.validation_code == "ValidationException"
    return "ValidationError" if query else rules.validation_code, words


def key_maker(derive: Callable[[str], bytes]) -> KeyOf:
    """The cloud's key for page tokens, derived when the first token is made or read."""
    made: list[bytes] = []

    def key() -> bytes:
        if not made:
            made.append(derive("page tokens"))
        return made[0]

    return key
