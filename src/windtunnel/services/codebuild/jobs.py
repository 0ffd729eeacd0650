"""The run of a build: queue, provision, follow what the sandbox says, finish; and the builds found again after a restart.

Invariants: a build is queued, then running (from the moment when it has a place), then complete; only `leave` completes it, and gives
its place away in the same transaction, so that a place is never lost nor given twice. A BuildOutput exists for running builds alone; a sandbox exists from the effect `start` to the effect `remove`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.compute.credentials import SandboxCredential
from windtunnel.compute.driver import Handle, SandboxError, SandboxSpec
from windtunnel.jobs import Run, job
from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import at_start
from windtunnel.kernel.trail import trail
from windtunnel.kernel.typed import convert
from windtunnel.services.codebuild import plan
from windtunnel.services.codebuild.buildlog import as_role, open_log, write_log
from windtunnel.services.codebuild.images import cannot_pull, is_curated
from windtunnel.services.codebuild.model import Build, BuildOutput
from windtunnel.services.codebuild.output import ended_signal
from windtunnel.services.codebuild.progress import close_phase, complete, context, open_phase, stamped
from windtunnel.services.codebuild.sandboxes import PART, Sandboxes

KIND = "codebuild.build"
AT_ONCE = 4
"""Builds that run at the same time in an account and region; the others wait in QUEUED, first come first served."""
Order = dict[str, Any]


def run_id(build_id: str) -> str:
    return f"{KIND}/{build_id}"


def turn_signal(build_id: str) -> str:
    return f"codebuild.turn:{build_id}"


def stop_signal(build_id: str) -> str:
    return f"codebuild.stop:{build_id}"


def crashed(ctx: Context, message: str, build: str) -> None:
    """The job itself failed: the build is at fault of ours, and says so."""
    leave(ctx, build, "FAULT", context("INTERNAL_SERVICE_ERROR", message))


@job(KIND, failed=crashed)
def run_build(run: Run, build: str) -> None:
    order = run.tx("queue", enter, build)
    if order["do"] == "wait":
        turn = run.wait_any([turn_signal(build), stop_signal(build)], key="turn", timeout=order["seconds"])
        if turn is None or turn[0] == stop_signal(build):
            run.tx("leave-queue", leave_queue, build, turn is None)
            return
        order = run.tx("admit", admit, build)
    if order["do"] == "run":
        started = run.effect("start", start, run, build, order["spec"])
        if run.tx("started", record_start, build, started):
            _wait_for_end(run, build, convert(started["handle"], Handle), order["seconds"])
            run.tx("finish", finish, build)
        run.effect("remove", remove, run.cloud, order["spec"]["id"])


def _wait_for_end(run: Run, build: str, handle: Handle, seconds: float) -> None:
    ended = run.wait_any([ended_signal(build), stop_signal(build)], key="end", timeout=seconds)
    if ended is None or ended[0] == stop_signal(build):
        run.tx("stopping", mark_stopping, build, "TIMED_OUT" if ended is None else "STOPPED")
        run.effect("stop", stop, run.cloud, handle)
        run.wait_for(ended_signal(build), key="stopped", timeout=60)


# -- queue --------------------------------------------------------------------------------------------------------------------


def enter(ctx: Context, build: str) -> Order:
    """Run at once if there is room and nobody waits, else wait for `turn_signal`."""
    found = ctx.tx.get(Build, build)
    if found is None or found.complete:
        return {"do": "nothing"}
    queued = [other for other in ctx.tx.find(Build, "state", "queued") if other.id != build]
    if room(ctx) and not any(waits_before(other, found) for other in queued):
        return admit(ctx, build)
    seconds = found.settings["queuedTimeoutInMinutes"] * 60
    return {"do": "wait", "seconds": max(0.0, found.started + seconds - ctx.now)}


def room(ctx: Context) -> bool:
    return len(ctx.tx.find(Build, "state", "running")) < AT_ONCE


def waits_before(other: Build, build: Build) -> bool:
    return (other.started, other.id) < (build.started, build.id)


def call_next(ctx: Context) -> None:
    """A place has become free: the build that has waited longest has it from now on."""
    waiting = sorted(ctx.tx.find(Build, "state", "queued"), key=lambda build: (build.started, build.id))
    if waiting and room(ctx):
        waiting[0].state = "running"
        ctx.tx.put(waiting[0])
        ctx.signal(turn_signal(waiting[0].id))


def leave_queue(ctx: Context, build: str, timed_out: bool) -> None:
    if timed_out:
        leave(ctx, build, "TIMED_OUT", context("BUILD_TIMED_OUT", "Build has timed out in the queue. "))
    else:
        leave(ctx, build, "STOPPED")


def leave(ctx: Context, build_id: str, status: str, contexts: list[dict[str, str]] | None = None) -> None:
    """End a build in its open phase, and give its place to the next. Nothing if it has ended already."""
    build = ctx.tx.get(Build, build_id)
    if build is None or build.complete:
        return
    close_phase(ctx, build, ctx.now, status, contexts)
    complete(ctx, build)
    ctx.tx.put(build)
    ctx.tx.delete(BuildOutput, build_id)
    ctx.tx.delete(SandboxCredential, build.uuid)
    call_next(ctx)


# -- provision ----------------------------------------------------------------------------------------------------------------


def admit(ctx: Context, build_id: str) -> Order:
    """QUEUED ends, PROVISIONING begins: the log is opened as the role, and the sandbox's spec is made."""
    build = ctx.tx.get(Build, build_id)
    if build is None or build.complete:
        return {"do": "nothing"}
    build.state = "running"
    close_phase(ctx, build, ctx.now)
    open_phase(build, "PROVISIONING", ctx.now)
    trouble = open_log(ctx, build)
    image = build.settings["environment"]["image"]
    if not trouble:
        write_log(ctx, build, [(int(ctx.now * 1000), stamped(ctx.now, line)) for line in _greeting(build)])
        trouble = build.log_trouble
    ctx.tx.put(build)
    if trouble:
        leave(ctx, build_id, "FAILED", context("ACCESS_DENIED", trouble))
        return {"do": "nothing"}
    if not is_curated(image):
        leave(ctx, build_id, "FAILED", context("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", cannot_pull(image)))
        return {"do": "nothing"}
    return _order(ctx, build)


