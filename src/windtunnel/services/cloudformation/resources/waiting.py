"""Wait conditions and their handles (AWS CloudFormation user guide, "Creating wait conditions").

Invariant: a handle's address is its physical id, so whoever has the Ref can signal; signals count once by their UniqueId.
"""

from __future__ import annotations

import json

from windtunnel.kernel.context import Context
from windtunnel.provision.registry import Created, Failed, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.services.cloudformation.answering import address, parts_of
from windtunnel.services.cloudformation.model import Signal, stack_of_arn

DEADLINE = ".deadline"
LONGEST = 43200


@resource_type("AWS::CloudFormation::WaitConditionHandle")
class WaitConditionHandle(ResourceType):
    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        return Created(id=address(ctx, "cloudformation-waitcondition", wanted.stack_id, wanted.logical_id, wanted.token))

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        return {}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        for signal in signals(ctx, resource.id):
            ctx.tx.delete(Signal, signal.key())
        return True


def signals(ctx: Context, handle: str) -> list[Signal]:
    """What was sent to a handle's address."""
    path = handle.removeprefix(ctx.cloud.endpoint).split("?")[0]
    found = parts_of(path)
    stack = stack_of_arn(found[1]) if found is not None else None
    if found is None or stack is None:
        raise Failed(f"WaitCondition Handle {handle} is not one of a WaitConditionHandle.", "")
    return ctx.tx.scan(Signal, prefix=f"{stack[1]}/{found[2]}/")


@resource_type("AWS::CloudFormation::WaitCondition")
class WaitCondition(ResourceType):
    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made, timeout = f"{wanted.stack_id}/{wanted.logical_id}", str(props.get("Timeout", 0))
        if not timeout.isdecimal() or int(timeout) > LONGEST:
            raise Failed(f"Value of property Timeout must be a whole number from 0 to {LONGEST}", "")
        if "Handle" not in props:
            return Created(id=made)  # one with a CreationPolicy: the engine hears its signals
        return Created(id=made, attributes={DEADLINE: ctx.now + int(timeout)}, ready=int(props.get("Count", 1)) == 0)

    def settled(self, ctx: Context, resource: Resource) -> bool | Created:
        count, heard = int(resource.properties.get("Count", 1)), signals(ctx, resource.properties["Handle"])
        for signal in heard:
            if signal.status == "FAILURE":
                raise Failed(f"WaitCondition received failed message: '{signal.reason}' for uniqueId: {signal.unique}", "")
        if len(heard) >= count:
            data = {signal.unique: signal.data for signal in heard}
            return Created(id=resource.id, attributes={"Data": json.dumps(data, separators=(",", ":"))})
        if ctx.now >= resource.attributes[DEADLINE]:
            raise Failed(f"WaitCondition timed out. Received {len(heard)} conditions when expecting {count}", "")
        return False

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        return dict(resource.properties)

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        raise Failed("Update to resource type AWS::CloudFormation::WaitCondition is not supported.", "")

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        return True
