"""Fetching a revision's bundle and unpacking it.

Invariant: a deployment's archive directory holds one revision, whole, or is not there.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from windtunnel.guest.codedeploy.settings import Settings
from windtunnel.guest.codedeploy.specification import Specification

ARCHIVE = "deployment-archive"


class Failed(Exception):
    """The bundle could not be fetched or unpacked; the text says why."""


class Store(Protocol):
    """What of the client this needs (guest/aws.py)."""

    def get_object(self, bucket: str, key: str, target: str, version: str = "") -> dict[str, str]: ...


def fetch(store: Store, spec: Specification, settings: Settings) -> None:
    """DownloadBundle: keep only the newest archives, download, unpack, and remember this as the most recent one."""
    prune(settings, spec.group_id)
    directory = settings.deployment(spec.group_id, spec.deployment_id)
    directory.mkdir(parents=True, exist_ok=True)
    bundle = directory / "bundle.tar"
    headers = store.get_object(spec.bucket, spec.key, str(bundle), version=spec.version)
    etag = headers.get("etag", "")
    if spec.etag and spec.etag.strip('"') != etag.strip('"'):
        raise Failed(f"Expected deployment artifact bundle etag {spec.etag} but was actually {etag}")
    unpack(bundle, spec.bundle_type, directory / ARCHIVE)
    settings.point(spec.group_id, "most_recent", directory)


def unpack(bundle: Path, kind: str, archive: Path) -> None:
    """kind: tar, tgz or zip."""
    commands = {
        "zip": ["unzip", "-qo", str(bundle), "-d"],
        "tar": ["tar", "-xpsf", str(bundle), "-C"],
        "tgz": ["tar", "-zxpsf", str(bundle), "-C"],
    }
    if kind not in commands:
        raise Failed(f"Unsupported bundle type: {kind}")
    partial = archive.with_name(archive.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    done = subprocess.run([*commands[kind], str(partial)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    # unzip answers 1 for warnings: everything was still extracted.
    if done.returncode not in ((0, 1) if kind == "zip" else (0,)):
        said = done.stderr.decode("utf-8", "replace").strip()
        raise Failed(f"Error extracting {kind} archive: {done.returncode} {said}".strip())
    shutil.rmtree(archive, ignore_errors=True)
    partial.rename(archive)


def prune(settings: Settings, group_id: str) -> None:
    """Remove the oldest archives of a group so that, with the coming one, at most max_revisions stay; never the last successful."""
    try:
        found = [entry for entry in settings.archives(group_id).iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return
    extra = len(found) - settings.max_revisions
    if extra <= 0:
        return
    kept = settings.last_successful(group_id)
    for directory in sorted((entry for entry in found if entry != kept), key=lambda entry: entry.stat().st_mtime)[:extra]:
        shutil.rmtree(directory, ignore_errors=True)
