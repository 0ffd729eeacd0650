"""The contract between the cloud and whatever runs its machines: builds, instances, functions.

Why it exists: CodeBuild, EC2 and Lambda must not know whether a sandbox is a container under runc, a pod or a line in a test's
script. They program against this module only; `tests/contract/test_driver.py` is the same contract as a test suite, run over
every driver.

The invariant it keeps: **a sandbox outlives the process that started it, and is never lost.** What a `Handle` says is enough
to find the sandbox again after `kill -9` of the cloud, `start` with the same token never starts twice, and what has ended
stays known as `Exited` until `remove`.

Words. A *sandbox* has an id and a disk. A *boot* is one run of it, named by the token that `start` was given; a sandbox with
`keep` may boot many times on the same disk, any other boots once. The *guest* is what runs inside.

Threads. Every method may be called from any thread and may block (`start` about 0.1 s): call them from a job worker, never
from the event loop. Calls about one id are put in line by the driver. Everything that waits is bounded.

Errors. `SandboxError` (its text is meant for a user's log) or a subclass; nothing else, `ValueError` for a malformed spec aside.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import msgspec

ListenerKind: TypeAlias = Literal["endpoint", "metadata", "tls"]
Stream: TypeAlias = Literal["stdout", "stderr"]

GUEST_ENDPOINT_PORT = 61680
"""Where the guest's 127.0.0.1:<endpoint port> leads, in its own network namespace. Nothing else of ours listens there."""

GUEST_METADATA_PORT = 61681
"""Where 169.254.169.254:80 (instance metadata) and 169.254.170.2:80 (container credentials) lead."""

GUEST_TLS_PORT = 61682
"""Where the guest's 127.0.0.1:<tls port> leads, if the cloud has one."""

SANDBOX_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


class SandboxError(Exception):
    """The driver could not do it; the text says what and, if it is known, what to do about it."""


class NotRunning(SandboxError):
    """`exec` or `read_file` on a sandbox that has ended (or ended meanwhile)."""


class NoSuchImage(SandboxError):
    """The spec names an image that this machine does not have and cannot make."""


