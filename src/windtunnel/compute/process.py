"""A driver without isolation: plain processes of this machine, for where nothing better runs. Asked for by name only.

What it does not give: no image (argv runs on this machine's own files), no user of its own, no limits, no address, no metadata, and
the endpoint is the host's own. Invariant: what it cannot give it refuses by name (user, limits, a fixed address); the spec's absolute paths mean
paths below the sandbox's own directory for `files`, `cwd` and `read_file`, and are the machine's for everything that argv does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windtunnel.compute.boots import Boot, boot_of
from windtunnel.compute.collect import Capture
from windtunnel.compute.driver import ExecResult, Handle, ListenerKind, NotRunning, Running, SandboxError, SandboxSpec, Wall
from windtunnel.compute.oci import DEFAULT_PATH
from windtunnel.compute.shim import inside
from windtunnel.compute.supervised import SupervisedDriver


class ProcessDriver(SupervisedDriver):
    name = "process"

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(root.resolve(), _no_listeners)

    def available(self) -> str | None:
        return None if hasattr(os, "pidfd_open") else "sandboxes need Linux"

    def _prepare(self, spec: SandboxSpec, boot: Boot) -> tuple[dict[str, Any], str | None, list[ListenerKind]]:
        _refuse(spec)
        upper = boot.sandbox / "upper"
        upper.mkdir(exist_ok=True, mode=0o755)
        root = inside.open_root(str(upper))
        me = inside.User(os.geteuid(), os.getegid(), (), str(upper))
        source = boot.path / "file"
        try:
            for file in spec.files:
                source.write_bytes(file.content)
                inside.place_file(root, file.path, str(source), file.mode, me, 0)
            os.close(inside.make_directory(root, spec.cwd, 0, me.uid, me.gid))
        except OSError as problem:
            raise SandboxError(str(problem)) from problem
        finally:
            os.close(root)
            source.unlink(missing_ok=True)
        env = {"PATH": os.environ.get("PATH", DEFAULT_PATH), "HOME": str(upper), "HOSTNAME": spec.hostname or spec.id} | spec.env
        return {"kind": "plain", "argv": list(spec.argv), "env": env, "cwd": _below(upper, spec.cwd)}, None, []

    def _scrub(self, boot: Boot, order: dict[str, Any]) -> None:
        """The kernel holds nothing of a plain process but itself, and whoever killed its supervisor has orphaned its children."""

    def exec(
        self,
        handle: Handle,
        argv: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        stdin: bytes = b"",
        timeout: float = 60.0,
        user: str = "root",
    ) -> ExecResult:
        boot = self._running(handle)
        base: dict[str, str] = (boot.order() or {})["runtime"]["env"]
        with Capture(stdin, 0) as capture:
            try:
                return self._run(capture, list(argv), {**base, **(env or {})}, _below(boot.sandbox / "upper", cwd), timeout)
            except FileNotFoundError as problem:
                return ExecResult(code=127, stdout=b"", stderr=f"{problem}\n".encode())
            except PermissionError as problem:
                return ExecResult(code=126, stdout=b"", stderr=f"{problem}\n".encode())

    @staticmethod
    def _run(capture: Capture, argv: list[str], env: dict[str, str], cwd: str, timeout: float) -> ExecResult:
        source, out, err = capture.fds()
        deadline = time.monotonic() + timeout
        with subprocess.Popen(argv, stdin=source, stdout=out, stderr=err, env=env, cwd=cwd, start_new_session=True) as process:
            pidfd = os.pidfd_open(process.pid)
            try:
                if capture.until(pidfd, deadline):
                    code = process.wait()
                    return capture.result(code if code >= 0 else 128 - code)
                os.killpg(process.pid, signal.SIGKILL)
                return capture.result(None)
            finally:
                os.close(pidfd)

    def read_file(self, handle: Handle, path: str, limit: int = 64 << 20) -> bytes:
        root = inside.open_root(str(self._running(handle).sandbox / "upper"))
        try:
            return inside.read_file(root, path, limit)
        finally:
            os.close(root)

    def _running(self, handle: Handle) -> Boot:
        if self.status(handle) != Running():
            raise NotRunning(f"sandbox {handle.id} has ended")
        return boot_of(self._sandboxes / handle.id, handle.token)

    def set_wall(self, handle: Handle, wall: Wall) -> None:
        self._running(handle)
        raise SandboxError(f"sandbox {handle.id} has no private network")

    def reserve_address(self, sandbox_id: str) -> str | None:
        return None

    def subnet(self) -> str | None:
        return None


def _refuse(spec: SandboxSpec) -> None:
    asked: dict[str, object] = {"memory": spec.memory, "cpus": spec.cpus, "pids": spec.pids, "ip": spec.ip}
    asked |= {"user": spec.user if spec.user != "root" else None, "a private network": spec.private}
    refused = [name for name, value in asked.items() if value is not None]
    if refused:
        raise SandboxError(f"the process driver has no isolation and cannot give {', '.join(refused)}; use the runc driver")


def _below(directory: Path, path: str) -> str:
    return os.path.normpath(f"{directory}/{os.path.normpath(path).lstrip('/')}")


def _no_listeners(sandbox_id: str, kind: ListenerKind, listener: object) -> Any:
    raise SandboxError(f"the process driver opens no {kind} listener ({sandbox_id})")
