"""Policies on things that are templates' resources of their own: one for several things (TopicPolicy, QueuePolicy), or of one (…InlinePolicy).

Invariant: a policy that goes leaves its things with none of their own; a thing that is gone has none to be taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted


class Policies(Direct):
    """How the service sets the policy of a thing, by the identifier that templates give. thing: the property that names it, or them."""

    thing: ClassVar[str] = ""

    def put(self, ctx: Context, identifier: str, document: object) -> None:
        raise NotImplementedError

    def take(self, ctx: Context, identifier: str) -> None:
        """Success also when the thing is gone."""
        raise NotImplementedError

    def told(self, ctx: Context, identifier: str) -> object | None:
        """The policy that it was given; None when it has none of its own, or is gone."""
        raise NotImplementedError

    def has(self, ctx: Context, identifier: str) -> bool:
        return self.told(ctx, identifier) is not None


class PolicyOfMany(Policies):
    name = Name("Id")

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        for identifier in props[self.thing]:
            self.put(ctx, identifier, props["PolicyDocument"])
        return Created(id=wanted.name, attributes={"Id": wanted.name})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        asked = resource.properties.get(self.thing) or ()
        found = {identifier: told for identifier in asked if (told := self.told(ctx, identifier)) is not None}
        if not found:
            return None
        other = [told for told in found.values() if told != resource.properties.get("PolicyDocument")]
        return {self.thing: list(found), "PolicyDocument": (other or list(found.values()))[0], "Id": resource.id}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        for identifier in resource.properties[self.thing]:
            if identifier not in new[self.thing]:
                self.take(ctx, identifier)
        for identifier in new[self.thing]:
            self.put(ctx, identifier, new["PolicyDocument"])
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        for identifier in resource.properties[self.thing]:
            self.take(ctx, identifier)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return ()


class PolicyOfOne(Policies):
    """The thing's identifier is the policy's too. A thing that has a policy already is not given another."""

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        identifier = props[self.thing]
        if self.has(ctx, identifier):
            raise already_exists(self.type, identifier)
        self.put(ctx, identifier, props["PolicyDocument"])
        return Created(id=identifier)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        told = self.told(ctx, resource.id)
        return None if told is None else {self.thing: resource.id, "PolicyDocument": told}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self.put(ctx, resource.id, new["PolicyDocument"])
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        self.take(ctx, resource.id)
        return None
