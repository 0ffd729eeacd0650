"""EventBridge's archives, replays and API destinations: every event of the archive reaches the other bus, and reaches it once; an API hears of
every pass."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

ACCOUNT = "123456789012"
ARN = f"arn:aws:events:us-east-1:{ACCOUNT}"
JOBS = ("events.retention", "events.replay", "events.forget", "events.call")
BATCHES, EACH = 5, 9
"""More events than one pass of a replay takes."""


class Api:
    """Keeps the bodies that it was sent. Its thread ends with the process."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(self.rfile.read(int(self.headers["content-length"])).decode())
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.events = cloud.client("events")
        self.api = Api()

    def set_up(self) -> None:
        iam = self.cloud.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam.create_role(RoleName="passer", AssumeRolePolicyDocument=document(trust))
        iam.put_role_policy(
            RoleName="passer", PolicyName="all", PolicyDocument=document({"Effect": "Allow", "Action": "*", "Resource": "*"})
        )

        key = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "v"}}
        connection = self.events.create_connection(Name="api", AuthorizationType="API_KEY", AuthParameters=key)["ConnectionArn"]
        given = {"ConnectionArn": connection, "InvocationEndpoint": self.api.url, "HttpMethod": "POST"}
        arn = self.events.create_api_destination(Name="api", **given)["ApiDestinationArn"]
        self.events.put_rule(Name="api", EventPattern='{"source":["api"]}')
        self.events.put_targets(Rule="api", Targets=[{"Id": "t", "Arn": arn, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/passer"}])

    def go(self, nonce: str) -> None:
        call = {"Source": "api", "DetailType": "x", "Detail": json.dumps({"nonce": nonce})}
        patiently(lambda: self.events.put_events(Entries=[call]))
        source, sink = f"source-{nonce}", f"sink-{nonce}"
        for bus in (source, sink):
            made(lambda bus=bus: self.events.create_event_bus(Name=bus))
            made(lambda bus=bus: self.events.create_archive(ArchiveName=bus, EventSourceArn=f"{ARN}:event-bus/{bus}", RetentionDays=1))
        entry = {"Source": "crash", "DetailType": "x", "Detail": "{}", "EventBusName": source}
        for _ in range(BATCHES):
            patiently(lambda: self.events.put_events(Entries=[entry] * EACH))
        until(lambda: self.held(source) >= BATCHES * EACH, 30, "every event in the archive")
        count = self.held(source)
        rule = {"Name": "on", "EventBusName": source}
        patiently(lambda: self.events.put_rule(**rule, EventPattern='{"source":["crash"]}'))
        target = {"Id": "t", "Arn": f"{ARN}:event-bus/{sink}", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/passer"}
        patiently(lambda: self.events.put_targets(Rule="on", EventBusName=source, Targets=[target]))
        made(
            lambda: self.events.start_replay(
                ReplayName=f"replay-{nonce}",
                EventSourceArn=f"{ARN}:archive/{source}",
                EventStartTime=datetime(2020, 1, 1, tzinfo=UTC),
                EventEndTime=datetime(2040, 1, 1, tzinfo=UTC),
                Destination={"Arn": f"{ARN}:event-bus/{source}"},
            )
        )
        until(lambda: self.events.describe_replay(ReplayName=f"replay-{nonce}")["State"] == "COMPLETED", 60, "the replay's end")
        until(lambda: self.held(sink) >= count, 30, "every event on the other bus")
        assert (self.held(source), self.held(sink)) == (count, count)
        until(lambda: any(f'"{nonce}"' in body for body in self.api.heard), 30, "the API hearing of it")
        for bus in (source, sink):
            gone(lambda bus=bus: self.events.delete_archive(ArchiveName=bus))

    def held(self, archive: str) -> int:
        count: int = patiently(lambda: self.events.describe_archive(ArchiveName=archive))["EventCount"]
        return count


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def made(call: Any) -> None:
    """What a call before the kill has made already is there."""
    tolerate(call, "ResourceAlreadyExistsException")


def gone(call: Any) -> None:
    tolerate(call, "ResourceNotFoundException")


def tolerate(call: Any, code: str) -> None:
    try:
        patiently(call)
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
