"""Tags of users, roles, managed policies, instance profiles, multi-factor devices, identity providers and server certificates."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.certificates import ServerCertificate
from windtunnel.services.iam.devices import MFADevice
from windtunnel.services.iam.directory import instance_profile, role, save, user
from windtunnel.services.iam.model import (
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
    checked_tags,
    merged_tags,
    without_tags,
)
from windtunnel.services.iam.operations.authorize import (
    on_certificate,
    on_device,
    on_oidc,
    on_policy,
    on_profile,
    on_role,
    on_saml,
    on_user,
)
from windtunnel.services.iam.operations.certificates import server_certificate
from windtunnel.services.iam.operations.mfa import device
from windtunnel.services.iam.operations.oidc import oidc_provider
from windtunnel.services.iam.operations.paging import page
from windtunnel.services.iam.operations.policies import customer_policy
from windtunnel.services.iam.operations.saml import saml_provider
from windtunnel.services.iam.providers import OIDCProvider, SAMLProvider

_Tagged = User | Role | ManagedPolicy | InstanceProfile | MFADevice | OIDCProvider | SAMLProvider | ServerCertificate
_Tags = list[dict[str, str]]


def _tag(ctx: Context, record: _Tagged, tags: _Tags) -> Reply:
    save(ctx, msgspec.structs.replace(record, tags=merged_tags(record.tags, checked_tags(tags))))
    return {}


def _untag(ctx: Context, record: _Tagged, keys: list[str]) -> Reply:
    save(ctx, msgspec.structs.replace(record, tags=without_tags(record.tags, keys)))
    return {}


def _list(record: _Tagged, marker: str | None, max_items: int | None) -> Reply:
    def pair(key: str) -> dict[str, Any]:
        return {"Key": key, "Value": record.tags[key]}

    return page("Tags", record.tags, pair, str, marker, max_items)


@writes("iam", "TagUser", authorize=on_user("TagUser"), acts="UserName Tags[].*")
def tag_user(ctx: Context, user_name: str, tags: _Tags) -> Reply:
    return _tag(ctx, user(ctx, user_name), tags)


@writes("iam", "UntagUser", authorize=on_user("UntagUser"), acts="UserName TagKeys[]")
def untag_user(ctx: Context, user_name: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, user(ctx, user_name), tag_keys)


@reads("iam", "ListUserTags", authorize=on_user("ListUserTags"), acts="UserName Marker MaxItems")
def list_user_tags(ctx: Context, user_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(user(ctx, user_name), marker, max_items)


@writes("iam", "TagRole", authorize=on_role("TagRole"), acts="RoleName Tags[].*")
def tag_role(ctx: Context, role_name: str, tags: _Tags) -> Reply:
    return _tag(ctx, role(ctx, role_name), tags)


@writes("iam", "UntagRole", authorize=on_role("UntagRole"), acts="RoleName TagKeys[]")
def untag_role(ctx: Context, role_name: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, role(ctx, role_name), tag_keys)


@reads("iam", "ListRoleTags", authorize=on_role("ListRoleTags"), acts="RoleName Marker MaxItems")
def list_role_tags(ctx: Context, role_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(role(ctx, role_name), marker, max_items)


@writes("iam", "TagPolicy", authorize=on_policy("TagPolicy"), acts="PolicyArn Tags[].*")
def tag_policy(ctx: Context, policy_arn: str, tags: _Tags) -> Reply:
    return _tag(ctx, customer_policy(ctx, policy_arn), tags)


@writes("iam", "UntagPolicy", authorize=on_policy("UntagPolicy"), acts="PolicyArn TagKeys[]")
def untag_policy(ctx: Context, policy_arn: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, customer_policy(ctx, policy_arn), tag_keys)


@reads("iam", "ListPolicyTags", authorize=on_policy("ListPolicyTags"), acts="PolicyArn Marker MaxItems")
def list_policy_tags(ctx: Context, policy_arn: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(customer_policy(ctx, policy_arn), marker, max_items)


@writes("iam", "TagInstanceProfile", authorize=on_profile("TagInstanceProfile"), acts="InstanceProfileName Tags[].*")
def tag_instance_profile(ctx: Context, instance_profile_name: str, tags: _Tags) -> Reply:
    return _tag(ctx, instance_profile(ctx, instance_profile_name), tags)


@writes("iam", "UntagInstanceProfile", authorize=on_profile("UntagInstanceProfile"), acts="InstanceProfileName TagKeys[]")
def untag_instance_profile(ctx: Context, instance_profile_name: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, instance_profile(ctx, instance_profile_name), tag_keys)


@reads("iam", "ListInstanceProfileTags", authorize=on_profile("ListInstanceProfileTags"), acts="InstanceProfileName Marker MaxItems")
def list_instance_profile_tags(ctx: Context, instance_profile_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(instance_profile(ctx, instance_profile_name), marker, max_items)


@writes("iam", "TagMFADevice", authorize=on_device("TagMFADevice"), acts="SerialNumber Tags[].*")
def tag_mfa_device(ctx: Context, serial_number: str, tags: _Tags) -> Reply:
    return _tag(ctx, device(ctx, serial_number), tags)


@writes("iam", "UntagMFADevice", authorize=on_device("UntagMFADevice"), acts="SerialNumber TagKeys[]")
def untag_mfa_device(ctx: Context, serial_number: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, device(ctx, serial_number), tag_keys)


@reads("iam", "ListMFADeviceTags", authorize=on_device("ListMFADeviceTags"), acts="SerialNumber Marker MaxItems")
def list_mfa_device_tags(ctx: Context, serial_number: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(device(ctx, serial_number), marker, max_items)


@writes("iam", "TagOpenIDConnectProvider", authorize=on_oidc("TagOpenIDConnectProvider"), acts="OpenIDConnectProviderArn Tags[].*")
def tag_open_id_connect_provider(ctx: Context, open_id_connect_provider_arn: str, tags: _Tags) -> Reply:
    return _tag(ctx, oidc_provider(ctx, open_id_connect_provider_arn), tags)


@writes("iam", "UntagOpenIDConnectProvider", authorize=on_oidc("UntagOpenIDConnectProvider"), acts="OpenIDConnectProviderArn TagKeys[]")
def untag_open_id_connect_provider(ctx: Context, open_id_connect_provider_arn: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, oidc_provider(ctx, open_id_connect_provider_arn), tag_keys)


@reads(
    "iam",
    "ListOpenIDConnectProviderTags",
    authorize=on_oidc("ListOpenIDConnectProviderTags"),
    acts="OpenIDConnectProviderArn Marker MaxItems",
)
def list_open_id_connect_provider_tags(
    ctx: Context, open_id_connect_provider_arn: str, marker: str | None = None, max_items: int | None = None
) -> Reply:
    return _list(oidc_provider(ctx, open_id_connect_provider_arn), marker, max_items)


@writes("iam", "TagSAMLProvider", authorize=on_saml("TagSAMLProvider"), acts="SAMLProviderArn Tags[].*")
def tag_saml_provider(ctx: Context, saml_provider_arn: str, tags: _Tags) -> Reply:
    return _tag(ctx, saml_provider(ctx, saml_provider_arn), tags)


@writes("iam", "UntagSAMLProvider", authorize=on_saml("UntagSAMLProvider"), acts="SAMLProviderArn TagKeys[]")
def untag_saml_provider(ctx: Context, saml_provider_arn: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, saml_provider(ctx, saml_provider_arn), tag_keys)


@reads("iam", "ListSAMLProviderTags", authorize=on_saml("ListSAMLProviderTags"), acts="SAMLProviderArn Marker MaxItems")
def list_saml_provider_tags(ctx: Context, saml_provider_arn: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(saml_provider(ctx, saml_provider_arn), marker, max_items)


@writes("iam", "TagServerCertificate", authorize=on_certificate("TagServerCertificate"), acts="ServerCertificateName Tags[].*")
def tag_server_certificate(ctx: Context, server_certificate_name: str, tags: _Tags) -> Reply:
    return _tag(ctx, server_certificate(ctx, server_certificate_name), tags)


@writes("iam", "UntagServerCertificate", authorize=on_certificate("UntagServerCertificate"), acts="ServerCertificateName TagKeys[]")
def untag_server_certificate(ctx: Context, server_certificate_name: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, server_certificate(ctx, server_certificate_name), tag_keys)


@reads(
    "iam", "ListServerCertificateTags", authorize=on_certificate("ListServerCertificateTags"), acts="ServerCertificateName Marker MaxItems"
)
def list_server_certificate_tags(
    ctx: Context, server_certificate_name: str, marker: str | None = None, max_items: int | None = None
) -> Reply:
    return _list(server_certificate(ctx, server_certificate_name), marker, max_items)
