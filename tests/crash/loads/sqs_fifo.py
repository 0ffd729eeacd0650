"""A FIFO queue, whose sender repeats what it does not know to have happened: each message once, in order, whatever was killed."""

from __future__ import annotations

from typing import Any, ClassVar

import loads
from loads import ask


class Load(loads.Load):
    NEEDS: ClassVar = {("sqs", "SendMessage"), ("sqs", "ReceiveMessage"), ("sqs", "DeleteMessage")}

    def set_up(self) -> None:
        self.sqs = self.client("sqs")
        attributes = {"FifoQueue": "true", "VisibilityTimeout": "1"}
        self.url = self.sqs.create_queue(QueueName="mixed.fifo", Attributes=attributes)["QueueUrl"]
        self.sent = 0
        """Acknowledged; the next one may be there or not, and is sent again under the same deduplication id."""
        self.taken = 0
        """Received; the last of them may still be in the queue."""

    def step(self, n: int) -> None:
        if n % 2:
            self.receive(ask(self.sqs.receive_message, QueueUrl=self.url, MaxNumberOfMessages=3).get("Messages", []))
            return
        number = self.sent + 1
        ask(self.sqs.send_message, QueueUrl=self.url, MessageBody=str(number), MessageGroupId="g", MessageDeduplicationId=f"d{number}")
        self.sent = number

    def receive(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            number = int(message["Body"])
            assert number <= self.sent + 1, f"{number} was never sent"
            assert number in (self.taken, self.taken + 1), f"{number} came after {self.taken}"
            self.taken = number
            ask(self.sqs.delete_message, QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def finish(self) -> None:
        for _ in range(200):
            if self.taken >= self.sent:
                break
            self.receive(ask(self.sqs.receive_message, QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", []))
        assert self.taken in (self.sent, self.sent + 1), (self.taken, self.sent)
