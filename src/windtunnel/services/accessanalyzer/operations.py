"""Access Analyzer's policy checks (API reference, 2019-11-01). All of them read nothing but what they are given.

What they take is imported when it is first asked for: most clouds never are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windtunnel.iam.grammar import Kind, validate
from windtunnel.kernel.context import Authorize, Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import ServiceRules, reads, service_rules

if TYPE_CHECKING:
    from windtunnel.iam.access import Grants
    from windtunnel.iam.lint.findings import Finding, Location, Step
    from windtunnel.iam.lint.findings import Kind as PolicyKind
    from windtunnel.iam.source import Place

service_rules("accessanalyzer", ServiceRules(validation_code="ValidationException"))
_PAGE = 100
_TRUST = "AWS::IAM::AssumeRolePolicyDocument"


def _needs(operation: str) -> Authorize:
    return lambda ctx, **_: [Need(f"access-analyzer:{operation}")]


# --- ValidatePolicy ------------------------------------------------------------------------------------------------------------


@reads(
    "accessanalyzer",
    "ValidatePolicy",
    authorize=_needs("ValidatePolicy"),
    acts="policyDocument policyType validatePolicyResourceType maxResults nextToken",
    default_only={"locale": "EN"},
    cost="scan",
)
def validate_policy(
    ctx: Context,
    policy_document: str,
    policy_type: str,
    locale: str = "EN",
    validate_policy_resource_type: str | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> Reply:
    if policy_type not in ("IDENTITY_POLICY", "RESOURCE_POLICY"):
        raise not_built("accessanalyzer", "ValidatePolicy", f"policyType {policy_type}")
    if validate_policy_resource_type is not None and policy_type != "RESOURCE_POLICY":
        raise AwsError("ValidationException", "validatePolicyResourceType is only valid for the policy type RESOURCE_POLICY.")

    from windtunnel.iam.lint import lint

    kind: PolicyKind = "identity" if policy_type == "IDENTITY_POLICY" else "resource"
    if validate_policy_resource_type == _TRUST:
        kind = "trust"
    found = lint(policy_document, kind)
    start = _offset(next_token)
    size = max_results or _PAGE
    reply: Reply = {"findings": [_finding(each) for each in found[start : start + size]]}
    return {**reply, "nextToken": str(start + size)} if len(found) > start + size else reply


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdecimal() or len(token) > 9:
        raise AwsError("ValidationException", "The pagination token is invalid.")
    return int(token)


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "findingDetails": found.details,
        "findingType": found.type,
        "issueCode": found.code,
        "learnMoreLink": found.link,
        "locations": [_location(each) for each in found.locations],
    }


def _location(found: Location) -> dict[str, Any]:
    return {"path": [_step(step) for step in found.path], "span": {"start": _place(found.start), "end": _place(found.end)}}


def _step(step: Step) -> dict[str, Any]:
    if isinstance(step, tuple):
        return {step[0]: step[1]}
    return {"index": step} if isinstance(step, int) else {"value": step}


def _place(at: Place) -> dict[str, int]:
    return {"line": at.line, "column": at.column, "offset": at.offset}


# --- custom policy checks ----------------------------------------------------------------------------------------------------------


def _document(text: str, policy_type: str) -> dict[str, Any]:
    """A document that can be judged. A resource policy may be a role's trust policy too."""
    kinds: tuple[Kind, ...] = ("identity",) if policy_type == "IDENTITY_POLICY" else ("resource", "trust")
    words = ""
    for kind in kinds:
        try:
            return dict(validate(text, kind))
        except AwsError as wrong:
            words = words or wrong.message
    raise AwsError("InvalidParameterException", f"The policy document is not valid: {words}")


def _reply(failed: list[Grants], passes: str, fails: str, reason: str) -> Reply:
    if not failed:
        return {"result": "PASS", "message": passes}
    return {"result": "FAIL", "message": fails, "reasons": [_reason(each, reason) for each in failed]}


def _reason(statement: Grants, words: str) -> dict[str, Any]:
    found: dict[str, Any] = {"description": f"{words} with index: {statement.at}.", "statementIndex": statement.at}
    return {**found, "statementId": statement.sid} if statement.sid else found


@reads(
    "accessanalyzer",
    "CheckAccessNotGranted",
    authorize=_needs("CheckAccessNotGranted"),
    acts="policyDocument policyType access[].actions[] access[].resources[]",
    cost="scan",
)
def check_access_not_granted(ctx: Context, policy_document: str, access: list[dict[str, Any]], policy_type: str) -> Reply:

    from windtunnel.iam.access import granting

    document = _document(policy_document, policy_type)
    asked = access[0] if access else {}
    actions, resources = asked.get("actions", []), asked.get("resources", [])
    if not actions and not resources:
        raise AwsError("InvalidParameterException", "The access must name actions or resources.")
    return _reply(
        granting(document, actions, resources),
        "The policy document does not grant access to perform the listed actions or resources.",
        "The policy document grants access to perform one or more of the listed actions or resources.",
        "One or more of the listed actions or resources in the statement",
    )


@reads(
    "accessanalyzer",
    "CheckNoNewAccess",
    authorize=_needs("CheckNoNewAccess"),
    acts="newPolicyDocument existingPolicyDocument policyType",
    cost="scan",
)
def check_no_new_access(ctx: Context, new_policy_document: str, existing_policy_document: str, policy_type: str) -> Reply:

    from windtunnel.iam.access import new_access

    return _reply(
        new_access(_document(new_policy_document, policy_type), _document(existing_policy_document, policy_type)),
        "The modified permissions do not grant new access compared to your existing policy.",
        "The modified permissions grant new access compared to your existing policy.",
        "New access in the statement",
    )


@reads(
    "accessanalyzer",
    "CheckNoPublicAccess",
    authorize=_needs("CheckNoPublicAccess"),
    acts="policyDocument resourceType",
    cost="scan",
)
def check_no_public_access(ctx: Context, policy_document: str, resource_type: str) -> Reply:

    from windtunnel.iam.access import public_statements

    return _reply(
        public_statements(_document(policy_document, "RESOURCE_POLICY")),
        "The resource policy does not grant public access for the given resource type.",
        "The resource policy grants public access for the given resource type.",
        "Public access granted in the statement",
    )


# --- analyzers: there are none -------------------------------------------------------------------------------------------------


@reads("accessanalyzer", "ListAnalyzers", authorize=_needs("ListAnalyzers"), acts="type maxResults nextToken")
def list_analyzers(ctx: Context, type: str | None = None, max_results: int | None = None, next_token: str | None = None) -> Reply:
    """What an account answers that never made one: CreateAnalyzer is not built."""
    return {"analyzers": []}
