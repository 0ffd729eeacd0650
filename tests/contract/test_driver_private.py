"""Private networks and walls: who reaches whom, what changes while a guest runs, what is left when nobody does."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driver_lab import ENDPOINT_PORT, Machine, Other, Program, eventually, machine

from windtunnel.compute.driver import Handle, NotRunning, PrivateNetwork, Rule, SandboxError, SandboxSpec, Wall

WAITS = Program(b"ready\n", code=None)
SERVES = "echo hello > /index.html; echo ready; exec python3 -m http.server 8000 --directory /"
EVERYBODY = (Rule(),)
HTTP = Rule(protocol=6, ports=(8000, 8000))
PING = Rule(protocol=1, ports=(8, -1))


def place(ip: str, network: str = "vpc-1", **wall: object) -> PrivateNetwork:
    walls: dict[str, object] = {"egress": EVERYBODY, "outbound": True} | wall
    return PrivateNetwork(network=network, ip=ip, prefix=24, routes=("10.0.0.0/16",), wall=Wall(**walls))  # type: ignore[arg-type]


def serve(lab: Machine, sandbox_id: str, private: PrivateNetwork, token: str = "first", **more: object) -> Handle:
    handle = lab.sh(sandbox_id, SERVES, token, private=private, **more)
    lab.wait_output(handle, b"ready")
    assert lab.driver.exec(handle, ("sh", "-c", "until curl -s -o /dev/null http://127.0.0.1:8000/; do sleep 0.05; done")).code == 0
    return handle


def asks(lab: Machine, handle: Handle, address: str, port: int = 8000) -> bool:
    """Whether this guest gets the other's page."""
    return lab.driver.exec(handle, ("curl", "-sf", "-m", "0.7", "-o", "/dev/null", f"http://{address}:{port}/")).code == 0


def host_asks(address: str | None, port: int = 8000, seconds: float = 0.6) -> bool:
    """Whether this machine gets the page."""
    assert address is not None
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/index.html", timeout=seconds) as answer:
            return bytes(answer.read()) == b"hello\n"
    except OSError:
        return False


# -- every driver


def test_a_wall_is_replaced_while_the_guest_runs(lab: Machine) -> None:
    if lab.kind == "process":
        with pytest.raises(SandboxError, match="private network"):
            lab.start("one", WAITS, private=place("10.0.0.5"))
        return
    handle = lab.start("one", WAITS, private=place("10.0.0.5"))
    lab.driver.set_wall(handle, Wall(ingress=EVERYBODY))
    if lab.kind == "dummy":
        assert lab.world.wall("one") == Wall(ingress=EVERYBODY)
    lab.driver.stop(handle, 0)
    with pytest.raises(NotRunning):
        lab.driver.set_wall(handle, Wall())


def test_a_sandbox_without_a_private_network_has_no_wall(lab: Machine) -> None:
    handle = lab.start("one", WAITS)
    with pytest.raises(SandboxError, match="no private network"):
        lab.driver.set_wall(handle, Wall())


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(PrivateNetwork(network="Vpc", ip="10.0.0.5", prefix=24), id="a network's name with capitals"),
        pytest.param(PrivateNetwork(network="vpc", ip="10.0.0", prefix=24), id="no address"),
        pytest.param(PrivateNetwork(network="vpc", ip="10.0.0.5", prefix=33), id="no prefix"),
        pytest.param(PrivateNetwork(network="vpc", ip="10.0.0.5", prefix=24, mac="x; reboot"), id="no hardware address"),
        pytest.param(place("10.0.0.5", ingress=(Rule(peers=("0.0.0.0/0 accept",)),)), id="no peer"),
        pytest.param(place("10.0.0.5", ingress=(Rule(ports=(1, 2)),)), id="ports of no protocol"),
        pytest.param(place("10.0.0.5", ingress=(Rule(allow=False),)), id="a refusal that has no order"),
        pytest.param(place("10.0.0.5", acl_ingress=EVERYBODY), id="rules for each packet without a subnet"),
        pytest.param(place("10.0.0.5", public="elsewhere"), id="no public address"),
    ],
)
def test_what_cannot_be_built_is_a_value_error(lab: Machine, wrong: PrivateNetwork) -> None:
    with pytest.raises(ValueError):
        lab.start("one", WAITS, private=wrong)
    assert lab.driver.orphans(()) == []


