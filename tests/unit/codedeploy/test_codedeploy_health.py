"""Minimum healthy hosts: who may be deployed to next, and when a deployment has failed. Each row is a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.services.codedeploy.model.configs import PREDEFINED
from windtunnel.services.codedeploy.model.health import Moves, can_begin, next_moves, required
from windtunnel.services.codedeploy.model.progress import planned
from windtunnel.services.codedeploy.model.records import MinimumHealthy, Target

ONE = PREDEFINED["CodeDeployDefault.OneAtATime"].minimum
HALF = PREDEFINED["CodeDeployDefault.HalfAtATime"].minimum
ALL = PREDEFINED["CodeDeployDefault.AllAtOnce"].minimum
LETTERS = {"p": "Pending", "r": "InProgress", "s": "Succeeded", "f": "Failed", "k": "Skipped"}


def targets(letters: str) -> list[Target]:
    found = []
    for order, letter in enumerate(letters):
        target = planned("d-1", f"i-{order}", f"arn:i-{order}", order, 0.0)
        target.status = LETTERS[letter]
        found.append(target)
    return found


def moves(start: str = "", skip: str = "", outcome: str | None = None) -> Moves:
    return Moves([f"i-{n}" for n in start], [f"i-{n}" for n in skip], outcome)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "minimum, fleet, floor",
    [
        pytest.param(ONE, 3, 2, id="one at a time keeps all but one"),
        pytest.param(ONE, 1, 0, id="one at a time on one instance keeps none"),
        pytest.param(HALF, 9, 5, id="half of nine rounds up to five"),
        pytest.param(HALF, 2, 1, id="half of two is one"),
        pytest.param(ALL, 9, 0, id="all at once keeps none"),
        pytest.param(MinimumHealthy("FLEET_PERCENT", 40), 9, 4, id="40 percent of nine is four (API reference)"),
        pytest.param(MinimumHealthy("FLEET_PERCENT", 85), 10, 9, id="85 percent of ten is nine (user guide)"),
        pytest.param(MinimumHealthy("HOST_COUNT", 6), 9, 6, id="a count is itself"),
    ],
)
def test_required(minimum: MinimumHealthy, fleet: int, floor: int) -> None:
    assert required(minimum, fleet) == floor


@pytest.mark.parametrize(
    "minimum, fleet, begins",
    [
        pytest.param(ONE, 1, True, id="one at a time can always begin"),
        pytest.param(HALF, 1, False, id="half of a single instance must stay healthy, so it cannot be taken out"),
        pytest.param(MinimumHealthy("HOST_COUNT", 2), 2, False, id="as many healthy as there are"),
        pytest.param(MinimumHealthy("HOST_COUNT", 5), 2, False, id="more healthy than there are"),
        pytest.param(MinimumHealthy("HOST_COUNT", 1), 2, True, id="one to spare"),
    ],
)
def test_can_begin(minimum: MinimumHealthy, fleet: int, begins: bool) -> None:
    assert can_begin(minimum, fleet) is begins


@pytest.mark.parametrize(
    "minimum, statuses, expected",
    [
        pytest.param(ONE, "ppp", moves("0"), id="one at a time begins with the first"),
        pytest.param(ONE, "rpp", moves(), id="one at a time waits for the running one"),
        pytest.param(ONE, "spp", moves("1"), id="one at a time goes on after a success"),
        pytest.param(ONE, "fpp", moves(skip="12", outcome="Failed"), id="one at a time ends at the first failure"),
        pytest.param(ONE, "sfp", moves(skip="2", outcome="Failed"), id="one at a time ends at a failure in the middle"),
        pytest.param(ONE, "ssf", moves(outcome="Succeeded"), id="one at a time: the last one may fail"),
        pytest.param(ONE, "f", moves(outcome="Failed"), id="one at a time: the only one may not fail"),
        pytest.param(ONE, "sss", moves(outcome="Succeeded"), id="all succeeded"),
        pytest.param(HALF, "p" * 9, moves("0123"), id="half of nine: four at a time"),
        pytest.param(HALF, "srrrppppp", moves("4"), id="half: a place that is free is taken at once"),
        pytest.param(HALF, "ffffppppp", moves(skip="45678", outcome="Failed"), id="half of nine: four failures leave no room"),
        pytest.param(HALF, "fffssssss", moves(outcome="Succeeded"), id="half of nine: six successes are enough"),
        pytest.param(HALF, "fffrppppp", moves(), id="half: no room, but one still runs"),
        pytest.param(HALF, "sf", moves(outcome="Succeeded"), id="half of two: one success is enough"),
        pytest.param(HALF, "fp", moves(skip="1", outcome="Failed"), id="half of two: the first failure ends it"),
        pytest.param(ALL, "ppp", moves("012"), id="all at once begins with all"),
        pytest.param(ALL, "ffs", moves(outcome="Succeeded"), id="all at once: one success is enough"),
        pytest.param(ALL, "ffr", moves(), id="all at once waits for the last"),
        pytest.param(ALL, "fff", moves(outcome="Failed"), id="all at once: at least one must succeed"),
        pytest.param(MinimumHealthy("HOST_COUNT", 6), "p" * 9, moves("012"), id="six of nine: three at a time (API reference)"),
        pytest.param(MinimumHealthy("HOST_COUNT", 6), "fffssssss", moves(outcome="Succeeded"), id="six of nine: six successes"),
        pytest.param(
            MinimumHealthy("FLEET_PERCENT", 85), "fppppppppp", moves(skip="123456789", outcome="Failed"), id="85 % of ten: one failure"
        ),
    ],
)
def test_next_moves(minimum: MinimumHealthy, statuses: str, expected: Moves) -> None:
    assert next_moves(minimum, len(statuses), targets(statuses)) == expected


def test_a_rollback_of_one_instance_of_two_counts_the_other_as_healthy() -> None:
    assert next_moves(MinimumHealthy("HOST_COUNT", 1), 2, targets("p")) == moves("0")
    assert next_moves(MinimumHealthy("HOST_COUNT", 1), 2, targets("f")) == moves(outcome="Failed")


@given(
    minimum=st.one_of(
        st.just(ONE),
        st.integers(0, 12).map(lambda n: MinimumHealthy("HOST_COUNT", n)),
        st.integers(0, 99).map(lambda n: MinimumHealthy("FLEET_PERCENT", n)),
    ),
    results=st.lists(st.booleans(), min_size=1, max_size=12),
)
def test_a_deployment_always_ends_and_never_leaves_too_few_healthy(minimum: MinimumHealthy, results: list[bool]) -> None:
    fleet = targets("p" * len(results))
    if not can_begin(minimum, len(fleet)):
        return
    floor = required(minimum, len(fleet))
    for _ in range(3 * len(fleet) + 1):
        step = next_moves(minimum, len(fleet), fleet)
        for target in fleet:
            if target.instance in step.start:
                target.status = "InProgress"
            elif target.instance in step.skip:
                target.status = "Skipped"
        out_of_service = sum(t.status in ("InProgress", "Failed") for t in fleet)
        assert len(fleet) - out_of_service >= floor
        if step.outcome is not None:
            break
        running = next(t for t in fleet if t.status == "InProgress")
        running.status = "Succeeded" if results[running.order] else "Failed"
    assert step.outcome is not None
    assert not any(t.status in ("Pending", "InProgress") for t in fleet)
    assert (step.outcome == "Succeeded") <= any(t.status == "Succeeded" for t in fleet)
