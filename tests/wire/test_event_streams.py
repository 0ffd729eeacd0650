"""Streams of events: the framing against botocore's own, and an operation that goes on telling after it has answered."""

import asyncio
import struct
from binascii import crc32
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError
from hypothesis import given
from hypothesis import strategies as st

from clients import Door
from harness import InProcessCloud, until
from windtunnel.kernel.context import Context, EventStream
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import OPERATIONS, Operation, _declared, unguarded
from windtunnel.wire import eventstream
from windtunnel.wire.asgi import send_events
from windtunnel.wire.models import load_service
from windtunnel.wire.protocols.base import UnknownResultMember
from windtunnel.wire.protocols.events import compile_event_encoder
from windtunnel.wire.streaming import Events

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.binary(max_size=40),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
    st.uuids(),
)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=6)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=300)), max_size=4), st.integers(1, 50))
def test_messages_survive_the_wire_in_whatever_pieces(messages: list[tuple[dict[str, Any], bytes]], size: int) -> None:
    data = b"".join(eventstream.encode(headers, payload) for headers, payload in messages)
    decoder = eventstream.Decoder()
    found = [message for at in range(0, len(data), size) for message in decoder.feed(data[at : at + size])]
    assert [(message.headers, message.payload) for message in found] == messages
    assert decoder.pending == 0


@given(HEADERS, st.binary(max_size=300))
def test_botocore_reads_what_we_write(headers: dict[str, Any], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.encode(headers, payload))
    (event,) = list(buffer)
    assert event.payload == payload
    assert event.headers.keys() == headers.keys()
    for name, value in headers.items():
        if isinstance(value, UUID):
            value = value.bytes
        elif isinstance(value, datetime):
            value = round(value.timestamp() * 1000)
        assert event.headers[name] == value


@given(st.binary(max_size=64), st.data())
def test_a_flipped_bit_is_found(payload: bytes, data: st.DataObject) -> None:
    message = bytearray(eventstream.encode({":event-type": "x"}, payload))
    message[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError):
        eventstream.decode(bytes(message))


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for(noise: bytes) -> None:
    decoder = eventstream.Decoder()
    try:
        list(decoder.feed(noise))
    except ValueError:
        return
    assert decoder.pending == len(noise) < 12


@pytest.mark.parametrize(
    "head, words",
    [
        (b"\x01a\x0a", "unknown type"),
        (b"\x01a\x07\x00\x05ab", "cut off"),
        (b"\x00", "without a name"),
        (b"\x01a\x00\x01a\x00", "twice"),
        (b"\x01a\x08\x7f" + b"\xff" * 7, "years"),
        (b"\x05a", "cut off"),
    ],
)
def test_headers_that_are_none(head: bytes, words: str) -> None:
    prelude = struct.pack(">II", len(head) + 16, len(head))
    checked = prelude + struct.pack(">I", crc32(prelude)) + head
    with pytest.raises(ValueError, match=words):
        eventstream.decode(checked + struct.pack(">I", crc32(checked)))


# -- an operation ---------------------------------------------------------------------------------------------------------------


