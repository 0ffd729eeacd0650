"""The driver that runs nothing: the test says what happens. For tests of builds, instances and deployments.

    world = World()
    world.script = lambda spec: Outcome(output=b"hello\n", code=0)      # each boot prints this and ends at once, or
    world.script = lambda spec: None                                    # … runs until world.say(...), world.end(...)
    driver = DummyDriver(world)

Invariant: it keeps the contract, with `World` in the place of the machine: a second `DummyDriver(world)` is the cloud after a restart.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Collection, Mapping

import msgspec

from windtunnel.compute.driver import (
    ExecResult,
    Exited,
    Gone,
    Handle,
    LogFrame,
    NotRunning,
    Running,
    SandboxError,
    SandboxSpec,
    Status,
    Stream,
    Wall,
    Watcher,
    check_spec,
    check_wall,
)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a boot prints and how it ends."""

    output: bytes = b""
    code: int | None = 0
    signal: int | None = None
    oom_killed: bool = False


class _Boot:
    def __init__(self, spec: SandboxSpec, handle: Handle) -> None:
        self.spec = spec
        self.handle = handle
        self.frames: list[LogFrame] = []
        self.exited: Exited | None = None
        self.watchers: list[Watcher] = []
        self.wall = spec.private.wall if spec.private else None


class World:
    """The machine that the dummy's sandboxes run on.

    script: what a new boot does; None lets it run. commands: what `exec` answers. files: what each sandbox's disk holds, by id and path.
    failure: if set, every start fails with it.
    """

    def __init__(self) -> None:
        self.script: Callable[[SandboxSpec], Outcome | None] = lambda spec: None
        self.commands: Callable[[SandboxSpec, tuple[str, ...], bytes], ExecResult] = lambda spec, argv, stdin: ExecResult(
            code=0, stdout=b"", stderr=b""
        )
        self.failure: str | None = None
        self.files: dict[str, dict[str, bytes]] = {}
        self.now = 1_000_000.0
        self._turn = threading.RLock()
        self.boots: dict[str, list[_Boot]] = {}
        self.addresses: dict[str, str] = {}

    def say(self, sandbox_id: str, data: bytes, stream: Stream = "stdout") -> None:
        with self._turn:
            self._last(sandbox_id).frames.append(LogFrame(self.now, stream, data))

    def wall(self, sandbox_id: str) -> Wall | None:
        """What may reach the sandbox's last boot; None if it has no private network."""
        with self._turn:
            return self._last(sandbox_id).wall

    def end(self, sandbox_id: str, code: int | None = 0, signal: int | None = None, oom_killed: bool = False) -> None:
        """End the sandbox's running boot; watchers are called before this returns."""
        with self._turn:
            boot = self._last(sandbox_id)
            if boot.exited is not None:
                raise SandboxError(f"sandbox {sandbox_id} has ended already")
            boot.exited = Exited(code=code if signal is None else None, signal=signal, oom_killed=oom_killed, ended_at=self.now)
            watchers, boot.watchers = boot.watchers, []
        for watcher in watchers:
            watcher(boot.handle, boot.exited)

    def find(self, sandbox_id: str, token: str) -> _Boot | None:
        return next((boot for boot in self.boots.get(sandbox_id, ()) if boot.handle.token == token), None)

    def _last(self, sandbox_id: str) -> _Boot:
        if not self.boots.get(sandbox_id):
            raise SandboxError(f"there is no sandbox {sandbox_id}")
        return self.boots[sandbox_id][-1]

    def boot(self, spec: SandboxSpec, token: str, ip: str | None) -> Handle:
        with self._turn:
            known = self.find(spec.id, token)
            if known is not None:
                return known.handle
            earlier = self.boots.setdefault(spec.id, [])
            if self.failure is not None:
                raise SandboxError(self.failure)
            if earlier and earlier[-1].exited is None:
                raise SandboxError(f"sandbox {spec.id} runs already, from another start")
            if earlier and not spec.keep:
                raise SandboxError(f"sandbox {spec.id} has ended and its disk was not kept")
            handle = Handle(
                driver=DummyDriver.name,
                id=spec.id,
                token=token,
                directory=f"/dummy/{spec.id}",
                pid=1000 + sum(len(boots) for boots in self.boots.values()),
                start_time=1,
                boot_id="dummy",
                shim_pid=0,
                shim_start_time=0,
                ip=ip,
                started_at=self.now,
            )
            earlier.append(_Boot(spec, handle))
            self.files.setdefault(spec.id, {}).update({file.path: file.content for file in spec.files})
            outcome = self.script(spec)
            if outcome is not None:
                if outcome.output:
                    self.say(spec.id, outcome.output)
                self.end(spec.id, outcome.code, outcome.signal, outcome.oom_killed)
            return handle


