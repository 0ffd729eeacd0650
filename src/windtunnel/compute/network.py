"""The cloud's own network: a bridge, one /20 of 198.19.0.0/16, an address a sandbox, and the host's rules around it.

Invariant: guests reach each other and the outside, the host reaches guests, and a guest opens no connection to the host itself, to
another cloud's guests, or to link-local addresses outside. An address belongs to one sandbox id from its reservation to its release;
reservations are files (`addresses/<ip>` holding the id), made with O_EXCL, so they survive us and cannot be given twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import itertools
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from windtunnel.compute.driver import GUEST_ENDPOINT_PORT, GUEST_METADATA_PORT, GUEST_TLS_PORT, SandboxError
from windtunnel.compute.shim.runtimes import STAGE
from windtunnel.compute.tools import run

_POOL = ipaddress.IPv4Network("198.19.0.0/16")
"""Out of what is set apart for tests of networks (RFC 2544): no VPC's addresses, and seldom a network of the machine's."""
_METADATA = "169.254.169.254"
_CREDENTIALS = "169.254.170.2"
_OTHER_FIREWALL = ("ip", "filter", "FORWARD")
"""Where Docker and ufw drop what they do not know, with iptables over nft."""
_STUB_FREE_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")


class Network:
    def __init__(self, root: Path, resolv_conf: Path = Path("/etc/resolv.conf")) -> None:
        digest = hashlib.sha256(str(root.resolve()).encode()).hexdigest()
        self.bridge = f"wt{digest[:8]}"
        self._preferred = int(digest[:8], 16) % 16
        self._root = root.resolve()
        self._file = root / "network.json"
        self._resolv_conf = resolv_conf
        self._addresses = root / "addresses"
        self._turn = threading.Lock()
        self._ready = False
        self._network: ipaddress.IPv4Network | None = None

    # -- the bridge

    def subnet(self) -> ipaddress.IPv4Network:
        """Brings the network up on first need."""
        with self._turn:
            if self._network is None or not self._ready:
                with _machine_lock():
                    self._network = self._up()
                self._ready = True
            return self._network

    @property
    def gateway(self) -> str:
        return str(self.subnet()[1])

    @property
    def mtu(self) -> int:
        return int(_read(f"/sys/class/net/{self.bridge}/mtu") or 1500)

    def _up(self) -> ipaddress.IPv4Network:
        network = self._choose()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps({"subnet": str(network)}))
        temporary.rename(self._file)
        if not os.path.exists(f"/sys/class/net/{self.bridge}"):
            run(["ip", "-batch", "-"], f"link add {self.bridge} mtu {_outgoing_mtu()} type bridge\n")
            without_ipv6 = Path(f"/proc/sys/net/ipv6/conf/{self.bridge}/disable_ipv6")
            if without_ipv6.exists():  # a kernel may be without it
                without_ipv6.write_text("1")
            run(["ip", "-batch", "-"], f"addr add {network[1]}/{network.prefixlen} dev {self.bridge}\nlink set {self.bridge} up\n")
            run(["ip", "link", "set", self.bridge, "alias", str(self._root)[-255:]])
        forward = Path("/proc/sys/net/ipv4/ip_forward")
        if forward.read_text().strip() != "1":
            forward.write_text("1")
        resolver = self._loopback_resolver()
        if resolver:
            Path(f"/proc/sys/net/ipv4/conf/{self.bridge}/route_localnet").write_text("1")
        run(["nft", "-f", "-"], host_rules(self.bridge, network, resolver))
        self._forget_exceptions()
        if "policy drop" in run(["nft", "list", "table", *_OTHER_FIREWALL[:2]], allowed=True):
            run(["nft", "-f", "-"], exception_rules(self.bridge))
        return network

    def _forget_exceptions(self) -> None:
        listing = run(["nft", "--handle", "list", "chain", *_OTHER_FIREWALL], allowed=True)
        for line in listing.splitlines():
            if f'"{self.bridge}"' in line and " # handle " in line:
                run(["nft", "delete", "rule", *_OTHER_FIREWALL, "handle", line.rpartition(" ")[2]])

    def _choose(self) -> ipaddress.IPv4Network:
        """The subnet of last time if nobody took it meanwhile, else a free one. Addresses of a lost subnet are forgotten."""
        for bridge in _abandoned_bridges():
            _take_down(bridge)
        taken = list(_taken(self.bridge))
        blocks = list(_POOL.subnets(new_prefix=20))
        candidates = blocks[self._preferred :] + blocks[: self._preferred]
        recorded = _recorded(self._file)
        for network in ([recorded] if recorded else []) + candidates:
            if not any(network.overlaps(other) for other in taken):
                if network != recorded:
                    for stale in self._addresses.glob("*"):
                        stale.unlink()
                return network
        raise SandboxError(f"no free /20 is left in {_POOL}: other interfaces or clouds of this machine use all sixteen")

    def down(self) -> None:
        """Take bridge and rules away. What is gone is success."""
        with self._turn, _machine_lock():
            self._ready = False
            _take_down(self.bridge)
            self._forget_exceptions()

    # -- addresses

    def reserve(self, sandbox_id: str, wanted: str | None = None) -> str:
        """The sandbox's address: the one it has, else the wanted one, else a free one."""
        network = self.subnet()
        with self._turn:
            self._addresses.mkdir(parents=True, exist_ok=True)
            held = self.reservations()
            mine = next((ip for ip, owner in held.items() if owner == sandbox_id), None)
            if wanted is None and mine is not None:
                return mine
            if wanted is not None:
                return self._reserve_wanted(network, sandbox_id, wanted, mine, held)
            for address in itertools.islice(network.hosts(), 9, None):
                if str(address) not in held:
                    self._hold(str(address), sandbox_id)
                    return str(address)
        raise SandboxError(f"all addresses of {network} are in use")

    def _reserve_wanted(self, network: ipaddress.IPv4Network, sandbox_id: str, wanted: str, mine: str | None, held: dict[str, str]) -> str:
        if wanted == mine:
            return wanted
        if not network[3] < ipaddress.IPv4Address(wanted) < network[-1]:
            raise SandboxError(f"{wanted} is not an address of this cloud's network {network}")
        if wanted in held:
            raise SandboxError(f"{wanted} is in use by {held[wanted]}")
        if mine is not None:
            (self._addresses / mine).unlink(missing_ok=True)
        self._hold(wanted, sandbox_id)
        return wanted

    def _hold(self, ip: str, sandbox_id: str) -> None:
        temporary = self._addresses / f".{ip}"
        temporary.write_text(sandbox_id)
        temporary.rename(self._addresses / ip)

    def reservations(self) -> dict[str, str]:
        """Address -> sandbox id. What is released while this looks is left out."""
        try:
            addresses = [name for name in os.listdir(self._addresses) if not name.startswith(".")]
        except FileNotFoundError:
            return {}
        held = {}
        for address in addresses:
            with suppress(FileNotFoundError):
                held[address] = (self._addresses / address).read_text()
        return held

    def release(self, sandbox_id: str) -> None:
        with self._turn:
            for ip, owner in self.reservations().items():
                if owner == sandbox_id:
                    (self._addresses / ip).unlink(missing_ok=True)

    # -- a sandbox's part

    def resolv_conf(self) -> str:
        """What guests should ask for names: the host's servers, or the gateway if those listen on the host's loopback only."""
        if self._loopback_resolver():
            return f"nameserver {self.gateway}\n"
        return _resolv_conf(self._resolv_conf)

    def name_servers(self) -> list[str]:
        """Those of `resolv_conf`, of IPv4."""
        return [server for server in _servers(self.resolv_conf()) if ":" not in server]

    def _loopback_resolver(self) -> str | None:
        servers = _servers(_resolv_conf(self._resolv_conf))
        if servers and all(ipaddress.ip_address(s).is_loopback for s in servers):
            return next((s for s in servers if ":" not in s), None)
        return None


