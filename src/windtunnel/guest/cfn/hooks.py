"""What cfn-hup watches: its configuration, its hooks, and when one fires. Pure, but for reading the files.

The invariant it keeps: a hook fires for a change of its own path only, and again at the next look when its action failed.
Source: CloudFormation template reference, "cfn-hup".
"""

from __future__ import annotations

import configparser
import glob
import json
import os
import re
from typing import Any, NamedTuple

from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.stacks import Access, Resource

TRIGGERS = ("post.add", "post.update", "post.remove")
_PATH = re.compile(r"Resources\.(?P<resource>[^.]+)\.(?:(?P<physical>PhysicalResourceId)|Metadata(?:\.(?P<inside>.+))?)\Z")


class Settings(NamedTuple):
    """interval: seconds between two looks; umask: of what actions write."""

    stack: str
    access: Access
    interval: float = 900.0
    umask: int = 0o022
    verbose: bool = False


class Hook(NamedTuple):
    """inside: the keys beneath the resource's Metadata; physical: its physical id is watched instead."""

    name: str
    triggers: tuple[str, ...]
    resource: str
    inside: tuple[str, ...]
    physical: bool
    action: str
    runas: str
    path: str


def settings(folder: str) -> Settings:
    """Raises Failed."""
    path = f"{folder}/cfn-hup.conf"
    read = _read([path])
    if not read.has_section("main"):
        raise Failed(f"{path} has no section [main]" if os.path.exists(path) else f"there is no {path}")
    main = read["main"]
    stack = main.get("stack", "").strip()
    if not stack:
        raise Failed(f"{path} names no stack")
    access = Access(
        region=main.get("region", ""), url=main.get("url", ""), credential_file=main.get("credential-file", ""), role=main.get("role", "")
    )
    try:
        interval = float(main.get("interval", "15")) * 60
        umask = int(main.get("umask", "022"), 8)
    except ValueError as error:
        raise Failed(f"{path}: {error}") from None
    if interval <= 0 or not 0 <= umask <= 0o777:
        raise Failed(f"{path}: the interval is to be more than 0 minutes, and the umask between 0 and 0777")
    return Settings(stack, access, interval, umask, main.get("verbose", "false").strip().lower() in ("true", "1", "yes"))


def hooks(folder: str) -> list[Hook]:
    """Those of hooks.conf and of hooks.d/*.conf; the latter's values win. Raises Failed."""
    read = _read([f"{folder}/hooks.conf", *sorted(glob.glob(f"{folder}/hooks.d/*.conf"))])
    return [_hook(name, dict(read[name])) for name in read.sections()]


def _read(paths: list[str]) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    try:
        parsed.read(paths, encoding="utf-8")
    except (configparser.Error, OSError, ValueError) as error:
        raise Failed(f"{' '.join(str(error).split())}") from None
    return parsed


def _hook(name: str, given: dict[str, str]) -> Hook:
    missing = [key for key in ("triggers", "path", "action", "runas") if not given.get(key, "").strip()]
    if missing:
        raise Failed(f"the hook {name} has no {', '.join(missing)}")
    triggers = tuple(word.strip() for word in given["triggers"].split(",") if word.strip())
    unknown = [word for word in triggers if word not in TRIGGERS]
    if unknown:
        raise Failed(f"the hook {name} has the trigger {', '.join(unknown)}; there are {', '.join(TRIGGERS)}")
    found = _PATH.match(given["path"].strip())
    if found is None:
        raise Failed(
            f"the hook {name} has the path {given['path']}; it is Resources.NAME.Metadata[.key] or Resources.NAME.PhysicalResourceId"
        )
    inside = tuple(found["inside"].split(".")) if found["inside"] else ()
    return Hook(
        name,
        triggers,
        found["resource"],
        inside,
        bool(found["physical"]),
        given["action"].strip(),
        given["runas"].strip(),
        given["path"].strip(),
    )


def value(hook: Hook, resource: Resource | None) -> Any:
    """What the hook's path has now; None when there is nothing."""
    if resource is None:
        return None
    if hook.physical:
        return resource.physical_id or None
    found: Any = resource.metadata
    for step in hook.inside:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def fires(hook: Hook, old: Any, new: Any) -> str:
    """The trigger that this change is, if the hook has it; "" else."""
    if old == new:
        return ""
    event = "post.add" if old is None else "post.remove" if new is None else "post.update"
    return event if event in hook.triggers else ""


def as_text(found: Any) -> str:
    """A value as the action's environment holds it."""
    return "" if found is None else found if isinstance(found, str) else json.dumps(found)
