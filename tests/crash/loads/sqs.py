"""A standard queue: what was sent and acknowledged comes, at least once, until its deletion was acknowledged, and never after."""

from __future__ import annotations

from typing import Any, ClassVar

import loads
from loads import Died, ask

PATIENCE = 40


class Load(loads.Load):
    NEEDS: ClassVar = {("sqs", "SendMessage"), ("sqs", "ReceiveMessage"), ("sqs", "DeleteMessage")}

    def set_up(self) -> None:
        self.sqs = self.client("sqs")
        self.url = self.sqs.create_queue(QueueName="mixed", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
        self.owed: set[str] = set()
        """Sent and acknowledged, not yet asked to be deleted."""
        self.doubtful: set[str] = set()
        """Sent or deleted by a call that found the cloud dead."""
        self.gone: set[str] = set()
        """Deleted and acknowledged."""

    def step(self, n: int) -> None:
        if n % 3 == 2:
            self.receive(ask(self.sqs.receive_message, QueueUrl=self.url, MaxNumberOfMessages=5).get("Messages", []))
            return
        body = f"m{n}"
        self.doubtful.add(body)
        ask(self.sqs.send_message, QueueUrl=self.url, MessageBody=body)
        self.doubtful.discard(body)
        self.owed.add(body)

    def receive(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            body = message["Body"]
            assert body not in self.gone, f"{body} was deleted and came again"
            assert body in self.owed | self.doubtful, f"{body} was never sent"
        for message in messages:
            body = message["Body"]
            self.owed.discard(body)
            self.doubtful.add(body)
            ask(self.sqs.delete_message, QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            self.doubtful.discard(body)
            self.gone.add(body)

    def count(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        shown = ask(self.sqs.get_queue_attributes, QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(shown[name]) for name in names)

    def verify(self) -> None:
        count = self.count()
        assert len(self.owed) <= count <= len(self.owed) + len(self.doubtful), (count, len(self.owed), len(self.doubtful))

    def finish(self) -> None:
        for _ in range(PATIENCE):
            try:
                self.receive(
                    ask(self.sqs.receive_message, QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
                )
            except Died as died:
                raise AssertionError(f"nobody kills any more: {died}") from None
            if self.count() == 0:
                break
        assert not self.owed, f"never came: {sorted(self.owed)[:10]}"
