"""Stacks beside the other emulators: create, update, delete as a client sees them, a plan, DescribeStacks, and what others notice of a big deployment.

The same templates on every server in one run: groups of ten resources that need each other (a queue and its dead letters, a topic and its subscription,
parameters in a chain, a role, a log group, a rule, a bucket). Ours answers CreateStack before the work is done and writes every event durably; the others
do everything in memory, and ministack before it answers. Times are from the call to the first DescribeStacks that shows the end, asked over HTTP.
"""

from __future__ import annotations

import http.client
import json
import re
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests_ import FORM, Call, NotBuilt, Prepared, client, measure
from servers import Ministack, Moto, Server, Windtunnel

SIZES = (10, 50, 200, 500)
ROUNDS = {10: 9, 50: 7, 200: 5, 500: 5}
BARS = {10: 20.0, 200: 100.0, 500: 250.0}
PLAN_BAR, IDENTITY_BAR, DESCRIBE_BAR = 100.0, 50.0, 1.5
BODY_LIMIT = 51_200
LONGEST = 120.0
PROBE = """
import http.client, json, sys, threading, time
host, port, headers, body = json.loads(sys.argv[1])
connection, found, going = http.client.HTTPConnection(host, port), [], [True]
threading.Thread(target=lambda: (sys.stdin.read(), going.clear()), daemon=True).start()
while going:
    began = time.monotonic()
    connection.request("POST", "/", body, headers)
    connection.getresponse().read()
    found.append((began, time.monotonic() - began))
print(json.dumps(found))
"""


def parameter(name: str, value: Any) -> dict[str, Any]:
    """With a name, for moto_server makes none up."""
    properties = {"Type": "String", "Name": {"Fn::Sub": f"/${{AWS::StackName}}/{name}"}, "Value": value}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties}


def group(n: int, seconds: int) -> dict[str, Any]:
    """Ten resources. seconds: what an update changes."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    arn = {"Fn::GetAtt": [f"Queue{n}", "Arn"]}
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}]}
    before = {"Ref": f"Next{n - 1}"} if n % 10 else "first"
    return {
        f"Dead{n}": {"Type": "AWS::SQS::Queue"},
        f"Queue{n}": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "VisibilityTimeout": seconds,
                "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": [f"Dead{n}", "Arn"]}, "maxReceiveCount": 5},
            },
        },
        f"Topic{n}": {"Type": "AWS::SNS::Topic"},
        f"Subscription{n}": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": {"Ref": f"Topic{n}"}, "Protocol": "sqs", "Endpoint": arn},
        },
        f"Group{n}": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 7}},
        f"Role{n}": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": trust, "Policies": [{"PolicyName": "send", "PolicyDocument": allow}]},
        },
        f"First{n}": parameter(f"first{n}", {"Fn::Sub": f"${{Queue{n}.Arn}} of ${{Topic{n}}}"}),
        f"Next{n}": parameter(f"next{n}", {"Fn::Join": [" ", [before, {"Ref": f"First{n}"}]]}),
        f"Rule{n}": {
            "Type": "AWS::Events::Rule",
            "Properties": {"EventPattern": {"source": [f"bench.{n}"]}, "State": "ENABLED", "Targets": [{"Id": "queue", "Arn": arn}]},
        },
        f"Bucket{n}": {"Type": "AWS::S3::Bucket"},
    }


def template(count: int, seconds: int = 30) -> str:
    resources: dict[str, Any] = {}
    for n in range(count // 10):
        resources |= group(n, seconds)
    return json.dumps({"Resources": resources, "Outputs": {"Last": {"Value": {"Ref": f"Next{count // 10 - 1}"}}}}, separators=(",", ":"))


class Stacks:
    """A client that signs each request and reads what it needs out of the answer: quick enough not to be what is measured."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self._signer = SigV4Auth(Credentials(server.key, server.secret), "cloudformation", "us-east-1")
        self._s3 = client(server, "s3")
        self._s3.create_bucket(Bucket="bench-templates")

    def ask(self, action: str, **members: str) -> str:
        body = urlencode({"Action": action, "Version": "2010-05-15", **members})
        request = AWSRequest(method="POST", url=self.server.endpoint + "/", headers=dict(FORM), data=body)
        self._signer.add_auth(request)
        self._connection.request("POST", "/", body, dict(request.headers))
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise NotBuilt(f"{action}: {answer.status} {text[:300]}")
        return text

    def template(self, text: str) -> dict[str, str]:
        """As a member: the body, or where it is."""
        if len(text) <= BODY_LIMIT:
            return {"TemplateBody": text}
        self._s3.put_object(Bucket="bench-templates", Key=f"{len(text)}", Body=text.encode())
        host = "https://bench-templates.s3.amazonaws.com" if isinstance(self.server, Moto) else f"{self.server.endpoint}/bench-templates"
        return {"TemplateURL": f"{host}/{len(text)}"}

    def timed(self, action: str, name: str, wanted: str, **members: str) -> float:
        """Milliseconds until the stack has arrived."""
        began = time.monotonic()
        said = self.ask(action, StackName=name, **members)
        found = re.search(r"<StackId>([^<]+)", said)
        shown = found[1] if found else name
        while time.monotonic() - began < LONGEST:
            try:
                text = self.ask("DescribeStacks", StackName=shown)
            except NotBuilt:
                if action == "DeleteStack":
                    break
                raise
            status = re.search(r"<StackStatus>([^<]+)", text)
            if status and not status[1].endswith("_IN_PROGRESS"):
                if status[1] != wanted:
                    raise NotBuilt(f"{action}: {status[1]} {text[:600]}")
                break
            select.select([], [], [], 0.001)
        return (time.monotonic() - began) * 1000