def link_batch(bridge: str, veth: str, mtu: int, ip: str, name: str = "eth0") -> str:
    """For `ip -batch`, on the host: a cable from the bridge into the network namespace of process @PID@, where it ends as `name`.

    Its hardware address follows from the IP address: the host remembers it over a reboot, and would ask the last boot's for half a minute."""
    mac = "02:77:" + ":".join(f"{int(part):02x}" for part in ip.split("."))
    return f"link add {veth} mtu {mtu} type veth peer name {name} mtu {mtu} address {mac} netns @PID@\nlink set {veth} master {bridge} up\n"


def guest_batch(ip: str | None, prefix: int, gateway: str) -> str:
    """For `ip -batch`, inside. The metadata address is on lo so that its packets have a source; nobody listens on its port 80:
    that would keep the guest from binding 0.0.0.0:80."""
    lines = ["link set lo up", f"addr add {_METADATA}/32 dev lo", f"addr add {_CREDENTIALS}/32 dev lo"]
    if ip is not None:
        lines += [f"addr add {ip}/{prefix} brd + dev eth0", "link set eth0 up", f"route add default via {gateway}"]
    return "\n".join(lines) + "\n"


def guest_rules(endpoint_port: int, tls_port: int | None) -> str:
    """For `nft -f`, inside, where the guest has no NET_ADMIN to change it: the well-known addresses lead to our listeners."""
    lines = [
        f"ip daddr 127.0.0.1 tcp dport {endpoint_port} dnat to 127.0.0.1:{GUEST_ENDPOINT_PORT}",
        f"ip daddr {{ {_METADATA}, {_CREDENTIALS} }} tcp dport 80 dnat to 127.0.0.1:{GUEST_METADATA_PORT}",
    ]
    if tls_port is not None:
        lines.append(f"ip daddr 127.0.0.1 tcp dport {tls_port} dnat to 127.0.0.1:{GUEST_TLS_PORT}")
    body = "\n".join(f"    {line}" for line in lines)
    return f"table ip windtunnel {{\n  chain out {{\n    type nat hook output priority -100;\n{body}\n  }}\n}}\n"


