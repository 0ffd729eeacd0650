"""What the operations look up, and the words for what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.tags import by_stack, reserved, users, users_pairs
from windtunnel.services.scheduler.model import DEFAULT_GROUP, Deletion, Group, Schedule

R = TypeVar("R")
REMEMBERED = 8 * 3600.0
SWEEP = 8
MAX_TAGS = 50


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def find_group(ctx: Context, name: str) -> Group | None:
    return ctx.tx.get(Group, name) or (Group(name=DEFAULT_GROUP) if name == DEFAULT_GROUP else None)


def the_group(ctx: Context, name: str) -> Group:
    group = find_group(ctx, name)
    if group is None:
        raise AwsError("ResourceNotFoundException", f"Schedule group {name} does not exist.")
    return group


def the_schedule(ctx: Context, group: str, name: str) -> Schedule:
    schedule = ctx.tx.get(Schedule, f"{group}/{name}")
    if schedule is None:
        raise AwsError("ResourceNotFoundException", f"Schedule {name} does not exist.")
    return schedule


def page(found: list[R], limit: int, member: str, shown: Callable[[R], Any], key: Callable[[R], str]) -> Reply:
    reply: Reply = {member: [shown(one) for one in found[:limit]]}
    if len(found) > limit:
        reply["NextToken"] = key(found[limit - 1])
    return reply


def on_everything(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"scheduler:{action}")]

    return authorize


def tag_keys(tags: dict[str, str]) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def check_keys(ctx: Context, keys: list[str]) -> None:
    """AWS's own tags are set and taken away by CloudFormation alone."""
    stack = by_stack(ctx)
    if any(reserved(key, stack) for key in keys):
        raise invalid("Tag keys that begin with aws: are reserved for AWS.")


def checked_tags(ctx: Context, held: dict[str, str], tags: list[dict[str, str]]) -> dict[str, str]:
    """The tags with these added. Raises AWS's error for its own, unless CloudFormation sets them, and for too many."""
    check_keys(ctx, [tag["Key"] for tag in tags])
    merged = {**held, **{tag["Key"]: tag["Value"] for tag in tags}}
    if len(users(merged)) > MAX_TAGS:
        raise invalid(f"The number of tags exceeds the limit of {MAX_TAGS} for a resource.")
    return merged


def request_tags(tags: list[dict[str, str]] | None) -> dict[str, Any]:
    """Condition keys of the tags that are given, without CloudFormation's."""
    given = users_pairs(tags)
    if not given:
        return {}
    return {**{f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in given}, "aws:TagKeys": [tag["Key"] for tag in given]}


def deleted_before(ctx: Context, what: str, token: str) -> bool:
    """Whether this was deleted with that token already."""
    return bool(token) and ctx.tx.get(Deletion, f"{token}/{what}") is not None


def remember_deletion(ctx: Context, what: str, token: str) -> None:
    """For some hours; some that are older are forgotten."""
    for old in ctx.tx.scan(Deletion, limit=SWEEP):
        if old.at < ctx.now - REMEMBERED:
            ctx.tx.delete(Deletion, old.key())
    if token:
        ctx.tx.put(Deletion(what=f"{token}/{what}", at=ctx.now))
