"""Lists of projects, builds and curated images, page by page."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.codebuild.images import curated
from windtunnel.services.codebuild.model import Place, Project, no_project
from windtunnel.services.codebuild.operations.projects import need

PAGE = 100


def anywhere(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"codebuild:{action}")]

    return authorize


def on_project(ctx: Context, project_name: str, **_: Any) -> list[Need]:
    return [need(ctx, "ListBuildsForProject", project_name)]


def token_of(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def parse_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise AwsError("InvalidInputException", "Invalid nextToken") from error


@reads("codebuild", "ListProjects", authorize=anywhere("ListProjects"), acts="sortBy sortOrder nextToken", cost="scan")
def list_projects(ctx: Context, sort_by: str = "NAME", sort_order: str = "ASCENDING", next_token: str | None = None) -> Reply:
    def place(project: Project) -> tuple[float, str]:
        at = {"CREATED_TIME": project.created, "LAST_MODIFIED_TIME": project.modified}.get(sort_by, 0.0)
        return (at, project.name)

    projects = sorted(ctx.tx.scan(Project), key=place, reverse=sort_order == "DESCENDING")
    names = [project.name for project in projects]
    if next_token:
        last = parse_token(next_token)
        if last not in names:
            raise AwsError("InvalidInputException", "Invalid nextToken")
        names = names[names.index(last) + 1 :]
    reply: Reply = {"projects": names[:PAGE]}
    if len(names) > PAGE:
        reply["nextToken"] = token_of(names[PAGE - 1])
    return reply


@reads("codebuild", "ListBuilds", authorize=anywhere("ListBuilds"), acts="sortOrder nextToken", cost="scan")
def list_builds(ctx: Context, sort_order: str = "DESCENDING", next_token: str | None = None) -> Reply:
    return _page(ctx, "all/", sort_order, next_token)


@reads("codebuild", "ListBuildsForProject", authorize=on_project, acts="projectName sortOrder nextToken", cost="scan")
def list_builds_for_project(ctx: Context, project_name: str, sort_order: str = "DESCENDING", next_token: str | None = None) -> Reply:
    if ctx.tx.get(Project, project_name) is None:
        raise no_project(ctx.scope, project_name)
    return _page(ctx, f"project/{project_name}/", sort_order, next_token)


def _page(ctx: Context, prefix: str, sort_order: str, next_token: str | None) -> Reply:
    last = parse_token(next_token) if next_token else None
    if last is not None and not last.startswith(prefix):
        raise AwsError("InvalidInputException", "Invalid nextToken")
    if sort_order == "ASCENDING":
        found = ctx.tx.scan(Place, prefix=prefix, after=last, limit=PAGE + 1)
    else:
        found = ctx.tx.scan_back(Place, prefix=prefix, before=last, limit=PAGE + 1)
    reply: Reply = {"ids": [place.build for place in found[:PAGE]]}
    if len(found) > PAGE:
        reply["nextToken"] = token_of(found[PAGE - 1].place)
    return reply


@reads("codebuild", "ListCuratedEnvironmentImages", authorize=anywhere("ListCuratedEnvironmentImages"))
def list_curated_environment_images(ctx: Context) -> Reply:
    return {"platforms": curated()}
