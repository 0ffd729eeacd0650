"""`#cloud-config`: the keys that are obeyed, and how.

Why it exists: user data is often a cloud-config document instead of a script.

The invariant it keeps: every key of a document is obeyed or named as not supported; one that fails does not keep the others from running.

Source: cloud-init's module reference. Order as there: bootcmd (each boot), write_files, groups, users, keys, timezone, packages; then the
user's scripts, then runcmd (cloud-init runs its scripts in the order of their names, and runcmd is one).
"""

from __future__ import annotations

import base64
import gzip
import os
import pwd
import shlex
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windtunnel.guest.cloudinit import Boot

Config = dict[str, Any]

OBEYED = (
    "bootcmd", "write_files", "groups", "users", "ssh_authorized_keys", "timezone", "package_update", "package_upgrade", "packages", "runcmd",
    "cloud_final_modules", "final_message", "repo_update", "repo_upgrade",
)  # fmt: skip


def merge(config: Config, content: bytes, say: Callable[[str], None]) -> Config:
    """Add a document to what was read before; its keys win."""
    import yaml

    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as error:
        say(f"cloud-init: the #cloud-config document is not valid YAML and was not applied: {error}")
        return config
    if not isinstance(document, dict):
        say("cloud-init: the #cloud-config document is not a mapping and was not applied")
        return config
    return {**config, **document}


def each_boot(config: Config, boot: Boot) -> None:
    if config.get("bootcmd"):
        boot.run([boot.script("bootcmd", commands(config["bootcmd"]))], "bootcmd")


def once(config: Config, boot: Boot) -> None:
    for key in config:
        if key not in OBEYED:
            boot.say(f"cloud-init: '{key}' is not supported by this image and was not applied")
    entries = [entry for entry in _list(config.get("write_files")) if isinstance(entry, dict)]
    _write_files([e for e in entries if not e.get("defer")], boot)
    for name in _groups(config.get("groups")):
        boot.run(["groupadd", "-f", name], f"group {name}")
    for user in _list(config.get("users")):
        _user(user, boot)
    if config.get("ssh_authorized_keys"):
        _authorize("ec2-user", _list(config["ssh_authorized_keys"]))
    if config.get("timezone"):
        _timezone(str(config["timezone"]), boot)
    _packages(config, boot)
    _write_files([e for e in entries if e.get("defer")], boot)


def last(config: Config, boot: Boot) -> None:
    if config.get("runcmd"):
        boot.run([boot.script("runcmd", commands(config["runcmd"]))], "runcmd")
    if config.get("final_message"):
        boot.say(str(config["final_message"]))


def scripts_always(config: Config) -> bool:
    """`cloud_final_modules: [[scripts-user, always]]`: user scripts run at each boot."""
    for entry in _list(config.get("cloud_final_modules")):
        if isinstance(entry, list) and len(entry) > 1 and str(entry[0]).replace("_", "-") == "scripts-user" and entry[1] == "always":
            return True
    return False


def commands(entries: Any) -> bytes:
    """runcmd and bootcmd as a shell script: a string is a line of shell, a list a command with its words."""
    lines = ["#!/bin/sh"]
    for entry in _list(entries):
        if entry is not None:
            lines.append(" ".join(shlex.quote(str(word)) for word in entry) if isinstance(entry, list) else str(entry))
    return ("\n".join(lines) + "\n").encode()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _write_files(entries: list[Config], boot: Boot) -> None:
    for entry in entries:
        path = str(entry.get("path", ""))
        try:
            content = file_content(entry)
            os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
            with open(path, "ab" if entry.get("append") else "wb") as stream:
                stream.write(content)
            mode = entry.get("permissions", "0644")
            os.chmod(path, mode if isinstance(mode, int) else int(str(mode), 8))
            user, _, group = str(entry.get("owner", "root:root")).partition(":")
            shutil.chown(path, user, group or None)
        except (OSError, ValueError, LookupError) as error:
            boot.failures.append("write_files")
            boot.say(f"cloud-init: write_files {path}: {error}")


