"""Puts the parts of a running server together: compute, gateways, wire and listeners around the cloud."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from windtunnel.app import WindtunnelCloud
from windtunnel.commands.running import Credentials, credentials, write_private
from windtunnel.kernel.context import Context
from windtunnel.services.iam.model import RootKey
from windtunnel.wire.asgi import HttpEdge
from windtunnel.wire.core import Core

log = logging.getLogger("windtunnel")


class LazyPart:
    """A part that is made when it is first used, so that a cloud that runs no sandbox pays nothing for one."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._lock = threading.Lock()

    def get(self) -> Any:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


def root_key(cloud: WindtunnelCloud) -> Callable[[Any], None]:
    """A write that makes the root access key of the cloud's account, once; `credentials.json` is written before it is durable."""
    known = credentials(cloud.settings.data)
    if known is None or known.account != cloud.settings.account:
        known = Credentials("AKIA" + cloud.ids.upper(16), cloud.ids.secret(40), cloud.settings.account)
        write_private(cloud.settings.data / "credentials.json", msgspec.json.encode(known))
    keys = known

    def write(tx: Any) -> None:
        ctx: Context = cloud.context(tx, cloud.settings.account, cloud.settings.region)
        if ctx.tx.get(RootKey, keys.access_key_id) is None:
            ctx.tx.put(RootKey(access_key=keys.access_key_id, secret=keys.secret_access_key, account=keys.account))

    return write


async def assemble(cloud: WindtunnelCloud, backend: Any) -> Any:
    """Everything but the host's sockets; returns the Listeners. Runs on the loop, before anything is answered."""
    from windtunnel.gateways import git_http
    from windtunnel.server import Listeners

    await cloud.writer.submit(root_key(cloud))
    core = Core(backend)
    git = git_http.GitGateway(cloud, backend, cloud.settings.region)
    gateways: list[Any] = [(git_http.matches, git)]
    listeners = Listeners(cloud.loop, HttpEdge(core, gateways))
    cloud.start_up()
    return listeners
