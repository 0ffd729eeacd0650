"""What a build's runner says, line by line, and what becomes of it: log events, phases, variables, artifacts.

Invariant: the lines of one reading, and the offset after them, commit together; so each line acts exactly once, however often the
cloud is killed. A line that is not the runner's language is a line of the log: the sandbox is the user's, and may print anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from windtunnel.compute.driver import Exited, Gone, LogFrame
from windtunnel.kernel.context import Context
from windtunnel.kernel.typed import decoder
from windtunnel.services.codebuild.buildlog import Line, write_log
from windtunnel.services.codebuild.model import RUNNER_PHASES, Build, BuildOutput
from windtunnel.services.codebuild.progress import close_phase, open_phase

MAX_LINE = 256 << 10
TAIL_LINES = 8
TAIL_WIDTH = 300
STATUSES = frozenset({"SUCCEEDED", "FAILED"})


class Message(msgspec.Struct, frozen=True):
    """One line of the runner. t: epoch seconds. log: a line for the build's log. begin: a phase that starts.

    phase, status, contexts: a phase that has ended. resolved: the commit that the primary source was resolved to.
    exported, artifacts, secondary: what the build leaves. done: the runner has come to its end. terminated: it was told to stop.
    """

    t: float
    log: str | None = None
    begin: str | None = None
    phase: str | None = None
    status: str = "SUCCEEDED"
    contexts: list[dict[str, str]] = []
    resolved: str | None = None
    exported: list[dict[str, str]] | None = None
    artifacts: dict[str, str] | None = None
    secondary: list[dict[str, str]] | None = None
    done: bool = False
    terminated: bool = False


_decoder = decoder(Message)
_ARTIFACT = frozenset({"location", "sha256sum", "md5sum", "artifactIdentifier"})


def split(rest: bytes, frames: list[LogFrame]) -> tuple[list[Message], bytes]:
    """(messages, the line that has begun) of what stdout said; stderr is the runner's own trouble, and logged as it is."""
    messages: list[Message] = []
    for frame in frames:
        if frame.stream == "stderr":
            text = frame.data.decode("utf-8", "replace").rstrip("\n")
            messages += [Message(t=frame.time, log=line) for line in text.split("\n")]
            continue
        *lines, rest = (rest + frame.data).split(b"\n")
        messages += [message_of(frame.time, line) for line in lines]
        if len(rest) > MAX_LINE:
            messages.append(message_of(frame.time, rest))
            rest = b""
    return messages, rest


def message_of(at: float, line: bytes) -> Message:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return Message(t=at, log=line.decode("utf-8", "replace"))


def apply(ctx: Context, build: Build, message: Message, tail: Sequence[str]) -> None:
    """Change the build by one message (its log line aside). tail: what was printed before it."""
    opened = build.open_phase
    if message.begin is not None and message.begin in RUNNER_PHASES and (opened is None or opened.type != message.begin):
        close_phase(ctx, build, message.t)
        open_phase(build, message.begin, message.t)
    if message.phase is not None and build.open_phase is not None and build.open_phase.type == message.phase:
        status = message.status if message.status in STATUSES else "FAILED"
        contexts = [{"statusCode": str(c.get("statusCode", "")), "message": str(c.get("message", ""))} for c in message.contexts]
        close_phase(ctx, build, message.t, status, contexts, tail if status == "FAILED" else ())
    if message.resolved is not None:
        build.resolved_version = message.resolved
    if message.exported is not None:
        build.exported = [{"name": one.get("name", ""), "value": one.get("value", "")} for one in message.exported]
    if message.artifacts is not None:
        build.artifacts = _artifact(message.artifacts)
    if message.secondary is not None:
        build.secondary_artifacts = [_artifact(one) for one in message.secondary]
    build.reported = build.reported or message.done
    build.terminated = build.terminated or message.terminated


def _artifact(said: dict[str, str]) -> dict[str, str]:
    return {member: value for member, value in said.items() if member in _ARTIFACT}


def record(ctx: Context, build_id: str, messages: list[Message], rest: bytes, offset: int) -> None:
    """One reading, whole: log events, changes of the build, and the offset after it."""
    build = ctx.tx.get(Build, build_id)
    if build is None or build.complete or build.reported:
        return
    output = ctx.tx.get(BuildOutput, build_id) or BuildOutput(build=build_id)
    lines: list[Line] = []
    tail = deque(output.tail, TAIL_LINES)
    changed = False
    for message in messages:
        at = min(max(message.t, build.started), ctx.now + 1)  # the sandbox is the user's: its clock is not believed
        if message.log is None:
            changed = True
            apply(ctx, build, msgspec.structs.replace(message, t=at), tail)
            continue
        lines.append((max(int(at * 1000), lines[-1][0] if lines else 0), message.log))
        if not message.log.startswith("[Container] ") and message.log.strip():
            tail.append(message.log[:TAIL_WIDTH])
    trouble = build.log_trouble
    write_log(ctx, build, lines)
    if changed or build.log_trouble != trouble:
        ctx.tx.put(build)
    ctx.tx.put(BuildOutput(build=build_id, offset=offset, rest=rest, ended=build.reported, tail=list(tail)))
    if build.reported:
        ctx.signal(ended_signal(build_id))


def record_end(ctx: Context, build_id: str, rest: bytes, offset: int, status: Exited | Gone) -> None:
    """All was read and the sandbox has ended: say so once to the run that waits, unless the runner's `done` has done so."""
    if rest:
        record(ctx, build_id, [message_of(ctx.now, rest)], b"", offset)
    output = ctx.tx.get(BuildOutput, build_id)
    if output is None or output.ended:
        return
    output.offset, output.rest, output.ended = offset, b"", True
    ctx.tx.put(output)
    ctx.signal(ended_signal(build_id), msgspec.to_builtins(status))


def ended_signal(build_id: str) -> str:
    return f"codebuild.ended:{build_id}"


class BuildSink:
    """compute.follow.Sink for one build."""

    def __init__(self, cloud: Any, account: str, region: str, build: Build, output: BuildOutput) -> None:
        self._cloud = cloud
        self._account = account
        self._region = region
        self._build = build.id
        self._cause = build.cause
        self._rest = output.rest
        self._offset = output.offset

    def take(self, frames: list[LogFrame], offset: int) -> Future[None]:
        messages, rest = split(self._rest, frames)
        future = self._submit(lambda ctx: record(ctx, self._build, messages, rest, offset))
        if future.exception() is None:
            self._rest, self._offset = rest, offset
        return future

    def ended(self, status: Exited | Gone) -> Future[None]:
        return self._submit(lambda ctx: record_end(ctx, self._build, self._rest, self._offset, status))

    def _submit(self, work: Any) -> Future[None]:
        cloud = self._cloud
        done: Future[None] = cloud.writer.submit_threadsafe(lambda tx: work(cloud.context(tx, self._account, self._region, self._cause)))
        return done
