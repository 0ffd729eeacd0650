"""One command as a child process, with the identity, files and environment that its unit asks for.

Why it exists: what systemd.exec(5) promises about a service's process, with fork and exec alone.

The invariant it keeps: either the command runs and its pid is returned, or nothing runs and CannotSpawn says which step failed; the
child holds no descriptor of ours but 0, 1 and 2 and has default signal handling.
"""

from __future__ import annotations

import grp
import os
import pwd
import resource
import signal
from collections.abc import Mapping, Sequence

from windtunnel.guest.manager import CannotSpawn
from windtunnel.guest.unitfile import CAPABILITY, Service

CHDIR, EXEC, GROUP, USER = 200, 203, 216, 217
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
CAPSET_VERSION_3 = 0x20080522


class Identity:
    """Who a service runs as. Raises CannotSpawn for an unknown user or group."""

    def __init__(self, service: Service) -> None:
        self.entry: pwd.struct_passwd | None = None
        if service.user:
            try:
                self.entry = pwd.getpwuid(int(service.user)) if service.user.isdigit() else pwd.getpwnam(service.user)
            except KeyError:
                raise CannotSpawn(USER, f"Failed to determine user credentials: no user {service.user!r}") from None
        try:
            self.group = _gid(service.group) if service.group else self.entry.pw_gid if self.entry else 0
            extra = [_gid(name) for name in service.groups]
        except KeyError as error:
            raise CannotSpawn(GROUP, f"Failed to determine group credentials: no group {error}") from None
        own = os.getgrouplist(self.entry.pw_name, self.group) if self.entry else []
        self.groups = [*own, *extra]
        self.uid = self.entry.pw_uid if self.entry else 0

    def environment(self) -> dict[str, str]:
        if self.entry is None:
            return {}
        return {
            "HOME": self.entry.pw_dir,
            "USER": self.entry.pw_name,
            "LOGNAME": self.entry.pw_name,
            "SHELL": self.entry.pw_shell or "/bin/sh",
        }


def _gid(name: str) -> int:
    return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid


def spawn(service: Service, identity: Identity, argv: Sequence[str], env: Mapping[str, str], stdio: tuple[int, int, int]) -> int:
    """Run argv (argv[0]: a path, or a name looked up in PATH). stdio: descriptors that become 0, 1 and 2."""
    program = _which(argv[0], env.get("PATH", ""))
    failed_r, failed_w = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _become(service, identity, program, argv, env, stdio, failed_w)
    os.close(failed_w)
    with open(failed_r, "rb") as stream:
        failure = stream.read()
    if failure:
        os.waitpid(pid, 0)
        code, _, text = failure.decode().partition(" ")
        raise CannotSpawn(int(code), text)
    return pid


def _which(name: str, path: str) -> str:
    if "/" in name:
        return name
    for directory in path.split(":"):
        if os.access(f"{directory}/{name}", os.X_OK):
            return f"{directory}/{name}"
    return name


def _become(
    service: Service,
    identity: Identity,
    program: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    stdio: tuple[int, int, int],
    failed: int,
) -> None:
    """The child's half: never returns."""
    step = (EXEC, "prepare")
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        # First above 2, then into place: a target may itself be one of the sources.
        high = [os.dup(fd) for fd in stdio]
        for target, fd in enumerate(high):
            os.dup2(fd, target)
        os.umask(service.umask)
        if service.nofile:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(service.nofile, hard), hard))
        step = (GROUP, "set the group")
        if identity.entry or identity.groups:
            os.setgroups(identity.groups)
        os.setgid(identity.group)
        step = (USER, "set the user")
        _set_user(identity.uid, [CAPABILITY[name] for name in service.capabilities])
        step = (CHDIR, f"change to directory {service.directory}")
        os.chdir(_directory(service, identity))
        os.closerange(3, failed)
        os.closerange(failed + 1, 4096)
        step = (EXEC, f"execute {program}")
        os.execve(program, list(argv), dict(env))
    except OSError as error:
        os.write(failed, f"{step[0]} Failed to {step[1]}: {error.strerror}".encode())
    finally:
        os._exit(step[0])


def _set_user(uid: int, capabilities: list[int]) -> None:
    """Become the user and keep these capabilities through the exec (ambient)."""
    if not capabilities:
        os.setuid(uid)
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setuid(uid)
    mask = sum(1 << number for number in capabilities)
    header = (ctypes.c_uint32 * 2)(CAPSET_VERSION_3, 0)
    # effective, permitted, inheritable; then the same for the numbers above 31, of which a sandbox has none.
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if libc.capset(header, data) or any(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) for number in capabilities):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _directory(service: Service, identity: Identity) -> str:
    if service.directory == "~":
        return identity.entry.pw_dir if identity.entry else "/root"
    if service.directory.startswith("-"):
        return service.directory[1:] if os.path.isdir(service.directory[1:]) else "/"
    return service.directory or "/"
