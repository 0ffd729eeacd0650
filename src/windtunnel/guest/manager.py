"""All services of an instance: requests, their order, and the carrying out of what each service's machine decides.

Why it exists: one request (a boot, `systemctl start web`) touches many units; they start in the order that their files ask for, and
whoever asked hears when the last of them has settled.

The invariant it keeps: every request is answered exactly once; no unit has two machines, whatever names it goes by.

Processes, clock and files are behind `Host`, so that the tests run whole boots without any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from windtunnel.guest import procs
from windtunnel.guest.machine import Action, Arm, CheckGone, FindMain, Kill, Machine, Say, Settled, Spawn
from windtunnel.guest.unitfile import INFINITY, BadUnit, Command, Service

KINDS = {"start": "start", "restart": "start", "stop": "stop", "reload": "reload"}


class CannotLoad(Exception):
    """There is no such unit, or it cannot be run. state: systemd's LoadState."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state


class CannotSpawn(Exception):
    """A command could not be executed. code: systemd's exit code for the step that failed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Host(Protocol):
    """What the manager needs of the machine."""

    def load(self, name: str) -> Service: ...
    def members_of_target(self, name: str) -> list[str]: ...
    def skip(self, service: Service) -> str: ...
    def now(self) -> float: ...
    def ticks(self) -> int: ...
    def table(self) -> Mapping[int, procs.Process]: ...
    def spawn(self, service: Service, command: Command, extra: Mapping[str, str]) -> int: ...
    def kill(self, pid: int, signal: str) -> None: ...
    def read_pid(self, path: str) -> int: ...
    def say(self, unit: str, text: str) -> None: ...


class Unit:
    """A loaded service: its machine and its processes."""

    def __init__(self, service: Service) -> None:
        self.machine = Machine(service)
        self.known: dict[int, int] = {}
        self.sessions: set[int] = set()
        self.born = 0
        self.deadline = INFINITY
        self.leaving = ""
        self.turn = 0

    @property
    def name(self) -> str:
        return self.machine.service.name

    @property
    def idle(self) -> bool:
        return self.machine.sub in ("dead", "failed")


class Job:
    """One unit's part in a request."""

    def __init__(self, unit: Unit, verb: str, request: Request) -> None:
        self.unit = unit
        self.verb = verb
        self.request = request
        self.after: set[Job] = set()
        self.requires: set[Job] = set()
        self.running = False
        self.done = False
        self.error = ""

    @property
    def kind(self) -> str:
        return KINDS[self.verb]


class Request:
    """Jobs that were asked for together, and who asked."""

    def __init__(self, reply: Callable[[dict[str, str]], None]) -> None:
        self.reply = reply
        self.jobs: dict[str, Job] = {}
        self.asked: dict[str, str] = {}
        """Name as asked for to error, filled in when known."""
        self.answered = False


