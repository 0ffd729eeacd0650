"""The account as a whole: its numbers, its alias, and everything that IAM holds of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.aws_managed import AwsPolicy, aws_policies
from windtunnel.services.iam.certificates import ServerCertificate
from windtunnel.services.iam.devices import MFADevice
from windtunnel.services.iam.directory import drop, save
from windtunnel.services.iam.model import (
    MAX_ATTACHED,
    MAX_KEYS_PER_USER,
    MAX_MANAGED_SIZE,
    MAX_POLICY_VERSIONS,
    MAX_TRUST_SIZE,
    Entity,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
    described,
    encoded,
    name_in,
)
from windtunnel.services.iam.operations.authorize import on_account
from windtunnel.services.iam.operations.instance_profiles import described_profile
from windtunnel.services.iam.operations.paging import page
from windtunnel.services.iam.operations.policies import described_policy, whole_versions
from windtunnel.services.iam.operations.roles import last_used
from windtunnel.services.iam.providers import OIDCProvider, SAMLProvider


class Alias(Record, kw_only=True):
    """An account's alias: one of each name in the whole cloud, for it names a sign-in page on AWS."""

    KIND: ClassVar[str] = "iam.account-alias"
    SCOPE: ClassVar[RecordScope] = "cloud"
    INDEXES: ClassVar = {"account": "account"}

    name: str
    account: str

    def key(self) -> str:
        return self.name


@reads("iam", "GetAccountSummary", authorize=on_account("GetAccountSummary"), cost="scan")
def get_account_summary(ctx: Context) -> Reply:
    devices = ctx.tx.scan(MFADevice)
    policies = ctx.tx.scan(ManagedPolicy)
    return {
        "SummaryMap": {
            "Users": ctx.tx.count(User),
            "UsersQuota": 5000,
            "Groups": ctx.tx.count(Group),
            "GroupsQuota": 300,
            "GroupsPerUserQuota": 10,
            "Roles": ctx.tx.count(Role),
            "RolesQuota": 1000,
            "Policies": len(policies),
            "PoliciesQuota": 1500,
            "PolicyVersionsInUse": sum(len(policy.versions) for policy in policies),
            "PolicyVersionsInUseQuota": 10000,
            "InstanceProfiles": ctx.tx.count(InstanceProfile),
            "InstanceProfilesQuota": 1000,
            "ServerCertificates": ctx.tx.count(ServerCertificate),
            "ServerCertificatesQuota": 20,
            "Providers": ctx.tx.count(OIDCProvider) + ctx.tx.count(SAMLProvider),
            "MFADevices": len(devices),
            "MFADevicesInUse": sum(device.user is not None for device in devices),
            "AccountMFAEnabled": 0,
            "AccountAccessKeysPresent": 1,
            "AccountPasswordPresent": 0,
            "AccountSigningCertificatesPresent": 0,
            "AccessKeysPerUserQuota": MAX_KEYS_PER_USER,
            "SigningCertificatesPerUserQuota": 2,
            "AttachedPoliciesPerUserQuota": MAX_ATTACHED,
            "AttachedPoliciesPerGroupQuota": MAX_ATTACHED,
            "AttachedPoliciesPerRoleQuota": MAX_ATTACHED,
            "UserPolicySizeQuota": User.INLINE_SIZE,
            "GroupPolicySizeQuota": Group.INLINE_SIZE,
            "RolePolicySizeQuota": Role.INLINE_SIZE,
            "AssumeRolePolicySizeQuota": MAX_TRUST_SIZE,
            "PolicySizeQuota": MAX_MANAGED_SIZE,
            "VersionsPerPolicyQuota": MAX_POLICY_VERSIONS,
            "GlobalEndpointTokenVersion": 1,
        }
    }


# --- the alias ------------------------------------------------------------------------------------------------------------------


def _alias(ctx: Context) -> Alias | None:
    found = ctx.tx.find(Alias, "account", ctx.scope.account, limit=1)
    return found[0] if found else None


@writes("iam", "CreateAccountAlias", authorize=on_account("CreateAccountAlias"), acts="AccountAlias")
def create_account_alias(ctx: Context, account_alias: str) -> Reply:
    """An account has one alias: a new one takes the old one's place."""
    taken = ctx.tx.get(Alias, account_alias)
    if taken is not None:
        raise AwsError("EntityAlreadyExists", f"The account alias {account_alias} already exists.")
    old = _alias(ctx)
    if old is not None:
        drop(ctx, old)
    save(ctx, Alias(name=account_alias, account=ctx.scope.account))
    return {}


