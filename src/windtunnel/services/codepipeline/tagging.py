"""The rules for tags on pipelines. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.tags import reserved, users

MAX_TAGS = 50


def checked_tags(old: Mapping[str, str], added: list[dict[str, str]], stack: bool = False) -> dict[str, str]:
    """The tags after adding some. stack: CloudFormation sets them. Raises AWS's errors."""
    keys = [tag["key"] for tag in added]
    if len(set(keys)) < len(keys):
        raise AwsError("InvalidTagsException", "Duplicate tag keys are not allowed in one request.")
    if any(reserved(key, stack) for key in keys):
        raise AwsError("InvalidTagsException", "Not allowed to modify system tags: tag keys must not start with aws:")
    merged = {**old, **{tag["key"]: tag["value"] for tag in added}}
    if len(users(merged)) > MAX_TAGS:
        raise AwsError("TooManyTagsException", f"The number of tags exceeds the limit of {MAX_TAGS} tags for a resource.")
    return merged
