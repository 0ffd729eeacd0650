"""The life of instances on a scripted machine: power, ends that nobody ordered, and clouds that come back."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ec2_lab import Machine, StockIsThere, becomes, described, launch, running, state  # noqa: E402

from harness import InProcessCloud, until  # noqa: E402
from windtunnel.compute.driver import Exited  # noqa: E402
from windtunnel.compute.dummy import DummyDriver  # noqa: E402
from windtunnel.kernel.errors import AwsError  # noqa: E402
from windtunnel.kernel.stock import STOCK_AMI  # noqa: E402


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(AwsError) as error:
        call()
    return error.value.code


def test_a_launch_answers_pending_and_then_runs(machine: Machine) -> None:
    with machine.cloud() as cloud:
        reply = cloud.api("ec2", "RunInstances", image_id=STOCK_AMI, instance_type="t3.small", min_count=1, max_count=2)
        assert [i["State"] for i in reply["Instances"]] == [{"Code": 0, "Name": "pending"}] * 2
        assert [i["AmiLaunchIndex"] for i in reply["Instances"]] == [0, 1]
        assert reply["Instances"][0]["StateReason"] == {"Code": "pending", "Message": "pending"}
        for item in reply["Instances"]:
            becomes(cloud, item["InstanceId"], "running")
            shown = described(cloud, item["InstanceId"])
            assert shown["PublicIpAddress"] == machine.world.addresses[item["InstanceId"]]
            assert shown["PrivateIpAddress"] == shown["NetworkInterfaces"][0]["PrivateIpAddress"] == item["PrivateIpAddress"]
            assert "StateReason" not in shown
            spec = machine.world.boots[item["InstanceId"]][0].spec
            assert (spec.memory, spec.cpus, spec.keep) == (2 << 30, 2.0, True)


def test_stop_start_reboot_terminate(machine: Machine) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud)
        changed = cloud.api("ec2", "StopInstances", instance_ids=[instance])["StoppingInstances"]
        assert changed == [
            {
                "InstanceId": instance,
                "CurrentState": {"Code": 64, "Name": "stopping"},
                "PreviousState": {"Code": 16, "Name": "running"},
            }
        ]
        becomes(cloud, instance, "stopped")
        shown = described(cloud, instance)
        assert not machine.runs(instance) and machine.trace(instance)
        assert shown["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
        assert shown["StateTransitionReason"].startswith("User initiated (20") and "PublicIpAddress" not in shown
        assert refused(lambda: cloud.api("ec2", "RebootInstances", instance_ids=[instance])) == "IncorrectInstanceState"

        cloud.api("ec2", "StartInstances", instance_ids=[instance])
        becomes(cloud, instance, "running")
        assert machine.boots(instance) == 2 and described(cloud, instance)["StateTransitionReason"] == ""

        cloud.api("ec2", "RebootInstances", instance_ids=[instance])
        until(lambda: machine.boots(instance) == 3 and machine.runs(instance), 10, "the third boot")
        assert state(cloud, instance) == "running"

        cloud.api("ec2", "TerminateInstances", instance_ids=[instance])
        becomes(cloud, instance, "terminated")
        assert not machine.trace(instance)
        assert refused(lambda: cloud.api("ec2", "StartInstances", instance_ids=[instance])) == "IncorrectInstanceState"
        again = cloud.api("ec2", "TerminateInstances", instance_ids=[instance])["TerminatingInstances"]
        assert again[0]["CurrentState"]["Name"] == again[0]["PreviousState"]["Name"] == "terminated"


def test_terminating_a_stopped_instance_leaves_nothing(machine: Machine) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud)
        cloud.api("ec2", "StopInstances", instance_ids=[instance])
        becomes(cloud, instance, "stopped")
        cloud.api("ec2", "TerminateInstances", instance_ids=[instance])
        becomes(cloud, instance, "terminated")
        assert not machine.trace(instance)


@pytest.mark.parametrize(
    "orders, expected",
    [
        pytest.param(["StopInstances", "TerminateInstances"], "terminated", id="terminated while it stops"),
        pytest.param(["RebootInstances", "TerminateInstances"], "terminated", id="terminated while it reboots"),
        pytest.param(["RebootInstances", "StopInstances"], "stopped", id="stopped while it reboots"),
        pytest.param(["RebootInstances", "RebootInstances"], "running", id="rebooted twice"),
        pytest.param(["StopInstances", "StopInstances"], "stopped", id="stopped twice"),
    ],
)
def test_orders_that_follow_each_other_at_once(machine: Machine, orders: list[str], expected: str) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud)
        for order in orders:
            cloud.api("ec2", order, instance_ids=[instance])
        if expected == "running":
            until(lambda: machine.boots(instance) > 1 and machine.runs(instance), 10, "another boot")
        becomes(cloud, instance, expected)
        if expected == "terminated":
            until(lambda: not machine.trace(instance), 10, "no trace")
        else:
            until(lambda: machine.runs(instance) == (expected == "running"), 10, "as ordered")


@pytest.mark.parametrize(
    "behavior, expected",
    [pytest.param("stop", "stopped", id="it stops"), pytest.param("terminate", "terminated", id="it is terminated")],
)
def test_a_guest_that_shuts_itself_down(machine: Machine, behavior: str, expected: str) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud, instance_initiated_shutdown_behavior=behavior)
        until(lambda: machine.world.boots[instance][-1].watchers, 10, "the watch")
        machine.world.end(instance, code=0)
        becomes(cloud, instance, expected)
        assert described(cloud, instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
        assert machine.trace(instance) == (expected == "stopped")


def test_the_events_of_a_life(machine: Machine) -> None:
    with machine.cloud() as cloud:
        seen: list[str] = []
        append = cloud.cloud.append_events

        def keep(ctx: Any, events: Any) -> None:
            for event in events:
                if event.source == "aws.ec2":
                    assert event.detail_type == "EC2 Instance State-change Notification"
                    assert event.resources == (f"arn:aws:ec2:us-east-1:123456789012:instance/{event.detail['instance-id']}",)
                    seen.append(event.detail["state"])
            append(ctx, events)

        cloud.cloud.append_events = keep  # type: ignore[method-assign]
        instance = running(cloud)
        cloud.api("ec2", "StopInstances", instance_ids=[instance])
        becomes(cloud, instance, "stopped")
        cloud.api("ec2", "TerminateInstances", instance_ids=[instance])
        becomes(cloud, instance, "terminated")
        assert seen == ["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]


def test_protection_against_termination(machine: Machine) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud, disable_api_termination=True)
        assert refused(lambda: cloud.api("ec2", "TerminateInstances", instance_ids=[instance])) == "OperationNotPermitted"
        cloud.api("ec2", "ModifyInstanceAttribute", instance_id=instance, disable_api_termination={"Value": False})
        cloud.api("ec2", "TerminateInstances", instance_ids=[instance])
        becomes(cloud, instance, "terminated")


def test_a_first_boot_that_fails_ends_the_instance_a_later_one_stops_it(machine: Machine) -> None:
    with machine.cloud() as cloud:
        kept = running(cloud)
        cloud.api("ec2", "StopInstances", instance_ids=[kept])
        becomes(cloud, kept, "stopped")
        machine.world.failure = "the machine is full"
        cloud.api("ec2", "StartInstances", instance_ids=[kept])
        becomes(cloud, kept, "stopped")
        assert "the machine is full" in described(cloud, kept)["StateReason"]["Message"]
        fresh = launch(cloud)
        becomes(cloud, fresh, "terminated")
        until(lambda: not machine.trace(fresh), 10, "no trace")
        assert described(cloud, fresh)["StateReason"]["Code"] == "Server.InternalError"
        machine.world.failure = None
        cloud.api("ec2", "StartInstances", instance_ids=[kept])
        becomes(cloud, kept, "running")


def test_a_cloud_that_comes_back_watches_what_still_runs(machine: Machine) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud)
    machine.world.boots[instance][-1].watchers.clear()  # they died with the process
    with machine.cloud() as cloud:
        assert state(cloud, instance) == "running" and machine.boots(instance) == 1
        until(lambda: machine.world.boots[instance][-1].watchers, 10, "the watch")
        machine.world.end(instance, code=0)
        becomes(cloud, instance, "stopped")


@pytest.mark.parametrize("boots", [1, 2])
def test_a_cloud_that_comes_back_boots_again_what_ended_with_it(machine: Machine, boots: int) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud)
        address = described(cloud, instance)["PrivateIpAddress"]
    for number in range(boots):
        machine.world.boots[instance][-1].watchers.clear()
        machine.world.end(instance, signal=15)
        with machine.cloud() as cloud:
            until(lambda: machine.runs(instance), 10, "another boot")
            becomes(cloud, instance, "running")
            assert machine.boots(instance) == number + 2
            assert described(cloud, instance)["PrivateIpAddress"] == address


def test_a_sandbox_that_was_lost_under_the_cloud_is_booted_again(machine: Machine) -> None:
    with machine.cloud() as cloud:
        instance = running(cloud)
        boot = machine.world.boots[instance][-1]
        until(lambda: boot.watchers, 10, "the watch")
        boot.exited = Exited(code=None, signal=None, oom_killed=False, ended_at=machine.world.now, lost=True)
        for watcher in boot.watchers:
            watcher(boot.handle, boot.exited)
        until(lambda: machine.boots(instance) == 2, 10, "another boot")
        assert state(cloud, instance) == "running"


def test_a_sandbox_of_no_instance_is_removed_at_the_start(machine: Machine) -> None:
    from windtunnel.compute.driver import SandboxSpec

    stray, other = "i-0123456789abcdef0", "00000000-0000-0000-0000-000000000000"
    for name in (stray, other):
        DummyDriver(machine.world).start(SandboxSpec(id=name, image="stock", argv=("/sbin/init",), keep=True), "t")
    with machine.cloud():
        until(lambda: not machine.trace(stray), 10, "the stray to be gone")


class Crash(BaseException):
    """The process ends here."""


class Life:
    """All of an instance's life on a machine. At the boundary `dies_at` the cloud dies, once, and is started again."""

    STORY = (("StartInstances", "running"), ("StopInstances", "stopped"), ("StartInstances", "running"), ("RebootInstances", "running"))

    def __init__(self, machine: Machine, dies_at: str | None = None) -> None:
        self.machine = machine
        self.passed: list[str] = []
        self.died = False
        self._dies_at = dies_at
        self._instance = ""
        self._chapters = [*self.STORY, ("TerminateInstances", "terminated")]

    def boundary(self, kind: str, step: str, when: str) -> None:
        name = f"{kind}|{re.sub('i-[0-9a-f]{17}', 'I', step)}|{when}"
        if kind.startswith("ec2."):
            self.passed.append(name)
        if name == self._dies_at and not self.died:
            self.died = True
            raise Crash

    def live(self) -> None:
        while self._chapters:
            dead = self.died
            with self.machine.cloud(boundary=self.boundary) as cloud:
                self._instance = self._instance or launch(cloud)
                while self._chapters and self._carried_out(cloud, *self._chapters[0], dead):
                    self._chapters.pop(0)
            for boot in self.machine.world.boots.get(self._instance, []):
                boot.watchers.clear()

    def _carried_out(self, cloud: InProcessCloud, order: str, wanted: str, dead: bool) -> bool:
        """Whether the order was carried out to its end; False when the cloud died meanwhile."""
        boots = self.machine.boots(self._instance)
        if order == "RebootInstances" or state(cloud, self._instance) not in (wanted, "pending", "stopping", "shutting-down"):
            cloud.api("ec2", order, instance_ids=[self._instance])

        def reached() -> bool:
            again = order != "RebootInstances" or self.machine.boots(self._instance) > boots
            runs = self.machine.runs(self._instance) == (wanted == "running")
            return again and runs and state(cloud, self._instance) == wanted and idle(cloud, wanted)

        until(lambda: self.died != dead or reached(), 10, order)
        return self.died == dead


