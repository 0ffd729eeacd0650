"""cfn-init's work: one config after the other, each in the order of its sections, remembered on the way.

The invariant it keeps: the first step that fails ends the run; `--resume` goes on with the config that had not ended.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from windtunnel.guest.cfn import commands, files, installing, services, sources
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.fetching import Fetcher
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.plan import Config, configs

INIT = "AWS::CloudFormation::Init"
AUTHENTICATION = "AWS::CloudFormation::Authentication"
STATE = "/var/lib/cfn-init/data"


class Tools(NamedTuple):
    log: Log
    output: Log
    fetcher: Fetcher


def authentication(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    found = metadata.get(AUTHENTICATION)
    return found if isinstance(found, Mapping) else {}


def planned(metadata: Mapping[str, Any], asked: list[str]) -> list[Config]:
    init = metadata.get(INIT)
    if not isinstance(init, Mapping):
        raise Failed(f"Could not find '{INIT}' key in template metadata")
    return configs(init, asked)


def build(todo: list[Config], metadata: Mapping[str, Any], tools: Tools, state: str = STATE) -> None:
    """Raises Failed at the first step that does not succeed."""
    log, changes = tools.log, services.nothing()
    log.info("Starting build".center(70, "-"))
    for number, config in enumerate(todo):
        if number == 0 or todo[number - 1].configset != config.configset:
            log.info(f"Running configSet {config.configset}")
        log.info(f"Running config {config.name}")
        tools.output.info(f"Config {config.name}".center(60, "~"))
        if config.unknown:
            log.warn(f"The config {config.name} has {', '.join(config.unknown)}, which is no section: it is left out")
        remember(state, {"metadata": metadata, "todo": [[c.configset, c.name] for c in todo[number:]]})
        try:
            apply(config, changes, tools)
        except Failed as error:
            log.error(f"Error encountered during build of {config.name}: {error}")
            raise
    log.info("ConfigSets completed")
    log.info("Build complete".center(70, "-"))
    forget(state)


def apply(config: Config, changes: services.Changes, tools: Tools) -> None:
    """One config, in the order that AWS documents."""
    log, output = tools.log, tools.output
    steps: dict[str, Callable[[Mapping[str, Any]], object]] = {
        "packages": lambda section: _count(changes, installing.packages(section, log, output)),
        "groups": lambda section: installing.groups(section, log, output),
        "users": lambda section: installing.users(section, log, output),
        "sources": lambda section: changes.sources.update(d.rstrip("/") for d in sources.sources(section, tools.fetcher, log)),
        "files": lambda section: changes.files.update(files.files(section, tools.fetcher, log)),
        "commands": lambda section: changes.commands.update(commands.commands(section, log, output)),
        "services": lambda section: services.services(section, changes, log, output),
    }
    for name, step in steps.items():
        section = config.sections.get(name)
        if section:
            log.debug(f"Processing {name}")
            step(section)
        else:
            log.debug(f"No {name} specified")


def _count(changes: services.Changes, installed: Mapping[str, list[str]]) -> None:
    for manager, names in installed.items():
        changes.packages.setdefault(manager, set()).update(names)


def resumed(state: str = STATE) -> tuple[list[Config], dict[str, Any]]:
    """What an interrupted run had left to do, and its metadata. Raises Failed when none was interrupted."""
    try:
        with open(f"{state}/resume_db.json", encoding="utf-8") as stream:
            held = json.load(stream)
        metadata, todo = held["metadata"], held["todo"]
    except (OSError, ValueError, LookupError):
        raise Failed("there is no run of cfn-init that could be resumed") from None
    init = metadata[INIT]
    return [Config(configset, name, dict(init[name])) for configset, name in todo], metadata


def remember(state: str, held: Mapping[str, Any]) -> None:
    """What is left to do, for `--resume`; readable by root alone, as metadata may hold secrets."""
    with contextlib.suppress(OSError):
        os.makedirs(state, mode=0o700, exist_ok=True)
        for name, content in (("resume_db.json", held), ("metadata.json", held["metadata"])):
            partial = f"{state}/{name}.{os.getpid()}"
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
                json.dump(content, stream)
            os.replace(partial, f"{state}/{name}")


def forget(state: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(f"{state}/resume_db.json")
