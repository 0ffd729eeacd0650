"""Takes notes of calls in memory and has them written with the next group of writes: kernel.audit.Audit.

Invariants: the note of a write that succeeded is in the same transaction as the write; any other note (reads, refusals) is on disk
at most WRITTEN_WITHIN seconds later, and only these can be lost, by a kill in that time. Nothing here waits, and nothing here reads.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from windtunnel.kernel.audit import Audit
from windtunnel.kernel.cloud import BlobRef, Body, Cloud
from windtunnel.kernel.context import Context, RequestInfo
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import Operation
from windtunnel.kernel.scope import Scope
from windtunnel.services.cloudtrail.bridge import Bridge
from windtunnel.services.cloudtrail.hiding import Hide, Hiding
from windtunnel.services.cloudtrail.kinds import GLOBAL, READ_ONLY, kind
from windtunnel.services.cloudtrail.notes import Caller, Note, Pending, encode, encode_caller, join
from windtunnel.services.cloudtrail.selecting import takes_data, takes_management
from windtunnel.services.cloudtrail.trails import SERVICE, Trail, calls, trail_arn

WRITTEN_WITHIN = 1.0
MAX_PENDING = 2_000
MAX_HELD = 20_000
MAX_CALLERS = 1_000
GLOBAL_REGION = "us-east-1"
_BY_CLOUDTRAIL = f'"invoked_by":"{SERVICE}"'.encode()
_NOT_KEPT = (bytes, bytearray, Body, BlobRef)


class _Known(msgspec.Struct):
    """A caller with its number and its encoded self. The principal is held, so that its id stays its own."""

    number: int
    body: bytes
    inside: bool
    principal: Principal


class _Followed(msgspec.Struct):
    """What is known of an operation since its first note."""

    service: str
    name: str
    read_only: bool
    data: bool
    everywhere: bool
    """Its events belong to us-east-1."""
    bodies: bool
    """An argument may be a body."""
    hide_input: Hide | None
    hide_output: Hide | None


class Recorder(Audit):
    """One per cloud. kick: has a group of writes run soon (any thread)."""

    def __init__(self, cloud: Cloud, kick: Callable[[], Any]) -> None:
        self._cloud = cloud
        self._now = cloud.clock.now
        self._kick = kick
        self._pending: list[Pending] = []
        self._scheduled = False
        self._followed: dict[Any, _Followed] = {}
        self._callers: dict[tuple[Any, ...], _Known] = {}
        self._numbers = count(1)
        self._seq = 0
        self.data_selected = False
        """Whether any trail selects data events: without one they cost nothing."""
        self._trails: dict[str, list[tuple[str, Trail]]] | None = None
        """Account -> the trails that log, with their home region; None when it must be read."""
        self._told: set[str] = set()
        """ARNs of trails that know of calls they have not yet looked at."""
        self._bridge = Bridge()

    # -- taking notes -------------------------------------------------------------------------------------------------

    def follows(self, service: str, operation: str) -> bool:
        return kind(service, operation) != "never"

    def note(
        self,
        operation: Operation,
        scope: Scope,
        principal: Principal,
        request: RequestInfo,
        args: dict[str, Any],
        result: dict[str, Any] | None = None,
        error: AwsError | None = None,
        ctx: Context | None = None,
        via: tuple[str, ...] = (),
    ) -> None:
        followed = self._followed.get(operation.handler) or self._follow(operation)
        if followed.data and not self.data_selected:
            return
        code = message = ""
        if error is not None:
            if error.status == 501:
                return
            code, message = error.code, error.message
        caller = self._callers.get((id(principal), request.user_agent, request.source_ip, via, request.host))
        if caller is None:
            caller = self._new_caller(principal, request, via)
        if followed.hide_input is not None:
            args = followed.hide_input(args)
        if followed.bodies:
            args = {name: value for name, value in args.items() if not isinstance(value, _NOT_KEPT)}
        if result is not None:
            if followed.data or operation.kind == "read":
                result = None
            elif followed.hide_output is not None:
                result = followed.hide_output(result)
        name = self._cloud.ids.uuid() if caller.inside else request.id
        made = Note(
            self._now(),
            caller.number,
            followed.service,
            followed.name,
            name,
            args,
            followed.read_only,
            followed.data,
            result,
            code,
            message,
        )
        self._pending.append((_everywhere(scope) if followed.everywhere else scope, caller.number, caller.body, encode(made)))
        if not self._scheduled:
            self._scheduled = True
            self._cloud.after(WRITTEN_WITHIN, self._due)
        elif len(self._pending) >= MAX_PENDING:
            self._full()

    def _due(self) -> None:
        self._scheduled = False
        if self._pending:
            self._kick()

    def _full(self) -> None:
        """Written sooner under load; the oldest are dropped when the store takes nothing (a full disk)."""
        if len(self._pending) % MAX_PENDING == 0:
            self._kick()
        if len(self._pending) > MAX_HELD:
            del self._pending[:MAX_PENDING]

    def _follow(self, operation: Operation) -> _Followed:
        service, name = operation.service, operation.name
        hiding = Hiding(service, name)
        found = self._followed[operation.handler] = _Followed(
            service,
            name,
            operation.kind == "read" or (service, name) in READ_ONLY,
            kind(service, name) == "data",
            service in GLOBAL,
            service == "s3" or operation.body == "stage",
            hiding.input,
            hiding.output,
        )
        return found

    def _new_caller(self, principal: Principal, request: RequestInfo, via: tuple[str, ...]) -> _Known:
        if len(self._callers) >= MAX_CALLERS:
            self._callers.clear()
        known = _Known(
            next(self._numbers), encode_caller(_caller_of(principal, request, via)), _is_inside(principal, request, via), principal
        )
        self._callers[id(principal), request.user_agent, request.source_ip, via, request.host] = known
        return known

    # -- writing them -------------------------------------------------------------------------------------------------

    def last(self) -> Callable[[Any], None] | None:
        """What joins a group of writes, if there is anything to write (store.writer.Writer.last)."""
        return self._write if self._pending else None

    def _write(self, tx: Tx) -> None:
        taken = self._pending[:]
        del self._pending[: len(taken)]  # notes that other threads take meanwhile stay at the end
        scopes: dict[tuple[str, str], list[Pending]] = {}
        for item in taken:
            scopes.setdefault((item[0].account, item[0].region), []).append(item)
        self._seq = max(int(self._cloud.clock.now() * 1e6), self._seq + 1)
        if self._trails is None:
            self._trails = self._logging(tx)
        for (account, region), items in scopes.items():
            tx.within(account, region).append_audit(self._seq, join(items))
            trails = self._trails.get(account)
            if trails:
                self._tell(self._cloud.part("context")(tx, account, region), trails, items)

    # -- trails -------------------------------------------------------------------------------------------------------

    def trails_changed(self, ctx: Context) -> None:
        """A trail was made, changed, started, stopped or deleted in this transaction."""
        self._trails = None
        ctx.tx.after_commit(self._look_again)

    def _look_again(self) -> None:
        self._trails = None

    def looked(self, ctx: Context, arn: str) -> None:
        """A trail's run looks at its calls now: it is told of the next ones once this is committed."""
        ctx.tx.after_commit(lambda: self._told.discard(arn))

    def _logging(self, tx: Tx) -> dict[str, list[tuple[str, Trail]]]:
        found: dict[str, list[tuple[str, Trail]]] = {}
        for account, region, trail in tx.everywhere(Trail):
            if trail.logging:
                found.setdefault(account, []).append((region, trail))
        every = [trail for trails in found.values() for _, trail in trails]
        self.data_selected = any(takes_data(trail.basic, trail.advanced) for trail in every)
        self._bridge.forget()
        return found

    def _tell(self, ctx: Context, trails: list[tuple[str, Trail]], items: list[Pending]) -> None:
        if all(_BY_CLOUDTRAIL in item[2] for item in items):
            return  # delivering must not lead to delivering
        for home, trail in trails:
            arn = trail_arn(Scope(ctx.scope.account, home), trail.name)
            if arn not in self._told:
                self._told.add(arn)
                ctx.signal(calls(arn))
        if any(
            takes_management(trail.basic, trail.advanced) and (trail.multi_region or home == ctx.scope.region) for home, trail in trails
        ):
            self._bridge.carry(ctx, items)

    def begin_after(self, seq: int) -> None:
        """Rows get numbers greater than this one: the clock may have been set back since the last cloud."""
        self._seq = max(self._seq, seq)


def _everywhere(scope: Scope) -> Scope:
    return Scope(scope.account, GLOBAL_REGION)


def _is_inside(principal: Principal, request: RequestInfo, via: tuple[str, ...]) -> bool:
    """Whether the call was made inside the cloud, by a service: its id is not the request's, which was somebody else's."""
    return bool(via) or not request.id or principal.kind == "service"


def _caller_of(principal: Principal, request: RequestInfo, via: tuple[str, ...]) -> Caller:
    invoked_by, made_with = "", dict(principal.keys)
    if via:
        invoked_by = f"{via[-1]}.amazonaws.com"
    elif _is_inside(principal, request, via):
        invoked_by = principal.via_service or principal.name
    return Caller(
        principal.kind,
        principal.account,
        principal.arn,
        principal.identity,
        principal.unique_id,
        principal.name,
        principal.access_key,
        principal.via_service,
        invoked_by or request.source_ip,
        invoked_by or request.user_agent,
        request.host,
        request.secure,
        invoked_by,
        principal.issuer_id,
        made_with.get("aws:TokenIssueTime", ""),
        made_with.get("aws:SourceIdentity", ""),
        principal.mfa_at is not None,
    )