class GuestFile(msgspec.Struct, frozen=True):
    """A file put into the guest's disk before each boot.

    path: absolute, as the guest sees it. Missing directories are made (0755, root). Links on the way are followed as the guest
        would follow them, never out of its disk. Whatever is at the path is replaced, a link itself and not what it points to;
        a directory there is an error.
    mode: permission bits. user: name or number of the owner, resolved by the guest's /etc/passwd; its group is the user's.
    """

    path: str
    content: bytes
    mode: int = 0o644
    user: str = "root"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Which packets of one direction it is about; what is None or empty is every.

    protocol: the IP protocol's number (6 is TCP). ports: first and last destination port of TCP and UDP; of ICMP the type and the code, -1
    is any. peers: IPv4 networks, `10.0.0.0/16` or an address alone; an empty tuple is nobody. allow: False only in `Wall.acl_*`.
    """

    protocol: int | None = None
    ports: tuple[int, int] | None = None
    peers: tuple[str, ...] | None = None
    allow: bool = True


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """What may reach a sandbox of a private network, and what it may reach. IPv4; nothing of IPv6 passes.

    Never held back: its own loopback, the cloud's endpoint and metadata, names (the guest's name servers), answers to what was let
    through and the errors about it.

    public: the address at which the outside (the host, and sandboxes of other networks) reaches it: its own (`Driver.reserve_address` of
        its id) or one that was reserved for another id, an address to be moved between sandboxes. None: the outside does not reach it.
    outbound: whether it may open connections to the outside. They come from `public`, or from its own address.
    ingress, egress: what is let in and out, over either path. Connections that were let through go on when the rule is gone.
    acl_ingress, acl_egress: looked at for every packet alone, from or to beyond `subnet`, the first that fits decides, nothing passes
        that none fits; None: everything passes.
    """

    public: str | None = None
    outbound: bool = False
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    acl_ingress: tuple[Rule, ...] | None = None
    acl_egress: tuple[Rule, ...] | None = None
    subnet: str = ""


class PrivateNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox's place in a network of its own kind, beside the one that the host reaches.

    Sandboxes of one private network reach each other by `ip`, those of different ones do not, and the host neither routes nor
    answers in any: networks may overlap each other and the machine's own. Inside, `eth0` has `ip`, and what comes to the public address comes to it.

    network: names it, in this cloud; `[a-z0-9-]`. ip: within `prefix` bits of its subnet. routes: every network that is on the wire
    (a VPC's blocks). mac: of eth0. wall: at the boot; `Driver.set_wall` changes it.
    """

    network: str
    ip: str
    prefix: int
    routes: tuple[str, ...] = ()
    mac: str = ""
    wall: Wall = Wall()


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. Serialisable; equal specs mean the same sandbox.

    id: unique in this cloud, `[a-z0-9-]`, up to 63 characters (an instance id, a build's uuid).
    image: "stock", or the hash that names an image (see `ImageStore`).
    argv: the guest's first process (PID 1 in its own PID namespace). argv[0] is looked up in env's PATH. When it ends, everything
        in the sandbox ends. Being PID 1 it gets SIGTERM only if it has a handler for it. Its stdin is empty.
    env: the whole environment. PATH, HOME (of `user`) and HOSTNAME are added where they are missing, nothing else is.
    cwd: absolute; made if it is missing.
    user: name or number, resolved by the guest's /etc/passwd; supplementary groups come from its /etc/group.
    hostname: the default is the id.
    files: written before each boot.
    memory: bytes, hard, no swap; beyond it the guest's processes are killed and `Exited.oom_killed` is true. None: no limit.
    cpus: how many processors' worth of time, 0.25 is a quarter of one. None: no limit.
    pids: how many processes and threads. None: 4096.
    network: False leaves the loopback alone: the cloud's endpoint and the metadata address still answer, nothing else does.
    ip: a fixed private address, from `Driver.reserve_address` or an earlier boot; None: the id's reserved address or a free one.
        The address belongs to the id until `remove`. Ignored without network.
    private: its place in a private network, in force before its first instruction. Needs `network`.
    keep: the disk survives the end of a boot, and `start` with another token boots it again with its files.
    """

    id: str
    image: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    cwd: str = "/"
    user: str = "root"
    hostname: str = ""
    files: tuple[GuestFile, ...] = ()
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    network: bool = True
    ip: str | None = None
    private: PrivateNetwork | None = None
    keep: bool = False


class Handle(msgspec.Struct, frozen=True, kw_only=True):
    """One boot, findable by any later process of this cloud on this machine. Store it as it is; compare by `id` and `token`.

    driver: the driver's name. token: as given to `start`. directory: the sandbox's directory on the host.
    pid, start_time: the guest's first process as the host numbers it, and field 22 of its /proc/PID/stat; with `boot_id` (of the
        host) they name a process for ever, because pids are used again.
    shim_pid, shim_start_time: the same for the supervisor that holds the guest; 0 where a driver has none.
    ip: the guest's address on the host's side, reachable from there (of a private network: if it is `Wall.public`); None without network.
    started_at: seconds since the epoch.
    """

    driver: str
    id: str
    token: str
    directory: str
    pid: int
    start_time: int
    boot_id: str
    shim_pid: int
    shim_start_time: int
    ip: str | None
    started_at: float


class Running(msgspec.Struct, frozen=True, tag=True):
    """The guest's first process is alive."""


