"""What drivers have in common whose sandboxes sit under our supervisor (`shim/supervisor.py`): runc and process.

Invariant: what is true of a boot is read from its directory and from the kernel, never from this object's memory; the object only
holds what belongs to this process (listeners' service, watches). So a new process that calls `recover` knows all the old one knew.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from windtunnel.compute import ending, handshake, tools
from windtunnel.compute.boots import Boot, boot_of, boots_of, guest_alive, supervisor_alive, wait_unlocked
from windtunnel.compute.driver import (
    SANDBOX_ID,
    Exited,
    Gone,
    Handle,
    ListenerKind,
    LogFrame,
    Running,
    SandboxError,
    SandboxSpec,
    Serve,
    Status,
    Stream,
    Watcher,
    check_spec,
)
from windtunnel.compute.handshake import END_SECONDS
from windtunnel.compute.shim import log as frames_file
from windtunnel.compute.shim import messages
from windtunnel.compute.watcher import ExitWatcher

log = logging.getLogger("windtunnel.compute")
CREATE_SECONDS = 120.0
START_SECONDS = 60.0
_STREAMS: dict[int, Stream] = {frames_file.STDOUT: "stdout", frames_file.STDERR: "stderr"}


class _Turn:
    """What calls about one sandbox wait for; it exists while one of them does."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


class _Live:
    """A boot that this process attends to."""

    handle: Handle

    def __init__(self) -> None:
        self.closers: list[Callable[[], None]] = []
        self.watchers: list[Watcher] = []
        self.ended = threading.Event()


