"""Deliveries to API destinations: HTTP requests as a connection says, no faster than the destination allows, tried again as the target says.

Invariant: a request may be made twice after a crash (the event's id in its body tells), but none is left out. Nothing that is secret stands
in a run's record: it is read for each request.
Source: EventBridge user guide, "API destinations": five seconds for an answer; 401, 407, 409, 429 and 5xx are tried again, nothing else.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.services.events.apis import Connection, Destination, Slot, connection_of, destination_of, read_secret
from windtunnel.services.events.model import SERVICE, rule_arn
from windtunnel.services.events.settling import MAX_RETRIES, policy_of, settle
from windtunnel.services.events.transform import target_input

SECONDS = 5.0
AGAIN = (401, 407, 409, 429)
WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")


class Sent(msgspec.Struct):
    """A request."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@job("events.call")
def call_destination(
    run: Run, event: dict[str, Any], rule: str, target: dict[str, Any], bus: str, hops: int, failed: list[str] | None
) -> None:
    for number in range(policy_of(target, "MaximumRetryAttempts", MAX_RETRIES) + 1):
        turn = run.tx(f"slot-{number}", take_slot, target["Arn"])
        if turn:
            run.sleep(f"turn-{number}", turn)
        failed = run.effect(f"attempt-{number}", lambda _: attempt(run, event, rule, target, bus))
        if failed is None:
            return
        pause = run.tx(f"settle-{number}", settle, event, rule, target, number, bus, failed)
        if pause is None:
            return
        run.sleep(f"pause-{number}", pause)


def take_slot(ctx: Context, arn: str) -> float:
    """The seconds until this call's turn."""
    destination = destination_of(ctx, arn)
    if destination is None:
        return 0.0
    last = ctx.tx.get(Slot, destination.id)
    at = max(ctx.now, last.at if last is not None else 0.0)
    ctx.tx.put(Slot(destination=destination.id, at=at + 1.0 / destination.rate))
    return at - ctx.now


def attempt(run: Run, event: dict[str, Any], rule: str, target: dict[str, Any], bus: str) -> list[str] | None:
    """None when the API took it, else (code, message)."""
    try:
        sent = run.read(request, event, rule, target, bus)
    except AwsError as error:
        return [error.code, error.message]
    return post(sent, run.cloud.data / "tls" / "ca.pem")


def request(ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], bus: str) -> Sent:
    """The request, as the target's role may make it."""
    arn = rule_arn(ctx.scope, rule, bus)
    role = ctx.assuming(target["RoleArn"], rule, SERVICE, arn)
    role.cloud.identity.check(role, [Need("events:InvokeApiDestination", target["Arn"])])
    destination = destination_of(ctx, target["Arn"])
    if destination is None:
        raise AwsError("ResourceNotFoundException", f"The API destination {target['Arn']} does not exist.")
    connection = connection_of(ctx, destination.connection)
    if connection is None or not connection.secret:
        raise AwsError("ResourceNotFoundException", f"The connection {destination.connection} is not authorized.")
    return build(destination, connection, read_secret(ctx, connection), target, target_input(target, event, rule, arn))


def build(destination: Destination, connection: Connection, secret: dict[str, Any], target: dict[str, Any], given: str) -> Sent:
    """A request from all that has a say in it. The connection's parameters win over the target's. Pure."""
    own, shared = target.get("HttpParameters", {}), secret.get("invocation_http_parameters", {})
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Amazon/EventBridge/ApiDestinations"}
    headers |= own.get("HeaderParameters", {})
    headers |= {one["Key"]: one["Value"] for one in shared.get("HeaderParameters", [])}
    if connection.kind == "BASIC":
        pair = f"{secret['username']}:{secret['password']}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
    else:
        headers[secret["api_key_name"]] = secret["api_key_value"]
    query = own.get("QueryStringParameters", {}) | {one["Key"]: one["Value"] for one in shared.get("QueryStringParameters", [])}
    url = destination.endpoint
    for value in own.get("PathParameterValues", []):
        url = url.replace("*", quote(value, safe=""), 1)
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query)
    body = _with(given, {one["Key"]: one["Value"] for one in shared.get("BodyParameters", [])})
    return Sent(destination.method, url, headers, body.encode() if destination.method in WITH_BODY else b"")


def _with(given: str, more: dict[str, str]) -> str:
    """A JSON object with more members; any other text as it is."""
    if not more:
        return given
    try:
        value = msgspec.json.decode(given)
    except msgspec.DecodeError:
        return given
    return msgspec.json.encode({**value, **more}).decode() if isinstance(value, dict) else given


def post(sent: Sent, authority: Path) -> list[str] | None:
    """Send a request; None for an answer 2xx, else (code, message). authority: a CA that is trusted beside the machine's own."""
    parts = urlsplit(sent.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    import http.client  # heavy, and for those clouds only that call out

    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            if authority.exists():
                context.load_verify_locations(authority)
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        try:
            connection.request(sent.method, path, sent.body, sent.headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except TimeoutError:
        return ["Timeout", f"no answer within {SECONDS:.0f} seconds"]
    except (OSError, http.client.HTTPException, ValueError) as error:
        return ["ConnectionFailure", f"{type(error).__name__}: {error}"]
    if 200 <= status < 300:
        return None
    return ["TargetFailed" if status in AGAIN or status >= 500 else "Refused", f"The API answered with HTTP {status}."]