class Exited(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The boot has ended, its log is complete, and this is durable.

    Exactly one of code (0-255) and signal is set, unless `lost`: then nobody saw the end (the host was restarted, the supervisor was
    killed) and both are None.
    oom_killed: some process of it was killed for memory. If the first process survived that, `code` is its own answer.
    ended_at: seconds since the epoch. memory_peak: bytes, None where the kernel does not say.
    reason: one line for a log.
    """

    code: int | None
    signal: int | None
    oom_killed: bool
    ended_at: float
    memory_peak: int | None = None
    lost: bool = False
    reason: str = ""

    @property
    def succeeded(self) -> bool:
        return self.code == 0


class Gone(msgspec.Struct, frozen=True, tag=True):
    """Nothing of this boot is known: it was removed, or its sandbox has booted again since and the old record was dropped."""


Status: TypeAlias = Running | Exited | Gone


class LogFrame(msgspec.Struct, frozen=True):
    """What one read from the guest gave. Not a line: it may hold many, end within one, or split a UTF-8 character.

    time: seconds since the epoch, when the supervisor read it. Frames are in the order of reading, times never decrease within a boot.
    """

    time: float
    stream: Stream
    data: bytes


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a command inside ended.

    code: 0-255 as a shell says it, 128 + n if signal n ended it; None if it was killed because its time was over (`timed_out`).
    stdout and stderr hold at most the first 16 MiB each; `truncated` says that there was more.
    """

    code: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    truncated: bool = False


class ImageStore(Protocol):
    """Where root filesystems come from (`compute/image.py`)."""

    def rootfs(self, image: str) -> list[Path]:
        """The image's layers as directories, top first: immutable, and owned by host ids shifted by 100000.

        Makes what is missing if it can (the stock image: half a minute, once). Raises NoSuchImage.
        """
        ...


Serve: TypeAlias = Callable[[str, ListenerKind, socket.socket], Callable[[], None]]
"""Called as `serve(sandbox id, kind, listening socket)` for every listener of a sandbox: before its first instruction runs, and
again by `recover`. Whoever connects there is that sandbox: the listener is the caller's identity, addresses and names are not.
It owns the socket from then on and returns a function that ends the service and closes the socket; the driver calls that once,
from any thread, when the sandbox has ended or the driver is closed (an open listener would keep the dead sandbox's network).
The supervisor holds the listener too: while no cloud runs, connections wait in its backlog and are served by the next one."""

Watcher: TypeAlias = Callable[[Handle, Exited], None]


class Driver(Protocol):
    """What every driver does. `name` is stored in handles."""

    name: str

    def available(self) -> str | None:
        """None if sandboxes can run here, else why not and what to do about it. Cheap; starts nothing."""
        ...

    def start(self, spec: SandboxSpec, token: str) -> Handle:
        """Boot the sandbox and return when its first process has been told to run; logs and exit come later.

        The same token again returns the same boot's handle, running or ended, whatever the spec says: a repeat is a no-op, also
        from another process after a crash. A crash before this returns leaves either the boot running (a repeat finds it) or
        nothing of it. Another token: boots a kept disk again if its last boot has ended (the image stays that of the first boot);
        SandboxError if it still runs, or if the disk was not kept. A command that cannot be executed is SandboxError here; after any
        SandboxError nothing of the boot is left, the sandbox's disk and address stay until `remove`.
        """
        ...

    def recover(self) -> list[Handle]:
        """Call once in a new process before anything else: what runs now, as handles.

        Attaches the listeners of every running sandbox (`serve`), watches for exits again, records the end of those that died
        without a record, and sweeps what half-done starts and removals left. Ended sandboxes are not listed; `status` knows them.
        """
        ...

    def running(self) -> list[Handle]:
        """What this process knows to run now: started or recovered by it, and not ended."""
        ...

    def status(self, handle: Handle) -> Status:
        """What is true now."""
        ...

    def watch(self, handle: Handle, callback: Watcher) -> None:
        """Call `callback(handle, exited)` exactly once when the boot has ended (at once, if it has), on a thread of the driver's.

        Watches do not outlive the process: set them again after `recover`. A boot that is removed while it is watched counts as ended (it was killed). An unknown one is SandboxError.
        """
        ...

    def logs(self, handle: Handle, offset: int, limit: int = 1 << 20) -> tuple[list[LogFrame], int]:
        """Frames from `offset` on, about `limit` bytes of them and at least one if there is one, and the offset after them.

        Offsets are opaque but for 0, the beginning; use only those returned. Safe while the guest writes: only whole frames are
        seen. The offset unchanged means nothing more yet; and nothing more ever, if `status` said Exited before the call.
        An unknown boot has no frames. A log holds 1 GiB; what is printed after that is dropped, and `Exited.reason` says how much.
        """
        ...

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
        """Run a command inside, under the same confinement, and wait for it (not for children that it leaves in the background).

        env: added to the spec's environment. timeout: seconds, then its whole process group is killed. A command that cannot be
        executed gives code 126 or 127 with the reason in stderr. Raises NotRunning.
        """
        ...

    def read_file(self, handle: Handle, path: str, limit: int = 64 << 20) -> bytes:
        """A regular file's content as the guest sees it, links resolved inside its disk. FileNotFoundError, IsADirectoryError or
        another OSError as open() would; OSError(EFBIG) beyond `limit` bytes. Raises NotRunning.
        """
        ...

    def set_wall(self, handle: Handle, wall: Wall) -> None:
        """Replace the wall of a running boot that has a private network, whole and at once. It stays when this process ends; one that
        stands already costs nothing.

        Raises NotRunning; SandboxError for a boot without a private network.
        """
        ...

    def stop(self, handle: Handle, grace: float = 10.0) -> Exited | Gone:
        """SIGTERM to the first process, after `grace` seconds SIGKILL to all; returns when the end is recorded. Repeatable."""
        ...

    def remove(self, sandbox: Handle | str) -> None:
        """End it if it runs (without grace), delete its disk, records, address and every other trace. What is gone is success."""
        ...

    def orphans(self, known_ids: Collection[str]) -> list[str]:
        """Ids that this driver has any trace of (running, ended, or only an address) and that are not in `known_ids`.

        After a crash nobody owns these: `remove` each.
        """
        ...

    def reserve_address(self, sandbox_id: str) -> str | None:
        """The private address that the sandbox will have; the same one for the same id until `remove`. None if it will have none."""
        ...

    def subnet(self) -> str | None:
        """The network that the addresses are from (`198.19.16.0/20`), stable for this data directory; None if there is none."""
        ...

    def close(self, remove_network: bool = False) -> None:
        """End the watching and the listeners' service; sandboxes go on. `remove_network`: and if none runs, take the bridge away."""
        ...


def check_spec(spec: SandboxSpec) -> None:
    """Raise ValueError, with what is wrong, for a spec that no driver could run."""
    if not SANDBOX_ID.match(spec.id):
        raise ValueError(f"sandbox id {spec.id!r}: a letter or digit, then letters, digits and hyphens, lower case, at most 63")
    if not spec.argv or not all(isinstance(a, str) and "\0" not in a for a in spec.argv):
        raise ValueError("argv must name a command, without NUL characters")
    for path in (spec.cwd, *(f.path for f in spec.files)):
        if not path.startswith("/") or "\0" in path:
            raise ValueError(f"{path!r} is not an absolute path")
    if spec.private is not None:
        check_private(spec.private)
        if not spec.network:
            raise ValueError("a private network needs a network")
    for name, value in spec.env.items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"environment variable {name!r} cannot be passed to a process")


