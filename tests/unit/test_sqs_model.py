"""Queues against a model that a person can hold in mind: whoever sends, receives, hides, deletes and waits, in whatever order.

Standard: what is in flight is seen by nobody until its time has passed; what was deleted never comes again. FIFO, beside that: within a group in order,
and a group of which a message is in flight gives nothing; what is sent twice within five minutes is there once.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness import InProcessCloud
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.errors import AwsError

VISIBILITY, DEDUPLICATION = 10, 300
GROUPS = ("a", "b")


@dataclass
class Kept:
    """A message of the model. visible: when it can be received; handle: of its latest receipt, "" when there was none."""

    body: str
    group: str
    visible: float
    receives: int = 0
    handle: str = ""


class QueueMachine(RuleBasedStateMachine):
    fifo = False

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock()
        self.directory = tempfile.TemporaryDirectory()
        self.cloud = InProcessCloud(Path(self.directory.name), clock=self.clock)
        self.cloud.__enter__()
        self.messages: list[Kept] = []
        self.deduplicated: dict[str, float] = {}
        self.count = 0

    def teardown(self) -> None:
        self.cloud.__exit__(None, None, None)
        self.directory.cleanup()

    def api(self, operation: str, **args: Any) -> Any:
        return self.cloud.api("sqs", operation, queue_url=self.url, **args)

    @initialize()
    def create(self) -> None:
        attributes = {"VisibilityTimeout": str(VISIBILITY)} | ({"FifoQueue": "true"} if self.fifo else {})
        name = "q.fifo" if self.fifo else "q"
        self.url = self.cloud.api("sqs", "CreateQueue", queue_name=name, attributes=attributes)["QueueUrl"]

    @property
    def now(self) -> float:
        return self.clock.now()

    def in_flight(self, message: Kept) -> bool:
        return message.handle != "" and message.visible > self.now

    @rule(group=st.sampled_from(GROUPS), delay=st.sampled_from([None, 0, 3]))
    def send(self, group: str, delay: int | None) -> None:
        self.count += 1
        body = f"m{self.count}"
        if self.fifo:
            self.api("SendMessage", message_body=body, message_group_id=group, message_deduplication_id=body)
            self.deduplicated[body] = self.now
            self.messages.append(Kept(body, group, self.now))
        else:
            self.api("SendMessage", message_body=body, **({} if delay is None else {"delay_seconds": delay}))
            self.messages.append(Kept(body, "", self.now + (delay or 0)))

    @precondition(lambda self: self.fifo and self.deduplicated)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """The same deduplication id: nothing new within the interval, a message like any other after it."""
        name = data.draw(st.sampled_from(sorted(self.deduplicated)))
        self.count += 1
        body = f"m{self.count}"
        self.api("SendMessage", message_body=body, message_group_id="a", message_deduplication_id=name)
        if self.now >= self.deduplicated[name] + DEDUPLICATION:
            self.deduplicated[name] = self.now
            self.messages.append(Kept(body, "a", self.now))

    @rule(limit=st.integers(1, 10), visibility=st.sampled_from([None, 0, 5]))
    def receive(self, limit: int, visibility: int | None) -> None:
        answer = self.api(
            "ReceiveMessage",
            max_number_of_messages=limit,
            attribute_names=["All"],
            **({} if visibility is None else {"visibility_timeout": visibility}),
        )
        found = answer.get("Messages", [])
        bodies = [message["Body"] for message in found]
        allowed = self.receivable()
        assert set(bodies) <= {message.body for message in allowed}, "only what can be received"
        assert len(set(bodies)) == len(bodies)
        if self.fifo:
            for group in GROUPS:
                ours = [message.body for message in allowed if message.group == group]
                theirs = [message["Body"] for message in found if message["Attributes"]["MessageGroupId"] == group]
                assert theirs == ours[: len(theirs)], "in order, from the head"
        assert len(found) == min(limit, len(allowed)), "as many as there are"
        kept = {message.body: message for message in self.messages}
        for message in found:
            ours = kept[message["Body"]]
            ours.receives += 1
            assert message["Attributes"]["ApproximateReceiveCount"] == str(ours.receives)
            ours.handle = message["ReceiptHandle"]
            ours.visible = self.now + (VISIBILITY if visibility is None else visibility)

    def receivable(self) -> list[Kept]:
        if not self.fifo:
            return [message for message in self.messages if message.visible <= self.now]
        blocked = {message.group for message in self.messages if self.in_flight(message)}
        return [message for message in self.messages if message.group not in blocked]

    @precondition(lambda self: any(message.handle for message in self.messages))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from([message for message in self.messages if message.handle]))
        if self.fifo and not self.in_flight(message):
            refused(lambda: self.api("DeleteMessage", receipt_handle=message.handle))
        else:
            self.api("DeleteMessage", receipt_handle=message.handle)
            self.messages.remove(message)

    @precondition(lambda self: any(message.handle for message in self.messages))
    @rule(data=st.data(), seconds=st.sampled_from([0, 1, 30]))
    def hide(self, data: st.DataObject, seconds: int) -> None:
        message = data.draw(st.sampled_from([message for message in self.messages if message.handle]))
        if not self.in_flight(message):
            refused(lambda: self.api("ChangeMessageVisibility", receipt_handle=message.handle, visibility_timeout=seconds))
        else:
            self.api("ChangeMessageVisibility", receipt_handle=message.handle, visibility_timeout=seconds)
            message.visible = self.now + seconds

    @rule(seconds=st.sampled_from([1, 4, 11, 301]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "url"):
            return
        shown = self.api("GetQueueAttributes", attribute_names=["All"])["Attributes"]
        visible = sum(message.visible <= self.now for message in self.messages)
        in_flight = sum(self.in_flight(message) for message in self.messages)
        found = tuple(int(shown[f"ApproximateNumberOfMessages{name}"]) for name in ("", "NotVisible", "Delayed"))
        assert found == (visible, in_flight, len(self.messages) - visible - in_flight)


class FifoMachine(QueueMachine):
    fifo = True


def refused(action: Any) -> None:
    try:
        action()
    except AwsError as error:
        assert error.code == "InvalidParameterValueException", error
    else:
        raise AssertionError("a receipt that has ended was taken")


FEW = settings(max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck))
TestStandard = QueueMachine.TestCase
TestStandard.settings = FEW
TestFifo = FifoMachine.TestCase
TestFifo.settings = FEW