class DummyDriver:
    name = "dummy"

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()

    def available(self) -> str | None:
        return None

    def start(self, spec: SandboxSpec, token: str) -> Handle:
        check_spec(spec)
        return self.world.boot(spec, token, (spec.ip or self.reserve_address(spec.id)) if spec.network else None)

    def recover(self) -> list[Handle]:
        return self.running()

    def running(self) -> list[Handle]:
        return [boot.handle for boots in self.world.boots.values() for boot in boots if boot.exited is None]

    def status(self, handle: Handle) -> Status:
        boot = self.world.find(handle.id, handle.token)
        return Gone() if boot is None else boot.exited or Running()

    def watch(self, handle: Handle, callback: Watcher) -> None:
        boot = self.world.find(handle.id, handle.token)
        if boot is None:
            raise SandboxError(f"nothing is known of this boot of {handle.id}")
        if boot.exited is None:
            boot.watchers.append(callback)
        else:
            callback(handle, boot.exited)

    def logs(self, handle: Handle, offset: int, limit: int = 1 << 20) -> tuple[list[LogFrame], int]:
        boot = self.world.find(handle.id, handle.token)
        frames: list[LogFrame] = []
        for frame in boot.frames[offset:] if boot else ():
            if frames and sum(len(taken.data) for taken in frames) + len(frame.data) > limit:
                break
            frames.append(frame)
        return frames, offset + len(frames)

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
        return self.world.commands(self._running(handle).spec, argv, stdin)

    def read_file(self, handle: Handle, path: str, limit: int = 64 << 20) -> bytes:
        self._running(handle)
        content = self.world.files[handle.id].get(path)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        if len(content) > limit:
            raise OSError(errno.EFBIG, "File too large", path)
        return content

    def set_wall(self, handle: Handle, wall: Wall) -> None:
        check_wall(wall)
        boot = self._running(handle)
        if boot.wall is None:
            raise SandboxError(f"sandbox {handle.id} has no private network")
        boot.wall = wall

    def _running(self, handle: Handle) -> _Boot:
        boot = self.world.find(handle.id, handle.token)
        if boot is None or boot.exited is not None:
            raise NotRunning(f"sandbox {handle.id} has ended")
        return boot

    def stop(self, handle: Handle, grace: float = 10.0) -> Exited | Gone:
        boot = self.world.find(handle.id, handle.token)
        if boot is None:
            return Gone()
        if boot.exited is None:
            self.world.end(handle.id, signal=15 if grace > 0 else 9)
        return boot.exited or Gone()

    def remove(self, sandbox: Handle | str) -> None:
        sandbox_id = sandbox if isinstance(sandbox, str) else sandbox.id
        boots = self.world.boots.get(sandbox_id)
        if boots and boots[-1].exited is None:
            self.world.end(sandbox_id, signal=9)
        self.world.boots.pop(sandbox_id, None)
        self.world.files.pop(sandbox_id, None)
        self.world.addresses.pop(sandbox_id, None)

    def orphans(self, known_ids: Collection[str]) -> list[str]:
        return sorted({*self.world.boots, *self.world.addresses}.difference(known_ids))

    def reserve_address(self, sandbox_id: str) -> str | None:
        taken = self.world.addresses
        return taken.setdefault(sandbox_id, next(ip for n in range(10, 250) if (ip := f"198.19.0.{n}") not in taken.values()))

    def subnet(self) -> str | None:
        return "198.19.0.0/20"

    def close(self, remove_network: bool = False) -> None:
        """Nothing of this process's own to end."""
