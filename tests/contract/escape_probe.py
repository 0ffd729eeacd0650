"""Runs inside a sandbox and tries to get out. Prints one JSON object: each attempt and what became of it ("done", or an errno's name).

Standard library only; argv[1] is a JSON object of what lies outside: addresses to reach, a host file to read.
"""

import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import sys

OUTSIDE = json.loads(sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
NUMBERS = {
    "keyctl": 250 if X86 else 219,
    "bpf": 321 if X86 else 280,
    "io_uring_setup": 425,
    "open_tree": 428,
    "clone3": 435,
    "clone": 56 if X86 else 220,
    "perf_event_open": 298 if X86 else 241,
    "userfaultfd": 323 if X86 else 282,
    "syslog": 103 if X86 else 116,
    "pivot_root": 155 if X86 else 41,
}


def name(number):
    return errno.errorcode.get(number, str(number))


def call(function, *args):
    """done, or the errno's name."""
    return "done" if function(*args) >= 0 else name(ctypes.get_errno())


def syscall(which, *args):
    return call(LIBC.syscall, NUMBERS[which], *args)


def attempt(work):
    try:
        work()
        return "done"
    except OSError as problem:
        return name(problem.errno) if problem.errno else type(problem).__name__


def write(path, text):
    def work():
        with open(path, "w") as f:
            f.write(text)

    return attempt(work)


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError as problem:
        return name(problem.errno)


def new_namespace(bit):
    """clone(bit | SIGCHLD) by hand: the child, if there is one, leaves at once."""
    result = LIBC.syscall(NUMBERS["clone"], bit | 17, 0, 0, 0, 0)
    if result == 0:
        os._exit(0)
    return "done" if result > 0 else name(ctypes.get_errno())


def set_own_namespace(kind):
    fd = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
    return call(LIBC.setns, fd, 0)


def connect(host, port, family=socket.AF_INET):
    def work():
        with socket.socket(family) as s:
            s.settimeout(1.5)
            s.connect(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4])

    return attempt(work)


