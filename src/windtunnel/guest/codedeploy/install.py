"""The Install event: take away what the group's previous deployment had put in place, then copy files and set permissions.

Invariants: what is created is written down in the group's cleanup list before or as it is made, so that the next deployment can take
it away again; a file that no deployment made is never touched unless the deployment says OVERWRITE; the plan is made, and checked
whole, before the first file is copied.
"""

from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from windtunnel.guest.codedeploy.appspec import FAILED, AppSpec, File, Permission
from windtunnel.guest.codedeploy.globs import below, matches

Instruction = dict[str, Any]
"""type: copy | mkdir | chmod | chown | setfacl | semanage, with that type's members (the format of <group>-install.json)."""


class Failed(Exception):
    """The Install event failed; the text says why."""


def install(spec: AppSpec, archive: Path, instructions: Path, group_id: str, file_exists: str) -> None:
    """instructions: the directory of install and cleanup lists."""
    instructions.mkdir(parents=True, exist_ok=True)
    cleanup = instructions / f"{group_id}-cleanup"
    clean(cleanup)
    found = plan(spec, archive, spec.file_exists or file_exists)
    (instructions / f"{group_id}-install.json").write_text(json.dumps({"instructions": found}))
    with cleanup.open("w") as record:
        for instruction in found:
            carry_out(instruction, record)
        record.flush()
        os.fsync(record.fileno())


def clean(cleanup: Path) -> None:
    """Remove what the list names, last made first; a directory only when nothing else is in it."""
    try:
        text = cleanup.read_text()
    except FileNotFoundError:
        return
    for line in reversed(text.split("\n")[:-1]):
        if line.startswith("semanage\0"):
            _run(["semanage", "fcontext", "-d", line.partition("\0")[2]])
        elif line:
            _remove(line)
    cleanup.unlink()


