"""API destinations and connections: real HTTP requests, authorized, retried, dead-lettered; secrets in Secrets Manager alone."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/caller"
KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "s3cret"}}
BASIC = {"BasicAuthParameters": {"Username": "ann", "Password": "hunter2"}}


class Api:
    """An HTTP server that keeps what it was asked, and answers with `statuses` first and 200 then."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self.statuses: list[int] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                api.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(api.statuses.pop(0) if api.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            do_POST = do_PUT = do_GET = answer

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.close()


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with InProcessCloud(tmp_path) as cloud:
        door = Door(cloud)
        iam, sqs = door.client("iam"), door.client("sqs")
        trust = document(Principal={"Service": "events.amazonaws.com"}, Action="sts:AssumeRole")
        iam.create_role(RoleName="caller", AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=document(Action="events:InvokeApiDestination", Resource="*"))
        grant = document(Principal={"Service": "events.amazonaws.com"}, Action="sqs:SendMessage", Resource="*")
        sqs.create_queue(QueueName="letters", Attributes={"Policy": grant})
        yield door


def target(door: Door, url: str, parameters: dict[str, Any], method: str = "POST", **more: Any) -> None:
    """A rule `r` over the source `shop` whose target is an API with that authorization."""
    events = door.client("events")
    kind = "BASIC" if "BasicAuthParameters" in parameters else "API_KEY"
    connection = events.create_connection(Name="c", AuthorizationType=kind, AuthParameters=parameters)
    assert connection["ConnectionState"] == "AUTHORIZED"
    destination = events.create_api_destination(
        Name="d", ConnectionArn=connection["ConnectionArn"], InvocationEndpoint=url, HttpMethod=method, InvocationRateLimitPerSecond=300
    )
    events.put_rule(Name="r", EventPattern='{"source":["shop"]}')
    letters = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters"}
    given = {"Id": "t", "Arn": destination["ApiDestinationArn"], "RoleArn": ROLE, "DeadLetterConfig": letters, **more}
    assert events.put_targets(Rule="r", Targets=[given])["FailedEntryCount"] == 0


def happens(door: Door, **detail: Any) -> None:
    door.client("events").put_events(Entries=[{"Source": "shop", "DetailType": "Ordered", "Detail": json.dumps(detail)}])


def letter(door: Door) -> dict[str, str]:
    """What the one dead letter tells."""
    sqs = door.client("sqs")
    url = sqs.get_queue_url(QueueName="letters")["QueueUrl"]

    def found() -> Any:
        return sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")

    (message,) = until(found, what="a dead letter")
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def test_a_key_and_parameters_of_connection_and_target(door: Door, api: Api) -> None:
    shared = {
        "HeaderParameters": [{"Key": "x-team", "Value": "a"}],
        "QueryStringParameters": [{"Key": "q", "Value": "1 2", "IsValueSecret": True}],
        "BodyParameters": [{"Key": "from", "Value": "tunnel"}],
    }
    own = {"PathParameterValues": ["o/7"], "HeaderParameters": {"x-own": "b"}, "QueryStringParameters": {"p": "z"}}
    target(door, f"{api.url}/orders/*", KEY | {"InvocationHttpParameters": shared}, HttpParameters=own, InputPath="$.detail")
    happens(door, n=7)
    until(lambda: api.asked, what="the request")
    method, path, headers, body = api.asked[0]
    assert (method, path) == ("POST", "/orders/o%2F7?p=z&q=1+2")
    assert (headers["x-key"], headers["x-team"], headers["x-own"]) == ("s3cret", "a", "b")
    assert (headers["content-type"], headers["user-agent"]) == ("application/json; charset=utf-8", "Amazon/EventBridge/ApiDestinations")
    assert json.loads(body) == {"n": 7, "from": "tunnel"}


def test_name_and_password(door: Door, api: Api) -> None:
    target(door, api.url, BASIC, method="PUT")
    happens(door, n=7)
    until(lambda: api.asked, what="the request")
    method, _, headers, body = api.asked[0]
    assert (method, headers["authorization"]) == ("PUT", "Basic " + b64encode(b"ann:hunter2").decode())
    assert json.loads(body)["detail"] == {"n": 7}


def test_a_server_that_fails_is_asked_again_and_a_client_error_is_not(door: Door, api: Api) -> None:
    target(door, api.url, KEY)
    api.statuses = [500, 429]
    happens(door)
    until(lambda: len(api.asked) == 3, what="three requests")
    api.statuses = [400]
    happens(door)
    told = letter(door)
    assert (told["ERROR_CODE"], told["ERROR_MESSAGE"], told["RETRY_ATTEMPTS"]) == (
        "ERROR_FROM_TARGET",
        "The API answered with HTTP 400.",
        "0",
    )
    assert len(api.asked) == 4


