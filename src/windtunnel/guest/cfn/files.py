"""The section files.

The invariant it keeps: a file is written whole or not at all, with its mode and owner; the one that it replaces is kept beside it as
NAME.bak; a file whose content is what it was is no change.
"""

from __future__ import annotations

import base64
import binascii
import grp
import json
import os
import pwd
import shutil
import stat
from collections.abc import Mapping
from typing import Any

from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.fetching import Fetcher
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.mustache import render

NEW_MODE = 0o644


def files(section: Mapping[str, Any], fetcher: Fetcher, log: Log) -> list[str]:
    """The paths of those that changed. In lexicographic order."""
    changed = []
    for path in sorted(section):
        given = section[path]
        if not isinstance(given, Mapping):
            raise Failed(f"the file {path} has no settings")
        try:
            new = _link(path, given, log) if is_link(given) else _write(path, given, fetcher, log)
        except OSError as error:
            raise Failed(f"{path} cannot be written: {error.strerror}: {error.filename or path}") from None
        if new:
            changed.append(path)
    return changed


def is_link(given: Mapping[str, Any]) -> bool:
    return "mode" in given and stat.S_ISLNK(mode_of(given["mode"]))


def mode_of(value: Any) -> int:
    try:
        return int(str(value), 8)
    except ValueError:
        raise Failed(f"{value!r} is not an octal file mode") from None


def _link(path: str, given: Mapping[str, Any], log: Log) -> bool:
    target = given.get("content")
    if not isinstance(target, str) or not target:
        raise Failed(f"the symlink {path} needs its target as content")
    os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
    changed = not (os.path.islink(path) and os.readlink(path) == target)
    if changed:
        if os.path.lexists(path):
            _keep(path, log)
        partial = _beside(path)
        if os.path.lexists(partial):
            os.unlink(partial)
        os.symlink(target, partial)
        os.replace(partial, path)
        log.debug(f"Symlinked {path} to {target}")
    if os.path.exists(path):
        os.chmod(path, stat.S_IMODE(mode_of(given["mode"])))
        _own(path, given)
    return changed


def _write(path: str, given: Mapping[str, Any], fetcher: Fetcher, log: Log) -> bool:
    if os.path.isdir(path):
        raise Failed(f"{path} is a directory")
    os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
    partial = _beside(path)
    try:
        if given.get("source"):
            if "content" in given:
                raise Failed(f"the file {path} has both content and source")
            fetcher.get(str(given["source"]), partial, str(given.get("authentication") or ""))
            if given.get("context"):
                with open(partial, encoding="utf-8", newline="") as stream:
                    text = stream.read()
                _put(partial, render(text, given["context"]).encode())
        else:
            _put(partial, content(path, given))
        changed = not same(partial, path)
        held = os.stat(path) if os.path.exists(path) else None
        os.chmod(partial, stat.S_IMODE(mode_of(given["mode"])) if "mode" in given else stat.S_IMODE(held.st_mode) if held else NEW_MODE)
        if held is not None:
            os.chown(partial, held.st_uid, held.st_gid)
        _own(partial, given)
        if changed and held is not None:
            _keep(path, log)
        os.replace(partial, os.path.realpath(path))
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)
    log.debug(f"{'Wrote' if changed else 'No change to'} {path}")
    return changed


def content(path: str, given: Mapping[str, Any]) -> bytes:
    """What an inline file holds. Raises Failed."""
    value = given.get("content")
    if value is None:
        raise Failed(f"the file {path} has neither content nor source")
    if not isinstance(value, str):
        text = json.dumps(value, indent=4) if isinstance(value, dict | list) else str(value)
    elif given.get("encoding", "plain") == "base64":
        try:
            data = base64.b64decode(value)
        except (ValueError, binascii.Error) as error:
            raise Failed(f"the content of {path} is not base64: {error}") from None
        return render(data.decode("utf-8"), given["context"]).encode() if given.get("context") else data
    elif given.get("encoding", "plain") != "plain":
        raise Failed(f"the file {path} has the encoding {given['encoding']}; it is plain or base64")
    else:
        text = value
    return (render(text, given["context"]) if given.get("context") else text).encode()


def _beside(path: str) -> str:
    """Where a new one is made: another run of cfn-init (a hook's, say) may be writing the same file."""
    return f"{path}.cfn-init-{os.getpid()}"


def _put(path: str, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)


def same(one: str, other: str) -> bool:
    """Whether both are files with the same bytes."""
    if not os.path.isfile(other) or os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while chunk := first.read(1 << 20):
            if chunk != second.read(1 << 20):
                return False
    return True


def _keep(path: str, log: Log) -> None:
    if os.path.islink(path) or not os.path.isfile(path):
        return
    shutil.copy2(path, f"{path}.bak")
    log.debug(f"{path} already exists; kept as {path}.bak")


def _own(path: str, given: Mapping[str, Any]) -> None:
    owner, group = given.get("owner"), given.get("group")
    if owner or group:
        os.chown(path, _uid(str(owner)) if owner else -1, _gid(str(group)) if group else -1)


def _uid(name: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise Failed(f"{name} is not a valid user name") from None


def _gid(name: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Failed(f"{name} is not a valid group name") from None
