"""Which instances a deployment group's tags mean (user guide, "Tagging instances for deployment groups").

Invariant: an instance matches a list of filters when any of them matches, and a tag set when every one of its lists does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TagFilter = Mapping[str, str]
MAX_LISTS = 3


def matches(filter_: TagFilter, tags: Mapping[str, str]) -> bool:
    kind = filter_.get("Type") or "KEY_AND_VALUE"
    key, value = filter_.get("Key", ""), filter_.get("Value", "")
    if kind == "KEY_ONLY":
        return key in tags
    if kind == "VALUE_ONLY":
        return value in tags.values()
    return tags.get(key) == value


def selected(filters: Sequence[TagFilter], tag_set: Sequence[Sequence[TagFilter]] | None, tags: Mapping[str, str]) -> bool:
    """Whether the instance with these tags belongs to the group; a group without filters has no instances."""
    if any(matches(f, tags) for f in filters):
        return True
    lists = [filters_ for filters_ in tag_set or [] if filters_]
    return bool(lists) and all(any(matches(f, tags) for f in filters_) for filters_ in lists)


def invalid(filters: Sequence[TagFilter]) -> str:
    """What is wrong with a list of filters, "" when nothing is."""
    for filter_ in filters:
        kind = filter_.get("Type") or "KEY_AND_VALUE"
        if kind not in ("KEY_ONLY", "VALUE_ONLY", "KEY_AND_VALUE"):
            return f"The tag filter type {kind} is not valid."
        if kind != "VALUE_ONLY" and not filter_.get("Key"):
            return "A tag filter must have a key unless its type is VALUE_ONLY."
        if kind == "VALUE_ONLY" and not filter_.get("Value"):
            return "A tag filter of the type VALUE_ONLY must have a value."
        if len(filter_.get("Key", "")) > 128 or len(filter_.get("Value", "")) > 256:
            return "A tag key has at most 128 characters, a tag value at most 256."
    return ""
