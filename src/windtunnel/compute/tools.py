"""The programs of the machine that sandboxes are made with: where they are, and how to call them.

Invariant: they are found although the cloud's PATH has no sbin directory (a plain `su` on Debian), they see nothing of the cloud's
environment, and each call is bounded.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from windtunnel.compute.driver import SandboxError

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def environment() -> dict[str, str]:
    return {"PATH": f"{os.environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')}:{_SBIN}", "LC_ALL": "C.UTF-8"}


def find(program: str) -> str | None:
    return shutil.which(program, path=environment()["PATH"])


def run(argv: list[str], text: str = "", allowed: bool = False, seconds: float = 30.0) -> str:
    """Its output. A failure is SandboxError, or an empty output where it is allowed."""
    try:
        done = subprocess.run(argv, input=text.encode(), capture_output=True, timeout=seconds, check=False, env=environment())
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{' '.join(argv)} did not end within {seconds:g} s") from None
    if done.returncode != 0 and allowed:
        return ""
    if done.returncode != 0:
        raise SandboxError(f"{' '.join(argv)}: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "replace")
