"""`cfn-hup`: looks at the metadata of resources again and again, and runs the hooks of what has changed.

The invariants it keeps: a value is remembered only after its hook's action has succeeded (or none was due), so that a change is not lost
when the action, the instance or the cloud fails. SIGTERM ends the daemon at once and leaves an action to go on: an action may be the one that
has it restarted (`cfn-init`, whose config lists the hooks as files of the service cfn-hup).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from windtunnel.guest.aws import ApiError, NoCredentials, Unreachable
from windtunnel.guest.cfn import hooks
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.hooks import Hook, Settings
from windtunnel.guest.cfn.logs import FOLDER as LOGS
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.stacks import Resource, Stacks, connect, does_not_exist

FOLDER = "/etc/cfn"
DATABASE = "/var/lib/cfn-hup/data/metadata_db.json"
LOG = f"{LOGS}/cfn-hup.log"
PID_FILE = "/run/cfn-hup.pid"


class Watcher:
    """One instance's hooks. run: carries an action out, and gives its exit code."""

    def __init__(
        self,
        settings: Settings,
        watched: list[Hook],
        stacks: Stacks,
        journal: Log,
        database: str,
        run: Callable[[Hook, dict[str, str]], int],
    ) -> None:
        self._settings = settings
        self._hooks = watched
        self._stacks = stacks
        self._log = journal
        self._database = database
        self._run = run

    def look(self) -> None:
        """Once at everything. Raises ApiError, Unreachable and the like when the stack cannot be read."""
        held = _held(self._database)
        resources = {name: self._resource(name) for name in sorted({hook.resource for hook in self._hooks})}
        for hook in self._hooks:
            key = f"{hook.name}|{hook.path}"
            old, new = held.get(key), hooks.value(hook, resources[hook.resource])
            if old == new:
                continue
            if self._succeeds(hook, old, new):
                held = {**held, key: new}
                if new is None:
                    del held[key]
                _keep(self._database, held)

    def _succeeds(self, hook: Hook, old: Any, new: Any) -> bool:
        event = hooks.fires(hook, old, new)
        if not event:
            return True
        self._log.info(f"Data has changed from previous state; action for {hook.name} will be run ({event})")
        code = self._run(hook, {"CFN_OLD_METADATA": hooks.as_text(old), "CFN_NEW_METADATA": hooks.as_text(new)})
        if code:
            self._log.warn(f"Action for {hook.name} exited with {code}; will retry on next iteration")
        else:
            self._log.info(f"Action for {hook.name} completed")
        return code == 0

    def _resource(self, name: str) -> Resource | None:
        try:
            return self._stacks.resource(self._settings.stack, name)
        except ApiError as error:
            if does_not_exist(error):
                return None
            raise


class Stop(BaseException):
    """The daemon is asked to end. Not an Exception, so that nothing on the way takes it for a failure."""


def action(journal: Log) -> Callable[[Hook, dict[str, str]], int]:
    """Runs actions. What they write goes to the log by itself, so that it does not matter to them whether the daemon is still there."""

    def run(hook: Hook, extra: dict[str, str]) -> int:
        words = ["su", hook.runas, "-s", "/bin/bash", "-c", hook.action]
        with journal.stream() as output:
            started = subprocess.Popen(words, env={**os.environ, **extra}, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        return started.wait()

    return run


def _held(path: str) -> dict[str, Any]:
    """What was last seen, by hook. A file that cannot be read counts as none: everything is then seen for the first time."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(path: str, held: dict[str, Any]) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    partial = f"{path}.new"
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        json.dump(held, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


def main(argv: list[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(prog="cfn-hup", description="Runs hooks when the metadata of a stack's resources change.")
    arguments.add_argument("-c", "--config", default=FOLDER, help="the directory of cfn-hup.conf, hooks.conf and hooks.d")
    arguments.add_argument("--no-daemon", action="store_true", help="look once, and end")
    arguments.add_argument("-v", "--verbose", action="store_true")
    given = arguments.parse_args(argv)
    try:
        settings = hooks.settings(given.config)
        watched = hooks.hooks(given.config)
        journal = Log(LOG, given.verbose or settings.verbose)
        if not watched:
            raise Failed(f"there are no hooks in {given.config}/hooks.conf and {given.config}/hooks.d")
        stacks = connect(settings.access)
    except Failed as error:
        Log(LOG).error(str(error))
        sys.stderr.write(f"Error: {error}\n")
        return 1
    watcher = Watcher(settings, watched, stacks, journal, DATABASE, action(journal))
    os.umask(settings.umask)
    if given.no_daemon:
        return 0 if _one_look(watcher, journal) else 1
    if os.getppid() != 1:  # started from a shell: into the background, as a daemon does; a service manager wants it where it is
        if os.fork():
            return 0
        _detach()
    return _daemon(watcher, settings, journal)


def _one_look(watcher: Watcher, journal: Log) -> bool:
    try:
        watcher.look()
    except (Failed, ApiError, Unreachable, NoCredentials, OSError) as error:
        journal.error(f"Could not look for changes: {error}")
        return False
    return True


def _daemon(watcher: Watcher, settings: Settings, journal: Log) -> int:
    def stop(*_: object) -> None:
        raise Stop

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        with open(PID_FILE, "w") as stream:
            stream.write(f"{os.getpid()}\n")
        journal.info(f"cfn-hup looks every {settings.interval / 60:g} minutes")
        while True:
            _one_look(watcher, journal)
            time.sleep(settings.interval)
    except Stop:
        if os.path.exists(PID_FILE):
            os.unlink(PID_FILE)
    return 0


def _detach() -> None:
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
