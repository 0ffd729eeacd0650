"""Deployment configurations (CodeDeploy API reference, 2014-10-06)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codedeploy.authorize import on_all, on_config
from windtunnel.services.codedeploy.lookups import check_config_name, config_of, page
from windtunnel.services.codedeploy.model.configs import OTHER_PLATFORMS, PREDEFINED, invalid_minimum
from windtunnel.services.codedeploy.model.records import Config, Group, MinimumHealthy

RESERVED = "CodeDeployDefault."


@reads("codedeploy", "ListDeploymentConfigs", authorize=on_all("codedeploy:ListDeploymentConfigs"), acts="nextToken", cost="scan")
def list_deployment_configs(ctx: Context, next_token: str | None = None) -> Reply:
    names = [*sorted([*PREDEFINED, *OTHER_PLATFORMS]), *(config.name for config in ctx.tx.scan(Config))]
    part, more = page(names, next_token)
    return {"deploymentConfigsList": part, **({"nextToken": more} if more else {})}


@reads("codedeploy", "GetDeploymentConfig", authorize=on_config("codedeploy:GetDeploymentConfig"), acts="deploymentConfigName")
def get_deployment_config(ctx: Context, deployment_config_name: str) -> Reply:
    if deployment_config_name in OTHER_PLATFORMS:
        raise not_built("codedeploy", "GetDeploymentConfig", f"computePlatform {OTHER_PLATFORMS[deployment_config_name]}")
    config = config_of(ctx, deployment_config_name)
    reply: dict[str, Any] = {
        "deploymentConfigId": config.id,
        "deploymentConfigName": config.name,
        "minimumHealthyHosts": {"type": config.minimum.type, "value": config.minimum.value},
        "computePlatform": "Server",
    }
    if config.created is not None:
        reply["createTime"] = config.created
    return {"deploymentConfigInfo": reply}


@writes(
    "codedeploy",
    "CreateDeploymentConfig",
    authorize=on_config("codedeploy:CreateDeploymentConfig"),
    acts="deploymentConfigName minimumHealthyHosts.type minimumHealthyHosts.value computePlatform",
)
def create_deployment_config(
    ctx: Context,
    deployment_config_name: str,
    minimum_healthy_hosts: dict[str, Any] | None = None,
    compute_platform: str = "Server",
) -> Reply:
    check_config_name(deployment_config_name)
    if deployment_config_name.startswith(RESERVED):
        raise AwsError("InvalidDeploymentConfigNameException", f"A deployment configuration name must not begin with {RESERVED}")
    if compute_platform in ("Lambda", "ECS"):
        raise not_built("codedeploy", "CreateDeploymentConfig", f"computePlatform {compute_platform}")
    if compute_platform != "Server":
        raise AwsError("InvalidComputePlatformException", f"The compute platform {compute_platform} is not valid.")
    if ctx.tx.get(Config, deployment_config_name) is not None:
        said = f"Deployment Config already exists with name: {deployment_config_name}"
        raise AwsError("DeploymentConfigAlreadyExistsException", said)
    given = minimum_healthy_hosts or {}
    if given.get("type") is None or given.get("value") is None:
        said = "The minimum healthy hosts type and value must be specified for the compute platform Server."
        raise AwsError("InvalidMinimumHealthyHostValueException", said)
    minimum = MinimumHealthy(given["type"], given["value"])
    wrong = invalid_minimum(minimum)
    if wrong:
        raise AwsError("InvalidMinimumHealthyHostValueException", wrong)
    config = Config(name=deployment_config_name, id=ctx.ids.uuid(), minimum=minimum, created=ctx.now)
    ctx.tx.insert(config)
    return {"deploymentConfigId": config.id}


@writes("codedeploy", "DeleteDeploymentConfig", authorize=on_config("codedeploy:DeleteDeploymentConfig"), acts="deploymentConfigName")
def delete_deployment_config(ctx: Context, deployment_config_name: str) -> Reply:
    check_config_name(deployment_config_name)
    if deployment_config_name in PREDEFINED or deployment_config_name in OTHER_PLATFORMS:
        raise AwsError("InvalidOperationException", f"The predefined deployment configuration {deployment_config_name} cannot be deleted.")
    if ctx.tx.find(Group, "config", deployment_config_name, limit=1):
        raise AwsError("DeploymentConfigInUseException", f"The deployment configuration {deployment_config_name} is still in use.")
    ctx.tx.delete(Config, deployment_config_name)
    return {}