def idle(cloud: InProcessCloud, wanted: str) -> bool:
    """Whether no run has anything to do: the one of a running instance waits, all others have ended."""
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        rows = tx.connection.execute("SELECT state FROM run WHERE kind LIKE 'ec2.%' AND state IN ('ready','parked')").fetchall()
    return [state for (state,) in rows] == (["parked"] if wanted == "running" else [])


def test_an_instance_survives_a_death_at_every_boundary(tmp_path: Path) -> None:
    whole = Life(Machine(tmp_path / "whole"))
    whole.live()
    boundaries = list(dict.fromkeys(whole.passed))
    assert len(boundaries) > 20
    for number, boundary in enumerate(boundaries):
        life = Life(Machine(tmp_path / str(number)), boundary)
        life.live()
        assert life.died, boundary
        assert not life.machine.world.boots and not life.machine.world.addresses, boundary


def test_console_output_is_what_the_guest_said_last(machine: Machine) -> None:
    import base64

    with machine.cloud() as cloud:
        instance = running(cloud)
        machine.world.say(instance, b"x" * 100_000)
        machine.world.say(instance, b"login:")
        shown = base64.b64decode(cloud.api("ec2", "GetConsoleOutput", instance_id=instance)["Output"])
        assert len(shown) == 65536 and shown.endswith(b"xlogin:")
        cloud.api("ec2", "StopInstances", instance_ids=[instance])
        becomes(cloud, instance, "stopped")
        assert base64.b64decode(cloud.api("ec2", "GetConsoleOutput", instance_id=instance)["Output"]) == shown


def test_the_image_is_asked_for_before_the_boot(tmp_path: Path) -> None:
    asked: list[str] = []

    class Recording(StockIsThere):
        def ensure_stock(self, progress: Callable[[str], None]) -> str:
            asked.append("stock")
            return "stock"

    with InProcessCloud(tmp_path, parts={"compute": DummyDriver(), "images": Recording()}) as cloud:
        running(cloud)
        assert asked == ["stock"]
