"""A registry as it is before anyone has configured it: configuring one is not built."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads


def on_registry(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"ecr:{action}")]

    return authorize


@reads("ecr", "DescribeRegistry", authorize=on_registry("DescribeRegistry"))
def describe_registry(ctx: Context) -> Reply:
    return {"registryId": ctx.scope.account, "replicationConfiguration": {"rules": []}}


@reads("ecr", "GetRegistryPolicy", authorize=on_registry("GetRegistryPolicy"))
def get_registry_policy(ctx: Context) -> Reply:
    raise AwsError("RegistryPolicyNotFoundException", f"Registry policy does not exist in the registry with id '{ctx.scope.account}'")


@reads("ecr", "GetRegistryScanningConfiguration", authorize=on_registry("GetRegistryScanningConfiguration"))
def get_registry_scanning_configuration(ctx: Context) -> Reply:
    return {"registryId": ctx.scope.account, "scanningConfiguration": {"scanType": "BASIC", "rules": []}}
