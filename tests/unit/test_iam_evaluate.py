"""The decision: one row for each rule of IAM's evaluation logic, with AWS's words where they are promised."""

from __future__ import annotations

import json
from typing import Any

import pytest

from windtunnel.iam.evaluate import Policies, decide
from windtunnel.iam.grammar import validate
from windtunnel.iam.policy import PolicySet, PolicyType, compile_policy
from windtunnel.iam.request import Caller, ContextValue, Request

HOME, OTHER = "111111111111", "222222222222"
ALICE = Caller("User", HOME, f"arn:aws:iam::{HOME}:user/alice", user_id="AIDAALICE", name="alice", tags={"team": "blue"})
ROLE = f"arn:aws:iam::{HOME}:role/path/Build"
SESSION_ARN = f"arn:aws:sts::{HOME}:assumed-role/Build/run-1"
SESSION = Caller("AssumedRole", HOME, SESSION_ARN, user_id="AROABUILD:run-1", role_arn=ROLE)
ROOT = Caller("Account", HOME, f"arn:aws:iam::{HOME}:root", user_id=HOME)
CODEBUILD = Caller("Service", service="codebuild.amazonaws.com")
NOBODY = Caller("Anonymous")
OBJECT = "arn:aws:s3:::bucket/alice/key"

Document = dict[str, Any]


def allow(action: str | list[str] = "s3:GetObject", resource: str | list[str] = "*", **more: Any) -> Document:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str] = "s3:GetObject", resource: str | list[str] = "*", **more: Any) -> Document:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def only(statement: Document, *dropped: str, **more: Any) -> Document:
    return {name: value for name, value in {**statement, **more}.items() if name not in dropped}


def policies(policy_type: PolicyType, statements: list[Document] | None) -> PolicySet | None:
    if statements is None:
        return None
    kind = {"resource-based policy": "resource", "role trust policy": "trust"}.get(policy_type, "identity")
    compiled = []
    for i, statement in enumerate(statements):
        text = json.dumps({"Version": "2012-10-17", "Statement": statement})
        compiled.append(compile_policy(validate(text, kind), f"{policy_type} {i}", policy_type))  # type: ignore[arg-type]
    return PolicySet(policy_type, compiled)


def case(
    sentence: str,
    outcome: str,
    *identity: Document,
    caller: Caller = ALICE,
    action: str = "s3:GetObject",
    resource: str = OBJECT,
    context: dict[str, ContextValue] | None = None,
    boundary: list[Document] | None = None,
    session: list[Document] | None = None,
    attached: list[Document] | None = None,
    owner: str | None = None,
    required: bool = False,
    trust: bool = False,
) -> Any:
    """outcome: "allowed", or the end of AWS's message (`no identity-based policy`, `explicit deny in a session policy`)."""
    request = Request(caller, action, resource, context or {})
    identities = policies("identity-based policy", list(identity))
    assert identities is not None
    attached_type: PolicyType = "role trust policy" if trust else "resource-based policy"
    all_policies = Policies(
        identity=identities,
        boundary=policies("permissions boundary", boundary),
        session=policies("session policy", session),
        resource=policies(attached_type, attached),
        resource_account=owner,
        resource_policy_required=required or trust,
    )
    return pytest.param(request, all_policies, outcome, id=sentence)


NO_IDENTITY, NO_BOUNDARY, NO_SESSION = "no identity-based policy", "no permissions boundary", "no session policy"
NO_RESOURCE, NO_TRUST = "no resource-based policy", "no role trust policy"
DENY = "explicit deny in a"
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole"}
ASSUME = {"action": "sts:AssumeRole", "resource": ROLE, "trust": True}


def to(principal: Any, statement: Document | None = None) -> Document:
    return {**(statement or allow()), "Principal": principal}


