"""The index over patterns never leaves out what matches, and compiles no more than it must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import InProcessCloud
from windtunnel.services.events.model import Archive, Rule
from windtunnel.services.events.patterns import compile_pattern
from windtunnel.services.events.rulesets import BusRules, Matching, rules_on

TEXTS = st.sampled_from(["a", "b", "c"])
SCALARS = TEXTS | st.integers(0, 2) | st.booleans() | st.none()
LEAVES = st.lists(SCALARS | st.sampled_from([{"prefix": "a"}, {"exists": False}, {"anything-but": "a"}]), min_size=1, max_size=2)
NAMES = st.sampled_from(["source", "detail", "x"])
PATTERNS = st.recursive(
    st.dictionaries(NAMES, LEAVES, min_size=1, max_size=2),
    lambda inner: (
        st.dictionaries(NAMES, inner | LEAVES, min_size=1, max_size=2) | st.builds(lambda one, two: {"$or": [one, two]}, inner, inner)
    ),
    max_leaves=4,
)
EVENTS = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=2),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
).map(lambda value: value if isinstance(value, dict) else {"source": value})


@given(st.lists(PATTERNS, max_size=6), EVENTS)
@settings(max_examples=300, deadline=None)
def test_the_index_finds_exactly_what_matches(patterns: list[dict[str, Any]], event: dict[str, Any]) -> None:
    texts = [json.dumps(pattern) for pattern in patterns]
    found = Matching((text, number) for number, text in enumerate(texts)).of(event)
    assert found == [number for number, text in enumerate(texts) if compile_pattern(text)(event)]


def test_no_pattern_matches_everything() -> None:
    assert Matching([("", "all")]).of({"source": "x"}) == ["all"]


def test_rules_are_loaded_once_until_one_changes(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        cloud.api("events", "PutRule", name="r", event_pattern='{"source":["a"]}')
        first = cloud.read(lambda ctx: rules_on(ctx, "default"))
        assert cloud.read(lambda ctx: rules_on(ctx, "default")) is first
        cloud.api("events", "PutTargets", rule="r", targets=[{"Id": "t", "Arn": "arn:aws:sqs:us-east-1:123456789012:q"}])
        again = cloud.read(lambda ctx: rules_on(ctx, "default"))
        assert again is not first
        assert [list(rule.targets) for rule in again.rules.of({"source": "a"})] == [["t"]]
        cloud.api("events", "DisableRule", name="r")
        assert cloud.read(lambda ctx: rules_on(ctx, "default")).rules.of({"source": "a"}) == []


SOURCES = [
    ([], False),
    (['{"source": ["aws.s3", "app"]}'], False),
    (['{"source": ["aws.s3"]}', '{"source": ["app", "aws.cloudformation"], "detail": {"a": ["b"]}}'], True),
    (['{"source": [{"prefix": "aws."}]}'], True),
    (['{"source": ["app", {"anything-but": "x"}]}'], True),
    (['{"detail-type": ["x"]}'], True),
    (['{"$or": [{"source": ["app"]}, {"detail-type": ["x"]}]}'], True),
]


@pytest.mark.parametrize(("patterns", "heard"), SOURCES)
def test_who_may_hear_of_a_source(patterns: list[str], heard: bool) -> None:
    rules = [Rule(name=str(number), pattern=pattern) for number, pattern in enumerate(patterns)]
    assert BusRules(rules, []).hears("aws.cloudformation") is heard


def test_an_archive_of_everything_hears_of_every_source() -> None:
    archive = Archive(name="all", id="1", bus="default", created=0.0)
    assert BusRules([], [archive]).hears("aws.cloudformation")