Life = dict[str, list[float]]


def life(stacks: Stacks, size: int, name: str, found: Life) -> None:
    """One stack from its creation to its end."""
    capable = {"Capabilities.member.1": "CAPABILITY_IAM"}
    first, second = stacks.template(template(size)), template(size, 31)
    found.setdefault("create", []).append(stacks.timed("CreateStack", name, "CREATE_COMPLETE", **first, **capable))
    changed = stacks.template(second)
    found.setdefault("update", []).append(stacks.timed("UpdateStack", name, "UPDATE_COMPLETE", **changed, **capable))
    arn = re.search(r"<StackId>([^<]+)", stacks.ask("DescribeStacks", StackName=name))
    whole = arn[1] if arn and isinstance(stacks.server, Windtunnel) else name
    found.setdefault("delete", []).append(stacks.timed("DeleteStack", whole, "DELETE_COMPLETE"))


def lives(every: list[Stacks], size: int) -> dict[str, Life | None]:
    """In turns, so that what else the machine does meets all alike."""
    found: dict[str, Life | None] = {stacks.server.name: {} for stacks in every}
    for number in range(ROUNDS[size]):
        for stacks in every:
            mine = found[stacks.server.name]
            if mine is None or (number > 1 and isinstance(stacks.server, Moto)):
                continue
            before = cpu(stacks.server)
            try:
                life(stacks, size, f"bench-{size}-{number}", mine)
            except (NotBuilt, OSError, http.client.HTTPException) as refused:
                print(f"bench: {stacks.server.name}, {size} resources: {str(refused)[:300]}", file=sys.stderr)
                found[stacks.server.name] = None
                continue
            mine.setdefault("cpu", []).append((cpu(stacks.server) - before) * 1000)
    return found


