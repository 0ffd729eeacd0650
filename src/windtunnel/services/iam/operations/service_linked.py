"""Service-linked roles: made for a service, kept from users' changes, deleted by a task that says how it went."""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, now, role, save
from windtunnel.services.iam.model import InstanceProfile, Role, described
from windtunnel.services.iam.operations.authorize import on_role
from windtunnel.services.iam.service_linked import LINKED, PREFIX, role_path, trust_policy


class RoleDeletion(Record, kw_only=True):
    """A deletion task: it ends at once here, for no service that runs keeps its role in use."""

    KIND: ClassVar[str] = "iam.role-deletion"
    SCOPE: ClassVar[RecordScope] = "account"

    id: str
    role: str
    created: float

    def key(self) -> str:
        return self.id


def _name(service: str, suffix: str) -> str:
    linked = LINKED.get(service)
    if linked is None:
        raise AwsError(
            "InvalidInput", f"Service role name for {service} is not known here: it has no service-linked role that could be made."
        )
    if suffix and not linked.suffix:
        raise AwsError("InvalidInput", f"Custom suffix is not allowed for {service}")
    return f"{linked.role}_{suffix}" if suffix else linked.role


def _creates(ctx: Context, aws_service_name: str, **_: Any) -> list[Need]:
    linked = LINKED.get(aws_service_name)
    name = linked.role if linked is not None else "*"
    arn = ctx.scope.global_arn("iam", f"role{role_path(aws_service_name)}{name}")
    return [Need("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": aws_service_name})]


@writes(
    "iam",
    "CreateServiceLinkedRole",
    authorize=_creates,
    acts="AWSServiceName CustomSuffix",
    descriptive="Description",
)
def create_service_linked_role(ctx: Context, aws_service_name: str, description: str = "", custom_suffix: str = "") -> Reply:
    name = _name(aws_service_name, custom_suffix)
    if ctx.tx.get(Role, name.lower()) is not None:
        words = f"Service role name {name} has been taken in this account, please try a different suffix."
        raise AwsError("InvalidInput", words)
    made = Role(
        name=name,
        path=role_path(aws_service_name),
        id="AROA" + ctx.ids.upper(17),
        created=now(ctx),
        trust=trust_policy(aws_service_name),
        description=description,
        service=aws_service_name,
        attached=[PREFIX + LINKED[aws_service_name].policy],
    )
    save(ctx, made)
    return {"Role": described(ctx.scope, made)}


@writes("iam", "DeleteServiceLinkedRole", authorize=on_role("DeleteServiceLinkedRole"), acts="RoleName")
def delete_service_linked_role(ctx: Context, role_name: str) -> Reply:
    found = role(ctx, role_name)
    if not found.service or ctx.tx.find(InstanceProfile, "role", found.key(), limit=1):
        raise AwsError("NoSuchEntity", f"The role with name {role_name} is not a service-linked role.")
    task = RoleDeletion(id=f"task{found.path}{found.name}/{ctx.ids.uuid()}", role=found.name, created=now(ctx))
    ctx.tx.put(task)
    drop(ctx, found)
    return {"DeletionTaskId": task.id}


def _asks_of_task(ctx: Context, deletion_task_id: str, **_: Any) -> list[Need]:
    path = deletion_task_id.removeprefix("task").rpartition("/")[0]
    return [Need("iam:GetServiceLinkedRoleDeletionStatus", ctx.scope.global_arn("iam", f"role{path}"))]


@reads("iam", "GetServiceLinkedRoleDeletionStatus", authorize=_asks_of_task, acts="DeletionTaskId")
def get_service_linked_role_deletion_status(ctx: Context, deletion_task_id: str) -> Reply:
    if ctx.tx.get(RoleDeletion, deletion_task_id) is None:
        raise AwsError("NoSuchEntity", f"Deletion id {deletion_task_id} is not found.")
    return {"Status": "SUCCEEDED"}
