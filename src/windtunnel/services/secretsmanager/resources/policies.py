"""AWS::SecretsManager::ResourcePolicy: there is one a secret, so that its identifier is the secret's ARN."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists, attempt, listed, parsed, text
from windtunnel.provision.registry import Created, Properties, Resource, Wanted, resource_type
from windtunnel.services.secretsmanager.resources.shared import MISSING, secrets


def _told(ctx: Context, secret: str) -> object | None:
    reply = attempt(ctx, MISSING, "secretsmanager", "GetResourcePolicy", SecretId=secret)
    return None if reply is None or "ResourcePolicy" not in reply else parsed(reply["ResourcePolicy"])


@resource_type("AWS::SecretsManager::ResourcePolicy")
class ResourcePolicyType(Direct):
    service = "secretsmanager"
    calls = "GetResourcePolicy PutResourcePolicy DeleteResourcePolicy"
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        if _told(ctx, props["SecretId"]) is not None:
            raise already_exists(self.type, props["SecretId"])
        arn = self._put(ctx, props["SecretId"], props)
        return Created(id=arn, attributes={"Id": arn})

    def _put(self, ctx: Context, secret: str, props: Properties) -> str:
        policy = text(props["ResourcePolicy"])
        made = secrets(ctx, "PutResourcePolicy", SecretId=secret, ResourcePolicy=policy, BlockPublicPolicy=props.get("BlockPublicPolicy"))
        return str(made["ARN"])

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        told = _told(ctx, resource.id)
        return (
            None
            if told is None
            else {"SecretId": resource.properties.get("SecretId", resource.id), "ResourcePolicy": told, "Id": resource.id}
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._put(ctx, resource.id, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        secrets(ctx, "DeleteResourcePolicy", SecretId=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        found = listed(ctx, "secretsmanager", "ListSecrets", "SecretList")
        return (secret["ARN"] for secret in found if _told(ctx, secret["ARN"]) is not None)
