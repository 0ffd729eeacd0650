"""Answers of custom resources and signals of wait conditions, by the addresses that were handed out for them.

Invariants: an address is good for one resource of one stack (and one request), by a signature under the cloud's root key; an answer is kept in a
record before the PUT is answered, so a cloud that dies has not lost it; a second answer to the same request changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, unquote

from msgspec import structs

from windtunnel.kernel.context import Context
from windtunnel.kernel.records import RecordScope, Sealable
from windtunnel.services.cloudformation.model import Signal, Stack, run_id

LABEL = "cloudformation-answers"
LIMIT = 4096
"""Bytes of an answer, as CloudFormation reads them."""
FOR_EVER = 43200 * 10


class CustomRequest(Sealable, kw_only=True):
    """A request to a custom resource's provider, and its answer. until: epoch seconds."""

    KIND: ClassVar[str] = "cloudformation.custom-request"
    SCOPE: ClassVar[RecordScope] = "region"

    stack: str
    logical: str
    id: str
    until: float
    answer: dict[str, Any] | None = None

    def key(self) -> str:
        return f"{self.stack}/{self.logical}/{self.id}"

    def shell(self) -> CustomRequest:
        return structs.replace(self, answer=None)


def address(ctx: Context, kind: str, stack_arn: str, logical: str, last: str) -> str:
    """Where to PUT. kind: `cloudformation-waitcondition` or `cloudformation-custom-resource-response`; last: the request's id."""
    path = f"/{kind}-{ctx.scope.region}/{quote(stack_arn, safe='')}/{quote(logical)}/{last}"
    expires = int(ctx.now) + FOR_EVER
    return f"{ctx.cloud.endpoint}{path}?Expires={expires}&Signature={_signature(ctx.cloud, path, expires)}"


def _signature(cloud: Any, path: str, expires: int) -> str:
    key: bytes = cloud.part("sealer").derive(LABEL)
    return hmac.new(key, f"{path}?{expires}".encode(), hashlib.sha256).hexdigest()


def parts_of(path: str) -> tuple[str, str, str, str] | None:
    """(kind, stack ARN, logical id, last) of an address's path."""
    steps = path.split("/")
    if len(steps) != 5:
        return None
    kind, arn, logical, last = (unquote(step) for step in steps[1:])
    return kind, arn, logical, last


class Answers:
    """Takes what is PUT to the addresses."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud

    async def __call__(self, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        asked = parse_qs(query)
        expires = asked.get("Expires", ["0"])[0]
        found = parts_of(path)
        signed = expires.isdecimal() and hmac.compare_digest(_signature(self._cloud, path, int(expires)), asked.get("Signature", [""])[0])
        if found is None or not signed or int(expires) < self._cloud.clock.now():
            return 403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        kind, arn, logical, last = found
        _, _, _, region, account, resource = arn.split(":", 5)
        stack_id = resource.split("/")[-1]

        def work(tx: Any) -> None:
            ctx: Context = self._cloud.context(tx, account, region)
            if kind.startswith("cloudformation-waitcondition"):
                take_signal(ctx, stack_id, logical, body)
            else:
                take_answer(ctx, stack_id, logical, last, body)

        await self._cloud.writer.submit(work)
        return 200, b""


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body[:LIMIT])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def take_signal(ctx: Context, stack_id: str, handle: str, body: bytes) -> None:
    """What is no signal is not heard, as S3 takes any object."""
    told = _document(body)
    status, unique = told.get("Status"), told.get("UniqueId")
    stack = ctx.tx.get(Stack, stack_id)
    if stack is None or status not in ("SUCCESS", "FAILURE") or not isinstance(unique, str) or not unique:
        return
    data, reason = (value if isinstance(value, str) else json.dumps(value) for value in (told.get("Data", ""), told.get("Reason", "")))
    signal = Signal(sealed=stack.sealed, stack=stack_id, logical=handle, unique=unique, status=status, at=ctx.now, data=data, reason=reason)
    if ctx.tx.get(Signal, signal.key()) is None:
        ctx.tx.put(signal)
    _wake(ctx, stack)


def take_answer(ctx: Context, stack_id: str, logical: str, request_id: str, body: bytes) -> None:
    request, stack = ctx.tx.get(CustomRequest, f"{stack_id}/{logical}/{request_id}"), ctx.tx.get(Stack, stack_id)
    if request is None or stack is None or request.answer is not None:
        return
    request.answer = _document(body) if len(body) <= LIMIT else {"Status": "FAILED", "Reason": "Response object is too long."}
    if request.answer.get("NoEcho") and not stack.sealed:
        stack.sealed = True
        ctx.tx.put(stack)
    request.sealed = stack.sealed
    ctx.tx.put(request)
    _wake(ctx, stack)


def _wake(ctx: Context, stack: Stack) -> None:
    if stack.operation:
        ctx.cloud.wake(ctx, run_id(stack.operation))
