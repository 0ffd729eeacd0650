"""Work on a guest's disk from the host: find users, place files, read files.

Invariant: every path is resolved with the guest's disk as the root, by the kernel (openat2 RESOLVE_IN_ROOT), because the guest
owns that tree and may have made any name in it a link to ours.
"""

from __future__ import annotations

import errno
import os
import stat

from windtunnel.compute.shim.linux import open_in_root

UID_SHIFT = 100000
"""The guest's id 0 on the host. Every sandbox has this map: what keeps them apart is their mounts, not their numbers."""

_COPY = 1 << 20


class User:
    __slots__ = ("uid", "gid", "groups", "home")

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


class NoSuchUser(Exception):
    pass


def open_root(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def read_file(root: int, path: str, limit: int) -> bytes:
    """A regular file's content. The type is looked at before anything is read: a guest's FIFO would never end."""
    fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        data = bytearray()
        while chunk := os.read(fd, _COPY):
            data += chunk
            if len(data) > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return bytes(data)
    finally:
        os.close(fd)


def _table(root: int, path: str) -> list[list[str]]:
    try:
        text = read_file(root, path, 4 << 20).decode("utf-8", "replace")
    except OSError:
        return []
    return [line.split(":") for line in text.splitlines()]


def _number(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65536:
        raise ValueError(text)
    return value


def find_user(root: int, name: str) -> User:
    """A user by name or number as the guest's own /etc/passwd and /etc/group say. An unlisted number is itself, with group 0."""
    for row in _table(root, "/etc/passwd"):
        if len(row) >= 7 and name in (row[0], row[2]):
            try:
                uid, gid = _number(row[2]), _number(row[3])
            except ValueError:
                continue
            return User(uid, gid, _supplementary(root, row[0], gid), row[5] or "/")
    if name == "root":
        return User(0, 0, (), "/root")
    try:
        return User(_number(name), 0, (), "/")
    except ValueError:
        raise NoSuchUser(f"the image has no user {name!r}") from None


def _supplementary(root: int, name: str, primary: int) -> tuple[int, ...]:
    found = []
    for row in _table(root, "/etc/group"):
        if len(row) >= 4 and name in row[3].split(",") and row[2].isdigit():
            found.append(int(row[2]))
    return tuple(g for g in dict.fromkeys(found) if g != primary and g < 65536)


def make_directory(root: int, path: str, shift: int, uid: int = 0, gid: int = 0) -> int:
    """mkdir -p as the guest's user; returns the directory, opened with O_PATH. What exists keeps its owner and mode."""
    try:
        return open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        if path.rstrip("/") == "":
            raise
    parent_path, _, name = path.rstrip("/").rpartition("/")
    parent = make_directory(root, parent_path or "/", shift)
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
        os.chown(name, shift + uid, shift + gid, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)
    return open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)


def place_file(root: int, path: str, source: str, mode: int, user: User, shift: int) -> None:
    """Put the host's file `source` at the guest's `path`: whole or not at all, and never through a link at the path itself."""
    parent_path, _, name = path.rpartition("/")
    parent = make_directory(root, parent_path or "/", shift)
    temporary = f".{name[:200]}.windtunnel"
    try:
        try:
            os.unlink(temporary, dir_fd=parent)
        except FileNotFoundError:
            pass
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            _copy(source, fd)
            os.fchown(fd, shift + user.uid, shift + user.gid)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    finally:
        os.close(parent)


def _copy(source: str, target: int) -> None:
    with open(source, "rb") as f:
        while chunk := f.read(_COPY):
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]
