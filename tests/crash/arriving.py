"""A queue in which deliveries are counted: what was acknowledged arrives, and nothing arrives twice or from nowhere."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import loads
from loads import ACCOUNT, ask, policy

SECONDS = 60.0


class Arriving(loads.Load):
    """A base for loads whose acts end in a queue."""

    def queue(self, name: str, service: str) -> str:
        self.sqs = self.client("sqs")
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
        allow = policy(Principal={"Service": service}, Action="sqs:SendMessage", Resource=arn)
        self.queue_url = self.sqs.create_queue(QueueName=name, Attributes={"Policy": allow, "VisibilityTimeout": "120"})["QueueUrl"]
        self.sent: set[str] = set()
        self.doubtful: set[str] = set()
        return arn

    def send(self, name: str, call: Any, **arguments: Any) -> None:
        """One act that will put `name` into the queue."""
        self.doubtful.add(name)
        ask(call, **arguments)
        self.doubtful.discard(name)
        self.sent.add(name)

    def name_of(self, body: str) -> str:
        return body

    def arrived(self) -> Counter[str]:
        """All that comes until everything that is owed has come (or time is over), and a little longer."""
        seen: Counter[str] = Counter()
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            messages = ask(self.sqs.receive_message, QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
            for message in messages:
                seen[self.name_of(message["Body"])] += 1
                ask(self.sqs.delete_message, QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
            if not messages and self.sent <= seen.keys():
                break
        return seen

    def finish(self) -> None:
        seen = self.arrived()
        assert self.sent <= seen.keys(), f"{len(self.sent - seen.keys())} never came: {sorted(self.sent - seen.keys())[:5]}"
        assert seen.keys() <= self.sent | self.doubtful, f"from nowhere: {sorted(seen.keys() - self.sent - self.doubtful)[:5]}"
        twice = {name: count for name, count in seen.items() if count > 1}
        assert not twice, f"came more than once: {twice}"
