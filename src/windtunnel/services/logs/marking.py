"""Which tags a log group may have."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.tags import by_stack, reserved, users

MAX_TAGS = 50


def check_keys(ctx: Context, keys: Iterable[str]) -> None:
    """AWS's own tags are set and taken away by CloudFormation alone."""
    stack = by_stack(ctx)
    if any(reserved(key, stack) for key in keys):
        raise AwsError("InvalidParameterException", "aws: prefixed tag key names are not allowed for external use.")


def checked_tags(ctx: Context, held: dict[str, str], tags: dict[str, str]) -> dict[str, str]:
    """The tags with these added. Raises AwsError for AWS's own, unless CloudFormation sets them, and for too many."""
    check_keys(ctx, tags)
    merged = held | tags
    if len(users(merged)) > MAX_TAGS:
        raise AwsError("InvalidParameterException", f"A log group can have at most {MAX_TAGS} tags.")
    return merged
