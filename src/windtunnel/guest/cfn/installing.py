"""The sections packages, groups and users.

The invariant it keeps: a package that is reported as installed was not there before and is now; one that this image cannot install
ends the run by its name. Order: rpm, yum and apt, python and rubygems (AWS::CloudFormation::Init, "Packages").
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from windtunnel.guest import dnf
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.running import must, run

Wanted = dict[str, list[str]]
"""Package to the versions that are wanted; none: any."""
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def packages(section: Mapping[str, Any], log: Log, output: Log) -> dict[str, list[str]]:
    """The names of what was newly installed, by manager."""
    unknown = sorted(section.keys() - MANAGERS.keys())
    if unknown:
        raise Failed(f"packages of {', '.join(unknown)} cannot be installed: this image has {', '.join(sorted(MANAGERS))}")
    done: dict[str, list[str]] = {}
    for manager, install in MANAGERS.items():
        if section.get(manager):
            done[manager] = install(wanted(manager, section[manager]), log, output)
    return done


def wanted(manager: str, content: Any) -> Wanted:
    if not isinstance(content, Mapping):
        raise Failed(f"the packages of {manager} are not a map of names to versions")
    return {
        str(name): [str(v) for v in (versions if isinstance(versions, list) else [versions]) if v] for name, versions in content.items()
    }


def _yum(names: Wanted, log: Log, output: Log) -> list[str]:
    for name, versions in names.items():
        if versions:
            raise Failed(f"yum: {name}-{versions[0]} cannot be installed: this image's packages are Debian's and have other versions")
    planned = dnf.plan(list(names))
    if planned.complaint:
        raise Failed(f"Could not successfully install yum packages: {' '.join(planned.complaint.split())}")
    new = [name for name in names if not all(dnf.installed(package) for package in dnf.plan([name]).install)]
    if not new:
        log.info(f"All yum packages were already installed: {', '.join(names)}")
        return []
    must(["dnf", "-y", "install", *new], output, f"Could not successfully install yum packages {', '.join(new)}")
    log.info(f"Yum installed {', '.join(new)}")
    return new


def _apt(names: Wanted, log: Log, output: Log) -> list[str]:
    specs = [f"{name}={version}" for name, versions in names.items() for version in versions[:1]]
    new = [name for name, versions in names.items() if versions or not dnf.installed(name)]
    specs += [name for name in new if not names[name]]
    if not new:
        log.info(f"All APT packages were already installed: {', '.join(names)}")
        return []
    env = {**os.environ, **QUIET}
    must(["apt-get", "-q", "update"], output, "Could not update the APT package lists", env)
    must([*dnf.APT, "install", *specs], output, f"Could not successfully install APT packages {', '.join(specs)}", env)
    log.info(f"APT installed {', '.join(new)}")
    return new


def _rpm(names: Wanted, log: Log, output: Log) -> list[str]:
    for name, files in names.items():
        planned = dnf.plan(files or [name])
        if planned.complaint or planned.install:
            raise Failed(f"rpm: {name} cannot be installed: {' '.join(planned.complaint.split()) or 'no file is given'}")
        log.info(f"RPM {name} is already installed")
    return []


def _python(names: Wanted, log: Log, output: Log) -> list[str]:
    new = []
    for name, versions in names.items():
        here = run(["pip3", "show", "-q", name], output).code == 0
        if here and not versions:
            log.info(f"{name} was already installed with pip")
            continue
        must(
            ["pip3", "install", f"{name}=={versions[0]}" if versions else name],
            output,
            f"Could not successfully install the Python package {name}",
        )
        new.append(name)
        log.info(f"Installed {name} with pip")
    return new


def _gems(names: Wanted, log: Log, output: Log) -> list[str]:
    if shutil.which("gem") is None:
        raise Failed(f"rubygems: {', '.join(names)} cannot be installed: there is no gem command; install ruby first")
    new = []
    for name, versions in names.items():
        for version in versions or [""]:
            exact = ["-v", version] if version else []
            if run(["gem", "list", "-i", f"^{name}$", *exact], output).code == 0:
                log.info(f"Gem {name} {version} was already installed")
                continue
            must(["gem", "install", "--no-document", name, *exact], output, f"Could not successfully install the gem {name}")
            new.append(name)
            log.info(f"Installed gem {name} {version}")
    return new


MANAGERS: dict[str, Callable[[Wanted, Log, Log], list[str]]] = {"rpm": _rpm, "yum": _yum, "apt": _apt, "rubygems": _gems, "python": _python}
"""In the order in which they work."""


def groups(section: Mapping[str, Any], log: Log, output: Log) -> None:
    for name, settings in section.items():
        gid = str((settings or {}).get("gid", "")) if isinstance(settings, Mapping) else ""
        held = _group(name)
        if held is not None:
            if gid and held != gid:
                raise Failed(f"Group {name} exists with gid {held}, but gid {gid} is wanted")
            log.info(f"Group {name} exists already")
            continue
        must(["groupadd", "-r", *(["-g", gid] if gid else []), name], output, f"Failed to create group {name}")
        log.info(f"Created group {name} successfully")


def _group(name: str) -> str | None:
    try:
        return str(grp.getgrnam(name).gr_gid)
    except KeyError:
        return None


def users(section: Mapping[str, Any], log: Log, output: Log) -> None:
    for name, settings in section.items():
        given = settings if isinstance(settings, Mapping) else {}
        uid, home = str(given.get("uid", "")), str(given.get("homeDir", ""))
        listed = given.get("groups") or []
        into = ",".join(str(group) for group in (listed if isinstance(listed, list) else [listed]))
        options = [*(["-d", home] if home else []), *(["-G", into] if into else [])]
        try:
            held = str(pwd.getpwnam(name).pw_uid)
        except KeyError:
            number = ["-u", uid] if uid else []
            must(["useradd", "-M", "-r", "-s", "/sbin/nologin", *number, *options, name], output, f"Failed to add user {name}")
            log.info(f"Added user {name}")
            continue
        if uid and held != uid:
            raise Failed(f"User {name} exists with uid {held}, but uid {uid} is wanted")
        if options:
            must(["usermod", *options, name], output, f"Failed to change user {name}")
        log.info(f"User {name} exists already")
