"""Builds: start, stop, retry, describe, delete."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.trail import trail
from windtunnel.services.codebuild import jobs
from windtunnel.services.codebuild.model import (
    Build,
    Phase,
    Place,
    Project,
    Shape,
    build_id,
    no_build,
    no_project,
    places,
    project_name,
)
from windtunnel.services.codebuild.operations.projects import check_role, need, pass_role
from windtunnel.services.codebuild.progress import announce, close_phase, open_phase
from windtunnel.services.codebuild.settings import START_ACTS, START_DEFAULT_ONLY, START_DESCRIPTIVE, check, overridden, with_defaults

MAX_IDS = 100
TOKEN_SECONDS = 300.0
QUEUE_FACTOR = 10
PIPELINE, RULE = "codepipeline.amazonaws.com", "events.amazonaws.com"


def on_start(ctx: Context, project_name: str, service_role_override: str | None = None, **_: Any) -> list[Need]:
    return [need(ctx, "StartBuild", project_of(project_name)), *pass_role(service_role_override)]


def project_of(given: str) -> str:
    return project_name(given)


def on_build(action: str) -> Any:
    def authorize(ctx: Context, id: str = "", **_: Any) -> list[Need]:
        return [need(ctx, action, build_id(id).split(":")[0])]

    return authorize


def on_builds(action: str) -> Any:
    def authorize(ctx: Context, ids: list[str], **_: Any) -> list[Need]:
        projects = dict.fromkeys(build_id(identifier).split(":")[0] for identifier in ids)
        return [need(ctx, action, project) for project in projects]

    return authorize


@writes("codebuild", "StartBuild", authorize=on_start, acts=START_ACTS, descriptive=START_DESCRIPTIVE, default_only=START_DEFAULT_ONLY)
def start_build(ctx: Context, project_name: str, **members: Any) -> Reply:
    """source_revision: what CodePipeline says its artifact was made from (no client can give it)."""
    revision = members.pop("source_revision", "")
    name = project_of(project_name)
    project = ctx.tx.get(Project, name)
    if project is None:
        raise no_project(ctx.scope, name)
    requested = {model_name(member): value for member, value in members.items() if value is not None}
    given = requested.pop("idempotencyToken", "")
    token = f"{name}/{given}" if given else ""
    build = _by_token(ctx, token, requested) or _start(ctx, project, requested, revision, token)
    return {"build": build.described(ctx.scope)}


def model_name(member: str) -> str:
    """`source_type_override` -> `sourceTypeOverride`."""
    first, *rest = member.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _by_token(ctx: Context, token: str, requested: Shape) -> Build | None:
    """The build that was started with this token in the last five minutes."""
    for build in ctx.tx.find(Build, "token", token) if token else []:
        if ctx.now - build.started < TOKEN_SECONDS:
            if build.requested != requested:
                raise AwsError("InvalidInputException", "The idempotency token was used before with other parameters")
            return build
    return None


def _start(ctx: Context, project: Project, requested: Shape, revision: str, token: str) -> Build:
    settings = with_defaults(ctx.scope, project.name, overridden(project.settings, requested))
    check("StartBuild", settings)
    _check_limits(ctx, project.name, settings)
    if "serviceRoleOverride" in requested:
        check_role(ctx, settings["serviceRole"], project.name)
    project.builds += 1
    ctx.tx.put(project)
    build = Build(
        id=f"{project.name}:{ctx.ids.uuid()}",
        number=project.builds,
        settings=settings,
        source_version=requested.get("sourceVersion") or settings.get("sourceVersion") or "",
        initiator=initiator(ctx),
        started=ctx.now,
        cause=ctx.cause,
        requested=requested,
        token=token,
        resolved_version=revision,
        phases=[Phase("SUBMITTED", ctx.now)],
    )
    announce(ctx, build)
    close_phase(ctx, build, ctx.now)
    open_phase(build, "QUEUED", ctx.now)
    ctx.tx.insert(build)
    for place in places(build):
        ctx.tx.put(place)
    trail(ctx, [build.id, project.name], f"{build.initiator} started build {build.id} (number {build.number})")
    ctx.start_job(jobs.KIND, jobs.run_id(build.id), build=build.id)
    return build


def _check_limits(ctx: Context, project: str, settings: Shape) -> None:
    queued = ctx.tx.find(Build, "state", "queued")
    limit = settings.get("concurrentBuildLimit")
    if limit is not None:
        alive = [build for build in (*queued, *ctx.tx.find(Build, "state", "running")) if build.project == project]
        if len(alive) >= limit:
            raise AwsError("AccountLimitExceededException", "Project build limit exceeded")
    most = QUEUE_FACTOR * jobs.AT_ONCE
    if len(queued) >= most:
        raise AwsError("AccountLimitExceededException", f"Cannot have more than {most} builds in queue for the account")


def initiator(ctx: Context) -> str:
    """Who started a build, in CodeBuild's manner: a user's name, a session, `codepipeline/NAME` or `rule/NAME`."""
    who = ctx.principal
    session = who.arn.rsplit("/", 1)[-1]
    if who.via_service == PIPELINE:
        return f"codepipeline/{session}"
    if who.via_service == RULE:
        return f"rule/{session}"
    if who.kind == "assumed-role":
        return who.arn.split(":", 5)[-1].removeprefix("assumed-role/")
    return who.name or session


@writes("codebuild", "StopBuild", authorize=on_build("StopBuild"), acts="id")
def stop_build(ctx: Context, id: str) -> Reply:
    build = _build_or_error(ctx, id)
    if not build.complete and not build.stopping:
        build.stopping = "STOPPED"
        ctx.tx.put(build)
        ctx.signal(jobs.stop_signal(build.id))
        trail(ctx, [build.id, build.project], f"{initiator(ctx)} stopped build {build.id}")
    return {"build": build.described(ctx.scope)}


@writes("codebuild", "RetryBuild", authorize=on_build("RetryBuild"), acts="id idempotencyToken")
def retry_build(ctx: Context, id: str | None = None, idempotency_token: str | None = None) -> Reply:
    if not id:
        raise AwsError("InvalidInputException", "Invalid build ID: an ID must be given")
    old = _build_or_error(ctx, id)
    if not old.complete:
        raise AwsError("InvalidInputException", f"Build {old.id} is still in progress and cannot be retried")
    project = ctx.tx.get(Project, old.project)
    if project is None:
        raise no_project(ctx.scope, old.project)
    token = f"{old.id}/{idempotency_token}" if idempotency_token else ""
    requested = {**old.requested, "sourceVersion": old.source_version} if old.source_version else old.requested
    revision = old.resolved_version if old.settings["source"]["type"] == "CODEPIPELINE" else ""
    build = _by_token(ctx, token, requested) or _start(ctx, project, requested, revision, token)
    return {"build": build.described(ctx.scope)}


def _build_or_error(ctx: Context, given: str) -> Build:
    identifier = build_id(given)
    build = ctx.tx.get(Build, identifier)
    if build is None:
        if identifier.count(":") != 1:
            raise AwsError("InvalidInputException", f"Invalid build ID: {given}")
        raise no_build(ctx.scope, identifier)
    return build


@reads("codebuild", "BatchGetBuilds", authorize=on_builds("BatchGetBuilds"), acts="ids[]")
def batch_get_builds(ctx: Context, ids: list[str]) -> Reply:
    _check_ids(ids)
    found, missing = [], []
    for given in dict.fromkeys(ids):
        build = ctx.tx.get(Build, build_id(given))
        if build is None:
            missing.append(given)
        else:
            found.append(build.described(ctx.scope))
    return {"builds": found, "buildsNotFound": missing}


def _check_ids(ids: list[str]) -> None:
    if not 1 <= len(ids) <= MAX_IDS:
        raise AwsError("InvalidInputException", f"Invalid ids: between 1 and {MAX_IDS} ids must be given")


@writes("codebuild", "BatchDeleteBuilds", authorize=on_builds("BatchDeleteBuilds"), acts="ids[]")
def batch_delete_builds(ctx: Context, ids: list[str]) -> Reply:
    _check_ids(ids)
    deleted, kept = [], []
    for given in dict.fromkeys(ids):
        build = ctx.tx.get(Build, build_id(given))
        if build is None:
            continue
        if not build.complete:
            kept.append({"id": given, "statusCode": "BUILD_IN_PROGRESS"})
            continue
        for place in places(build):
            ctx.tx.delete(Place, place.key())
        ctx.tx.delete(Build, build.id)
        deleted.append(build.described(ctx.scope)["arn"])
    return {"buildsDeleted": deleted, "buildsNotDeleted": kept}
