"""IAM's decision: which policies must allow, which may deny, and the words that say so.

Invariant: an explicit deny in any policy that applies wins; without an allow the answer is no. Within an account a resource
policy's grant can stand in for the identity policies (except where `resource_policy_required`: role trust, KMS keys); across
accounts both sides must allow. A permissions boundary and session policies only ever take away.
Source: IAM User Guide, "Policy evaluation logic" and "Troubleshoot access denied error messages".
"""

from __future__ import annotations

from windtunnel.iam.policy import Decision, Plan, PolicySet, PolicyType, Statement
from windtunnel.iam.principals import Grant
from windtunnel.iam.request import Request

NO_POLICIES = PolicySet("identity-based policy", ())


class Policies:
    """All policies that bear on a request.

    identity: inline, attached and group policies together. boundary, session: None where the caller has none.
    resource: the resource's policy, or the role's trust policy. resource_account: None means the caller's own.
    resource_policy_required: identity policies count only if the resource policy names the caller or its account.
    """

    __slots__ = ("boundary", "identity", "limits", "others", "resource", "resource_account", "resource_policy_required", "session")

    def __init__(
        self,
        identity: PolicySet = NO_POLICIES,
        boundary: PolicySet | None = None,
        session: PolicySet | None = None,
        resource: PolicySet | None = None,
        resource_account: str | None = None,
        resource_policy_required: bool = False,
    ) -> None:
        self.identity = identity
        self.boundary = boundary
        self.session = session
        self.resource = resource
        self.resource_account = resource_account
        self.resource_policy_required = resource_policy_required
        self.limits = tuple(limit for limit in (boundary, session) if limit is not None)
        self.others = self.limits if resource is None else (*self.limits, resource)


_OUTSIDE = ("Service", "Anonymous", "Federated")
"""Callers without policies of their own: what a resource's policy grants them is all that they may do."""
_ROOT = Decision(True, "allowed", "identity-based policy", "the account's root user")


def decide(request: Request, policies: Policies) -> Decision:
    """May the caller do it? Pure: the request and the policies are all that counts."""
    denied = _explicit_deny(request, policies)
    if denied is not None:
        return denied
    grant, granting = _resource_grant(request, policies.resource) if policies.resource is not None else (Grant.NONE, None)
    caller = request.caller
    if caller.type in _OUTSIDE:
        return granting or _implicit_deny(request, _resource_type(policies))
    if policies.resource_account is None or policies.resource_account == caller.account:
        return _within_account(request, policies, grant, granting)
    if granting is None:
        return _implicit_deny(request, _resource_type(policies))
    return granting if caller.type == "Account" else _identity_side(request, policies)


def _within_account(request: Request, policies: Policies, grant: Grant, granting: Decision | None) -> Decision:
    if policies.resource_policy_required and granting is None:
        return _implicit_deny(request, _resource_type(policies))
    if request.caller.type == "Account":
        return granting or _ROOT
    if granting is not None:
        if grant is Grant.DIRECT:
            return granting
        if grant is Grant.ROLE:
            return _limits(request, policies) or granting
    return _identity_side(request, policies)


def _identity_side(request: Request, policies: Policies) -> Decision:
    allowed = _allowing(request, policies.identity)
    if allowed is None:
        return _implicit_deny(request, "identity-based policy")
    return _limits(request, policies) or allowed


def _limits(request: Request, policies: Policies) -> Decision | None:
    """The denial by a boundary or session policy that does not allow the action; None if they do."""
    for limit in policies.limits:
        if _allowing(request, limit) is None:
            return _implicit_deny(request, limit.policy_type)
    return None


def _allowing(request: Request, policies: PolicySet) -> Decision | None:
    for statement in policies.plan(request.action).allows:
        if statement.applies(request):
            return statement.decision
    return None


def _explicit_deny(request: Request, policies: Policies) -> Decision | None:
    plan = policies.identity.plan(request.action)
    statement = _denying(request, plan) if plan.denies else None
    if statement is None and policies.others:
        for other in policies.others:
            statement = statement or _denying(request, other.plan(request.action))
    return None if statement is None else _denial(request, statement.decision)


def _denying(request: Request, plan: Plan) -> Statement | None:
    for statement in plan.denies:
        if statement.grant(request) and statement.applies(request):
            return statement
    return None


def _resource_grant(request: Request, resource: PolicySet) -> tuple[Grant, Decision | None]:
    """The strongest grant of the resource policy, and the statement it rests on."""
    best, granting = Grant.NONE, None
    for statement in resource.plan(request.action).allows:
        grant = statement.grant(request)
        if grant > best and statement.applies(request):
            best, granting = grant, statement.decision
    return best, granting


def _resource_type(policies: Policies) -> PolicyType:
    return policies.resource.policy_type if policies.resource else "resource-based policy"


def _subject(request: Request) -> str:
    caller = request.caller
    return (
        f"User: {caller.arn or caller.service or 'anonymous'} is not authorized to perform: {request.action}"
        f" on resource: {request.resource}"
    )


def _denial(request: Request, decision: Decision) -> Decision:
    kind = decision.policy_type
    article = "an" if kind == "identity-based policy" else "a"
    message = f"{_subject(request)} with an explicit deny in {article} {kind}"
    return Decision(False, "explicitDeny", kind, decision.policy, decision.statement, message, decision.document, decision.index)


def _implicit_deny(request: Request, kind: PolicyType) -> Decision:
    message = f"{_subject(request)} because no {kind} allows the {request.action} action"
    return Decision(False, "implicitDeny", kind, message=message)
