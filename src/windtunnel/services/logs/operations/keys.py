"""The KMS key by which a group's messages are sealed at rest."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import writes
from windtunnel.services.logs.model import group_name, group_or_error, need
from windtunnel.services.logs.sealing import new_data_key


def on_either(action: str) -> Any:
    def authorize(ctx: Context, log_group_name: str | None = None, resource_identifier: str | None = None, **_: Any) -> list[Need]:
        return need(ctx, action, _named(action, log_group_name, resource_identifier))

    return authorize


def _named(operation: str, name: str | None, identifier: str | None) -> str:
    if identifier and ":query-result:" in identifier:
        raise not_built("logs", operation, "resourceIdentifier of query results")
    if name and identifier:
        raise AwsError("InvalidParameterException", "LogGroupName and ResourceIdentifier are mutually exclusive.")
    return group_name(name, identifier)


@writes("logs", "AssociateKmsKey", authorize=on_either("AssociateKmsKey"), acts="logGroupName resourceIdentifier kmsKeyId")
def associate_kms_key(ctx: Context, kms_key_id: str, log_group_name: str | None = None, resource_identifier: str | None = None) -> Reply:
    """What is put from now on is sealed by this key; what was put before stays as it is."""
    group = group_or_error(ctx, _named("AssociateKmsKey", log_group_name, resource_identifier))
    new_data_key(ctx, group, kms_key_id)
    ctx.tx.put(group)
    return {}


@writes("logs", "DisassociateKmsKey", authorize=on_either("DisassociateKmsKey"), acts="logGroupName resourceIdentifier")
def disassociate_kms_key(ctx: Context, log_group_name: str | None = None, resource_identifier: str | None = None) -> Reply:
    """What was sealed stays sealed, and readable for as long as the key allows it."""
    group = group_or_error(ctx, _named("DisassociateKmsKey", log_group_name, resource_identifier))
    group.kms_key = group.data_key = ""
    ctx.tx.put(group)
    return {}