def _remove(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


# -- the plan ---------------------------------------------------------------------------------------------------------


class Builder:
    """Collects instructions in order and refuses what contradicts itself."""

    def __init__(self, file_exists: str) -> None:
        self.instructions: list[Instruction] = []
        self.copies: dict[str, str] = {}
        self.directories: dict[str, None] = {}
        self._permissions: set[str] = set()
        self._file_exists = file_exists

    def place(self, entry: File, archive: Path) -> None:
        """A file goes into the destination directory, a directory's content goes directly below it."""
        source = os.path.join(archive, entry.source.lstrip("/"))
        if os.path.isdir(source) and not os.path.islink(source):
            self._ancestors(entry.destination)
            self._tree(source.rstrip("/") or "/", entry.destination)
        else:
            if not os.path.lexists(source):
                raise Failed(f"No such file or directory - {source}")
            destination = os.path.join(entry.destination, os.path.basename(source))
            self._ancestors(destination)
            self._file(source, destination)

    def _ancestors(self, destination: str) -> None:
        missing = []
        parent = os.path.dirname(destination.rstrip("/"))
        while parent not in ("", "/", ".") and not os.path.exists(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        for directory in reversed(missing):
            self._mkdir(directory)

    def _tree(self, source: str, destination: str) -> None:
        if not os.path.isdir(destination):
            self._mkdir(destination)
        for name in sorted(os.listdir(source)):
            below_source, below_destination = os.path.join(source, name), os.path.join(destination, name)
            if os.path.isdir(below_source) and not os.path.islink(below_source):
                self._tree(below_source, below_destination)
            else:
                self._file(below_source, below_destination)

    def _file(self, source: str, destination: str) -> None:
        if os.path.exists(destination):
            if self._file_exists == "RETAIN":
                return
            if self._file_exists != "OVERWRITE" or os.path.isdir(destination):
                raise Failed(FAILED + f"a specified file already exists at this location: {destination}")
        self._copy(source, os.path.abspath(destination))

    def _copy(self, source: str, destination: str) -> None:
        if destination in self.copies:
            raise Failed(
                FAILED + f"the application specification file specifies two source files named {source} and {self.copies[destination]} for"
                f" the same destination ({destination}). Remove one of the source file paths from the AppSpec file, and then try again."
            )
        if destination in self.directories:
            raise Failed(
                FAILED + f"the application specification file calls for installing the file {source}, but a file with that name already"
                f" exists at the location ({destination}). Update your AppSpec file or directory structure, and then try again."
            )
        self.copies[destination] = source
        self.instructions.append({"type": "copy", "source": source, "destination": destination})

    def _mkdir(self, directory: str) -> None:
        directory = os.path.abspath(directory)
        if directory in self.copies:
            raise Failed(
                FAILED + "the application specification file includes an mkdir command more than once for the same destination path"
                f" ({directory}) from ({self.copies[directory]}). Update the files section of the AppSpec file, and then try again."
            )
        if directory not in self.directories:
            self.directories[directory] = None
            self.instructions.append({"type": "mkdir", "directory": directory})

    def permit(self, permission: Permission) -> None:
        """Set permissions on what this deployment copies or makes at, or below, the permission's object."""
        target = os.path.abspath(permission.object)
        if target in self.copies:
            if "file" in permission.types:
                _check_on_file(permission)
                self._set(target, permission)
        elif target in self.directories or os.path.isdir(target):
            for name in self._matching(permission):
                self._set(name, permission)

    def _matching(self, permission: Permission) -> Iterable[str]:
        made: list[str] = list(self.copies) if "file" in permission.types else []
        made += list(self.directories) if "directory" in permission.types else []
        for name in made:
            relative = below(name, permission.object)
            if relative is None:
                continue
            wanted = permission.pattern == "**" or matches(relative, permission.pattern)
            if wanted and not any(matches(relative, pattern) for pattern in permission.except_):
                if name in self.copies:
                    _check_acls_on_file(permission)
                yield name

    def _set(self, name: str, permission: Permission) -> None:
        if name in self._permissions:
            raise Failed(
                FAILED + f"the permissions setting for ({name}) is specified more than once in the application specification file. Update"
                " the files section of the AppSpec file, and then try again."
            )
        self._permissions.add(name)
        if permission.mode:
            self.instructions.append({"type": "chmod", "mode": permission.mode, "file": name})
        if permission.acls:
            self.instructions.append({"type": "setfacl", "acl": list(permission.acls), "file": name})
        if permission.context is not None:
            self.instructions.append({"type": "semanage", "context": permission.context, "file": name})
        if permission.owner or permission.group:
            self.instructions.append({"type": "chown", "owner": permission.owner, "group": permission.group, "file": name})


def _check_on_file(permission: Permission) -> None:
    if permission.pattern != "**":
        raise Failed(
            FAILED + f"the application specification file includes an object ({permission.object}) with an invalid pattern"
            f" ({permission.pattern}), such as a pattern for a file applied to a directory. Correct the permissions section of the AppSpec"
            " file, and then try again."
        )
    if permission.except_:
        raise Failed(
            FAILED + f"the except parameter for a pattern in the permissions section ({list(permission.except_)}) for the object named"
            f" {permission.object} contains an invalid format. Update the AppSpec file, and then try again."
        )
    _check_acls_on_file(permission)


def _check_acls_on_file(permission: Permission) -> None:
    if any(acl.startswith(("d:", "default:")) for acl in permission.acls):
        raise Failed(
            FAILED + "the -d parameter has been specified to apply an acl setting to a file. This parameter is supported for directories"
            " only. Update the AppSpec file, and then try again."
        )


def plan(spec: AppSpec, archive: Path, file_exists: str) -> list[Instruction]:
    """All that is to be done, in order."""
    builder = Builder(file_exists)
    for entry in spec.files:
        builder.place(entry, archive)
    for permission in spec.permissions:
        builder.permit(permission)
    return builder.instructions


# -- carrying it out --------------------------------------------------------------------------------------------------


def carry_out(instruction: Instruction, record: TextIO) -> None:
    """record: the cleanup list."""
    kind = instruction["type"]
    if kind == "copy":
        _carry_out_copy(instruction["source"], instruction["destination"], record)
    elif kind == "mkdir":
        _carry_out_mkdir(instruction["directory"], record)
    elif kind == "chmod":
        os.chmod(instruction["file"], int(instruction["mode"], 8))
    elif kind == "chown":
        os.chown(instruction["file"], _uid(instruction["owner"]), _gid(instruction["group"]))
    elif kind == "setfacl":
        _carry_out_acl(instruction["acl"], instruction["file"])
    else:
        _carry_out_context(instruction["context"], instruction["file"], record)


def _carry_out_copy(source: str, destination: str, record: TextIO) -> None:
    print(destination, file=record, flush=True)
    if os.path.islink(source):
        if os.path.lexists(destination):
            os.unlink(destination)
        os.symlink(os.readlink(source), destination)
    else:
        shutil.copy2(source, destination)
        status = os.stat(source)
        os.chown(destination, status.st_uid, status.st_gid)


def _carry_out_mkdir(directory: str, record: TextIO) -> None:
    if os.path.exists(directory):
        raise Failed(FAILED + f"a specified file already exists at this location: {directory}.")
    os.mkdir(directory)
    print(directory, file=record, flush=True)


def _uid(owner: str) -> int:
    if not owner:
        return -1
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError as error:
        raise Failed(f"can't find user for {owner}") from error


def _gid(group: str) -> int:
    if not group:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise Failed(f"can't find group for {group}") from error


def _carry_out_acl(acls: list[str], file: str) -> None:
    mode = f"{os.stat(file).st_mode & 0o777:03o}"
    base = [f"u::{mode[0]}", f"g::{mode[1]}", f"o::{mode[2]}", *acls]
    command = ["setfacl", "--set", ",".join(base), file]
    status = _run(command)
    if status != 0:
        raise Failed(
            FAILED + f"of a problem with the acls permission settings in the application specification file for this object: {file}."
            f" Failed command: {' '.join(command)}. Exit code: {status}"
        )


def _carry_out_context(context: dict[str, Any], file: str, record: TextIO) -> None:
    if context.get("role") is not None:
        raise Failed(
            FAILED + "the application specification file specifies a role, but roles are not supported. Remove the role from the AppSpec"
            " file, and then try again."
        )
    target = os.path.realpath(file)
    user = ["-s", str(context["user"])] if context.get("user") else []
    label_range = ["-r", str(context["range"])] if context.get("range") else []
    for command in (
        ["semanage", "fcontext", "-a", *user, "-t", str(context.get("type") or ""), *label_range, target],
        ["restorecon", "-v", target],
    ):
        status = _run(command)
        if status != 0:
            raise Failed(
                FAILED + "the application specification file contains an error in the settings for the context parameter. Update the"
                f" permissions section of the AppSpec file, and then try again. Failed command: {' '.join(command)}. Exit code: {status}"
            )
    print(f"semanage\0{target}", file=record, flush=True)


def _run(command: list[str]) -> int:
    """The command's exit status; 127 when there is no such program."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 127
