"""The life of one service as a state machine: requests and exits in, actions out.

Why it exists: starting, stopping, reloading and restarting a service has many interleavings (it dies while it is being stopped, it is
started while it waits for its restart); decided here, without processes or a clock, all of them can be tested.

The invariant it keeps: every request is answered by a `Settled` of its kind, also when it is overtaken by another or the service dies;
and without a request or an event the machine stays in inactive, active or failed, or waits for the restart that the unit asked for.

Pure: `now` comes in with every event, and whatever has to be done leaves as an action for `manager.py` to carry out.
"""

from __future__ import annotations

from typing import NamedTuple

from windtunnel.guest.unitfile import CLEAN_SIGNALS, INFINITY, Command, Service

ACTIVE_OF = {
    "dead": "inactive", "failed": "failed", "running": "active", "exited": "active", "reload": "reloading", "auto-restart": "activating",
    "start-pre": "activating", "start": "activating", "start-post": "activating",
    "stop": "deactivating", "stop-sigterm": "deactivating", "stop-sigkill": "deactivating", "stop-post": "deactivating",
}  # fmt: skip
PID_FILE_POLL = 0.02


class Spawn(NamedTuple):
    """Start this command. Answer with `spawned` or, if it cannot be executed, `exited(0, 203, 0)`. main: it is the service itself."""

    command: Command
    main: bool


class Kill(NamedTuple):
    """Send a signal to the main process, the control process or every process of the unit."""

    signal: str
    whom: str


class Arm(NamedTuple):
    """Call `timer` after so many seconds; replaces the timer before. INFINITY: none."""

    seconds: float


class FindMain(NamedTuple):
    """Tell the main process of a forking service: answer with `main_found`."""


class CheckGone(NamedTuple):
    """Call `gone` when the main process, or every process, of the unit is gone (at once, if so)."""

    whom: str


class Settled(NamedTuple):
    """Requests of this kind ("start", "stop", "reload"; a restart is a start) have their answer."""

    kind: str
    ok: bool


class Say(NamedTuple):
    """A line for the journal."""

    text: str


Action = Spawn | Kill | Arm | FindMain | CheckGone | Settled | Say


