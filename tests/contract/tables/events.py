"""What the generated contract tests need to know of `events`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION

NAMES: dict[str, Any] = {
    "resourcearn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/rule",
    "name": "rule",
}
ALSO: dict[str, str] = {
    "PutRule": "EventPattern",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("PutRule", {"name": "rule", "event_pattern": '{"source":["nobody"]}'}),
]
AFTER = "iam"