def _greeting(build: Build) -> list[str]:
    image = build.settings["environment"]["image"]
    lines = ["Running on On-demand", "Waiting for agent ping"]
    if is_curated(image):
        lines.insert(0, f"Windtunnel's stock image (Debian) stands in for {image}")
    return lines


def _order(ctx: Context, build: Build) -> Order:
    seconds = build.settings["timeoutInMinutes"] * 60
    try:
        path = give_credentials(ctx, build, seconds)
    except AwsError as error:
        leave(ctx, build.id, "FAILED", context("ACCESS_DENIED", error.message))
        return {"do": "nothing"}
    spec = plan.sandbox(ctx.scope, build, ctx.cloud.endpoint, path)
    ctx.tx.put(BuildOutput(build=build.id))
    return {"do": "run", "spec": msgspec.to_builtins(spec), "seconds": float(seconds)}


def give_credentials(ctx: Context, build: Build, seconds: float) -> str:
    """Credentials of the service role for the sandbox, as long as the build may last. Returns the path where it finds them."""
    principal = as_role(ctx, build).principal
    credential = ctx.cloud.identity.issue(ctx, principal, seconds + 900)
    path = f"/v2/credentials/{ctx.ids.uuid()}"
    held = SandboxCredential(
        sandbox=build.uuid,
        path=path,
        role_arn=build.settings["serviceRole"],
        access_key=credential.access_key,
        secret=credential.secret,
        token=credential.token,
        expires=credential.expires or ctx.now + seconds,
    )
    ctx.tx.put(held)
    return path


def start(run: Run, build: str, spec: Order, token: str) -> Order:
    """The sandbox, running; or why it could not be started."""
    sandboxes: Sandboxes = run.cloud.part(PART)
    try:
        handle = sandboxes.start(convert(spec, SandboxSpec), token, lambda line: say_progress(run, build, line))
    except (SandboxError, ValueError) as error:
        return {"error": str(error)}
    return {"handle": msgspec.to_builtins(handle)}


