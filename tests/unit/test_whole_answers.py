"""An answer that goes out in one piece: what may, how it looks, and what is left to uvicorn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from windtunnel.wire.connection import answer_whole

Headers = list[tuple[bytes, bytes]]


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


def cycle(method: str = "GET", **state: Any) -> Any:
    """As uvicorn makes one for a request, as far as an answer looks at it."""
    fresh: dict[str, Any] = {"response_started": False, "response_complete": False, "disconnected": False, "keep_alive": True}
    ended: list[bool] = []
    return SimpleNamespace(
        scope={"method": method},
        flow=SimpleNamespace(write_paused=state.pop("write_paused", False)),
        default_headers=[(b"date", b"today")],
        transport=Transport(),
        message_event=SimpleNamespace(set=lambda: None),
        on_response=lambda: ended.append(True),
        ended=ended,
        **{**fresh, **state},
    )


@pytest.mark.parametrize(
    "method, status, headers, body, expected",
    [
        pytest.param("GET", 200, [(b"X-A", b"b")], b"hi", b"x-a: b\r\ncontent-length: 2\r\n\r\nhi", id="a body says its length"),
        pytest.param(
            "GET", 200, [(b"content-length", b"2")], b"hi", b"content-length: 2\r\n\r\nhi", id="a length that is told is told once"
        ),
        pytest.param("PUT", 200, [], b"", b"content-length: 0\r\n\r\n", id="no body has a length too"),
        pytest.param(
            "HEAD",
            200,
            [(b"content-length", b"7")],
            b"",
            b"content-length: 7\r\n\r\n",
            id="a HEAD tells the length of what it does not send",
        ),
        pytest.param("HEAD", 404, [], b"words", b"\r\n", id="a HEAD has no body"),
        pytest.param("DELETE", 204, [], b"", b"\r\n", id="204 has neither"),
    ],
)
def test_an_answer_in_one_piece(method: str, status: int, headers: Headers, body: bytes, expected: bytes) -> None:
    asked = cycle(method)
    assert answer_whole(asked, status, headers, body)
    (sent,) = asked.transport.written
    first, rest = sent.split(b"date: today\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert rest == expected
    assert asked.response_complete and asked.ended == [True] and not asked.transport.closed


def test_the_last_answer_of_a_connection_says_so_and_ends_it() -> None:
    asked = cycle(keep_alive=False)
    assert answer_whole(asked, 200, [], b"hi")
    assert b"connection: close\r\n" in asked.transport.written[0]
    assert asked.transport.closed


@pytest.mark.parametrize(
    "headers, state",
    [
        pytest.param([(b"x-a", b"b\r\nx-c: d")], {}, id="a value that would begin another line"),
        pytest.param([(b"x-a", b"b\rc")], {}, id="half a line's end"),
        pytest.param([(b"x-a", b"\0")], {}, id="a control character"),
        pytest.param([(b"x a", b"b")], {}, id="a name that is none"),
        pytest.param([(b"content-length", b"3")], {}, id="a length that is not the body's"),
        pytest.param([(b"connection", b"close")], {}, id="how the connection goes on"),
        pytest.param([(b"transfer-encoding", b"chunked")], {}, id="a body in chunks"),
        pytest.param([], {"write_paused": True}, id="a client that does not read"),
        pytest.param([], {"response_started": True}, id="an answer that has begun"),
    ],
)
def test_what_is_left_to_uvicorn_is_untouched(headers: Headers, state: dict[str, Any]) -> None:
    asked = cycle(**state)
    assert not answer_whole(asked, 200, headers, b"hi")
    assert asked.transport.written == [] and not asked.response_complete


def test_a_client_that_has_left_gets_nothing() -> None:
    asked = cycle(disconnected=True)
    assert answer_whole(asked, 200, [], b"hi")
    assert asked.transport.written == []
