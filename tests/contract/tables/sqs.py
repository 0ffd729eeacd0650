"""What the generated contract tests need to know of `sqs`."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from harness import ACCOUNT, REGION

_URL = f"http://127.0.0.1:4566/{ACCOUNT}/queue"
_DEAD = f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"
NAMES: dict[str, Any] = {
    "queueurl": _URL,
    "queuename": "queue",
    "queueowneraawsaccountid": ACCOUNT,
    "queueownerawsaccountid": ACCOUNT,
    "sourcearn": _DEAD,
    "destinationarn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue",
    "taskhandle": b64encode(f'{{"taskId":"1","sourceArn":"{_DEAD}"}}'.encode()).decode(),
    "awsaccountids": ["210987654321"],
    "actions": ["SendMessage"],
    "attributenames": ["All"],
    "messagesystemattributenames": ["All"],
    "maxresults": 1,
    "waittimeseconds": 0,
    "maxnumberofmessages": 1,
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateQueue", {"queue_name": "dead"}),
    (
        "CreateQueue",
        {"queue_name": "queue", "attributes": {"RedrivePolicy": f'{{"deadLetterTargetArn":"{_DEAD}","maxReceiveCount":3}}'}},
    ),
    ("SendMessage", {"queue_url": _URL, "message_body": "hello"}),
]
ACTIONS: dict[str, list[str]] = {
    "ChangeMessageVisibilityBatch": ["sqs:ChangeMessageVisibility"],
    "DeleteMessageBatch": ["sqs:DeleteMessage"],
    "SendMessageBatch": ["sqs:SendMessage"],
    # Developer Guide, Configuring queue permissions for dead-letter queue redrive.
    "StartMessageMoveTask": [
        "sqs:StartMessageMoveTask",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:SendMessage",
    ],
}
BY_ITEM = {"SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"}
ERRORS = {"InvalidParameterValueException", "MissingRequiredParameterException"}
