"""Starting, stopping, rebooting and terminating instances (EC2 API reference, 2016-11-15).

Invariant: a handler only says what is wanted; the instance's own run (jobs.py) does it.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.kernel.trail import trail
from windtunnel.services.ec2.instances import dry, move, on_instances, the_instances
from windtunnel.services.ec2.launching import boot
from windtunnel.services.ec2.model import Instance, State, stamp, state_shape


def change(instance: Instance, previous: State) -> dict[str, Any]:
    return {"InstanceId": instance.id, "CurrentState": state_shape(instance.state), "PreviousState": state_shape(previous)}


def refuse_states(instances: list[Instance], allowed: tuple[State, ...], verb: str) -> None:
    for instance in instances:
        if instance.state not in allowed:
            raise AwsError("IncorrectInstanceState", f"The instance '{instance.id}' is not in a state from which it can be {verb}.")


@writes("ec2", "TerminateInstances", authorize=on_instances("ec2:TerminateInstances"), acts="InstanceIds[] DryRun")
def terminate_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    for instance in found:
        if instance.protected:
            raise AwsError(
                "OperationNotPermitted",
                f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
            )
    dry(dry_run)
    changes = []
    for instance in found:
        previous = instance.state
        if previous not in ("shutting-down", "terminated"):
            instance.reason_code, instance.reason = "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
            end(ctx, instance, "shutting-down", "terminate", previous)
        changes.append(change(instance, previous))
    return {"TerminatingInstances": changes}


def end(ctx: Context, instance: Instance, state: State, word: str, previous: State) -> None:
    """Begin stopping or terminating. The instance's own run does it; a stopped one has none, so it gets one that only removes."""
    instance.transition = f"User initiated ({stamp(ctx.now)})"
    move(ctx, instance, state)
    if previous == "stopped":
        ctx.start_job("ec2.remove", f"{instance.id}/remove", instance_id=instance.id)
    else:
        ctx.signal(f"ec2.order:{instance.id}:{instance.boots}", {"order": word})
    trail(ctx, [instance.id], f"{ctx.principal.arn} asked to {word} instance {instance.id}")


@writes(
    "ec2",
    "StopInstances",
    authorize=on_instances("ec2:StopInstances"),
    acts="InstanceIds[] DryRun",
    default_only={"Hibernate": False, "Force": False},
)
def stop_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False, **_: Any) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    refuse_states(found, ("pending", "running", "stopping", "stopped"), "stopped")
    dry(dry_run)
    changes = []
    for instance in found:
        previous = instance.state
        if previous in ("running", "pending"):
            instance.reason_code, instance.reason = "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
            end(ctx, instance, "stopping", "stop", previous)
        changes.append(change(instance, previous))
    return {"StoppingInstances": changes}


@writes("ec2", "StartInstances", authorize=on_instances("ec2:StartInstances"), acts="InstanceIds[] DryRun")
def start_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    refuse_states(found, ("stopped", "pending", "running"), "started")
    dry(dry_run)
    changes = []
    for instance in found:
        previous = instance.state
        if previous == "stopped":
            instance.reason_code = instance.reason = instance.transition = ""
            instance.launched = ctx.now
            boot(ctx, instance)
        changes.append(change(instance, previous))
    return {"StartingInstances": changes}


@writes("ec2", "RebootInstances", authorize=on_instances("ec2:RebootInstances"), acts="InstanceIds[] DryRun")
def reboot_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    refuse_states(found, ("running",), "rebooted")
    dry(dry_run)
    for instance in found:
        ctx.signal(f"ec2.order:{instance.id}:{instance.boots}", {"order": "reboot"})
    return {}
