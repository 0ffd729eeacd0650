"""Tags of applications and deployment groups (CodeDeploy API reference, 2014-10-06)."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.codedeploy.authorize import on_tagged
from windtunnel.services.codedeploy.lookups import application_of, group_of, page
from windtunnel.services.codedeploy.model.records import Application, Group

MAX_TAGS = 50


def checked_tags(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """Tags to add, as a mapping; AwsError InvalidTagsToAddException."""
    found: dict[str, str] = {}
    for tag in tags or []:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not 0 < len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:") or key in found:
            raise AwsError("InvalidTagsToAddException", f"The tag with the key {key!r} cannot be added.")
        found[key] = value
    if len(found) > MAX_TAGS:
        raise AwsError("InvalidTagsToAddException", f"A resource has at most {MAX_TAGS} tags.")
    return found


def tagged_of(ctx: Context, resource_arn: str) -> Application | Group:
    """The application or deployment group behind an ARN."""
    arn = Arn.parse(resource_arn)
    if arn is None or arn.service != "codedeploy":
        raise AwsError("InvalidArnException", f"The specified ARN is not in a valid format: {resource_arn}")
    kind, _, name = arn.resource.partition(":")
    if kind == "application":
        return application_of(ctx, name)
    if kind == "deploymentgroup":
        application, _, group = name.partition("/")
        return group_of(ctx, application, group)
    raise AwsError("ArnNotSupportedException", f"The specified ARN is not supported: {resource_arn}")


@writes("codedeploy", "TagResource", authorize=on_tagged("codedeploy:TagResource"), acts="ResourceArn Tags[].Key Tags[].Value")
def tag_resource(ctx: Context, resource_arn: str, tags: list[dict[str, str]]) -> Reply:
    found = tagged_of(ctx, resource_arn)
    if not tags:
        raise AwsError("TagRequiredException", "A tag was not specified.")
    found.tags = {**found.tags, **checked_tags(tags)}
    if len(found.tags) > MAX_TAGS:
        raise AwsError("InvalidTagsToAddException", f"A resource has at most {MAX_TAGS} tags.")
    ctx.tx.put(found)
    return {}


@writes("codedeploy", "UntagResource", authorize=on_tagged("codedeploy:UntagResource"), acts="ResourceArn TagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    found = tagged_of(ctx, resource_arn)
    if not tag_keys:
        raise AwsError("TagRequiredException", "A tag was not specified.")
    found.tags = {key: value for key, value in found.tags.items() if key not in tag_keys}
    ctx.tx.put(found)
    return {}


@reads("codedeploy", "ListTagsForResource", authorize=on_tagged("codedeploy:ListTagsForResource"), acts="ResourceArn NextToken")
def list_tags_for_resource(ctx: Context, resource_arn: str, next_token: str | None = None) -> Reply:
    tags = tagged_of(ctx, resource_arn).tags
    keys, more = page(sorted(tags), next_token)
    return {"Tags": [{"Key": key, "Value": tags[key]} for key in keys], **({"NextToken": more} if more else {})}
