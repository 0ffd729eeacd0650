"""What a caller of each CodeDeploy operation must be allowed to do (Service Authorization Reference, AWS CodeDeploy).

Invariant: the resource is the one that the operation names, and a deployment is authorized on its deployment group.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.services.codedeploy.lookups import application_arn, config_arn, group_arn
from windtunnel.services.codedeploy.model.records import Deployment

SERVICE = "codedeploy.amazonaws.com"


def on_all(action: str) -> Authorize:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(action)]

    return authorize


def on_application(action: str) -> Authorize:
    def authorize(ctx: Context, application_name: str = "", tags: list[dict[str, str]] | None = None, **_: Any) -> list[Need]:
        return [Need(action, application_arn(ctx, application_name), requested_tags(tags))]

    return authorize


def on_applications(action: str) -> Authorize:
    def authorize(ctx: Context, application_names: list[str], **_: Any) -> list[Need]:
        return [Need(action, application_arn(ctx, name)) for name in application_names]

    return authorize


def on_config(action: str) -> Authorize:
    def authorize(ctx: Context, deployment_config_name: str, **_: Any) -> list[Need]:
        return [Need(action, config_arn(ctx, deployment_config_name))]

    return authorize


def on_group(action: str) -> Authorize:
    def authorize(ctx: Context, application_name: str = "*", deployment_group_name: str = "*", **_: Any) -> list[Need]:
        return [Need(action, group_arn(ctx, application_name, deployment_group_name))]

    return authorize


def on_groups(action: str) -> Authorize:
    def authorize(ctx: Context, application_name: str, deployment_group_names: list[str], **_: Any) -> list[Need]:
        return [Need(action, group_arn(ctx, application_name, name)) for name in deployment_group_names]

    return authorize


def creating_group(ctx: Context, application_name: str, deployment_group_name: str, service_role_arn: str, **rest: Any) -> list[Need]:
    group = group_arn(ctx, application_name, deployment_group_name)
    return [Need("codedeploy:CreateDeploymentGroup", group, requested_tags(rest.get("tags"))), passing(service_role_arn)]


def updating_group(
    ctx: Context, application_name: str, current_deployment_group_name: str, service_role_arn: str | None = None, **_: Any
) -> list[Need]:
    needs = [Need("codedeploy:UpdateDeploymentGroup", group_arn(ctx, application_name, current_deployment_group_name))]
    return needs + ([passing(service_role_arn)] if service_role_arn else [])


def passing(role_arn: str) -> Need:
    return Need("iam:PassRole", role_arn, {"iam:PassedToService": SERVICE})


def on_deployment(action: str) -> Authorize:
    def authorize(ctx: Context, deployment_id: str, **_: Any) -> list[Need]:
        return [Need(action, deployment_resource(ctx, deployment_id))]

    return authorize


def on_deployments(action: str) -> Authorize:
    def authorize(ctx: Context, deployment_ids: list[str], **_: Any) -> list[Need]:
        return [Need(action, resource) for resource in dict.fromkeys(deployment_resource(ctx, name) for name in deployment_ids)]

    return authorize


def deployment_resource(ctx: Context, deployment_id: str) -> str:
    found = ctx.tx.get(Deployment, deployment_id)
    return group_arn(ctx, found.application, found.group) if found is not None else group_arn(ctx, "*", "*")


def on_tagged(action: str) -> Authorize:
    def authorize(ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, **rest: Any) -> list[Need]:
        keys = rest.get("tag_keys")
        return [Need(action, resource_arn, {"aws:TagKeys": keys} if keys else requested_tags(tags))]

    return authorize


def requested_tags(tags: list[dict[str, str]] | None) -> dict[str, Any]:
    """The condition keys of a request that carries tags."""
    if not tags:
        return {}
    found: dict[str, Any] = {f"aws:RequestTag/{tag.get('Key', '')}": tag.get("Value", "") for tag in tags}
    return {**found, "aws:TagKeys": [tag.get("Key", "") for tag in tags]}