def say_progress(run: Run, build: str, line: str) -> None:
    """A line of the build's log from the effect that makes the image: shown while it happens, and not a step."""
    cloud: Any = run.cloud

    def write(tx: Any) -> None:
        ctx: Context = cloud.context(tx, run.scope.account, run.scope.region, run.cause)
        found = ctx.tx.get(Build, build)
        if found is not None and not found.complete:
            write_log(ctx, found, [(int(ctx.now * 1000), stamped(ctx.now, line))])

    cloud.writer.submit_threadsafe(write).result()


def record_start(ctx: Context, build_id: str, started: Order) -> bool:
    """PROVISIONING ends; from the commit on the sandbox is followed. False if there is none."""
    build = ctx.tx.get(Build, build_id)
    if build is None or build.complete:
        return False
    if "error" in started:
        leave(ctx, build_id, "FAULT", context("INTERNAL_SERVICE_ERROR", f"The build's sandbox could not be started: {started['error']}"))
        return False
    build.handle = convert(started["handle"], Handle)
    close_phase(ctx, build, ctx.now)
    open_phase(build, "DOWNLOAD_SOURCE", ctx.now)
    ctx.tx.put(build)
    trail(ctx, [build.id, build.project], f"build {build.id} runs in sandbox {build.uuid}")
    output = ctx.tx.get(BuildOutput, build_id) or BuildOutput(build=build_id)
    sandboxes: Sandboxes = ctx.cloud.part(PART)
    followed, scope = build, ctx.scope
    ctx.tx.after_commit(lambda: sandboxes.follow(scope.account, scope.region, followed, output))
    return True


# -- the end ------------------------------------------------------------------------------------------------------------------


def mark_stopping(ctx: Context, build_id: str, why: str) -> None:
    build = ctx.tx.get(Build, build_id)
    if build is not None and not build.complete:
        build.stopping = why
        ctx.tx.put(build)


def stop(cloud: Cloud, handle: Handle, token: str) -> None:
    sandboxes: Sandboxes = cloud.part(PART)
    sandboxes.stop(handle)


def finish(ctx: Context, build_id: str) -> None:
    """The sandbox has ended and all of its output was taken."""
    build = ctx.tx.get(Build, build_id)
    if build is None:
        return
    if build.reported:
        leave(ctx, build_id, "FAILED", context("INTERNAL_SERVICE_ERROR", "The build's runner ended in the middle of a phase."))
    elif build.stopping == "TIMED_OUT":
        leave(ctx, build_id, "TIMED_OUT", context("BUILD_TIMED_OUT", "Build has timed out. "))
    elif build.stopping == "STOPPED":
        leave(ctx, build_id, "STOPPED")
    elif build.terminated:
        _reopen(ctx, build, "STOPPED", "The cloud was shut down while the build ran, and its sandbox with it.")
    else:
        _reopen(ctx, build, "FAULT", "The build's sandbox ended before the build did (killed, out of memory, or lost with its machine).")


def _reopen(ctx: Context, build: Build, status: str, why: str) -> None:
    """End with a status although no phase may be open (the end came between two)."""
    if build.open_phase is None:
        open_phase(build, "FINALIZING", ctx.now)
        ctx.tx.put(build)
    leave(ctx, build.id, status, context("INTERNAL_SERVICE_ERROR" if status == "FAULT" else "BUILD_STOPPED", why))


def remove(cloud: Cloud, sandbox: str, token: str) -> None:
    sandboxes: Sandboxes = cloud.part(PART)
    sandboxes.remove(sandbox)


# -- after a restart ------------------------------------------------------------------------------------------------------------


@at_start
def find_again(cloud: Any) -> None:
    """Every build that had a sandbox is followed on, from where the last commit ended; a sandbox without a build is removed."""
    sandboxes = Sandboxes(cloud)
    cloud.add_part(PART, sandboxes)
    sandboxes.find_again()