CASES = [
    # actions
    case("nothing is allowed without a policy", NO_IDENTITY),
    case("an identity policy allows its action", "allowed", allow()),
    case("another action is not allowed", NO_IDENTITY, allow("s3:PutObject")),
    case("a list of actions", "allowed", allow(["s3:PutObject", "s3:GetObject"])),
    case("actions do not mind case", "allowed", allow("S3:getobject")),
    case("a star in an action", "allowed", allow("s3:Get*")),
    case("a star in the middle of an action", "allowed", allow("s3:*Object")),
    case("a question mark in an action", "allowed", allow("s3:Get?bject")),
    case("every action of a service", "allowed", allow("s3:*")),
    case("every action of another service", NO_IDENTITY, allow("sqs:*")),
    case("every action of every service", "allowed", allow("*")),
    case("every action in two words", "allowed", allow("*:*")),
    case("NotAction allows what it does not name", "allowed", only(allow(), "Action", NotAction="iam:*")),
    case("NotAction does not allow what it names", NO_IDENTITY, only(allow(), "Action", NotAction=["iam:*", "s3:Get*"])),
    case("a deny with NotAction spares what it names", "allowed", allow(), only(deny(), "Action", NotAction="s3:*")),
    case("a deny with NotAction hits the rest", f"{DENY}n identity-based policy", allow(), only(deny(), "Action", NotAction="iam:*")),
    # resources
    case("the resource itself", "allowed", allow(resource=OBJECT)),
    case("another resource", NO_IDENTITY, allow(resource="arn:aws:s3:::bucket/bob/*")),
    case("a star in the resource", "allowed", allow(resource="arn:aws:s3:::bucket/*")),
    case("a list of resources", "allowed", allow(resource=["arn:aws:s3:::x", "arn:aws:s3:::bucket/*"])),
    case("a variable in the resource", "allowed", allow(resource="arn:aws:s3:::bucket/${aws:username}/*")),
    case("a variable of somebody else", NO_IDENTITY, allow(resource="arn:aws:s3:::bucket/${aws:username}/*"), resource="arn:aws:s3:::bucket/bob/k"),
    case("a variable that sessions lack", NO_IDENTITY, allow(resource="arn:aws:s3:::bucket/${aws:username}/*"), caller=SESSION),
    case("a variable with a default", "allowed", allow(resource="arn:aws:s3:::bucket/${aws:username, 'alice'}/*"), caller=SESSION),
    case("a variable beside a star", "allowed", allow(resource="arn:aws:s3:::*/${aws:PrincipalTag/x, 'alice'}/*")),
    case("an escaped star is a character", NO_IDENTITY, allow(resource="arn:aws:s3:::bucket/${*}")),
    case("NotResource allows the others", "allowed", only(allow(), "Resource", NotResource="arn:aws:s3:::secret/*")),
    case("NotResource does not allow what it names", NO_IDENTITY, only(allow(), "Resource", NotResource="arn:aws:s3:::bucket/*")),
    case("a deny with NotResource spares what it names", "allowed", allow(), only(deny(), "Resource", NotResource="arn:aws:s3:::bucket/*")),
    case("a deny with NotResource hits the rest", f"{DENY}n identity-based policy", allow(), only(deny(), "Resource", NotResource="arn:aws:s3:::x/*")),
    case("an unresolved variable in NotResource names nothing", "allowed", only(allow(), "Resource", NotResource="arn:aws:s3:::${aws:SourceVpc}")),
    case("an action without a resource needs a star", NO_IDENTITY, allow("s3:ListAllMyBuckets", "arn:aws:s3:::*"), action="s3:ListAllMyBuckets", resource="*"),
    case("and gets it with one", "allowed", allow("s3:ListAllMyBuckets"), action="s3:ListAllMyBuckets", resource="*"),
    # statements and conditions together
    case("several policies: one allow is enough", "allowed", allow("sqs:*"), allow("s3:*")),
    case("a condition that holds", "allowed", allow(Condition={"StringEquals": {"s3:prefix": "a"}}), context={"s3:prefix": "a"}),
    case("a condition that does not", NO_IDENTITY, allow(Condition={"StringEquals": {"s3:prefix": "a"}}), context={"s3:prefix": "b"}),
    case("a deny whose condition does not hold", "allowed", allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}}), context={"aws:SecureTransport": True}),
    case("a deny without MFA, as everyone writes it", f"{DENY}n identity-based policy", allow(), deny(Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})),
    case("ABAC: a tag that is the caller's", "allowed", allow(Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}), context={"aws:ResourceTag/team": "blue"}),
    case("ABAC: a tag that is not", NO_IDENTITY, allow(Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}), context={"aws:ResourceTag/team": "red"}),
    case("only one branch may be pushed to", f"{DENY}n identity-based policy", allow("codecommit:*"), deny("codecommit:GitPush", Condition={"StringEqualsIfExists": {"codecommit:References": ["refs/heads/main"]}, "Null": {"codecommit:References": "false"}}), action="codecommit:GitPush", resource=f"arn:aws:codecommit:us-east-1:{HOME}:r", context={"codecommit:References": ["refs/heads/main"]}),
    case("another branch is free", "allowed", allow("codecommit:*"), deny("codecommit:GitPush", Condition={"StringEqualsIfExists": {"codecommit:References": ["refs/heads/main"]}, "Null": {"codecommit:References": "false"}}), action="codecommit:GitPush", resource=f"arn:aws:codecommit:us-east-1:{HOME}:r", context={"codecommit:References": ["refs/heads/dev"]}),
    case("a role may be passed to one service", "allowed", allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "codebuild.amazonaws.com"}}), action="iam:PassRole", resource=ROLE, context={"iam:PassedToService": "codebuild.amazonaws.com"}),
    case("and not to another", NO_IDENTITY, allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "codebuild.amazonaws.com"}}), action="iam:PassRole", resource=ROLE, context={"iam:PassedToService": "ec2.amazonaws.com"}),
    case("roles must be made with a boundary", NO_IDENTITY, allow("iam:CreateRole", Condition={"StringEquals": {"iam:PermissionsBoundary": "arn:aws:iam::111111111111:policy/B"}}), action="iam:CreateRole", resource=ROLE),
    # explicit denies
    case("an identity deny wins", f"{DENY}n identity-based policy", allow(), deny()),
    case("a deny in one policy beats all allows", f"{DENY}n identity-based policy", allow("*"), allow(), deny("s3:*")),
    case("a deny of another action does not matter", "allowed", allow(), deny("s3:PutObject")),
    case("a resource policy's deny wins", f"{DENY} resource-based policy", allow(), attached=[to("*", deny())]),
    case("a resource policy's deny of somebody else", "allowed", allow(), attached=[to({"AWS": f"arn:aws:iam::{HOME}:user/bob"}, deny())]),
    case("a resource policy's deny of the account", f"{DENY} resource-based policy", allow(), attached=[to({"AWS": HOME}, deny())]),
    case("a boundary's deny wins", f"{DENY} permissions boundary", allow(), boundary=[allow("*"), deny()]),
    case("a session policy's deny wins", f"{DENY} session policy", allow(), caller=SESSION, session=[allow("*"), deny()]),
    case("a deny beats a direct grant", f"{DENY}n identity-based policy", deny(), attached=[to({"AWS": ALICE.arn})]),
    case("a trust policy's deny wins", f"{DENY} role trust policy", allow("sts:*"), attached=[to({"AWS": "*"}, TRUST), to({"AWS": ALICE.arn}, {**TRUST, "Effect": "Deny"})], **ASSUME),
    # permissions boundaries
    case("a boundary alone allows nothing", NO_IDENTITY, boundary=[allow("*")]),
    case("a boundary that allows too", "allowed", allow(), boundary=[allow("s3:*")]),
    case("a boundary that does not", NO_BOUNDARY, allow(), boundary=[allow("sqs:*")]),
    case("an empty boundary allows nothing", NO_BOUNDARY, allow("*"), boundary=[]),
    case("a boundary's resource counts", NO_BOUNDARY, allow(), boundary=[allow(resource="arn:aws:s3:::other/*")]),
    case("a boundary's condition counts", NO_BOUNDARY, allow(), boundary=[allow(Condition={"Bool": {"aws:SecureTransport": "true"}})], context={"aws:SecureTransport": False}),
    # session policies
    case("a session policy alone allows nothing", NO_IDENTITY, caller=SESSION, session=[allow("*")]),
    case("a session policy that allows too", "allowed", allow(), caller=SESSION, session=[allow("s3:*")]),
    case("a session policy that does not", NO_SESSION, allow("*"), caller=SESSION, session=[allow("sqs:*")]),
    case("one of two session policies is enough", "allowed", allow("*"), caller=SESSION, session=[allow("sqs:*"), allow("s3:*")]),
    case("boundary and session policy both count", NO_BOUNDARY, allow("*"), caller=SESSION, boundary=[allow("sqs:*")], session=[allow("s3:*")]),
    # resource policies within the account
    case("a resource policy that names the user is enough", "allowed", attached=[to({"AWS": ALICE.arn})]),
    case("one that names everyone is enough", "allowed", attached=[to("*")]),
    case("everyone, the long way", "allowed", attached=[to({"AWS": "*"})]),
    case("one that names somebody else", NO_IDENTITY, attached=[to({"AWS": f"arn:aws:iam::{HOME}:user/bob"})]),
    case("one that names the user by unique id", "allowed", attached=[to({"AWS": "AIDAALICE1234567890"})], caller=Caller("User", HOME, ALICE.arn, user_id="AIDAALICE1234567890", name="alice")),
    case("naming the account leaves it to identity policies", NO_IDENTITY, attached=[to({"AWS": HOME})]),
    case("naming the account's root, too", NO_IDENTITY, attached=[to({"AWS": f"arn:aws:iam::{HOME}:root"})]),
    case("which may then allow", "allowed", allow(), attached=[to({"AWS": HOME})]),
    case("identity policies count without the resource policy", "allowed", allow(), attached=[to({"AWS": OTHER})]),
    case("a resource policy's condition counts", NO_IDENTITY, attached=[to("*", allow(Condition={"StringEquals": {"aws:username": "bob"}}))]),
    case("a resource policy's action counts", NO_IDENTITY, attached=[to("*", allow("s3:PutObject"))]),
    case("a resource policy's resource counts", NO_IDENTITY, attached=[to("*", allow(resource="arn:aws:s3:::other/*"))]),
    case("a user's grant is not limited by the boundary", "allowed", boundary=[allow("sqs:*")], attached=[to({"AWS": ALICE.arn})]),
    case("a session's grant is not limited by anything", "allowed", caller=SESSION, boundary=[allow("sqs:*")], session=[allow("sqs:*")], attached=[to({"AWS": SESSION_ARN})]),
    case("a role's grant needs no identity policy", "allowed", caller=SESSION, attached=[to({"AWS": ROLE})]),
    case("a role's grant is limited by the boundary", NO_BOUNDARY, caller=SESSION, boundary=[allow("sqs:*")], attached=[to({"AWS": ROLE})]),
    case("a role's grant is limited by session policies", NO_SESSION, caller=SESSION, session=[allow("sqs:*")], attached=[to({"AWS": ROLE})]),
    case("a role's grant within both", "allowed", caller=SESSION, boundary=[allow("s3:*")], session=[allow("s3:*")], attached=[to({"AWS": ROLE})]),
    case("everyone's grant to a session is limited as the role's", NO_SESSION, caller=SESSION, session=[allow("sqs:*")], attached=[to("*")]),
    case("the strongest of two grants counts", "allowed", caller=SESSION, session=[allow("sqs:*")], attached=[to("*"), to({"AWS": SESSION_ARN})]),
    case("another session of the role is not named", NO_IDENTITY, caller=SESSION, attached=[to({"AWS": SESSION_ARN + "2"})]),
    case("the role by unique id", "allowed", caller=Caller("AssumedRole", HOME, SESSION_ARN, user_id="AROABUILD1234567890:run-1", role_arn=ROLE), attached=[to({"AWS": "AROABUILD1234567890"})]),
    case("NotPrincipal denies all others", f"{DENY} resource-based policy", allow(), attached=[only(deny(), NotPrincipal={"AWS": f"arn:aws:iam::{HOME}:user/bob"})]),
    case("NotPrincipal spares user and account", "allowed", allow(), attached=[only(deny(), NotPrincipal={"AWS": [ALICE.arn, HOME]})]),
    case("NotPrincipal without the account still denies", f"{DENY} resource-based policy", allow(), attached=[only(deny(), NotPrincipal={"AWS": ALICE.arn})]),
    case("NotPrincipal of a session needs all three", "allowed", allow(), caller=SESSION, attached=[only(deny(), NotPrincipal={"AWS": [SESSION_ARN, ROLE, HOME]})]),
    case("NotPrincipal of a session without its role", f"{DENY} resource-based policy", allow(), caller=SESSION, attached=[only(deny(), NotPrincipal={"AWS": [SESSION_ARN, HOME]})]),
    # across accounts
    case("across accounts an identity policy is not enough", NO_RESOURCE, allow(), owner=OTHER),
    case("nor is a resource policy", NO_IDENTITY, owner=OTHER, attached=[to({"AWS": ALICE.arn})]),
    case("both together are", "allowed", allow(), owner=OTHER, attached=[to({"AWS": ALICE.arn})]),
    case("naming the other account is enough on that side", "allowed", allow(), owner=OTHER, attached=[to({"AWS": HOME})]),
    case("naming a third account is not", NO_RESOURCE, allow(), owner=OTHER, attached=[to({"AWS": "333333333333"})]),
    case("across accounts the boundary limits direct grants", NO_BOUNDARY, allow(), owner=OTHER, boundary=[allow("sqs:*")], attached=[to({"AWS": ALICE.arn})]),
    case("across accounts the session policy limits them too", NO_SESSION, allow(), caller=SESSION, owner=OTHER, session=[allow("sqs:*")], attached=[to({"AWS": SESSION_ARN})]),
    case("across accounts everyone", "allowed", allow(), owner=OTHER, attached=[to("*")]),
    case("the owner may be said to be the caller's own", "allowed", allow(), owner=HOME),
    # where the resource policy is required (role trust, KMS keys)
    case("a required policy that is missing", NO_RESOURCE, allow("*"), required=True),
    case("a required policy that names the account leaves it to identity", "allowed", allow(), attached=[to({"AWS": HOME})], required=True),
    case("which then must allow", NO_IDENTITY, attached=[to({"AWS": HOME})], required=True),
    case("a required policy that names the user", "allowed", attached=[to({"AWS": ALICE.arn})], required=True),
    case("a required policy binds root", NO_RESOURCE, caller=ROOT, attached=[to({"AWS": OTHER})], required=True),
    case("trust: the user by name", "allowed", attached=[to({"AWS": ALICE.arn}, TRUST)], **ASSUME),
    case("trust: the account, and the user may", "allowed", allow("sts:AssumeRole", ROLE), attached=[to({"AWS": HOME}, TRUST)], **ASSUME),
    case("trust: the account, and the user may not", NO_IDENTITY, attached=[to({"AWS": HOME}, TRUST)], **ASSUME),
    case("trust: somebody else", NO_TRUST, allow("*"), attached=[to({"Service": "ec2.amazonaws.com"}, TRUST)], **ASSUME),
    case("trust: a service", "allowed", caller=CODEBUILD, attached=[to({"Service": "codebuild.amazonaws.com"}, TRUST)], **ASSUME),
    case("trust: another service", NO_TRUST, caller=CODEBUILD, attached=[to({"Service": "ec2.amazonaws.com"}, TRUST)], **ASSUME),
    case("trust: one of two services", "allowed", caller=CODEBUILD, attached=[to({"Service": ["ec2.amazonaws.com", "codebuild.amazonaws.com"]}, TRUST)], **ASSUME),
    case("trust: a service in its region", "allowed", caller=CODEBUILD, attached=[to({"Service": "codebuild.eu-west-1.amazonaws.com"}, TRUST)], context={"aws:RequestedRegion": "eu-west-1"}, **ASSUME),
    case("trust: a service in another region", NO_TRUST, caller=CODEBUILD, attached=[to({"Service": "codebuild.eu-west-1.amazonaws.com"}, TRUST)], context={"aws:RequestedRegion": "us-east-1"}, **ASSUME),
    case("trust: the right external id", "allowed", allow("sts:*"), owner=OTHER, attached=[to({"AWS": HOME}, {**TRUST, "Condition": {"StringEquals": {"sts:ExternalId": "x"}}})], context={"sts:ExternalId": "x"}, **ASSUME),
    case("trust: a wrong external id", NO_TRUST, allow("sts:*"), owner=OTHER, attached=[to({"AWS": HOME}, {**TRUST, "Condition": {"StringEquals": {"sts:ExternalId": "x"}}})], context={"sts:ExternalId": "y"}, **ASSUME),
    case("trust: no external id", NO_TRUST, allow("sts:*"), owner=OTHER, attached=[to({"AWS": HOME}, {**TRUST, "Condition": {"StringEquals": {"sts:ExternalId": "x"}}})], **ASSUME),
    case("trust across accounts needs the caller's side", NO_IDENTITY, owner=OTHER, attached=[to({"AWS": ALICE.arn}, TRUST)], **ASSUME),
    case("trust: the confused deputy is stopped by the source", NO_TRUST, caller=CODEBUILD, attached=[to({"Service": "codebuild.amazonaws.com"}, {**TRUST, "Condition": {"StringEquals": {"aws:SourceAccount": HOME}}})], context={"aws:SourceAccount": OTHER}, **ASSUME),
    # root, services, nobody
    case("root needs no policy", "allowed", caller=ROOT),
    case("root obeys a resource policy's deny", f"{DENY} resource-based policy", caller=ROOT, attached=[to("*", deny())]),
    case("root of another account needs the resource policy", NO_RESOURCE, caller=ROOT, owner=OTHER),
    case("and is let in by it", "allowed", caller=ROOT, owner=OTHER, attached=[to({"AWS": HOME})]),
    case("a service needs the resource policy", NO_RESOURCE, caller=CODEBUILD),
    case("and is let in by it, too", "allowed", caller=CODEBUILD, attached=[to({"Service": "codebuild.amazonaws.com"})]),
    case("everyone includes services", "allowed", caller=CODEBUILD, attached=[to("*")]),
    case("an account is not a service", NO_RESOURCE, caller=CODEBUILD, attached=[to({"AWS": HOME})]),
    case("nobody is let in by everyone", "allowed", caller=NOBODY, attached=[to("*")]),
    case("nobody is not in any account", NO_RESOURCE, caller=NOBODY, attached=[to({"AWS": HOME})]),
    case("a deny for all but a service spares it", "allowed", caller=CODEBUILD, attached=[to("*"), only(deny(), NotPrincipal={"Service": "codebuild.amazonaws.com"})]),
]  # fmt: skip