class Manager:
    """See the module. Every public method runs to its end without waiting for anything."""

    def __init__(self, host: Host, settled: Callable[[Service, str, bool], None] = lambda service, kind, ok: None) -> None:
        self.host = host
        self.units: dict[str, Unit] = {}
        self.requests: list[Request] = []
        self.settled = settled
        self.turns = 0

    # Requests

    def submit(self, verb: str, names: Iterable[str], reply: Callable[[dict[str, str]], None]) -> None:
        """Start, stop, restart or reload units. reply: called once with an error for each name, "" for success."""
        request = Request(reply)
        for name in names:
            try:
                for each in self._expand(name) if verb != "reload" else [name]:
                    self._add(request, verb, each)
                request.asked[name] = ""
            except CannotLoad as error:
                request.asked[name] = str(error)
        _order(request.jobs.values(), reverse=verb == "stop")
        self.requests.append(request)
        self._advance()

    def stop_all(self, reply: Callable[[dict[str, str]], None]) -> None:
        """Stop everything that runs, the last started first."""
        running = sorted((u for u in self.units.values() if not u.idle), key=lambda u: -u.turn)
        self.submit("stop", [unit.name for unit in running], reply)

    def _expand(self, name: str) -> list[str]:
        return self.host.members_of_target(name) if name.endswith(".target") else [name]

    def _add(self, request: Request, verb: str, name: str) -> Job:
        unit = self.unit(name)
        service = unit.machine.service
        job = request.jobs.get(service.name)
        if job is not None:
            return job
        job = request.jobs[service.name] = Job(unit, verb, request)
        if verb in ("start", "restart"):
            for needed in sorted(service.requires):
                if needed.endswith(".service"):
                    job.requires.add(self._add(request, "start", needed))
            for wanted in sorted(service.wants):
                if wanted.endswith(".service"):
                    try:
                        self._add(request, "start", wanted)
                    except CannotLoad:
                        continue
        if verb in ("stop", "restart"):
            for other in list(self.units.values()):
                if not other.idle and service.name in other.machine.service.part_of:
                    self._add(request, verb, other.name)
        return job

    def unit(self, name: str) -> Unit:
        """The unit of that name, read from disk anew unless it runs. Raises CannotLoad."""
        try:
            service = self.host.load(name)
        except CannotLoad:
            if name in self.units and not self.units[name].idle:
                return self.units[name]
            raise
        unit = self.units.get(service.name)
        if unit is None:
            unit = self.units[service.name] = Unit(service)
        elif unit.idle:
            unit.machine.service = service
        return unit

    def reload_files(self) -> None:
        """daemon-reload: running services obey their files as they are now."""
        for unit in self.units.values():
            try:
                unit.machine.service = self.host.load(unit.name)
            except CannotLoad:
                continue

    def reset_failed(self, names: Iterable[str]) -> None:
        chosen = set(names)
        for unit in self.units.values():
            if not chosen or unit.name in chosen:
                unit.machine.reset_failed(self.host.now())

    def signal(self, name: str, signal: str, whom: str) -> None:
        unit = self.unit(name)
        self._kill(unit, signal, whom)

    def _advance(self) -> None:
        """Begin every job whose turn has come; answer the requests that are through."""
        moved = True
        while moved:
            moved = False
            for request in list(self.requests):
                for job in list(request.jobs.values()):
                    if not job.running and not job.done and all(other.done for other in job.after | job.requires):
                        moved = True
                        self._begin(job)
        for request in [r for r in self.requests if all(job.done for job in r.jobs.values())]:
            self.requests.remove(request)
            self._answer(request)

    def _answer(self, request: Request) -> None:
        if request.answered:
            return
        request.answered = True
        errors = {}
        for name, error in request.asked.items():
            job = request.jobs.get(name) or next((j for j in request.jobs.values() if name == j.unit.name), None)
            job = job or self._aliased(request, name)
            errors[name] = error or (job.error if job else "")
        request.reply(errors)

    def _aliased(self, request: Request, name: str) -> Job | None:
        try:
            return request.jobs.get(self.host.load(name).name)
        except CannotLoad:
            return None

    def _begin(self, job: Job) -> None:
        machine, service = job.unit.machine, job.unit.machine.service
        if any(needed.error for needed in job.requires):
            self._finish(job, "dependency")
            return
        if job.kind == "start" and job.unit.idle:
            reason = self.host.skip(service)
            if reason:
                self.host.say(service.name, reason)
                self._finish(job, "")
                return
            if service.unsupported:
                self.host.say(service.name, f"{service.name}: not enforced by this image's init: {', '.join(service.unsupported)}")
            self.turns += 1
            job.unit.turn = self.turns
        job.running = True
        now = self.host.now()
        actions = {"start": machine.start, "stop": machine.stop, "restart": machine.restart, "reload": machine.reload}[job.verb](now)
        self._carry_out(job.unit, actions)

    def _finish(self, job: Job, error: str) -> None:
        job.done, job.running, job.error = True, False, error
        self.settled(job.unit.machine.service, job.kind, not error)

    # Events

    def reaped(self, pid: int, code: int, signal: str) -> None:
        """Process `pid`, a child of ours, has ended."""
        for unit in self.units.values():
            if pid in (unit.machine.main_pid, unit.machine.control_pid):
                if pid == unit.machine.control_pid:
                    self._observe(unit)
                self._carry_out(unit, unit.machine.exited(pid, code, signal, self.host.now()))
                self._advance()
                return

    def notified(self, sender: int, message: str) -> None:
        """sd_notify(3): `sender` says READY=1, perhaps with MAINPID=."""
        said = dict(line.partition("=")[::2] for line in message.splitlines())
        if said.get("READY") != "1":
            return
        for unit in self.units.values():
            if sender in (unit.machine.main_pid, unit.machine.control_pid) or (not unit.idle and sender in self._observe(unit)):
                main = said.get("MAINPID", "")
                self._carry_out(unit, unit.machine.ready(int(main) if main.isdigit() else 0, self.host.now()))
                self._advance()
                return

    def look(self) -> None:
        """After processes have ended: tell the machines that wait for theirs to be gone."""
        for unit in self.units.values():
            if unit.leaving and self._is_gone(unit, unit.leaving):
                unit.leaving = ""
                self._carry_out(unit, unit.machine.gone(self.host.now()))
        self._advance()

    def tick(self) -> None:
        """Fire the timers that are due."""
        now = self.host.now()
        for unit in self.units.values():
            if unit.deadline <= now:
                unit.deadline = INFINITY
                self._carry_out(unit, unit.machine.timer(now))
        self._advance()

    def next_deadline(self) -> float:
        return min((unit.deadline for unit in self.units.values()), default=INFINITY)

    # Carrying out

    def _carry_out(self, unit: Unit, actions: list[Action]) -> None:
        todo = list(actions)
        while todo:
            todo += self._do(unit, todo.pop(0))

    def _do(self, unit: Unit, action: Action) -> list[Action]:
        if isinstance(action, Spawn):
            return self._spawn(unit, action)
        if isinstance(action, Kill):
            self._kill(unit, action.signal, action.whom)
        elif isinstance(action, Arm):
            unit.deadline = self.host.now() + action.seconds
        elif isinstance(action, FindMain):
            return unit.machine.main_found(self._find_main(unit), self.host.now())
        elif isinstance(action, CheckGone):
            if self._is_gone(unit, action.whom):
                return unit.machine.gone(self.host.now())
            unit.leaving = action.whom
        elif isinstance(action, Settled):
            self._settle(unit, action)
        elif isinstance(action, Say):
            self.host.say(unit.name, action.text)
        return []

    def _spawn(self, unit: Unit, action: Spawn) -> list[Action]:
        machine = unit.machine
        extra = {"MAINPID": str(machine.main_pid)} if machine.main_pid else {}
        if machine.sub in ("stop", "stop-post"):
            extra.update(SERVICE_RESULT=machine.result, EXIT_CODE=machine.main_code, EXIT_STATUS=str(machine.main_status))
        if machine.sub == "start-pre" or not unit.sessions:
            unit.born = self.host.ticks()
        unit.leaving = ""
        try:
            pid = self.host.spawn(machine.service, action.command, extra)
        except CannotSpawn as error:
            self.host.say(unit.name, f"{unit.name}: {error}")
            return machine.exited(0, error.code, "", self.host.now())
        unit.sessions.add(pid)
        return machine.spawned(pid, action.main, self.host.now())

    def _settle(self, unit: Unit, settled: Settled) -> None:
        for request in self.requests:
            job = request.jobs.get(unit.name)
            if job is not None and job.running and job.kind == settled.kind:
                self._finish(job, "" if settled.ok else _why(unit.machine))
        if unit.idle:
            unit.sessions.clear()
            unit.known.clear()

    def _kill(self, unit: Unit, signal: str, whom: str) -> None:
        machine = unit.machine
        pids = {machine.control_pid} if whom == "control" else {machine.main_pid, machine.control_pid}
        if whom == "all":
            pids |= self._observe(unit).keys()
        for pid in sorted(pids - {0}):
            self.host.kill(pid, signal)

    def _observe(self, unit: Unit, rows: Mapping[int, procs.Process] | None = None) -> dict[int, int]:
        """The unit's living processes; remembers them and their sessions."""
        rows = rows if rows is not None else self.host.table()
        others = {pid for u in self.units.values() if u is not unit for pid in (u.machine.main_pid, u.machine.control_pid) if pid}
        known = dict(unit.known)
        if unit.machine.main_pid in rows:
            known[unit.machine.main_pid] = rows[unit.machine.main_pid].started
        unit.known = procs.members(rows, known, unit.sessions, others)
        return unit.known

    def _is_gone(self, unit: Unit, whom: str) -> bool:
        if unit.machine.main_pid or unit.machine.control_pid:
            return False
        return whom == "main" or not self._observe(unit)

    def _find_main(self, unit: Unit) -> int:
        """The main process of a service that has forked away; 0: none (yet)."""
        rows = self.host.table()
        service = unit.machine.service
        if service.pid_file:
            pid = self.host.read_pid(service.pid_file)
            found = [pid] if pid in rows and rows[pid].state != "Z" else []
        else:
            mine = self._observe(unit, rows)
            taken = {pid for u in self.units.values() if u is not unit for pid in u.known}
            found = sorted(pid for pid in mine if rows[pid].parent == 1) or procs.adopted(rows, unit.born, taken)
        if not found:
            return 0
        unit.known[found[0]] = rows[found[0]].started
        unit.sessions |= procs.lead(rows, found[:1])
        return found[0]

    # Reading

    def processes(self, unit: Unit) -> list[int]:
        return sorted(self._observe(unit)) if not unit.idle else []

    def show(self, name: str) -> dict[str, Any]:
        """A unit's properties, in systemd's names."""
        try:
            unit = self.unit(name)
        except CannotLoad as error:
            return {"Id": name, "LoadState": error.state, "ActiveState": "inactive", "SubState": "dead", "LoadError": str(error)}
        machine, service = unit.machine, unit.machine.service
        return {
            "Id": service.name,
            "Description": service.description,
            "LoadState": "loaded",
            "ActiveState": machine.active,
            "SubState": machine.sub,
            "Type": service.type,
            "Restart": service.restart,
            "Result": machine.result,
            "MainPID": str(machine.main_pid),
            "ControlPID": str(machine.control_pid),
            "ExecMainCode": {"exited": "1", "killed": "2"}.get(machine.main_code, "0"),
            "ExecMainStatus": str(machine.main_status),
            "NRestarts": str(machine.restarts),
            "User": service.user,
            "Since": machine.since,
            "Processes": self.processes(unit),
        }


def _why(machine: Machine) -> str:
    if machine.exhausted:
        return "start-limit-hit"
    return machine.result if machine.result != "success" else "canceled"


def _order(jobs: Iterable[Job], reverse: bool) -> None:
    """Who waits for whom within a request, by After and Before; a cycle is broken at its last link."""
    listed = list(jobs)
    for job in listed:
        mine = job.unit.machine.service
        for other in listed:
            theirs = other.unit.machine.service
            if other is not job and (theirs.name in mine.after or mine.name in theirs.before):
                first, second = (job, other) if reverse else (other, job)
                if not _waits_for(first, second):
                    second.after.add(first)
    for job in listed:
        job.requires = {needed for needed in job.requires if not _waits_for(needed, job)}


def _waits_for(job: Job, other: Job) -> bool:
    todo, seen = [job], {job}
    while todo:
        current = todo.pop()
        if current is other:
            return True
        todo += [j for j in current.after if j not in seen]
        seen |= current.after
    return False


def load_error(name: str, error: BadUnit) -> CannotLoad:
    """A unit file that cannot be obeyed, in systemctl's words."""
    return CannotLoad("bad-setting", f"Unit {name} has a bad unit file setting.\n{error}")
