"""Carrying out one command: DownloadBundle, Install, or the scripts of a lifecycle event.

Invariant: whatever goes wrong with a revision ends in a `Result` that says so; only an event without scripts is a no-op.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from windtunnel.guest.aws import ApiError, NoCredentials, Unreachable
from windtunnel.guest.codedeploy import appspec, bundle, install, scripts
from windtunnel.guest.codedeploy.appspec import AppSpec
from windtunnel.guest.codedeploy.ledger import Result
from windtunnel.guest.codedeploy.logs import LogFile
from windtunnel.guest.codedeploy.scripts import Output, ScriptError
from windtunnel.guest.codedeploy.settings import Settings
from windtunnel.guest.codedeploy.specification import Specification

FROM_LAST_SUCCESSFUL = frozenset({"ApplicationStop", "BeforeBlockTraffic", "AfterBlockTraffic"})
BUILT_IN = ("DownloadBundle", "Install")
RESERVED = frozenset({"Start", "DownloadBundle", "Install", "BlockTraffic", "AllowTraffic", "End"})
SUCCEEDED = Result(0, "Succeeded")
WRONG = (
    appspec.Invalid,
    bundle.Failed,
    install.Failed,
    ApiError,
    Unreachable,
    NoCredentials,
    OSError,
    ValueError,
    RecursionError,
    subprocess.SubprocessError,
    shutil.Error,
)
"""What a revision, the disk or the cloud can do wrong."""


class Executor:
    """Knows this machine's deployments."""

    def __init__(self, settings: Settings, store: bundle.Store) -> None:
        self._settings = settings
        self._store = store
        self._deployments_log = LogFile(settings.root / "deployment-logs" / "codedeploy-agent-deployments.log")

    def is_noop(self, event: str, spec: Specification) -> bool:
        """Whether nothing is to be done. A revision that cannot be read is not nothing: carrying the event out will say why."""
        if event in BUILT_IN:
            return False
        try:
            directory = self._directory_of(event, spec)
            return directory is None or not appspec.read(directory / bundle.ARCHIVE).hooks.get(event)
        except WRONG:
            return False

    def execute(self, event: str, spec: Specification) -> Result:
        directory = self._settings.deployment(spec.group_id, spec.deployment_id)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            if event == "DownloadBundle":
                bundle.fetch(self._store, spec, self._settings)
            elif event == "Install":
                self._install(spec, directory)
            else:
                return self._hooks(event, spec)
        except WRONG as error:
            return Result(scripts.UNKNOWN, message_of(error))
        return SUCCEEDED

    def _install(self, spec: Specification, directory: Path) -> None:
        archive = directory / bundle.ARCHIVE
        found = appspec.read(archive)
        check_events(found, spec)
        install.install(found, archive, self._settings.instructions, spec.group_id, spec.file_exists)
        self._settings.point(spec.group_id, "last_successful", directory)

    def _hooks(self, event: str, spec: Specification) -> Result:
        directory = self._directory_of(event, spec)
        if directory is None:
            return SUCCEEDED
        archive = directory / bundle.ARCHIVE
        found = appspec.read(archive).hooks.get(event, ())
        if not found:
            return SUCCEEDED
        output = Output(directory, self._deployments_log, spec.deployment_id)
        try:
            scripts.run_all(event, found, archive, self._settings.home, spec.environment(event), output)
        except ScriptError as error:
            return Result(error.code, error.message, error.script, output.tail())
        return SUCCEEDED

    def _directory_of(self, event: str, spec: Specification) -> Path | None:
        """The deployment whose scripts an event runs: stopping the application is the last successful revision's own business."""
        current = self._settings.deployment(spec.group_id, spec.deployment_id)
        if event in FROM_LAST_SUCCESSFUL and not (current / bundle.ARCHIVE).exists():
            return self._settings.last_successful(spec.group_id)
        return current


def check_events(found: AppSpec, spec: Specification) -> None:
    """Refuse hooks for events that the deployment does not have."""
    unknown = [event for event in found.hooks if spec.events and (event not in spec.events or event in RESERVED)]
    if unknown:
        listed = ", ".join(f'"{event}"' for event in unknown)
        raise appspec.Invalid(f"appspec.yml file contains unknown lifecycle events: [{listed}]")


def message_of(error: BaseException) -> str:
    """An error in the words a person needs."""
    if isinstance(error, ApiError):
        return error.message or error.code
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} - {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
