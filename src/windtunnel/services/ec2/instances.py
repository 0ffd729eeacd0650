"""What all operations on instances share: finding them, showing them, moving them, and who may touch them."""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.services.ec2.model import TERMINATED_SHOWN, Instance, State, described, instance_arn

INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{17}|[0-9a-f]{8})\Z")


def groups_of(ctx: Context, instance: Instance) -> list[dict[str, str]]:
    """GroupId and GroupName of each of its security groups."""
    from windtunnel.services.ec2.network.common import peek
    from windtunnel.services.ec2.network.model import SecurityGroup

    found = [(name, peek(ctx, SecurityGroup, name)) for name in instance.placed(ctx.scope).groups]
    return [{"GroupId": name, "GroupName": group.name if group else ""} for name, group in found]


def shape(ctx: Context, instance: Instance) -> dict[str, Any]:
    from windtunnel.services.ec2.network.showing import of_instance
    from windtunnel.services.ec2.volumes import mappings_of

    shown = described(ctx.scope, instance, groups_of(ctx, instance), of_instance(ctx, instance))
    return shown | {"BlockDeviceMappings": mappings_of(ctx, instance)}


def dry(dry_run: bool) -> None:
    """A permitted dry run ends here, with AWS's odd success."""
    if dry_run:
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)


def visible(ctx: Context) -> list[Instance]:
    found = ctx.tx.scan(Instance)
    return [i for i in found if i.state != "terminated" or ctx.now - i.ended < TERMINATED_SHOWN]


def the_instances(ctx: Context, ids: list[str]) -> list[Instance]:
    """In the order asked. Raises InvalidInstanceID.Malformed or .NotFound as AWS words them."""
    found, missing = [], []
    for name in ids:
        if not INSTANCE_ID.match(name):
            raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{name}"')
        instance = ctx.tx.get(Instance, name)
        if instance is None or (instance.state == "terminated" and ctx.now - instance.ended >= TERMINATED_SHOWN):
            missing.append(name)
        else:
            found.append(instance)
    if len(missing) == 1:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{missing[0]}' does not exist")
    if missing:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(missing)}' do not exist")
    return found


def move(ctx: Context, instance: Instance, state: State) -> None:
    """Put the instance into a state, with the event that AWS sends. What it had in its subnet ends with it."""
    instance.state = state
    if state == "terminated":
        from windtunnel.services.ec2.network.interfaces import take_interfaces
        from windtunnel.services.ec2.volumes import take_volumes

        take_interfaces(ctx, instance.id)
        take_volumes(ctx, instance.id)
        instance.elastic_ip = ""
    ctx.tx.put(instance)
    ctx.emit(
        "aws.ec2",
        "EC2 Instance State-change Notification",
        [instance_arn(ctx.scope, instance.id)],
        {"instance-id": instance.id, "state": state},
    )


def on_everything(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(action, "*")]

    return authorize


def instance_keys(ctx: Context, instance_id: str) -> dict[str, Any]:
    """The condition keys of an instance as a resource (Service Authorization Reference, EC2, "instance")."""
    keys: dict[str, Any] = {"ec2:Region": ctx.scope.region, "ec2:InstanceID": instance_id}
    instance = ctx.tx.get(Instance, instance_id)
    if instance is None:
        return keys
    keys |= {
        "ec2:AvailabilityZone": instance.placed(ctx.scope).zone,
        "ec2:InstanceType": instance.type,
        "ec2:MetadataHttpEndpoint": instance.metadata.http_endpoint,
        "ec2:MetadataHttpPutResponseHopLimit": instance.metadata.hop_limit,
        "ec2:MetadataHttpTokens": instance.metadata.http_tokens,
        "ec2:RootDeviceType": "ebs",
        "ec2:Tenancy": "default",
    }
    if instance.profile_arn:
        keys["ec2:InstanceProfile"] = instance.profile_arn
    for key, value in instance.tags.items():
        keys |= {f"aws:ResourceTag/{key}": value, f"ec2:ResourceTag/{key}": value}
    return keys


def on_instances(action: str) -> Any:
    def authorize(ctx: Context, instance_ids: list[str], **_: Any) -> list[Need]:
        needs = []
        for name in instance_ids:
            needs.append(Need(action, instance_arn(ctx.scope, name), instance_keys(ctx, name)))
        return needs

    return authorize


def on_instance(action: str) -> Any:
    def authorize(ctx: Context, instance_id: str, **_: Any) -> list[Need]:
        return on_instances(action)(ctx, [instance_id])  # type: ignore[no-any-return]

    return authorize
