"""SQS's jobs: dead letters are moved back once each, what was purged or deleted is cleared away, whenever the cloud dies.

The queues are FIFO, so that a send that is repeated because its answer was lost is no second message. That messages expire takes a minute and more
of real time (retention is never paced), so that step is left to tests/wire; its run's other boundaries are passed.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("sqs.retention", "sqs.clear", "sqs.move")
ACCOUNT = "123456789012"
MESSAGES = 120
"""More than one batch of a move task."""


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.sqs = cloud.client("sqs")

    def set_up(self) -> None:
        pass

    def go(self, nonce: str) -> None:
        dead = self.create(f"dead-{nonce}.fifo", {})
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead-{nonce}.fifo"
        source = self.create(f"source-{nonce}.fifo", {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})})
        names = [str(number) for number in range(MESSAGES)]
        for first in range(0, MESSAGES, 10):
            entries = [
                {"Id": name, "MessageBody": name, "MessageGroupId": name, "MessageDeduplicationId": name}
                for name in names[first : first + 10]
            ]
            patiently(lambda entries=entries: self.sqs.send_message_batch(QueueUrl=dead, Entries=entries))
        target = f"arn:aws:sqs:us-east-1:{ACCOUNT}:source-{nonce}.fifo"
        allowing(lambda: self.sqs.start_message_move_task(SourceArn=arn, DestinationArn=target), "UnsupportedOperation")
        until(lambda: self.status(arn) == "COMPLETED", 60, "the move")
        assert (self.depth(dead), self.depth(source)) == (0, MESSAGES)
        found: list[str] = []
        until(lambda: self.take(source, found) or len(found) >= MESSAGES, 60, "every message")
        assert sorted(found) == sorted(names), "each message was moved once"
        allowing(lambda: self.sqs.purge_queue(QueueUrl=source), "PurgeQueueInProgress")
        assert self.depth(source) == 0
        patiently(lambda: self.sqs.set_queue_attributes(QueueUrl=source, Attributes={"MessageRetentionPeriod": "120"}))
        for url in (source, dead):
            allowing(lambda url=url: self.sqs.delete_queue(QueueUrl=url), "NonExistentQueue")
        until(lambda: not self.cloud.armed or self.rows() == 0, 30, "the boundary is passed")
        until(lambda: self.rows() == 0, 30, "what was purged and deleted is cleared away")

    def create(self, name: str, attributes: dict[str, str]) -> str:
        url: str = patiently(lambda: self.sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true", **attributes}))["QueueUrl"]
        return url

    def status(self, arn: str) -> str:
        [task] = self.sqs.list_message_move_tasks(SourceArn=arn)["Results"]
        return str(task["Status"])

    def depth(self, url: str) -> int:
        shown = patiently(lambda: self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))["Attributes"]
        return int(shown["ApproximateNumberOfMessages"]) + int(shown["ApproximateNumberOfMessagesNotVisible"])

    def take(self, url: str, found: list[str]) -> bool:
        messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages", [])
        found += [message["Body"] for message in messages]
        return not messages and len(found) >= MESSAGES

    def rows(self) -> int:
        """Messages and memories that the store still holds."""
        db = sqlite3.connect(f"file:{self.cloud.data / 'cloud.db'}?mode=ro", uri=True, timeout=30)
        try:
            (messages,) = db.execute("SELECT count(*) FROM message").fetchone()
            (memories,) = db.execute("SELECT count(*) FROM queue_memory").fetchone()
            return int(messages + memories)
        finally:
            db.close()


def allowing(call: Any, code: str) -> None:
    """A call that, before its answer was lost, had happened."""
    try:
        patiently(call)
    except ClientError as error:
        if not error.response["Error"]["Code"].endswith(code):
            raise
