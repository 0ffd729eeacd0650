"""The section sources: archives, unpacked into directories.

The invariant it keeps: nothing outside the target directory is written. tar (also gzip, bzip2, xz) and zip, told by their content.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.fetching import Fetcher
from windtunnel.guest.cfn.logs import Log

_GITHUB = re.compile(r"https?://(?:www\.|api\.)?github\.com/.+/(?:zipball|tarball)(?:/|\Z)")
"""These put everything into one directory named after the commit, which is left out."""


def sources(section: Mapping[str, Any], fetcher: Fetcher, log: Log) -> list[str]:
    """The directories that were unpacked into."""
    done = []
    for directory in sorted(section):
        url = str(section[directory])
        with tempfile.TemporaryDirectory(prefix="cfn-init-") as scratch:
            archive = f"{scratch}/archive"
            fetcher.get(url, archive)
            inside = f"{scratch}/tree"
            os.makedirs(inside)
            unpack(archive, inside, url)
            root = _only(inside, url) if _GITHUB.match(url) else inside
            os.makedirs(directory, exist_ok=True)
            shutil.copytree(root, directory, symlinks=True, dirs_exist_ok=True)
        log.info(f"Expanded {url} into {directory}")
        done.append(directory)
    return done


def unpack(archive: str, target: str, url: str) -> None:
    """Raises Failed for what is no archive, and for one with entries outside its root."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _inside(zipped.namelist(), url)
                zipped.extractall(target)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                members = tar.getmembers()
                _inside([member.name for member in members] + [member.linkname for member in members if member.islnk()], url)
                _not_through([member.name for member in members if member.issym()], [member.name for member in members], url)
                tar.extraction_filter = lambda member, path: member  # they were looked at above; older Pythons know no filters
                tar.extractall(target)
        else:
            raise Failed(f"{url} is neither a tar nor a zip archive")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise Failed(f"{url} cannot be unpacked: {error}") from None


def _inside(names: list[str], url: str) -> None:
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise Failed(f"{url} holds {name!r}, which is outside of its directory")


def _not_through(links: list[str], names: list[str], url: str) -> None:
    """What lies beyond a symlink may lie outside."""
    for name in names:
        if any(name.startswith(f"{link.rstrip('/')}/") for link in links):
            raise Failed(f"{url} holds {name!r} behind a symlink")


def _only(directory: str, url: str) -> str:
    entries = [entry for entry in os.listdir(directory) if entry != "pax_global_header"]
    if len(entries) != 1 or not os.path.isdir(f"{directory}/{entries[0]}"):
        raise Failed(f"{url} was expected to hold one directory, as GitHub's archives do")
    return f"{directory}/{entries[0]}"
