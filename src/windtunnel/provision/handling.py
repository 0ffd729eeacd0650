"""What handlers of resource types have in common: documents, tags, lists to their end, and calls of which a certain failure is fine.

Invariant: pure but for the calls, which go through `perform`: nothing here changes anything by itself or lets an error pass that it was not told to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.tags import PREFIX, users_pairs
from windtunnel.provision.calling import perform, ready
from windtunnel.provision.registry import Failed, ResourceType, Wanted

Pairs = list[dict[str, str]]
T = TypeVar("T")


class Direct(ResourceType):
    """A type whose handler calls operations itself. calls: those of `service` by which it creates, updates and deletes, blank-separated.

    They are compiled in a thread before a stack's first resource of the type (see `warming`); others are at their first use.
    """

    service: ClassVar[str] = ""
    calls: ClassVar[str] = ""

    def warm(self) -> None:
        ready(self.service, self.calls.split())


# --- documents ------------------------------------------------------------------------------------------------------------------


def text(document: Any) -> str:
    """A property that is a JSON document (a policy) as an operation takes it: some templates hold the text itself."""
    return document if isinstance(document, str) else msgspec.json.encode(document).decode()


def parsed(document: str) -> Any:
    """The inverse of `text`, for what an operation answers; a text that is no JSON stays as it is."""
    try:
        return msgspec.json.decode(document)
    except msgspec.DecodeError:
        return document


def without_none(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What is not set is no property."""
    return {name: value for name, value in properties.items() if value is not None}


# --- calls ----------------------------------------------------------------------------------------------------------------------


def attempt(ctx: Context, missing: Collection[str], service: str, operation: str, **members: Any) -> Reply | None:
    """`perform`, or None when it says one of these codes: what is asked for or taken away is not there."""
    try:
        return perform(ctx, service, operation, **members)
    except AwsError as error:
        if error.code in missing:
            return None
        raise


def listed(
    ctx: Context, service: str, operation: str, member: str, token: tuple[str, str] = ("NextToken", "NextToken"), **members: Any
) -> Iterator[Any]:
    """All items of a list operation, page after page. token: how its output and its input call the next page's token."""
    given, taken = token
    page: str | None = None
    while True:
        reply = perform(ctx, service, operation, **{taken: page}, **members)
        yield from reply.get(member) or ()
        page = reply.get(given)
        if not page:
            return


def already_exists(type_name: str, identifier: str) -> Failed:
    """In the words that CloudFormation has for it."""
    return Failed(f"Resource of type '{type_name}' with identifier '{identifier}' already exists.", "AlreadyExists")


# --- what changed -----------------------------------------------------------------------------------------------------------------


def changed(old: Mapping[str, Any], new: Mapping[str, Any], *names: str) -> bool:
    """Whether one of these properties is another one now."""
    return any(old.get(name) != new.get(name) for name in names)


def set_changes(old: Iterable[T] | None, new: Iterable[T] | None) -> tuple[list[T], list[T]]:
    """(what came, what went) between two lists whose order says nothing."""
    before, after = list(old or ()), list(new or ())
    return [item for item in after if item not in before], [item for item in before if item not in after]


def keyed_changes(
    old: Iterable[dict[str, Any]] | None, new: Iterable[dict[str, Any]] | None, key: Callable[[dict[str, Any]], str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """(items that came or changed, the keys of those that went)."""
    before, after = {key(item): item for item in old or ()}, {key(item): item for item in new or ()}
    return [item for name, item in after.items() if before.get(name) != item], [name for name in before if name not in after]


# --- tags ------------------------------------------------------------------------------------------------------------------------


def checked_tags(tags: Pairs | None) -> Pairs:
    """The Tags of a template. Users may not set AWS's own; of two with one key the last counts."""
    given = {tag["Key"]: tag.get("Value", "") for tag in tags or ()}
    if any(key.lower().startswith(PREFIX) for key in given):
        raise Failed("aws: prefixed tag key names are not allowed for external use.", "InvalidRequest")
    return [{"Key": key, "Value": value} for key, value in given.items()]


def with_stack_tags(tags: Pairs | None, wanted: Wanted) -> Pairs:
    """The tags of a type that AWS marks with its stack (`tagging.cloudFormationSystemTags` of the provider schema)."""
    return checked_tags(tags) + [{"Key": key, "Value": value} for key, value in wanted.tags.items() if key.startswith(PREFIX)]


def tag_changes(old: Pairs | None, new: Pairs | None) -> tuple[Pairs, list[str]]:
    """(tags to set, keys to take away)."""
    return keyed_changes(old, checked_tags(new), lambda tag: tag["Key"])


def shown_tags(tags: Pairs | None) -> Pairs | None:
    """Live tags as the property: without AWS's own. None for none."""
    return users_pairs(tags) or None
