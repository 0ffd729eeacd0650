"""What the generated contract tests need to know of `logs`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION

NAMES: dict[str, Any] = {
    "resourcearn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:group",
}
ALSO: dict[str, str] = {
    "DescribeLogStreams": "logGroupName",
    "FilterLogEvents": "logGroupName",
    "GetLogEvents": "logGroupName",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateLogGroup", {"log_group_name": "group"}),
    ("CreateLogStream", {"log_group_name": "group", "log_stream_name": "stream"}),
]
