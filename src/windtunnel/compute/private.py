"""Private networks: for each a network namespace of its own that holds one bridge and nothing else.

Invariant: a private network has no address of the host, no route to it and no firewall of it, because it is not in the host's namespace:
networks may overlap each other and the machine's own, and no packet of theirs is ever looked at by the host's IP.

A namespace lives as long as somebody holds a descriptor of it: this process, while a sandbox of the network runs, and the supervisor of
each such sandbox. So it outlives a killed cloud, the next one is given it by any of the supervisors, and when the last has ended it is gone,
bridge, ports and all: there is nothing to clean up and no name to leak.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from windtunnel.compute import tools
from windtunnel.compute.driver import PrivateNetwork, SandboxError
from windtunnel.compute.shim.linux import CLONE_NEWNET, setns, unshare
from windtunnel.compute.wall import INSIDE, MARK, OUTSIDE

T = TypeVar("T")
log = logging.getLogger("windtunnel.compute")
MTU = 9001
"""As on AWS; what leaves by `outside` is bounded by that cable."""
_TABLE = 119
_BRIDGE = "vpc"
_GUARD = """table bridge guard {
  set members {
    type ifname . ether_addr . ipv4_addr
  }
  chain come {
    type filter hook prerouting priority -300
    policy drop
    iifname . ether saddr . ip saddr @members accept
    iifname . ether saddr . arp saddr ip @members accept
  }
}
"""
"""Nobody speaks for another: rules name groups by the addresses of their members. A cable's name is used once, so one that is gone does no harm."""
_ARP = 0x0806
_PUBLIC_LABEL = f"{OUTSIDE}:pub"


class PrivateNetworks:
    """The namespaces that this process holds: one for each network that one of its running boots is in."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._held: dict[str, int] = {}
        self._members: dict[str, str] = {}

    def join(self, network: str, boot: str) -> int:
        """A descriptor of the network's namespace, to be closed by the caller. The network is kept until `leave(boot)`."""
        with self._turn:
            if network not in self._held:
                self._held[network] = _make()
            self._members[boot] = network
            return os.dup(self._held[network])

    def rejoin(self, network: str, boot: str, ask: Callable[[], int]) -> None:
        """The same for a boot that runs already. ask: has its supervisor send the descriptor."""
        with self._turn:
            if network not in self._held:
                self._held[network] = ask()
            self._members[boot] = network

    def leave(self, boot: str) -> None:
        with self._turn:
            network = self._members.pop(boot, None)
            if network is not None and network not in self._members.values():
                os.close(self._held.pop(network))

    def close(self) -> None:
        with self._turn:
            for held in self._held.values():
                os.close(held)
            self._held.clear()
            self._members.clear()


def link_batch(port: str, private: PrivateNetwork) -> str:
    """For `ip -batch`, in the network's namespace: a cable from its bridge into the namespace of process @PID@."""
    peer = f"peer name {INSIDE} mtu {MTU} address {private.mac} netns @PID@"
    return f"link add {port} mtu {MTU} type veth {peer}\nlink set {port} master {_BRIDGE} up\n"


def member(port: str, private: PrivateNetwork) -> str:
    """For `nft -f`, in the network's namespace: what may come out of that cable."""
    return f'add element bridge guard members {{ "{port}" . {private.mac} . {private.ip} }}\n'


def guest_batch(private: PrivateNetwork, own: str, outside: ipaddress.IPv4Network) -> str:
    """For `ip -batch`, inside. The private network comes first wherever the two overlap; what is marked goes outside all the same."""
    gateway = outside[1]
    inside = ipaddress.IPv4Interface(f"{private.ip}/{private.prefix}")
    routes = {ipaddress.IPv4Network(route) for route in private.routes} - {inside.network}
    lines = [
        f"addr add {own}/32 dev {OUTSIDE}",
        f"link set {OUTSIDE} up",
        f"addr add {inside} brd + dev {INSIDE}",
        f"link set {INSIDE} up",
        *(f"route add {route} dev {INSIDE} src {private.ip}" for route in sorted(routes)),
        f"route add default via {gateway} dev {OUTSIDE} onlink src {private.ip}",
        f"route add default via {gateway} dev {OUTSIDE} onlink table {_TABLE}",
        f"rule add fwmark {MARK} lookup {_TABLE} priority 100",
    ]
    if not any(outside.overlaps(route) for route in (*routes, inside.network)):
        lines.append(f"route add {outside} dev {OUTSIDE} src {private.ip}")
    return "\n".join(lines) + "\n" + public_batch(private.wall.public, own)


