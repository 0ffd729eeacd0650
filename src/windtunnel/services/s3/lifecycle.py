"""Lifecycle rules: which are valid, and what is due when. Pure.

Source: User Guide, "Managing the lifecycle of objects". Days are counted from an object's (or its successor's) time and rounded up to the next
midnight UTC. They are intended waiting: `scale` shortens them, and the rounding, as `--pace` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from windtunnel.kernel.errors import AwsError

DAY = 86400.0
MAX_RULES = 1000
SMALLEST_TRANSITION = 128 * 1024
DEFAULT_MINIMUM = "all_storage_classes_128K"
_WARM = ("STANDARD_IA", "ONEZONE_IA")
_ORDER = {"STANDARD": 0, "STANDARD_IA": 1, "INTELLIGENT_TIERING": 2, "ONEZONE_IA": 3, "GLACIER_IR": 4, "GLACIER": 5, "DEEP_ARCHIVE": 6}
Rule = Mapping[str, Any]


class Subject(NamedTuple):
    """A version as rules see it. since: when it was written, or replaced by a newer one."""

    name: str
    size: int
    tags: Mapping[str, str]
    since: float
    storage_class: str


def check_rules(rules: Sequence[Rule]) -> None:
    if not 1 <= len(rules) <= MAX_RULES:
        raise _malformed()
    ids = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(ids)) != len(ids):
        raise AwsError("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Rule) -> None:
    if len(rule.get("ID", "")) > 255:
        raise AwsError("InvalidArgument", "ID length should not exceed allowed limit of 255")
    if rule["Status"] not in ("Enabled", "Disabled") or ("Filter" in rule and "Prefix" in rule):
        raise _malformed()
    if "Filter" in rule and len(rule["Filter"]) > 1:
        raise _malformed()
    actions = ("Expiration", "Transitions", "NoncurrentVersionTransitions", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    if not any(rule.get(name) for name in actions):
        raise AwsError("InvalidRequest", "At least one action needs to be specified in a rule.")
    expiration = rule.get("Expiration")
    if expiration is not None:
        _check_expiration(rule, expiration)
    for transition in rule.get("Transitions") or ():
        _one_of(transition, "Days", "Date")
        if transition.get("Days", 30) < 30 and transition.get("StorageClass") in _WARM:
            raise AwsError(
                "InvalidArgument",
                f"'Days' in Transition action must be greater than or equal to 30 for storageClass '{transition['StorageClass']}'",
            )
    aborting = rule.get("AbortIncompleteMultipartUpload")
    if aborting is not None:
        if _tags(rule):
            raise AwsError("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags.")
        _positive(
            aborting.get("DaysAfterInitiation"),
            "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
        )
    noncurrent = rule.get("NoncurrentVersionExpiration")
    if noncurrent is not None:
        _positive(noncurrent.get("NoncurrentDays"), "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")


def _check_expiration(rule: Rule, expiration: Mapping[str, Any]) -> None:
    _one_of(expiration, "Days", "Date", "ExpiredObjectDeleteMarker")
    if "ExpiredObjectDeleteMarker" in expiration and _tags(rule):
        raise AwsError("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags.")
    if "Days" in expiration:
        _positive(expiration["Days"], "'Days' for Expiration action must be a positive integer")
    if "Date" in expiration and expiration["Date"] % DAY:
        raise AwsError("InvalidArgument", "'Date' must be at midnight GMT")
    latest = max((item.get("Days", -1) for item in rule.get("Transitions") or ()), default=-1)
    if "Days" in expiration and latest >= expiration["Days"]:
        raise AwsError("InvalidArgument", "'Days' in the Expiration action must be greater than 'Days' in the Transition action")


def _positive(days: int | None, words: str) -> None:
    if days is None or days < 1:
        raise AwsError("InvalidArgument", words)


def _one_of(item: Mapping[str, Any], *names: str) -> None:
    if sum(name in item for name in names) != 1:
        raise _malformed()


def _malformed() -> AwsError:
    return AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")


def _filter(rule: Rule) -> Mapping[str, Any]:
    found: Mapping[str, Any] = rule.get("Filter") or {}
    inside: Mapping[str, Any] = found.get("And", found)
    return inside


def _tags(rule: Rule) -> dict[str, str]:
    inside = _filter(rule)
    pairs = [*inside.get("Tags", ()), *([inside["Tag"]] if "Tag" in inside else [])]
    return {pair["Key"]: pair.get("Value", "") for pair in pairs}


def _prefix(rule: Rule) -> str:
    return str(rule.get("Prefix") or _filter(rule).get("Prefix") or "")


def applies(rule: Rule, name: str, size: int | None, tags: Mapping[str, str]) -> bool:
    """size: None for what has none (uploads, delete markers)."""
    if rule["Status"] != "Enabled" or not name.startswith(_prefix(rule)):
        return False
    inside = _filter(rule)
    if size is not None and (size <= inside.get("ObjectSizeGreaterThan", -1) or size >= inside.get("ObjectSizeLessThan", math.inf)):
        return False
    return all(tags.get(key) == value for key, value in _tags(rule).items())


Waiting = Callable[[float], float]
"""Intended seconds to real ones: `clock.paced`."""


def due_at(since: float, days: int, paced: Waiting) -> float:
    """When something is due that many days after `since`: at the next midnight UTC, all of it shortened by the cloud's pace."""
    moment = math.ceil((since + days * DAY) / DAY) * DAY
    return since + paced(moment - since)


