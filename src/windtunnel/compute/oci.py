"""The OCI runtime configuration of a sandbox: what runc is asked for, as a pure function of the spec.

Invariant: the guest is root of its own user namespace only (65,536 ids on host ids from 100000), has Docker's fourteen capabilities in
it, our seccomp profile, and sees no writable part of the kernel. No rlimits: this process may not raise them and guests share them.
"""

from __future__ import annotations

from typing import Any

from windtunnel.compute import seccomp
from windtunnel.compute.driver import SandboxSpec
from windtunnel.compute.shim.inside import UID_SHIFT
from windtunnel.compute.shim.runtimes import ROOTFS

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_PIDS = 4096
_PERIOD = 100_000

CAPABILITIES = [
    f"CAP_{name}"
    for name in (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
]
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_MASKED = [
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi"),
    *("/proc/timer_list", "/proc/timer_stats", "/sys/firmware", "/sys/fs/cgroup", "/sys/devices/virtual/powercap"),
]
_NAMESPACES = ("pid", "ipc", "uts", "mount", "user", "cgroup", "network")


def environment(spec: SandboxSpec, hostname: str) -> list[str]:
    """The spec's variables, and PATH and HOSTNAME where they are missing (HOME comes from the image's passwd, later)."""
    return [f"{name}={value}" for name, value in ({"PATH": DEFAULT_PATH, "HOSTNAME": hostname} | spec.env).items()]


def process(argv: list[str], env: list[str], cwd: str) -> dict[str, Any]:
    """An OCI process, for the first one and for `exec`; `shim.runtimes.set_user` fills in the user."""
    return {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": argv,
        "env": env,
        "cwd": cwd,
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
        "noNewPrivileges": False,  # sudo and su work inside
        "oomScoreAdj": 500,
    }


def config(spec: SandboxSpec, cgroup: str, swap_counted: bool) -> dict[str, Any]:
    """swap_counted: the kernel can limit memory and swap together."""
    hostname = spec.hostname or spec.id
    ids = [{"containerID": 0, "hostID": UID_SHIFT, "size": 65536}]
    return {
        "ociVersion": "1.0.2",
        "process": process(list(spec.argv), environment(spec, hostname), spec.cwd),
        "root": {"path": ROOTFS, "readonly": False},
        "hostname": hostname,
        "mounts": _mounts(),
        "linux": {
            "namespaces": [{"type": name} for name in _NAMESPACES],
            "uidMappings": ids,
            "gidMappings": ids,
            "cgroupsPath": cgroup,
            "resources": _resources(spec, swap_counted),
            "seccomp": seccomp.profile(),
            "readonlyPaths": _READ_ONLY,
            "maskedPaths": _MASKED,
        },
    }


def _mounts() -> list[dict[str, Any]]:
    def one(target: str, kind: str, source: str, *options: str) -> dict[str, Any]:
        return {"destination": target, "type": kind, "source": source, "options": list(options)}

    closed = ("nosuid", "noexec", "nodev")
    return [
        one("/proc", "proc", "proc", *closed),
        one("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        one("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        one("/dev/shm", "tmpfs", "shm", *closed, "mode=1777", "size=65536k"),
        one("/dev/mqueue", "mqueue", "mqueue", *closed),
        one("/sys", "sysfs", "sysfs", *closed, "ro"),
    ]


def _resources(spec: SandboxSpec, swap_counted: bool) -> dict[str, Any]:
    resources: dict[str, Any] = {
        "devices": [{"allow": False, "access": "rwm"}],
        "pids": {"limit": spec.pids or DEFAULT_PIDS},
    }
    if spec.memory is not None:
        resources["memory"] = {"limit": spec.memory} | ({"swap": spec.memory} if swap_counted else {})
    if spec.cpus is not None:
        resources["cpu"] = {"quota": max(1000, round(spec.cpus * _PERIOD)), "period": _PERIOD}
    return resources
