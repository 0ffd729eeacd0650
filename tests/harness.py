"""An in-process cloud for tests: the real composition root on a loop of its own thread, without HTTP.

`api(service, operation, **args)` runs an operation as a client's request would after decoding: authorized, in a transaction,
durable when it returns. Answers and errors are the handlers' own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from windtunnel.app import WindtunnelCloud
from windtunnel.kernel.cloud import Body, Identity
from windtunnel.kernel.context import Context, Wait
from windtunnel.kernel.errors import not_built
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import OPERATIONS
from windtunnel.kernel.scope import Scope
from windtunnel.settings import Settings
from windtunnel.wire.models import load_service
from windtunnel.wire.protocols import Encoder, compile_encoder

ACCOUNT, REGION = "123456789012", "us-east-1"
T = TypeVar("T")


class InProcessCloud:
    """Start with `with InProcessCloud(path) as cloud:`; the same path again is the same cloud after a restart."""

    def __init__(self, data: Path, **options: Any) -> None:
        self.parts: dict[str, Any] = options.pop("parts", {})
        self.identity: Identity | None = options.pop("identity", None)
        self._settings = Settings(data=data, port=options.pop("port", 4566), region=REGION, account=ACCOUNT)
        self._options = options

    def __enter__(self) -> InProcessCloud:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.cloud: WindtunnelCloud = self.on_loop(lambda: WindtunnelCloud(self._settings, self.loop, **self._options))
        for name, part in self.parts.items():
            self.cloud.add_part(name, part)
        if self.identity is not None:
            self.cloud.identity = self.identity
        self.cloud.start_up()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.cloud.shut_down(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def settled(self) -> None:
        """Every run waits or has ended: what it waits for is recorded, so that another cloud finds it."""
        until(lambda: not self.cloud.engine._driving, what="no run is driven")

    def on_loop(self, action: Callable[[], T]) -> T:
        async def run() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def write(self, action: Callable[[Context], T], principal: Principal | None = None) -> T:
        """Run `action(ctx)` in a write transaction."""
        who = principal or Principal.root(ACCOUNT)
        return self.cloud.writer.submit_threadsafe(
            lambda tx: action(Context(tx.within(ACCOUNT, REGION), Scope(ACCOUNT, REGION), who, self.cloud))
        ).result(30)

    def read(self, action: Callable[[Context], T], principal: Principal | None = None) -> T:
        who = principal or Principal.root(ACCOUNT)
        with self.cloud.store.thread_snapshot(ACCOUNT, REGION) as tx:
            return action(Context(tx, Scope(ACCOUNT, REGION), who, self.cloud))

    def api(self, service: str, operation: str, *, principal: Principal | None = None, **args: Any) -> Any:
        """An operation, as the wire would run it. bytes given to a staged body are staged first."""
        op = OPERATIONS.get((service, operation))
        if op is None:
            raise not_built(service, operation)
        if op.prepare is not None:
            prepare = op.prepare
            args = self.read(lambda ctx: prepare(ctx, args), principal)
        if op.body == "stage":
            args = {k: Body(self.cloud.blobs.put(v)) if isinstance(v, bytes) else v for k, v in args.items()}
        found = op

        def run(ctx: Context) -> Any:
            self.cloud.identity.check(ctx, found.authorize(ctx, **args))
            result = found.handler(ctx, **args)
            return result.otherwise if isinstance(result, Wait) else result

        reply = self.read(run, principal) if op.kind == "read" else self.write(run, principal)
        check_reply(service, operation, reply)
        return reply


@cache
def _strict_encoder(service: str, operation: str) -> tuple[Encoder, str | None]:
    model = load_service(service)
    shape = model.operation(operation)
    return compile_encoder(model, operation, strict=True), shape.streaming_output or shape.event_output


def check_reply(service: str, operation: str, reply: Any) -> None:
    """A reply has only members and types of the operation's output. Raises UnknownResultMember."""
    encode, streaming = _strict_encoder(service, operation)
    encode({name: value for name, value in (reply or {}).items() if name != streaming}, "request")


def until(condition: Callable[[], T], seconds: float = 20.0, what: str = "the condition") -> T:
    """Poll until condition() is truthy; its value. Fails with what was waited for."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not hold within {seconds} s (last: {value!r})")
        pause.wait(0.02)
