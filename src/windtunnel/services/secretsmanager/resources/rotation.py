"""AWS::SecretsManager::RotationSchedule: RotateSecret decides, which refuses rotation functions by name while there is no Lambda."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import not_built
from windtunnel.provision.handling import Direct
from windtunnel.provision.registry import Created, Properties, Resource, Wanted, resource_type
from windtunnel.services.secretsmanager.resources.shared import MISSING, described, secrets


@resource_type("AWS::SecretsManager::RotationSchedule")
class RotationScheduleType(Direct):
    service = "secretsmanager"
    calls = "RotateSecret CancelRotateSecret"
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        arn = self._rotate(ctx, props["SecretId"], props)
        return Created(id=arn, attributes={"Id": arn})

    def _rotate(self, ctx: Context, secret: str, props: Properties) -> str:
        if "HostedRotationLambda" in props:
            raise not_built("secretsmanager", "RotateSecret", "HostedRotationLambda")
        made = secrets(
            ctx,
            "RotateSecret",
            SecretId=secret,
            RotationLambdaARN=props.get("RotationLambdaARN"),
            RotationRules=props.get("RotationRules"),
            RotateImmediately=props.get("RotateImmediatelyOnUpdate"),
            ExternalSecretRotationMetadata=props.get("ExternalSecretRotationMetadata"),
            ExternalSecretRotationRoleArn=props.get("ExternalSecretRotationRoleArn"),
        )
        return str(made["ARN"])

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = described(ctx, resource.id)
        if found is None or not found.get("RotationEnabled"):
            return None
        told: Properties = {name: found[name] for name in ("RotationLambdaARN", "RotationRules") if name in found}
        return {"SecretId": resource.properties.get("SecretId", resource.id), **told, "Id": resource.id}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._rotate(ctx, resource.id, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        secrets(ctx, "CancelRotateSecret", SecretId=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return ()
