"""What the generated contract tests need to know of `sns`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION

_TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
NAMES: dict[str, Any] = {
    "topicarn": _TOPIC,
    "targetarn": _TOPIC,
    "resourcearn": _TOPIC,
    "subscriptionarn": f"{_TOPIC}:00000000-0000-0000-0000-000000000000",
    "name": "topic",
    "protocol": "sqs",
    "endpoint": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue",
    "attributename": "DisplayName",
    "attributevalue": "shown",
    "awsaccountid": ["210987654321"],
    "actionname": ["Publish"],
    "message": "hello",
    "token": "0" * 64,
}
ALSO: dict[str, str] = {
    "Publish": "TopicArn",
    "Subscribe": "Endpoint",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [("CreateTopic", {"name": "topic"})]
ACTIONS: dict[str, list[str]] = {"PublishBatch": ["sns:Publish"]}
BY_ITEM = {"PublishBatch"}
