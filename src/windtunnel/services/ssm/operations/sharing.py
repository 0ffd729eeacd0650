"""GetResourcePolicies: parameters are not shared with other accounts here, so that there are none."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.ssm.guard import need
from windtunnel.services.ssm.model import find_parameter


def on_policies(ctx: Context, resource_arn: str, **_: Any) -> list[Need]:
    return [need(ctx, "GetResourcePolicies", resource_arn)]


@reads("ssm", "GetResourcePolicies", authorize=on_policies, acts="ResourceArn MaxResults NextToken")
def get_resource_policies(ctx: Context, resource_arn: str, max_results: int = 50, next_token: str | None = None) -> Reply:
    if find_parameter(ctx.tx, ctx.scope, resource_arn)[0] is None:
        raise AwsError("ResourceNotFoundException", f"The resource {resource_arn} was not found.")
    return {"Policies": []}
