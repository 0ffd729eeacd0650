"""Schedule expressions and input transformers: pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windtunnel.events.schedule import InvalidSchedule, next_after, parse
from windtunnel.services.events.transform import fill, look_up, path_is_valid, target_input


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "expression, after, expected",
    [
        pytest.param("rate(1 minute)", "2026-01-01T00:00:30", "2026-01-01T00:01:30", id="a minute on"),
        pytest.param("rate(5 hours)", "2026-01-01T00:00:00", "2026-01-01T05:00:00", id="hours"),
        pytest.param("cron(0 12 * * ? *)", "2026-01-01T11:59:59", "2026-01-01T12:00:00", id="noon today"),
        pytest.param("cron(0 12 * * ? *)", "2026-01-01T12:00:00", "2026-01-02T12:00:00", id="noon tomorrow"),
        pytest.param("cron(0/15 * * * ? *)", "2026-01-01T00:14:59", "2026-01-01T00:15:00", id="every quarter"),
        pytest.param("cron(5,35 14 * * ? *)", "2026-01-01T14:05:00", "2026-01-01T14:35:00", id="a list of minutes"),
        pytest.param("cron(0 18 ? * MON-FRI *)", "2026-01-02T18:00:00", "2026-01-05T18:00:00", id="weekdays skip the weekend"),
        pytest.param("cron(0 8 1 * ? *)", "2026-01-01T08:00:00", "2026-02-01T08:00:00", id="the first of the month"),
        pytest.param("cron(0 0 L * ? *)", "2026-02-01T00:00:00", "2026-02-28T00:00:00", id="the last day"),
        pytest.param("cron(0 0 ? * 6L *)", "2026-01-01T00:00:00", "2026-01-30T00:00:00", id="the last Friday"),
        pytest.param("cron(0 0 ? * 2#1 *)", "2026-01-01T00:00:00", "2026-01-05T00:00:00", id="the first Monday"),
        pytest.param("cron(0 0 1W * ? *)", "2026-07-31T00:01:00", "2026-08-03T00:00:00", id="the weekday next to Saturday the first"),
        pytest.param("cron(0 0 29 2 ? *)", "2026-01-01T00:00:00", "2028-02-29T00:00:00", id="a leap day"),
        pytest.param("cron(0 0 1 1 ? 2025)", "2026-01-01T00:00:00", None, id="a year that is over"),
    ],
)
def test_the_next_time(expression: str, after: str, expected: str | None) -> None:
    found = next_after(parse(expression), at(after))
    assert found == (None if expected is None else at(expected))


@pytest.mark.parametrize(
    "expression",
    [
        *("rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(5 weeks)", "every minute", "cron(* * * * *)"),
        *("cron(0 12 * * * *)", "cron(0 12 ? * ? *)", "cron(60 12 * * ? *)", "cron(0 12 ? * MON#6 *)", "cron(0 12 40W * ? *)"),
        *("cron(0 25 * * ? *)", "cron(0/0 * * * ? *)", "cron(x * * * ? *)", "cron(0 12 ? * 9 *)"),
    ],
)
def test_refused_expressions(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse(expression)


EVENT: dict[str, Any] = {
    "time": "t",
    "detail": {"state": "A", "n": 3, "o": {"k": 'say "hi"'}, "execution-id": "e"},
    "resources": ["r0", "r1"],
}


@pytest.mark.parametrize(
    "path, expected",
    [("$", EVENT), ("$.detail.state", "A"), ("$.resources[1]", "r1"), ("$.detail.execution-id", "e"), ("$.detail['execution-id']", "e")],
)
def test_paths(path: str, expected: Any) -> None:
    assert path_is_valid(path)
    assert look_up(EVENT, path) == expected


@pytest.mark.parametrize("path", ["detail", "$detail", "$.", "$..x", "$.a[x]"])
def test_refused_paths(path: str) -> None:
    assert not path_is_valid(path)


@pytest.mark.parametrize(
    "template, expected",
    [
        pytest.param('"state is <s>"', '"state is A"', id="text in a string"),
        pytest.param('{"s": <s>, "n": <n>}', '{"s": "A", "n": 3}', id="values outside of strings are JSON"),
        pytest.param('{"s": "<s>-<n>"}', '{"s": "A-3"}', id="inside a string they are text"),
        pytest.param('{"o": <o>}', '{"o": {"k":"say \\"hi\\""}}', id="objects"),
        pytest.param('{"m": "<m>"}', '{"m": ""}', id="what is missing is empty"),
        pytest.param('"<unknown>"', '"<unknown>"', id="a name that was not declared stays"),
        pytest.param('"by <aws.events.rule-name>"', '"by rule"', id="reserved names"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    paths = {"s": "$.detail.state", "n": "$.detail.n", "o": "$.detail.o", "m": "$.detail.missing"}
    target = {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}
    assert target_input(target, EVENT, "rule", "arn") == expected


def test_a_quote_in_a_value_cannot_end_the_string() -> None:
    assert fill('"<x>"', {"x": '", "y": "'}) == '"\\", \\"y\\": \\""'


def test_constant_input_and_part_of_the_event() -> None:
    assert target_input({"Input": '{"a": 1}'}, EVENT, "r", "a") == '{"a": 1}'
    assert target_input({"InputPath": "$.detail.n"}, EVENT, "r", "a") == "3"