def test_nobody_there(door: Door, api: Api) -> None:
    target(door, "http://127.0.0.1:1/", KEY, RetryPolicy={"MaximumRetryAttempts": 0})
    happens(door)
    told = letter(door)
    assert (told["ERROR_CODE"], told["EXHAUSTED_RETRY_CONDITION"]) == ("CONNECTION_FAILURE", "MaximumRetryAttempts")


def test_a_role_that_may_not_and_a_connection_that_is_no_more(door: Door, api: Api) -> None:
    target(door, api.url, KEY)
    door.client("iam").delete_role_policy(RoleName="caller", PolicyName="p")
    happens(door)
    told = letter(door)
    assert told["ERROR_CODE"] == "NO_PERMISSIONS"
    assert "events:InvokeApiDestination" in told["ERROR_MESSAGE"]
    assert api.asked == []


def test_connections_show_no_secret_and_secrets_manager_keeps_it(door: Door) -> None:
    events, secrets = door.client("events"), door.client("secretsmanager")
    shared = {"HeaderParameters": [{"Key": "h", "Value": "open"}, {"Key": "s", "Value": "closed", "IsValueSecret": True}]}
    made = events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters=KEY | {"InvocationHttpParameters": shared})
    shown = events.describe_connection(Name="c")
    assert shown["AuthParameters"] == {
        "ApiKeyAuthParameters": {"ApiKeyName": "x-key"},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "h", "Value": "open", "IsValueSecret": False}, {"Key": "s", "IsValueSecret": True}]
        },
    }
    assert json.loads(secrets.get_secret_value(SecretId=shown["SecretArn"])["SecretString"])["api_key_value"] == "s3cret"
    assert "s3cret" not in json.dumps(shown, default=str)
    events.update_connection(Name="c", AuthParameters={"ApiKeyAuthParameters": {"ApiKeyValue": "new"}})
    value = json.loads(secrets.get_secret_value(SecretId=shown["SecretArn"])["SecretString"])
    assert (value["api_key_name"], value["api_key_value"]) == ("x-key", "new")
    events.update_connection(Name="c", AuthorizationType="BASIC", AuthParameters=BASIC)
    assert events.describe_connection(Name="c")["AuthParameters"]["BasicAuthParameters"] == {"Username": "ann"}
    assert [one["Name"] for one in events.list_connections(ConnectionState="AUTHORIZED")["Connections"]] == ["c"]
    destination = events.create_api_destination(
        Name="d", ConnectionArn=made["ConnectionArn"], InvocationEndpoint="https://example.com/", HttpMethod="GET"
    )
    assert destination["ApiDestinationState"] == "ACTIVE"
    events.deauthorize_connection(Name="c")
    assert events.describe_connection(Name="c")["ConnectionState"] == "DEAUTHORIZED"
    assert events.describe_api_destination(Name="d")["ApiDestinationState"] == "INACTIVE"
    assert events.update_api_destination(Name="d", HttpMethod="POST")["ApiDestinationArn"] == destination["ApiDestinationArn"]
    assert [one["HttpMethod"] for one in events.list_api_destinations(ConnectionArn=made["ConnectionArn"])["ApiDestinations"]] == ["POST"]
    events.delete_api_destination(Name="d")
    assert events.delete_connection(Name="c")["ConnectionState"] == "DELETING"
    for call, given in ((events.describe_connection, {"Name": "c"}), (events.describe_api_destination, {"Name": "d"})):
        with pytest.raises(ClientError) as refused:
            call(**given)
        assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError) as gone:
        secrets.get_secret_value(SecretId=shown["SecretArn"])
    assert gone.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    "kind, parameters, code, words",
    [
        (
            "OAUTH_CLIENT_CREDENTIALS",
            {
                "OAuthParameters": {
                    "ClientParameters": {"ClientID": "a", "ClientSecret": "b"},
                    "AuthorizationEndpoint": "x",
                    "HttpMethod": "POST",
                }
            },
            "NotImplemented",
            "OAuthParameters",
        ),
        ("OAUTH_CLIENT_CREDENTIALS", KEY, "NotImplemented", "OAUTH_CLIENT_CREDENTIALS"),
        ("BASIC", KEY, "ValidationException", "BasicAuthParameters must be given"),
        ("BASIC", BASIC | KEY, "ValidationException", "and no others"),
    ],
)
def test_connections_that_are_refused(door: Door, kind: str, parameters: dict[str, Any], code: str, words: str) -> None:
    events = door.client("events")
    with pytest.raises(ClientError) as refused:
        events.create_connection(Name="c", AuthorizationType=kind, AuthParameters=parameters)
    assert refused.value.response["Error"]["Code"] == code
    assert words in refused.value.response["Error"]["Message"]
    assert events.list_connections()["Connections"] == []
    assert door.client("secretsmanager").list_secrets()["SecretList"] == []