class Tail:
    """A StartLiveTail whose events are what a test puts here."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.looks = 0

    def start(self, ctx: Context, log_group_identifiers: list[str]) -> dict[str, Any]:
        groups = [*log_group_identifiers]
        first = {"sessionStart": {"sessionId": "s-1", "logGroupIdentifiers": groups}}
        ending = {"SessionTimeoutException": {"message": "three hours"}}
        return {"responseStream": EventStream([first], self.follow, "tail", every=5.0, lasts=30.0, ending=ending)}

    def follow(self, ctx: Context) -> list[dict[str, Any]] | None:
        assert ctx.scope.region
        self.looks += 1
        if not self.waiting:
            return []
        item = self.waiting.pop(0)
        if isinstance(item, AwsError):
            raise item
        return item if item is None else [{"sessionUpdate": {"sessionResults": [{"message": item}]}}]


@pytest.fixture(params=["point", "scan"])
def tail(request: pytest.FixtureRequest) -> Iterator[Tail]:
    key, made = ("logs", "StartLiveTail"), Tail()
    kept = OPERATIONS.get(key)
    OPERATIONS[key] = Operation(*key, "read", made.start, unguarded, _declared("logGroupIdentifiers[]", "", None), request.param)
    yield made
    if kept is None:
        del OPERATIONS[key]
    else:
        OPERATIONS[key] = kept


@pytest.fixture
def started(cloud: InProcessCloud, tail: Tail) -> Iterator[Callable[[], Any]]:
    """Begins a tail; closed at the end, as a client does that has heard enough."""
    streams: list[Any] = []

    def start() -> Any:
        group = "arn:aws:logs:us-east-1:123456789012:log-group:g"
        streams.append(Door(cloud).client("logs").start_live_tail(logGroupIdentifiers=[group])["responseStream"])
        return iter(streams[-1])

    yield start
    for stream in streams:
        stream.close()


def say(cloud: InProcessCloud, tail: Tail, item: Any) -> None:
    tail.waiting.append(item)
    cloud.write(lambda ctx: ctx.notify("tail"))


def test_boto3_hears_what_happens_when_it_happens(cloud: InProcessCloud, tail: Tail, started: Callable[[], Any]) -> None:
    events = started()
    assert next(events)["sessionStart"]["sessionId"] == "s-1"
    say(cloud, tail, "first")
    assert next(events)["sessionUpdate"]["sessionResults"] == [{"message": "first"}]
    say(cloud, tail, "second")
    assert next(events)["sessionUpdate"]["sessionResults"] == [{"message": "second"}]
    say(cloud, tail, None)
    assert list(events) == []


def test_an_error_is_the_streams_exception_and_its_end(cloud: InProcessCloud, tail: Tail, started: Callable[[], Any]) -> None:
    events = started()
    next(events)
    say(cloud, tail, AwsError("SessionStreamingException", "the group is gone"))
    with pytest.raises(EventStreamError, match="the group is gone"):
        next(events)


def test_an_error_that_the_stream_does_not_know_goes_out_by_its_code(cloud: InProcessCloud, tail: Tail, started: Callable[[], Any]) -> None:
    events = started()
    next(events)
    say(cloud, tail, AwsError("Strange", "something else"))
    with pytest.raises(EventStreamError, match="Strange.*something else"):
        next(events)


def test_it_ends_with_its_ending_when_its_time_is_over(cloud: InProcessCloud) -> None:
    encoder = compile_event_encoder(load_service("logs").operation("StartLiveTail"), "json", True)
    assert encoder is not None
    stream = EventStream([], lambda _: [], "s", every=0.01, lasts=0.03, ending={"SessionTimeoutException": {"message": "over"}})

    async def look(_: EventStream) -> list[Any]:
        return []

    async def wait(_: str, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False

    async def run() -> list[bytes]:
        return [piece async for piece in Events(200, [], encoder, stream, {}, look, wait).messages()]

    initial, ending = (eventstream.decode(piece)[0] for piece in asyncio.run(run()))
    assert initial.headers[":event-type"] == "initial-response"
    assert (ending.headers[":exception-type"], ending.payload) == ("SessionTimeoutException", b'{"message":"over"}')


def test_it_ends_when_the_cloud_stops(cloud: InProcessCloud, tail: Tail, started: Callable[[], Any]) -> None:
    events = started()
    next(events)
    cloud.cloud.closing.set()
    cloud.on_loop(cloud.cloud.release_waiters)
    assert list(events) == []


def test_a_client_that_leaves_ends_it(cloud: InProcessCloud) -> None:
    """At the HTTP edge: nothing waits any more once the connection is gone."""
    encoder = compile_event_encoder(load_service("logs").operation("StartLiveTail"), "json", True)
    assert encoder is not None
    stream = EventStream([{"sessionStart": {}}], lambda _: [], "left", every=60.0)

    async def look(_: EventStream) -> list[Any]:
        return []

    async def run() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if len(sent) == 2:
                asyncio.get_running_loop().call_later(0.05, gone.set)

        answer = Events(200, [], encoder, stream, {}, look, cloud.cloud.wait_for)
        await asyncio.wait_for(send_events(send, receive, answer), 10)
        return sent

    sent = asyncio.run_coroutine_threadsafe(run(), cloud.loop).result(20)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (b"content-type", b"application/vnd.amazon.eventstream") in sent[0]["headers"]
    until(lambda: not cloud.on_loop(lambda: cloud.cloud._waiters.get("left")), what="nobody waits for the tail")


def test_a_strict_encoder_refuses_what_is_no_event() -> None:
    encoder = compile_event_encoder(load_service("logs").operation("StartLiveTail"), "json", True)
    assert encoder is not None
    for event in ({"nonsense": {}}, {"sessionStart": {"nonsense": 1}}):
        with pytest.raises(UnknownResultMember):
            encoder.event(event)


def test_events_with_headers_and_payloads_of_their_own() -> None:
    """S3's SelectObjectContent: bytes in one event, XML in another, nothing in a third."""
    encoder = compile_event_encoder(load_service("s3").operation("SelectObjectContent"), "rest-xml", True)
    assert encoder is not None and encoder.initial is None
    (records,) = eventstream.decode(encoder.event({"Records": {"Payload": b"a,b"}}))
    assert records == ({":message-type": "event", ":event-type": "Records", ":content-type": "application/octet-stream"}, b"a,b")
    (stats,) = eventstream.decode(encoder.event({"Stats": {"Details": {"BytesScanned": 7}}}))
    assert (stats.headers[":content-type"], stats.payload) == ("text/xml", b"<Stats><BytesScanned>7</BytesScanned></Stats>")
    (end,) = eventstream.decode(encoder.event({"End": {}}))
    assert end == ({":message-type": "event", ":event-type": "End"}, b"")
