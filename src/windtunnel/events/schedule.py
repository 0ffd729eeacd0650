"""Schedule expressions: `rate(5 minutes)` and `cron(0 12 * * ? *)`, as EventBridge and its Scheduler read them. Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

RATE = re.compile(r"rate\((\d+) (minutes?|hours?|days?)\)\Z")
CRON = re.compile(r"cron\((.+)\)\Z")
UNITS = {"minute": 60, "hour": 3600, "day": 86400}
MONTHS = {name: n for n, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}  # noqa: SIM905
DAYS = {name: n for n, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), 1)}  # noqa: SIM905
DayTest = Callable[[date], bool]


class InvalidSchedule(ValueError):
    """Not an expression that EventBridge takes."""


class Cron(NamedTuple):
    """A compiled cron expression: minutes and hours as sorted tuples, days as a test."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    fits: DayTest
    last_year: int


def parse(expression: str, *, exact: bool = True) -> float | Cron:
    """The period in seconds of a rate, or a compiled cron. Raises InvalidSchedule. exact: one minute must not be called minutes."""
    rate = RATE.match(expression)
    if rate is not None:
        value, unit = int(rate[1]), rate[2]
        if value < 1 or (exact and (value == 1) == unit.endswith("s")):
            raise InvalidSchedule(expression)
        return float(value * UNITS[unit.rstrip("s")])
    cron = CRON.match(expression)
    fields = cron[1].split() if cron else []
    if len(fields) != 6:
        raise InvalidSchedule(expression)
    return _cron(fields)


def _cron(fields: list[str]) -> Cron:
    minutes, hours, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise InvalidSchedule("one of day-of-month and day-of-week must be ?")
    months, years = _values(month, 1, 12, MONTHS), _values(year, 1970, 2199)
    by_day = _days_of_month(day) if weekday == "?" else _days_of_week(weekday)
    return Cron(
        tuple(sorted(_values(minutes, 0, 59))),
        tuple(sorted(_values(hours, 0, 23))),
        lambda d: d.month in months and d.year in years and by_day(d),
        max(years),
    )


def _values(field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """What a field of values, ranges, steps and lists allows."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (_value(end, names) for end in span.split("-", 1))
        else:
            first = _value(span, names)
            last = high if slash else first
        every = _value(step, None) if slash else 1
        if not low <= first <= last <= high or every < 1:
            raise InvalidSchedule(field)
        found.update(range(first, last + 1, every))
    return frozenset(found)


def _value(text: str, names: dict[str, int] | None) -> int:
    if names and text.upper() in names:
        return names[text.upper()]
    if not text.isdecimal():
        raise InvalidSchedule(text)
    return int(text)


def _days_of_month(field: str) -> DayTest:
    if field == "L":
        return lambda d: d.day == _last(d)
    if field == "LW":
        return lambda d: d == _nearest_weekday(d, _last(d))
    if field.endswith("W") and field[:-1].isdecimal() and 1 <= int(field[:-1]) <= 31:
        wanted = int(field[:-1])
        return lambda d: wanted <= _last(d) and d == _nearest_weekday(d, wanted)
    days = _values(field, 1, 31)
    return lambda d: d.day in days


def _days_of_week(field: str) -> DayTest:
    if field.endswith("L"):
        last = _value(field[:-1], DAYS) if field != "L" else 7
        return lambda d: _weekday(d) == last and d.day + 7 > _last(d)
    if "#" in field:
        name, _, number = field.partition("#")
        wanted, week = _value(name, DAYS), _value(number, None)
        if not 1 <= wanted <= 7 or not 1 <= week <= 5:
            raise InvalidSchedule(field)
        return lambda d: _weekday(d) == wanted and (d.day - 1) // 7 + 1 == week
    days = _values(field, 1, 7, DAYS)
    return lambda d: _weekday(d) in days


def _weekday(d: date) -> int:
    """1 is Sunday."""
    return d.isoweekday() % 7 + 1


def _last(d: date) -> int:
    return calendar.monthrange(d.year, d.month)[1]


def _nearest_weekday(d: date, day: int) -> date:
    """The weekday nearest to a day of d's month, without leaving the month."""
    wanted = d.replace(day=day)
    if wanted.isoweekday() == 6:
        return wanted + timedelta(days=2) if day == 1 else wanted - timedelta(days=1)
    if wanted.isoweekday() == 7:
        return wanted - timedelta(days=2) if day == _last(d) else wanted + timedelta(days=1)
    return wanted


def next_after(schedule: float | Cron, after: float) -> float | None:
    """When it is due next, in epoch seconds after `after`; None when never again."""
    if isinstance(schedule, float):
        return after + schedule
    found = next_on_the_clock(schedule, datetime.fromtimestamp(after, UTC).replace(tzinfo=None))
    return None if found is None else found.replace(tzinfo=UTC).timestamp()


def next_in_zone(schedule: Cron, after: float, zone: tzinfo) -> float | None:
    """As next_after, by the clocks of a time zone: a time that they leave out is skipped, one that they show twice is due the first time."""
    clock = datetime.fromtimestamp(after, zone).replace(tzinfo=None)
    while (found := next_on_the_clock(schedule, clock)) is not None:
        at = found.replace(tzinfo=zone).timestamp()
        if at > after and datetime.fromtimestamp(at, zone).replace(tzinfo=None) == found:
            return at
        clock = found
    return None


def next_on_the_clock(schedule: Cron, after: datetime) -> datetime | None:
    """The next full minute (without a zone) that the expression names."""
    moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    day = moment.date()
    while day.year <= schedule.last_year:
        if schedule.fits(day):
            first = moment.time() if day == moment.date() else None
            for hour in schedule.hours:
                for minute in schedule.minutes:
                    if first is None or (hour, minute) >= (first.hour, first.minute):
                        return datetime(day.year, day.month, day.day, hour, minute)
        if day > moment.date() + timedelta(days=366 * 29):
            return None
        day += timedelta(days=1)
    return None


def utc_text(at: float) -> str:
    """A moment as events tell it: `2026-01-31T09:05:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
