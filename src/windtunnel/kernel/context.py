"""What a handler may use: its transaction, the time, identifiers, the caller, and the other services' public operations.

Invariant: everything a handler changes goes through `ctx.tx`, so that state, events and jobs commit together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from windtunnel.kernel.clock import Clock
from windtunnel.kernel.ids import Ids
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.scope import Scope

if TYPE_CHECKING:
    from windtunnel.kernel.cloud import Cloud

Reply = dict[str, Any]


class Need(NamedTuple):
    """One thing that a caller must be allowed to do.

    action: `s3:PutObject`; resource: an ARN, or "*"; context: condition keys of this request, values str | list[str] | bool | number.
    resource_policy: the JSON text of the policy on the resource itself (bucket policy, …), None when it has none.
    account: the account that owns the resource, None for the caller's own.
    resource_policy_required: identity policies count only as far as the resource's policy lets them (KMS keys), also the root user's.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, Any] = {}
    resource_policy: str | None = None
    account: str | None = None
    resource_policy_required: bool = False


class Wait(NamedTuple):
    """Answer later: the handler is run again when `signal` is notified, and `otherwise` is the answer after `timeout` seconds.

    again: seconds after which it is run again though nobody notified, because time alone will have changed something.
    """

    signal: str
    timeout: float
    otherwise: Reply
    again: float | None = None


class EventStream(NamedTuple):
    """The value of an output member that is a stream of events (`responseStream` of logs' StartLiveTail), which goes on after the handler's return.

    events: sent at once, each of one member: `{"sessionStart": {…}}`.
    follow: (ctx on a snapshot of its own) -> the events that have come since, `[]` when none, None at the stream's end. What it has to remember
    (a position) is the closure's own. It runs as the handler does: on the loop for a "point" operation, in a thread for a "scan"; between its runs
    the stream holds neither thread nor transaction. An AwsError that it raises goes to the client as the stream's exception and ends it.
    signal: follow is asked whenever this is notified (`ctx.notify`), and every `every` seconds.
    lasts: seconds after which the stream ends, with `ending` as its last event (an exception member is one: `{"SessionTimeoutException": {…}}`).

    The stream ends too when its client leaves or the cloud stops.
    """

    events: Sequence[Mapping[str, Any]]
    follow: Callable[[Context], Sequence[Mapping[str, Any]] | None]
    signal: str
    every: float = 1.0
    lasts: float = 3 * 3600.0
    ending: Mapping[str, Any] | None = None


class Event(msgspec.Struct, frozen=True):
    """An EventBridge event as it stands in the outbox; `cause` links it to what made it.

    account, region: whose event it is. bus: the bus's name there, or the ARN of a bus elsewhere. hops: how often a rule has passed it on.
    """

    id: str
    source: str
    detail_type: str
    account: str
    region: str
    time: float
    resources: tuple[str, ...]
    detail: dict[str, Any]
    cause: str = ""
    bus: str = "default"
    hops: int = 0


class RequestInfo(msgspec.Struct, frozen=True):
    """What is known of the HTTP request behind a call; the defaults are those of a call made inside the cloud."""

    id: str = ""
    source_ip: str = "127.0.0.1"
    user_agent: str = "windtunnel"
    secure: bool = False
    host: str = ""
    sandbox: str = ""
    """The sandbox whose listener took the request; empty for the host's."""


INTERNAL = RequestInfo(secure=True)
"""Of a call that a service, a job or a stack makes: it crosses no network in the clear (`aws:SecureTransport` holds)."""


class Caller(Protocol):
    """Runs another service's operation inside this transaction (see `Context.call`)."""

    def __call__(self, ctx: Context, service: str, operation: str, args: dict[str, Any]) -> Reply: ...


