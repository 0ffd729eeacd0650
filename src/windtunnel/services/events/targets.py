"""The targets that rules can have here: each a function that calls the target's own operation, as whom AWS would.

Invariant: what a target does commits with the delivery's own mark (or with the event's leaving the outbox), so that nothing happens
twice; beside that the event's id is the request token wherever an operation takes one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from windtunnel.kernel.context import Context, Event, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.model import SERVICE, Bus
from windtunnel.wire.naming import xform

Access = Literal["policy", "either", "role"]
"""Who lets EventBridge in: the target's resource policy alone, that or a role, a role alone."""


class Delivery(NamedTuple):
    """What a target gets. ctx acts as EventBridge may for this target, in the target's account and region."""

    ctx: Context
    arn: Arn
    given: str
    event: dict[str, Any]
    rule_arn: str
    target: dict[str, Any]
    hops: int


class Kind(NamedTuple):
    """A kind of target. quick: is done in the event's own transaction, when it can be."""

    deliver: Callable[[Delivery], None]
    access: Access
    quick: bool


KINDS: dict[str, Kind] = {}


def target(service: str, *, access: Access, quick: bool = False) -> Callable[[Callable[[Delivery], None]], Callable[[Delivery], None]]:
    """Register how events reach targets whose ARN names this service."""

    def register(deliver: Callable[[Delivery], None]) -> Callable[[Delivery], None]:
        KINDS[service] = Kind(deliver, access, quick)
        return deliver

    return register


def _by_its_own_job(to: Delivery) -> None:
    raise AwsError("ValidationException", "API destinations are called by a job of their own.")


DESTINATION = Kind(_by_its_own_job, "role", False)


def kind_of(arn: Arn) -> Kind | None:
    """The kind of target behind an ARN; None for one that is not run here."""
    if arn.service == "events" and arn.resource.startswith("api-destination/"):
        return DESTINATION
    if arn.service == "events" and not arn.resource.startswith("event-bus/"):
        return None
    return KINDS.get(arn.service)


def is_destination(arn: str) -> bool:
    """Whether a target is an API destination, which is called by a job of its own (calling.py)."""
    found = reached(arn)
    return found is not None and found[1] is DESTINATION


@lru_cache(maxsize=4096)
def reached(arn: str) -> tuple[Arn, Kind] | None:
    """A target's ARN, parsed, and its kind; None for one that is not run here."""
    parsed = Arn.parse(arn)
    kind = None if parsed is None else kind_of(parsed)
    return None if parsed is None or kind is None else (parsed, kind)


def deliver(ctx: Context, target: dict[str, Any], given: str, event: dict[str, Any], rule: str, rule_arn: str, hops: int) -> None:
    """Hand an event over. ctx: the rule's account and region. Raises the target's AwsError."""
    found = reached(target["Arn"])
    if found is None:
        raise AwsError("ValidationException", f"{target['Arn']} is not a target that is run here")
    arn, kind = found
    if "RoleArn" in target:
        acting = ctx.assuming(target["RoleArn"], rule, SERVICE, rule_arn)
    elif arn.service == "events":
        acting = ctx.acting(_account(ctx, rule_arn))
    else:
        acting = ctx.as_service(SERVICE, rule_arn)
    here = (arn.account, arn.region) == (ctx.scope.account, ctx.scope.region)
    there = acting if here else acting.in_scope(arn.account, arn.region)
    kind.deliver(Delivery(there, arn, given, event, rule_arn, target, hops))


def _account(ctx: Context, rule_arn: str) -> Principal:
    """The rule's account itself, which is whom a bus's policy names that takes another account's events."""
    return msgspec.structs.replace(Principal.root(ctx.scope.account), source_arn=rule_arn)


@target("sqs", access="either", quick=True)
def send_message(to: Delivery) -> None:
    more = {}
    if "SqsParameters" in to.target:
        more["message_group_id"] = to.target["SqsParameters"]["MessageGroupId"]
    url = f"{to.ctx.cloud.endpoint}/{to.arn.account}/{to.arn.resource}"
    to.ctx.call("sqs", "SendMessage", queue_url=url, message_body=to.given, **more)


@target("sns", access="either", quick=True)
def publish(to: Delivery) -> None:
    to.ctx.call("sns", "Publish", topic_arn=to.target["Arn"], message=to.given)


