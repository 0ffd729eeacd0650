"""The logs of the helper scripts: /var/log/cfn-*.log, line by line, as people grep them.

The invariant it keeps: a log that cannot be written never keeps a script from its work.
"""

from __future__ import annotations

import os
import sys
import time
from typing import BinaryIO

FOLDER = "/var/log"


class Log:
    """path: appended to. verbose: DEBUG lines too. marked: lines name the process, as cfn-init-cmd.log does."""

    def __init__(self, path: str, verbose: bool = False, marked: bool = False) -> None:
        self._path = path
        self._verbose = verbose
        self._mark = f"P{os.getpid()} " if marked else ""
        self._broken = False

    def stream(self) -> BinaryIO:
        """The log's file, for a program to write to; nowhere when it cannot be written."""
        try:
            return open(self._path, "ab")
        except OSError:
            return open(os.devnull, "ab")

    def debug(self, text: str) -> None:
        if self._verbose:
            self._write("DEBUG", text)

    def info(self, text: str) -> None:
        self._write("INFO", text)

    def warn(self, text: str) -> None:
        self._write("WARNING", text)

    def error(self, text: str) -> None:
        self._write("ERROR", text)

    def _write(self, level: str, text: str) -> None:
        now = time.time()
        stamp = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))},{int(now * 1000) % 1000:03d}"
        lines = "".join(f"{stamp} {self._mark}[{level}] {line}\n" for line in text.splitlines() or [""])
        try:
            with open(self._path, "a", encoding="utf-8", errors="replace") as stream:
                stream.write(lines)
        except OSError as error:
            if not self._broken:
                self._broken = True
                sys.stderr.write(f"{self._path}: {error.strerror}\n")
