"""SNS as boto3 and its subscribers see it: queues, a real HTTP endpoint, a mailbox; filters, signatures, confirmations, dead letters."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from hashlib import md5
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.commands.mailbox import read
from windtunnel.kernel.clock import FixedClock
from windtunnel.services.iam.model import RootKey
from windtunnel.services.sns import signing
from windtunnel.services.sns.envelope import signed_text
from windtunnel.services.sns.model import Subscription, SubscriptionElsewhere

OTHER = "210987654321"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(time.time())  # real clients sign with the real time


@pytest.fixture
def cloud(tmp_path: Path, clock: FixedClock) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        yield cloud


@pytest.fixture
def sns(door: Door) -> Any:
    return door.client("sns")


@pytest.fixture
def sqs(door: Door) -> Any:
    return door.client("sqs")


class Endpoint:
    """A real HTTP server that takes what is posted to it. `statuses`: its next answers, then always 200."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], str]] = []
        self.statuses: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status = endpoint.statuses.pop(0) if endpoint.statuses else 200
                endpoint.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?a=1"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, count: int) -> list[tuple[dict[str, str], str]]:
        until(lambda: len(self.taken) >= count, what=f"{count} posts to the endpoint")
        return self.taken


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


def topic(sns: Any, name: str = "t", **attributes: str) -> str:
    arn: str = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
    return arn


def queue(sqs: Any, name: str, arn_of_topic: str, *, allowed: bool = True, **attributes: str) -> tuple[str, str]:
    """(URL, ARN) of a queue that lets the topic send."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    if allowed:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": arn_of_topic}},
        }
        attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn


def subscribe(sns: Any, arn: str, protocol: str, endpoint: str, **attributes: str) -> str:
    made = sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint, Attributes=attributes, ReturnSubscriptionArn=True)
    return str(made["SubscriptionArn"])


def messages(sqs: Any, url: str) -> list[dict[str, Any]]:
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"])
    return list(found.get("Messages", []))


def refusal(action: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        action(**args)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def follow(cloud: InProcessCloud, door: Door, link: str) -> str:
    """Open a link as a browser would: without a signature. The answer's body."""
    import asyncio
    from urllib.parse import urlsplit

    from windtunnel.wire.core import Request

    parts = urlsplit(link)

    async def ask() -> Any:
        request = Request("GET", parts.path, parts.query, [(b"host", parts.netloc.encode())], {"host": parts.netloc})
        answer = door._core.handle(request)
        return answer if isinstance(answer, tuple) else await answer  # type: ignore[misc]

    status, _, body = asyncio.run_coroutine_threadsafe(ask(), cloud.loop).result(15)
    assert status == 200, body
    return str(body.decode())


def check_signature(cloud: InProcessCloud, fields: dict[str, Any]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    identifier = fields["SigningCertURL"].rpartition("-")[2].removesuffix(".pem")
    text = cloud.read(lambda ctx: signing.certificate(ctx.tx, identifier))
    assert text is not None
    key: Any = x509.load_pem_x509_certificate(text.encode()).public_key()
    digest = hashes.SHA256() if fields["SignatureVersion"] == "2" else hashes.SHA1()
    key.verify(b64decode(fields["Signature"]), signed_text(fields), padding.PKCS1v15(), digest)


# -- queues ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_message_is_in_the_queue_when_publish_answers_and_its_signature_holds(
    sns: Any, sqs: Any, cloud: InProcessCloud, version: str
) -> None:
    arn = topic(sns, SignatureVersion=version)
    url, target = queue(sqs, "q", arn)
    subscription = subscribe(sns, arn, "sqs", target)
    attribute = {"DataType": "String", "StringValue": "red"}
    sent = sns.publish(TopicArn=arn, Message="hällo", Subject="Greeting", MessageAttributes={"colour": attribute})
    [message] = messages(sqs, url)
    fields = json.loads(message["Body"])
    assert (fields["Type"], fields["MessageId"], fields["TopicArn"]) == ("Notification", sent["MessageId"], arn)
    assert (fields["Message"], fields["Subject"]) == ("hällo", "Greeting")
    assert fields["MessageAttributes"] == {"colour": {"Type": "String", "Value": "red"}}
    assert fields["UnsubscribeURL"].endswith(f"?Action=Unsubscribe&SubscriptionArn={subscription.replace(':', '%3A')}")
    assert fields["SignatureVersion"] == version
    check_signature(cloud, fields)