class Context:
    """One per handler run. Fields are plain: a handler reads them, tests build them."""

    __slots__ = ("tx", "scope", "principal", "clock", "ids", "request", "cause", "cloud", "via", "found", "_now")

    def __init__(
        self,
        tx: Tx,
        scope: Scope,
        principal: Principal,
        cloud: Cloud,
        *,
        request: RequestInfo = INTERNAL,
        cause: str = "",
        via: tuple[str, ...] = (),
    ) -> None:
        self.tx = tx
        self.scope = scope
        self.principal = principal
        self.cloud = cloud
        self.clock: Clock = cloud.clock
        self.ids: Ids = cloud.ids
        self.request = request
        self.cause = cause
        self.via = via
        """The services through which the principal's own call has come here, first to last (`("s3",)`); empty for a direct call."""
        self.found: dict[Any, Any] = {}
        """What was read for one part of a run and serves the next (`authorize` and its handler), so that it is read once."""
        self._now: float | None = None

    @property
    def now(self) -> float:
        """UTC epoch seconds; the same throughout one handler run."""
        if self._now is None:
            self._now = self.clock.now()
        return self._now

    def arn(self, service: str, resource: str) -> str:
        return self.scope.arn(service, resource)

    def call(self, service: str, operation: str, **args: Any) -> Reply:
        """Another service's public operation, as this principal, in a savepoint of its own that is undone when it raises."""
        return self.cloud.call(self, service, operation, args)

    def emit(self, source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
        """Put an event into the outbox; it is delivered after, and only if, this transaction commits."""
        self.cloud.append_events(self, (self.event(source, detail_type, resources, detail),))

    def event(self, source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> Event:
        """An event of here and now, for `cloud.append_events`."""
        return Event(
            id=self.ids.uuid(),
            source=source,
            detail_type=detail_type,
            account=self.scope.account,
            region=self.scope.region,
            time=self.now,
            resources=tuple(resources),
            detail=detail,
            cause=self.cause,
        )

    def start_job(self, kind: str, run_id: str, **args: Any) -> None:
        """Start durable work with this transaction: `kind` is a registered job, run_id its unique name, args JSON-able."""
        self.cloud.start_job(self, kind, run_id, args)

    def signal(self, name: str, payload: Any = None) -> None:
        """Tell the run that waits (or will wait) for `name`; kept until a run takes it."""
        self.cloud.signal(self, name, payload)

    def notify(self, name: str) -> None:
        """Wake the requests that wait for `name` (see `Wait`) once this commits. Not kept."""
        self.cloud.notify(self, name)

    def assuming(self, role_arn: str, session_name: str, service: str, source_arn: str = "") -> Context:
        """The same transaction, acting as a role that trusts `service` (`codebuild.amazonaws.com`).

        source_arn: the resource for which the service acts (`aws:SourceArn` in the role's trust policy).
        Raises AwsError AccessDenied in sts's words when the role does not exist or does not trust that service.
        """
        principal = self.cloud.identity.assume_for_service(self, role_arn, session_name, service, source_arn)
        return self.acting(principal)

    def acting(self, principal: Principal) -> Context:
        return Context(self.tx, self.scope, principal, self.cloud, request=self.request, cause=self.cause)

    def as_service(self, service: str, source_arn: str = "") -> Context:
        """The same transaction, acting as a service (`sns.amazonaws.com`) for one of its resources in this account.

        It may do only what the policy of the target's resource grants to that service; `aws:SourceArn` and `aws:SourceAccount` hold.
        """
        return self.acting(Principal.service(service, self.scope.account, source_arn))

    def on_behalf(self, service: str) -> Context:
        """The same caller, whose request a service (`s3`) carries further: `aws:CalledVia` and `kms:ViaService` hold."""
        return Context(self.tx, self.scope, self.principal, self.cloud, request=self.request, cause=self.cause, via=(*self.via, service))

    def in_scope(self, account: str, region: str) -> Context:
        """The same transaction in another account or region."""
        tx = self.tx.within(account, region)
        return Context(tx, Scope(account, region), self.principal, self.cloud, request=self.request, cause=self.cause, via=self.via)

    def caused_by(self, cause: str) -> Context:
        return Context(self.tx, self.scope, self.principal, self.cloud, request=self.request, cause=cause, via=self.via)


Authorize = Callable[..., "list[Need]"]
