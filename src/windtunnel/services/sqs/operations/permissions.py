"""AddPermission and RemovePermission: statements of the queue's policy, by label."""

from __future__ import annotations

import json
import re
from typing import Any

from windtunnel.iam.policy import statements_of
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.sqs.guard import on_queue, save, the_queue
from windtunnel.services.sqs.model import Queue
from windtunnel.services.sqs.words import invalid, invalid_value

MAX_ACTIONS = 7
GIVEN = frozenset(
    [
        "*",
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
    ]
)
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")


@writes("sqs", "AddPermission", authorize=on_queue("AddPermission", shared=False), acts="QueueUrl Label AWSAccountIds[] Actions[]")
def add_permission(ctx: Context, queue_url: str, label: str, aws_account_ids: list[str], actions: list[str]) -> Reply:
    queue = the_queue(ctx, queue_url)
    _check(label, aws_account_ids, actions)
    policy = _policy(queue)
    statements = list(statements_of(policy))
    if any(statement.get("Sid") == label for statement in statements):
        raise invalid_value(label, "Label", "Already exists.")
    principals = [f"arn:aws:iam::{account}:root" for account in aws_account_ids]
    names = [f"SQS:{action}" for action in actions]
    statements.append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
            "Action": names[0] if len(names) == 1 else names,
            "Resource": queue.arn,
        }
    )
    queue.attributes = {**queue.attributes, "Policy": json.dumps({**policy, "Statement": statements}, separators=(",", ":"))}
    save(ctx, queue)
    return {}


def _check(label: str, accounts: list[str], actions: list[str]) -> None:
    if not _LABEL.match(label):
        raise invalid_value(label, "Label", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.")
    if not accounts or not actions:
        raise invalid("An account and an action are needed at least.")
    if len(actions) > MAX_ACTIONS:
        raise AwsError("OverLimit", f"{len(actions)} Actions were found, maximum allowed is {MAX_ACTIONS}.")
    for account in accounts:
        if len(account) != 12 or not account.isascii() or not account.isdigit():
            raise invalid_value(account, "PrincipalId", "Unable to verify.")
    for action in actions:
        if action not in GIVEN:
            raise invalid_value(f"SQS:{action}", "ActionName", "Only the queue owner is allowed to invoke this action.")


def _policy(queue: Queue) -> dict[str, Any]:
    if queue.policy is None:
        return {"Version": "2008-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy", "Statement": []}
    decoded: dict[str, Any] = json.loads(queue.policy)
    return decoded


@writes("sqs", "RemovePermission", authorize=on_queue("RemovePermission", shared=False), acts="QueueUrl Label")
def remove_permission(ctx: Context, queue_url: str, label: str) -> Reply:
    queue = the_queue(ctx, queue_url)
    policy = _policy(queue)
    statements = list(statements_of(policy))
    left = [statement for statement in statements if statement.get("Sid") != label]
    if len(left) == len(statements):
        raise invalid_value(label, "Label", "can't find label on existing policy.")
    attributes = {name: value for name, value in queue.attributes.items() if name != "Policy"}
    if left:
        attributes["Policy"] = json.dumps({**policy, "Statement": left}, separators=(",", ":"))
    queue.attributes = attributes
    save(ctx, queue)
    return {}