def test_a_message_is_signed_when_it_is_received_and_always_the_same(cloud: InProcessCloud, sns: Any, sqs: Any) -> None:
    arn = topic(sns)
    url, of_queue = queue(sqs, "q", arn)
    subscribe(sns, arn, "sqs", of_queue)
    sns.publish(TopicArn=arn, Message='"Signature":"' + "=" * 172 + '"', Subject="Greeting")
    received = [sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"][0] for _ in range(3)]
    assert len({message["Body"] for message in received}) == 1
    for message in received:
        assert message["MD5OfBody"] == md5(message["Body"].encode()).hexdigest()
        fields = json.loads(message["Body"])
        assert fields["Message"] == '"Signature":"' + "=" * 172 + '"'
        check_signature(cloud, fields)


def test_raw_delivery_is_the_message_itself_with_its_attributes(sns: Any, sqs: Any) -> None:
    arn = topic(sns)
    url, target = queue(sqs, "q", arn)
    subscribe(sns, arn, "sqs", target, RawMessageDelivery="true")
    attributes = {"n": {"DataType": "Number", "StringValue": "1"}, "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}
    sns.publish(TopicArn=arn, Message="raw", MessageAttributes=attributes)
    [message] = messages(sqs, url)
    assert message["Body"] == "raw" and message["MessageAttributes"] == attributes


def test_a_queue_that_does_not_let_sns_gets_nothing_and_the_dead_letters_get_it(sns: Any, sqs: Any) -> None:
    arn = topic(sns)
    url, target = queue(sqs, "q", arn, allowed=False)
    dead, dead_arn = queue(sqs, "dead", arn)
    subscribe(sns, arn, "sqs", target, RawMessageDelivery="true", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn}))
    sns.publish(TopicArn=arn, Message="lost?")
    assert messages(sqs, url) == []
    assert [message["Body"] for message in messages(sqs, dead)] == ["lost?"]


def test_each_protocol_gets_its_own_text(sns: Any, sqs: Any) -> None:
    arn = topic(sns)
    url, target = queue(sqs, "q", arn)
    subscribe(sns, arn, "sqs", target, RawMessageDelivery="true")
    sns.publish(TopicArn=arn, Message=json.dumps({"default": "d", "sqs": "s"}), MessageStructure="json")
    sns.publish(TopicArn=arn, Message=json.dumps({"default": "d", "http": "h"}), MessageStructure="json")
    assert [message["Body"] for message in messages(sqs, url)] == ["s", "d"]


