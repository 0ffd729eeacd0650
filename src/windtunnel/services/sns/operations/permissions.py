"""AddPermission and RemovePermission: statements of the topic's policy, by label."""

from __future__ import annotations

import json
from typing import Any

from windtunnel.iam.policy import statements_of
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import writes
from windtunnel.services.sns.guard import at_home, on_topic, the_topic
from windtunnel.services.sns.model import OWNERS_ACTIONS, invalid


@writes("sns", "AddPermission", authorize=on_topic("AddPermission"), acts="TopicArn Label AWSAccountId[] ActionName[]")
def add_permission(ctx: Context, topic_arn: str, label: str, aws_account_id: list[str], action_name: list[str]) -> Reply:
    topic = the_topic(ctx, topic_arn)
    policy: dict[str, Any] = json.loads(topic.policy)
    statements = list(statements_of(policy))
    if any(statement.get("Sid") == label for statement in statements):
        raise invalid("Statement already exists")
    if not label or len(label) > 128:
        raise invalid("Label")
    if not aws_account_id or any(len(one) != 12 or not one.isascii() or not one.isdigit() for one in aws_account_id):
        raise invalid("AWSAccountId")
    if not action_name or any(action not in OWNERS_ACTIONS for action in action_name):
        raise invalid("Policy statement action out of service scope!")
    principals = [f"arn:aws:iam::{account}:root" for account in aws_account_id]
    actions = [f"SNS:{action}" for action in action_name]
    statements.append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
            "Action": actions[0] if len(actions) == 1 else actions,
            "Resource": topic.arn,
        }
    )
    topic.attributes = topic.attributes | {"Policy": json.dumps({**policy, "Statement": statements}, separators=(",", ":"))}
    at_home(ctx, topic).tx.put(topic)
    return {}


@writes("sns", "RemovePermission", authorize=on_topic("RemovePermission"), acts="TopicArn Label")
def remove_permission(ctx: Context, topic_arn: str, label: str) -> Reply:
    """A label that is not there is removed already."""
    topic = the_topic(ctx, topic_arn)
    policy: dict[str, Any] = json.loads(topic.policy)
    statements = list(statements_of(policy))
    left = [statement for statement in statements if statement.get("Sid") != label]
    if len(left) < len(statements):
        attributes = {name: value for name, value in topic.attributes.items() if name != "Policy"}
        if left:
            attributes["Policy"] = json.dumps({**policy, "Statement": left}, separators=(",", ":"))
        topic.attributes = attributes
        at_home(ctx, topic).tx.put(topic)
    return {}
