"""The composition root: the only module that knows every part. It puts the parts together and takes them apart again.

Order at start: lock, store, services, identity, compute found again, runs resumed, listeners opened, "ready". At the end
(SIGTERM): listeners closed, runs left as recorded, sandboxes stopped, store closed. After kill -9 the start does the rest.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import pkgutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from windtunnel.events.pump import Pump
from windtunnel.helpers.pool import Helpers
from windtunnel.jobs.collecting import Collector
from windtunnel.jobs.engine import Boundary, Engine, _no_boundary
from windtunnel.kernel.clock import Clock, SystemClock
from windtunnel.kernel.cloud import Asleep, BlobRef, Blobs, Body, Identity
from windtunnel.kernel.context import INTERNAL, Context, Event, Reply, Wait
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.ids import Ids, SystemIds
from windtunnel.kernel.registry import OPERATIONS, STARTERS, Operation
from windtunnel.settings import Settings
from windtunnel.store.blobs import FileBlobs
from windtunnel.store.sealing import RootKeySealer, root_key
from windtunnel.store.sqlite import SqliteStore, SqliteTx
from windtunnel.store.writer import Writer

log = logging.getLogger("windtunnel")


def load_services() -> None:
    """Import every service and gateway package, so that their decorators register what they build."""
    import windtunnel.services

    for module in sorted(pkgutil.iter_modules(windtunnel.services.__path__), key=lambda m: m.name):
        importlib.import_module(f"windtunnel.services.{module.name}")


class LazyPart:
    """A part that is made when it is first used, so that a cloud that runs no sandbox pays nothing for one."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._lock = threading.Lock()

    @property
    def made(self) -> Any:
        """The part if it has been made, else None."""
        return self._made

    def get(self) -> Any:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made