@pytest.mark.parametrize(
    "policy, scope, message, attributes, passes",
    [
        ({"a": ["x"]}, "MessageAttributes", "m", {"a": ("String", "x")}, True),
        ({"a": ["x"]}, "MessageAttributes", "m", {"a": ("String", "y")}, False),
        ({"a": ["x"]}, "MessageAttributes", "m", {}, False),
        ({"a": [{"exists": False}]}, "MessageAttributes", "m", {}, True),
        ({"n": [{"numeric": [">", 1, "<=", 2]}]}, "MessageAttributes", "m", {"n": ("Number", "2.0")}, True),
        ({"n": [100]}, "MessageAttributes", "m", {"n": ("Number", "1e2")}, True),
        ({"n": [{"numeric": [">", 1]}]}, "MessageAttributes", "m", {"n": ("String", "2")}, False),
        ({"l": ["b"]}, "MessageAttributes", "m", {"l": ("String.Array", '["a","b"]')}, True),
        ({"a": [{"anything-but": ["x", "y"]}]}, "MessageAttributes", "m", {"a": ("String", "z")}, True),
        ({"a": [{"anything-but": {"prefix": "ord"}}]}, "MessageAttributes", "m", {"a": ("String", "order")}, False),
        ({"a": [{"prefix": "ord"}, {"suffix": "s"}]}, "MessageAttributes", "m", {"a": ("String", "buses")}, True),
        ({"a": [{"equals-ignore-case": "Tennis"}]}, "MessageAttributes", "m", {"a": ("String", "TENNIS")}, True),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, "MessageAttributes", "m", {"ip": ("String", "10.0.0.255")}, True),
        ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, "MessageAttributes", "m", {"b": ("String", "y")}, True),
        ({"a": {"b": ["x"]}}, "MessageBody", '{"a":{"b":"x"}}', {}, True),
        ({"a": {"b": [{"wildcard": "*.png"}]}}, "MessageBody", '{"a":[{"b":"c.gif"},{"b":"d.png"}]}', {}, True),
        ({"a": [True, None]}, "MessageBody", '{"a":null}', {}, True),
        ({"a": ["x"]}, "MessageBody", "no json", {"a": ("String", "x")}, False),
        ({"a": {"b": [{"exists": False}]}}, "MessageBody", '{"a":{"c":1}}', {}, True),
    ],
)
def test_filters(sns: Any, sqs: Any, policy: Any, scope: str, message: str, attributes: dict[str, tuple[str, str]], passes: bool) -> None:
    arn = topic(sns)
    url, target = queue(sqs, "q", arn)
    subscribe(sns, arn, "sqs", target, FilterPolicy=json.dumps(policy), FilterPolicyScope=scope)
    given = {name: {"DataType": kind, "StringValue": value} for name, (kind, value) in attributes.items()}
    sns.publish(TopicArn=arn, Message=message, MessageAttributes=given)
    assert bool(messages(sqs, url)) == passes


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        '{"a":"x"}',
        '{"a":[]}',
        '{"a":[[1]]}',
        '{"a":[{"numeric":["!",1]}]}',
        '{"a":[{"prefix":1}]}',
        '{"a":[{"exists":1}]}',
        '{"a":[{"strange":1}]}',
        '{"a":{"b":["nested is for bodies"]}}',
        json.dumps({str(n): ["x"] for n in range(6)}),
        json.dumps({"a": list(map(str, range(13))), "b": list(map(str, range(13)))}),
    ],
)
def test_what_is_no_filter_is_refused(sns: Any, sqs: Any, policy: str) -> None:
    arn = topic(sns)
    _, target = queue(sqs, "q", arn)
    code, words = refusal(sns.subscribe, TopicArn=arn, Protocol="sqs", Endpoint=target, Attributes={"FilterPolicy": policy})
    assert code == "InvalidParameter" and "FilterPolicy" in words


def test_a_fifo_topic_keeps_order_and_sends_once(sns: Any, sqs: Any, clock: FixedClock) -> None:
    arn = topic(sns, "t.fifo", FifoTopic="true")
    url, target = queue(sqs, "q.fifo", arn, FifoQueue="true")
    plain, plain_target = queue(sqs, "plain", arn)
    subscribe(sns, arn, "sqs", target, RawMessageDelivery="true")
    subscribe(sns, arn, "sqs", plain_target, RawMessageDelivery="true")
    sent = [sns.publish(TopicArn=arn, Message=text, MessageGroupId="g", MessageDeduplicationId=text) for text in "abcb"]
    assert sent[3]["MessageId"] == sent[1]["MessageId"] and sent[3]["SequenceNumber"] == sent[1]["SequenceNumber"]
    assert int(sent[0]["SequenceNumber"]) < int(sent[1]["SequenceNumber"]) < int(sent[2]["SequenceNumber"])
    found = messages(sqs, url)
    assert [message["Body"] for message in found] == ["a", "b", "c"]
    assert found[0]["Attributes"]["MessageGroupId"] == "g" and found[0]["Attributes"]["MessageDeduplicationId"] == "a"
    assert sorted(message["Body"] for message in messages(sqs, plain)) == ["a", "b", "c"]


