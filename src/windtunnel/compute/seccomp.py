"""The system calls that no guest may make.

Why a list of denials of our own: the profiles that distributions ship allow mount, unshare, setns and new user namespaces without
condition and leave them to capabilities, which a guest has inside its user namespace. Everything else is allowed, so that ordinary
programs behave as on an ordinary machine.

Invariant: a guest can make no namespace, mount nothing, and open no socket that its network namespace does not cover. Only the
machine's own architecture may call at all: the 32-bit entry (`socketcall`) would pass arguments where a filter cannot see them.
"""

from __future__ import annotations

import platform
from typing import Any

_EPERM = 1
_ENOSYS = 38
_EAFNOSUPPORT = 97
_LAST_FAMILY = 17  # AF_PACKET: beyond it are AF_ALG, AF_VSOCK, AF_XDP, AF_TIPC, …; vsock knows no network namespace

ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}

DENIED = (
    # mounts and namespaces
    *("mount", "umount", "umount2", "pivot_root", "unshare", "setns", "move_mount", "open_tree", "open_tree_attr", "mount_setattr"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "open_by_handle_at", "name_to_handle_at", "fanotify_init", "lookup_dcookie"),
    # the kernel itself
    *("bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
    *("create_module", "query_module", "get_kernel_syms", "syslog", "reboot", "iopl", "ioperm", "nfsservctl", "uselib", "_sysctl"),
    # the host's keys, clock, disks, accounting
    *("keyctl", "add_key", "request_key", "settimeofday", "stime", "clock_settime", "clock_settime64", "clock_adjtime"),
    *("clock_adjtime64", "adjtimex", "swapon", "swapoff", "quotactl", "quotactl_fd", "acct", "vhangup"),
    # memory placement across processes
    *("move_pages", "migrate_pages", "set_mempolicy_home_node", "kcmp"),
)
ABSENT = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")
"""ENOSYS, so that programs fall back: the arguments of clone3 lie in memory, where a filter cannot look."""

_NEW_NAMESPACE_BITS = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)


def _rule(names: tuple[str, ...], errno: int, *args: dict[str, Any]) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": list(args)}


def profile(machine: str = platform.machine()) -> dict[str, Any]:
    """The OCI `linux.seccomp` object. KeyError for a processor that we have not looked at."""
    new_namespaces = [
        _rule(("clone",), _EPERM, {"index": 0, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"}) for bit in _NEW_NAMESPACE_BITS
    ]
    foreign_sockets = {"index": 0, "value": _LAST_FAMILY, "op": "SCMP_CMP_GT"}  # unsigned 64 bits: garbage above bit 31 is refused too
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [ARCHITECTURES[machine]],
        "syscalls": [
            _rule(DENIED, _EPERM),
            _rule(ABSENT, _ENOSYS),
            *new_namespaces,
            _rule(("socket", "socketpair"), _EAFNOSUPPORT, foreign_sockets),
        ],
    }
