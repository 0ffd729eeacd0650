"""What an instance does to its own disk at each start, before its services.

Why it exists: the disk of a sandbox is kept as it is between two boots, /run too, which a real machine finds empty; and the
addresses of the cloud come in as this boot's environment, which login shells and sudo must pass on.

The invariant it keeps: repeatable; touches only what it owns (lines and files that it marks, pid files and sockets of the boot before).
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping

from windtunnel.guest import tmpfiles

MARK = "# windtunnel: set at each boot"
PASSED_ON = ("AWS_", "SSL_CERT_", "PIP_", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "GIT_CONFIG_", "CODE_COMMIT_")


def prepare(environment: Mapping[str, str]) -> None:
    for directory, mode in (("/run/lock", 0o1777), ("/run/windtunnel", 0o755), ("/run/systemd/system", 0o755), ("/tmp", 0o1777)):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, mode)
    forget_the_boot_before("/run")
    if os.path.exists("/run/cloud-init/status"):
        os.unlink("/run/cloud-init/status")
    tmpfiles.create()
    pass_on({k: v for k, v in environment.items() if k.startswith(PASSED_ON)})
    name_the_host(socket.gethostname())


def forget_the_boot_before(top: str) -> None:
    """Pid files and sockets of processes that ended with the last boot; their presence would stop services from starting."""
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".pid") or stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)


def pass_on(variables: Mapping[str, str]) -> None:
    """Into /etc/environment (PAM: su, login), and a profile for login shells; sudo keeps them by its own file."""
    path = "/etc/environment"
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    kept = lines[: lines.index(MARK)] if MARK in lines else lines
    own = [f'{name}="{value}"' for name, value in sorted(variables.items()) if '"' not in value and "\n" not in value]
    replace(path, "\n".join([*kept, MARK, *own]) + "\n")
    replace("/etc/profile.d/windtunnel.sh", "".join(f"export {line}\n" for line in own))


def name_the_host(name: str) -> None:
    path = "/etc/hosts"
    text = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    if name not in text.split():
        replace(path, f"{text.rstrip() or '127.0.0.1 localhost'}\n127.0.1.1 {name}\n")
    if not os.path.exists("/etc/hostname"):
        replace("/etc/hostname", name + "\n")


def replace(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(path + ".new", path)
