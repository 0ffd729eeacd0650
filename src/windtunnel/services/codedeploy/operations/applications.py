"""Applications (CodeDeploy API reference, 2014-10-06)."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codedeploy.authorize import on_all, on_application, on_applications
from windtunnel.services.codedeploy.conduct import forget_group
from windtunnel.services.codedeploy.lookups import application_of, batch, check_application_name, page
from windtunnel.services.codedeploy.model.records import Application, Deployment, Group, Revision
from windtunnel.services.codedeploy.operations.tags import checked_tags


@writes(
    "codedeploy",
    "CreateApplication",
    authorize=on_application("codedeploy:CreateApplication"),
    acts="applicationName computePlatform tags[].Key tags[].Value",
)
def create_application(
    ctx: Context, application_name: str, compute_platform: str = "Server", tags: list[dict[str, str]] | None = None
) -> Reply:
    check_application_name(application_name)
    if compute_platform not in ("Server", "Lambda", "ECS"):
        raise AwsError("InvalidComputePlatformException", f"The compute platform {compute_platform} is not valid.")
    if compute_platform != "Server":
        raise not_built("codedeploy", "CreateApplication", f"computePlatform {compute_platform}")
    _refuse_taken(ctx, application_name)
    application = Application(name=application_name, id=ctx.ids.uuid(), created=ctx.now, tags=checked_tags(tags))
    ctx.tx.insert(application)
    return {"applicationId": application.id}


def _refuse_taken(ctx: Context, name: str) -> None:
    if ctx.tx.get(Application, name) is not None:
        raise AwsError("ApplicationAlreadyExistsException", f"Application already exists with name : {name}")


@reads("codedeploy", "GetApplication", authorize=on_application("codedeploy:GetApplication"), acts="applicationName")
def get_application(ctx: Context, application_name: str) -> Reply:
    return {"application": described(application_of(ctx, application_name))}


@reads("codedeploy", "ListApplications", authorize=on_all("codedeploy:ListApplications"), acts="nextToken", cost="scan")
def list_applications(ctx: Context, next_token: str | None = None) -> Reply:
    names, more = page([application.name for application in ctx.tx.scan(Application)], next_token)
    return {"applications": names, **({"nextToken": more} if more else {})}


@reads("codedeploy", "BatchGetApplications", authorize=on_applications("codedeploy:BatchGetApplications"), acts="applicationNames[]")
def batch_get_applications(ctx: Context, application_names: list[str]) -> Reply:
    names = batch(application_names, 100, "applications")
    return {"applicationsInfo": [described(application_of(ctx, name)) for name in names]}


@writes(
    "codedeploy",
    "UpdateApplication",
    authorize=on_application("codedeploy:UpdateApplication"),
    acts="applicationName newApplicationName",
)
def update_application(ctx: Context, application_name: str | None = None, new_application_name: str | None = None) -> Reply:
    if application_name is None:
        raise AwsError("ApplicationNameRequiredException", "The application name was not specified.")
    application = application_of(ctx, application_name)
    if new_application_name is None or new_application_name == application.name:
        return {}
    check_application_name(new_application_name)
    _refuse_taken(ctx, new_application_name)
    _rename(ctx, application, new_application_name)
    return {}


def _rename(ctx: Context, application: Application, name: str) -> None:
    old = application.name
    for group in ctx.tx.scan(Group, prefix=f"{old}/"):
        ctx.tx.delete(Group, group.key())
        group.application = name
        ctx.tx.put(group)
    for revision in ctx.tx.scan(Revision, prefix=f"{old}/"):
        ctx.tx.delete(Revision, revision.key())
        revision.application = name
        ctx.tx.put(revision)
    for deployment in ctx.tx.find(Deployment, "application", old):
        deployment.application = name
        ctx.tx.put(deployment)
    ctx.tx.delete(Application, old)
    application.name = name
    ctx.tx.put(application)


@writes("codedeploy", "DeleteApplication", authorize=on_application("codedeploy:DeleteApplication"), acts="applicationName")
def delete_application(ctx: Context, application_name: str) -> Reply:
    check_application_name(application_name)
    for group in ctx.tx.scan(Group, prefix=f"{application_name}/"):
        forget_group(ctx, group)
    for revision in ctx.tx.scan(Revision, prefix=f"{application_name}/"):
        ctx.tx.delete(Revision, revision.key())
    ctx.tx.delete(Application, application_name)
    return {}


def described(application: Application) -> Reply:
    """The ApplicationInfo shape."""
    return {
        "applicationId": application.id,
        "applicationName": application.name,
        "createTime": application.created,
        "linkedToGitHub": False,
        "computePlatform": application.platform,
    }
