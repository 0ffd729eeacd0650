"""A build's way through its phases, and what is told of it: EventBridge events and the trail, in the same transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.trail import trail
from windtunnel.services.codebuild.model import Build, Phase, Shape, build_arn, outcome


def context(code: str, message: str) -> list[dict[str, str]]:
    return [{"statusCode": code, "message": message}]


def open_phase(build: Build, kind: str, at: float) -> None:
    build.phases.append(Phase(kind, at))


def close_phase(
    ctx: Context,
    build: Build,
    at: float,
    status: str = "SUCCEEDED",
    contexts: list[dict[str, str]] | None = None,
    tail: Sequence[str] = (),
) -> None:
    """End the open phase and tell of it; nothing if none is open. tail: the last lines of output, for the trail of a failure."""
    phase = build.open_phase
    if phase is None:
        return
    phase.end, phase.status, phase.contexts = max(at, phase.start), status, contexts or []
    arn = build_arn(ctx.scope, build.id)
    ctx.emit("aws.codebuild", "CodeBuild Build Phase Change", [arn], _phase_detail(ctx, build, phase))
    if status != "SUCCEEDED":
        said = "; ".join(f"{one['statusCode']}: {one['message']}" for one in phase.contexts) or "no reason was given"
        lines = "".join(f"\n    | {line}" for line in tail)
        text = f"phase {phase.type} of build {build.id} ended {status}: {said}{lines}"
        trail(ctx, [build.id, build.project], text, level="error")


def announce(ctx: Context, build: Build) -> None:
    """The event of a build's new status."""
    detail = {
        "build-status": build.status,
        "project-name": build.project,
        "build-id": build_arn(ctx.scope, build.id),
        "additional-information": _information(ctx, build),
        "current-phase": build.current_phase,
        "current-phase-context": _contexts(build.phases[-1]),
        "version": "1",
    }
    ctx.emit("aws.codebuild", "CodeBuild Build State Change", [build_arn(ctx.scope, build.id)], detail)


def complete(ctx: Context, build: Build) -> None:
    """FINALIZING and COMPLETED, the status that the phases give, and who is told. The caller has closed the last phase."""
    now = ctx.now
    open_phase(build, "FINALIZING", now)
    if build.log_trouble and outcome(build.phases) == "SUCCEEDED":
        close_phase(ctx, build, now, "FAILED", context("ACCESS_DENIED", build.log_trouble))
    else:
        close_phase(ctx, build, now)
    open_phase(build, "COMPLETED", now)
    build.status = outcome(build.phases)
    build.ended = now
    if build.exported is None:
        build.exported = []
    announce(ctx, build)
    level: Any = "info" if build.status == "SUCCEEDED" else "error"
    trail(ctx, [build.id, build.project], f"build {build.id} ended {build.status}", level=level)


# -- the events' shapes -------------------------------------------------------------------------------------------------------


def _clock(at: float) -> str:
    """`Sep 1, 2017 4:12:29 PM`, as CodeBuild's events write times."""
    moment = time.gmtime(at)
    return (
        time.strftime("%b ", moment)
        + f"{moment.tm_mday}, "
        + time.strftime("%Y ", moment)
        + time.strftime("%I:%M:%S %p", moment).lstrip("0")
    )


def _contexts(phase: Phase) -> str:
    said = [f"{one['statusCode']}: {one['message']}" if one["statusCode"] else ": " for one in phase.contexts]
    return f"[{', '.join(said)}]"


def _phase_detail(ctx: Context, build: Build, phase: Phase) -> Shape:
    end = phase.end if phase.end is not None else phase.start
    return {
        "completed-phase": phase.type,
        "project-name": build.project,
        "build-id": build_arn(ctx.scope, build.id),
        "completed-phase-context": _contexts(phase),
        "additional-information": _information(ctx, build),
        "completed-phase-status": phase.status,
        "completed-phase-duration-seconds": int(end - phase.start),
        "version": "1",
        "completed-phase-start": _clock(phase.start),
        "completed-phase-end": _clock(end),
    }


def _information(ctx: Context, build: Build) -> Shape:
    settings, environment = build.settings, build.settings["environment"]
    reply: Shape = {
        "environment": {
            "image": environment["image"],
            "privileged-mode": environment.get("privilegedMode", False),
            "compute-type": environment["computeType"],
            "type": environment["type"],
            "image-pull-credentials-type": environment.get("imagePullCredentialsType", "CODEBUILD"),
            "environment-variables": [
                {key: variable[key] for key in ("name", "type", "value")} for variable in environment["environmentVariables"]
            ],
        },
        "timeout-in-minutes": float(settings["timeoutInMinutes"]),
        "build-complete": build.complete,
        "build-number": float(build.number),
        "initiator": build.initiator,
        "build-start-time": _clock(build.started),
        "source": _source(settings["source"]),
        "source-version": build.source_version,
        "phases": [_phase(phase) for phase in build.phases],
        "queued-timeout-in-minutes": float(settings["queuedTimeoutInMinutes"]),
        "project-file-system-locations": [],
    }
    if build.artifacts:
        names = {"md5sum": "md5sum", "sha256sum": "sha256sum", "location": "location"}
        reply["artifact"] = {name: build.artifacts[member] for member, name in names.items() if build.artifacts.get(member)}
    if build.stream:
        logs = build.described(ctx.scope)["logs"]
        reply["logs"] = {"group-name": logs["groupName"], "stream-name": logs["streamName"], "deep-link": logs["deepLink"]}
    return reply


def _source(source: Shape) -> Shape:
    return {member: source[member] for member in ("buildspec", "location", "type") if source.get(member)}


def _phase(phase: Phase) -> Shape:
    reply: Shape = {"phase-type": phase.type, "start-time": _clock(phase.start)}
    if phase.end is not None:
        said = [f"{one['statusCode']}: {one['message']}" for one in phase.contexts] or [": "]
        ended = {"end-time": _clock(phase.end), "duration-in-seconds": float(int(phase.end - phase.start))}
        reply |= {"phase-context": said, **ended, "phase-status": phase.status}
    return reply


def stamped(at: float, text: str) -> str:
    """A line of the agent's own: `[Container] 2024/01/02 03:04:05.123456 Entering phase BUILD`."""
    whole = int(at)
    return f"[Container] {time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime(whole))}.{int((at - whole) * 1e6):06d} {text}"
