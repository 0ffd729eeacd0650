"""A cloud that starts, stops, enters and removes sandboxes on several threads, killed again and again at any instant."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from driver_lab import ENDPOINT_PORT, Greeter, TestImage, eventually, machine

from windtunnel.compute.driver import PrivateNetwork, Running, SandboxError, SandboxSpec, Wall
from windtunnel.compute.runc import RuncDriver

pytestmark = pytest.mark.slow
KILLS = 12
HARMLESS = ("runs already", "has ended")
SEED = int(os.environ.get("WINDTUNNEL_SEED", "20261123"))


def test_random_kills_leave_one_supervisor_for_each_sandbox_and_no_other_trace(
    tmp_path: Path, stock_layers: Callable[[], list[Path]]
) -> None:
    chance = random.Random(SEED)
    with machine("runc", tmp_path, stock_layers) as lab:
        lab.driver.close()
        for number in range(KILLS):
            run_and_kill(lab.root, lab.layers, number, 0.3 + chance.random())
        lab.driver = lab.make()
        running = lab.driver.recover()
        eventually("a supervisor for each", lambda: supervisors(lab.root) == sorted(handle.shim_pid for handle in running))
        for handle in running:
            assert lab.driver.status(handle) == Running()
            assert lab.driver.exec(handle, ("cat", "/boots")).code == 0
        for sandbox_id in lab.driver.orphans(()):
            lab.driver.remove(sandbox_id)
        assert supervisors(lab.root) == []
        assert [str(path) for sub in ("sandboxes", "runc", "trash", "addresses") for path in (lab.root / sub).iterdir()] == []


def run_and_kill(root: Path, layers: list[Path], number: int, seconds: float) -> None:
    order = json.dumps({"root": str(root), "layers": [str(layer) for layer in layers], "seed": SEED + number})
    child = subprocess.Popen([sys.executable, __file__, order], stdout=subprocess.PIPE)
    threading.Event().wait(seconds)
    child.send_signal(signal.SIGKILL)
    said, _ = child.communicate(timeout=10)
    assert said == b"", "a call failed in a way that nothing explains"


def supervisors(root: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{root}/sandboxes/".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def main() -> None:
    order = json.loads(sys.argv[1])
    driver = RuncDriver(Path(order["root"]), TestImage([Path(layer) for layer in order["layers"]]), Greeter(), ENDPOINT_PORT)
    driver.recover()
    for thread in range(3):
        threading.Thread(target=meddle, args=(driver, thread, random.Random(order["seed"] * 10 + thread))).start()


def meddle(driver: RuncDriver, thread: int, chance: random.Random) -> None:
    script = "echo boot >> /boots; sleep 1000"
    while True:
        number = chance.randrange(3)
        private = PrivateNetwork(network=f"vpc-{number % 2}", ip=f"10.0.{thread}.{number + 4}", prefix=16)
        spec = SandboxSpec(id=f"box-{thread}-{number}", image="stock", argv=("sh", "-c", script), private=private, keep=True)
        mine = [handle for handle in driver.running() if handle.id == spec.id]
        actions: list[Callable[[], object]] = [lambda spec=spec: driver.start(spec, f"token-{chance.randrange(3)}")] * 3  # type: ignore[misc]
        actions += [lambda spec=spec: driver.remove(spec.id)]  # type: ignore[misc]
        actions += [lambda handle=handle: driver.stop(handle, 0) for handle in mine]  # type: ignore[misc]
        actions += [lambda handle=handle: driver.exec(handle, ("true",)) for handle in mine]  # type: ignore[misc]
        actions += [lambda handle=handle: driver.set_wall(handle, Wall(outbound=chance.random() < 0.5)) for handle in mine]  # type: ignore[misc]
        try:
            chance.choice(actions)()
        except SandboxError as problem:
            if not any(words in str(problem) for words in HARMLESS):
                print(problem, flush=True)


if __name__ == "__main__":
    main()
