"""Whether a lifecycle policy is one. Pure. (Amazon ECR user guide, "Lifecycle policy properties".)"""

from __future__ import annotations

from typing import Any

import msgspec

_COUNTS = ("imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned")
_STATUSES = ("tagged", "untagged", "any")
_ACTIONS = ("expire", "transition")


def fault(text: str) -> str:
    """What is wrong with the policy, "" for nothing."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return "Lifecycle policy validation failure: could not parse the text as JSON"
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not rules:
        return 'Lifecycle policy validation failure: object has missing required properties (["rules"])'
    seen: set[int] = set()
    for number, rule in enumerate(rules):
        wrong = _wrong(rule) if isinstance(rule, dict) else "instance is not an object"
        if wrong:
            return f"Lifecycle policy validation failure: /rules/{number}: {wrong}"
        if rule["rulePriority"] in seen:
            return "Lifecycle policy validation failure: rulePriority must be unique across rules"
        seen.add(rule["rulePriority"])
    return ""


def _wrong(rule: dict[str, Any]) -> str:
    for name, kind in (("rulePriority", int), ("selection", dict), ("action", dict)):
        if not isinstance(rule.get(name), kind) or isinstance(rule.get(name), bool):
            return f'object has missing required properties (["{name}"])'
    if rule["rulePriority"] < 1:
        return "rulePriority must be at least 1"
    if rule["action"].get("type") not in _ACTIONS:
        return "action.type is not one of expire, transition"
    return _wrong_selection(rule["selection"])


def _wrong_selection(selection: dict[str, Any]) -> str:
    status, count = selection.get("tagStatus"), selection.get("countType")
    if status not in _STATUSES:
        return "selection.tagStatus is not one of tagged, untagged, any"
    if count not in _COUNTS:
        return f"selection.countType is not one of {', '.join(_COUNTS)}"
    number = selection.get("countNumber")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        return "selection.countNumber must be a positive integer"
    named = bool(selection.get("tagPrefixList")) + bool(selection.get("tagPatternList"))
    if status == "tagged" and named != 1:
        return "selection must have either tagPrefixList or tagPatternList when tagStatus is tagged"
    if status != "tagged" and named:
        return "selection must have neither tagPrefixList nor tagPatternList unless tagStatus is tagged"
    if (count == "imageCountMoreThan") == ("countUnit" in selection):
        return "selection.countUnit must be given unless countType is imageCountMoreThan"
    return "" if selection.get("countUnit", "days") == "days" else "selection.countUnit is not days"
