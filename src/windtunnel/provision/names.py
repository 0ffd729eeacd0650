"""The names that CloudFormation makes up for resources that are given none: `STACK-LOGICALID-RANDOM12`.

Invariant: within the type's limit and never ending or doubling a hyphen; the same twelve characters give the same name, so a retry makes no second resource.
"""

from __future__ import annotations

from windtunnel.provision.registry import Name

RANDOM = 12
_SHORTEST_RANDOM = 6


def physical_name(rule: Name, stack_name: str, logical_id: str, random12: str) -> str:
    """AWS's name for a resource without one. random12: twelve upper-case letters and digits.

    A short part stays whole and the other is cut; when both are long each has half of the room. A limit below the twelve takes of them too.
    """
    random = random12[: max(_SHORTEST_RANDOM, min(RANDOM, rule.limit - 4))][: rule.limit]
    room = rule.limit - len(random) - 2
    if room < 2:
        return _cased(random, rule)
    if len(stack_name) + len(logical_id) > room:
        half = room // 2
        logical_id = logical_id[: max(half, room - len(stack_name))]
        stack_name = stack_name[: room - len(logical_id)]
    return _cased("-".join(part.strip("-") for part in (stack_name, logical_id, random) if part.strip("-")), rule)


def _cased(name: str, rule: Name) -> str:
    return name.lower() if rule.lower else name
