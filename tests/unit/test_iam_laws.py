"""Laws that hold for all policies: denials win, limits only take away, order is nothing, an operator and its negation are opposites."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.iam.conditions import compile_conditions
from windtunnel.iam.evaluate import Policies, decide
from windtunnel.iam.policy import Decision, PolicySet, PolicyType, compile_policy
from windtunnel.iam.principals import canonical_user, compile_principals
from windtunnel.iam.request import Caller, ContextValue, Request
from windtunnel.services.iam.context_keys import ContextKeys

HOME, OTHER = "111111111111", "222222222222"
ALICE = Caller("User", HOME, f"arn:aws:iam::{HOME}:user/alice", user_id="AIDAALICE", name="alice", tags={"team": "blue"})
SESSION = Caller(
    "AssumedRole", HOME, f"arn:aws:sts::{HOME}:assumed-role/r/s", user_id="AROAROLE:s", name="s", role_arn=f"arn:aws:iam::{HOME}:role/r"
)
ACTIONS = ["s3:GetObject", "s3:PutObject", "iam:PassRole", "ec2:RunInstances"]
RESOURCES = ["*", "arn:aws:s3:::a/k", "arn:aws:s3:::b/alice/k", f"arn:aws:iam::{HOME}:role/x"]

CONDITIONS = st.sampled_from(
    [
        {},
        {"StringEquals": {"aws:PrincipalTag/team": "blue"}},
        {"StringNotEquals": {"aws:PrincipalTag/team": "${aws:ResourceTag/team}"}},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"Null": {"aws:SourceVpc": "true"}},
        {"ForAllValues:StringLike": {"aws:TagKeys": ["a*"]}},
        {"StringLikeIfExists": {"aws:SourceVpce": "vpce-*"}},
    ]
)
STATEMENTS = st.builds(
    lambda effect, actions, negated, resources, elsewhere, condition: {
        "Effect": effect,
        ("NotAction" if negated else "Action"): actions,
        ("NotResource" if elsewhere else "Resource"): resources,
        "Condition": condition,
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.lists(st.sampled_from(["*", "s3:*", "s3:Get*", "*:Pass*", *ACTIONS]), min_size=1, max_size=2),
    st.booleans(),
    st.lists(
        st.sampled_from(["*", "arn:aws:s3:::a/*", "arn:aws:s3:::b/${aws:username}/*", "arn:aws:iam::*:role/*"]), min_size=1, max_size=2
    ),
    st.booleans(),
    CONDITIONS,
)
DOCUMENTS = st.lists(STATEMENTS, max_size=3)
CONTEXTS = st.sampled_from(
    [{}, {"aws:SecureTransport": True}, {"aws:TagKeys": ["ab", "b"]}, {"aws:TagKeys": ["ab"], "aws:ResourceTag/team": "blue"}]
)
QUESTIONS = st.builds(Request, st.sampled_from([ALICE, SESSION]), st.sampled_from(ACTIONS), st.sampled_from(RESOURCES), CONTEXTS)


def compiled(kind: PolicyType, statements: list[dict[str, Any]]) -> PolicySet:
    return PolicySet(kind, [compile_policy({"Version": "2012-10-17", "Statement": statements}, "p", kind)] if statements else [])


def answer(request: Request, identity: list[Any], boundary: list[Any] | None = None, session: list[Any] | None = None) -> Decision:
    return decide(
        request,
        Policies(
            compiled("identity-based policy", identity),
            None if boundary is None else compiled("permissions boundary", boundary),
            None if session is None else compiled("session policy", session),
        ),
    )


def everywhere(principal: Any, statements: list[Any]) -> list[Any]:
    return [{**statement, "Principal": principal} for statement in statements]


@given(QUESTIONS, DOCUMENTS, STATEMENTS)
@settings(max_examples=300)
def test_one_more_statement_changes_an_answer_in_its_own_direction(request: Request, statements: list[Any], more: dict[str, Any]) -> None:
    before, after = answer(request, statements).allowed, answer(request, [*statements, more]).allowed
    assert after >= before if more["Effect"] == "Allow" else after <= before


@given(QUESTIONS, DOCUMENTS, DOCUMENTS, DOCUMENTS)
@settings(max_examples=300)
def test_limits_only_take_away(request: Request, statements: list[Any], boundary: list[Any], session: list[Any]) -> None:
    free = answer(request, statements).allowed
    assert answer(request, statements, boundary).allowed <= free
    assert answer(request, statements, boundary, session).allowed <= answer(request, statements, boundary).allowed
    wide = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    assert answer(request, statements, wide, wide).allowed == free


@given(QUESTIONS, DOCUMENTS, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_order_is_nothing(request: Request, statements: list[Any], random: Any) -> None:
    shuffled = random.sample(statements, len(statements))
    assert answer(request, shuffled).kind == answer(request, statements).kind


@given(QUESTIONS, DOCUMENTS)
@settings(max_examples=300)
def test_an_answer_names_the_statement_that_gives_it(request: Request, statements: list[Any]) -> None:
    decision = answer(request, statements)
    if decision.kind == "implicitDeny":
        assert decision.index == -1
        assert "because no identity-based policy allows" in decision.message
        return
    alone = statements[decision.index]
    assert alone["Effect"] == ("Allow" if decision.allowed else "Deny")
    assert answer(request, [alone]).kind == decision.kind


@given(QUESTIONS, DOCUMENTS, DOCUMENTS)
@settings(max_examples=300)
def test_across_accounts_both_sides_must_allow(request: Request, identity: list[Any], resource: list[Any]) -> None:
    own = compiled("identity-based policy", identity)
    named = compiled("resource-based policy", everywhere("*", resource))
    here = decide(request, Policies(own, resource=named, resource_account=HOME)).allowed
    there = decide(request, Policies(own, resource=named, resource_account=OTHER)).allowed
    alone = answer(request, identity).allowed
    assert there <= here
    assert there <= alone
    assert not decide(request, Policies(own, resource_account=OTHER)).allowed


@given(QUESTIONS, st.sampled_from(["s3:*", "s3:Get*", "*:Pass*", "iam:PassRole"]))
def test_an_action_is_named_or_not_named(request: Request, pattern: str) -> None:
    named = [{"Effect": "Allow", "Action": pattern, "Resource": "*"}]
    rest = [{"Effect": "Allow", "NotAction": pattern, "Resource": "*"}]
    assert answer(request, named).allowed is not answer(request, rest).allowed


OPPOSITES = [
    ("StringEquals", "StringNotEquals"),
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    ("StringLike", "StringNotLike"),
    ("NumericEquals", "NumericNotEquals"),
    ("DateEquals", "DateNotEquals"),
    ("IpAddress", "NotIpAddress"),
    ("ArnLike", "ArnNotLike"),
    ("ArnEquals", "ArnNotEquals"),
]
VALUES = st.sampled_from(
    ["a", "A", "b*", "bc", "1", "1.0", "2020-01-01T00:00:00Z", "10.0.0.1", "10.0.0.0/8", "arn:aws:s3:::x", "arn:aws:s3:::*"]
)


def holds(operator: str, wanted: list[str], given: list[str] | None) -> bool:
    context: dict[str, ContextValue] = {} if given is None else {"x:key": given}
    request = Request(ALICE, "s3:GetObject", "*", context)
    return all(test(request) for test in compile_conditions({operator: {"x:key": wanted}}, variables=True))


@pytest.mark.parametrize("positive, negative", OPPOSITES)
@given(wanted=st.lists(VALUES, min_size=1, max_size=3), given=st.lists(VALUES, min_size=1, max_size=3))
@settings(max_examples=60)
def test_an_operator_and_its_negation(positive: str, negative: str, wanted: list[str], given: list[str]) -> None:
    assert holds(positive, wanted, given[:1]) is not holds(negative, wanted, given[:1])
    assert holds(f"ForAnyValue:{positive}", wanted, given) is not holds(f"ForAllValues:{negative}", wanted, given)
    assert holds(f"ForAllValues:{positive}", wanted, given) is not holds(f"ForAnyValue:{negative}", wanted, given)
    assert holds(f"{positive}IfExists", wanted, given) is holds(positive, wanted, given)


@pytest.mark.parametrize("positive, negative", OPPOSITES)
def test_a_key_that_is_missing(positive: str, negative: str) -> None:
    for absent in (None, []):
        assert holds(positive, ["a"], absent) is False
        assert holds(negative, ["a"], absent) is True
        assert holds(f"{positive}IfExists", ["a"], absent) is True
        assert holds(f"ForAllValues:{positive}", ["a"], absent) is True
        assert holds(f"ForAllValues:{negative}", ["a"], absent) is True
        assert holds(f"ForAnyValue:{positive}", ["a"], absent) is False
        assert holds(f"ForAnyValue:{negative}", ["a"], absent) is False
        assert holds("Null", ["true"], absent) is True
        assert holds("Null", ["false"], absent) is False
    assert holds("Null", ["false"], ["a"]) is True


# --- principals of kinds of their own ------------------------------------------------------------------------------------------


def test_a_canonical_user_is_its_account() -> None:
    element = compile_principals({"CanonicalUser": canonical_user(HOME)})
    other = compile_principals({"CanonicalUser": canonical_user(OTHER)})
    request = Request(ALICE, "s3:GetObject", "*")
    assert element.named(request) == compile_principals({"AWS": HOME}).named(request) != other.named(request)


def test_who_comes_with_a_providers_word_is_named_by_it_alone() -> None:
    idp = f"arn:aws:iam::{HOME}:oidc-provider/idp.example.com"
    request = Request(Caller("Federated", arn=idp), "sts:AssumeRoleWithWebIdentity", "*")
    assert compile_principals({"Federated": idp}).named(request)
    assert not compile_principals({"Federated": idp + "x"}).named(request)
    assert not compile_principals({"AWS": "*"}).named(request)
    assert not compile_principals({"AWS": idp}).named(request), "the provider is no AWS principal"
    assert not compile_principals({"Federated": idp}).named(Request(ALICE, "sts:AssumeRole", "*"))


class _Calls:
    """As much of a Context as condition keys look at."""

    def __init__(self, via: tuple[str, ...]) -> None:
        from windtunnel.kernel.principal import Principal

        self.via = via
        self.principal = Principal("user", HOME, ALICE.arn, ALICE.arn, "AIDAALICE", "alice", access_key="AKIAX")
        self.now = 0.0


@pytest.mark.parametrize(
    "via, condition, expected",
    [
        pytest.param((), {"Bool": {"aws:ViaAWSService": "true"}}, False, id="a direct call is via nobody"),
        pytest.param(("s3",), {"Bool": {"aws:ViaAWSService": "true"}}, True, id="a call that a service carries on"),
        pytest.param(
            ("cloudformation", "s3"), {"StringEquals": {"aws:CalledViaFirst": "cloudformation.amazonaws.com"}}, True, id="the first"
        ),
        pytest.param(("cloudformation", "s3"), {"StringEquals": {"aws:CalledViaLast": "s3.amazonaws.com"}}, True, id="the last"),
        pytest.param(("cloudformation", "s3"), {"ForAnyValue:StringEquals": {"aws:CalledVia": "s3.amazonaws.com"}}, True, id="one of them"),
        pytest.param((), {"Null": {"aws:CalledVia": "true"}}, True, id="the key is absent in a direct call"),
        pytest.param((), {"Null": {"aws:SourceVpc": "true", "aws:PrincipalOrgID": "true"}}, True, id="no VPC, no organization"),
        pytest.param((), {"Null": {"aws:MultiFactorAuthPresent": "true"}}, True, id="a long-lived key says nothing of MFA"),
        pytest.param((), {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, True, id="which a deny without MFA counts on"),
    ],
)
def test_keys_of_a_call(via: tuple[str, ...], condition: dict[str, Any], expected: bool) -> None:
    request = Request(ALICE, "kms:Decrypt", "*", ContextKeys(_Calls(via), {}))  # type: ignore[arg-type]
    assert all(test(request) for test in compile_conditions(condition, variables=True)) is expected