def test_more_subscriptions_than_one_transaction_serves(sns: Any, sqs: Any, cloud: InProcessCloud) -> None:
    arn = topic(sns)
    url, target = queue(sqs, "q", arn)
    first = subscribe(sns, arn, "sqs", target, RawMessageDelivery="true")

    def many(ctx: Any) -> None:
        import msgspec

        from windtunnel.services.sns.model import Subscription

        made = ctx.tx.get(Subscription, first)
        for n in range(120):
            ctx.tx.put(msgspec.structs.replace(made, id=f"{n:036d}"))

    cloud.write(many)
    sns.publish(TopicArn=arn, Message="to all")

    def count() -> str:
        return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"])

    until(lambda: count() == "121", what="121 deliveries")


# -- HTTP -----------------------------------------------------------------------------------------------------------------


def confirmed(cloud: InProcessCloud, door: Door, sns: Any, arn: str, endpoint: Endpoint, **attributes: str) -> str:
    subscription = subscribe(sns, arn, "http", endpoint.url, **attributes)
    headers, body = endpoint.wait(1)[0]
    fields = json.loads(body)
    assert headers["x-amz-sns-message-type"] == fields["Type"] == "SubscriptionConfirmation"
    check_signature(cloud, fields)
    assert subscription in follow(cloud, door, fields["SubscribeURL"])
    return subscription


def test_an_http_endpoint_confirms_and_receives(sns: Any, door: Door, cloud: InProcessCloud, endpoint: Endpoint) -> None:
    arn = topic(sns)
    assert sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url)["SubscriptionArn"] == "pending confirmation"
    assert sns.list_subscriptions()["Subscriptions"][0]["SubscriptionArn"] == "PendingConfirmation"
    sns.publish(TopicArn=arn, Message="too early")
    follow(cloud, door, json.loads(endpoint.wait(1)[0][1])["SubscribeURL"])
    sent = sns.publish(TopicArn=arn, Message="now")
    headers, body = endpoint.wait(2)[1]
    fields = json.loads(body)
    assert fields["Message"] == "now" and fields["MessageId"] == headers["x-amz-sns-message-id"] == sent["MessageId"]
    assert headers["x-amz-sns-message-type"] == "Notification" and headers["content-type"] == "text/plain; charset=UTF-8"
    check_signature(cloud, fields)
    [listed] = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert headers["x-amz-sns-subscription-arn"] == listed["SubscriptionArn"]


def test_a_failing_endpoint_is_tried_again_and_the_dead_letters_get_what_is_given_up(
    sns: Any, sqs: Any, door: Door, cloud: InProcessCloud, endpoint: Endpoint
) -> None:
    policy = {"numRetries": 2, "numNoDelayRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 1}
    arn = topic(sns)
    dead, dead_arn = queue(sqs, "dead", arn)
    confirmed(
        cloud,
        door,
        sns,
        arn,
        endpoint,
        DeliveryPolicy=json.dumps({"healthyRetryPolicy": policy}),
        RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn}),
        RawMessageDelivery="true",
    )
    endpoint.statuses = [500, 503]
    sns.publish(TopicArn=arn, Message="third time lucky")
    assert [body for _, body in endpoint.wait(4)[1:]] == ["third time lucky"] * 3
    assert messages(sqs, dead) == []
    endpoint.statuses = [500, 500, 500]
    sns.publish(TopicArn=arn, Message="never")
    found = until(lambda: messages(sqs, dead), what="the dead letter")
    assert [message["Body"] for message in found] == ["never"] and len(endpoint.taken) == 7
    endpoint.statuses = [404]
    sns.publish(TopicArn=arn, Message="refused for good")
    found = until(lambda: messages(sqs, dead), what="the dead letter")
    assert [message["Body"] for message in found] == ["refused for good"] and len(endpoint.taken) == 8