# -- who reaches whom


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, stock_layers: Callable[[], list[Path]]) -> Iterator[tuple[Machine, dict[str, Handle]]]:
    """Two neighbours in different subnets of one network, a stranger in another with the same addresses."""
    with machine("runc", tmp_path_factory.mktemp("three"), stock_layers) as lab:
        guests = {
            "one": serve(lab, "one", place("10.0.0.5", ingress=EVERYBODY, public=lab.driver.reserve_address("one"))),
            "two": serve(lab, "two", place("10.0.1.6", ingress=EVERYBODY)),
            "stranger": serve(lab, "stranger", place("10.0.0.9", "vpc-2", ingress=EVERYBODY)),
        }
        yield lab, guests


@pytest.mark.slow
def test_neighbours_reach_each_other_and_strangers_do_not(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    assert asks(lab, guests["one"], "10.0.1.6") and asks(lab, guests["two"], "10.0.0.5")
    assert not asks(lab, guests["stranger"], "10.0.0.5") and not asks(lab, guests["one"], "10.0.0.9")


@pytest.mark.slow
def test_the_host_is_no_part_of_it(three: tuple[Machine, dict[str, Handle]]) -> None:
    """No route, no link, no answer; and a guest finds nobody at the host's addresses by way of the private network."""
    _, guests = three
    routes = subprocess.run(["ip", "-4", "route", "show", "table", "all"], capture_output=True, text=True, check=True).stdout
    assert "10.0.0.0/16" not in routes and "10.0.0.0/24" not in routes
    assert "vpc" not in os.listdir("/sys/class/net")
    assert not host_asks("10.0.0.5")
    assert guests["one"].ip != "10.0.0.5"


@pytest.mark.slow
def test_a_program_sees_its_private_address_and_its_names(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    script = (
        "ip -4 -o addr show dev eth0 | grep -o '10.0.0.5/24'; getent hosts one; ip -4 route get 10.0.1.6 | head -1; cat /proc/net/if_inet6"
    )
    said = lab.driver.exec(guests["one"], ("sh", "-c", script)).stdout.decode()
    assert "10.0.0.5/24" in said and "10.0.0.5        one" in said and "dev eth0" in said


@pytest.mark.slow
def test_endpoint_and_metadata_answer_behind_any_wall(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    lab.driver.set_wall(guests["two"], Wall())
    said = lab.driver.exec(guests["two"], ("curl", "-sS", f"http://127.0.0.1:{ENDPOINT_PORT}/", "http://169.254.169.254/"))
    assert said.stdout == b"cloud two endpoint\ncloud two metadata\n"
    lab.driver.set_wall(guests["two"], place("10.0.1.6", ingress=EVERYBODY).wall)


@pytest.mark.slow
def test_the_outside_reaches_the_public_address_alone(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    assert host_asks(guests["one"].ip)
    assert not host_asks(guests["two"].ip), "it has no public address"
    assert asks(lab, guests["stranger"], str(guests["one"].ip)), "by the outside, as over the internet"


@pytest.mark.slow
def test_who_listens_on_the_private_address_answers_at_the_public_one(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    command = ("sh", "-c", "setsid python3 -m http.server 8001 --bind 10.0.0.5 --directory / > /dev/null 2>&1 &")
    assert lab.driver.exec(guests["one"], command).code == 0
    eventually("the page at the public address", lambda: host_asks(guests["one"].ip, 8001))


@pytest.mark.slow
def test_groups_are_addresses_of_members(three: tuple[Machine, dict[str, Handle]]) -> None:
    """The rule names the neighbour's private address: the neighbour is let in by the private network, the host is not."""
    lab, guests = three
    only_two = Wall(public=guests["one"].ip, ingress=(Rule(protocol=6, ports=(8000, 8000), peers=("10.0.1.6/32",)),))
    lab.driver.set_wall(guests["one"], only_two)
    assert asks(lab, guests["two"], "10.0.0.5") and not host_asks(guests["one"].ip)
    lab.driver.set_wall(guests["one"], Wall(public=guests["one"].ip, ingress=(Rule(peers=("10.0.7.7/32",)),)))
    assert not asks(lab, guests["two"], "10.0.0.5")
    lab.driver.set_wall(guests["one"], place("10.0.0.5", ingress=EVERYBODY, public=guests["one"].ip).wall)


@pytest.mark.slow
def test_rules_come_and_go_live(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    one = guests["one"]

    def wall(*ingress: Rule, egress: tuple[Rule, ...] = EVERYBODY) -> None:
        lab.driver.set_wall(one, Wall(public=one.ip, outbound=True, ingress=ingress, egress=egress))

    wall()
    assert not host_asks(one.ip)
    wall(HTTP)
    assert host_asks(one.ip) and not host_asks(one.ip, 8001)
    assert not pings(one.ip)
    with socket.create_connection((str(one.ip), 8000), timeout=2) as open_one:
        wall(Rule(protocol=6, ports=(8000, 8000), peers=("203.0.113.0/24",)), PING)
        assert not host_asks(one.ip), "the host is not of that network"
        assert pings(one.ip)
        open_one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert open_one.recv(5) == b"HTTP/", "what was let through goes on"
    wall(Rule(protocol=17), Rule(protocol=6, ports=(1, 79)))
    assert not host_asks(one.ip)
    wall(HTTP, egress=(Rule(protocol=6, ports=(8000, 8000), peers=("10.0.2.0/24", "10.0.0.0/16", "10.0.1.0/24")),))
    assert asks(lab, one, "10.0.1.6") and host_asks(one.ip)
    wall(HTTP, egress=())
    assert not asks(lab, one, "10.0.1.6")
    assert host_asks(one.ip), "answers are not held back"
    wall(Rule())


def pings(address: str | None) -> bool:
    """An echo request of ICMP, and whether it is answered."""
    assert address is not None
    request = struct.pack("!BBHHH", 8, 0, 0xFFFF - (0x0800 + 7 + 7), 7, 7)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(1)
        raw.sendto(request, (address, 0))
        try:
            while True:
                answer, (sender, _) = raw.recvfrom(1500)
                if sender == address and answer[20] == 0:
                    return True
        except TimeoutError:
            return False


@pytest.mark.slow
def test_rules_for_each_packet_are_in_order_and_know_no_connections(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    one = guests["one"]

    def wall(ingress: tuple[Rule, ...] | None, egress: tuple[Rule, ...] | None) -> None:
        more = {"acl_ingress": ingress, "acl_egress": egress, "subnet": "10.0.0.0/24"}
        lab.driver.set_wall(one, place("10.0.0.5", ingress=EVERYBODY, public=one.ip, **more).wall)

    refused = Rule(protocol=6, ports=(8000, 8000), allow=False)
    wall((refused, Rule()), None)
    assert not host_asks(one.ip) and not asks(lab, guests["two"], "10.0.0.5")
    wall((Rule(), refused), None)
    assert host_asks(one.ip) and asks(lab, guests["two"], "10.0.0.5")
    wall(None, (Rule(protocol=6, ports=(1, 100)),))
    assert not host_asks(one.ip), "the answer needs a rule of its own"
    wall(None, (Rule(protocol=6, ports=(1024, 65535)),))
    assert host_asks(one.ip)
    wall(None, None)


@pytest.mark.slow
def test_an_address_moves_from_one_to_the_other(three: tuple[Machine, dict[str, Handle]]) -> None:
    lab, guests = three
    moving = lab.driver.reserve_address("eipalloc-1")
    assert moving not in (guests["one"].ip, guests["two"].ip)
    for holder, other in (("two", "one"), ("one", "two"), ("two", "one")):
        lab.driver.set_wall(guests[other], Wall(public=None, ingress=EVERYBODY))
        lab.driver.set_wall(guests[holder], Wall(public=moving, ingress=EVERYBODY))
        eventually("the host knows where it is now", lambda: host_asks(moving))
        assert owner(str(moving)) == owner(str(guests[holder].ip), ask=False)
        assert not host_asks(guests[holder].ip), "its own address is not public now"
    late = serve(lab, "late", place("10.0.2.7", ingress=EVERYBODY, public=moving))
    lab.driver.set_wall(guests["two"], Wall(public=None, ingress=EVERYBODY))
    lab.driver.set_wall(late, place("10.0.2.7", ingress=EVERYBODY, public=moving).wall)
    assert host_asks(moving), "one that boots with it is known as its holder when its wall is looked at again"
    assert owner(str(moving)) == owner(str(late.ip), ask=False)
    lab.driver.remove("late")
    lab.driver.remove("eipalloc-1")
    lab.driver.set_wall(guests["one"], place("10.0.0.5", ingress=EVERYBODY, public=guests["one"].ip).wall)
    lab.driver.set_wall(guests["two"], place("10.0.1.6", ingress=EVERYBODY).wall)


def owner(address: str, ask: bool = True) -> str:
    """The hardware address that the host has for it."""
    if not ask:
        host_asks(address, seconds=0.2)  # refused, but the host has to find it
    said = subprocess.run(["ip", "neigh", "show", address], capture_output=True, text=True, check=True).stdout.split()
    return said[said.index("lladdr") + 1]


# -- odd places


@pytest.mark.slow
def test_a_private_network_may_claim_the_host_s_own_addresses(runc_lab: Machine) -> None:
    """The bridge's network, name servers and all: the host reaches the guest, and the guest the outside's names, all the same."""
    outside = str(runc_lab.driver.subnet())
    own = runc_lab.driver.reserve_address("one")
    inside = outside.rsplit(".", 1)[0] + ".200"
    private = PrivateNetwork(
        network="vpc-1",
        ip=inside,
        prefix=20,
        routes=("198.19.0.0/16", "0.0.0.0/1", "128.0.0.0/1"),
        wall=Wall(public=own, outbound=True, ingress=EVERYBODY, egress=EVERYBODY),
    )
    handle = serve(runc_lab, "one", private)
    assert host_asks(own)
    said = runc_lab.driver.exec(handle, ("curl", "-sS", f"http://127.0.0.1:{ENDPOINT_PORT}/", "http://169.254.169.254/"))
    assert said.stdout == b"cloud one endpoint\ncloud one metadata\n"
    try:
        socket.getaddrinfo("deb.debian.org", 80)
    except OSError:
        return
    assert runc_lab.driver.exec(handle, ("getent", "hosts", "deb.debian.org")).code == 0


@pytest.mark.slow
def test_without_leave_to_go_out_only_names_are_asked_for(runc_lab: Machine) -> None:
    page = serve(runc_lab, "page", place("10.0.0.5", "vpc-2", ingress=EVERYBODY, public=runc_lab.driver.reserve_address("page")))
    guest = serve(runc_lab, "one", place("10.0.0.6", outbound=False))
    assert not asks(runc_lab, guest, str(page.ip))
    runc_lab.driver.set_wall(guest, place("10.0.0.6").wall)
    assert asks(runc_lab, guest, str(page.ip))


SENDS = """
import socket, struct, sys
source, target = (socket.inet_aton(address) for address in sys.argv[1:])
udp = struct.pack("!HHHH", 9999, 9999, 8, 0)
head = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0) + source + target
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
    raw.sendto(head + udp, (sys.argv[2], 0))
"""
HEARS = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
    heard.bind(("", 9999))
    print("ready", flush=True)
    while True:
        print(heard.recvfrom(99)[1][0], flush=True)
"""


@pytest.mark.slow
def test_nobody_speaks_for_another(runc_lab: Machine) -> None:
    """Root inside may forge what it sends; only what has its own address comes out of its cable."""
    spec = SandboxSpec(id="ear", image="stock", argv=("python3", "-c", HEARS), private=place("10.0.0.5", ingress=EVERYBODY))
    ear = runc_lab.driver.start(spec, "first")
    runc_lab.wait_output(ear, b"ready")
    mouth = runc_lab.sh("mouth", "sleep 1000", private=place("10.0.0.6"))
    for source in ("10.0.0.7", "10.0.0.6"):
        assert runc_lab.driver.exec(mouth, ("python3", "-c", SENDS, source, "10.0.0.5")).code == 0
    runc_lab.wait_output(ear, b"10.0.0.6")
    assert b"10.0.0.7" not in runc_lab.output(ear)


@pytest.mark.slow
def test_a_guest_cannot_take_its_wall_down(runc_lab: Machine) -> None:
    handle = runc_lab.sh("one", "sleep 1000", private=place("10.0.0.5"))
    assert runc_lab.driver.exec(handle, ("ip", "link", "set", "outside", "down")).code != 0
    assert runc_lab.driver.exec(handle, ("ip", "addr", "add", "10.0.0.77/24", "dev", "eth0")).code != 0
    assert runc_lab.driver.exec(handle, ("ip", "rule", "del", "fwmark", "0x77")).code != 0


@pytest.mark.slow
def test_the_wall_stands_before_the_first_instruction(runc_lab: Machine) -> None:
    page = serve(runc_lab, "page", place("10.0.0.5", ingress=EVERYBODY))
    script = "curl -s -m 1 -o /dev/null http://10.0.0.5:8000/ && echo out || echo held; ip -4 -o addr show dev eth0 | wc -l"
    early = runc_lab.sh("early", script, private=place("10.0.0.6", egress=()))
    runc_lab.exited(early)
    assert runc_lab.output(early) == b"held\n1\n"
    assert runc_lab.driver.status(page) is not None


# -- over the end of the cloud


@pytest.mark.slow
def test_a_killed_cloud_leaves_walls_and_networks_standing(runc_lab: Machine) -> None:
    own = runc_lab.driver.reserve_address("one")
    spec = SandboxSpec(id="one", image="stock", argv=("sh", "-c", SERVES), private=place("10.0.0.5", ingress=(HTTP,), public=own))
    other = Other(runc_lab, spec)
    other.line()
    eventually("the page", lambda: host_asks(own))
    other.kill()
    assert host_asks(own) and not pings(own)
    runc_lab.driver = runc_lab.make()
    [handle] = runc_lab.driver.recover()
    assert host_asks(own) and not pings(own)
    runc_lab.driver.set_wall(handle, Wall(public=own, ingress=(PING,)))
    assert pings(own) and not host_asks(own)
    runc_lab.driver.set_wall(handle, Wall(ingress=(HTTP,)))
    late = runc_lab.sh("late", "sleep 1000", private=place("10.0.3.7"))
    assert asks(runc_lab, late, "10.0.0.5"), "one that starts later is in the same network"


@pytest.mark.slow
def test_a_boot_on_the_same_disk_is_in_its_network_again(runc_lab: Machine) -> None:
    first = runc_lab.sh("one", "ip -4 -o addr show dev eth0 | grep -o 10.0.0.5/24", private=place("10.0.0.5"), keep=True)
    runc_lab.exited(first)
    second = runc_lab.sh("one", "ip -4 -o addr show dev eth0 | grep -o 10.0.4.8/24", token="second", private=place("10.0.4.8"), keep=True)
    runc_lab.exited(second)
    assert (runc_lab.output(first), runc_lab.output(second)) == (b"10.0.0.5/24\n", b"10.0.4.8/24\n")


@pytest.mark.slow
def test_the_host_reaches_a_next_boot_at_once(runc_lab: Machine) -> None:
    """It remembers the hardware address of the last boot, and this one has sent it nothing yet."""
    own = runc_lab.driver.reserve_address("one")
    runc_lab.sh("bystander", "sleep 1000")  # without it the bridge would be down between the boots, and the host would forget
    for token, ip in (("first", "10.0.0.5"), ("second", "10.0.0.6")):
        handle = serve(runc_lab, "one", place(ip, ingress=EVERYBODY, public=own, outbound=False), token=token, keep=True)
        assert host_asks(own)
        runc_lab.driver.stop(handle, 0)


@pytest.mark.slow
def test_nothing_is_left_of_a_network_when_its_last_guest_has_ended(runc_lab: Machine) -> None:
    one = runc_lab.sh("one", "sleep 1000", private=place("10.0.0.5"))
    two = runc_lab.sh("two", "sleep 1000", private=place("10.0.0.6"))
    [namespace] = switches(one) & switches(two)
    assert namespace in switches(os.getpid())
    runc_lab.driver.remove(one)
    assert namespace in switches(two), "it is kept for the other"
    os.kill(two.shim_pid, 9)
    runc_lab.exited(two)
    eventually("no descriptor of it is left", lambda: not [pid for pid in pids() if namespace in switches(pid)])
    third = runc_lab.sh("three", "sleep 1000", private=place("10.0.0.7"))
    assert len(switches(third)) == 1


@pytest.mark.slow
def test_a_start_that_fails_leaves_no_network(runc_lab: Machine) -> None:
    before = switches(os.getpid())
    with pytest.raises(SandboxError, match="no-such-program"):
        runc_lab.driver.start(SandboxSpec(id="one", image="stock", argv=("no-such-program",), private=place("10.0.0.5")), "first")
    assert switches(os.getpid()) == before


def pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def switches(process: Handle | int) -> set[str]:
    """The network namespaces that a process (a guest's supervisor) has a descriptor of."""
    pid = process if isinstance(process, int) else process.shim_pid
    try:
        return {link for fd in Path(f"/proc/{pid}/fd").iterdir() if (link := read_link(fd)).startswith("net:")}
    except OSError:
        return set()


def read_link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
