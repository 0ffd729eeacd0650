"""What the wire needs of the cloud behind it: transactions, threads, and the notifications for which long polls wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.records import Tx


class Backend(Protocol):
    """What the composition root gives the wire."""

    region: str
    account: str
    """Where anonymous callers are, who name neither."""

    @property
    def cloud(self) -> Cloud: ...

    @property
    def closing(self) -> bool:
        """Whether the cloud ends: long polls are answered then."""

    def snapshot(self, account: str, region: str) -> AbstractContextManager[Tx]: ...

    def thread_snapshot(self, account: str, region: str) -> AbstractContextManager[Tx]: ...

    def submit(self, work: Callable[[Tx], Any]) -> asyncio.Future[Any]: ...

    def in_thread(self, work: Callable[[], Any]) -> Awaitable[Any]: ...

    def listen(self, name: str) -> asyncio.Future[None]: ...

    def unlisten(self, name: str, heard: asyncio.Future[None]) -> None: ...

    async def wait_for(self, name: str, timeout: float, heard: asyncio.Future[None] | None = None) -> bool: ...