def fetch(url):
    done = subprocess.run(["curl", "-sS", "-m", "5", url], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip()


def other_family(family):
    def work():
        socket.socket(family, socket.SOCK_STREAM).close()

    return attempt(work)


def device(kind, major, minor):
    return attempt(lambda: os.mknod(f"/tmp/dev-{major}-{minor}", kind | 0o666, os.makedev(major, minor)))


def processes():
    return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def capabilities():
    return {line.split(":")[0]: line.split()[1] for line in open("/proc/self/status") if line.startswith(("Cap", "NoNewPrivs", "Seccomp:"))}


def main():
    host_file = OUTSIDE["host_file"]
    answers = {
        "read the host's file by its path": read(host_file),
        "read the host's file by climbing": read("../" * 30 + host_file.lstrip("/")),
        "read the host's file through PID 1's root": read("/proc/1/root" + host_file),
        "shadow": read("/etc/shadow"),
        "write core_pattern": write("/proc/sys/kernel/core_pattern", "|/bin/sh"),
        "write ip_forward": write("/proc/sys/net/ipv4/ip_forward", "0"),
        "write sysrq-trigger": write("/proc/sysrq-trigger", "h"),
        "write uid_map": write("/proc/self/uid_map", "0 0 1"),
        "write oom_score_adj -1000": write("/proc/self/oom_score_adj", "-1000"),
        "read kcore": read("/proc/kcore"),
        "mount tmpfs": call(LIBC.mount, b"t", b"/mnt", b"tmpfs", ctypes.c_ulong(0), b""),
        "mount proc": call(LIBC.mount, b"p", b"/mnt", b"proc", ctypes.c_ulong(0), b""),
        "remount /proc/sys": call(LIBC.mount, b"", b"/proc/sys", b"", ctypes.c_ulong(32 | 4096), b""),
        "bind /": call(LIBC.mount, b"/", b"/mnt", b"", ctypes.c_ulong(4096), b""),
        "umount /proc": call(LIBC.umount2, b"/proc", 2),
        "unshare user": call(LIBC.unshare, 0x10000000),
        "unshare mount": call(LIBC.unshare, 0x00020000),
        "unshare net": call(LIBC.unshare, 0x40000000),
        "clone user": new_namespace(0x10000000),
        "clone mount": new_namespace(0x00020000),
        "clone pid": new_namespace(0x20000000),
        "setns net": set_own_namespace("net"),
        "setns user": set_own_namespace("user"),
        "clone3": syscall("clone3", 0, 0),
        "pivot_root": syscall("pivot_root", b"/tmp", b"/tmp"),
        "open_tree": syscall("open_tree", -100, b"/", 1),
        "keyctl": syscall("keyctl", 0, -3, 1),
        "bpf": syscall("bpf", 0, 0, 0),
        "perf_event_open": syscall("perf_event_open", 0, 0, -1, -1, 0),
        "userfaultfd": syscall("userfaultfd", 0),
        "io_uring_setup": syscall("io_uring_setup", 1, 0),
        "syslog": syscall("syslog", 3, 0, 0),
        "open_by_handle_at": call(LIBC.open_by_handle_at, -100, struct.pack("Ii8s", 8, 1, b"\2\0\0\0\0\0\0\0"), 0),
        "set the clock": attempt(lambda: __import__("time").clock_settime(0, 0)),
        "reboot": call(LIBC.reboot, 0),
        "AF_VSOCK": other_family(40),
        "AF_ALG": other_family(38),
        "AF_VSOCK with high bits": "done"
        if LIBC.syscall(41 if X86 else 198, ctypes.c_ulong(0x100000028), 1, 0) >= 0
        else name(ctypes.get_errno()),
        "mknod disk": device(0o060000, *OUTSIDE["disk"]),
        "mknod kmem": device(0o020000, 1, 1),
        "disks in /dev": [entry for entry in os.listdir("/dev") if entry.startswith(("sd", "vd", "nvme", "kmsg", "mem", "loop"))],
        "cgroups": os.listdir("/sys/fs/cgroup"),
        "write sysfs": write("/sys/kernel/mm/transparent_hugepage/enabled", "never"),
        "ip link add": subprocess.run(["ip", "link", "add", "x", "type", "dummy"], capture_output=True).returncode,
        "ip addr add": subprocess.run(["ip", "addr", "add", "10.9.9.9/32", "dev", "lo"], capture_output=True).returncode,
        "processes": processes(),
        "capabilities": capabilities(),
        "bind port 80": attempt(lambda: socket.create_server(("0.0.0.0", 80)).close()),
        "own endpoint": fetch(f"http://127.0.0.1:{OUTSIDE['endpoint_port']}/"),
        "own metadata": fetch("http://169.254.169.254/latest/meta-data/"),
        "own credentials": fetch("http://169.254.170.2/v2/credentials/x"),
        "neighbour's page": connect(OUTSIDE["neighbour"], 8000),
        "neighbour's endpoint": connect(OUTSIDE["neighbour"], 61680),
        "neighbour's metadata": connect(OUTSIDE["neighbour"], 61681),
        "neighbour's files": os.path.exists("/neighbour-was-here"),
        "host by the gateway": connect(OUTSIDE["gateway"], OUTSIDE["host_port"]),
        "host by its address": connect(OUTSIDE["host"], OUTSIDE["host_port"]) if OUTSIDE["host"] else "no address",
        "host by IPv6": connect(OUTSIDE["gateway6"], OUTSIDE["host_port"], socket.AF_INET6),
        "another link-local address": connect("169.254.1.1", 80),
        "other cloud's guest": connect(OUTSIDE["other_cloud"], 8000),
        "su works": subprocess.run(["su", "nobody", "-s", "/bin/sh", "-c", "id -un"], capture_output=True, text=True).stdout.strip(),
    }
    print(json.dumps(answers))


main()
