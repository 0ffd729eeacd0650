"""Connections: authorization by name and password or by a key, whose secrets stand in Secrets Manager."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.events.apis import Connection, forget_secret, keep_secret, read_secret, split_secrets
from windtunnel.services.events.lookups import invalid, on_everything, page

MAX_CONNECTIONS = 3000
PARAMETERS = {"BASIC": "BasicAuthParameters", "API_KEY": "ApiKeyAuthParameters"}
WRITTEN = (
    "Name AuthorizationType AuthParameters.BasicAuthParameters.* AuthParameters.ApiKeyAuthParameters.*"
    " AuthParameters.InvocationHttpParameters.*"
)


def on_connection(action: str) -> Any:
    def authorize(ctx: Context, name: str, **_: Any) -> list[Need]:
        found = ctx.tx.get(Connection, name)
        return [Need(f"events:{action}", found.arn(ctx.scope) if found is not None else ctx.arn("events", f"connection/{name}"))]

    return authorize


def the_connection(ctx: Context, name: str) -> Connection:
    found = ctx.tx.get(Connection, name)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"Failed to describe the connection(s). Connection '{name}' does not exist.")
    return found


def _answer(ctx: Context, connection: Connection, state: str = "") -> Reply:
    return {"ConnectionArn": connection.arn(ctx.scope), "ConnectionState": state or connection.state, **connection.times()}


def _check(operation: str, kind: str, parameters: dict[str, Any]) -> None:
    """The parameters are those of the kind, and only those."""
    if kind not in PARAMETERS:
        raise not_built("events", operation, f"AuthorizationType {kind}")
    if PARAMETERS[kind] not in parameters or any(name in parameters for other, name in PARAMETERS.items() if other != kind):
        raise invalid(f"Parameter AuthParameters is not valid. Reason: {PARAMETERS[kind]} must be given for {kind}, and no others.")
    for entries in parameters.get("InvocationHttpParameters", {}).values():
        if any("Key" not in one or "Value" not in one for one in entries):
            raise invalid("Parameter InvocationHttpParameters is not valid. Reason: each one has a Key and a Value.")


@writes("events", "CreateConnection", authorize=on_connection("CreateConnection"), acts=WRITTEN, descriptive="Description")
def create_connection(ctx: Context, name: str, authorization_type: str, auth_parameters: dict[str, Any], description: str = "") -> Reply:
    if ctx.tx.get(Connection, name) is not None:
        raise AwsError("ResourceAlreadyExistsException", f"Connection {name} already exists.")
    _check("CreateConnection", authorization_type, auth_parameters)
    if ctx.tx.count(Connection) >= MAX_CONNECTIONS:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    shown, kept = split_secrets(auth_parameters)
    connection = Connection(
        name=name,
        id=ctx.ids.uuid(),
        kind="BASIC" if authorization_type == "BASIC" else "API_KEY",
        shown=shown,
        secret="",
        created=ctx.now,
        modified=ctx.now,
        description=description,
    )
    connection = keep_secret(ctx, connection, kept)
    ctx.tx.put(connection)
    reply = _answer(ctx, connection)
    del reply["LastAuthorizedTime"]
    return reply


@writes("events", "UpdateConnection", authorize=on_connection("UpdateConnection"), acts=WRITTEN, descriptive="Description")
def update_connection(
    ctx: Context,
    name: str,
    authorization_type: str | None = None,
    auth_parameters: dict[str, Any] | None = None,
    description: str | None = None,
) -> Reply:
    """What is not given stays, secrets too."""
    old = the_connection(ctx, name)
    kind = authorization_type or old.kind
    given = {**_known(ctx, old), **(auth_parameters or {})}
    if authorization_type not in (None, old.kind):
        given.pop(PARAMETERS[old.kind], None)
    for part in PARAMETERS.values():
        if auth_parameters and part in auth_parameters:
            given[part] = {**_known(ctx, old).get(part, {}), **auth_parameters[part]}
    _check_complete(given)
    _check("UpdateConnection", kind, given)
    shown, kept = split_secrets(given)
    connection = msgspec.structs.replace(
        old,
        kind="BASIC" if kind == "BASIC" else "API_KEY",
        shown=shown,
        modified=ctx.now,
        description=old.description if description is None else description,
    )
    connection = keep_secret(ctx, connection, kept)
    ctx.tx.put(connection)
    return _answer(ctx, connection)


def _known(ctx: Context, connection: Connection) -> dict[str, Any]:
    """The AuthParameters as they are, secrets and all."""
    if not connection.secret:
        return {}
    secret = read_secret(ctx, connection)
    found: dict[str, Any] = {}
    if "username" in secret:
        found["BasicAuthParameters"] = {"Username": secret["username"], "Password": secret["password"]}
    if "api_key_name" in secret:
        found["ApiKeyAuthParameters"] = {"ApiKeyName": secret["api_key_name"], "ApiKeyValue": secret["api_key_value"]}
    if "invocation_http_parameters" in secret:
        found["InvocationHttpParameters"] = secret["invocation_http_parameters"]
    return found


def _check_complete(given: dict[str, Any]) -> None:
    members = {"BasicAuthParameters": ("Username", "Password"), "ApiKeyAuthParameters": ("ApiKeyName", "ApiKeyValue")}
    for part, names in members.items():
        missing = [name for name in names if part in given and name not in given[part]]
        if missing:
            raise invalid(f"Parameter {part}.{missing[0]} is not valid. Reason: it must be given.")


@writes("events", "DeauthorizeConnection", authorize=on_connection("DeauthorizeConnection"), acts="Name")
def deauthorize_connection(ctx: Context, name: str) -> Reply:
    connection = the_connection(ctx, name)
    forget_secret(ctx, connection)
    changed = msgspec.structs.replace(connection, secret="", modified=ctx.now)
    ctx.tx.put(changed)
    return _answer(ctx, changed, "DEAUTHORIZING")


@writes("events", "DeleteConnection", authorize=on_connection("DeleteConnection"), acts="Name")
def delete_connection(ctx: Context, name: str) -> Reply:
    connection = the_connection(ctx, name)
    forget_secret(ctx, connection)
    ctx.tx.delete(Connection, name)
    return _answer(ctx, connection, "DELETING")


@reads("events", "DescribeConnection", authorize=on_connection("DescribeConnection"), acts="Name")
def describe_connection(ctx: Context, name: str) -> Reply:
    connection = the_connection(ctx, name)
    more = {"Description": connection.description, "SecretArn": connection.secret}
    return {
        **_answer(ctx, connection),
        "Name": name,
        "AuthorizationType": connection.kind,
        "AuthParameters": connection.shown,
        **{member: value for member, value in more.items() if value},
    }


@reads(
    "events", "ListConnections", authorize=on_everything("ListConnections"), acts="NamePrefix ConnectionState NextToken Limit", cost="scan"
)
def list_connections(
    ctx: Context, name_prefix: str = "", connection_state: str = "", next_token: str | None = None, limit: int = 100
) -> Reply:
    found = [one for one in ctx.tx.scan(Connection, prefix=name_prefix, after=next_token) if connection_state in ("", one.state)]
    return page(
        found, limit, "Connections", lambda one: {**_answer(ctx, one), "Name": one.name, "AuthorizationType": one.kind}, Connection.key
    )