def test_a_throttle_policy_gives_an_endpoint_so_many_a_second(
    sns: Any, door: Door, cloud: InProcessCloud, endpoint: Endpoint, clock: FixedClock
) -> None:
    arn = topic(sns)
    policy = {"throttlePolicy": {"maxReceivesPerSecond": 4}}
    subscription = confirmed(cloud, door, sns, arn, endpoint, DeliveryPolicy=json.dumps(policy))
    found = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert json.loads(found["EffectiveDeliveryPolicy"])["throttlePolicy"] == {"maxReceivesPerSecond": 4}
    begun = clock.now()
    for number in range(3):
        sns.publish(TopicArn=arn, Message=str(number))
    [kept] = until(
        lambda: cloud.read(lambda ctx: [one for one in ctx.tx.scan(Subscription) if one.next_turn >= begun + 0.74]), what="three turns"
    )
    assert kept.arn == subscription and len(endpoint.wait(2)) == 2  # the confirmation and the first; the others wait for theirs
    until(lambda: clock.advance(0.05) or len(endpoint.taken) == 4, what="the others")
    assert sorted(json.loads(body)["Message"] for _, body in endpoint.taken[1:]) == ["0", "1", "2"]
    for wrong in ({"maxReceivesPerSecond": 0}, {"maxReceivesPerSecond": "4"}, {"perMinute": 1}):
        text = json.dumps({"throttlePolicy": wrong})
        call = sns.set_subscription_attributes
        assert refusal(call, SubscriptionArn=subscription, AttributeName="DeliveryPolicy", AttributeValue=text)[0] == "InvalidParameter"


def test_a_link_ends_a_subscription_and_another_restores_it(sns: Any, door: Door, cloud: InProcessCloud, endpoint: Endpoint) -> None:
    arn = topic(sns)
    subscription = confirmed(cloud, door, sns, arn, endpoint)
    sns.publish(TopicArn=arn, Message="one")
    follow(cloud, door, json.loads(endpoint.wait(2)[1][1])["UnsubscribeURL"])
    assert refusal(sns.get_subscription_attributes, SubscriptionArn=subscription)[0] == "NotFound"
    farewell = json.loads(endpoint.wait(3)[2][1])
    assert farewell["Type"] == "UnsubscribeConfirmation"
    follow(cloud, door, farewell["SubscribeURL"])
    assert sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["PendingConfirmation"] == "false"


def test_a_subscription_can_insist_on_authentication_to_end(sns: Any, door: Door, cloud: InProcessCloud, endpoint: Endpoint) -> None:
    arn = topic(sns)
    subscription = subscribe(sns, arn, "http", endpoint.url)
    token = json.loads(endpoint.wait(1)[0][1])["Token"]
    sns.confirm_subscription(TopicArn=arn, Token=token, AuthenticateOnUnsubscribe="true")
    link = f"http://127.0.0.1:4566/?Action=Unsubscribe&SubscriptionArn={subscription}"
    with pytest.raises(AssertionError, match="assert 403 == 200"):
        follow(cloud, door, link)
    assert sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["ConfirmationWasAuthenticated"] == "true"
    sns.unsubscribe(SubscriptionArn=subscription)
    assert sns.list_subscriptions()["Subscriptions"] == []


# -- mail -----------------------------------------------------------------------------------------------------------------


