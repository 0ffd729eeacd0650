"""Projects: create, update, delete, describe."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codebuild.model import SERVICE, Project, Shape, no_project, project_arn, project_name
from windtunnel.services.codebuild.settings import ACTS, DEFAULT_ONLY, DESCRIPTIVE, check, with_defaults

MAX_NAMES = 100
UNTRUSTED = (
    "CodeBuild is not authorized to perform: sts:AssumeRole on service role. Please verify that: 1) The provided service role exists, "
    "2) The role name is case-sensitive and matches exactly, and 3) The role has the necessary trust policy configured."
)
_WORDS = {
    "service_role": "serviceRole",
    "source_version": "sourceVersion",
    "secondary_sources": "secondarySources",
    "secondary_source_versions": "secondarySourceVersions",
    "secondary_artifacts": "secondaryArtifacts",
    "timeout_in_minutes": "timeoutInMinutes",
    "queued_timeout_in_minutes": "queuedTimeoutInMinutes",
    "encryption_key": "encryptionKey",
    "logs_config": "logsConfig",
    "concurrent_build_limit": "concurrentBuildLimit",
    "auto_retry_limit": "autoRetryLimit",
}
_KEPT = frozenset(_WORDS.values()) | {"description", "source", "artifacts", "cache", "environment", "tags"}


def tag_context(ctx: Context, name: str) -> dict[str, Any]:
    """aws:ResourceTag/… of a project that exists."""
    project = ctx.tx.get(Project, name)
    tags = project.settings.get("tags", []) if project is not None else []
    return {f"aws:ResourceTag/{tag['key']}": tag.get("value", "") for tag in tags}


def need(ctx: Context, action: str, name: str, extra: dict[str, Any] | None = None) -> Need:
    return Need(f"codebuild:{action}", project_arn(ctx.scope, name), tag_context(ctx, name) | (extra or {}))


def pass_role(role: str | None) -> list[Need]:
    return [Need("iam:PassRole", role, {"iam:PassedToService": SERVICE})] if role else []


def on_settings(action: str) -> Any:
    def authorize(
        ctx: Context, name: str, tags: list[dict[str, str]] | None = None, service_role: str | None = None, **_: Any
    ) -> list[Need]:
        asked: dict[str, Any] = {f"aws:RequestTag/{tag.get('key', '')}": tag.get("value", "") for tag in tags or []}
        if tags:
            asked["aws:TagKeys"] = [tag.get("key", "") for tag in tags]
        return [need(ctx, action, name, asked), *pass_role(service_role)]

    return authorize


def on_name(action: str) -> Any:
    def authorize(ctx: Context, name: str, **_: Any) -> list[Need]:
        return [need(ctx, action, project_name(name))]

    return authorize


def on_names(action: str) -> Any:
    def authorize(ctx: Context, names: list[str], **_: Any) -> list[Need]:
        return [need(ctx, action, project_name(name)) for name in names]

    return authorize


def check_role(ctx: Context, role: str, project: str) -> None:
    """CodeBuild tries the role before it accepts a project."""
    try:
        ctx.assuming(role, "AWSCodeBuild", SERVICE, project_arn(ctx.scope, project))
    except AwsError as error:
        raise AwsError("InvalidInputException", UNTRUSTED) from error


def _given(members: dict[str, Any]) -> Shape:
    """The project's settings among the arguments, by their model names."""
    named = {_WORDS.get(name, name): value for name, value in members.items()}
    return {name: value for name, value in named.items() if name in _KEPT and value is not None}


@writes("codebuild", "CreateProject", authorize=on_settings("CreateProject"), acts=ACTS, descriptive=DESCRIPTIVE, default_only=DEFAULT_ONLY)
def create_project(ctx: Context, name: str, **members: Any) -> Reply:
    if ctx.tx.get(Project, name) is not None:
        raise AwsError("ResourceAlreadyExistsException", f"Project already exists: {project_arn(ctx.scope, name)}")
    settings = with_defaults(ctx.scope, name, _given(members))
    check("CreateProject", settings)
    check_role(ctx, settings["serviceRole"], name)
    project = Project(name=name, settings=settings, created=ctx.now, modified=ctx.now)
    ctx.tx.insert(project)
    return {"project": project.described(ctx.scope)}


@writes("codebuild", "UpdateProject", authorize=on_settings("UpdateProject"), acts=ACTS, descriptive=DESCRIPTIVE, default_only=DEFAULT_ONLY)
def update_project(ctx: Context, name: str, **members: Any) -> Reply:
    """What is given replaces the old setting, whole; what is not stays. A limit of -1 takes the limit away."""
    project = ctx.tx.get(Project, name)
    if project is None:
        raise no_project(ctx.scope, name)
    given = _given(members)
    settings = with_defaults(ctx.scope, name, {**project.settings, **given})
    if settings.get("concurrentBuildLimit") == -1:
        del settings["concurrentBuildLimit"]
    check("UpdateProject", settings)
    if "serviceRole" in given:
        check_role(ctx, settings["serviceRole"], name)
    project.settings = settings
    project.modified = ctx.now
    ctx.tx.put(project)
    return {"project": project.described(ctx.scope)}


@writes("codebuild", "DeleteProject", authorize=on_name("DeleteProject"), acts="name")
def delete_project(ctx: Context, name: str) -> Reply:
    """Deleting what is gone is success; builds are kept."""
    ctx.tx.delete(Project, project_name(name))
    return {}


@reads("codebuild", "BatchGetProjects", authorize=on_names("BatchGetProjects"), acts="names[]")
def batch_get_projects(ctx: Context, names: list[str]) -> Reply:
    if not 1 <= len(names) <= MAX_NAMES:
        raise AwsError("InvalidInputException", f"Invalid names: between 1 and {MAX_NAMES} names must be given")
    found, missing = [], []
    for name in dict.fromkeys(names):
        project = ctx.tx.get(Project, project_name(name))
        if project is None:
            missing.append(name)
        else:
            found.append(project.described(ctx.scope))
    return {"projects": found, "projectsNotFound": missing}


@writes(
    "codebuild",
    "InvalidateProjectCache",
    authorize=lambda ctx, project_name, **_: [need(ctx, "InvalidateProjectCache", project_name)],
    acts="projectName",
)
def invalidate_project_cache(ctx: Context, project_name: str) -> Reply:
    """Nothing is cached between builds here, so that a cache is always as good as invalidated."""
    if ctx.tx.get(Project, project_name) is None:
        raise no_project(ctx.scope, project_name)
    return {}
