"""An operation that goes on, as it is kept in memory between two batches, and made again from its records at any time.

Invariant: what is here and not in a record can be found again by looking (a resource whose new properties equal its old ones is done; one that
waits is asked again). After a batch that did not commit, this is thrown away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation.executing.walk import Walk, reversed_needs
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.scope import Scope
from windtunnel.services.cloudformation.model import STACK_TYPE, Export, Import, Operation, Stack, StackResource, Template

Spec = Mapping[str, Any]


class Live:
    """stack and operation are read anew for each batch; resources and templates belong to the operation alone."""

    def __init__(self, ctx: Context, operation: Operation, stack: Stack) -> None:
        self.operation = operation
        self.stack = stack
        self.arn = stack.arn(ctx.scope)
        self.resources: dict[str, StackResource] = {
            resource.logical: resource for resource in ctx.tx.scan(StackResource, prefix=f"{stack.id}/")
        }
        self.epoch = stack.epoch
        for resource in self.resources.values():
            if resource.epoch != self.epoch:
                # Left by an operation that has ended for good: hundreds of records are not written again only to say so.
                resource.before, resource.new, resource.touched, resource.epoch = None, False, "", self.epoch
        self.fresh: set[str] = set()
        made, back = (
            ctx.tx.get(Template, f"{stack.id}/{version:06d}") if version else None for version in (operation.made, operation.back_to)
        )
        self.template = made
        self.back_to = back
        self.dirty: set[str] = set()
        self.prepared: dict[str, Any] = {}
        self.wants_prepared: set[str] = set()
        self.going: dict[str, None] = {}
        self.imports: set[str] = set()
        self.walk = Walk({})
        self.enter(operation.phase)

    # -- phases -----------------------------------------------------------------------------------------------------

    def enter(self, phase: str) -> None:
        """Begin a phase, or find it again: what is done of it already is not handed out."""
        self.operation.phase = phase  # type: ignore[assignment]
        self.mark = f"{self.operation.id}:{phase}"
        self.going = {}
        if phase == "make":
            self.walk = Walk(self.template.needs if self.template else {})
        elif phase == "restore":
            self.walk = Walk(self._old_needs())
        elif phase in ("held", "held-restored"):
            self.walk = Walk({})
        else:
            self.walk = Walk(reversed_needs(self._leaving(phase)))
        while self.walk.ready:
            # Those that are done let others become ready, so the found ones are taken out again in rounds.
            fresh = [node for node in self.walk.ready if not self._found(node)]
            if len(fresh) == len(self.walk.ready):
                break
            found = [node for node in self.walk.ready if self._found(node)]
            self.walk.ready.clear()
            self.walk.ready.extend(fresh)
            for node in found:
                self._take_up(node)

    def _found(self, node: str) -> bool:
        resource = self.resources.get(node)
        return resource is not None and resource.touched == self.mark

    def _take_up(self, node: str) -> None:
        resource = self.resources[node]
        if resource.going:
            self.going[node] = None
        elif resource.status.endswith("_FAILED"):
            self.walk.skip(node)
        else:
            self.walk.done(node)

    def _old_needs(self) -> dict[str, list[str]]:
        """The resources that there were before this operation, and what each needed."""
        return {
            name: (resource.before or resource.now).needs  # type: ignore[union-attr]
            for name, resource in self.resources.items()
            if not resource.new and (resource.before or resource.now) is not None
        }

    def _leaving(self, phase: str) -> dict[str, list[str]]:
        """What is taken away in a phase, and what each needed."""
        kept: set[str] = set()
        if phase == "clean" and self.template is not None:
            kept = set(self.template.needs)
        elif phase == "clean-restored":
            kept = {name for name, resource in self.resources.items() if not resource.new}
        leaving = {}
        for name, resource in self.resources.items():
            if name in kept and not resource.leftovers and (resource.type != STACK_TYPE or not self.ripples(resource)):
                continue
            if phase == "unmake" or resource.leftovers or resource.now is not None or name not in kept:
                state = resource.now or (resource.leftovers[0] if resource.leftovers else None)
                leaving[name] = state.needs if state is not None else []
        return leaving

    def ripples(self, resource: StackResource) -> bool:
        """Whether a cleanup goes on in a nested stack: one that was there before, and was looked at in this operation."""
        there = resource.before is not None and resource.now is not None and not resource.new
        return resource.type == STACK_TYPE and there

    # -- the template -------------------------------------------------------------------------------------------------

    @cached_property
    def processed(self) -> dict[str, Any]:
        if self.template is None:
            return {}
        decoded: dict[str, Any] = msgspec.json.decode(self.template.processed)
        return decoded

    def spec(self, logical: str) -> dict[str, Any]:
        """A resource as its template says it."""
        found: dict[str, Any] = self.processed["Resources"][logical]
        return found

    def scope(self, ctx: Context, *, hidden: bool = False, dynamic: Callable[[str], str] = str) -> Scope:
        """What functions see now. hidden: NoEcho parameters as stars. dynamic: gives the value of a `{{resolve:…}}`."""
        template = self.template
        assert template is not None
        parameters = template.parameters
        if hidden and template.hidden:
            parameters = {**parameters, **dict.fromkeys(template.hidden, "****")}
        return Scope(
            parameters=parameters,
            env=self.environment(ctx, template),
            conditions=template.conditions,
            mappings=self.processed.get("Mappings") or {},
            refs=self.ref,
            attributes=lambda logical, name: self.attribute(ctx, logical, name),
            imports=lambda name: self.imported(ctx, name),
            dynamic=dynamic,
        )

    def environment(self, ctx: Context, template: Template) -> Environment:
        return Environment(
            account=ctx.scope.account,
            region=ctx.scope.region,
            stack_name=self.stack.name,
            stack_id=self.arn,
            partition=ctx.scope.partition,
            notification_arns=self.stack.notification_arns,
            zones=template.zones,
        )

    def ref(self, logical: str) -> Any:
        from windtunnel.services.cloudformation.executing.handling import referred

        resource = self.resources.get(logical)
        if resource is None or resource.now is None:
            raise KeyError(logical)
        return referred(resource)

    def attribute(self, ctx: Context, logical: str, name: str) -> Any:
        from windtunnel.services.cloudformation.executing.handling import acting, as_resource, attribute, handler_of

        resource = self.resources.get(logical)
        if resource is None or resource.now is None:
            raise KeyError(logical)
        handler = handler_of(resource.type)
        if name in handler.live:
            return handler.attribute(acting(ctx, self.operation, self.arn), as_resource(self, resource, resource.now), name)
        return attribute(resource, name)

    def imported(self, ctx: Context, name: str) -> str:
        from windtunnel.services.cloudformation.language.errors import TemplateError

        export = ctx.tx.get(Export, name)
        if export is None:
            raise TemplateError(f"No export named {name} found")
        if name not in self.imports:
            self.imports.add(name)
            ctx.tx.put(Import(export=name, stack=self.stack.id, stack_name=self.stack.name))
        return export.value

    # -- resources ----------------------------------------------------------------------------------------------------

    def resource(self, logical: str, type_name: str) -> StackResource:
        """The record of a resource, made when it is looked at first."""
        found = self.resources.get(logical)
        if found is None:
            found = StackResource(stack=self.stack.id, logical=logical, type=type_name, status="", at=0.0, new=True, epoch=self.epoch)
            self.resources[logical] = found
            self.fresh.add(logical)
        return found

    def touch(self, resource: StackResource) -> None:
        """It is changed in this phase, and will be written at the batch's end."""
        resource.touched = self.mark
        self.dirty.add(resource.logical)

    def write(self, ctx: Context) -> None:
        if self.stack.sealed:
            for logical in self.dirty & self.resources.keys():
                self.resources[logical].sealed = True
        changed = self.dirty & self.resources.keys()
        ctx.tx.insert_all([self.resources[logical] for logical in changed & self.fresh])
        for logical in changed - self.fresh:
            ctx.tx.put(self.resources[logical])
        self.fresh -= self.dirty
        self.dirty.clear()
        ctx.tx.put(self.stack)
        ctx.tx.put(self.operation)

    def forget(self, ctx: Context, logical: str) -> None:
        """A resource that is no more, and of which the stack keeps no record."""
        self.resources.pop(logical, None)
        self.dirty.discard(logical)
        self.fresh.discard(logical)
        ctx.tx.delete(StackResource, f"{self.stack.id}/{logical}")


class LiveOperations:
    """Those that this process carries out now, by operation id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}

    def peek(self, operation: str) -> Live | None:
        with self._lock:
            return self._live.get(operation)

    def take(self, operation: str) -> Live | None:
        with self._lock:
            return self._live.pop(operation, None)

    def keep(self, live: Live) -> None:
        with self._lock:
            self._live[live.operation.id] = live


LIVE = LiveOperations()
