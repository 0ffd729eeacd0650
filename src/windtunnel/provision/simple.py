"""A plain resource type in a few lines: which operations make, change, tell and remove it, how its properties are called there, where its identity is.

Invariant: what a subclass does not declare is not done in silence: a property that its operations do not take is a 501 that names it (see `shaping`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Created, Properties, Resource, ResourceType, Wanted
from windtunnel.provision.schemas import TypeSchema, schema
from windtunnel.provision.shaping import Walk, properties
from windtunnel.wire.naming import xform


class Tagging(msgspec.Struct, frozen=True):
    """How a service changes tags after creation. target: the input member that names the resource; by: the GetAtt attribute it wants there, "" for the id.

    keys: the member of `remove` that lists keys. lists, found: the operation that tells them, and where in its reply; "" when the description does.
    """

    target: str
    add: str = "TagResource"
    remove: str = "UntagResource"
    tags: str = "tags"
    keys: str = "tagKeys"
    by: str = ""
    lists: str = ""
    found: str = "tags"


class Mapped(ResourceType):
    """A type whose operations take its properties as they are, save for names.

    creates, reads, updates, deletes, lists: operations of `service` ("" where there is none).
    member: the input member of reads, updates and deletes that holds the physical id (`{"logGroupName": "id"}` is the rule).
    identity: where the physical id is in create's reply (`QueueUrl`, `project.name`); "" for the name that was asked for.
    thing: where the description is in the reply of `reads` (`project`, `logGroups.0`). listed: the same for `lists`: a list, and the id in each (`queueUrls`, `items.name`).
    rename, rest: as for `Walk`; tells: further names that only the description has (`{"Arn": "QueueArn"}`).
    drop: properties that create does not take because `finish` sees to them.
    update_drop: those that update does not take either. defaults: what update says of a property that is given no more.
    attributes: GetAtt name -> where it is in the description.
    """

    service: ClassVar[str] = ""
    creates: ClassVar[str] = ""
    reads: ClassVar[str] = ""
    updates: ClassVar[str] = ""
    deletes: ClassVar[str] = ""
    lists: ClassVar[str] = ""
    member: ClassVar[str] = ""
    identity: ClassVar[str] = ""
    thing: ClassVar[str] = ""
    listed: ClassVar[str] = ""
    rename: ClassVar[Mapping[str, str]] = {}
    tells: ClassVar[Mapping[str, str]] = {}
    rest: ClassVar[str] = ""
    drop: ClassVar[tuple[str, ...]] = ()
    update_drop: ClassVar[tuple[str, ...]] = ()
    defaults: ClassVar[Mapping[str, Any]] = {}
    attributes: ClassVar[Mapping[str, str]] = {}
    tagging: ClassVar[Tagging | None] = None

    # What a subclass may say in more words.

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        """What create and update do beyond their operation (targets, policies, …), in the same transaction. old: {} after create."""

    def asked(self, props: Properties, wanted: Wanted) -> Properties:
        """The properties of create with the name that the resource is to have."""
        return {**props, self.name.property: wanted.name} if self.name is not None and wanted.name else props

    def key(self, id: str) -> dict[str, Any]:
        """The members that name one resource."""
        return {self.member: id}

    def look(self, ctx: Context, id: str) -> Reply | None:
        """The service's description of it; None when it is not there."""
        try:
            reply = ctx.call(self.service, self.reads, **{xform(name): value for name, value in self.key(id).items()})
        except AwsError as error:
            if error.code in self.missing:
                return None
            raise
        found = dig(reply, self.thing)
        return found if isinstance(found, dict) else None

    def told(self, ctx: Context, id: str, description: Reply) -> Properties:
        """The properties that a description tells."""
        return properties(self.schema, description, rename={**self.rename, **self.tells})

    # The contract.

    @cached_property
    def schema(self) -> TypeSchema:
        found = schema(self.type)
        if found is None:
            raise LookupError(f"AWS has no type {self.type}")
        return found

    @cached_property
    def creating(self) -> Walk:
        return Walk(self.service, self.creates, rename=self.rename, drop=self.drop, rest=self.rest)

    @cached_property
    def updating(self) -> Walk:
        tags = (self.schema.tag_property,) if self.tagging is not None and self.schema.tag_property else ()
        return Walk(self.service, self.updates, rename=self.rename, drop=(*self.drop, *self.update_drop, *tags), rest=self.rest)

    def warm(self) -> None:
        """Read and compile what the first resource needs, in a thread."""
        self.creating.compile()
        if self.updates:
            self.updating.compile()

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        reply = self.creating.call(ctx, self.asked(props, wanted))
        id = str(dig(reply, self.identity)) if self.identity else wanted.name
        self.finish(ctx, id, props, {})
        return Created(id=id, attributes=self.facts(ctx, id))

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old = resource.properties
        if self.updates and any(old.get(name) != new.get(name) for name in {**old, **new} if name not in self._elsewhere):
            gone = {name: value for name, value in self.defaults.items() if name in old and name not in new}
            fixed = {path[1:] for path in self.schema.create_only}
            given = {name: value for name, value in {**gone, **new}.items() if name not in fixed}
            self.updating.call(ctx, {**given, **self.key(resource.id)})
        if self.tagging is not None and self.schema.tag_property:
            self.retag(ctx, resource, tags_of(old.get(self.schema.tag_property)), tags_of(new.get(self.schema.tag_property)))
        self.finish(ctx, resource.id, new, old)
        return Created(id=resource.id, attributes=self.facts(ctx, resource.id)) if self.attributes else None

    @cached_property
    def _elsewhere(self) -> frozenset[str]:
        tags = {self.schema.tag_property} if self.tagging is not None else set()
        return frozenset({*self.drop, *self.update_drop, *tags})

    def retag(self, ctx: Context, resource: Resource, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        tagging = self.tagging
        assert tagging is not None
        target = {tagging.target: resource.attributes.get(tagging.by, resource.id) if tagging.by else resource.id}
        gone = sorted(old.keys() - new.keys())
        if gone:
            ctx.call(self.service, tagging.remove, **_snake({**target, tagging.keys: gone}))
        added = {key: value for key, value in new.items() if old.get(key) != value}
        if added:
            Walk(self.service, tagging.add, rename={"Tags": tagging.tags}).call(ctx, {**target, "Tags": added})

    def facts(self, ctx: Context, id: str) -> dict[str, Any]:
        """What GetAtt gives."""
        if not self.attributes:
            return {}
        description = self.look(ctx, id) or {}
        return {name: value for name, path in self.attributes.items() if (value := dig(description, path)) is not None}

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        description = self.look(ctx, resource.id)
        if description is None:
            return None
        told = self.told(ctx, resource.id, description)
        if self.tagging is not None and self.tagging.lists:
            by = self.tagging.by
            target = (resource.attributes.get(by) or dig(description, self.attributes[by])) if by else resource.id
            reply = ctx.call(self.service, self.tagging.lists, **_snake({self.tagging.target: target}))
            told |= properties(self.schema, {self.schema.tag_property: dig(reply, self.tagging.found) or []})
        return told

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        try:
            ctx.call(self.service, self.deletes, **_snake(self.key(resource.id)))
        except AwsError as error:
            if error.code not in self.missing:
                raise
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        where, _, own = self.listed.partition(".")
        token: dict[str, Any] = {}
        while True:
            reply = ctx.call(self.service, self.lists, **token)
            for item in dig(reply, where) or ():
                yield str(item if isinstance(item, str) else dig(item, own))
            token = {xform(name): reply[name] for name in ("NextToken", "nextToken", "Marker") if reply.get(name)}
            if not token:
                return


def _snake(members: Mapping[str, Any]) -> dict[str, Any]:
    return {xform(name): value for name, value in members.items()}


def dig(value: Any, path: str) -> Any:
    """`project.name`, `logGroups.0`: a step at a time; None when there is nothing there; "" is the value itself."""
    for step in path.split(".") if path else ():
        if isinstance(value, list):
            value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def tags_of(value: Any) -> dict[str, str]:
    """Tags of either form as a map."""
    if isinstance(value, list):
        return {tag["Key"]: tag.get("Value", "") for tag in value}
    return dict(value or {})
