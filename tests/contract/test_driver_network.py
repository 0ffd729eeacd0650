"""The runc driver on machines unlike this one: a name server on the loopback only, a firewall that drops what it does not know.

Each such machine is a network namespace of its own (`unshare --net`), in which a child of the test is the cloud.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driver_lab import ENDPOINT_PORT, Greeter, TestImage, eventually, runc_missing

from windtunnel.compute.driver import Exited, SandboxSpec
from windtunnel.compute.network import Network, guest_batch, guest_rules, host_rules
from windtunnel.compute.runc import RuncDriver

RESOLVER = "127.0.0.53"
OUTSIDE = f"outside-{os.getpid()}"
DOCKER_LIKE = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }"


def on_another_machine(part: str, root: Path, layers: list[Path]) -> dict[str, Any]:
    order = json.dumps({"part": part, "root": str(root), "layers": [str(layer) for layer in layers]})
    done = subprocess.run(["unshare", "--net", sys.executable, __file__, order], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.fixture
def layers(tmp_path: Path, stock_layers: Callable[[], list[Path]]) -> list[Path]:
    reason = runc_missing(tmp_path)
    if reason is not None:
        pytest.skip(reason)
    return stock_layers()


@pytest.mark.slow
def test_a_name_server_on_the_host_s_loopback_answers_guests(tmp_path: Path, layers: list[Path]) -> None:
    answer = on_another_machine("names", tmp_path, layers)
    assert answer["output"].split() == ["10.1.2.3", "name.test"]
    assert answer["other port of the loopback"] == "closed"


@pytest.mark.slow
def test_a_firewall_that_drops_by_default_lets_guests_out(tmp_path: Path, layers: list[Path]) -> None:
    answer = on_another_machine("firewall", tmp_path, layers)
    assert answer["before"] == 0
    assert answer["exceptions"] == 2
    assert answer["page"] == "200"
    assert answer["after"] == 0


# -- the machine's side of it


def names(driver: RuncDriver) -> dict[str, Any]:
    threading.Thread(target=answer_names, daemon=True).start()
    closed = socket.create_server((RESOLVER, 8053))
    script = (
        f"getent ahostsv4 name.test | head -1 | cut -d' ' -f1; echo name.test; curl -s -m 1 http://{gateway(driver)}:8053 && echo open >&2"
    )
    output = run_guest(driver, script)
    closed.close()
    return {"output": output["stdout"], "other port of the loopback": output["stderr"] or "closed"}


def answer_names() -> None:
    """A name server for which every name is 10.1.2.3."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((RESOLVER, 53))
    while True:
        query, asker = server.recvfrom(512)
        question = query[12 : query.index(b"\0", 12) + 5]
        header = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("10.1.2.3")
        server.sendto(header + question + record, asker)


def firewall(driver: RuncDriver) -> dict[str, Any]:
    """The outside is another namespace's web server, behind a cable; a firewall like Docker's stands between."""
    shell(f"ip netns add {OUTSIDE}")
    try:
        shell(f"ip link add up0 type veth peer name eth0 netns {OUTSIDE}; ip addr add 192.0.2.1/24 dev up0; ip link set up0 up")
        shell(f"ip -n {OUTSIDE} addr add 192.0.2.2/24 dev eth0; ip -n {OUTSIDE} link set eth0 up; ip -n {OUTSIDE} link set lo up")
        web = subprocess.Popen(
            ["ip", "netns", "exec", OUTSIDE, sys.executable, "-m", "http.server", "80", "--directory", "/proc/self/fd"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        subprocess.run(["nft", "-f", "-"], input=DOCKER_LIKE.replace("; ", "\n").encode(), check=True)
        before = exceptions()
        eventually("the page outside", lambda: shell("curl -s -o /dev/null -m 1 http://192.0.2.2/ && echo yes || true"))
        output = run_guest(driver, "curl -s -m 5 -o /dev/null -w '%{http_code}' http://192.0.2.2/")
        during = exceptions()
        driver.remove("one")
        driver.close(remove_network=True)
        web.kill()
        web.wait(10)
        return {"before": before, "page": output["stdout"], "exceptions": during, "after": exceptions()}
    finally:
        shell(f"ip netns delete {OUTSIDE}")


def exceptions() -> int:
    return shell("nft list chain ip filter FORWARD").count("accept")


def shell(script: str) -> str:
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=20).stdout


def gateway(driver: RuncDriver) -> str:
    return str(ipaddress.IPv4Network(str(driver.subnet()))[1])


def run_guest(driver: RuncDriver, script: str) -> dict[str, str]:
    handle = driver.start(SandboxSpec(id="one", image="stock", argv=("sh", "-c", script)), "first")
    eventually("the guest has ended", lambda: isinstance(driver.status(handle), Exited))
    streams = {"stdout": b"", "stderr": b""}
    for frame in driver.logs(handle, 0)[0]:
        streams[frame.stream] += frame.data
    return {name: data.decode() for name, data in streams.items()}


def main() -> None:
    order = json.loads(sys.argv[1])
    shell("ip link set lo up")
    root = Path(order["root"])
    (root / "resolv.conf").write_text(f"nameserver {RESOLVER}\n")
    image = TestImage([Path(layer) for layer in order["layers"]])
    driver = RuncDriver(root / "sandboxes", image, Greeter(), ENDPOINT_PORT, resolv_conf=root / "resolv.conf")
    answer = {"names": names, "firewall": firewall}[order["part"]](driver)
    for sandbox_id in driver.orphans(()):
        driver.remove(sandbox_id)
    print(json.dumps(answer), flush=True)


# -- the pure part


def test_the_guest_s_rules_lead_to_our_listeners() -> None:
    rules = guest_rules(4566, 4567)
    assert "ip daddr 127.0.0.1 tcp dport 4566 dnat to 127.0.0.1:61680" in rules
    assert "ip daddr { 169.254.169.254, 169.254.170.2 } tcp dport 80 dnat to 127.0.0.1:61681" in rules
    assert "ip daddr 127.0.0.1 tcp dport 4567 dnat to 127.0.0.1:61682" in rules
    assert "61682" not in guest_rules(4566, None)


def test_a_guest_without_network_has_no_eth0() -> None:
    assert "eth0" not in guest_batch(None, 0, "")
    assert "addr add 172.31.0.10/20 brd + dev eth0" in guest_batch("172.31.0.10", 20, "172.31.0.1")


def test_the_host_s_table_replaces_itself_and_drops_what_is_not_asked_for() -> None:
    rules = host_rules("wtabc", ipaddress.IPv4Network("172.31.16.0/20"), None)
    assert rules.startswith("table inet wtabc\ndelete table inet wtabc\ntable inet wtabc {")
    assert rules.index("ct state established,related accept") < rules.index("    drop\n")
    assert "th dport 53" not in rules
    assert "dnat ip to 127.0.0.53" in host_rules("wtabc", ipaddress.IPv4Network("172.31.16.0/20"), "127.0.0.53")


@pytest.mark.parametrize(("roots", "same"), [(("a", "a"), True), (("a", "b"), False)])
def test_a_bridge_is_named_by_its_cloud_s_directory(tmp_path: Path, roots: tuple[str, str], same: bool) -> None:
    one, two = (Network(tmp_path / root).bridge for root in roots)
    assert (one == two) is same
    assert len(one) <= 15


if __name__ == "__main__":
    main()
