"""Messages published to a topic, into a queue that is subscribed to it: each that was acknowledged arrives."""

from __future__ import annotations

from typing import ClassVar

from arriving import Arriving


class Load(Arriving):
    NEEDS: ClassVar = {("sns", "Publish"), ("sns", "Subscribe"), ("sqs", "ReceiveMessage")}

    def set_up(self) -> None:
        arn = self.queue("mixed-topic", "sns.amazonaws.com")
        self.sns = self.client("sns")
        self.topic = self.sns.create_topic(Name="mixed")["TopicArn"]
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def step(self, n: int) -> None:
        self.send(f"t{n}", self.sns.publish, TopicArn=self.topic, Message=f"t{n}")
