"""A note of a call, and a group of notes as one row of the store. Pure.

Invariants: a note is encoded the moment it is taken, so what a handler does with its arguments later does not change it; what many notes
share (who called, from where) stands once in their group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from windtunnel.kernel.scope import Scope
from windtunnel.kernel.typed import decoder

MAX_NOTE = 100_000
"""Bytes; what is longer loses its parameters, as CloudTrail cuts what does not fit 256 KB."""
OMITTED = {"omitted": True, "reason": "The event was too large"}


class Caller(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who called, and from where: a principal, an address, a user agent."""

    kind: str
    account: str
    arn: str
    identity: str
    unique_id: str
    name: str
    access_key: str = ""
    via_service: str = ""
    source_ip: str = ""
    user_agent: str = ""
    host: str = ""
    secure: bool = False
    invoked_by: str = ""
    """The service that made the call, for one made inside the cloud."""
    issuer_id: str = ""
    issued: str = ""
    """When a session was issued, ISO 8601."""
    source_identity: str = ""
    mfa: bool = False


class Note(msgspec.Struct, array_like=True, gc=False):
    """A call. time: epoch seconds; who: the caller's number within its group; request: the request's id."""

    time: float
    who: int
    service: str
    operation: str
    request: str
    args: Any
    read_only: bool
    data: bool = False
    result: Any = None
    code: str = ""
    message: str = ""


class Group(msgspec.Struct):
    who: dict[int, Caller]
    notes: list[Note]


Pending = tuple[Scope, int, bytes, bytes]
"""A note that is not yet written: its scope, its caller's number, the caller and the note, encoded. A plain tuple, for that is quickest."""

_encoder = msgspec.json.Encoder(enc_hook=str)
_group = decoder(Group)


def encode(note: Note) -> bytes:
    body = _encoder.encode(note)
    if len(body) > MAX_NOTE:
        note.args, note.result = OMITTED, OMITTED if note.result is not None else None
        body = _encoder.encode(note)
    return body


def encode_caller(caller: Caller) -> bytes:
    return _encoder.encode(caller)


def join(pending: Iterable[Pending]) -> bytes:
    """A group's row: JSON, so that a lookup can tell by its bytes alone that a row does not have what is sought."""
    notes: list[bytes] = []
    who: dict[int, bytes] = {}
    for _, number, caller, body in pending:
        notes.append(body)
        who[number] = caller
    named = b",".join(b'"%d":%b' % (number, caller) for number, caller in who.items())
    return b'{"who":{%b},"notes":[%b]}' % (named, b",".join(notes))


def split(body: bytes) -> Group:
    return _group.decode(body)


def event_id(request: str) -> str:
    """The event's id: the request's, turned, so that each is found by the other and neither is kept twice."""
    h = request.replace("-", "")
    turned = h[16:] + h[:16]
    return f"{turned[:8]}-{turned[8:12]}-{turned[12:16]}-{turned[16:20]}-{turned[20:]}"
