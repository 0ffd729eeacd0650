"""One process, one loop: uvicorn's HTTP protocol over our core, on the host's port, on TLS, and on every sandbox's own listener."""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import gc
import logging
import os
import resource
import signal
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from windtunnel.app import WindtunnelCloud
from windtunnel.commands.running import RunFile, write_private
from windtunnel.jobs.engine import Boundary, _no_boundary
from windtunnel.kernel.records import Tx
from windtunnel.settings import Settings
from windtunnel.wire.limits import KEEP_ALIVE_SECONDS, MAX_CONNECTIONS, RESERVED_FILES

log = logging.getLogger("windtunnel.server")


class LoopBackend:
    """wire.core.Backend over the cloud's store and writer."""

    def __init__(self, cloud: WindtunnelCloud) -> None:
        self._cloud = cloud
        self.region = cloud.settings.region
        self.account = cloud.settings.account

    @property
    def cloud(self) -> Any:
        return self._cloud

    def snapshot(self, account: str, region: str) -> AbstractContextManager[Tx]:
        return self._cloud.store.snapshot(account, region)

    def thread_snapshot(self, account: str, region: str) -> AbstractContextManager[Tx]:
        return self._cloud.store.thread_snapshot(account, region)

    def submit(self, work: Callable[[Tx], Any]) -> asyncio.Future[Any]:
        return self._cloud.writer.submit(work)

    def in_thread(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return self._cloud.loop.run_in_executor(None, work)

    @property
    def closing(self) -> bool:
        return self._cloud.closing.is_set()

    def listen(self, name: str) -> asyncio.Future[None]:
        return self._cloud.listen(name)

    def unlisten(self, name: str, heard: asyncio.Future[None]) -> None:
        self._cloud.unlisten(name, heard)

    async def wait_for(self, name: str, timeout: float, heard: asyncio.Future[None] | None = None) -> bool:
        return await self._cloud.wait_for(name, timeout, heard)


SERVED_WITHIN = 60.0
"""Seconds; the loop is busy for that long only on a machine whose disk stands still."""


SWEEP_AFTER = 600.0


class PortRefused(Exception):
    """A port that cannot be listened on. taken: another program has it."""

    def __init__(self, port: int, taken: bool) -> None:
        super().__init__(f"port {port} is taken by another program" if taken else f"port {port} may not be listened on")


class Listeners:
    """Every socket that this server answers on. Sandboxes' sockets come and go from driver threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: Any, data: Path, hosts: frozenset[str] = frozenset()) -> None:
        from uvicorn import Config
        from uvicorn.server import ServerState

        self._loop = loop
        self._data = data
        self._hosts = hosts
        self._config = Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._sandboxed: set[asyncio.Server] = set()
        self._started = False
        self._tls: asyncio.Future[ssl.SSLContext] | None = None

    def _protocol(self, state: dict[str, str]) -> Callable[[], asyncio.Protocol]:
        from windtunnel.wire.connection import Connection

        limit = connection_limit()
        return lambda: Connection(config=self._config, server_state=self._state, app_state=state, _loop=self._loop, limit=limit)

    async def open(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._servers.append(await self._loop.create_server(self._protocol({}), sock=sock, ssl=tls, backlog=2048))

    async def tls(self) -> ssl.SSLContext:
        """The cloud's certificate, made or read when it is first asked for: by a sandbox that is found again, or after "ready"."""
        if self._tls is None:
            from windtunnel.tls import server_context

            self._tls = self._loop.run_in_executor(None, server_context, self._data, self._hosts)
        return await asyncio.shield(self._tls)

    def serve_sandbox(self, sandbox_id: str, kind: str, sock: socket.socket) -> Callable[[], None]:
        """compute.driver.Serve: answer on a sandbox's own listener, which is the caller's identity (any thread but the loop's)."""
        served = asyncio.run_coroutine_threadsafe(self._serve_sandbox(sandbox_id, kind, sock), self._loop)
        try:
            server = served.result(SERVED_WITHIN)
        except TimeoutError:
            served.cancel()
            raise TimeoutError(f"the cloud did not come to answer on a listener of {sandbox_id} within {SERVED_WITHIN:.0f} s") from None

        def close() -> None:
            self._sandboxed.discard(server)
            server.close()

        def from_any_thread() -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(close)

        return from_any_thread

    async def _serve_sandbox(self, sandbox_id: str, kind: str, sock: socket.socket) -> asyncio.Server:
        sock.setblocking(False)
        protocol = self._protocol({"sandbox": sandbox_id, "listener": kind})
        context = await self.tls() if kind == "tls" else None
        server = await self._loop.create_server(protocol, sock=sock, ssl=context, start_serving=False)
        self._sandboxed.add(server)
        if self._started:
            await server.start_serving()
        return server

    async def answer_sandboxes(self) -> None:
        """The cloud has started whole: from now on sandboxes are answered too. Those found again have waited in their backlogs."""
        self._started = True
        for server in list(self._sandboxed):
            await server.start_serving()

    async def close(self) -> None:
        for server in (*self._servers, *self._sandboxed):
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        deadline = self._loop.time() + 2.0
        while self._state.tasks and self._loop.time() < deadline:
            await asyncio.sleep(0.01)


def connection_limit() -> int:
    """How many connections may be open at once; some file descriptors are for other things."""
    return max(64, min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES))


