"""Requests per CPU-second of the server beside the other emulators: parameters, objects, messages, logs, events; and what IAM costs.

WINDTUNNEL_BENCH_ONLY: a part of the names of the rows to be measured. Everything that a call sets going counts: after each load the server is given the time to deliver what it accepted, and its CPU seconds
are read then. Ours checks signatures, decides by IAM, and has written durably when it answers; the others keep all in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from servers import EmptyApp, Ministack, Moto, Server, Windtunnel

SECONDS, ROUNDS, CONNECTIONS = 2, 2, 16
DRAIN = 20.0
JSON_10, JSON_11 = ({"Content-Type": f"application/x-amz-json-1.{n}"} for n in (0, 1))
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
KIB = b"x" * 1024
RULES = 50
ONLY = os.environ.get("WINDTUNNEL_BENCH_ONLY", "")
POLICIES = [
    ("queues", ["sqs:*", "sns:*"], "*"),
    ("objects", ["s3:*"], "arn:aws:s3:::bench-*"),
    ("rest", ["logs:*", "events:*", "ssm:*", "kms:*"], "*"),
]


def client(server: Server, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        config=Config(s3={"addressing_style": "path"}),
    )


def milliseconds(text: str, row: str) -> float:
    number, unit = re.search(rf"^\s+{row}\s+([\d.]+)(us|ms|s)", text, re.MULTILINE).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


class NotBuilt(Exception):
    """The server answers that it does not run this."""


class Call:
    """One request as bytes: service, method, path, headers, body."""

    def __init__(self, service: str, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.service, self.method, self.path, self.headers, self.body = service, method, path, headers, body

    def signed(self, server: Server, keys: tuple[str, str]) -> dict[str, str]:
        headers = dict(self.headers)
        if self.service == "s3":
            headers["x-amz-content-sha256"] = hashlib.sha256(self.body).hexdigest()
        request = AWSRequest(method=self.method, url=server.endpoint + self.path, headers=headers, data=self.body)
        (S3SigV4Auth if self.service == "s3" else SigV4Auth)(Credentials(*keys), self.service, "us-east-1").add_auth(request)
        return dict(request.headers)


class Prepared:
    """A server with what the calls need. root: the keys of its root; user: those that the calls are signed with."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.root = self.user = (server.key, server.secret)
        self.account = client(server, "sts").get_caller_identity()["Account"]
        if isinstance(server, Windtunnel):
            self.user = self.make_user()

    def make_user(self) -> tuple[str, str]:
        iam = client(self.server, "iam")
        iam.create_user(UserName="bench")
        for name, actions, resource in POLICIES:
            statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
            iam.put_user_policy(
                UserName="bench", PolicyName=name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            )
        made = iam.create_access_key(UserName="bench")["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def queue(self, name: str) -> tuple[str, str]:
        url = client(self.server, "sqs").create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{self.account}:{name}"
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        client(self.server, "sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        return url, arn

    def depth(self, url: str) -> int:
        shown = client(self.server, "sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(shown["Attributes"]["ApproximateNumberOfMessages"])


Delivered = Callable[[], int]
Row = Callable[[Prepared], "tuple[Call, Delivered | None]"]


def json_call(service: str, target: str, headers: dict[str, str], members: dict[str, Any]) -> Call:
    return Call(service, "POST", "/", {**headers, "X-Amz-Target": target}, json.dumps(members, separators=(",", ":")).encode())


def send_message(at: Prepared) -> tuple[Call, Delivered | None]:
    url, _ = at.queue("bench-send")
    return json_call("sqs", "AmazonSQS.SendMessage", JSON_10, {"QueueUrl": url, "MessageBody": "x" * 256}), None


def receive_message(at: Prepared) -> tuple[Call, Delivered | None]:
    """From a queue of a hundred; a message is visible again at once, so that the queue stays as it is."""
    url, _ = at.queue("bench-receive")
    sqs = client(at.server, "sqs")
    for batch in range(10):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": f"{batch}-{n}", "MessageBody": "x" * 256} for n in range(10)])
    return json_call("sqs", "AmazonSQS.ReceiveMessage", JSON_10, {"QueueUrl": url, "VisibilityTimeout": 0}), None


def get_object(at: Prepared) -> tuple[Call, Delivered | None]:
    bucket(at)
    return Call("s3", "GET", "/bench-bucket/k", {}, b""), None


def put_object(at: Prepared) -> tuple[Call, Delivered | None]:
    bucket(at)
    return Call("s3", "PUT", "/bench-bucket/p", {"Content-Type": "application/octet-stream"}, KIB), None


def bucket(at: Prepared) -> None:
    s3 = client(at.server, "s3")
    s3.create_bucket(Bucket="bench-bucket")
    s3.put_object(Bucket="bench-bucket", Key="k", Body=KIB)


def publish(at: Prepared) -> tuple[Call, Delivered | None]:
    url, arn = at.queue("bench-topic-queue")
    sns = client(at.server, "sns")
    topic = sns.create_topic(Name="bench")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    body = f"Action=Publish&Version=2010-03-31&TopicArn={quote(topic, safe='')}&Message={'x' * 256}"
    return Call("sns", "POST", "/", FORM, body.encode()), lambda: at.depth(url)


def put_log_events(at: Prepared) -> tuple[Call, Delivered | None]:
    logs = client(at.server, "logs")
    logs.create_log_group(logGroupName="/bench")
    logs.create_log_stream(logGroupName="/bench", logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now + n, "message": f"2026-11-26 line {n:04d} of a request that took {n} ms"} for n in range(1000)]
    return json_call(
        "logs", "Logs_20140328.PutLogEvents", JSON_11, {"logGroupName": "/bench", "logStreamName": "s", "logEvents": events}
    ), None


def put_events(at: Prepared) -> tuple[Call, Delivered | None]:
    """Fifty rules, of which one matches and has a queue for its target."""
    url, arn = at.queue("bench-rule-queue")
    events = client(at.server, "events")
    for number in range(RULES):
        pattern = {"source": [f"bench.{number}"], "detail": {"state": ["on"], "n": [{"numeric": [">", number]}]}}
        events.put_rule(Name=f"bench-{number}", EventPattern=json.dumps(pattern))
        events.put_targets(Rule=f"bench-{number}", Targets=[{"Id": "q", "Arn": arn}])
    detail = json.dumps({"state": "on", "n": 99})
    entry = {"Source": "bench.7", "DetailType": "bench", "Detail": detail}
    return json_call("events", "AWSEvents.PutEvents", JSON_11, {"Entries": [entry]}), lambda: at.depth(url)


def get_parameter(at: Prepared) -> tuple[Call, Delivered | None]:
    client(at.server, "ssm").put_parameter(Name="/bench/p", Value="v", Type="String", Overwrite=True)
    return json_call("ssm", "AmazonSSM.GetParameter", JSON_11, {"Name": "/bench/p"}), None


def put_parameter(at: Prepared) -> tuple[Call, Delivered | None]:
    members = {"Name": "/bench/q", "Value": "v", "Type": "String", "Overwrite": True}
    return json_call("ssm", "AmazonSSM.PutParameter", JSON_11, members), None


ROWS: list[tuple[str, Row, float, float]] = [
    ("SSM GetParameter", get_parameter, 2.0, 8),
    ("SSM PutParameter", put_parameter, 1.2, 8),
    ("SQS SendMessage", send_message, 1.2, 8),
    ("SQS ReceiveMessage", receive_message, 1.2, 8),
    ("S3 GetObject 1 KiB", get_object, 2.0, 8),
    ("S3 PutObject 1 KiB", put_object, 1.0, 8),
    ("SNS Publish to SQS", publish, 1.2, 8),
    ("Logs PutLogEvents 1,000", put_log_events, 1.2, 8),
    ("Events PutEvents, 50 rules", put_events, 1.2, 8),
]
"""Name, what to call, and the least times that ours must be of ministack's and of moto_server's."""


def wrk(server: Server, call: Call, keys: tuple[str, str], seconds: int) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method={json.dumps(call.method)}\n")
        if call.body:
            script.write(f"wrk.body={json.dumps(call.body.decode())}\n")
        for name, value in call.signed(server, keys).items():
            script.write(f"wrk.headers[{json.dumps(name)}]={json.dumps(value)}\n")
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script.name, server.endpoint + call.path]
        return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout


def measure(
    at: Prepared, call: Call, delivered: Delivered | None, keys: tuple[str, str] | None = None, seconds: int = SECONDS
) -> tuple[float, float, float]:
    """(requests per CPU-second of the server, deliveries included; p50 ms, p99 ms)."""
    before, there = at.server.cpu(), delivered() if delivered else 0
    text = wrk(at.server, call, keys or at.user, seconds)
    found = re.search(r"(\d+) requests in", text)
    count = int(found[1]) if found else 0
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    # moto_server answers a few requests of many with a 500; anything else is a mistake of the bench.
    if not count or (refused and int(refused[1]) > count * 0.02):
        raise NotBuilt(text)
    lost = wait_for_deliveries(delivered, there + count) if delivered else 0
    if lost > CONNECTIONS and isinstance(at.server, Windtunnel):
        print(f"bench: {at.server.name} has not delivered {lost} of {count}", file=sys.stderr)
    return count / max(at.server.cpu() - before, 1e-9), milliseconds(text, "50%"), milliseconds(text, "99%")


def wait_for_deliveries(delivered: Delivered, wanted: int) -> int:
    """How many are still missing when no more come."""
    pause, deadline, last = threading.Event(), time.monotonic() + DRAIN, -1
    while time.monotonic() < deadline:
        now = delivered()
        if now >= wanted or now == last:
            return wanted - now
        last = now
        pause.wait(0.5)
    return wanted - delivered()


Figures = tuple[float, float, float]


def rounds(ats: list[Prepared], row: Row) -> dict[str, Figures | None]:
    """Medians for each server; None where it is not built."""
    calls: dict[str, tuple[Call, Delivered | None]] = {}
    for at in ats:
        try:
            calls[at.server.name] = row(at)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (404, 501):
                raise
    found: dict[str, list[Figures]] = {at.server.name: [] for at in ats}
    for number in range(ROUNDS):
        for at in ats:
            # moto_server is so far away that one round says it.
            if at.server.name in calls and not (number and isinstance(at.server, Moto)):
                try:
                    found[at.server.name].append(measure(at, *calls[at.server.name]))
                except NotBuilt as refused:
                    print(f"bench: {at.server.name} refuses: {str(refused)[-300:]}", file=sys.stderr)
                    calls.pop(at.server.name)
    return {name: middle(rows) if rows else None for name, rows in found.items()}


def middle(rows: list[Figures]) -> Figures:
    first, second, third = (statistics.median(column) for column in zip(*rows, strict=True))
    return first, second, third


def cell(figures: Figures | None) -> str:
    return f"{'not built':>27} " if figures is None else f"{figures[0]:11,.0f} ({figures[1]:5.1f} /{figures[2]:6.1f})"


def ratio(ours: Figures | None, other: Figures | None) -> str:
    return f"{ours[0] / other[0]:10.2f}x" if ours and other else f"{'-':>11}"


def costs_of_identity(at: Prepared) -> None:
    """The same call by root, for whom nothing is decided, and by a user with three policies; in turns."""
    print(f"\n{'requests per CPU-second':28}{'as root':>11}{'as a user':>11}{'dearer':>9}{'bar':>6}")
    for name, row in (("SSM GetParameter", get_parameter), ("S3 GetObject 1 KiB", get_object), ("SQS SendMessage", send_message)):
        try:
            call, _ = row(at)
        except ClientError:
            print(f"{name:28}{'not built':>11}")
            continue
        pairs = [(measure(at, call, None, at.root)[0], measure(at, call, None, at.user)[0]) for _ in range(ROUNDS + 1)]
        root, user = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:28}{root:11,.0f}{user:11,.0f}{root / user - 1:9.0%}{'25%':>6}")


