"""Globs: against a naive reference, and against patterns made to hang a matcher."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.iam.arns import arn_matcher
from windtunnel.iam.wildcards import ANY_CHAR, ANY_RUN, marked, matcher


def naive(pattern: str, text: str) -> bool:
    """Table of prefixes: reached[j] says that the pattern so far matches the first j characters."""
    reached = [True] + [False] * len(text)
    for char in pattern:
        if char == ANY_RUN:
            for j in range(1, len(text) + 1):
                reached[j] = reached[j] or reached[j - 1]
        else:
            reached = [False] + [reached[j] and char in (ANY_CHAR, text[j]) for j in range(len(text))]
    return reached[-1]


@settings(deadline=None)
@given(st.text("ab*?", max_size=12), st.text("ab*?", max_size=16))
def test_the_matcher_agrees_with_a_naive_one(pattern: str, text: str) -> None:
    assert matcher(marked(pattern))(text) is naive(marked(pattern), text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "ab", ANY_CHAR, ANY_RUN, "?a", "a?b"]), max_size=10), st.text("ab?", max_size=40))
def test_longer_pieces_agree_too(pieces: list[str], text: str) -> None:
    pattern = "".join(pieces)
    assert matcher(pattern)(text) is naive(pattern, text)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("*a" * 3000 + "b", id="thousands of stars"),
        pytest.param("*" + "?a" * 3000 + "*b", id="one long piece of question marks"),
        pytest.param("*?a?b" * 1500 + "*", id="many pieces of question marks"),
        pytest.param("*" * 6000 + "c", id="nothing but stars"),
        pytest.param("?" * 6000, id="nothing but question marks"),
    ],
)
def test_no_pattern_hangs_the_matcher(pattern: str) -> None:
    """One that tries every way takes longer than anyone waits; ours takes a second of a slow machine, whoever else works on it."""
    began = time.thread_time()
    assert matcher(marked(pattern))("a" * 5000) is False
    assert time.thread_time() - began < 20


@pytest.mark.parametrize(
    "pattern, arn, matches",
    [
        pytest.param("*", "anything at all", True, id="a star is every resource, ARN or not"),
        pytest.param("arn:aws:s3:::b/*", "arn:aws:s3:::b/a/b", True, id="a star crosses slashes"),
        pytest.param("arn:aws:s3:::b/*", "arn:aws:s3:::b", False, id="the bucket is not one of its objects"),
        pytest.param(
            "arn:aws:logs:us-east-1:1:log-group:g:*", "arn:aws:logs:us-east-1:1:log-group:g:s:x", True, id="later colons are text"
        ),
        pytest.param("arn:aws:s3:*:b", "arn:aws:s3:::b", False, id="a star does not swallow a colon of the fields"),
        pytest.param("arn:aws:sns:*:1:t", "arn:aws:sns:eu-west-1:1:t", True, id="a star for the region"),
        pytest.param("arn:aws:sns:*:1:t", "arn:aws:sns:eu-west-1:x:1:t", False, id="a star for the region is one field"),
        pytest.param("arn:aws:sqs", "arn:aws:sqs:us-east-1:1:q", True, id="missing fields are completed"),
        pytest.param("arn:*:iam::?:role/x", "arn:aws:iam::1:role/x", True, id="wildcards in partition and account"),
        pytest.param("arn:aws:s3:::b", "arn:aws:s3:::B", False, id="ARNs are case-sensitive"),
        pytest.param("arn:aws:s3:::*", "*", False, id="an ARN pattern is not every resource"),
    ],
)
def test_arn_patterns(pattern: str, arn: str, matches: bool) -> None:
    assert arn_matcher(marked(pattern))(arn) is matches
