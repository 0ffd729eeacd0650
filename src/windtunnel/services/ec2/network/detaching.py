"""A gateway that a stack lets go of while something in its VPC still has a public address: detached as soon as nothing has.

CloudFormation's handler on AWS asks again and again; here a run waits. Invariant: the record stands until the gateway is detached, or says why it is not.
"""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record

PATIENCE = 300.0
"""Seconds after which it is given up."""


class Detaching(Record, kw_only=True):
    """gateway is to be detached from vpc_id. number: how often one has been asked for this VPC."""

    KIND: ClassVar[str] = "ec2.detaching"

    vpc_id: str
    gateway: str
    since: float
    failure: str = ""
    number: int = 1
    done: bool = False

    def key(self) -> str:
        return self.vpc_id


def detaching(ctx: Context, vpc_id: str) -> Detaching | None:
    """What is under way, or has failed, for this VPC."""
    found = ctx.tx.get(Detaching, vpc_id)
    return None if found is None or found.done else found


def detach_when_free(ctx: Context, gateway: str, vpc_id: str) -> None:
    """In a write transaction of whoever was allowed to detach it at once."""
    held = ctx.tx.get(Detaching, vpc_id)
    if held is not None and not held.done and not held.failure:
        return
    number = held.number + 1 if held is not None else 1
    ctx.tx.put(Detaching(vpc_id=vpc_id, gateway=gateway, since=ctx.now, number=number))
    ctx.start_job("ec2.detach-gateway", f"{gateway}/{vpc_id}/{number}", vpc_id=vpc_id)


@job("ec2.detach-gateway")
def detach(run: Run, vpc_id: str) -> None:
    run.until("free", lambda ctx: free(ctx, vpc_id), every=0.25)
    run.tx("detach", finish, vpc_id)


def free(ctx: Context, vpc_id: str) -> str | None:
    """On a snapshot: whether it can be detached, or has been waited for long enough."""
    from windtunnel.services.ec2.network.egress import mapped

    held = ctx.tx.get(Detaching, vpc_id)
    if held is None or not mapped(ctx, vpc_id):
        return "free"
    return "late" if ctx.now - held.since > PATIENCE else None


def finish(ctx: Context, vpc_id: str) -> None:
    held: Any = ctx.tx.get(Detaching, vpc_id)
    if held is None:
        return
    try:
        ctx.call("ec2", "DetachInternetGateway", internet_gateway_id=held.gateway, vpc_id=vpc_id)
        held.done = True
    except AwsError as error:
        held.done = error.code != "DependencyViolation"  # it is gone, or not attached
        held.failure = "" if held.done else error.message
    ctx.tx.put(held)
