"""What policies can grant without a request: patterns against brute force, and the three custom checks as tables."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.iam.access import covers, granting, meet, new_access, public_statements
from windtunnel.iam.evaluate import Policies, decide
from windtunnel.iam.policy import PolicySet, compile_policy
from windtunnel.iam.request import Caller, Request
from windtunnel.iam.wildcards import marked, matcher

PATTERNS = st.text("ab*?", max_size=5)
TEXTS = ["".join(letters) for size in range(7) for letters in product("ab", repeat=size)]


def language(pattern: str) -> set[str]:
    test = matcher(marked(pattern))
    return {text for text in TEXTS if test(text)}


@given(PATTERNS, PATTERNS)
@settings(max_examples=400, deadline=None)
def test_patterns_meet_where_some_text_matches_both(one: str, other: str) -> None:
    assert meet(one, other) == meet(other, one)
    if language(one) & language(other):
        assert meet(one, other)
    elif len(one.replace("*", "")) + len(other.replace("*", "")) <= 6:
        assert not meet(one, other), "a text that both match would be short"


@given(PATTERNS, PATTERNS)
@settings(max_examples=400, deadline=None)
def test_a_pattern_covers_only_what_it_matches_all_of(wide: str, narrow: str) -> None:
    if covers(wide, narrow):
        assert language(narrow) <= language(wide)


def statement(effect: str, action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


NAMES = st.sampled_from(["s3:Get", "s3:Put", "s3:*", "s3:G*", "*", "ec2:Run", "e?2:Run"])
RESOURCES = st.sampled_from(["*", "arn:aws:s3:::a", "arn:aws:s3:::a/*", "arn:aws:s3:::*", "arn:aws:s3:::b/k"])
STATEMENTS = st.builds(
    lambda effect, name, resource, negated: {
        "Effect": effect,
        ("NotAction" if negated else "Action"): name,
        "Resource": resource,
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    NAMES,
    RESOURCES,
    st.booleans(),
)
DOCUMENTS = st.lists(STATEMENTS, min_size=1, max_size=3).map(lambda found: policy(*found))
ASKED = [(a, r) for a in ("s3:Get", "s3:Put", "ec2:Run") for r in ("arn:aws:s3:::a", "arn:aws:s3:::a/k", "arn:aws:s3:::b/k")]


def allows(document: dict[str, Any], action: str, resource: str) -> bool:
    policies = Policies(PolicySet("identity-based policy", [compile_policy(document, "p", "identity-based policy")]))
    return decide(Request(Caller("User", "1" * 12, "arn"), action, resource), policies).allowed


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_what_is_said_not_to_be_granted_is_not(document: dict[str, Any]) -> None:
    for action, resource in ASKED:
        if not granting(document, [action], [resource]):
            assert not allows(document, action, resource)


@given(DOCUMENTS, DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_what_is_said_to_be_no_new_access_is_none(new: dict[str, Any], existing: dict[str, Any]) -> None:
    if not new_access(new, existing):
        for action, resource in ASKED:
            assert allows(existing, action, resource) or not allows(new, action, resource)


@pytest.mark.parametrize(
    "statements, actions, resources, granted",
    [
        pytest.param([statement("Allow", "s3:GetObject")], ["s3:GetObject"], [], True, id="the action itself"),
        pytest.param([statement("Allow", "s3:Get*")], ["S3:getobject"], [], True, id="a wildcard, without regard to case"),
        pytest.param([statement("Allow", "s3:Get*")], ["s3:*Object"], [], True, id="two patterns that meet"),
        pytest.param([statement("Allow", "s3:Get*")], ["s3:Put*"], [], False, id="two patterns that do not"),
        pytest.param([statement("Allow", "s3:*", "arn:aws:s3:::a/*")], [], ["arn:aws:s3:::b/*"], False, id="another bucket"),
        pytest.param([statement("Allow", "s3:*", "arn:aws:s3:::a*")], [], ["arn:aws:s3:::ab/*"], True, id="a bucket that it may be"),
        pytest.param([statement("Allow", "*"), statement("Deny", "s3:*")], ["s3:GetObject"], [], False, id="denied without conditions"),
        pytest.param(
            [statement("Allow", "*"), statement("Deny", "s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})],
            ["s3:GetObject"],
            [],
            True,
            id="a denial with a condition may not hold",
        ),
        pytest.param([statement("Allow", "*", Condition={"Bool": {"a:b": "true"}})], ["s3:GetObject"], [], True, id="a condition may hold"),
        pytest.param([{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], ["s3:GetObject"], [], False, id="NotAction spares it"),
        pytest.param([{"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}], ["s3:*"], [], True, id="NotAction spares a part only"),
    ],
)
def test_access_that_is_granted(statements: list[dict[str, Any]], actions: list[str], resources: list[str], granted: bool) -> None:
    assert bool(granting(policy(*statements), actions, resources)) is granted


READ = statement("Allow", ["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::a", "arn:aws:s3:::a/*"])


@pytest.mark.parametrize(
    "new, existing, fresh",
    [
        pytest.param([READ], [READ], False, id="the same"),
        pytest.param([statement("Allow", "s3:GetObject", "arn:aws:s3:::a/*")], [READ], False, id="less"),
        pytest.param([statement("Allow", "s3:*", "arn:aws:s3:::a/*")], [READ], True, id="more actions"),
        pytest.param([statement("Allow", "s3:GetObject", "*")], [READ], True, id="more resources"),
        pytest.param([statement("Allow", "s3:Get*"), statement("Allow", "s3:Put*")], [statement("Allow", "s3:*")], False, id="split"),
        pytest.param([statement("Allow", "s3:*")], [statement("Allow", "s3:*"), statement("Deny", "s3:Put*")], True, id="a denial gone"),
        pytest.param([{**READ, "Condition": {"Bool": {"a:b": "true"}}}], [READ], False, id="a condition more"),
        pytest.param([READ], [{**READ, "Condition": {"Bool": {"a:b": "true"}}}], True, id="a condition less"),
    ],
)
def test_new_access(new: list[dict[str, Any]], existing: list[dict[str, Any]], fresh: bool) -> None:
    assert bool(new_access(policy(*new), policy(*existing))) is fresh


@pytest.mark.parametrize(
    "principal, condition, public",
    [
        pytest.param("*", {}, True, id="everyone"),
        pytest.param({"AWS": "*"}, {}, True, id="everyone, as AWS"),
        pytest.param({"AWS": "123456789012"}, {}, False, id="an account"),
        pytest.param("*", {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False, id="an organization's"),
        pytest.param("*", {"StringEquals": {"aws:SourceVpce": "vpce-1"}}, False, id="from one endpoint"),
        pytest.param("*", {"StringLike": {"aws:userid": "*"}}, True, id="a condition that everyone fulfils"),
        pytest.param("*", {"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}, True, id="a condition that may be absent"),
        pytest.param("*", {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}, True, id="everyone but one"),
        pytest.param("*", {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True, id="the whole network"),
        pytest.param("*", {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False, id="a range"),
        pytest.param("*", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket*"}}, False, id="some buckets"),
        pytest.param("*", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, True, id="all buckets"),
    ],
)
def test_public_access(principal: Any, condition: dict[str, Any], public: bool) -> None:
    document = policy(statement("Allow", "s3:GetObject", "arn:aws:s3:::a/*", Principal=principal, Condition=condition))
    assert bool(public_statements(document)) is public
    closed = policy(*document["Statement"], statement("Deny", "s3:*", "arn:aws:s3:::a/*", Principal="*"))
    assert public_statements(closed) == []
