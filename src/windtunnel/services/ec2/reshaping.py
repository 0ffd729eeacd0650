"""An instance that a stack gives another type or other user data: stopped, changed, started again, as CloudFormation does on AWS.

Whoever asks was allowed to stop it; a run does the rest. Invariant: the record stands until the instance has its new shape, or says why it has not.
"""

from __future__ import annotations

from typing import ClassVar

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.services.ec2.model import Instance


class Reshaping(Record, kw_only=True):
    """type and user_data are what the instance is to have; None: as it is. number: how often one has been asked for this instance."""

    KIND: ClassVar[str] = "ec2.reshaping"

    instance_id: str
    type: str | None = None
    user_data: str | None = None
    failure: str = ""
    number: int = 1
    done: bool = False

    def key(self) -> str:
        return self.instance_id


def reshape(ctx: Context, instance_id: str, type: str | None, user_data: str | None) -> None:
    """Begin, in the transaction of whoever asks; who must be allowed to stop the instance, to change and to start it."""
    held = ctx.tx.get(Reshaping, instance_id)
    number = held.number + 1 if held is not None else 1
    instance = ctx.tx.get(Instance, instance_id)
    if instance is not None and instance.state in ("running", "pending"):
        ctx.call("ec2", "StopInstances", instance_ids=[instance_id])
    ctx.tx.put(Reshaping(instance_id=instance_id, type=type, user_data=user_data, number=number))
    ctx.start_job("ec2.reshape", f"{instance_id}/reshape/{number}", instance_id=instance_id)


def reshaped(ctx: Context, instance_id: str) -> Reshaping | None:
    """What is under way, or has failed."""
    held = ctx.tx.get(Reshaping, instance_id)
    return None if held is None or held.done else held


@job("ec2.reshape")
def run_reshape(run: Run, instance_id: str) -> None:
    run.until("stopped", lambda ctx: stopped(ctx, instance_id), every=0.25)
    run.tx("change", change, instance_id)


def stopped(ctx: Context, instance_id: str) -> str | None:
    instance = ctx.tx.get(Instance, instance_id)
    return None if instance is not None and instance.state in ("running", "pending", "stopping") else "stopped"


def change(ctx: Context, instance_id: str) -> None:
    held = ctx.tx.get(Reshaping, instance_id)
    if held is None:
        return
    try:
        if held.type is not None:
            ctx.call("ec2", "ModifyInstanceAttribute", instance_id=instance_id, instance_type={"Value": held.type})
        if held.user_data is not None:
            ctx.call("ec2", "ModifyInstanceAttribute", instance_id=instance_id, attribute="userData", value=held.user_data)
        ctx.call("ec2", "StartInstances", instance_ids=[instance_id])
        held.done = True
    except AwsError as error:
        held.failure = error.message
    ctx.tx.put(held)
