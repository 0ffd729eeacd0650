"""When a schedule is due: rates, crons by the clocks of a zone, dates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windtunnel.events.schedule import InvalidSchedule
from windtunnel.services.scheduler.model import Schedule, next_due, timing, zone_of

NEVER = -1e12


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def schedule(expression: str, written: str = "2026-01-01T00:00:10", **more: Any) -> Schedule:
    return Schedule(group="g", name="n", expression=expression, target={}, created=at(written), modified=at(written), **more)


def dues(given: Schedule, count: int, since: float | None = None) -> list[str]:
    found = []
    while len(found) < count:
        since = next_due(given, since, NEVER)
        if since is None:
            break
        found.append(datetime.fromtimestamp(since, UTC).strftime("%m-%dT%H:%M:%S"))
    return found


@pytest.mark.parametrize(
    "given, expected",
    [
        pytest.param(schedule("rate(5 minutes)"), ["01-01T00:00:10", "01-01T00:05:10"], id="a rate begins at once"),
        pytest.param(schedule("rate(1 minutes)"), ["01-01T00:00:10", "01-01T00:01:10"], id="one minute may be minutes"),
        pytest.param(
            schedule("rate(1 hour)", start=at("2026-01-02T03:00:00")), ["01-02T03:00:00", "01-02T04:00:00"], id="or at its start date"
        ),
        pytest.param(
            schedule("rate(1 hour)", end=at("2026-01-01T01:30:00")), ["01-01T00:00:10", "01-01T01:00:10"], id="until its end date"
        ),
        pytest.param(schedule("cron(0 9 * * ? *)"), ["01-01T09:00:00", "01-02T09:00:00"], id="a cron"),
        pytest.param(
            schedule("cron(0 9 * * ? *)", start=at("2026-02-01T09:00:00")), ["02-01T09:00:00", "02-02T09:00:00"], id="on its start date"
        ),
        pytest.param(schedule("cron(0 9 * * ? *)", zone="Europe/Berlin"), ["01-01T08:00:00", "01-02T08:00:00"], id="by a zone's clocks"),
        pytest.param(
            schedule("cron(30 2 * * ? *)", "2026-03-28T00:00:00", zone="Europe/Berlin"),
            ["03-28T01:30:00", "03-30T00:30:00"],
            id="a time that the clocks leave out in spring is skipped",
        ),
        pytest.param(
            schedule("cron(30 2 * * ? *)", "2026-10-24T12:00:00", zone="Europe/Berlin"),
            ["10-25T00:30:00", "10-26T01:30:00"],
            id="a time that they show twice in autumn is due once",
        ),
        pytest.param(
            schedule("cron(0,30 2 25 10 ? 2026)", "2026-10-24T12:00:00", zone="Europe/Berlin"),
            ["10-25T00:00:00", "10-25T00:30:00"],
            id="also when they are several",
        ),
        pytest.param(schedule("at(2026-07-01T12:00:00)", zone="America/New_York"), ["07-01T16:00:00"], id="one date, in its zone"),
        pytest.param(schedule("at(2020-07-01T12:00:00)"), ["07-01T12:00:00"], id="a date that is over"),
    ],
)
def test_due_times(given: Schedule, expected: list[str]) -> None:
    assert dues(given, 2) == expected


def test_the_end_of_summer_time_doubles_nothing() -> None:
    """Every half hour of the longest night of the year: each time on the clock once, in order."""
    found = dues(schedule("cron(0/30 1-3 * * ? *)", "2026-10-24T12:00:00", zone="Europe/Berlin"), 6)
    assert found == ["10-24T23:00:00", "10-24T23:30:00", "10-25T00:00:00", "10-25T00:30:00", "10-25T02:00:00", "10-25T02:30:00"]


def test_what_was_missed_is_left_out() -> None:
    late = at("2026-01-08T12:00:30")
    first = at("2026-01-01T00:00:10")
    assert next_due(schedule("rate(1 minute)"), first, late) == at("2026-01-08T12:01:10")
    assert next_due(schedule("cron(0 9 * * ? *)"), first, late) == at("2026-01-09T09:00:00")
    assert next_due(schedule("rate(30 days)"), first, late) == first + 30 * 86400


@pytest.mark.parametrize(
    "expression", ["at(2026-02-30T00:00:00)", "at(tomorrow)", "rate(0 minutes)", "rate(1 week)", "cron(* * * * *)", "daily"]
)
def test_refused_expressions(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        timing(expression)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "/etc/localtime"])
def test_refused_zones(zone: str) -> None:
    with pytest.raises(InvalidSchedule):
        zone_of(zone)