def file_content(entry: Config) -> bytes:
    """An entry's content, decoded as it says. Raises ValueError for an encoding that cloud-init does not know."""
    content = entry.get("content", "")
    data = content if isinstance(content, bytes) else str(content).encode()
    encoding = str(entry.get("encoding", "text/plain")).lower()
    if encoding in ("gz+base64", "gzip+base64", "gz+b64", "gzip+b64"):
        return gzip.decompress(base64.b64decode(data))
    if encoding in ("b64", "base64"):
        return base64.b64decode(data)
    if encoding in ("gz", "gzip"):
        return gzip.decompress(data)
    if encoding != "text/plain":
        raise ValueError(f"unknown encoding {encoding}")
    return data


def _groups(value: Any) -> list[str]:
    found = []
    for entry in value.split(",") if isinstance(value, str) else _list(value):
        found += [str(name) for name in entry] if isinstance(entry, dict) else [str(entry).strip()]
    return found


USER_OPTIONS = {"gecos": "-c", "homedir": "-d", "primary_group": "-g", "shell": "-s", "uid": "-u", "expiredate": "-e", "inactive": "-f"}
USER_KEYS = ("name", "groups", "sudo", "ssh_authorized_keys", "lock_passwd", "no_create_home", "system", "no_user_group", *USER_OPTIONS)


def _user(user: Any, boot: Boot) -> None:
    if user == "default":
        return
    entry: Config = user if isinstance(user, dict) else {"name": str(user)}
    name = str(entry.get("name", ""))
    for key in entry:
        if key not in USER_KEYS:
            boot.say(f"cloud-init: users: '{key}' of {name} is not supported by this image and was not applied")
    try:
        pwd.getpwnam(name)
    except KeyError:
        boot.run(user_add(entry), f"user {name}")
    rules = [rule for rule in _list(entry.get("sudo")) if isinstance(rule, str)]
    if rules:
        path = "/etc/sudoers.d/90-cloud-init-users"
        with open(path, "a") as stream:
            stream.write("".join(f"{name} {rule}\n" for rule in rules))
        os.chmod(path, 0o440)
    if entry.get("ssh_authorized_keys"):
        _authorize(name, _list(entry["ssh_authorized_keys"]))


def user_add(entry: Config) -> list[str]:
    argv = ["useradd", "-M" if entry.get("no_create_home") or entry.get("system") else "-m"]
    for key, option in USER_OPTIONS.items():
        if entry.get(key) is not None:
            argv += [option, str(entry[key])]
    if "shell" not in entry:
        argv += ["-s", "/bin/bash"]
    groups = entry.get("groups")
    if groups:
        argv += ["-G", ",".join(name.strip() for name in (groups.split(",") if isinstance(groups, str) else map(str, groups)))]
    if entry.get("system"):
        argv.append("-r")
    return [*argv, str(entry["name"])]


def _authorize(name: str, keys: list[Any]) -> None:
    account = pwd.getpwnam(name)
    folder = f"{account.pw_dir}/.ssh"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(f"{folder}/authorized_keys", "a") as stream:
        stream.write("".join(f"{key}\n" for key in keys))
    for path, mode in ((folder, 0o700), (f"{folder}/authorized_keys", 0o600)):
        os.chmod(path, mode)
        os.chown(path, account.pw_uid, account.pw_gid)


def _timezone(name: str, boot: Boot) -> None:
    zone = f"/usr/share/zoneinfo/{name}"
    if not os.path.isfile(zone):
        boot.say(f"cloud-init: timezone {name} is not known to this image")
        return
    if os.path.lexists("/etc/localtime"):
        os.unlink("/etc/localtime")
    os.symlink(zone, "/etc/localtime")
    with open("/etc/timezone", "w") as stream:
        stream.write(name + "\n")


def _packages(config: Config, boot: Boot) -> None:
    if config.get("package_update") or config.get("repo_update"):
        boot.run(["dnf", "-y", "makecache"], "package_update")
    if config.get("package_upgrade") or config.get("repo_upgrade"):
        boot.run(["dnf", "-y", "upgrade"], "package_upgrade")
    names = []
    for entry in _list(config.get("packages")):
        if isinstance(entry, list) and entry:
            boot.say(f"cloud-init: packages: the version of {entry[0]} is not obeyed by this image")
            names.append(str(entry[0]))
        else:
            names.append(str(entry))
    if names:
        boot.run(["dnf", "-y", "install", *names], "packages")