class Machine:
    """One service. Read `sub`, `active`, `result`, `main_pid`; change it only through its events."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.sub = "dead"
        self.result = "success"
        self.main_pid = 0
        self.control_pid = 0
        self.main_code = ""
        self.main_status = 0
        self.restarts = 0
        self.since = 0.0
        self.starts: list[float] = []
        self._queue: list[Command] = []
        self._start_again = False
        self._stopping_for = "exit"
        self._deadline = INFINITY
        self.exhausted = False
        self._optional = False

    @property
    def active(self) -> str:
        return ACTIVE_OF[self.sub]

    # Requests

    def start(self, now: float) -> list[Action]:
        if self.active in ("active", "reloading"):
            return [Settled("start", True)]
        if self.sub in ("dead", "failed", "auto-restart"):
            self.restarts = 0
            return self._begin(now)
        self._start_again = self._start_again or self.active == "deactivating"
        return []

    def stop(self, now: float) -> list[Action]:
        self._start_again = False
        if self.sub in ("dead", "failed"):
            return [Settled("stop", True)]
        self._stopping_for = "request"
        actions: list[Action] = [Settled("start", False)]
        if self.sub == "auto-restart":
            return [*actions, *self._rest(now)]
        if self.active == "deactivating":
            return actions
        actions.append(Say(f"Stopping {self.service.description}..."))
        return [*actions, *(self._terminate(now) if self.active == "activating" else self._run_stop(now))]

    def restart(self, now: float) -> list[Action]:
        if self.sub in ("dead", "failed", "auto-restart"):
            return self.start(now)
        # Whoever waits for an earlier start is answered when this one has settled.
        actions: list[Action] = [action for action in self.stop(now) if not (isinstance(action, Settled) and action.kind == "start")]
        self._start_again = True
        return actions

    def reload(self, now: float) -> list[Action]:
        if self.active != "active" or not self.service.reload:
            return [Settled("reload", False)]
        self._move("reload", now)
        self._queue = list(self.service.reload)
        return [self._arm(self.service.start_timeout, now), *self._next_command(now)]

    def reset_failed(self, now: float) -> list[Action]:
        self.starts.clear()
        self.exhausted = False
        if self.sub == "failed":
            self._move("dead", now)
            self.result = "success"
        return []

    # Events

    def spawned(self, pid: int, main: bool, now: float) -> list[Action]:
        if not main:
            self.control_pid = pid
            return []
        self.main_pid, self.main_code, self.main_status = pid, "", 0
        return self._started(now) if self.service.type in ("simple", "exec", "idle") else []

    def ready(self, main_pid: int, now: float) -> list[Action]:
        """A service of type notify says that it is (READY=1). main_pid: who its main process is, if it says that too."""
        self.main_pid = main_pid or self.main_pid
        return self._started(now) if self.sub == "start" and self.service.type.startswith("notify") else []

    def exited(self, pid: int, code: int, signal: str, now: float) -> list[Action]:
        """A process of this unit has ended; pid 0: the command that was to be spawned could not be."""
        if pid and pid == self.main_pid:
            self.main_pid = 0
            self.main_code, self.main_status = ("killed" if signal else "exited"), code
            return self._main_exited(code, signal, now)
        if pid == self.control_pid:
            self.control_pid = 0
            return self._control_exited(code, signal, now)
        return []

    def main_found(self, pid: int, now: float) -> list[Action]:
        if self.sub != "start":
            return []
        self.main_pid = pid
        if pid:
            return self._started(now)
        if self.service.pid_file:
            return [Arm(PID_FILE_POLL)]
        return self._started(now) if self.service.remain_after_exit else self._finish(now)

    def gone(self, now: float) -> list[Action]:
        if self.sub in ("stop-sigterm", "stop-sigkill"):
            return self._stop_post(now)
        return []

    def timer(self, now: float) -> list[Action]:
        if self.sub == "auto-restart":
            return self._restart_now(now)
        if self.sub == "start" and self.service.type == "forking" and not self.control_pid and now < self._deadline:
            return [FindMain()]
        if self.sub in ("start-pre", "start", "start-post"):
            self._fail("timeout")
            return [Say(f"{self.service.name}: start operation timed out. Terminating."), *self._terminate(now)]
        if self.sub == "reload":
            self._move("running", now)
            return [
                Say(f"{self.service.name}: Reload operation timed out. Killing reload process."),
                Kill("KILL", "control"),
                Settled("reload", False),
            ]
        if self.sub == "stop":
            self._fail("timeout")
            return [Say(f"{self.service.name}: Stopping timed out. Terminating."), Kill("KILL", "control"), *self._terminate(now)]
        if self.sub == "stop-sigterm":
            self._fail("timeout")
            self._move("stop-sigkill", now)
            whom = "main" if self.service.kill_mode == "process" else "all"
            return [
                Say(f"{self.service.name}: State 'stop-sigterm' timed out. Killing."),
                Kill("KILL", whom),
                self._arm(5, now),
                CheckGone(whom),
            ]
        if self.sub == "stop-sigkill":
            return self._stop_post(now)
        if self.sub == "stop-post":
            return [Kill("KILL", "control")]
        return []

    # Starting

    def _begin(self, now: float) -> list[Action]:
        self.starts = [t for t in self.starts if now - t < self.service.limit_interval]
        if self.service.limit_interval and 0 < self.service.limit_burst <= len(self.starts):
            self._fail("start-limit-hit")
            self.exhausted = True
            return [Say(f"{self.service.name}: Start request repeated too quickly."), *self._rest(now)]
        self.starts.append(now)
        self.result, self._stopping_for, self.exhausted = "success", "exit", False
        self.main_code, self.main_status = "", 0
        self._move("start-pre", now)
        self._queue = list(self.service.start_pre)
        return [Say(f"Starting {self.service.description}..."), self._arm(self.service.start_timeout, now), *self._next_command(now)]

    def _restart_now(self, now: float) -> list[Action]:
        self.restarts += 1
        text = f"{self.service.name}: Scheduled restart job, restart counter is at {self.restarts}."
        return [Say(text), *self._begin(now)]

    def _next_command(self, now: float) -> list[Action]:
        """Run the next control command of this state, or go on to what follows it."""
        if self._queue:
            command = self._queue.pop(0)
            self._optional = command.optional
            main = self.sub == "start" and self.service.type == "oneshot"
            return [Spawn(command, main)]
        if self.sub == "start-pre":
            return self._enter_start(now)
        if self.sub == "start":
            return [FindMain()] if self.service.type == "forking" else self._started(now)
        if self.sub == "start-post":
            return self._running(now)
        if self.sub == "reload":
            self._move("running" if self.main_pid else "exited", now)
            return [Arm(INFINITY), Say(f"Reloaded {self.service.description}."), Settled("reload", True)]
        if self.sub == "stop":
            return self._terminate(now)
        return self._rest(now)

    def _enter_start(self, now: float) -> list[Action]:
        self._move("start", now)
        if self.service.type in ("oneshot", "forking"):
            self._queue = list(self.service.start)
            return self._next_command(now)
        return [Spawn(self.service.start[0], True)]

    def _started(self, now: float) -> list[Action]:
        self._move("start-post", now)
        self._queue = list(self.service.start_post)
        return self._next_command(now)

    def _running(self, now: float) -> list[Action]:
        if self.service.type == "oneshot" and not self.service.remain_after_exit:
            return self._finish(now)
        self._move("running" if self.main_pid else "exited", now)
        started: list[Action] = [Arm(INFINITY), Say(f"Started {self.service.description}."), Settled("start", True)]
        gone_already = not self.main_pid and not self.service.remain_after_exit
        return [*started, *self._run_stop(now)] if gone_already else started

    def _finish(self, now: float) -> list[Action]:
        """A oneshot that does not remain, or a forking service that left nothing behind: done, and well."""
        return [Say(f"Finished {self.service.description}."), Settled("start", True), *self._terminate(now)]

    # Exits

    def _clean(self, code: int, signal: str) -> bool:
        if signal:
            return signal in CLEAN_SIGNALS or signal in self.service.clean_codes
        return code == 0 or str(code) in self.service.clean_codes

    def _control_exited(self, code: int, signal: str, now: float) -> list[Action]:
        ok = self._optional or self._clean(code, signal)
        if self.sub == "start" and self.service.type not in ("oneshot", "forking"):
            return self._main_exited(code, signal, now)
        if ok:
            return self._next_command(now) if self.sub in ("start-pre", "start", "start-post", "reload", "stop", "stop-post") else []
        said = Say(f"{self.service.name}: Control process exited, {_how(code, signal)}")
        if self.sub == "reload":
            self._queue = []
            self._move("running", now)
            return [said, Arm(INFINITY), Settled("reload", False)]
        if self.sub in ("start-pre", "start", "start-post", "stop"):
            self._fail("signal" if signal else "exit-code")
            return [said, *self._terminate(now)]
        if self.sub == "stop-post":
            return [said, *self._next_command(now)]
        return [said]

    def _main_exited(self, code: int, signal: str, now: float) -> list[Action]:
        oneshot = self.service.type == "oneshot"
        optional = self._optional if oneshot else self.service.start[0].optional
        clean = optional or (self._clean(code, signal) and not (oneshot and signal))
        said: list[Action] = [] if clean and not signal else [Say(f"{self.service.name}: Main process exited, {_how(code, signal)}")]
        if not clean:
            self._fail("signal" if signal else "exit-code")
        if self.sub == "start":
            if clean and not oneshot:
                self._fail("protocol")
            return [*said, *(self._next_command(now) if clean and oneshot else self._terminate(now))]
        if self.sub == "start-post" and not clean:
            return [*said, *self._terminate(now)]
        if self.sub in ("running", "reload"):
            if clean and self.service.remain_after_exit:
                self._move("exited", now)
                return said
            self._stopping_for = "exit"
            return [*said, *self._run_stop(now)]
        if self.sub == "stop-sigterm":
            # KillMode=mixed: the rest of the unit is killed as soon as the main process is gone.
            rest: list[Action] = [Kill("KILL", "all")] if self.service.kill_mode == "mixed" else []
            return [*said, *rest, CheckGone("main" if self.service.kill_mode == "process" else "all")]
        return said

    # Stopping

    def _run_stop(self, now: float) -> list[Action]:
        overtaken: list[Action] = [Settled("reload", False)] if self.sub == "reload" else []
        self._move("stop", now)
        self._queue = list(self.service.stop)
        return [*overtaken, self._arm(self.service.stop_timeout, now), *self._next_command(now)]

    def _terminate(self, now: float) -> list[Action]:
        self._queue = []
        self._move("stop-sigterm", now)
        mode = self.service.kill_mode
        if mode == "none":
            return self._stop_post(now)
        timer = self._arm(self.service.stop_timeout, now)
        if mode == "mixed" and not self.main_pid:
            return [timer, Kill("KILL", "all"), CheckGone("all")]
        kill = Kill(self.service.kill_signal, "all" if mode == "control-group" else "main")
        return [timer, kill, CheckGone("main" if mode == "process" else "all")]

    def _stop_post(self, now: float) -> list[Action]:
        self._move("stop-post", now)
        self._queue = list(self.service.stop_post)
        return [self._arm(self.service.stop_timeout, now), *self._next_command(now)]

    def _rest(self, now: float) -> list[Action]:
        """All processes are gone: be dead or failed, or wait for the restart."""
        self.main_pid = self.control_pid = 0
        stopped = self._stopping_for == "request"
        failed = self.result != "success"
        actions: list[Action] = [Arm(INFINITY), Settled("stop", True)]
        if failed:
            actions.append(Say(f"{self.service.name}: Failed with result '{self.result}'."))
        if self._start_again:
            self._start_again = False
            self._move("dead", now)
            return [*actions, *self._begin(now)]
        actions.append(Settled("start", not failed and not stopped))
        if not stopped and not self.exhausted and self._restarts():
            self._move("auto-restart", now)
            return [*actions, Arm(self.service.restart_sec)]
        self._move("failed" if failed else "dead", now)
        return [*actions, Say(f"Stopped {self.service.description}.")] if stopped else actions

    def _restarts(self) -> bool:
        code = str(self.main_status) if self.main_code == "exited" else self.main_code
        if code and code in self.service.prevent_restart:
            return False
        abnormal = self.result in ("signal", "timeout")
        return {
            "no": False,
            "always": True,
            "on-success": self.result == "success",
            "on-failure": self.result != "success",
            "on-abnormal": abnormal,
            "on-abort": self.result == "signal",
            "on-watchdog": False,
        }[self.service.restart]

    # Small parts

    def _fail(self, result: str) -> None:
        if self.result == "success":
            self.result = result

    def _move(self, sub: str, now: float) -> None:
        if ACTIVE_OF[sub] != self.active:
            self.since = now
        self.sub = sub

    def _arm(self, seconds: float, now: float) -> Arm:
        self._deadline = now + seconds
        return Arm(seconds)


def _how(code: int, signal: str) -> str:
    return f"code=killed, status={signal}" if signal else f"code=exited, status={code}{_NAMES.get(code, '/FAILURE')}"


_NAMES = {0: "/SUCCESS", 1: "/FAILURE", 2: "/INVALIDARGUMENT", 200: "/CHDIR", 203: "/EXEC", 216: "/GROUP", 217: "/USER"}
