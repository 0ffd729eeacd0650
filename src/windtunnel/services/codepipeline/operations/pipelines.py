"""Pipelines as structures: created, read back, changed, deleted, listed; and the action types that they may use."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack, users_pairs
from windtunnel.kernel.trail import trail
from windtunnel.services.codepipeline import structure
from windtunnel.services.codepipeline.acting import SERVICE
from windtunnel.services.codepipeline.authorize import (
    no_pipeline,
    on,
    on_every_pipeline,
    on_everything,
    passed_roles,
    request_tags,
    resource_tags,
    the_pipeline,
)
from windtunnel.services.codepipeline.catalog import ACTION_TYPES
from windtunnel.services.codepipeline.flow import ABANDONED, Flow, action_signal
from windtunnel.services.codepipeline.model import (
    ActionExecution,
    Board,
    Execution,
    Pipeline,
    PipelineVersion,
    Trigger,
    pipeline_arn,
    version_key,
)
from windtunnel.services.codepipeline.paging import key_of, token_after
from windtunnel.services.codepipeline.starting import begin
from windtunnel.services.codepipeline.tagging import checked_tags
from windtunnel.services.codepipeline.views import summary_of_pipeline

MAX_PIPELINES = 1000
_ACTION = "pipeline.stages[].actions[]"
STRUCTURE = f"""
pipeline.name pipeline.roleArn pipeline.version pipeline.executionMode pipeline.pipelineType
pipeline.artifactStore.type pipeline.artifactStore.location pipeline.artifactStores{{}}.type pipeline.artifactStores{{}}.location
pipeline.artifactStore.encryptionKey.id pipeline.artifactStore.encryptionKey.type
pipeline.artifactStores{{}}.encryptionKey.id pipeline.artifactStores{{}}.encryptionKey.type
pipeline.variables[].name pipeline.variables[].defaultValue pipeline.variables[].description
pipeline.stages[].name {_ACTION}.name {_ACTION}.actionTypeId.category {_ACTION}.actionTypeId.owner {_ACTION}.actionTypeId.provider
{_ACTION}.actionTypeId.version {_ACTION}.runOrder {_ACTION}.configuration{{}} {_ACTION}.inputArtifacts[].name
{_ACTION}.outputArtifacts[].name {_ACTION}.roleArn {_ACTION}.region {_ACTION}.namespace {_ACTION}.timeoutInMinutes
"""


def may_create(ctx: Context, pipeline: dict[str, Any], tags: list[dict[str, str]] | None = None, **_: Any) -> list[Need]:
    arn = pipeline_arn(ctx.scope, pipeline["name"])
    tags = users_pairs(tags, "key")
    needs = [Need("codepipeline:CreatePipeline", arn, request_tags(tags)), *passed_roles(pipeline)]
    return [*needs, Need("codepipeline:TagResource", arn, request_tags(tags))] if tags else needs


def check_role(ctx: Context, pipeline: dict[str, Any]) -> None:
    """CodePipeline must be able to assume the pipeline's role."""
    try:
        ctx.assuming(pipeline["roleArn"], "codepipeline", SERVICE)
    except AwsError as denied:
        said = f"CodePipeline is not authorized to perform AssumeRole on role {pipeline['roleArn']}"
        raise AwsError("InvalidStructureException", said) from denied


@writes("codepipeline", "CreatePipeline", authorize=may_create, acts=f"{STRUCTURE} tags[].key tags[].value")
def create_pipeline(ctx: Context, pipeline: dict[str, Any], tags: list[dict[str, str]] | None = None) -> Reply:
    name = pipeline["name"]
    if ctx.tx.get(Pipeline, name) is not None:
        raise AwsError("PipelineNameInUseException", f"A pipeline with the name '{name}' already exists in account '{ctx.scope.account}'")
    watches = structure.check(pipeline, ctx.scope.region, "CreatePipeline")
    check_role(ctx, pipeline)
    given_tags = checked_tags({}, tags or [], by_stack(ctx))
    if ctx.tx.count(Pipeline) >= MAX_PIPELINES:
        raise AwsError("LimitExceededException", f"The account has reached the limit of {MAX_PIPELINES} pipelines in this region.")
    declaration = structure.normalised(pipeline, 1)
    created = Pipeline(declaration=declaration, created=ctx.now, updated=ctx.now, watches=watches, tags=given_tags)
    ctx.tx.put(created)
    ctx.tx.put(PipelineVersion(declaration=declaration, created=ctx.now))
    flow = Flow(ctx, created)
    flow.save()
    trail(ctx, [name], f"pipeline {name} was created by {ctx.principal.arn}")
    try:
        begin(flow, Trigger("CreatePipeline", ctx.principal.arn))
    except AwsError as refused:
        trail(ctx, [name], f"pipeline {name} was not started by its creation: {refused.message}", level="error")
    reply: Reply = {"pipeline": declaration}
    if given_tags:
        reply["tags"] = [{"key": key, "value": value} for key, value in given_tags.items()]
    return reply


