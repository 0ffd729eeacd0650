"""Resource types without a stack: create, read, update and delete as CloudFormation's engine calls them, each in a transaction of its own.

A handler that raises leaves nothing, as in the engine: the transaction is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from harness import ACCOUNT, REGION, InProcessCloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.provision.registry import Created, Properties, Resource, ResourceType, Wanted, handler

T = TypeVar("T")
STACK = "demo"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/00000000-0000-0000-0000-000000000000"


class Lab:
    """One cloud; `principal` asks for everything, root unless another is given."""

    def __init__(self, cloud: InProcessCloud, principal: Principal | None = None) -> None:
        self.cloud = cloud
        self.principal = principal
        self._made = 0

    def create(self, type_name: str, logical_id: str = "Thing", **props: Any) -> Resource:
        found = handler(type_name)
        assert found is not None, f"{type_name} does not run"
        wanted = self._wanted(found, logical_id, props)
        prepared = self._prepared(found, props, wanted)
        made = self._write(lambda ctx: found.create(ctx, props, wanted), prepared)
        return Resource(
            type=type_name,
            logical_id=logical_id,
            id=made.id,
            properties=props,
            attributes=made.attributes,
            stack_id=STACK_ID,
            stack_name=STACK,
        )

    def read(self, resource: Resource) -> Properties | None:
        found = self._type(resource)

        def run(ctx: Context) -> Properties | None:
            try:
                return found.read(_by_stack(ctx), resource)
            except AwsError as error:
                if error.code in found.missing:
                    return None
                raise

        return self.cloud.read(run, self.principal)

    def update(self, resource: Resource, **new: Any) -> Resource:
        """new: the whole properties, as a template has them."""
        found = self._type(resource)
        wanted = self._wanted(found, resource.logical_id, new)
        prepared = self._prepared(found, new, wanted)
        changed: Created | None = self._write(lambda ctx: found.update(ctx, resource, new, wanted), prepared)
        resource.properties = new
        if changed is not None:
            resource.id, resource.attributes = changed.id, changed.attributes
        return resource

    def delete(self, resource: Resource) -> None:
        """Deleting what is gone is success, by the type's `missing` codes."""
        found = self._type(resource)
        try:
            self._write(lambda ctx: found.delete(ctx, resource))
        except AwsError as error:
            if error.code not in found.missing:
                raise

    def list(self, type_name: str) -> list[str]:
        found = handler(type_name)
        assert found is not None
        return self.cloud.read(lambda ctx: list(found.list(_by_stack(ctx))), self.principal)

    def ref(self, resource: Resource) -> Any:
        return self._type(resource).ref(resource)

    def _type(self, resource: Resource) -> ResourceType:
        found = handler(resource.type)
        assert found is not None
        return found

    def _wanted(self, found: ResourceType, logical_id: str, props: Mapping[str, Any]) -> Wanted:
        self._made += 1
        name = ""
        if found.name is not None:
            name = props.get(found.name.property) or f"{STACK}-{logical_id}-RANDOM{self._made:06d}"[: found.name.limit]
            name = name.lower() if found.name.lower else name
        tags = {
            "aws:cloudformation:stack-name": STACK,
            "aws:cloudformation:stack-id": STACK_ID,
            "aws:cloudformation:logical-id": logical_id,
        }
        return Wanted(logical_id=logical_id, stack_name=STACK, stack_id=STACK_ID, name=name, token=f"token-{self._made}", tags=tags)

    def _prepared(self, found: ResourceType, props: Properties, wanted: Wanted) -> Any:
        return self.cloud.read(lambda ctx: found.prepare(_by_stack(ctx), props, wanted), self.principal) if found.slow else None

    def _write(self, action: Callable[[Context], T], prepared: Any = None) -> T:
        def run(ctx: Context) -> T:
            acting = _by_stack(ctx)
            acting.found["prepared"] = prepared
            return action(acting)

        return self.cloud.write(run, self.principal)


def _by_stack(ctx: Context) -> Context:
    return ctx.on_behalf("cloudformation")


def differences(given: Any, live: Any, path: str = "") -> list[str]:
    """Where the live state is not what was given: only what the template says is compared, lists without their order."""
    if isinstance(given, Mapping) and isinstance(live, Mapping):
        return [line for name, value in given.items() for line in differences(value, live.get(name), f"{path}/{name}")]
    if isinstance(given, list) and isinstance(live, list):
        missing = [item for item in given if not any(not differences(item, other) for other in live)]
        extra = len(live) - len(given)
        return [f"{path}: {missing or 'more'} in {live}"] if missing or extra else []
    return [] if given == live else [f"{path}: {given!r} is {live!r}"]
