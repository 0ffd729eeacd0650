"""Many clients of every service outside a cloud that is killed at random moments, also while it starts: they remember what they were told.

After each restart every other load's memory is compared with what the cloud says; at the end wholly, and the doctor finds the data whole.
WINDTUNNEL_KILLS and WINDTUNNEL_SEED choose another number of kills, and other moments.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import loads  # noqa: E402

from windtunnel.app import load_services  # noqa: E402
from windtunnel.kernel.registry import OPERATIONS  # noqa: E402
from windtunnel.labs.cloud import LabCloud, tail  # noqa: E402

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("WINDTUNNEL_KILLS", "200"))
SEED = int(os.environ.get("WINDTUNNEL_SEED", "3"))
IDLE = 60.0


class MixedCloud(LabCloud):
    def stumble(self, seconds: float) -> None:
        """Start, and be killed before (or just after) it says "ready"."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "windtunnel", "up", "--data", str(self.data), "--port", str(self._ports[0])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        else:
            raise AssertionError(f"it did not start:\n{tail(self.log)}")


class Client(threading.Thread):
    """Does the steps of a load while the gate is open; is `idle` while it waits at it."""

    def __init__(self, name: str, load: loads.Load, gate: threading.Event, ended: threading.Event) -> None:
        super().__init__(daemon=True, name=name)
        self.load = load
        self.idle = threading.Event()
        self.turn = threading.Lock()
        self.done = self.cut = 0
        self.failure: BaseException | None = None
        self._gate, self._ended = gate, ended

    def run(self) -> None:
        n = 0
        while not self._ended.is_set():
            with self.turn:
                goes = self._gate.is_set() and self.failure is None
                (self.idle.clear if goes else self.idle.set)()
            if not goes:
                self._gate.wait(0.05)
                continue
            try:
                self.load.step(n)
                self.done += 1
            except loads.Died:
                self.cut += 1
                self._gate.clear()
            except BaseException as error:  # shown by the test, with the load's name
                self.failure = error
            n += 1


def built() -> dict[str, type[loads.Load]]:
    load_services()
    return {name: kind for name, kind in loads.found().items() if OPERATIONS.keys() >= kind.NEEDS}


def checked(clients: list[Client], what: str, kill: int) -> None:
    for client in clients:
        try:
            if client.failure is not None:
                raise client.failure
            getattr(client.load, what)()
        except BaseException as error:
            raise AssertionError(f"{client.name}, after kill {kill} (seed {SEED}): {type(error).__name__}: {error}") from error


def test_nothing_acknowledged_is_lost_and_nothing_half_done_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(SEED)
    cloud = MixedCloud(tmp_path / "data", tmp_path / "log")
    cloud.start()
    gate, ended = threading.Event(), threading.Event()
    kinds = built()
    clients = [Client(name, kind(cloud, tmp_path), gate, ended) for name, kind in kinds.items()]
    began = time.monotonic()
    try:
        for client in clients:
            client.load.set_up()
        for client in clients:
            client.start()
        for kill in range(1, KILLS + 1):
            gate.set()
            ended.wait(draw.uniform(0.03, 0.6))
            cloud.kill()
            gate.clear()
            for client in clients:
                with client.turn:  # after this it has seen the gate closed, or is at a step
                    pass
                assert client.idle.wait(IDLE), f"{client.name} hangs"
            if kill % 10 == 0:
                cloud.stumble(draw.uniform(0.05, 0.4))
            cloud.start()
            checked(clients[kill % 2 :: 2], "verify", kill)  # every other one, so that most of the time is load
        checked(clients, "finish", KILLS)
    finally:
        ended.set()
        cloud.stop()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "windtunnel", "doctor", "--data", str(cloud.data)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 200 :][:3000]
    acts = {client.name: client.done for client in clients}
    assert all(client.done > KILLS / 10 for client in clients), acts
    with capsys.disabled():
        missing = sorted(loads.found().keys() - kinds.keys())
        print(
            f"\n{KILLS} kills in {time.monotonic() - began:.0f} s; acknowledged: {acts}; cut off: {sum(c.cut for c in clients)};"
            f" not built: {', '.join(missing) or 'none'}"
        )