class WindtunnelCloud:
    """kernel.cloud.Cloud, put together from the real parts."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        boundary: Boundary = _no_boundary,
    ) -> None:
        load_services()
        from windtunnel.services.cloudtrail.recorder import Recorder
        from windtunnel.services.codecommit.hosting import GitHosting
        from windtunnel.services.ec2 import identity as instance_identity
        from windtunnel.services.events.delivery import hears, plan
        from windtunnel.services.iam.activity import Activity
        from windtunnel.services.iam.identity import StoreIdentity

        self.settings = settings
        self.data = settings.data
        self.loop = loop
        self.ids: Ids = ids or SystemIds()
        self.endpoint = f"http://127.0.0.1:{settings.port}"
        self.store = SqliteStore(settings.data / "cloud.db")
        self.clock: Clock = clock or SystemClock(settings.pace, self.store.time_reached())
        self._root_key = root_key(settings.data)
        sealer = LazyPart(lambda: RootKeySealer(self._root_key))
        self.store.sealer = sealer.get
        self.blobs: Blobs = FileBlobs(settings.data / "blobs", sealer.get)
        self.writer = Writer(self.store, loop)
        self.engine = Engine(self.store, self.writer, loop, self, boundary)
        self.collector = Collector(self.writer, loop, self.clock)
        self.pump = Pump(self.writer, loop, self, plan, hears)
        activity = Activity(settings.data / "decisions.db")
        self.helpers = Helpers()
        self._closers: list[Callable[[], None]] = [self.helpers.close, activity.close]
        self.identity: Identity = StoreIdentity(activity)
        self.audit = Recorder(self, lambda: self.writer.submit_threadsafe(lambda _: None))
        self.writer.last = self.audit.last
        self._parts: dict[str, Any] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self.add_part("audit", self.audit)
        self.add_part("store", self.store)
        self.add_part("store-writer", self.writer)
        self.add_part("context", self.context)
        self.closing = threading.Event()
        self.add_part("closing", self.closing)
        self.add_part("threads", lambda work: loop.run_in_executor(None, work))
        self.add_part("helper", self.helpers)
        self.add_part("sealer", sealer)
        self.add_part("activity", activity)
        self.add_part("instance-identity", instance_identity.caller)
        self.add_part("git", GitHosting(settings.data / "git", self.blobs))

    # -- kernel.cloud.Cloud -----------------------------------------------------------------------------------------

    def call(self, ctx: Context, service: str, operation: str, args: dict[str, Any]) -> Reply:
        """An operation in this transaction, authorized as ctx.principal, undone alone when it raises."""
        found = OPERATIONS.get((service, operation))
        if found is None:
            raise not_built(service, operation)
        if found.body == "stage":
            args = {**args, **{name: self._as_body(value) for name, value in args.items() if isinstance(value, bytes | BlobRef)}}
        try:
            self.identity.check(ctx, found.authorize(ctx, **args))
            if found.kind == "read":
                result = found.handler(ctx, **args)
            else:
                with ctx.tx.savepoint():
                    result = found.handler(ctx, **args)
        except AwsError as error:
            self._note(ctx, found, args, error=error)
            raise
        reply: Reply = result.otherwise if isinstance(result, Wait) else result
        self._note(ctx, found, args, result=reply)
        return reply

    def _note(
        self, ctx: Context, found: Operation, args: dict[str, Any], result: Reply | None = None, error: AwsError | None = None
    ) -> None:
        """What a service does for a caller, with a role, or as itself is an event; what the cloud does for itself is none."""
        principal = ctx.principal
        shown = bool(ctx.via or principal.via_service or principal.kind == "service") and principal.name != "windtunnel"
        if shown and self.audit.follows(found.service, found.name):
            self.audit.note(found, ctx.scope, principal, INTERNAL, args, result=result, error=error, ctx=ctx, via=ctx.via)

    def _as_body(self, value: bytes | BlobRef) -> Body:
        return Body(value if isinstance(value, BlobRef) else self.blobs.small(value))

    def hears(self, ctx: Context, source: str) -> bool:
        return self.pump.hears(ctx, source)

    def append_events(self, ctx: Context, events: Iterable[Event]) -> None:
        self.pump.append(ctx, events)

    def start_job(self, ctx: Context, kind: str, run_id: str, args: dict[str, Any], asleep: Asleep | None = None) -> None:
        self.engine.start(ctx, kind, run_id, args, asleep)

    def dismiss_job(self, ctx: Context, run_id: str) -> None:
        self.engine.dismiss(ctx, run_id)

    def signal(self, ctx: Context, name: str, payload: Any) -> None:
        self.engine.signal(ctx, name, payload)

    def notify(self, ctx: Context, name: str) -> None:
        ctx.tx.after_commit(lambda: self._wake_waiters(name))

    def wake(self, ctx: Context, run_id: str) -> None:
        ctx.tx.after_commit(lambda: self.engine.wake(run_id))

    def _wake_waiters(self, name: str) -> None:
        for future in self._waiters.pop(name, ()):
            if not future.done():
                future.set_result(None)

    def listen(self, name: str) -> asyncio.Future[None]:
        """Hear the next notification from this moment on (loop). Give it to `wait_for`, or to `unlisten`."""
        future: asyncio.Future[None] = self.loop.create_future()
        self._waiters[name].add(future)
        return future

    def unlisten(self, name: str, future: asyncio.Future[None]) -> None:
        waiting = self._waiters.get(name)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiters[name]

    async def wait_for(self, name: str, timeout: float, heard: asyncio.Future[None] | None = None) -> bool:
        """Wait for a notification (loop), or for one that is listened for already. False at the timeout, and when the cloud ends."""
        future = heard if heard is not None else self.listen(name)
        try:
            if not self.closing.is_set():
                await asyncio.wait_for(future, timeout)
            return not self.closing.is_set()
        except TimeoutError:
            return False
        finally:
            self.unlisten(name, future)

    def release_waiters(self) -> None:
        """Have every long poll answered now, with what it answers at its end (loop, at the cloud's end)."""
        for name in list(self._waiters):
            self._wake_waiters(name)

    def part(self, name: str) -> Any:
        found = self._parts[name]
        return found.get() if isinstance(found, LazyPart) else found

    def made_part(self, name: str) -> Any:
        """A part if it has been made; None for a lazy one that nobody asked for."""
        found = self._parts.get(name)
        return found.made if isinstance(found, LazyPart) else found

    def add_part(self, name: str, part: Any) -> None:
        self._parts[name] = part

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(self.loop.call_later, seconds, action)

    # -- for gateways, starters and followers -------------------------------------------------------------------------

    def context(self, tx: SqliteTx, account: str, region: str, cause: str = "") -> Context:
        """A context of the cloud's own, in some account and region."""
        from windtunnel.kernel.principal import Principal
        from windtunnel.kernel.scope import Scope

        return Context(tx.within(account, region), Scope(account, region), Principal.service("windtunnel", account), self, cause=cause)

    def start_up(self) -> None:
        """Repair, find again, resume: after this the cloud may answer. Not on the loop, for starters touch disks and sandboxes."""
        for starter in STARTERS:
            starter(self)
        self.engine.resume_all()
        self.loop.call_soon_threadsafe(self.pump.kick)
        self.loop.call_soon_threadsafe(self.collector.start)

    async def shut_down(self) -> None:
        """End in order; nothing that was accepted is lost, for everything is recorded."""
        self.closing.set()
        self.collector.stop()
        self.engine.close()
        for close in self._closers:
            await self.loop.run_in_executor(None, close)
        if self.audit.last() is not None:
            self.writer.submit(lambda _: None)
        await self.writer.close()
        self.store.close()
        self.blobs.close()