def expiry(rules: Sequence[Rule], subject: Subject, paced: Waiting) -> tuple[float, str] | None:
    """When a current version expires, and by which rule: the earliest."""
    found: list[tuple[float, str]] = []
    for rule in rules:
        expiration = rule.get("Expiration") or {}
        if not applies(rule, subject.name, subject.size, subject.tags):
            continue
        if "Days" in expiration:
            found.append((due_at(subject.since, expiration["Days"], paced), rule.get("ID", "")))
        elif "Date" in expiration:
            found.append((expiration["Date"], rule.get("ID", "")))
    return min(found, default=None)


def removes_lone_markers(rules: Sequence[Rule], name: str, since: float, now: float, paced: Waiting) -> bool:
    """Whether a delete marker that hides nothing any more goes."""
    for rule in rules:
        expiration = rule.get("Expiration") or {}
        if not applies(rule, name, None, {}):
            continue
        if expiration.get("ExpiredObjectDeleteMarker") or ("Days" in expiration and due_at(since, expiration["Days"], paced) <= now):
            return True
    return False


def moved_to(
    rules: Sequence[Rule], subject: Subject, now: float, minimum: str, paced: Waiting, *, noncurrent: int | None = None
) -> str | None:
    """The storage class to which a version goes now. noncurrent: how many newer noncurrent ones there are; None for a current version."""
    best = None
    for rule in rules:
        if not applies(rule, subject.name, subject.size, subject.tags):
            continue
        for item in rule.get("Transitions" if noncurrent is None else "NoncurrentVersionTransitions") or ():
            days = item.get("Days" if noncurrent is None else "NoncurrentDays")
            at = item["Date"] if "Date" in item else due_at(subject.since, days or 0, paced)
            target = item["StorageClass"]
            if at > now or (noncurrent is not None and noncurrent < item.get("NewerNoncurrentVersions", 0)):
                continue
            sized = any(name in _filter(rule) for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"))
            archive = target in ("GLACIER", "DEEP_ARCHIVE") and minimum == "varies_by_storage_class"
            if subject.size < SMALLEST_TRANSITION and not sized and not archive:
                continue
            if _ORDER.get(target, 0) > _ORDER.get(best or subject.storage_class, 0):
                best = target
    return best


def drops_noncurrent(rules: Sequence[Rule], subject: Subject, newer: int, now: float, paced: Waiting) -> bool:
    """Whether a noncurrent version goes. newer: how many noncurrent versions are newer than it."""
    for rule in rules:
        item = rule.get("NoncurrentVersionExpiration")
        if item is None or not applies(rule, subject.name, subject.size, subject.tags):
            continue
        if newer >= item.get("NewerNoncurrentVersions", 0) and due_at(subject.since, item["NoncurrentDays"], paced) <= now:
            return True
    return False


def aborts(rules: Sequence[Rule], name: str, initiated: float, now: float, paced: Waiting) -> bool:
    """Whether an upload that was never completed goes."""
    for rule in rules:
        item = rule.get("AbortIncompleteMultipartUpload")
        if item is not None and applies(rule, name, None, {}) and due_at(initiated, item["DaysAfterInitiation"], paced) <= now:
            return True
    return False
