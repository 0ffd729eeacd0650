"""Who may do what to which pipeline, stage or action (Service Authorization Reference, AWS CodePipeline)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.tags import users_pairs
from windtunnel.services.codepipeline.acting import SERVICE
from windtunnel.services.codepipeline.model import Pipeline, pipeline_arn


def resource_tags(ctx: Context, pipeline: str) -> dict[str, str]:
    """The condition keys that a pipeline's tags give."""
    found = ctx.tx.get(Pipeline, pipeline)
    return {f"aws:ResourceTag/{key}": value for key, value in found.tags.items()} if found is not None else {}


def request_tags(tags: list[dict[str, str]]) -> dict[str, Any]:
    tags = users_pairs(tags, "key")
    if not tags:
        return {}
    return {**{f"aws:RequestTag/{tag['key']}": tag["value"] for tag in tags}, "aws:TagKeys": [tag["key"] for tag in tags]}


def on(action: str, *path: str) -> Any:
    """authorize= for an operation on the pipeline, stage or action that these arguments name."""

    def authorize(ctx: Context, **args: Any) -> list[Need]:
        names = [args[part] for part in path]
        return [Need(f"codepipeline:{action}", pipeline_arn(ctx.scope, *names), resource_tags(ctx, names[0]))]

    return authorize


def on_every_pipeline(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"codepipeline:{action}", pipeline_arn(ctx.scope, "*"))]

    return authorize


def on_everything(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"codepipeline:{action}")]

    return authorize


def passed_roles(declaration: dict[str, Any]) -> list[Need]:
    """The pipeline's own role is handed to CodePipeline; the actions' roles are assumed by it, and handed over as well."""
    roles = [declaration["roleArn"]]
    roles += [action["roleArn"] for stage in declaration["stages"] for action in stage["actions"] if "roleArn" in action]
    return [Need("iam:PassRole", role, {"iam:PassedToService": SERVICE}) for role in dict.fromkeys(roles)]


def no_pipeline(ctx: Context, name: str) -> AwsError:
    return AwsError("PipelineNotFoundException", f"Account '{ctx.scope.account}' does not have a pipeline with name '{name}'")


def the_pipeline(ctx: Context, name: str) -> Pipeline:
    found = ctx.tx.get(Pipeline, name)
    if found is None:
        raise no_pipeline(ctx, name)
    return found
