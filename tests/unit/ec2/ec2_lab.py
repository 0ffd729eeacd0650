"""An in-process cloud whose machine is scripted: the dummy driver, kept over restarts of the cloud, as a machine is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import InProcessCloud, until
from windtunnel.compute.dummy import DummyDriver, World
from windtunnel.kernel.stock import STOCK_AMI


class StockIsThere:
    """The image store of a machine that has the stock image."""

    def ensure_stock(self, progress: Callable[[str], None]) -> str:
        return "stock"


class Machine:
    """world: what runs. cloud(): a cloud on it; leaving its block ends the cloud as kill -9 does, what runs goes on."""

    def __init__(self, data: Path) -> None:
        self.world = World()
        self._data = data

    def cloud(self, **options: Any) -> InProcessCloud:
        return InProcessCloud(self._data, parts={"compute": DummyDriver(self.world), "images": StockIsThere()}, **options)

    def boots(self, instance: str) -> int:
        return len(self.world.boots.get(instance, []))

    def runs(self, instance: str) -> bool:
        boots = self.world.boots.get(instance, [])
        return bool(boots) and boots[-1].exited is None

    def trace(self, instance: str) -> bool:
        """Whether anything of the instance is left on the machine."""
        return instance in self.world.boots or instance in self.world.addresses or instance in self.world.files


def launch(cloud: InProcessCloud, **args: Any) -> str:
    wanted = {"image_id": STOCK_AMI, "instance_type": "t3.micro", "min_count": 1, "max_count": 1} | args
    return str(cloud.api("ec2", "RunInstances", **wanted)["Instances"][0]["InstanceId"])


def described(cloud: InProcessCloud, instance: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.api("ec2", "DescribeInstances", instance_ids=[instance])["Reservations"][0]["Instances"][0]
    return found


def state(cloud: InProcessCloud, instance: str) -> str:
    return str(described(cloud, instance)["State"]["Name"])


def becomes(cloud: InProcessCloud, instance: str, wanted: str) -> None:
    until(lambda: state(cloud, instance) == wanted, 10, f"{instance} {wanted}")


def running(cloud: InProcessCloud, **args: Any) -> str:
    instance = launch(cloud, **args)
    becomes(cloud, instance, "running")
    return instance
