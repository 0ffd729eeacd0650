"""GetKeyPolicy, PutKeyPolicy, ListKeyPolicies. A key has one policy; its name is `default`."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.kms.guard import on_changed_key, on_key
from windtunnel.services.kms.lookups import changeable, own_key
from windtunnel.services.kms.model import POLICY_NAME
from windtunnel.services.kms.operations.keys import check_policy
from windtunnel.services.kms.paging import page


def check_name(policy_name: str) -> None:
    if policy_name != POLICY_NAME:
        raise AwsError("NotFoundException", f"No such policy exists: {policy_name}. The only valid policy name is {POLICY_NAME}.")


@reads("kms", "GetKeyPolicy", authorize=on_key("GetKeyPolicy"), acts="KeyId PolicyName")
def get_key_policy(ctx: Context, key_id: str, policy_name: str = POLICY_NAME) -> Reply:
    check_name(policy_name)
    return {"Policy": own_key(ctx, key_id).key.policy, "PolicyName": POLICY_NAME}


@writes(
    "kms",
    "PutKeyPolicy",
    authorize=on_changed_key("PutKeyPolicy", BypassPolicyLockoutSafetyCheck="bypass_policy_lockout_safety_check"),
    acts="KeyId PolicyName Policy BypassPolicyLockoutSafetyCheck",
)
def put_key_policy(
    ctx: Context, key_id: str, policy: str, policy_name: str = POLICY_NAME, bypass_policy_lockout_safety_check: bool = False
) -> Reply:
    check_name(policy_name)
    found = changeable(ctx, key_id)
    check_policy(ctx, found, policy, bypass_policy_lockout_safety_check)
    found.key.policy = policy
    ctx.tx.put(found.key)
    return {}


@reads("kms", "ListKeyPolicies", authorize=on_key("ListKeyPolicies"), acts="KeyId Limit Marker")
def list_key_policies(ctx: Context, key_id: str, limit: int = 100, marker: str | None = None) -> Reply:
    own_key(ctx, key_id)
    names, rest = page([POLICY_NAME], str, limit, marker)
    return {"PolicyNames": names, **rest}