def bare_requests(empty: Server) -> float:
    before = empty.cpu()
    text = wrk(empty, Call("ssm", "GET", "/", {}, b""), ("a", "b"), SECONDS)
    return int(re.search(r"(\d+) requests in", text)[1]) / max(empty.cpu() - before, 1e-9)  # type: ignore[index]


def main() -> None:
    servers: list[Server] = [Windtunnel(), Ministack(), Moto()]
    empty = EmptyApp()
    try:
        ats = [Prepared(server) for server in servers]
        print(f"\nrequests per CPU-second of the server, deliveries included, {CONNECTIONS} connections (p50 / p99 ms in brackets)")
        print(f"{'':28}" + "".join(f"{s.name:>28}" for s in servers) + f"{'/ ministack':>12}{'bar':>6}{'/ moto':>11}{'bar':>5}")
        for name, row, bar, moto_bar in [row for row in ROWS if ONLY in row[0]]:
            found = rounds(ats, row)
            ours, mini, moto = (found[server.name] for server in servers)
            print(f"{name:28}{cell(ours)}{cell(mini)}{cell(moto)}{ratio(ours, mini):>12}{bar:5.1f}x{ratio(ours, moto)}{moto_bar:4.0f}x")
        bare = statistics.median(bare_requests(empty) for _ in range(ROUNDS))
        print(f"{'empty ASGI app':28}{bare:11,.0f}")
        if not ONLY:
            costs_of_identity(ats[0])
    finally:
        for server in (*servers, empty):
            server.close()