def test_mail_arrives_in_the_mailbox_and_its_link_confirms(sns: Any, door: Door, cloud: InProcessCloud, tmp_path: Path) -> None:
    arn = topic(sns)
    subscribe(sns, arn, "email", "alice@example.com")
    box = tmp_path / "mailbox"
    [mail] = until(lambda: read(box), what="the confirmation mail")
    assert mail["to"] == "alice@example.com" and "Confirmation" in mail["subject"]
    follow(cloud, door, next(line for line in mail["text"].splitlines() if line.startswith("http")))
    sns.publish(TopicArn=arn, Message="Grüße", Subject="Hello")
    until(lambda: len(read(box)) == 2, what="the mail")
    found = next(mail for mail in read(box) if mail["subject"] == "Hello")
    assert found["text"].startswith("Grüße\n") and "Action=Unsubscribe" in found["text"]


# -- topics ---------------------------------------------------------------------------------------------------------------


def test_creating_again_is_the_same_topic_unless_it_differs(sns: Any) -> None:
    arn = topic(sns, DisplayName="d")
    assert topic(sns) == topic(sns, DisplayName="d") == arn
    assert refusal(sns.create_topic, Name="t", Attributes={"DisplayName": "e"})[0] == "InvalidParameter"
    assert refusal(sns.create_topic, Name="t", Tags=[{"Key": "a", "Value": "b"}])[0] == "InvalidParameter"


def test_a_topics_attributes(sns: Any) -> None:
    arn = topic(sns)
    found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert json.loads(found.pop("Policy"))["Id"] == "__default_policy_ID"
    assert json.loads(found.pop("EffectiveDeliveryPolicy"))["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    assert found == {
        "TopicArn": arn,
        "Owner": ACCOUNT,
        "DisplayName": "",
        "SubscriptionsConfirmed": "0",
        "SubscriptionsPending": "0",
        "SubscriptionsDeleted": "0",
    }
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="Shown")
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == "Shown"


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"Protocol": "sms", "Endpoint": "+41790000000"}, id="sms"),
        pytest.param({"Protocol": "firehose", "Endpoint": "arn:aws:firehose:us-east-1:1:deliverystream/d"}, id="firehose"),
        pytest.param({"Protocol": "application", "Endpoint": "arn:aws:sns:us-east-1:1:endpoint/GCM/a/b"}, id="a mobile application"),
    ],
)
def test_what_is_not_delivered_to_is_refused_by_name(sns: Any, given: dict[str, str]) -> None:
    arn = topic(sns)
    code, words = refusal(sns.subscribe, TopicArn=arn, **given)
    assert code == "NotImplemented" and given["Protocol"] in words
    assert sns.list_subscriptions()["Subscriptions"] == []


@pytest.mark.parametrize(
    "given, code",
    [
        pytest.param({"Message": ""}, "InvalidParameter", id="empty"),
        pytest.param({"Message": "x" * 262_145}, "InvalidParameter", id="too long"),
        pytest.param({"Message": "x", "Subject": "a\nb"}, "InvalidParameter", id="a subject of two lines"),
        pytest.param({"Message": "x", "MessageStructure": "json"}, "InvalidParameter", id="no JSON"),
        pytest.param({"Message": '{"sqs":"x"}', "MessageStructure": "json"}, "InvalidParameter", id="no default"),
        pytest.param({"Message": "x", "MessageDeduplicationId": "d"}, "InvalidParameter", id="deduplication without FIFO"),
        pytest.param(
            {"Message": "x", "MessageAttributes": {"a": {"DataType": "Number", "StringValue": "z"}}},
            "ParameterValueInvalid",
            id="no number",
        ),
        pytest.param(
            {"Message": "x", "MessageAttributes": {"a": {"DataType": "Colour", "StringValue": "z"}}}, "ParameterValueInvalid", id="no type"
        ),
    ],
)
def test_what_cannot_be_published(sns: Any, given: dict[str, Any], code: str) -> None:
    assert refusal(sns.publish, TopicArn=topic(sns), **given)[0] == code