@writes("iam", "DeleteAccountAlias", authorize=on_account("DeleteAccountAlias"), acts="AccountAlias")
def delete_account_alias(ctx: Context, account_alias: str) -> Reply:
    found = ctx.tx.get(Alias, account_alias)
    if found is None or found.account != ctx.scope.account:
        raise AwsError("NoSuchEntity", f"The account alias {account_alias} does not exist.")
    drop(ctx, found)
    return {}


@reads("iam", "ListAccountAliases", authorize=on_account("ListAccountAliases"), acts="Marker MaxItems")
def list_account_aliases(ctx: Context, marker: str | None = None, max_items: int | None = None) -> Reply:
    found = _alias(ctx)
    return {"AccountAliases": [found.name] if found is not None else [], "IsTruncated": False}


# --- everything -------------------------------------------------------------------------------------------------------------------


def _inline(entity: Entity) -> list[dict[str, Any]]:
    return [{"PolicyName": name, "PolicyDocument": encoded(document)} for name, document in entity.inline.items()]


def _attached(entity: Entity) -> list[dict[str, Any]]:
    return [{"PolicyName": name_in(arn), "PolicyArn": arn} for arn in entity.attached]


def _user_detail(ctx: Context, user: User) -> dict[str, Any]:
    groups = [group.name for group in (ctx.tx.get(Group, key) for key in user.groups) if group is not None]
    return {
        **described(ctx.scope, user),
        "UserPolicyList": _inline(user),
        "GroupList": groups,
        "AttachedManagedPolicies": _attached(user),
    }


def _group_detail(ctx: Context, group: Group) -> dict[str, Any]:
    return {**described(ctx.scope, group), "GroupPolicyList": _inline(group), "AttachedManagedPolicies": _attached(group)}


def _role_detail(ctx: Context, role: Role) -> dict[str, Any]:
    profiles = ctx.tx.find(InstanceProfile, "role", role.key())
    detail = {name: value for name, value in described(ctx.scope, role).items() if name not in ("Description", "MaxSessionDuration")}
    return {
        **detail,
        "InstanceProfileList": [described_profile(ctx, profile) for profile in profiles],
        "RolePolicyList": _inline(role),
        "AttachedManagedPolicies": _attached(role),
        "RoleLastUsed": last_used(ctx, detail["Arn"]),
    }


def _policy_detail(ctx: Context, policy: ManagedPolicy | AwsPolicy) -> dict[str, Any]:
    return {**described_policy(ctx, policy), "PolicyVersionList": whole_versions(policy)}


def _all(ctx: Context, wanted: set[str]) -> Iterable[tuple[str, str, Any]]:
    """(key in the answer's order, member, record) of all that was asked for."""
    kinds: tuple[tuple[str, type[Entity]], ...] = (("User", User), ("Group", Group), ("Role", Role))
    for number, (name, kind) in enumerate(kinds):
        if name in wanted:
            yield from ((f"{number}/{found.key()}", f"{name}DetailList", found) for found in ctx.tx.scan(kind))
    if "LocalManagedPolicy" in wanted:
        yield from ((f"3/{found.key()}", "Policies", found) for found in ctx.tx.scan(ManagedPolicy))
    if "AWSManagedPolicy" in wanted:
        used = {arn for _, kind in kinds for holder in ctx.tx.scan(kind) for arn in (*holder.attached, holder.boundary)}
        yield from ((f"4/{arn}", "Policies", policy) for arn, policy in aws_policies().items() if arn in used)


@reads(
    "iam",
    "GetAccountAuthorizationDetails",
    authorize=on_account("GetAccountAuthorizationDetails"),
    acts="Filter[] MaxItems Marker",
    cost="scan",
)
def get_account_authorization_details(
    ctx: Context, filter: list[str] | None = None, max_items: int | None = None, marker: str | None = None
) -> Reply:
    """AWS's own policies appear where they are used."""
    wanted = set(filter or ("User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"))
    found = page("Found", _all(ctx, wanted), lambda each: each, lambda each: each[0], marker, max_items)
    describe: dict[str, Any] = {"UserDetailList": _user_detail, "GroupDetailList": _group_detail, "RoleDetailList": _role_detail}
    reply: Reply = {**{name: [] for name in describe}, "Policies": []}
    for _, member, record in found.pop("Found"):
        reply[member].append(describe.get(member, _policy_detail)(ctx, record))
    return {**reply, **found}
