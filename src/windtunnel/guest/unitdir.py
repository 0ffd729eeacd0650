"""Units on disk: where they are found, which names they go by, and what enabling and masking writes.

Why it exists: `systemctl enable`, the start of an instance and every start of a service read and write the same directories.

The invariant it keeps: a unit's name is resolved as systemd does (links are aliases, /etc before /lib, templates by their instance);
enabling is links under /etc and nothing else, so that the next boot finds it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from windtunnel.guest.unitfile import Sections, parse

ETC = "/etc/systemd/system"
SEARCH = (ETC, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
BOOT_TARGETS = ("sysinit", "basic", "network", "network-online", "multi-user", "graphical", "default", "cloud-init")
SUFFIXES = (".service", ".target", ".socket", ".timer", ".mount", ".path", ".slice", ".scope", ".device")


class Masked(Exception):
    """The unit is linked to /dev/null."""


class NotFound(Exception):
    """No file of that name."""


class UnitFile(NamedTuple):
    """A unit found. name: its own name, whatever alias was asked for. path: its file. dropins: files that add to it."""

    name: str
    path: str
    dropins: tuple[str, ...]
    sections: Sections


def full_name(name: str) -> str:
    """`nginx` is short for `nginx.service`."""
    name = name.rpartition("/")[2] if name.startswith("/") else name
    return name if name.endswith(SUFFIXES) else f"{name}.service"


def find(name: str, root: str = "") -> UnitFile:
    """Raises NotFound, Masked. root: a prefix to every directory, for tests."""
    name = full_name(name)
    for directory in SEARCH:
        path = f"{root}{directory}/{name}"
        if os.path.islink(path) and os.readlink(path) == "/dev/null":
            raise Masked(name)
        real = _follow(path, root)
        if os.path.isfile(real):
            own = _own_name(name, real)
            return _load(own, real, root, name)
    prefix, at, rest = name.partition("@")
    if at and not rest.startswith("."):
        template = find(f"{prefix}@.{rest.rpartition('.')[2]}", root)
        return _load(name, template.path, root, name)
    raise NotFound(name)


def _follow(path: str, root: str) -> str:
    """Links lead within `root`."""
    for _ in range(8):
        if not os.path.islink(path):
            break
        target = os.readlink(path)
        path = root + target if target.startswith("/") else os.path.normpath(os.path.join(os.path.dirname(path), target))
    return path


def _own_name(asked: str, real: str) -> str:
    own = os.path.basename(real)
    return asked if own.partition("@")[2].startswith(".") and "@" in asked else own


def _load(name: str, path: str, root: str, asked: str) -> UnitFile:
    names = dict.fromkeys((name, asked))
    if "@" in name:
        names = {f"{name.partition('@')[0]}@.{name.rpartition('.')[2]}": None, **names}
    found: dict[str, str] = {}
    for directory in reversed(SEARCH):
        for each in names:
            folder = f"{root}{directory}/{each}.d"
            if os.path.isdir(folder):
                found.update({entry: f"{folder}/{entry}" for entry in os.listdir(folder) if entry.endswith(".conf")})
    dropins = tuple(found[entry] for entry in sorted(found))
    return UnitFile(name, path, dropins, parse(_read(p) for p in (path, *dropins)))


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read().replace("\0", "")


def listed(root: str = "") -> list[str]:
    """Names of all unit files that are installed."""
    found = {entry for directory in SEARCH if os.path.isdir(root + directory) for entry in os.listdir(root + directory)}
    return sorted(entry for entry in found if entry.endswith(SUFFIXES))


def wanted_at_boot(root: str = "") -> list[str]:
    """Units that the boot starts: what the targets of a boot want or require."""
    found: dict[str, None] = {}
    for target in BOOT_TARGETS:
        for directory in reversed(SEARCH):
            for kind in ("requires", "wants"):
                folder = f"{root}{directory}/{target}.target.{kind}"
                if os.path.isdir(folder):
                    found.update(dict.fromkeys(sorted(os.listdir(folder))))
    return list(found)


def install_links(unit: UnitFile, name: str) -> dict[str, str]:
    """The links that enabling makes: path to target. Empty: the unit cannot be enabled."""
    install = unit.sections.get("Install", {})
    target = unit.path
    links: dict[str, str] = {}
    for key, kind in (("WantedBy", "wants"), ("RequiredBy", "requires")):
        for value in install.get(key, []):
            links.update({f"{ETC}/{by}.{kind}/{name}": target for by in value.split()})
    for value in install.get("Alias", []):
        links.update({f"{ETC}/{alias}": target for alias in value.split()})
    return links


def enable(unit: UnitFile, name: str, root: str = "") -> list[tuple[str, str]]:
    """Make the links that are missing; returns those made."""
    made = []
    for path, target in install_links(unit, name).items():
        if not os.path.lexists(root + path):
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(target.removeprefix(root), root + path)
            made.append((path, target.removeprefix(root)))
    return made


def disable(name: str, root: str = "") -> list[str]:
    """Take away every link to the unit under /etc, also aliases; returns their paths."""
    removed = []
    base = root + ETC
    folders = (
        [base, *(f"{base}/{entry}" for entry in sorted(os.listdir(base)) if entry.endswith((".wants", ".requires")))]
        if os.path.isdir(base)
        else []
    )
    for folder in folders:
        for entry in sorted(os.listdir(folder)):
            path = f"{folder}/{entry}"
            if os.path.islink(path) and _leads_to(path, entry, name) and not (folder == base and entry == name):
                os.unlink(path)
                removed.append(path.removeprefix(root))
    return removed


def _leads_to(path: str, entry: str, name: str) -> bool:
    target = os.readlink(path)
    return target != "/dev/null" and (entry == name or os.path.basename(target) == name)


def is_enabled(name: str, root: str = "") -> str:
    """`enabled`, `disabled`, `static`, `masked` or `alias`. Raises NotFound."""
    try:
        unit = find(name, root)
    except Masked:
        return "masked"
    base = root + ETC
    for entry in os.listdir(base) if os.path.isdir(base) else ():
        if entry.endswith((".wants", ".requires")) and os.path.lexists(f"{base}/{entry}/{unit.name}"):
            return "enabled"
    return "disabled" if unit.sections.get("Install") else "static"


def mask(name: str, root: str = "") -> str:
    """Link the name to /dev/null; returns the link. Raises FileExistsError if the administrator's own unit file is there."""
    path = f"{root}{ETC}/{full_name(name)}"
    if os.path.islink(path):
        os.unlink(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink("/dev/null", path)
    return path.removeprefix(root)


def unmask(name: str, root: str = "") -> str:
    """Take the link to /dev/null away; returns its path, or "" if the unit was not masked."""
    path = f"{root}{ETC}/{full_name(name)}"
    if os.path.islink(path) and os.readlink(path) == "/dev/null":
        os.unlink(path)
        return path.removeprefix(root)
    return ""