def cpu(server: Server) -> float:
    """CPU seconds of the server and its helpers, to the microsecond (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in server.pids())


def plans(stacks: Stacks, size: int) -> tuple[float, float]:
    """Milliseconds for CreateChangeSet: of a new stack, and of a tenth of an existing one."""
    capable = {"Capabilities.member.1": "CAPABILITY_IAM"}
    first, second = stacks.template(template(size)), template(size, 31)
    fresh, changed = [], []
    stacks.timed("CreateStack", "planned", "CREATE_COMPLETE", **first, **capable)
    member = stacks.template(second)
    for number in range(5):
        for where, stack, given, kind in ((fresh, f"new-{number}", first, "CREATE"), (changed, "planned", member, "UPDATE")):
            if kind == "CREATE":
                given = stacks.template(template(size))
            else:
                given = stacks.template(second)
            began = time.monotonic()
            stacks.ask("CreateChangeSet", StackName=stack, ChangeSetName=f"c{number}", ChangeSetType=kind, **given, **capable)
            where.append((time.monotonic() - began) * 1000)
    return statistics.median(fresh), statistics.median(changed)


@contextmanager
def probed(server: Server) -> Iterator[list[tuple[float, float]]]:
    """Another client that asks who it is, over and over; what it measured is in the list afterwards."""
    body = "Action=GetCallerIdentity&Version=2011-06-15"
    headers = Call("sts", "POST", "/", FORM, body.encode()).signed(server, (server.key, server.secret))
    asked = json.dumps(["127.0.0.1", server.port, headers, body])
    process = subprocess.Popen([sys.executable, "-c", PROBE, asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found: list[tuple[float, float]] = []
    try:
        select.select([], [], [], 0.3)
        yield found
    finally:
        said, _ = process.communicate(timeout=60)
        found.extend((began, took) for began, took in json.loads(said))


def others(stacks: Stacks, size: int, times: int = 5) -> tuple[float, float, float]:
    """p50, p99 and the longest answer to GetCallerIdentity while stacks are made, in ms."""
    capable = {"Capabilities.member.1": "CAPABILITY_IAM"}
    given = stacks.template(template(size))
    spans = []
    with probed(stacks.server) as found:
        for number in range(times):
            began = time.monotonic()
            stacks.timed("CreateStack", f"probed-{number}", "CREATE_COMPLETE", **given, **capable)
            spans.append((began, time.monotonic()))
    took = sorted(took * 1000 for began, took in found if any(low <= began <= high for low, high in spans))
    return took[len(took) // 2], took[int(len(took) * 0.99)], took[-1]


def described(server: Server) -> float | None:
    """DescribeStacks of five stacks: requests per CPU-second."""
    at = Prepared(server)
    call = Call("cloudformation", "POST", "/", FORM, b"Action=DescribeStacks&Version=2010-05-15")
    try:
        return statistics.median(measure(at, call, None, at.root)[0] for _ in range(3))
    except NotBuilt:
        return None


def cell(values: list[float] | None) -> str:
    return f"{statistics.median(values):12.1f}" if values else f"{'-':>12}"


def main() -> None:
    servers: list[Server] = [Windtunnel(), Ministack(), Moto()]
    try:
        every = [Stacks(server) for server in servers]
        for stacks in every:
            try:
                life(stacks, 10, "bench-first", {})
            except NotBuilt as refused:
                print(f"bench: {stacks.server.name}: {str(refused)[:300]}", file=sys.stderr)
        for number in range(5):
            for stacks in every:
                stacks.timed(
                    "CreateStack",
                    f"five-{number}",
                    "CREATE_COMPLETE",
                    TemplateBody=json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}),
                )
        print("\nDescribeStacks of 5: requests per CPU-second")
        counts = {server.name: described(server) for server in servers}
        ours = counts["windtunnel"]
        print("".join(f"{name:>14} {count or 0:8,.0f}" for name, count in counts.items()), end="")
        if ours:
            print(
                "".join(f"   {ours / count:.2f}x {name}" for name, count in counts.items() if count and name != "windtunnel"),
                f"(bar {DESCRIBE_BAR}x)",
            )
        print(f"\n{'stacks, median ms':24}" + "".join(f"{server.name:>12}" for server in servers) + f"{'/ ministack':>13}{'bar':>8}")
        for size in SIZES:
            found = lives(every, size)
            for what in ("create", "update", "delete", "cpu"):
                rows = [(found[server.name] or {}).get(what) for server in servers]
                mine, mini = rows[0], rows[1]
                ratio = f"{statistics.median(mine) / statistics.median(mini):12.2f}x" if mine and mini else f"{'-':>13}"
                bar = f"{BARS[size]:8.0f}" if what == "create" and size in BARS else ""
                label = {"update": "update of a tenth", "cpu": "CPU of the server"}.get(what, what)
                print(f"{size:5} {label:18}" + "".join(cell(row) for row in rows) + ratio + bar)
        fresh, changed = plans(every[0], 500)
        print(f"\nplan of 500: new {fresh:.1f} ms, a tenth changed {changed:.1f} ms (bar {PLAN_BAR:.0f})")
        middle, p99, longest = others(every[0], 500)
        print(
            f"GetCallerIdentity during deployments of 500: p50 {middle:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms (bar {IDENTITY_BAR:.0f})"
        )
    finally:
        for server in servers:
            server.close()