class SupervisedDriver:
    name = ""

    def __init__(self, root: Path, serve: Serve) -> None:
        self._root = root
        self._serve = serve
        self._sandboxes = root / "sandboxes"
        self._sandboxes.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._trash = root / "trash"
        self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise SandboxError(f"another process is in charge of the sandboxes in {root}") from None
        self._exits = ExitWatcher(f"{self.name}-exits")
        self._turn = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._starts = threading.Condition()
        self._under_way = 0
        self._ending = False
        self._turns: weakref.WeakValueDictionary[str, _Turn] = weakref.WeakValueDictionary()

    # -- what a driver adds

    def available(self) -> str | None:
        raise NotImplementedError

    def _prepare(self, spec: SandboxSpec, boot: Boot) -> tuple[dict[str, Any], str | None, list[ListenerKind]]:
        """(the supervisor's "runtime" order, the address, the kinds of its listeners in their order)."""
        raise NotImplementedError

    def _scrub(self, boot: Boot, order: dict[str, Any]) -> None:
        """Delete what a boot whose supervisor is gone may have left in the kernel."""
        raise NotImplementedError

    def _join(self, spec: SandboxSpec, boot: Boot) -> int | None:
        """The namespace of the sandbox's private network, to be closed by the caller; the boot is a member until `_left`."""
        return None

    def _admit(self, order: dict[str, Any], switch: int) -> None:
        """Have the private network let through what comes from this sandbox, before its first instruction."""

    def _rejoin(self, boot: Boot, order: dict[str, Any]) -> None:
        """The same for a boot that runs, from an earlier process."""

    def _left(self, boot: Boot) -> None:
        """The boot has ended, or never began."""

    def _release(self, sandbox_id: str) -> None:
        """Give back what belongs to the id beyond its directory."""

    def _reserved(self) -> Collection[str]:
        """Ids that hold something beyond a directory."""
        return ()

    # -- start

    def start(self, spec: SandboxSpec, token: str) -> Handle:
        check_spec(spec)
        problem = self.available()
        if problem is not None:
            raise SandboxError(problem)
        sandbox = self._sandboxes / spec.id
        boot = boot_of(sandbox, token)
        with self._start_under_way(), self._in_line(spec.id):
            known = self._known(boot)
            if known is not None:
                return known
            self._make_room(sandbox, spec)
            return self._boot(spec, token, boot)

    @contextmanager
    def _start_under_way(self) -> Iterator[None]:
        with self._starts:
            if self._ending:
                raise SandboxError("no sandbox starts any more: the cloud is ending")
            self._under_way += 1
        try:
            yield
        finally:
            with self._starts:
                self._under_way -= 1
                self._starts.notify_all()

    def end_starts(self) -> None:
        """Refuse every start from now on; returns when those under way are done, so that `running` says all that there will be."""
        with self._starts:
            self._ending = True
            self._starts.wait_for(lambda: self._under_way == 0, CREATE_SECONDS + START_SECONDS)

    def _known(self, boot: Boot) -> Handle | None:
        """The boot's handle if it was ever started; what is left of a start that did not get so far is swept."""
        if not boot.path.exists():
            return None
        handle = boot.handle()
        if handle is None:
            self._sweep_unstarted(boot)
            return None
        if self._condition(boot, handle) == Running():
            self._attend(boot, handle)
        return handle

    def _sweep_unstarted(self, boot: Boot) -> None:
        if not wait_unlocked(boot.sandbox, END_SECONDS):
            raise SandboxError(f"the supervisor of {boot.key} does not end")
        order = boot.order()
        if order is not None:
            self._scrub(boot, order)
        shutil.rmtree(boot.path, ignore_errors=True)

    def _make_room(self, sandbox: Path, spec: SandboxSpec) -> None:
        """Check that the sandbox may boot again, and drop all records but the last one."""
        ended: list[tuple[float, Boot]] = []
        for boot in boots_of(sandbox):
            handle = boot.handle()
            if handle is None:
                self._sweep_unstarted(boot)
                continue
            if self._condition(boot, handle) == Running():
                raise SandboxError(f"sandbox {spec.id} runs already, from another start")
            ended.append((handle.started_at, boot))
        if ended and not spec.keep:
            raise SandboxError(f"sandbox {spec.id} has ended and its disk was not kept")
        for _, boot in sorted(ended, key=lambda item: item[0])[:-1]:
            shutil.rmtree(boot.path, ignore_errors=True)
        if not ended:
            self._discard(sandbox / "upper", sandbox / "work", sandbox / "disk.json")  # half-written by a start that failed

    def _boot(self, spec: SandboxSpec, token: str, boot: Boot) -> Handle:
        boot.path.mkdir(parents=True, mode=0o700)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                shim = handshake.spawn(boot, theirs)  # it comes up while we prepare
            live = _Live()
            runs = False
            switch = None
            try:
                order = self._write_order(spec, token, boot)
                switch = self._join(spec, boot)
                live.handle = self._hand_shake(boot, ours, live, order, switch)
                runs = True
            except OSError as problem:
                raise SandboxError(str(problem)) from problem
            finally:
                if switch is not None:
                    os.close(switch)
                if not runs:
                    self._left(boot)
                    ours.close()  # the supervisor hears the end of it and cleans up
                    _close_all(live)
                    handshake.await_end(shim)
                    shutil.rmtree(boot.path, ignore_errors=True)
        self._watch_supervisor(boot, live)
        return live.handle

    def _write_order(self, spec: SandboxSpec, token: str, boot: Boot) -> dict[str, Any]:
        runtime, ip, kinds = self._prepare(spec, boot)
        identity = {"driver": self.name, "id": spec.id, "token": token, "directory": str(boot.sandbox), "ip": ip}
        order = {"identity": identity, "lock": str(boot.sandbox / "lock"), "kinds": kinds, "runtime": runtime}
        handshake.write_private(boot.path / "boot.json", order)
        return order

    def _hand_shake(self, boot: Boot, supervisor: socket.socket, live: _Live, order: dict[str, Any], switch: int | None) -> Handle:
        supervisor.settimeout(CREATE_SECONDS)
        messages.send(supervisor, {"order": True}, [] if switch is None else [switch])
        if switch is not None:
            self._admit(order, switch)  # while the supervisor creates
        _, sockets = handshake.receive(supervisor, boot)
        self._serve_all(boot, order["kinds"], sockets, live)
        supervisor.settimeout(START_SECONDS)
        supervisor.send(b"go")
        handshake.receive(supervisor, boot)
        handle = boot.handle()
        if handle is None:
            raise SandboxError(f"sandbox {boot.sandbox.name}: its supervisor lost its record")
        return handle

    def _serve_all(self, boot: Boot, kinds: list[ListenerKind], sockets: list[socket.socket], live: _Live) -> None:
        ours = list(sockets)
        try:
            for kind in kinds:
                live.closers.append(self._serve(boot.sandbox.name, kind, ours[0]))
                ours.pop(0)  # the service's from now on
        finally:
            for listener in ours:
                listener.close()

    # -- attending to what runs

    def _watch_supervisor(self, boot: Boot, live: _Live) -> None:
        with self._turn:
            self._live[boot.key] = live
        try:
            self._exits.add(live.handle.shim_pid, lambda: self._supervisor_ended(boot))
        except ProcessLookupError:
            self._supervisor_ended(boot)

    def _supervisor_ended(self, boot: Boot) -> None:
        live = self._live[boot.key]
        try:
            os.waitpid(live.handle.shim_pid, os.WNOHANG)
        except ChildProcessError:
            pass  # started by an earlier process of this cloud
        exited = self._settle(boot, live.handle)
        self._left(boot)
        with self._turn:
            del self._live[boot.key]
            watchers = live.watchers
        _close_all(live)
        live.ended.set()
        for watcher in watchers:
            self._tell(watcher, live.handle, exited)

    @staticmethod
    def _tell(watcher: Watcher, handle: Handle, exited: Exited) -> None:
        """On a thread of its own: what a watcher does or raises is not the exit watcher's business."""
        threading.Thread(target=watcher, args=(handle, exited), name=f"ended-{handle.id}", daemon=True).start()

    def _settle(self, boot: Boot, handle: Handle) -> Exited:
        """The record of a boot whose supervisor has ended; made up here if it was killed before it could write one."""
        exited = boot.exited()
        if exited is not None:
            return exited
        if guest_alive(handle):
            ending.send(handle, signal.SIGKILL)
        order = boot.order()
        if order is not None:
            self._scrub(boot, order)
        lost = "the sandbox's supervisor was killed, or the machine was restarted"
        try:
            boot.record_lost(lost)
        except OSError:
            pass  # a full disk: it is told now and made up again next time
        return boot.exited() or Exited(code=None, signal=None, oom_killed=False, ended_at=time.time(), lost=True, reason=lost)

    def _condition(self, boot: Boot, handle: Handle) -> Running | Exited:
        exited = boot.exited()
        if exited is not None:
            return exited
        return Running() if supervisor_alive(handle) else self._settle(boot, handle)

    def _attend(self, boot: Boot, handle: Handle) -> None:
        """Serve and watch a running boot that an earlier process started."""
        with self._turn:
            if boot.key in self._live:
                return
        order: dict[str, Any] = boot.order() or {"kinds": [], "runtime": {}}
        kinds: list[ListenerKind] = order["kinds"]
        live = _Live()
        live.handle = handle
        try:
            self._rejoin(boot, order)
            self._serve_all(boot, kinds, handshake.ask_for_listeners(boot) if kinds else [], live)
        except (OSError, SandboxError):
            if supervisor_alive(handle):
                raise
            # else it ended meanwhile; the watch records that
        self._watch_supervisor(boot, live)

    def running(self) -> list[Handle]:
        """What this process knows to run now."""
        with self._turn:
            return [live.handle for live in self._live.values()]

    def recover(self) -> list[Handle]:
        running = []
        self._discard(*(self._trash.iterdir() if self._trash.exists() else ()))
        for sandbox in sorted(self._sandboxes.iterdir()):
            with self._in_line(sandbox.name):
                for boot in boots_of(sandbox):
                    try:
                        handle = self._known(boot)
                    except (SandboxError, OSError) as problem:
                        log.warning("sandbox %s is left alone: %s", sandbox.name, problem)
                        continue  # one that cannot be had must not keep the others from being found
                    if handle is not None and boot.exited() is None:
                        running.append(handle)
        return running

    # -- questions

    def status(self, handle: Handle) -> Status:
        boot = boot_of(self._sandboxes / handle.id, handle.token)
        known = boot.handle()
        return Gone() if known is None else self._condition(boot, known)

    def watch(self, handle: Handle, callback: Watcher) -> None:
        boot = boot_of(self._sandboxes / handle.id, handle.token)
        with self._turn:
            live = self._live.get(boot.key)
            if live is not None:
                live.watchers.append(callback)
                return
        known = boot.handle()
        if known is None:
            raise SandboxError(f"nothing is known of this boot of {handle.id}")
        condition = self._condition(boot, known)
        if isinstance(condition, Exited):
            self._tell(callback, known, condition)
            return
        with self._in_line(handle.id):
            self._attend(boot, known)
        self.watch(handle, callback)

    def logs(self, handle: Handle, offset: int, limit: int = 1 << 20) -> tuple[list[LogFrame], int]:
        boot = boot_of(self._sandboxes / handle.id, handle.token)
        try:
            fd = os.open(boot.path / "log", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return [], offset
        try:
            data = os.pread(fd, max(limit, frames_file.HEADER.size), offset)
            if len(data) >= frames_file.HEADER.size:
                first = frames_file.HEADER.size + frames_file.HEADER.unpack_from(data)[1]
                if first > len(data):
                    data = os.pread(fd, first, offset)
        finally:
            os.close(fd)
        frames = [LogFrame(micros / 1e6, _STREAMS[stream], payload) for micros, stream, payload in frames_file.parse(data)]
        return frames, offset + sum(frames_file.HEADER.size + len(frame.data) for frame in frames)

    def orphans(self, known_ids: Collection[str]) -> list[str]:
        return sorted({entry.name for entry in self._sandboxes.iterdir()}.union(self._reserved()).difference(known_ids))

    # -- ends

    def stop(self, handle: Handle, grace: float = 10.0) -> Exited | Gone:
        boot = boot_of(self._sandboxes / handle.id, handle.token)
        known = boot.handle()
        if known is None:
            return Gone()
        condition = self._condition(boot, known)
        return condition if isinstance(condition, Exited) else self._end(boot, known, grace)

    def _end(self, boot: Boot, handle: Handle, grace: float) -> Exited:
        ending.end(handle, grace)
        with self._turn:
            live = self._live.get(boot.key)
        if live is not None:
            live.ended.wait(END_SECONDS)
        return self._settle(boot, handle)

    def remove(self, sandbox: Handle | str) -> None:
        sandbox_id = sandbox if isinstance(sandbox, str) else sandbox.id
        if not SANDBOX_ID.match(sandbox_id):
            raise ValueError(f"{sandbox_id!r} is not a sandbox id")
        directory = self._sandboxes / sandbox_id
        with self._in_line(sandbox_id):
            for boot in boots_of(directory):
                handle = boot.handle()
                if handle is None:
                    self._sweep_unstarted(boot)
                    continue
                self._end(boot, handle, 0)  # also one that has ended: its supervisor may still be at work
                order = boot.order()
                if order is not None:
                    self._scrub(boot, order)
            self._discard(directory)
            self._release(sandbox_id)

    def _discard(self, *paths: Path) -> None:
        """Out of sight at once, then deleted by `rm`: a guest may have made trees that are deeper than Python can recurse."""
        self._trash.mkdir(exist_ok=True, mode=0o700)
        doomed = []
        for path in paths:
            target = self._trash / uuid.uuid4().hex
            try:
                path.rename(target)
            except FileNotFoundError:
                continue
            doomed.append(str(target))
        if doomed:
            tools.run(["rm", "-rf", "--", *doomed], seconds=300)

    def close(self, remove_network: bool = False) -> None:
        self._exits.close()
        with self._turn:
            attended, self._live = list(self._live.values()), {}
        for live in attended:
            _close_all(live)
        os.close(self._lock)

    def _any_running(self) -> bool:
        return any(
            (handle := boot.handle()) is not None and self._condition(boot, handle) == Running()
            for sandbox in self._sandboxes.iterdir()
            for boot in boots_of(sandbox)
        )

    @contextmanager
    def _in_line(self, sandbox_id: str) -> Iterator[None]:
        with self._turn:
            turn = self._turns.setdefault(sandbox_id, _Turn())
        with turn.lock:
            yield


def _close_all(live: _Live) -> None:
    closers, live.closers = live.closers, []
    for close in closers:
        close()
