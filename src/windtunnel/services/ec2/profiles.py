"""The instance profile of an instance that is there: given, exchanged, taken away (EC2 API reference, 2016-11-15).

An association's id follows from its instance's: an instance has one profile at most.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import instance_keys, on_everything, the_instances, visible
from windtunnel.services.ec2.launching import profile
from windtunnel.services.ec2.model import Instance, instance_arn
from windtunnel.services.ec2.network.common import checked_page, page_of, tells

PREFIX = "iip-assoc-"
LIVE = ("pending", "running", "stopping", "stopped")


def association(instance: Instance, state: str = "associated") -> dict[str, Any]:
    held = {"Arn": instance.profile_arn, "Id": instance.profile_id}
    return {
        "AssociationId": PREFIX + instance.id.removeprefix("i-"),
        "InstanceId": instance.id,
        "IamInstanceProfile": held,
        "State": state,
    }


def associated(ctx: Context, name: str) -> Instance:
    """The instance of an association. Raises NoSuchAssociation."""
    found = ctx.tx.get(Instance, "i-" + name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    if found is None or not found.profile_arn or found.state not in LIVE:
        raise AwsError("NoSuchAssociation", f"An invalid association-id of '{name}' was given")
    return found


def needs(ctx: Context, action: str, instance_id: str, named: dict[str, str] | None) -> list[Need]:
    found = profile(ctx, named) if named else {}
    asked = {"ec2:NewInstanceProfile": found["Arn"]} if found else {}
    roles = [Need("iam:PassRole", role["Arn"], {"iam:PassedToService": "ec2.amazonaws.com"}) for role in found.get("Roles", [])]
    return [Need(f"ec2:{action}", instance_arn(ctx.scope, instance_id), instance_keys(ctx, instance_id) | asked), *roles]


def on_associated(action: str) -> Any:
    def authorize(ctx: Context, association_id: str, iam_instance_profile: dict[str, str] | None = None, **_: Any) -> list[Need]:
        return needs(ctx, action, "i-" + association_id.removeprefix(PREFIX), iam_instance_profile)

    return authorize


def to_associate(ctx: Context, instance_id: str, iam_instance_profile: dict[str, str], **_: Any) -> list[Need]:
    return needs(ctx, "AssociateIamInstanceProfile", instance_id, iam_instance_profile)


def wear(ctx: Context, instance: Instance, named: dict[str, str]) -> Reply:
    found = profile(ctx, named)
    instance.profile_arn, instance.profile_id = found["Arn"], found["InstanceProfileId"]
    ctx.tx.put(instance)
    return {"IamInstanceProfileAssociation": association(instance, "associating")}


@writes(
    "ec2",
    "AssociateIamInstanceProfile",
    authorize=to_associate,
    acts="InstanceId IamInstanceProfile.Name IamInstanceProfile.Arn",
)
def associate_iam_instance_profile(ctx: Context, instance_id: str, iam_instance_profile: dict[str, str]) -> Reply:
    instance = the_instances(ctx, [instance_id])[0]
    if instance.state not in LIVE:
        raise AwsError("IncorrectState", f"The instance '{instance_id}' is not in the 'running' or 'stopped' states.")
    if instance.profile_arn:
        raise AwsError("IncorrectState", f"There is an existing association for instance {instance_id}")
    return wear(ctx, instance, iam_instance_profile)


@writes(
    "ec2",
    "ReplaceIamInstanceProfileAssociation",
    authorize=on_associated("ReplaceIamInstanceProfileAssociation"),
    acts="AssociationId IamInstanceProfile.Name IamInstanceProfile.Arn",
)
def replace_iam_instance_profile_association(ctx: Context, association_id: str, iam_instance_profile: dict[str, str]) -> Reply:
    return wear(ctx, associated(ctx, association_id), iam_instance_profile)


@writes(
    "ec2",
    "DisassociateIamInstanceProfile",
    authorize=on_associated("DisassociateIamInstanceProfile"),
    acts="AssociationId",
)
def disassociate_iam_instance_profile(ctx: Context, association_id: str) -> Reply:
    """Credentials that its metadata has told stay good until they end."""
    instance = associated(ctx, association_id)
    shown = association(instance, "disassociating")
    instance.profile_arn = instance.profile_id = ""
    ctx.tx.put(instance)
    return {"IamInstanceProfileAssociation": shown}


@reads(
    "ec2",
    "DescribeIamInstanceProfileAssociations",
    authorize=on_everything("ec2:DescribeIamInstanceProfileAssociations"),
    acts="AssociationIds[] Filters[].Name Filters[].Values[] MaxResults NextToken",
    cost="scan",
)
def describe_iam_instance_profile_associations(
    ctx: Context,
    association_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
) -> Reply:
    size = checked_page(max_results)
    found = [associated(ctx, name) for name in association_ids] if association_ids else visible(ctx)
    shapes = [association(instance) for instance in found if instance.profile_arn and instance.state in LIVE]
    kept = chosen(shapes, filters, {"instance-id": tells("InstanceId"), "state": tells("State")})
    return page_of(kept, "AssociationId", "IamInstanceProfileAssociations", size, next_token)
