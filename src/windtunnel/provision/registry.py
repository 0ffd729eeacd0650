"""The contract of a CloudFormation resource type, and where types are found: each registers itself by its decorator, nothing else is touched.

Invariants: a handler runs inside one short transaction, as whoever asked for the operation (the caller, or the stack's role), and changes the
world only through public operations of services (`ctx.call`), so that IAM holds and a resource exists exactly when the stack's record of it does.
What takes longer than a transaction says so (`ready=False`, `delete` returning False) and is looked at again until it is true.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar

import msgspec

from windtunnel.kernel.context import Context

Properties = dict[str, Any]
"""CloudFormation properties: no functions left, checked and coerced by the provider schema, stack tags merged in."""


class Name(msgspec.Struct, frozen=True):
    """The property that holds a resource's custom name, and how AWS makes one up when it is not given (`STACK-LOGICALID-RANDOM12`).

    limit: the longest name, in characters. lower: lower case only (buckets). pattern characters other than letters, digits and `-` never occur.
    """

    property: str
    limit: int = 255
    lower: bool = False


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler knows of a resource that it is asked to create.

    type: as the template has it (`Custom::Thing`). name: the custom name if the properties hold one, else a generated one, within the type's `Name`; "" for types without.
    token: the same for every attempt at this resource in this operation: a client request token.
    tags: the stack's own tags and AWS's (`aws:cloudformation:stack-name`, …); those that users may set are in the properties' Tags already.
    metadata: the resource's Metadata, functions resolved.
    """

    logical_id: str
    stack_name: str
    stack_id: str
    name: str
    token: str
    type: str = ""
    tags: Mapping[str, str] = {}
    metadata: Mapping[str, Any] = {}


class Resource(msgspec.Struct, kw_only=True):
    """A resource that exists. id: the physical id. properties: as last applied. attributes: what Fn::GetAtt gives, by its full name (`Endpoint.Address`)."""

    type: str
    logical_id: str
    id: str
    properties: Properties = {}
    attributes: dict[str, Any] = {}
    stack_id: str = ""
    stack_name: str = ""


class Created(msgspec.Struct, kw_only=True):
    """What create made, or what update changed.

    id: the physical id; when an update returns another one, the old one is deleted in the operation's cleanup (custom resources).
    ready: False when it is still coming; then `settled` is asked until it says True.
    """

    id: str
    attributes: dict[str, Any] = {}
    ready: bool = True


class Failed(Exception):
    """A resource cannot become what it should; said in a stack event as it stands. code: HandlerErrorCode (`NotStabilized`, `InvalidRequest`, …), "" for none."""

    def __init__(self, message: str, code: str = "GeneralServiceException") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class ResourceType:
    """One CloudFormation type. Stateless: one object serves every resource. Every method may raise AwsError (of the operation it called) or `Failed`."""

    type: ClassVar[str] = ""
    name: ClassVar[Name | None] = None
    missing: ClassVar[frozenset[str]] = frozenset()
    """Error codes by which the service says that the thing is not there: success for delete, None for read."""
    slow: ClassVar[bool] = False
    """`prepare` does something: it is called in a thread, on a snapshot, before the transaction of create and update."""
    live: ClassVar[frozenset[str]] = frozenset()
    """GetAtt attributes that other resources change after creation (a VPC's blocks): asked for by `attribute` each time, not kept."""

    always: ClassVar[bool] = False
    """`update` is asked in every update, also when the properties are the same (nested stacks, whose template may have changed)."""

    snapshots: ClassVar[bool] = False
    """`snapshot` keeps what the resource holds, for the policy of that name."""

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Any:
        """Slow work that create or update needs (key pairs, fetching from S3). It changes nothing. Its result is `ctx.found["prepared"]` then."""

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        raise NotImplementedError

    def settled(self, ctx: Context, resource: Resource) -> bool | Created:
        """Whether what create or update began is done (on a snapshot, again and again). A Created replaces id and attributes."""
        return True

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        """The live state as properties, as many as can be read; None when it is gone. For drift and Cloud Control."""
        raise NotImplementedError

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        """From resource.properties to new, which differ in mutable properties only. None: id and attributes stay as they are."""
        raise NotImplementedError

    def replaces(self, old: Properties, new: Properties, changed: frozenset[str]) -> bool:
        """Whether a change of these (not create-only) top-level properties needs a new resource all the same."""
        return False

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        """Remove it. False: it is going, `gone` will tell. Deleting what is not there is success."""
        raise NotImplementedError

    def snapshot(self, ctx: Context, resource: Resource) -> None:
        """Keep what it holds, in the transaction that deletes it."""
        raise NotImplementedError

    def gone(self, ctx: Context, resource: Resource) -> bool:
        """Whether what delete began is done (on a snapshot, again and again)."""
        return True

    def ref(self, resource: Resource) -> Any:
        """What Ref gives."""
        return resource.id

    def attribute(self, ctx: Context, resource: Resource, name: str) -> Any:
        """What Fn::GetAtt gives now of an attribute in `live`."""
        raise NotImplementedError

    def list(self, ctx: Context) -> Iterable[str]:
        """The physical ids of all that there are in this account and region (Cloud Control)."""
        raise NotImplementedError


RESOURCE_TYPES: dict[str, ResourceType] = {}
T = TypeVar("T", bound=type[ResourceType])


def resource_type(name: str) -> Callable[[T], T]:
    """Register a class as the handler of a CloudFormation type."""

    def register(cls: T) -> T:
        if name in RESOURCE_TYPES and type(RESOURCE_TYPES[name]).__qualname__ != cls.__qualname__:
            raise ValueError(f"two handlers for {name}")
        made = cls()
        made.type = name  # type: ignore[misc]
        RESOURCE_TYPES[name] = made
        return cls

    return register


@cache
def _loaded() -> bool:
    """Import each service's `resources` module or package, once, when a template is first looked at: a start does not pay for them."""
    services = importlib.import_module("windtunnel.services")
    for package in sorted(pkgutil.iter_modules(services.__path__), key=lambda module: module.name):
        name = f"windtunnel.services.{package.name}.resources"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    return True


def handler(type_name: str) -> ResourceType | None:
    """The handler of a type; None when Windtunnel does not run it."""
    _loaded()
    return RESOURCE_TYPES.get(type_name)


def types() -> list[str]:
    """Every type that runs, by name."""
    _loaded()
    return sorted(RESOURCE_TYPES)
