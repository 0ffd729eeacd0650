"""What a job's code sees: named steps, each recorded once, over which the job is replayed.

Invariants: code between steps is pure, so that a replay takes the same way; a step is keyed (run, name); `tx` steps commit
their change together with their record (exactly once); `effect` steps may run again after a crash, with the same token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.scope import Scope
from windtunnel.kernel.typed import from_json

if TYPE_CHECKING:
    from windtunnel.jobs.engine import Engine

T = TypeVar("T")
P = ParamSpec("P")
JobFunction = Callable[..., Any]


class JobDef(msgspec.Struct, frozen=True):
    """A registered job. failed: called with (ctx, message, **args) in the transaction that marks a crashed run failed."""

    kind: str
    function: JobFunction
    version: int
    failed: Callable[..., None] | None


JOBS: dict[str, JobDef] = {}


def job(kind: str, *, version: int = 1, failed: Callable[..., None] | None = None) -> Callable[[JobFunction], JobFunction]:
    """Register `kind`. The function takes (run, **args) as given to `ctx.start_job`. version: raised when recorded steps change meaning."""

    def register(function: JobFunction) -> JobFunction:
        if kind in JOBS and JOBS[kind].function is not function:
            raise ValueError(f"two jobs named {kind}")
        JOBS[kind] = JobDef(kind, function, version, failed)
        return function

    return register


class Parked(BaseException):
    """Unwinds a job whose next step must wait. Not an Exception, so that job code cannot swallow it."""


class Cancelled(BaseException):
    """Raised between steps once someone cancelled the run."""


class ContinueAsNew(BaseException):
    """Ends this pass and begins the job again with new arguments and no steps."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self.args_of_next = args


class Run:
    """One run of a job, as its code sees it."""

    def __init__(self, engine: Engine, run_id: str, scope: Scope, cause: str, steps: dict[str, bytes], prefix: str = "") -> None:
        self._engine = engine
        self.id = run_id
        self.scope = scope
        self.cause = cause
        self._steps = steps
        self._prefix = prefix

    def tx(self, key: str, fn: Callable[Concatenate[Context, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Change our own state: fn(ctx, …) and the record of this step commit together. The result must be JSON-able.

        The result of a replayed step comes back as plain data (dicts and lists), so return plain data.
        """
        name = self._prefix + key
        if name in self._steps:
            done: T = msgspec.json.decode(self._steps[name])
            return done
        return self._engine.run_tx(self, name, lambda ctx: fn(ctx, *args, **kwargs))

    def tx_while(self, key: Callable[[int], str], first: int, more: Any, fn: Callable[[Context], Any]) -> tuple[int, Any]:
        """`tx` steps key(first), key(first + 1), … as long as fn gives `more`: (number, result) of the last.

        Each step is driven from the commit of the one before it, without this thread in between: for work in many short batches.
        """
        number = first
        while (name := self._prefix + key(number)) in self._steps:
            done = msgspec.json.decode(self._steps[name])
            if done != more:
                return number, done
            number += 1
        return self._engine.run_chain(self, lambda n: self._prefix + key(n), number, more, fn)

    def effect(self, key: str, fn: Callable[..., T], *args: Any, returns: type[T] | None = None) -> T:
        """Touch the world outside the store: fn(*args, token). At least once; the token is the same each time, so a repeat can be a no-op.

        returns: the type that the recorded result is decoded to on a replay (default: plain data).
        """
        name = self._prefix + key
        if name in self._steps:
            if returns is None:
                plain: T = msgspec.json.decode(self._steps[name])
                return plain
            return from_json(self._steps[name], returns)
        return self._engine.run_effect(self, name, lambda token: fn(*args, token))

    @property
    def cloud(self) -> Cloud:
        """The parts that effects use: `run.cloud.part("compute")`, `run.cloud.blobs`."""
        return self._engine.cloud

    def read(self, fn: Callable[Concatenate[Context, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """fn(ctx, …) in a snapshot, in this thread. Not a step: use it inside an effect, whose record keeps what was seen."""
        return self._engine.run_read(self, lambda ctx: fn(ctx, *args, **kwargs))

    def sleep(self, key: str, seconds: float, *, paced: bool = False) -> None:
        """Park for some seconds; paced: intended waiting, which `--pace` shortens."""
        name = self._prefix + key
        if name not in self._steps:
            self._engine.park(self, name, [], self._engine.paced(seconds) if paced else seconds)

    def wait_for(self, signal: str, *, key: str | None = None, timeout: float | None = None) -> Any:
        """Park until `ctx.signal(signal, payload)`; returns the payload, or None when the timeout (seconds) passed first."""
        found = self.wait_any([signal], key=key, timeout=timeout)
        return None if found is None else found[1]

    def wait_any(self, signals: list[str], *, key: str | None = None, timeout: float | None = None) -> tuple[str, Any] | None:
        """Park until one of the signals; (name, payload), or None at the timeout. Each wait in a run needs a key of its own."""
        name = self._prefix + (key or "wait:" + "|".join(signals))
        if name not in self._steps:
            self._engine.park(self, name, signals, timeout)
        recorded = msgspec.json.decode(self._steps[name])
        return None if recorded is None else (recorded[0], recorded[1])

    def until(self, key: str, look: Callable[[Context], Any], *, every: float) -> Any:
        """Park until look(ctx), on a snapshot, gives anything but None; that is the step's result. Looking writes nothing.

        It looks every `every` seconds (real ones), and whenever someone wakes the run (`ctx.cloud.wake`).
        """
        name = self._prefix + key
        if name not in self._steps:
            self._engine.look(self, name, look, every)
        return msgspec.json.decode(self._steps[name])

    def each(self, key: str, items: Iterable[T]) -> Iterator[tuple[Run, T]]:
        """(run, item) pairs whose steps are keyed by position under `key`."""
        for n, item in enumerate(items):
            yield self.under(f"{key}[{n}]"), item

    def under(self, key: str) -> Run:
        """The same run with its step names prefixed by `key/`."""
        return Run(self._engine, self.id, self.scope, self.cause, self._steps, f"{self._prefix}{key}/")

    def continue_as_new(self, **args: Any) -> None:
        """Begin again with these arguments and an empty record: for endless loops."""
        raise ContinueAsNew(args)
