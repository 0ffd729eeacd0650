"""What a doomed server has beside its own services, so that jobs whose other end is not built have one: a Lambda that keeps what it is given.

Every function is there, takes every call, and writes the log events of a subscription's payload into the log group `delivered`, in the same
transaction as the step that called it: what is delivered twice is seen twice.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from windtunnel.app import load_services
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import OPERATIONS, writes


def nobody(ctx: Context, **_: Any) -> list[Need]:
    return []


def register() -> None:
    load_services()
    if ("lambda", "Invoke") in OPERATIONS:
        return

    @writes("lambda", "Invoke", authorize=nobody, acts="FunctionName InvocationType Payload")
    def invoke(ctx: Context, function_name: str, invocation_type: str = "", payload: bytes = b"") -> Reply:
        data = json.loads(gzip.decompress(base64.b64decode(json.loads(payload)["awslogs"]["data"])))
        if data["messageType"] == "DATA_MESSAGE":
            events = [{"timestamp": event["timestamp"], "message": event["message"]} for event in data["logEvents"]]
            own = ctx.acting(Principal.service("windtunnel", ctx.scope.account))
            own.call("logs", "PutLogEvents", log_group_name="delivered", log_stream_name="all", log_events=events)
        return {"StatusCode": 202}
