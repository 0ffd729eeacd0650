"""Tags of pipelines."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.tags import by_stack, reserved
from windtunnel.services.codepipeline.authorize import request_tags, resource_tags
from windtunnel.services.codepipeline.model import Pipeline
from windtunnel.services.codepipeline.paging import key_of, token_after
from windtunnel.services.codepipeline.tagging import checked_tags


def on_arn(action: str) -> Any:
    def authorize(
        ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, tag_keys: list[str] | None = None, **_: Any
    ) -> list[Need]:
        context = {**resource_tags(ctx, resource_arn.rsplit(":", 1)[-1]), **request_tags(tags or [])}
        if tag_keys:
            context["aws:TagKeys"] = tag_keys
        return [Need(f"codepipeline:{action}", resource_arn, context)]

    return authorize


def tagged_pipeline(ctx: Context, resource_arn: str) -> Pipeline:
    arn = Arn.parse(resource_arn)
    if arn is None or arn.service != "codepipeline" or (arn.account, arn.region) != (ctx.scope.account, ctx.scope.region):
        raise AwsError("InvalidArnException", f"The resource ARN {resource_arn} is not valid.")
    found = ctx.tx.get(Pipeline, arn.resource)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"The resource {resource_arn} was not found.")
    return found


@writes("codepipeline", "TagResource", authorize=on_arn("TagResource"), acts="resourceArn tags[].key tags[].value")
def tag_resource(ctx: Context, resource_arn: str, tags: list[dict[str, str]]) -> Reply:
    pipeline = tagged_pipeline(ctx, resource_arn)
    ctx.tx.put(msgspec.structs.replace(pipeline, tags=checked_tags(pipeline.tags, tags, by_stack(ctx))))
    return {}


@writes("codepipeline", "UntagResource", authorize=on_arn("UntagResource"), acts="resourceArn tagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    pipeline = tagged_pipeline(ctx, resource_arn)
    if any(reserved(key, by_stack(ctx)) for key in tag_keys):
        raise AwsError("InvalidTagsException", "Not allowed to modify system tags: tag keys must not start with aws:")
    kept = {key: value for key, value in pipeline.tags.items() if key not in tag_keys}
    ctx.tx.put(msgspec.structs.replace(pipeline, tags=kept))
    return {}


@reads("codepipeline", "ListTagsForResource", authorize=on_arn("ListTagsForResource"), acts="resourceArn nextToken maxResults")
def list_tags_for_resource(ctx: Context, resource_arn: str, next_token: str | None = None, max_results: int = 100) -> Reply:
    pipeline, after = tagged_pipeline(ctx, resource_arn), key_of(next_token) or ""
    keys = [key for key in sorted(pipeline.tags) if key > after]
    reply: Reply = {"tags": [{"key": key, "value": pipeline.tags[key]} for key in keys[:max_results]]}
    if len(keys) > max_results:
        reply["nextToken"] = token_after(keys[max_results - 1])
    return reply
