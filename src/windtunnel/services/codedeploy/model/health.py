"""Minimum healthy hosts: how many instances may be worked on at once, and when a deployment has failed (user guide, "CodeDeploy
instance health"; API reference, MinimumHealthyHosts).

Invariant: at no moment are fewer instances healthy than the configuration asks for; at least one success is always needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from windtunnel.services.codedeploy.model.records import MinimumHealthy, Target

Outcome = Literal["Succeeded", "Failed"]


class Moves(NamedTuple):
    """What to do now, by instance id. outcome: set when nothing runs and nothing more will be started."""

    start: list[str]
    skip: list[str]
    outcome: Outcome | None


def required(minimum: MinimumHealthy, fleet: int) -> int:
    """How many of `fleet` instances must stay healthy. A percentage rounds up; OneAtATime is all but one."""
    if minimum.type == "FLEET_PERCENT":
        return -(-fleet * minimum.value // 100)
    if minimum.type == "MOST_CONCURRENCY":
        return max(0, fleet - minimum.value)
    return minimum.value


def can_begin(minimum: MinimumHealthy, fleet: int) -> bool:
    """Whether even one instance may be taken out of service."""
    return required(minimum, fleet) < fleet


def next_moves(minimum: MinimumHealthy, fleet: int, targets: Sequence[Target]) -> Moves:
    """What comes next, from the targets' statuses. fleet: the group's size, of which `targets` may be a part.

    Instances that are not part of this deployment, or whose turn has not come, count as healthy.
    """
    floor = required(minimum, fleet)
    waiting = [t.instance for t in sorted(targets, key=lambda t: t.order) if t.status == "Pending"]
    running = sum(t.status == "InProgress" for t in targets)
    failed = sum(t.status == "Failed" for t in targets)
    succeeded = sum(t.status == "Succeeded" for t in targets)
    room = fleet - failed - running - floor
    if waiting and room > 0:
        return Moves(waiting[:room], [], None)
    if running:
        return Moves([], [], None)
    if waiting:
        return Moves([], waiting, "Failed")
    return Moves([], [], "Succeeded" if succeeded and fleet - failed >= floor else "Failed")