@target("logs", access="policy", quick=True)
def put_log_event(to: Delivery) -> None:
    """One stream for each target of a rule, made when it is first needed."""
    group = to.arn.resource.removeprefix("log-group:").removesuffix(":*")
    h = hashlib.sha256(f"{to.rule_arn}/{to.target['Id']}".encode()).hexdigest()
    stream = f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:32]}"
    lines = [{"timestamp": int(to.ctx.now * 1000), "message": to.given}]
    try:
        to.ctx.call("logs", "PutLogEvents", log_group_name=group, log_stream_name=stream, log_events=lines)
    except AwsError as error:
        if error.code != "ResourceNotFoundException" or "stream" not in error.message:
            raise
        to.ctx.call("logs", "CreateLogStream", log_group_name=group, log_stream_name=stream)
        to.ctx.call("logs", "PutLogEvents", log_group_name=group, log_stream_name=stream, log_events=lines)


@target("events", access="either", quick=True)
def pass_on(to: Delivery) -> None:
    """Onto another bus, as it is: its id, account and time stay. A bus that got it from another bus passes it on no further."""
    if to.hops:
        raise AwsError("IllegalStatusException", "An event that came from another event bus is not sent to a third one.")
    bus = to.arn.resource.removeprefix("event-bus/")
    may_put(to.ctx, bus, to.arn, to.event["source"], to.event["detail-type"])
    event = Event(
        id=to.event["id"],
        source=to.event["source"],
        detail_type=to.event["detail-type"],
        account=to.event["account"],
        region=to.event["region"],
        time=seconds_of(to.event),
        resources=tuple(to.event["resources"]),
        detail=to.event["detail"],
        cause=to.ctx.cause,
        bus=to.target["Arn"],
        hops=to.hops + 1,
    )
    to.ctx.cloud.append_events(to.ctx, (event,))


def may_put(ctx: Context, bus: str, arn: Arn, source: str, detail_type: str) -> None:
    """Raise AWS's error unless the bus is there and ctx's principal may put such an event onto it."""
    found = ctx.tx.get(Bus, bus)
    if found is None and bus != "default":
        raise AwsError("ResourceNotFoundException", f"Event bus {bus} does not exist.")
    keys = {"events:source": source, "events:detail-type": detail_type, "events:eventBusInvocation": "true"}
    full = f"arn:{arn.partition}:events:{arn.region}:{arn.account}:event-bus/{bus}"
    policy = (found.policy or None) if found is not None else None
    ctx.cloud.identity.check(ctx, [Need("events:PutEvents", full, keys, policy, arn.account)])


def seconds_of(event: dict[str, Any]) -> float:
    """When an event (an envelope) happened, in epoch seconds."""
    return datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


@target("lambda", access="either")
def invoke(to: Delivery) -> None:
    to.ctx.call("lambda", "Invoke", function_name=to.target["Arn"], invocation_type="Event", payload=to.given.encode())


def _parameters(text: str, wanted: frozenset[str]) -> dict[str, Any]:
    """The members of a JSON input that the operation takes; an event itself has none of them."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AwsError("ValidationException", f"The input of the target is not valid JSON: {error}") from error
    return {xform(name): value for name, value in given.items() if name in wanted} if isinstance(given, dict) else {}


@target("codepipeline", access="role")
def start_pipeline(to: Delivery) -> None:
    parameters = _parameters(to.given, frozenset({"variables", "sourceRevisions"}))
    to.ctx.call("codepipeline", "StartPipelineExecution", name=to.arn.resource, client_request_token=to.event["id"], **parameters)


BUILD_PARAMETERS = frozenset(
    {"sourceVersion", "environmentVariablesOverride", "buildspecOverride", "artifactsOverride", "timeoutInMinutesOverride"}
    | {"sourceTypeOverride", "sourceLocationOverride", "imageOverride", "computeTypeOverride", "privilegedModeOverride"}
)


@target("codebuild", access="role")
def start_build(to: Delivery) -> None:
    project = to.arn.resource.removeprefix("project/")
    parameters = _parameters(to.given, BUILD_PARAMETERS)
    to.ctx.call("codebuild", "StartBuild", project_name=project, idempotency_token=to.event["id"], **parameters)
