"""The section services: systemd's units, under both of their names.

The invariant it keeps: a service is restarted when something that it lists changed in this run, and never more than once a config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from windtunnel.guest import unitdir
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.options import truth
from windtunnel.guest.cfn.running import must, run

MANAGERS = ("sysvinit", "systemd")


class Changes(NamedTuple):
    """What this run has changed so far."""

    files: set[str]
    sources: set[str]
    packages: dict[str, set[str]]
    commands: set[str]


def nothing() -> Changes:
    return Changes(set(), set(), {}, set())


def triggered(given: Mapping[str, Any], changes: Changes) -> bool:
    """Whether something that the service lists has changed. Pure."""
    listed = given.get("packages") or {}
    if not isinstance(listed, Mapping):
        raise Failed("the packages of a service are not a map of managers to names")
    return bool(
        changes.files & set(_names(given.get("files")))
        or changes.sources & {path.rstrip("/") for path in _names(given.get("sources"))}
        or changes.commands & set(_names(given.get("commands")))
        or any(changes.packages.get(manager, set()) & set(_names(names)) for manager, names in listed.items())
    )


def _names(value: Any) -> list[str]:
    return [str(name) for name in (value if isinstance(value, list) else [value] if value else [])]


def services(section: Mapping[str, Any], changes: Changes, log: Log, output: Log) -> None:
    for manager, listed in section.items():
        if manager not in MANAGERS:
            raise Failed(f"services of {manager} cannot be managed: this image has {' and '.join(MANAGERS)}")
        if not isinstance(listed, Mapping):
            raise Failed(f"the services of {manager} are not a map")
        for name, given in listed.items():
            if not isinstance(given, Mapping):
                raise Failed(f"the service {name} has no settings")
            _service(str(name), given, changes, log, output)


def _service(name: str, given: Mapping[str, Any], changes: Changes, log: Log, output: Log) -> None:
    if not exists(name) and not truth(given.get("enabled", False)) and not truth(given.get("ensureRunning", False)):
        log.info(f"There is no service {name}: it is neither enabled nor running")
        return
    if given.get("enabled") is not None:
        wanted = truth(given["enabled"])
        must(
            ["systemctl", "enable" if wanted else "disable", name], output, f"Could not {'enable' if wanted else 'disable'} service {name}"
        )
        log.info(f"{'enabled' if wanted else 'disabled'} service {name}")
    changed = triggered(given, changes)
    if given.get("ensureRunning") is None:
        if changed:
            _do("restart", name, log, output)
        return
    running = run(["systemctl", "is-active", "--quiet", name], output).code == 0
    if not truth(given["ensureRunning"]):
        if running:
            _do("stop", name, log, output)
    elif not running:
        _do("start", name, log, output)
    elif changed:
        _do("restart", name, log, output)
    else:
        log.debug(f"No change in running state of service {name}")


def exists(name: str) -> bool:
    try:
        unitdir.find(unitdir.full_name(name))
    except (unitdir.NotFound, unitdir.Masked):
        return False
    return True


_DID = {"start": "Started", "stop": "Stopped", "restart": "Restarted"}


def _do(verb: str, name: str, log: Log, output: Log) -> None:
    must(["systemctl", verb, name], output, f"Could not {verb} service {name}")
    log.info(f"{_DID[verb]} {name} successfully")