def test_a_batch_answers_entry_by_entry(sns: Any, sqs: Any) -> None:
    arn = topic(sns)
    url, target = queue(sqs, "q", arn)
    subscribe(sns, arn, "sqs", target, RawMessageDelivery="true")
    entries = [{"Id": "a", "Message": "1"}, {"Id": "b", "Message": "2", "Subject": "\n"}, {"Id": "c", "Message": "3"}]
    answer = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
    assert [done["Id"] for done in answer["Successful"]] == ["a", "c"]
    assert [(failed["Id"], failed["Code"]) for failed in answer["Failed"]] == [("b", "InvalidParameter")]
    assert [message["Body"] for message in messages(sqs, url)] == ["1", "3"]
    assert refusal(sns.publish_batch, TopicArn=arn, PublishBatchRequestEntries=[entries[0]] * 2)[0] == "BatchEntryIdsNotDistinct"


def test_deleting_a_topic_ends_its_subscriptions_and_is_done_twice_without_complaint(sns: Any, sqs: Any) -> None:
    arn = topic(sns)
    _, target = queue(sqs, "q", arn)
    subscribe(sns, arn, "sqs", target)
    for _ in range(2):
        sns.delete_topic(TopicArn=arn)
    assert sns.list_topics()["Topics"] == sns.list_subscriptions()["Subscriptions"] == []
    assert refusal(sns.publish, TopicArn=arn, Message="x") == ("NotFound", "Topic does not exist")


def test_another_account_may_what_the_topics_policy_says(sns: Any, sqs: Any, door: Door, cloud: InProcessCloud) -> None:
    cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key="AKIASTRANGERSTRANGER", secret="stranger", account=OTHER)))
    other, arn = door.client("sns", ("AKIASTRANGERSTRANGER", "stranger", "")), topic(sns)
    assert refusal(other.publish, TopicArn=arn, Message="x")[0] == "AuthorizationError"
    sns.add_permission(TopicArn=arn, Label="theirs", AWSAccountId=[OTHER], ActionName=["Publish"])
    assert other.publish(TopicArn=arn, Message="x")["MessageId"]
    sns.remove_permission(TopicArn=arn, Label="theirs")
    assert refusal(other.publish, TopicArn=arn, Message="x")[0] == "AuthorizationError"


def test_a_queue_of_another_account_confirms_itself(sns: Any, door: Door, cloud: InProcessCloud) -> None:
    cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key="AKIASTRANGERSTRANGER", secret="stranger", account=OTHER)))
    theirs, arn = door.client("sqs", ("AKIASTRANGERSTRANGER", "stranger", "")), topic(sns)
    target = f"arn:aws:sqs:{REGION}:{OTHER}:q"
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": target}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = theirs.create_queue(QueueName="q", Attributes={"Policy": policy})["QueueUrl"]
    subscribe(sns, arn, "sqs", target)
    [asked] = until(lambda: messages(theirs, url), what="the confirmation in the queue")
    fields = json.loads(asked["Body"])
    assert fields["Type"] == "SubscriptionConfirmation"
    sns.confirm_subscription(TopicArn=arn, Token=fields["Token"])
    sns.publish(TopicArn=arn, Message="across")
    assert json.loads(messages(theirs, url)[0]["Body"])["Message"] == "across"


def test_subscriptions_to_anothers_topics_are_ones_own(sns: Any, door: Door, cloud: InProcessCloud) -> None:
    cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key="AKIASTRANGERSTRANGER", secret="stranger", account=OTHER)))
    keys = ("AKIASTRANGERSTRANGER", "stranger", "")
    other, theirs = door.client("sns", keys), door.client("sqs", keys)
    arns = [topic(sns, name) for name in ("a", "c")]
    own = other.create_topic(Name="b")["TopicArn"]
    theirs.create_queue(QueueName="q")
    target = f"arn:aws:sqs:{REGION}:{OTHER}:q"
    for arn in arns:
        sns.add_permission(TopicArn=arn, Label="theirs", AWSAccountId=[OTHER], ActionName=["Subscribe"])
    made = sorted(subscribe(other, arn, "sqs", target) for arn in (*arns, own))

    def listed(client: Any) -> list[str]:
        return [found["SubscriptionArn"] for found in client.list_subscriptions()["Subscriptions"]]

    assert (listed(other), listed(sns)) == (made, [])
    assert len(sns.list_subscriptions_by_topic(TopicArn=arns[0])["Subscriptions"]) == 1
    other.unsubscribe(SubscriptionArn=next(arn for arn in made if arn.startswith(arns[0])))
    sns.delete_topic(TopicArn=arns[1])
    assert listed(other) == [arn for arn in made if arn.startswith(own)]
    assert cloud.read(lambda ctx: ctx.tx.within(OTHER, REGION).scan(SubscriptionElsewhere)) == []


