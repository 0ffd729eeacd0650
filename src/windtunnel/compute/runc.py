"""The embedded driver on Linux, as root: each sandbox a runc container on an overlay of an immutable image, with its own network.

Invariant: runc does what must be right about security (namespaces, capabilities, seccomp, cgroups); this module only says what it
should do, in `oci.py`, and takes away what is left in the kernel when a supervisor died: containers, cgroups and cables are named by
(cloud, sandbox, boot), so what belongs to nobody is recognised by its name.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from windtunnel.compute import handshake, oci, seccomp, tools
from windtunnel.compute.boots import Boot, boot_of, boots_of, guest_alive
from windtunnel.compute.collect import Capture
from windtunnel.compute.driver import (
    GUEST_ENDPOINT_PORT,
    GUEST_METADATA_PORT,
    GUEST_TLS_PORT,
    ExecResult,
    GuestFile,
    Handle,
    ImageStore,
    ListenerKind,
    NotRunning,
    Running,
    SandboxError,
    SandboxSpec,
    Serve,
    Wall,
    check_wall,
)
from windtunnel.compute.network import Network, guest_batch, guest_rules, link_batch
from windtunnel.compute.private import SETTINGS, PrivateNetworks, admit, announce, member, public_batch, with_mac, within
from windtunnel.compute.private import guest_batch as private_guest_batch
from windtunnel.compute.private import link_batch as private_link_batch
from windtunnel.compute.shim import inside, messages
from windtunnel.compute.shim.runtimes import ROOTFS, set_user
from windtunnel.compute.supervised import SupervisedDriver
from windtunnel.compute.wall import OUTSIDE, wall_rules

_TOOLS = {"runc": "runc", "ip": "iproute2", "nft": "nftables"}
_CGROUPS = Path("/sys/fs/cgroup")


class RuncDriver(SupervisedDriver):
    name = "runc"

    def __init__(
        self,
        root: Path,
        images: ImageStore,
        serve: Serve,
        endpoint_port: int,
        tls_port: int | None = None,
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(root.resolve(), serve)
        self._images = images
        self._endpoint_port = endpoint_port
        self._tls_port = tls_port
        self._runc_root = self._root / "runc"
        self._network = Network(self._root, resolv_conf)
        self._cloud = self._network.bridge
        self._private = PrivateNetworks()
        self._numbers = itertools.count()

    def available(self) -> str | None:
        if platform.system() != "Linux" or platform.machine() not in seccomp.ARCHITECTURES:
            return f"sandboxes need Linux on {' or '.join(seccomp.ARCHITECTURES)}; this is {platform.system()} on {platform.machine()}"
        if os.geteuid() != 0:
            return (
                "sandboxes run with one user id and no network of their own unless this runs as root, and that is not built: "
                "run it as root, or in a virtual machine or container in which you are root"
            )
        missing = [f"{tool} (package {package})" for tool, package in _TOOLS.items() if tools.find(tool) is None]
        return f"sandboxes need programs that are not here: {', '.join(missing)}" if missing else None

    # -- start

    def _prepare(self, spec: SandboxSpec, boot: Boot) -> tuple[dict[str, Any], str | None, list[ListenerKind]]:
        layers = self._disk(spec, boot.sandbox)
        ip = self._network.reserve(spec.id, spec.ip) if spec.network else None
        os.makedirs(ROOTFS, mode=0o711, exist_ok=True)  # empty here, but `runc exec` begins there
        self._runc_root.mkdir(exist_ok=True, mode=0o700)
        cgroup = f"/windtunnel/{self._cloud}/{_container(boot)}"
        listeners: list[tuple[ListenerKind, int]] = [("endpoint", GUEST_ENDPOINT_PORT), ("metadata", GUEST_METADATA_PORT)]
        if self._tls_port is not None:
            listeners.append(("tls", GUEST_TLS_PORT))
        runtime = {
            "kind": "runc",
            "runc": "runc",
            "runc_root": str(self._runc_root),
            "container": _container(boot),
            "layers": layers,
            "upper": str(boot.sandbox / "upper"),
            "work": str(boot.sandbox / "work"),
            "user": spec.user,
            "files": self._write_files(spec, boot, ip),
            "config": oci.config(spec, cgroup, (_CGROUPS / "memory/memory.memsw.limit_in_bytes").exists() or not _cgroups_v1()),
            "cgroups": _cgroup_directories(cgroup),
            "memory_cgroups": [f"{_CGROUPS}/memory{cgroup}", f"{_CGROUPS}{cgroup}"],
            "network": self._cables(spec, boot, ip),
            "ports": [port for _, port in listeners],
        }
        return runtime, ip, [kind for kind, _ in listeners]

    def _disk(self, spec: SandboxSpec, sandbox: Path) -> list[str]:
        """Make the disk, or find the kept one on the layers that it was made on."""
        record = sandbox / "disk.json"
        if record.exists():
            known: list[str] = json.loads(record.read_text())["layers"]
            if all(os.path.isdir(layer) for layer in known):
                return known
        layers = [str(layer.resolve()) for layer in self._images.rootfs(spec.image)]
        if not record.exists():
            upper = sandbox / "upper"
            upper.mkdir(mode=0o755)
            os.chown(upper, inside.UID_SHIFT, inside.UID_SHIFT)
            (sandbox / "work").mkdir(mode=0o700)
        temporary = sandbox / "disk.json.new"
        temporary.write_text(json.dumps({"image": spec.image, "layers": layers}))
        temporary.rename(record)
        return layers

    def _write_files(self, spec: SandboxSpec, boot: Boot, ip: str | None) -> list[dict[str, Any]]:
        """The spec's files and our own, as sources beside the boot's order. Names and addresses are the guest's to change once it has
        booted; the name servers are the machine's each time."""
        hostname = spec.hostname or spec.id
        address = spec.private.ip if spec.private else ip or "127.0.1.1"
        names = f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{address} {hostname}\n"
        own = [GuestFile("/etc/resolv.conf", (self._network.resolv_conf() if ip else "").encode())]
        if not any(other.name != boot.name for other in boots_of(boot.sandbox)):
            own += [GuestFile("/etc/hosts", names.encode()), GuestFile("/etc/hostname", f"{hostname}\n".encode())]
        directory = boot.path / "files"
        directory.mkdir(mode=0o700)
        placed = []
        for number, file in enumerate([*own, *spec.files]):
            source = directory / str(number)
            source.write_bytes(file.content)
            placed.append({"path": file.path, "source": str(source), "mode": file.mode, "user": file.user})
        return placed

    def _cables(self, spec: SandboxSpec, boot: Boot, ip: str | None) -> dict[str, Any]:
        veth = f"wt{uuid.uuid4().hex[:12]}"  # new each time: the kernel takes the last one away in its own time
        rules = guest_rules(self._endpoint_port, self._tls_port)
        if ip is None:
            return {"veth": veth, "link": "", "guest": guest_batch(None, 0, ""), "rules": rules}
        network = self._network.subnet()
        if spec.private is None:
            return {
                "veth": veth,
                "link": link_batch(self._network.bridge, veth, self._network.mtu, ip),
                "guest": guest_batch(ip, network.prefixlen, self._network.gateway),
                "rules": rules,
            }
        private = with_mac(spec.private, spec.id)
        wall = wall_rules(private.wall, ip, private.ip, self._network.name_servers())
        if private.wall.public in (None, ip):
            (boot.path / "wall").write_text(wall)  # one with another's address is built once more, to be announced
        return {
            "veth": veth,
            "link": link_batch(self._network.bridge, veth, self._network.mtu, ip, OUTSIDE),
            "guest": guest_batch(None, 0, "") + private_guest_batch(private, ip, network),
            "rules": rules + wall,
            "private": {"network": private.network, "ip": private.ip},
            "private_link": private_link_batch(veth, private),
            "private_member": member(veth, private),
            "settings": {f"ipv4/conf/{which}/{name}": value for name, value in SETTINGS.items() for which in ("all", "default")},
        }

    # -- private networks

    def _join(self, spec: SandboxSpec, boot: Boot) -> int | None:
        return self._private.join(spec.private.network, boot.key) if spec.private is not None else None

    def _admit(self, order: dict[str, Any], switch: int) -> None:
        rules: str = order["runtime"]["network"]["private_member"]
        within(switch, lambda: admit(rules))

    def _rejoin(self, boot: Boot, order: dict[str, Any]) -> None:
        private = order["runtime"].get("network", {}).get("private")
        if private is not None:
            self._private.rejoin(private["network"], boot.key, lambda: handshake.ask_for_switch(boot))

    def _left(self, boot: Boot) -> None:
        self._private.leave(boot.key)

    def set_wall(self, handle: Handle, wall: Wall) -> None:
        check_wall(wall)
        boot = self._running(handle)
        private = (boot.order() or {})["runtime"]["network"].get("private")
        if private is None or handle.ip is None:
            raise SandboxError(f"sandbox {handle.id} has no private network")
        rules = wall_rules(wall, handle.ip, private["ip"], self._network.name_servers())
        addresses = public_batch(wall.public, handle.ip)
        with self._in_line(handle.id):
            stands = boot.path / "wall"
            if _read(stands) == rules:
                return
            namespace = self._namespace_of(handle)
            try:
                stands.unlink(missing_ok=True)  # from here on until it is written again, nobody knows which one stands
                within(namespace, lambda: _rebuild(rules, addresses, wall.public))
                stands.write_text(rules)
            except OSError as problem:
                raise SandboxError(f"the wall of sandbox {handle.id} could not be built: {problem}") from problem
            finally:
                os.close(namespace)

    def _namespace_of(self, handle: Handle) -> int:
        try:
            namespace = os.open(f"/proc/{handle.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise NotRunning(f"sandbox {handle.id} has ended") from None
        if not guest_alive(handle):
            os.close(namespace)
            raise NotRunning(f"sandbox {handle.id} has ended")
        return namespace

    # -- recovery

    def recover(self) -> list[Handle]:
        running = super().recover()
        if any(handle.ip for handle in running):
            self._network.subnet()  # the rules again, as this version has them
        alive = {_container(boot_of(self._sandboxes / handle.id, handle.token)) for handle in running}
        for leftover in sorted({entry.name for entry in _entries(self._runc_root)} - alive):
            self._delete_container(leftover)
        return running

    def _scrub(self, boot: Boot, order: dict[str, Any]) -> None:
        runtime = order["runtime"]
        self._delete_container(runtime["container"])
        if os.path.exists(f"/sys/class/net/{runtime['network']['veth']}"):
            tools.run(["ip", "link", "delete", runtime["network"]["veth"]], allowed=True)
        for directory in runtime["cgroups"]:
            _remove_cgroup(directory)

    def _delete_container(self, container: str) -> None:
        if (self._runc_root / container).exists():
            tools.run(["runc", "--root", str(self._runc_root), "delete", "--force", container], allowed=True)
            shutil.rmtree(self._runc_root / container, ignore_errors=True)

    # -- inside

    def exec(
        self,
        handle: Handle,
        argv: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        stdin: bytes = b"",
        timeout: float = 60.0,
        user: str = "root",
    ) -> ExecResult:
        boot = self._running(handle)
        base = (boot.order() or {})["runtime"]["config"]["process"]["env"]
        merged = dict(entry.split("=", 1) for entry in base) | dict(env or {})
        process = oci.process(list(argv), [f"{name}={value}" for name, value in merged.items()], cwd)
        root = self._root_of(handle)
        try:
            set_user(process, inside.find_user(root, user))
        except inside.NoSuchUser as problem:
            raise SandboxError(str(problem)) from None
        finally:
            os.close(root)
        prefix = f"{boot.path}/exec-{os.getpid()}-{next(self._numbers)}"
        return self._exec(boot, process, prefix, stdin, timeout)

    def _exec(self, boot: Boot, process: dict[str, Any], prefix: str, stdin: bytes, timeout: float) -> ExecResult:
        Path(prefix + ".json").write_text(json.dumps(process))
        deadline = time.monotonic() + timeout
        try:
            with Capture(stdin, inside.UID_SHIFT) as capture, handshake.connect(boot) as connection:
                messages.send(connection, {"exec": prefix}, capture.fds())
                if not capture.until(connection.fileno(), deadline):
                    return capture.result(None)
                code = handshake.receive(connection, boot)[0]["code"]
                return capture.result(code if code >= 0 else 128 - code)
        except SandboxError as problem:
            if boot.exited() is not None or "stopped container" in str(problem):
                raise NotRunning(f"sandbox {boot.sandbox.name} has ended") from None
            code = 126 if "permission denied" in str(problem) else 127
            return ExecResult(code=code, stdout=b"", stderr=f"{problem}\n".encode())
        except OSError:
            Path(prefix + ".json").unlink(missing_ok=True)
            raise NotRunning(f"sandbox {boot.sandbox.name} has ended") from None

    def read_file(self, handle: Handle, path: str, limit: int = 64 << 20) -> bytes:
        self._running(handle)
        root = self._root_of(handle)
        try:
            return inside.read_file(root, path, limit)
        finally:
            os.close(root)

    def _running(self, handle: Handle) -> Boot:
        if self.status(handle) != Running():
            raise NotRunning(f"sandbox {handle.id} has ended")
        return boot_of(self._sandboxes / handle.id, handle.token)

    def _root_of(self, handle: Handle) -> int:
        """The guest's root directory, as its own first process has it."""
        try:
            root = inside.open_root(f"/proc/{handle.pid}/root")
        except OSError:
            raise NotRunning(f"sandbox {handle.id} has ended") from None
        if not guest_alive(handle):
            os.close(root)
            raise NotRunning(f"sandbox {handle.id} has ended")
        return root

    # -- addresses and the end

    def _release(self, sandbox_id: str) -> None:
        self._network.release(sandbox_id)

    def _reserved(self) -> Collection[str]:
        return self._network.reservations().values()

    def reserve_address(self, sandbox_id: str) -> str | None:
        with self._in_line(sandbox_id):
            return self._network.reserve(sandbox_id)

    def subnet(self) -> str | None:
        return str(self._network.subnet())

    def close(self, remove_network: bool = False) -> None:
        if remove_network and self.available() is None and not self._any_running():
            self._network.down()
            for cgroup in (f"/windtunnel/{self._cloud}", "/windtunnel"):
                for directory in _cgroup_directories(cgroup):
                    _remove_cgroup(directory)
        super().close(remove_network)
        self._private.close()


def _rebuild(rules: str, addresses: str, public: str | None) -> None:
    tools.run(["nft", "-f", "-"], rules)
    tools.run(["ip", "-batch", "-"], addresses)
    if public is not None:
        announce(public)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _container(boot: Boot) -> str:
    return f"{boot.sandbox.name}.{boot.name}"


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.exists() else []


def _cgroups_v1() -> bool:
    return (_CGROUPS / "memory").is_dir()


def _cgroup_directories(cgroup: str) -> list[str]:
    """The directories of one cgroup in every hierarchy that this machine has."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [f"{_CGROUPS}{cgroup}"]
    return [f"{hierarchy}{cgroup}" for hierarchy in sorted(_CGROUPS.iterdir()) if hierarchy.is_dir() and not hierarchy.is_symlink()]


def _remove_cgroup(directory: str) -> None:
    try:
        os.rmdir(directory)
    except OSError:
        pass  # gone, or of another boot that runs
