"""Instances in real sandboxes: found again after kill -9 of the cloud, booted again with their files after `down`, gone when terminated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from doomed import DoomedCloud, until  # noqa: E402

from sandboxes import needs_sandboxes  # noqa: E402
from windtunnel.compute.network import Network  # noqa: E402
from windtunnel.kernel.stock import STOCK_AMI  # noqa: E402

pytestmark = [pytest.mark.slow, needs_sandboxes]
BOOT = """#!/bin/bash
mkdir -p /srv/page && cd /srv/page
TOKEN=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
curl -s -H "X-aws-ec2-metadata-token: $TOKEN" http://169.254.169.254/latest/meta-data/local-ipv4 > address
date +%s%N > first-boot
cat > /etc/systemd/system/page.service <<UNIT
[Service]
ExecStart=/usr/bin/python3 -m http.server 8080 --directory /srv/page
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now page
"""


class Fleet:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.cloud = DoomedCloud(data)

    def up_again(self) -> None:
        self.cloud = DoomedCloud(self.data)

    def launch(self, user_data: str = BOOT) -> str:
        reply = self.cloud.client("ec2").run_instances(
            ImageId=STOCK_AMI,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            UserData=user_data,
            MetadataOptions={"HttpTokens": "required"},
        )
        return str(reply["Instances"][0]["InstanceId"])

    def described(self, instance: str) -> dict[str, Any]:
        found = self.cloud.client("ec2").describe_instances(InstanceIds=[instance])
        return dict(found["Reservations"][0]["Instances"][0])

    def page(self, instance: str, name: str) -> str:
        """What the instance serves to this machine; empty while it does not."""
        address = self.described(instance).get("PublicIpAddress", "")
        done = subprocess.run(["curl", "-sf", "-m", "2", f"http://{address}:8080/{name}"], capture_output=True, text=True, timeout=10)
        return done.stdout if done.returncode == 0 else ""

    def serves(self, instance: str) -> str:
        return until(lambda: self.page(instance, "first-boot"), 60, f"{instance}'s page")

    def console(self, instance: str) -> str:
        return str(self.cloud.client("ec2").get_console_output(InstanceId=instance).get("Output", ""))

    def last_boot(self, instance: str) -> str:
        """What the machine has on record of the instance's last boot: its processes, with their start times."""
        states = (self.data / "sandboxes/sandboxes" / instance).glob("boots/*/state.json")
        return max(states, key=lambda path: path.stat().st_mtime_ns).read_text()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet") / "data")
    try:
        yield made
    finally:
        made.cloud.stop()


def traces(data: Path, *, of: str = "") -> list[str]:
    """What this machine still holds of a cloud's sandboxes (or of one of them): processes, mounts, links, tables, control groups."""
    wanted = of or str(data / "sandboxes")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            mounts = (process / "mountinfo").read_text()
            group = (process / "cgroup").read_text()
        except OSError:
            continue
        if wanted in command or wanted in mounts or (of and of in group):
            found.append(f"process {process.name}: {command}")
    bridge = Network(data / "sandboxes").bridge
    found += [f"control group {path}" for path in Path("/sys/fs/cgroup").glob(f"**/windtunnel/{bridge}/*{of}*") if path.is_dir()]
    if not of:
        found += [f"link {name}" for name in os.listdir("/sys/class/net") if name == bridge]
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=10).stdout
        found += [f"table {line}" for line in tables.splitlines() if bridge in line]
    return found


def test_instances_outlive_the_cloud_and_not_its_end(fleet: Fleet) -> None:
    one, two = fleet.launch(), fleet.launch()
    first = {instance: fleet.serves(instance) for instance in (one, two)}
    address = fleet.described(one)["PrivateIpAddress"]
    assert fleet.page(one, "address") == address
    assert traces(fleet.data) and traces(fleet.data, of=one), "what is looked for below can be seen"

    before = {instance: fleet.last_boot(instance) for instance in (one, two)}
    deaths = fleet.cloud.deaths
    fleet.cloud.kill()
    until(lambda: fleet.cloud.deaths > deaths and fleet.cloud.answers, 60, "another start")
    assert {instance: fleet.serves(instance) for instance in (one, two)} == first
    assert {instance: fleet.last_boot(instance) for instance in (one, two)} == before, "they simply went on"

    fleet.cloud.stop()
    assert traces(fleet.data) == []
    fleet.up_again()
    assert {instance: fleet.serves(instance) for instance in (one, two)} == first, "booted again, with their files; user data ran once"
    assert fleet.described(one)["State"]["Name"] == "running" and fleet.described(one)["PrivateIpAddress"] == address
    assert fleet.last_boot(one) != before[one]

    ec2 = fleet.cloud.client("ec2")
    ec2.stop_instances(InstanceIds=[two])
    until(lambda: fleet.described(two)["State"]["Name"] == "stopped", 60, "the stop")
    ec2.terminate_instances(InstanceIds=[one])
    until(lambda: fleet.described(one)["State"]["Name"] == "terminated", 60, "the termination")
    assert traces(fleet.data, of=one) == []
    assert not (fleet.data / "sandboxes/sandboxes" / one).exists()
    ec2.start_instances(InstanceIds=[two])
    assert fleet.serves(two) == first[two]


def test_a_cloud_that_ends_while_instances_boot_leaves_none_behind(fleet: Fleet) -> None:
    booting = [fleet.launch() for _ in range(3)]
    fleet.cloud.stop()
    assert traces(fleet.data) == []
    fleet.up_again()
    for instance in booting:
        assert fleet.serves(instance)
        assert fleet.page(instance, "address") == fleet.described(instance)["PrivateIpAddress"]


def test_user_data_that_the_cloud_did_not_let_finish_is_done_again(fleet: Fleet) -> None:
    """Once: what it had begun is there, and a boot that was let finish is no first boot any more."""
    instance = fleet.launch(
        BOOT.replace(
            "#!/bin/bash\n",
            "#!/bin/bash\nmkdir -p /srv/page\necho begun | tee -a /srv/page/begun\nuntil [ $(wc -l < /srv/page/begun) -gt 1 ]; do sleep 0.1; done\n",
        )
    )
    until(lambda: "begun" in fleet.console(instance), 60, "user data to begin")
    for _ in range(2):
        fleet.cloud.stop()
        fleet.up_again()
        assert fleet.serves(instance)
        assert fleet.page(instance, "begun") == "begun\nbegun\n"


def test_shutdown_inside_the_guest(fleet: Fleet) -> None:
    instance = str(
        fleet.cloud.client("ec2").run_instances(
            ImageId=STOCK_AMI, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData="#!/bin/sh\necho going down\nshutdown -h now\n",
            InstanceInitiatedShutdownBehavior="terminate",
        )["Instances"][0]["InstanceId"]
    )  # fmt: skip
    until(lambda: fleet.described(instance)["State"]["Name"] == "terminated", 60, "its own end")
    assert fleet.described(instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert traces(fleet.data, of=instance) == []
