"""The part of a running cloud that has builds in sandboxes: starts them, follows them, ends them. Made anew at every start.

Invariant: nothing here is remembered that the store does not know; a restart follows on from the offsets that were committed.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from windtunnel.compute.driver import Driver, Handle, SandboxError, SandboxSpec
from windtunnel.compute.follow import Follower
from windtunnel.services.codebuild.model import Build, BuildOutput
from windtunnel.services.codebuild.output import BuildSink

PART = "codebuild"
STOP_GRACE = 1.0
log = logging.getLogger("windtunnel.codebuild")
_OURS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
"""A build's sandbox has the build's uuid; instances' and others' have other names."""


class Sandboxes:
    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self._follower = Follower(lambda: cloud.part("compute"), cloud.part("closing"))
        self._image = ""
        self._image_turn = threading.Lock()

    @property
    def _driver(self) -> Driver:
        driver: Driver = self._cloud.part("compute")
        return driver

    def start(self, spec: SandboxSpec, token: str, progress: Callable[[str], None]) -> Handle:
        """Boot a build's sandbox. progress: told what is done while the stock image is made, once on a machine. SandboxError."""
        with self._image_turn:
            if not self._image:
                self._image = self._cloud.part("images").ensure_stock(progress)
        return self._driver.start(msgspec.structs.replace(spec, image=self._image), token)

    def stop(self, handle: Handle) -> None:
        self._driver.stop(handle, STOP_GRACE)

    def remove(self, sandbox: str) -> None:
        self._driver.remove(sandbox)

    def follow(self, account: str, region: str, build: Build, output: BuildOutput) -> None:
        """Record what the build's sandbox says, from the offset that was committed last."""
        if build.handle is not None and not output.ended:
            self._follower.follow(build.handle, output.offset, BuildSink(self._cloud, account, region, build, output))

    def find_again(self) -> None:
        """After a restart: follow every build that has a sandbox, remove every sandbox that no build has."""
        owned: list[str] = []
        with self._cloud.store.thread_snapshot("", "") as tx:
            for account, region, output in tx.everywhere(BuildOutput):  # which running builds alone have
                build = tx.within(account, region).get(Build, output.build)
                if build is not None:
                    owned.append(build.uuid)
                    self.follow(account, region, build, output)
        driver: Driver | None = self._cloud.made_part("compute")
        if driver is not None:
            strays = [name for name in driver.orphans(owned) if _OURS.match(name)]
            threading.Thread(target=_remove, args=(driver, strays), name="build-strays", daemon=True).start()


def _remove(driver: Driver, sandboxes: list[str]) -> None:
    for sandbox in sandboxes:
        try:
            driver.remove(sandbox)
        except SandboxError as error:
            log.warning("sandbox %s belongs to no build and could not be removed: %s", sandbox, error)