def host_rules(bridge: str, network: ipaddress.IPv4Network, loopback_resolver: str | None) -> str:
    """The host's table, replaced whole. Without `input` every 0.0.0.0 listener of the host would be open to guests."""
    accept_dns = ""
    dns = ""
    if loopback_resolver:
        accept_dns = f"    iifname {bridge} ip daddr {loopback_resolver} meta l4proto {{ tcp, udp }} th dport 53 ct status dnat accept\n"
        dns = (
            f"  chain names {{\n    type nat hook prerouting priority -100;\n"
            f"    iifname {bridge} ip daddr {network[1]} meta l4proto {{ tcp, udp }} th dport 53 dnat ip to {loopback_resolver}\n  }}\n"
        )
    return (
        f"table inet {bridge}\ndelete table inet {bridge}\ntable inet {bridge} {{\n"
        f"  chain to_host {{\n    type filter hook input priority -10;\n"
        f"    iifname != {bridge} accept\n    ct state established,related accept\n    ip protocol icmp accept\n{accept_dns}    drop\n  }}\n"
        f"  chain through {{\n    type filter hook forward priority -10;\n"
        f"    iifname {bridge} ip daddr 169.254.0.0/16 drop\n    iifname {bridge} meta nfproto ipv6 drop\n"
        f"    oifname {bridge} iifname != {bridge} ct state new drop\n  }}\n"
        f"{dns}"
        f"  chain leaving {{\n    type nat hook postrouting priority 100;\n"
        f"    ip saddr {network} oifname != {bridge} masquerade\n  }}\n"
        f"}}\n"
    )


def exception_rules(bridge: str) -> str:
    """Let our packets pass a firewall that drops by default; our own table still drops what it drops."""
    where = " ".join(_OTHER_FIREWALL)
    return f"insert rule {where} iifname {bridge} accept\ninsert rule {where} oifname {bridge} accept\n"


@contextmanager
def _machine_lock() -> Iterator[None]:
    """Clouds of one machine choose their subnets one after the other."""
    os.makedirs(STAGE, mode=0o711, exist_ok=True)
    fd = os.open(f"{STAGE}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _take_down(bridge: str) -> None:
    if os.path.exists(f"/sys/class/net/{bridge}"):
        run(["ip", "link", "delete", bridge])
    run(["nft", "-f", "-"], f"table inet {bridge}\ndelete table inet {bridge}\n")


def _abandoned_bridges() -> Iterator[str]:
    """Bridges without a guest whose cloud's directory was deleted: they would hold one of sixteen subnets for ever."""
    for link in Path("/sys/class/net").glob("wt*/bridge"):
        bridge = link.parent
        root = _read(str(bridge / "ifalias")).strip()
        if root.startswith("/") and not os.path.exists(root) and not _ports(bridge):
            yield bridge.name


def _ports(bridge: Path) -> list[str]:
    try:
        return os.listdir(bridge / "brif")
    except FileNotFoundError:  # it went while this looked
        return []


def _taken(own_bridge: str) -> Iterator[ipaddress.IPv4Network]:
    """Every network that the host has a route to or an address in, our own bridge's aside."""
    for route in json.loads(run(["ip", "-4", "-json", "route", "show", "table", "all"]) or "[]"):
        destination = route.get("dst", "default")
        if destination != "default" and route.get("dev") != own_bridge:
            yield ipaddress.IPv4Network(destination, strict=False)


def _recorded(file: Path) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(json.loads(file.read_text())["subnet"])
    except (FileNotFoundError, ValueError):
        return None


def _outgoing_mtu() -> int:
    """The MTU towards the outside: a larger one of ours would lose packets where path MTU discovery is filtered."""
    routes = json.loads(run(["ip", "-4", "-json", "route", "show", "default"]) or "[]")
    return min((int(_read(f"/sys/class/net/{route['dev']}/mtu") or 1500) for route in routes if "dev" in route), default=1500)


def _resolv_conf(path: Path) -> str:
    """The host's resolv.conf; where that names a local stub only, the stub's own servers if systemd wrote them down."""
    text = _read(str(path))
    servers = _servers(text)
    if servers and all(ipaddress.ip_address(s).is_loopback for s in servers) and _STUB_FREE_RESOLV_CONF.exists():
        return _STUB_FREE_RESOLV_CONF.read_text()
    return text


def _servers(resolv_conf: str) -> list[str]:
    rows = [line.split() for line in resolv_conf.splitlines()]
    return [row[1].partition("%")[0] for row in rows if len(row) > 1 and row[0] == "nameserver"]


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
