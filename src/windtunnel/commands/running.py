"""How commands find the cloud that runs on a data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

import msgspec

from windtunnel.kernel.typed import from_json


class RunFile(msgspec.Struct):
    """`run.json` in the data directory, there while a cloud answers."""

    pid: int
    port: int
    tls_port: int
    region: str
    account: str

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_endpoint(self) -> str:
        return f"https://127.0.0.1:{self.tls_port}"


class Credentials(msgspec.Struct):
    """`credentials.json` (0600): the root access key of the account that `up` was first given."""

    access_key_id: str
    secret_access_key: str
    account: str


def run_file(data: Path) -> RunFile | None:
    """The running cloud of this directory; None when there is none (a file left by kill -9 is seen through by the lock)."""
    try:
        found = from_json((data / "run.json").read_bytes(), RunFile)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    held = try_lock(data)
    if held is not None:
        held.close()
        return None
    return found


def credentials(data: Path) -> Credentials | None:
    try:
        return from_json((data / "credentials.json").read_bytes(), Credentials)
    except FileNotFoundError:
        return None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def try_lock(data: Path) -> IO[bytes] | None:
    """The data directory's lock, or None when a cloud holds it. Released when the file is closed or the process ends."""
    if not data.is_dir():
        return None
    file = (data / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