@reads("codepipeline", "GetPipeline", authorize=on("GetPipeline", "name"), acts="name version")
def get_pipeline(ctx: Context, name: str, version: int | None = None) -> Reply:
    pipeline = the_pipeline(ctx, name)
    declaration, updated = pipeline.declaration, pipeline.updated
    if version is not None and version != pipeline.version:
        kept = ctx.tx.get(PipelineVersion, version_key(name, version))
        if kept is None:
            raise AwsError("PipelineVersionNotFoundException", f"The pipeline {name} does not have a version {version}")
        declaration, updated = kept.declaration, kept.created
    metadata = {"pipelineArn": pipeline_arn(ctx.scope, name), "created": pipeline.created, "updated": updated}
    return {"pipeline": declaration, "metadata": metadata}


def may_update(ctx: Context, pipeline: dict[str, Any], **_: Any) -> list[Need]:
    name = pipeline["name"]
    return [Need("codepipeline:UpdatePipeline", pipeline_arn(ctx.scope, name), resource_tags(ctx, name)), *passed_roles(pipeline)]


@writes("codepipeline", "UpdatePipeline", authorize=may_update, acts=STRUCTURE)
def update_pipeline(ctx: Context, pipeline: dict[str, Any]) -> Reply:
    old = ctx.tx.get(Pipeline, pipeline["name"])
    if old is None:
        raise no_pipeline(ctx, pipeline["name"])
    watches = structure.check(pipeline, ctx.scope.region, "UpdatePipeline")
    check_role(ctx, pipeline)
    declaration = structure.normalised(pipeline, old.version + 1)
    new = Pipeline(declaration=declaration, created=old.created, updated=ctx.now, watches=watches, tags=old.tags)
    ctx.tx.put(new)
    ctx.tx.put(PipelineVersion(declaration=declaration, created=ctx.now))
    flow = Flow(ctx, old)
    flow.adopt(new)
    flow.save()
    return {"pipeline": declaration}


@writes("codepipeline", "DeletePipeline", authorize=on("DeletePipeline", "name"), acts="name")
def delete_pipeline(ctx: Context, name: str) -> Reply:
    """What ran is abandoned and forgotten; deleting what is gone is success."""
    if not ctx.tx.delete(Pipeline, name):
        return {}
    for e in ctx.tx.find(Execution, "live", name):
        for action in ctx.tx.find(ActionExecution, "execution", e.id):
            if action.status == "InProgress":
                ctx.signal(action_signal(action.id), {"what": ABANDONED})
    ctx.tx.delete(Board, name)
    for kind in (PipelineVersion, Execution, ActionExecution):
        for record in ctx.tx.scan(kind, prefix=f"{name}/"):
            ctx.tx.delete(kind, record.key())
    trail(ctx, [name], f"pipeline {name} was deleted by {ctx.principal.arn}")
    return {}


@reads("codepipeline", "ListPipelines", authorize=on_every_pipeline("ListPipelines"), acts="nextToken maxResults", cost="scan")
def list_pipelines(ctx: Context, next_token: str | None = None, max_results: int = MAX_PIPELINES) -> Reply:
    found = ctx.tx.scan(Pipeline, after=key_of(next_token), limit=max_results + 1)
    reply: Reply = {"pipelines": [summary_of_pipeline(pipeline) for pipeline in found[:max_results]]}
    if len(found) > max_results:
        reply["nextToken"] = token_after(found[max_results - 1].key())
    return reply


@reads("codepipeline", "ListActionTypes", authorize=on_everything("ListActionTypes"), acts="actionOwnerFilter nextToken regionFilter")
def list_action_types(
    ctx: Context, action_owner_filter: str | None = None, next_token: str | None = None, region_filter: str | None = None
) -> Reply:
    """The types that run here: all of them are AWS's."""
    key_of(next_token)
    ours = action_owner_filter in (None, "AWS") and region_filter in (None, ctx.scope.region)
    return {"actionTypes": [ACTION_TYPES[key].described() for key in sorted(ACTION_TYPES)] if ours else []}