def raise_file_limit() -> None:
    """As many open files as we may have, up to what the connections need: shells give 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + RESERVED_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def bind(port: int) -> socket.socket:
    """A listening socket on the loopback; PortRefused when the port is taken or not ours to take."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise PortRefused(port, error.errno == errno.EADDRINUSE) from error
    sock.setblocking(False)
    return sock


def settle() -> None:
    """What was made at the start stays: the garbage collector need not look at it again (it cost up to 12 % of some requests)."""
    gc.collect()
    gc.freeze()


async def open_tls(listeners: Listeners, sock: socket.socket) -> None:
    """Answer https as soon as there is a certificate: at the first start of a cloud that is a moment after "ready"."""
    await listeners.open(sock, await listeners.tls())


async def sweep(data: Path) -> None:
    """Blob files that nothing names go while the cloud runs. The first look is minutes away: what it needs is loaded then."""
    await asyncio.sleep(SWEEP_AFTER)
    from windtunnel.upkeep import sweeping

    await sweeping.Sweeper(data / "blobs", lambda: sweeping.look(data), time.monotonic).forever()


async def serve(settings: Settings, boundary: Boundary = _no_boundary) -> None:
    """Run a cloud until SIGTERM or SIGINT. Prints `ready URL` on stdout once it answers."""
    from windtunnel.assemble import assemble, stop_sandboxes

    loop = asyncio.get_running_loop()
    sock = bind(settings.port)
    tls_sock = bind(settings.tls_port)
    settings = msgspec.structs.replace(settings, port=sock.getsockname()[1], tls_port=tls_sock.getsockname()[1])
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    cloud = WindtunnelCloud(settings, loop, boundary=boundary)
    listeners = await assemble(cloud, LoopBackend(cloud))
    await listeners.open(sock)
    run_file = RunFile(os.getpid(), settings.port, settings.tls_port, settings.region, settings.account)
    write_private(settings.data / "run.json", msgspec.json.encode(run_file))
    tls = asyncio.ensure_future(open_tls(listeners, tls_sock))
    sweeping = asyncio.ensure_future(sweep(settings.data))
    loop.call_later(1.0, settle)
    print(f"ready http://127.0.0.1:{settings.port}", flush=True)
    await ended.wait()
    sweeping.cancel()
    await tls
    (settings.data / "run.json").unlink(missing_ok=True)
    cloud.closing.set()
    cloud.release_waiters()
    await loop.run_in_executor(None, stop_sandboxes, cloud)
    await listeners.close()
    await cloud.shut_down()


def run(settings: Settings, boundary: Boundary = _no_boundary) -> None:
    """The process of `up`: settings for a server, then the loop."""
    import uvloop

    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    raise_file_limit()
    faulthandler.enable()
    sys.setswitchinterval(0.0005)
    gc.set_threshold(50_000)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every request that is none
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvloop.run(serve(settings, boundary))
    # Everything is recorded and closed. A job's thread may still sit in an effect that has no end to wait for.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
