"""Connections (how one is let in by an HTTP API) and API destinations (where it is)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope

Parameters = dict[str, Any]


class Connection(Record, kw_only=True):
    """shown: the AuthParameters without their secrets, which stand in Secrets Manager under `secret` (empty: none any more)."""

    KIND: ClassVar[str] = "events.connection"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    id: str
    kind: Literal["BASIC", "API_KEY"]
    shown: Parameters
    secret: str
    created: float
    modified: float
    authorized: float | None = None
    description: str = ""

    def key(self) -> str:
        return self.name

    def arn(self, scope: Scope) -> str:
        return scope.arn("events", f"connection/{self.name}/{self.id}")

    @property
    def state(self) -> str:
        return "AUTHORIZED" if self.secret else "DEAUTHORIZED"

    def times(self) -> dict[str, Any]:
        times = {"CreationTime": self.created, "LastModifiedTime": self.modified, "LastAuthorizedTime": self.authorized}
        return {name: at for name, at in times.items() if at is not None}


class Destination(Record, kw_only=True):
    """An API destination. rate: invocations a second at most; connection: its ARN."""

    KIND: ClassVar[str] = "events.destination"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    id: str
    connection: str
    endpoint: str
    method: str
    created: float
    modified: float
    rate: int = 300
    description: str = ""

    def key(self) -> str:
        return self.name

    def arn(self, scope: Scope) -> str:
        return scope.arn("events", f"api-destination/{self.name}/{self.id}")


class Slot(Record, kw_only=True):
    """When the next call of a destination (by its id) may begin: apart from it, for it changes with every call."""

    KIND: ClassVar[str] = "events.slot"
    SCOPE: ClassVar[RecordScope] = "region"

    destination: str
    at: float

    def key(self) -> str:
        return self.destination


def named_by(arn: str) -> str:
    """The name in the ARN of a connection or destination."""
    return arn.split("/")[1] if arn.count("/") == 2 else ""


def connection_of(ctx: Context, arn: str) -> Connection | None:
    found = ctx.tx.get(Connection, named_by(arn))
    return found if found is not None and found.arn(ctx.scope) == arn else None


def destination_of(ctx: Context, arn: str) -> Destination | None:
    found = ctx.tx.get(Destination, named_by(arn))
    return found if found is not None and found.arn(ctx.scope) == arn else None


def split_secrets(parameters: Parameters) -> tuple[Parameters, Parameters]:
    """(what is shown, all of it in Secrets Manager's manner) of AuthParameters."""
    shown: Parameters = {}
    kept: Parameters = {}
    basic, key = parameters.get("BasicAuthParameters"), parameters.get("ApiKeyAuthParameters")
    if basic is not None:
        shown["BasicAuthParameters"] = {"Username": basic["Username"]}
        kept |= {"username": basic["Username"], "password": basic["Password"]}
    if key is not None:
        shown["ApiKeyAuthParameters"] = {"ApiKeyName": key["ApiKeyName"]}
        kept |= {"api_key_name": key["ApiKeyName"], "api_key_value": key["ApiKeyValue"]}
    more = parameters.get("InvocationHttpParameters")
    if more is not None:
        kept["invocation_http_parameters"] = more
        shown["InvocationHttpParameters"] = {
            kind: [
                {name: value for name, value in one.items() if name != "Value" or not one.get("IsValueSecret")}
                | {"IsValueSecret": one.get("IsValueSecret", False)}
                for one in entries
            ]
            for kind, entries in more.items()
        }
    return shown, kept


def cloud_itself(ctx: Context) -> Context:
    """EventBridge keeps a connection's secret as itself, whoever asks for the connection: AWS has a service-linked role for it."""
    return ctx.acting(Principal.service("windtunnel", ctx.scope.account))


def keep_secret(ctx: Context, connection: Connection, kept: Parameters) -> Connection:
    """Write what a connection's secret is to be. Returns the connection to be stored."""
    own, text = cloud_itself(ctx), msgspec.json.encode(kept).decode()
    if connection.secret:
        own.call("secretsmanager", "PutSecretValue", secret_id=connection.secret, secret_string=text)
        return msgspec.structs.replace(connection, authorized=ctx.now)
    name = f"events!connection/{connection.name}/{ctx.ids.uuid()}"
    made = own.call("secretsmanager", "CreateSecret", name=name, secret_string=text)
    return msgspec.structs.replace(connection, secret=made["ARN"], authorized=ctx.now)


def read_secret(ctx: Context, connection: Connection) -> Parameters:
    text = cloud_itself(ctx).call("secretsmanager", "GetSecretValue", secret_id=connection.secret)["SecretString"]
    found: Parameters = msgspec.json.decode(text)
    return found


def forget_secret(ctx: Context, connection: Connection) -> None:
    if connection.secret:
        cloud_itself(ctx).call("secretsmanager", "DeleteSecret", secret_id=connection.secret, force_delete_without_recovery=True)
