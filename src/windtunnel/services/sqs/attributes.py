"""Setting a queue's attributes: what of it depends on other queues and on policies' grammar."""

from __future__ import annotations

from windtunnel.iam.grammar import validate
from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.sqs.guard import queue_of_arn
from windtunnel.services.sqs.model import Queue, changed, redrive_allow_policy, redrive_policy
from windtunnel.services.sqs.words import invalid_attribute, invalid_value


def applied(ctx: Context, queue: Queue, given: dict[str, str]) -> Queue:
    """The queue with these (checked) attributes; what they say of other queues must be true."""
    if given.get("Policy"):
        check_policy(given["Policy"])
    if "RedrivePolicy" in given:
        queue.dead_letter_arn, queue.max_receives = _dead_letters(ctx, queue, given["RedrivePolicy"])
    queue.attributes = changed(queue, given)
    if queue.attributes.get("FifoThroughputLimit") == "perMessageGroupId" and queue.attributes.get("DeduplicationScope") != "messageGroup":
        raise invalid_value("perMessageGroupId", "FifoThroughputLimit", "DeduplicationScope must be messageGroup.")
    return queue


def check_policy(text: str) -> None:
    try:
        document = validate(text, "resource")
    except AwsError as error:
        if error.status == 501:
            raise
        raise invalid_attribute("Policy") from None
    for statement in statements_of(document):
        for action in listed(statement.get("Action", statement.get("NotAction", ()))):
            if action != "*" and not action.lower().startswith("sqs:"):
                raise AwsError(
                    "InvalidAttributeValue", "Invalid value for the parameter Policy. Policy statement action out of service scope!"
                )


def _dead_letters(ctx: Context, queue: Queue, policy: str) -> tuple[str, int]:
    if not policy:
        return "", 0
    arn, count = redrive_policy(policy)
    target = queue_of_arn(ctx, arn)
    if target is None:
        raise invalid_value(policy, "RedrivePolicy", "Dead letter target does not exist.")
    if (target.account, target.region) != (queue.account, queue.region):
        raise invalid_value(policy, "RedrivePolicy", "Dead-letter target owner should be same as the source.")
    if target.fifo != queue.fifo:
        raise invalid_value(policy, "RedrivePolicy", "Dead-letter queue must be same type of queue as the source.")
    permission, sources = redrive_allow_policy(target.attributes.get("RedriveAllowPolicy") or "{}")
    if permission == "denyAll" or (permission == "byQueue" and queue.arn not in sources):
        raise invalid_value(policy, "RedrivePolicy", "Dead letter target does not allow this queue to redrive messages to it.")
    return arn, count
