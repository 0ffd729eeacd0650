"""A sandbox that is found again at the start asks for https before anyone else does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

from windtunnel.server import Listeners, bind


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def status_line(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, context.wrap_socket(plain) as wrapped:
        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return wrapped.recv(1000).split(b"\r\n")[0]


def test_a_sandboxs_tls_listener_speaks_tls_before_the_clouds_own_is_open(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        loop = asyncio.get_running_loop()
        listeners = Listeners(loop, answer, tmp_path)
        sock = bind(0)
        port = sock.getsockname()[1]
        close = await loop.run_in_executor(None, listeners.serve_sandbox, "i-1", "tls", sock)
        await listeners.answer_sandboxes()
        said = await loop.run_in_executor(None, status_line, port)
        close()
        await listeners.close()
        return said

    assert asyncio.run(scenario()) == b"HTTP/1.1 204 No Content"


def test_a_sandbox_that_is_found_again_waits_until_the_cloud_has_started(tmp_path: Path) -> None:
    async def scenario() -> tuple[bool, bytes]:
        loop = asyncio.get_running_loop()
        listeners = Listeners(loop, answer, tmp_path)
        sock = bind(0)
        close = await loop.run_in_executor(None, listeners.serve_sandbox, "i-1", "endpoint", sock)
        reader, writer = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answered = asyncio.ensure_future(reader.readline())
        done, _ = await asyncio.wait({answered}, timeout=0.2)
        await listeners.answer_sandboxes()
        line = await asyncio.wait_for(answered, 10)
        writer.close()
        close()
        await listeners.close()
        return bool(done), line

    early, line = asyncio.run(scenario())
    assert not early
    assert line == b"HTTP/1.1 204 No Content\r\n"