def public_batch(public: str | None, own: str) -> str:
    """For `ip -batch`, inside: an address that moves between sandboxes is on this one now, and the one before is not."""
    lines = [f"addr flush dev {OUTSIDE} label {_PUBLIC_LABEL}"]
    if public is not None and public != own:
        lines.append(f"addr add {public}/32 dev {OUTSIDE} label {_PUBLIC_LABEL}")
    return "\n".join(lines) + "\n"


def announce(public: str) -> None:
    """Inside: tell the host's bridge that the address is here now, else the host asks its last holder for half a minute."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((OUTSIDE, _ARP))
        own: bytes = wire.getsockname()[4]
        address = socket.inet_aton(public)
        asks = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + address + bytes(6) + address
        wire.send(b"\xff" * 6 + own + struct.pack("!H", _ARP) + asks)


SETTINGS = {"rp_filter": "0", "arp_ignore": "1", "arp_announce": "2", "accept_redirects": "0"}
"""Of net.ipv4.conf inside: each cable answers for its own addresses only, and answers may take the other one than questions did."""


def within(namespace: int, do: Callable[[], T]) -> T:
    """Do it on a thread that enters the network namespace and ends: no other thread is ever somewhere else than it thinks."""
    done: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            setns(namespace, CLONE_NEWNET)
            done.append(do())
        except (OSError, SandboxError, subprocess.SubprocessError) as problem:
            failed.append(problem)

    thread = threading.Thread(target=enter, name="in-namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _make() -> int:
    made: list[int] = []

    def make() -> None:
        unshare(CLONE_NEWNET)
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make, name="new-namespace")
    thread.start()
    thread.join()
    if not made:
        raise SandboxError("this machine does not let us make a network namespace")
    try:
        within(made[0], _furnish)
    except (OSError, SandboxError):
        os.close(made[0])
        raise
    return made[0]


def _furnish() -> None:
    """A bridge with a guard, and no IP at all: not even answers to who asks for an address of its own."""
    for path, value in {"ipv4/ip_forward": "0", "ipv4/conf/default/arp_ignore": "8", "ipv6/conf/default/disable_ipv6": "1"}.items():
        if os.path.exists(f"/proc/sys/net/{path}"):  # a kernel may be without IPv6
            with open(f"/proc/sys/net/{path}", "w") as setting:
                setting.write(value)
    tools.run(["ip", "-batch", "-"], f"link add {_BRIDGE} type bridge forward_delay 0 mcast_snooping 0\nlink set {_BRIDGE} mtu {MTU} up\n")
    try:
        tools.run(["nft", "-f", "-"], _GUARD)
    except SandboxError as problem:
        log.warning("this machine's kernel cannot keep guests of a private network from speaking for each other: %s", problem)


def admit(rules: str) -> None:
    """In the network's namespace: add a `member`, unless there is no guard that would ask for it."""
    try:
        tools.run(["nft", "-f", "-"], rules)
    except SandboxError:
        if "guard" in tools.run(["nft", "list", "tables", "bridge"], allowed=True):
            raise


def with_mac(private: PrivateNetwork, sandbox_id: str) -> PrivateNetwork:
    if private.mac:
        return private
    digest = hashlib.sha256(f"{private.network}/{sandbox_id}".encode()).hexdigest()
    return msgspec.structs.replace(private, mac="02:" + ":".join(digest[at : at + 2] for at in range(0, 10, 2)))
