"""The account as a whole."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.iam.model import (
    MAX_ATTACHED,
    MAX_KEYS_PER_USER,
    MAX_MANAGED_SIZE,
    MAX_POLICY_VERSIONS,
    MAX_TRUST_SIZE,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
)
from windtunnel.services.iam.operations.authorize import on_account


@reads("iam", "GetAccountSummary", authorize=on_account("GetAccountSummary"), cost="scan")
def get_account_summary(ctx: Context) -> Reply:
    return {
        "SummaryMap": {
            "Users": len(ctx.tx.scan(User)),
            "Groups": len(ctx.tx.scan(Group)),
            "Roles": len(ctx.tx.scan(Role)),
            "Policies": len(ctx.tx.scan(ManagedPolicy)),
            "InstanceProfiles": len(ctx.tx.scan(InstanceProfile)),
            "AccessKeysPerUserQuota": MAX_KEYS_PER_USER,
            "AttachedPoliciesPerUserQuota": MAX_ATTACHED,
            "AttachedPoliciesPerGroupQuota": MAX_ATTACHED,
            "AttachedPoliciesPerRoleQuota": MAX_ATTACHED,
            "UserPolicySizeQuota": User.INLINE_SIZE,
            "GroupPolicySizeQuota": Group.INLINE_SIZE,
            "RolePolicySizeQuota": Role.INLINE_SIZE,
            "AssumeRolePolicySizeQuota": MAX_TRUST_SIZE,
            "PolicySizeQuota": MAX_MANAGED_SIZE,
            "VersionsPerPolicyQuota": MAX_POLICY_VERSIONS,
        }
    }


@reads("iam", "ListAccountAliases", authorize=on_account("ListAccountAliases"), acts="Marker MaxItems")
def list_account_aliases(ctx: Context, marker: str | None = None, max_items: int | None = None) -> Reply:
    """No account here has an alias: CreateAccountAlias is not built."""
    return {"AccountAliases": [], "IsTruncated": False}
