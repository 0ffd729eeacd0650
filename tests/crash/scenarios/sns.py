"""SNS's jobs: an endpoint is asked to confirm and gets every message; more queues than one transaction serves get each message once."""

from __future__ import annotations

import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("sns.deliver", "sns.confirm", "sns.fan_out", "sns.forget")
ACCOUNT = "123456789012"
QUEUES = 55
"""More than Publish serves by itself."""


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.sns, self.sqs = cloud.client("sns"), cloud.client("sqs")
        self.posted: list[dict[str, Any]] = []
        self.published = 0
        self.url = self.listen()

    def listen(self) -> str:
        posted = self.posted

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    def set_up(self) -> None:
        self.many = self.sns.create_topic(Name="many.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
        statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.queues = []
        for number in range(QUEUES):
            name = f"many-{number}.fifo"
            self.queues.append(self.sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true", "Policy": policy})["QueueUrl"])
            self.sns.subscribe(TopicArn=self.many, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")

    def go(self, nonce: str) -> None:
        topic = patiently(lambda: self.sns.create_topic(Name=f"topic-{nonce}"))["TopicArn"]
        patiently(lambda: self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{self.url}/{nonce}"))
        until(lambda: self.confirm(topic), 60, "a confirmation whose token holds")
        patiently(lambda: self.sns.publish(TopicArn=topic, Message=f"hello {nonce}"))
        until(lambda: any(post["Message"] == f"hello {nonce}" for post in self.posted), 60, "the message at its endpoint")

        once = {"MessageGroupId": "g", "MessageDeduplicationId": nonce}
        patiently(lambda: self.sns.publish(TopicArn=self.many, Message=nonce, **once))
        self.published += 1
        until(lambda: min(map(self.depth, self.queues)) >= self.published, 60, "the message in every queue")
        assert {self.depth(url) for url in self.queues} == {self.published}, "each queue got each message once"

        brief = patiently(lambda: self.sns.create_topic(Name=f"brief-{nonce}.fifo", Attributes={"FifoTopic": "true"}))["TopicArn"]
        patiently(lambda: self.sns.publish(TopicArn=brief, Message="x", **once))
        patiently(lambda: self.sns.delete_topic(TopicArn=brief))
        until(lambda: self.forgetting() == 0, 30, "what the topic remembered is forgotten")

    def forgetting(self) -> int:
        """Runs of sns.forget that go on."""
        db = sqlite3.connect(f"file:{self.cloud.data / 'cloud.db'}?mode=ro", uri=True, timeout=30)
        try:
            (found,) = db.execute("SELECT count(*) FROM run WHERE kind='sns.forget' AND state IN ('ready', 'parked')").fetchone()
            return int(found)
        finally:
            db.close()

    def confirm(self, topic: str) -> bool:
        for post in [post for post in self.posted if post["TopicArn"] == topic and post["Type"] == "SubscriptionConfirmation"]:
            try:
                patiently(lambda post=post: self.sns.confirm_subscription(TopicArn=topic, Token=post["Token"]))
            except ClientError as error:
                # Confirmed by a call whose answer was lost, or asked again since by a Subscribe that was repeated.
                assert error.response["Error"]["Code"] == "InvalidParameter", error
        found = self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return bool(found) and found[0]["SubscriptionArn"] != "PendingConfirmation"

    def depth(self, url: str) -> int:
        shown = patiently(lambda: self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))["Attributes"]
        return int(shown["ApproximateNumberOfMessages"])
