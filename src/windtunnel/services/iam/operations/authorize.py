"""What IAM's own operations ask of their caller: the action on the entity's ARN, with IAM's condition keys.

Invariant: the condition keys of an entity that exists come from its record, those of the request from the arguments; a caller
whose policy names `iam:PermissionsBoundary`, `iam:PolicyARN` or tags is judged by what the operation would really use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.services.iam.certificates import ServerCertificate, server_certificate_arn
from windtunnel.services.iam.devices import MFADevice
from windtunnel.services.iam.model import (
    Entity,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
    entity_arn,
    name_in,
    profile_arn,
)
from windtunnel.services.iam.providers import OIDCProvider, SAMLProvider, oidc_arn, saml_arn

_SETS_BOUNDARY = {"CreateUser", "CreateRole", "PutUserPermissionsBoundary", "PutRolePermissionsBoundary"}


def on_user(operation: str) -> Authorize:
    return lambda ctx, user_name=None, **args: [_on_entity(ctx, operation, User, user_name or ctx.principal.name, args)]


def on_group(operation: str) -> Authorize:
    return lambda ctx, group_name, **args: [_on_entity(ctx, operation, Group, group_name, args)]


def on_role(operation: str) -> Authorize:
    return lambda ctx, role_name, **args: [_on_entity(ctx, operation, Role, role_name, args)]


def on_policy(operation: str) -> Authorize:
    def authorize(ctx: Context, policy_arn: str, **args: Any) -> list[Need]:
        policy = ctx.tx.get(ManagedPolicy, name_in(policy_arn).lower())
        return [Need(f"iam:{operation}", policy_arn, {**_request_tags(args), **_resource_tags(policy.tags if policy else {})})]

    return authorize


def on_new_policy(operation: str) -> Authorize:
    def authorize(ctx: Context, policy_name: str, path: str = "/", **args: Any) -> list[Need]:
        return [Need(f"iam:{operation}", ctx.scope.global_arn("iam", f"policy{path}{policy_name}"), _request_tags(args))]

    return authorize


def on_profile(operation: str) -> Authorize:
    def authorize(ctx: Context, instance_profile_name: str, path: str = "/", **args: Any) -> list[Need]:
        profile = ctx.tx.get(InstanceProfile, instance_profile_name.lower())
        name = f"instance-profile{path}{instance_profile_name}"
        arn = profile_arn(ctx.scope, profile) if profile else ctx.scope.global_arn("iam", name)
        return [Need(f"iam:{operation}", arn, {**_request_tags(args), **_resource_tags(profile.tags if profile else {})})]

    return authorize


def on_device(operation: str) -> Authorize:
    """A multi-factor device, by its serial number (which is its ARN) or, when it is made, by path and name."""

    def authorize(ctx: Context, serial_number: str = "", virtual_mfa_device_name: str = "", path: str = "/", **args: Any) -> list[Need]:
        arn = serial_number or ctx.scope.global_arn("iam", f"mfa{path}{virtual_mfa_device_name}")
        device = ctx.tx.get(MFADevice, arn.rpartition("/")[2].lower())
        return [Need(f"iam:{operation}", arn, {**_request_tags(args), **_resource_tags(device.tags if device else {})})]

    return authorize


def on_oidc(operation: str) -> Authorize:
    def authorize(ctx: Context, open_id_connect_provider_arn: str = "", url: str = "", **args: Any) -> list[Need]:
        arn = open_id_connect_provider_arn or oidc_arn(ctx.scope, url.split("://", 1)[-1])
        found = ctx.tx.get(OIDCProvider, arn.partition(":oidc-provider/")[2])
        return [Need(f"iam:{operation}", arn, {**_request_tags(args), **_resource_tags(found.tags if found else {})})]

    return authorize


def on_saml(operation: str) -> Authorize:
    def authorize(ctx: Context, saml_provider_arn: str = "", name: str = "", **args: Any) -> list[Need]:
        arn = saml_provider_arn or saml_arn(ctx.scope, name)
        found = ctx.tx.get(SAMLProvider, arn.partition(":saml-provider/")[2])
        return [Need(f"iam:{operation}", arn, {**_request_tags(args), **_resource_tags(found.tags if found else {})})]

    return authorize


def on_certificate(operation: str) -> Authorize:
    def authorize(ctx: Context, server_certificate_name: str, path: str = "/", **args: Any) -> list[Need]:
        found = ctx.tx.get(ServerCertificate, server_certificate_name.lower())
        arn = server_certificate_arn(ctx.scope, found.path if found else path, found.name if found else server_certificate_name)
        return [Need(f"iam:{operation}", arn, {**_request_tags(args), **_resource_tags(found.tags if found else {})})]

    return authorize


def on_account(operation: str) -> Authorize:
    """For operations without a resource of their own."""
    return lambda ctx, **_: [Need(f"iam:{operation}")]


def on_path(operation: str, noun: str) -> Authorize:
    """The List operations: the resource is the path that is asked for."""
    return lambda ctx, path_prefix="/", **_: [Need(f"iam:{operation}", ctx.scope.global_arn("iam", f"{noun}{path_prefix}"))]


def _on_entity(ctx: Context, operation: str, kind: type[Entity], name: str, args: Mapping[str, Any]) -> Need:
    entity = ctx.tx.get(kind, name.lower())
    arn = entity_arn(ctx.scope, entity) if entity else ctx.scope.global_arn("iam", f"{kind.NOUN}{args.get('path', '/')}{name}")
    keys: dict[str, Any] = {**_request_tags(args), **_resource_tags(entity.tags if entity else {})}
    boundary = args.get("permissions_boundary") if operation in _SETS_BOUNDARY else (entity.boundary if entity else None)
    if boundary:
        keys["iam:PermissionsBoundary"] = boundary
    if "policy_arn" in args:
        keys["iam:PolicyARN"] = args["policy_arn"]
    return Need(f"iam:{operation}", arn, keys)


def _request_tags(args: Mapping[str, Any]) -> dict[str, Any]:
    tags = {tag["Key"]: tag["Value"] for tag in args.get("tags") or []}
    keys = [*tags, *(args.get("tag_keys") or [])]
    return {**{f"aws:RequestTag/{key}": value for key, value in tags.items()}, **({"aws:TagKeys": keys} if keys else {})}


def _resource_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items() for prefix in ("aws", "iam")}
