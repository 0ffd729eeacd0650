"""Requests per CPU-second of the server, and latency under 16 connections: signed requests, ours as an IAM user with three policies."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
import subprocess
import tempfile
from typing import Any

import boto3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from servers import EmptyApp, Ministack, Moto, Server, Windtunnel

SECONDS, ROUNDS, CONNECTIONS = 3, 3, 16
JSON = {"Content-Type": "application/x-amz-json-1.1"}
KIB = b"x" * 1024


class Case:
    def __init__(self, name: str, service: str, method: str, path: str, headers: dict[str, str], body: bytes, bar: float) -> None:
        self.name, self.service, self.method, self.path, self.headers, self.body, self.bar = name, service, method, path, headers, body, bar


CASES = [
    Case("SSM GetParameter", "ssm", "POST", "/", {**JSON, "X-Amz-Target": "AmazonSSM.GetParameter"}, b'{"Name":"/bench/p"}', 2.0),
    Case(
        "SSM PutParameter",
        "ssm",
        "POST",
        "/",
        {**JSON, "X-Amz-Target": "AmazonSSM.PutParameter"},
        b'{"Name":"/bench/p","Value":"v","Type":"String","Overwrite":true}',
        1.2,
    ),
    Case("S3 GetObject 1 KiB", "s3", "GET", "/bench-bucket/k", {}, b"", 2.0),
    Case("S3 PutObject 1 KiB", "s3", "PUT", "/bench-bucket/k", {"Content-Type": "application/octet-stream"}, KIB, 1.0),
]


def signed(server: Server, case: Case) -> dict[str, str]:
    headers = dict(case.headers)
    if case.service == "s3":
        headers["x-amz-content-sha256"] = hashlib.sha256(case.body).hexdigest()
    request = AWSRequest(method=case.method, url=server.endpoint + case.path, headers=headers, data=case.body)
    (S3SigV4Auth if case.service == "s3" else SigV4Auth)(Credentials(server.key, server.secret), case.service, "us-east-1").add_auth(
        request
    )
    return dict(request.headers)


def load(server: Server, case: Case, seconds: int = SECONDS) -> tuple[float, float, float]:
    """(requests per CPU-second, p50 ms, p99 ms). Raises SystemExit when an answer was not 2xx."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method={json.dumps(case.method)}\n")
        if case.body:
            script.write(f"wrk.body={json.dumps(case.body.decode())}\n")
        for name, value in signed(server, case).items():
            script.write(f"wrk.headers[{json.dumps(name)}]={json.dumps(value)}\n")
        script.flush()
        before = server.cpu()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script.name, server.endpoint + case.path]
        text = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        used = server.cpu() - before
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    # moto_server answers a few requests of many with a 500; anything else is a mistake of the bench.
    if refused and int(refused[1]) > count * 0.02:
        raise SystemExit(f"{server.name}: {case.name} was refused:\n{text}")
    return count / max(used, 1e-9), milliseconds(text, "50%"), milliseconds(text, "99%")


def milliseconds(text: str, row: str) -> float:
    number, unit = re.search(rf"^\s+{row}\s+([\d.]+)(us|ms|s)", text, re.MULTILINE).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def client(server: Server, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        config=Config(s3={"addressing_style": "path"}),
    )


def prepare(server: Server) -> None:
    if isinstance(server, Windtunnel):
        iam = client(server, "iam")
        iam.create_user(UserName="bench")
        for number, (action, resource) in enumerate(
            [("ssm:*", "arn:aws:ssm:*:*:parameter/bench/*"), ("s3:*", "arn:aws:s3:::bench-*"), ("codepipeline:*", "*")]
        ):
            document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
            iam.put_user_policy(UserName="bench", PolicyName=f"p{number}", PolicyDocument=json.dumps(document))
        made = iam.create_access_key(UserName="bench")["AccessKey"]
        server.key, server.secret = made["AccessKeyId"], made["SecretAccessKey"]
    client(server, "s3").create_bucket(Bucket="bench-bucket")
    client(server, "s3").put_object(Bucket="bench-bucket", Key="k", Body=KIB)
    client(server, "ssm").put_parameter(Name="/bench/p", Value="v", Type="String", Overwrite=True)


def main() -> None:
    servers: list[Server] = [Windtunnel(), Ministack(), Moto()]
    empty = EmptyApp()
    try:
        for server in servers:
            prepare(server)
        bare = statistics.median(load(empty, CASES[0], 2)[0] for _ in range(ROUNDS))
        print(f"\nrequests per CPU-second of the server, {CONNECTIONS} connections, medians of {ROUNDS} rounds (p50 / p99 ms in brackets)")
        print(
            f"{'':20}"
            + "".join(f"{server.name:>28}" for server in servers)
            + f"{'/ ministack':>13}{'bar':>6}{'/ moto':>8}{'of bare ASGI':>14}"
        )
        for case in CASES:
            figures = {server.name: [] for server in servers}  # type: dict[str, list[tuple[float, float, float]]]
            for _ in range(ROUNDS):
                for server in servers:
                    figures[server.name].append(load(server, case))
            middle = {name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in figures.items()}
            ours, mini, moto = (middle[server.name][0] for server in servers)
            cells = "".join(f"{rate:11,.0f} ({p50:5.1f} /{p99:6.1f})" for rate, p50, p99 in middle.values())
            print(f"{case.name:20}{cells}{ours / mini:12.2f}x{case.bar:5.1f}x{ours / moto:7.1f}x{ours / bare:13.0%}")
        print(f"{'empty ASGI app':20}{bare:11,.0f}")
    finally:
        for server in (*servers, empty):
            server.close()