def check_private(private: PrivateNetwork) -> None:
    """Raise ValueError, with what is wrong, for what no driver could build."""
    if not SANDBOX_ID.match(private.network):
        raise ValueError(
            f"private network {private.network!r}: a letter or digit, then letters, digits and hyphens, lower case, at most 63"
        )
    if private.mac and not _MAC.match(private.mac):
        raise ValueError(f"{private.mac!r} is not a hardware address")
    ipaddress.IPv4Interface(f"{private.ip}/{private.prefix}")
    for route in private.routes:
        ipaddress.IPv4Network(route)
    check_wall(private.wall)


def check_wall(wall: Wall) -> None:
    """Raise ValueError, with what is wrong, for a wall that cannot be built."""
    if wall.public is not None:
        ipaddress.IPv4Address(wall.public)
    if wall.subnet:
        ipaddress.IPv4Network(wall.subnet)
    elif wall.acl_ingress is not None or wall.acl_egress is not None:
        raise ValueError("a wall with rules for each packet needs the subnet within which they do not count")
    for rule in (*wall.ingress, *wall.egress, *(wall.acl_ingress or ()), *(wall.acl_egress or ())):
        for peer in rule.peers or ():
            ipaddress.IPv4Network(peer)
        if rule.protocol is not None and not 0 <= rule.protocol <= 255:
            raise ValueError(f"{rule.protocol} is not the number of an IP protocol")
        if rule.ports is not None and rule.protocol not in (1, 6, 17):
            raise ValueError(f"protocol {rule.protocol} has no ports")
        if rule.ports is not None and not all(-1 <= port <= 65535 for port in rule.ports):
            raise ValueError(f"{rule.ports} are not ports")
    if not all(rule.allow for rule in (*wall.ingress, *wall.egress)):
        raise ValueError("only the rules for each packet may refuse")