def test_a_function_that_cannot_be_invoked_is_said_and_dead_lettered(sns: Any, sqs: Any) -> None:
    arn = topic(sns)
    dead, dead_arn = queue(sqs, "dead", arn)
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    subscribe(sns, arn, "lambda", function, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn}))
    sns.publish(TopicArn=arn, Message="for the function")
    [found] = until(lambda: messages(sqs, dead), what="the dead letter")
    assert json.loads(found["Body"])["Message"] == "for the function"


def test_a_topics_key_guards_publishing_and_what_waits(sns: Any, sqs: Any, door: Door, cloud: InProcessCloud, endpoint: Endpoint) -> None:
    kms = door.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    arn = topic(sns, KmsMasterKeyId=key)
    confirmed(cloud, door, sns, arn, endpoint)
    secret = "nobody-reads-this-while-it-waits"
    sns.publish(TopicArn=arn, Message=secret)
    assert json.loads(endpoint.wait(2)[1][1])["Message"] == secret
    kept = b"".join(row[0] for row in cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT args FROM run").fetchall()))  # type: ignore[attr-defined]
    assert secret.encode() not in kept
    kms.disable_key(KeyId=key)
    other = topic(sns, "other", KmsMasterKeyId=key)
    assert refusal(sns.publish, TopicArn=other, Message="x")[0] == "KMSDisabled"


def test_a_queues_key_guards_sending_and_receiving(sqs: Any, door: Door, cloud: InProcessCloud) -> None:
    kms = door.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    url = sqs.create_queue(QueueName="q", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="nobody-reads-this")
    kept = b"".join(row[0] for row in cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT body FROM message").fetchall()))  # type: ignore[attr-defined]
    assert b"nobody-reads-this" not in kept
    assert messages(sqs, url)[0]["Body"] == "nobody-reads-this"
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (shown["KmsMasterKeyId"], shown["KmsDataKeyReusePeriodSeconds"], shown["SqsManagedSseEnabled"]) == (key, "300", "false")
    iam = door.client("iam")
    iam.create_user(UserName="u")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(document))
    made = iam.create_access_key(UserName="u")["AccessKey"]
    user = door.client("sqs", (made["AccessKeyId"], made["SecretAccessKey"], ""))
    assert refusal(user.send_message, QueueUrl=url, MessageBody="x")[0] == "KMS.AccessDeniedException"


@pytest.mark.slow
def test_a_certificate_is_served_where_the_message_says(tmp_path: Path) -> None:
    import boto3

    from windtunnel.labs.cloud import LabCloud

    lab = LabCloud(tmp_path / "data", tmp_path / "log")
    lab.start()
    try:
        environment = lab.environment()
        made = {
            "region_name": "us-east-1",
            "endpoint_url": environment["AWS_ENDPOINT_URL"],
            "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        }
        sns, sqs = boto3.client("sns", **made), boto3.client("sqs", **made)
        arn = topic(sns)
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        target = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": target}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
        subscribe(sns, arn, "sqs", target)
        sns.publish(TopicArn=arn, Message="x")
        fields = json.loads(messages(sqs, url)[0]["Body"])
        with urllib.request.urlopen(fields["SigningCertURL"], timeout=10) as answer:
            assert answer.read().startswith(b"-----BEGIN CERTIFICATE-----")
    finally:
        lab.stop()
