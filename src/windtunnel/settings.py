"""What `up` was told."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """data: the directory of this cloud; ports of 0 ask for any free one; pace divides intended waiting.

    hosts: names under which clients reach this cloud beside the loopback's and AWS's own.
    """

    data: Path
    port: int = 4566
    tls_port: int = 0
    pace: float = 1.0
    region: str = "us-east-1"
    account: str = "000000000000"
    hosts: frozenset[str] = frozenset()
