"""Resource policies of the account's log groups: by these, EventBridge and others may write into them."""

from __future__ import annotations

from typing import Any

from windtunnel.iam.grammar import validate
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.model import ResourcePolicy, page_token, parse_page_token

MAX_POLICIES = 10
MAX_DOCUMENT = 5_120


def on_all(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"logs:{action}", "*")]

    return authorize


@writes("logs", "PutResourcePolicy", authorize=on_all("PutResourcePolicy"), acts="policyName policyDocument")
def put_resource_policy(ctx: Context, policy_name: str = "", policy_document: str = "") -> Reply:
    if not policy_name or not policy_document:
        raise AwsError("InvalidParameterException", "policyName and policyDocument must be specified.")
    if len(policy_document) > MAX_DOCUMENT:
        raise AwsError("InvalidParameterException", f"The policy document is longer than {MAX_DOCUMENT} characters.")
    validate(policy_document, "resource", code="InvalidParameterException")
    if ctx.tx.get(ResourcePolicy, policy_name) is None and ctx.tx.count(ResourcePolicy) >= MAX_POLICIES:
        raise AwsError("LimitExceededException", "Resource limit exceeded.")
    policy = ResourcePolicy(name=policy_name, document=policy_document, updated=int(ctx.now * 1000))
    ctx.tx.put(policy)
    return {"resourcePolicy": policy.described()}


@reads("logs", "DescribeResourcePolicies", authorize=on_all("DescribeResourcePolicies"), acts="nextToken limit policyScope", cost="scan")
def describe_resource_policies(ctx: Context, next_token: str | None = None, limit: int = 50, policy_scope: str = "ACCOUNT") -> Reply:
    if policy_scope != "ACCOUNT":
        return {"resourcePolicies": []}
    after = parse_page_token(next_token, str)[0] if next_token else None
    found = ctx.tx.scan(ResourcePolicy, after=after, limit=limit + 1)
    reply: Reply = {"resourcePolicies": [policy.described() for policy in found[:limit]]}
    if len(found) > limit:
        reply["nextToken"] = page_token(found[limit - 1].name)
    return reply


@writes("logs", "DeleteResourcePolicy", authorize=on_all("DeleteResourcePolicy"), acts="policyName")
def delete_resource_policy(ctx: Context, policy_name: str = "") -> Reply:
    if not ctx.tx.delete(ResourcePolicy, policy_name):
        raise AwsError("ResourceNotFoundException", f"Policy with name [{policy_name}] does not exist.")
    return {}
