"""Walls follow the records: what was changed in a VPC is built on the instances that run in it, soon after it was committed.

Invariants: a wall is computed from a snapshot taken after the change was committed, by one thread at a time, so the last one built is that of the last
change; what a killed cloud did not come to is built at the next start, for all that run. An instance boots behind its wall, and is looked at again once
it runs: what changed meanwhile was not told to it.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from windtunnel.compute.driver import Handle, NotRunning, SandboxError
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import convert
from windtunnel.services.ec2.model import Instance
from windtunnel.services.ec2.network.model import NetworkInterface
from windtunnel.services.ec2.network.wall import private_network

log = logging.getLogger("windtunnel.ec2")
Place = tuple[str, str, str]
"""Account, region, VPC."""


class Builder:
    """One for each cloud; it has a thread while there is something to build."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self._turn = threading.Lock()
        self._wanted: dict[Place, None] = {}
        self._busy = False

    @property
    def needed(self) -> bool:
        """Whether anything may run at all."""
        return self._cloud.made_part("compute") is not None

    def build(self, *places: Place) -> None:
        with self._turn:
            self._wanted.update(dict.fromkeys(places))
            if self._busy or not self._wanted:
                return
            self._busy = True
        self._cloud.after(0, lambda: self._cloud.part("threads")(self._work))

    def _work(self) -> None:
        while True:
            with self._turn:
                if not self._wanted or self._cloud.part("closing").is_set():
                    self._busy = False
                    return
                place = next(iter(self._wanted))
                del self._wanted[place]
            try:
                build_all(self._cloud, *place)
            except (AwsError, SandboxError) as problem:
                log.warning("security groups of %s are not in force: %s", place[2], problem)


def changed(ctx: Context, vpc_id: str) -> None:
    """Something that walls of this VPC depend on is changed by this transaction."""
    builder: Builder = ctx.cloud.part("walls")
    place = (ctx.scope.account, ctx.scope.region, vpc_id)
    if builder.needed and any(eni.instance_id for eni in ctx.tx.find(NetworkInterface, "vpc", vpc_id)):
        ctx.tx.after_commit(lambda: builder.build(place))


def build_all(cloud: Any, account: str, region: str, vpc_id: str) -> None:
    driver = cloud.part("compute")
    walls = []
    with cloud.part("store").thread_snapshot(account, region) as tx:
        ctx = cloud.part("context")(tx, account, region)
        for eni in tx.find(NetworkInterface, "vpc", vpc_id):
            instance = tx.get(Instance, eni.instance_id) if eni.instance_id and eni.device == 0 else None
            private = private_network(ctx, instance) if instance is not None and instance.handle else None
            if instance is not None and private is not None:
                walls.append((convert(instance.handle, Handle), private.wall))
    for handle, wall in walls:
        try:
            driver.set_wall(handle, wall)
        except NotRunning:
            continue
        except SandboxError as problem:
            log.warning("security groups of instance %s are not in force: %s", handle.id, problem)


def build_again(cloud: Any, instances: list[tuple[str, str, Instance]]) -> None:
    """At the start of a cloud: the walls of all that runs, as the records have them now."""
    cloud.add_part("walls", Builder(cloud))
    running = [(account, region, found.vpc_id) for account, region, found in instances if found.vpc_id and found.state == "running"]
    cloud.part("walls").build(*running)
