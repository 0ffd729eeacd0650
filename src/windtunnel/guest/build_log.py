"""How a build's runner speaks: one JSON line on stdout for each thing that happens (services/codebuild/output.py reads them).

Invariant: no secret that was told to `hide` leaves in a log line.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable
from typing import Any

MAX_TEXT = 32 << 10
MASK = "***"
SHORTEST_SECRET = 3
_ACCESS_KEY = re.compile(r"(?<![A-Za-z0-9])A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])")


class Speaker:
    """Writes to a file descriptor, whole lines at a time."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._secrets: re.Pattern[str] | None = None
        self._hidden: set[str] = set()

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these values, and each line of those that have several."""
        for secret in secrets:
            self._hidden.update(line for line in (secret, *secret.splitlines()) if len(line.strip()) >= SHORTEST_SECRET)
        if self._hidden:
            longest_first = sorted(self._hidden, key=len, reverse=True)
            self._secrets = re.compile("|".join(re.escape(secret) for secret in longest_first))

    def mask(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        return _ACCESS_KEY.sub(MASK, text)

    def say(self, **message: Any) -> None:
        line = json.dumps({"t": time.time(), **message}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        view = memoryview(line)
        while view:
            view = view[os.write(self._fd, view) :]

    def line(self, text: str) -> None:
        """A line of the build's own output."""
        masked = self.mask(text)
        for start in range(0, max(len(masked), 1), MAX_TEXT):
            self.say(log=masked[start : start + MAX_TEXT])

    def note(self, text: str) -> None:
        """A line of the agent's: `[Container] 2024/01/02 03:04:05.123456 text`."""
        now = time.time()
        whole = int(now)
        self.line(f"[Container] {time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime(whole))}.{int((now - whole) * 1e6):06d} {text}")