@pytest.mark.parametrize("request_, all_policies, outcome", CASES)
def test_decision(request_: Request, all_policies: Policies, outcome: str) -> None:
    decision = decide(request_, all_policies)
    if outcome == "allowed":
        assert (decision.allowed, decision.kind, decision.message) == (True, "allowed", "")
        return
    who = request_.caller.arn or request_.caller.service or "anonymous"
    subject = f"User: {who} is not authorized to perform: {request_.action} on resource: {request_.resource}"
    explicit = outcome.startswith(DENY)
    reason = f"with an {outcome}" if explicit else f"because {outcome} allows the {request_.action} action"
    assert not decision.allowed
    assert decision.message == f"{subject} {reason}"
    assert decision.kind == ("explicitDeny" if explicit else "implicitDeny")


def test_a_decision_says_which_statement_of_which_policy_it_rests_on() -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": [allow("sqs:*"), allow(Sid="Read"), deny("s3:PutObject")]})
    identity = PolicySet("identity-based policy", [compile_policy(text, "inline", "identity-based policy")])
    allowed = decide(Request(ALICE, "s3:GetObject", OBJECT), Policies(identity))
    denied = decide(Request(ALICE, "s3:PutObject", OBJECT), Policies(identity))
    assert (allowed.policy, allowed.statement) == ("inline", "Read")
    assert (denied.policy, denied.statement) == ("inline", 2)


def test_a_context_is_not_read_when_no_condition_asks() -> None:
    def context(key: str) -> ContextValue | None:
        raise AssertionError(f"{key} was read")

    identity = policies("identity-based policy", [allow()])
    assert identity is not None
    assert decide(Request(ALICE, "s3:GetObject", OBJECT, context), Policies(identity)).allowed
