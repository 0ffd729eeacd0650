"""The section commands.

The invariant it keeps: in the order of their names; one that fails ends the run unless its errors are to be ignored; one whose test does
not pass is not run, and not counted as run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.options import truth
from windtunnel.guest.cfn.running import Words, run


def commands(section: Mapping[str, Any], log: Log, output: Log) -> list[str]:
    """The names of those that were run."""
    done = []
    for name in sorted(section):
        given = section[name]
        if not isinstance(given, Mapping) or not given.get("command"):
            raise Failed(f"the command {name} has no command")
        env = environment(name, given.get("env"))
        cwd = os.path.expanduser(str(given["cwd"])) if given.get("cwd") else None
        if cwd is not None and not os.path.isdir(cwd):
            raise Failed(f"Command {name} cannot be run: there is no directory {cwd}")
        output.info(f"Command {name}")
        if given.get("test") and (tested := run(words(given["test"]), output, env, cwd).code):
            log.info(f"Command {name} was not run: its test ended with exit code {tested}")
            continue
        code = run(words(given["command"]), output, env, cwd).code
        done.append(name)
        if code == 0:
            output.info("Completed successfully.")
            log.info(f"Command {name} succeeded")
        elif truth(given.get("ignoreErrors", False)):
            output.error(f"Exited with error code {code}")
            log.info(f"Command {name} failed with exit code {code}: ignoreErrors is set, going on")
        else:
            output.error(f"Exited with error code {code}")
            log.error(f"Command {name} ({given['command']}) failed")
            raise Failed(f"Command {name} failed")
    return done


def words(value: Any) -> Words:
    return [str(word) for word in value] if isinstance(value, list) else str(value)


def environment(name: str, given: Any) -> dict[str, str] | None:
    """The command's whole environment: `env` takes the place of cfn-init's own. Without it, that one."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise Failed(f"the environment of the command {name} is not a map")
    return {str(key): str(value) for key, value in given.items()}
