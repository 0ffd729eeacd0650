"""Fetches a build's sources: S3 objects (zip or a prefix), CodePipeline's artifacts, CodeCommit by git. As the build's own role.

Invariant: nothing that an archive names is written outside of its directory.
"""

from __future__ import annotations

import base64
import os
import stat
import time
from collections.abc import Mapping
from typing import Any

from windtunnel.guest import aws

GIT_PATIENCE = 600.0
UNREACHABLE = ("Could not resolve", "Failed to connect", "Connection refused", "Connection reset", "Empty reply", "returned error: 5", "early EOF", "unexpected disconnect", "Recv failure")  # fmt: skip


class SourceError(Exception):
    """A source that could not be fetched, in CodeBuild's words."""


def fetch(source: Mapping[str, Any], directory: str, client: aws.Client, endpoint: str, scratch: str) -> str:
    """Put the source into `directory`. Returns the commit it was resolved to, "" if it has none."""
    os.makedirs(directory, exist_ok=True)
    if source["type"] == "S3":
        _from_s3(source, directory, client, scratch)
    elif source["type"] == "CODECOMMIT":
        return _from_codecommit(source, directory, client, endpoint)
    return ""


def whose(source: Mapping[str, Any]) -> str:
    """`primary source and source version X`, or the secondary one's name."""
    name = f"secondary source {source['identifier']}" if source.get("identifier") else "primary source"
    return f"{name} and source version {source.get('version') or ''}".rstrip()


# -- S3 -----------------------------------------------------------------------------------------------------------------------


def _from_s3(source: Mapping[str, Any], directory: str, client: aws.Client, scratch: str) -> None:
    bucket, _, key = source["location"].partition("/")
    if key.endswith("/") or not key:
        _prefix(source, bucket, key, directory, client)
        return
    archive = os.path.join(scratch, "source")
    _download(source, client, bucket, key, archive)
    extract(archive, directory, key)
    os.unlink(archive)


def _download(source: Mapping[str, Any], client: aws.Client, bucket: str, key: str, target: str) -> None:
    try:
        client.get_object(bucket, key, target, source.get("version") or "")
    except aws.ApiError as error:
        version = source.get("version") or f"arn:aws:s3:::{bucket}/{key}"
        name = f"secondary source {source['identifier']}" if source.get("identifier") else "primary source"
        raise SourceError(
            f"error while downloading key {key}, error: {error.code}: {error.message} status code: {error.status} "
            f"for {name} and source version {version}"
        ) from error


def _prefix(source: Mapping[str, Any], bucket: str, prefix: str, directory: str, client: aws.Client) -> None:
    try:
        keys = [key for key in client.list_objects(bucket, prefix) if not key.endswith("/")]
    except aws.ApiError as error:
        raise SourceError(f"error while listing prefix {prefix}, error: {error.code}: {error.message} for {whose(source)}") from error
    if not keys:
        raise SourceError(f"no objects were found at {bucket}/{prefix} for {whose(source)}")
    for key in keys:
        path = inside(directory, key[len(prefix) :])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _download({**source, "version": ""}, client, bucket, key, path)


def inside(directory: str, name: str) -> str:
    """The path of `name` below the directory. SourceError when it would lead out of it."""
    path = os.path.normpath(os.path.join(directory, name))
    if name.startswith("/") or not (path + os.sep).startswith(os.path.join(os.path.normpath(directory), "")):
        raise SourceError(f"the archive names a file outside of its directory: {name}")
    return path


def extract(archive: str, directory: str, key: str) -> None:
    """Unpack a zip, with modes and symbolic links."""
    import zipfile

    try:
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                _extract_one(zipped, info, directory)
    except zipfile.BadZipFile as error:
        raise SourceError(f"error while extracting {key}: not a valid zip file") from error


def _extract_one(zipped: Any, info: Any, directory: str) -> None:
    path = inside(directory, info.filename)
    mode = info.external_attr >> 16
    if info.is_dir():
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    parent = os.path.realpath(os.path.dirname(path))
    inside(os.path.realpath(directory), os.path.relpath(parent, os.path.realpath(directory)))
    if os.path.lexists(path) and not os.path.isdir(path):
        os.unlink(path)
    if stat.S_ISLNK(mode):
        os.symlink(zipped.read(info).decode("utf-8", "surrogateescape"), path)
        return
    with zipped.open(info) as packed, open(path, "wb") as unpacked:
        while chunk := packed.read(1 << 20):
            unpacked.write(chunk)
    if stat.S_IMODE(mode):
        os.chmod(path, stat.S_IMODE(mode))
    moment = time.mktime((*info.date_time, 0, 0, -1))
    os.utime(path, (moment, moment))


# -- CodeCommit ---------------------------------------------------------------------------------------------------------------


def repository(location: str) -> str:
    """The repository's name in a clone URL: the public one, the cloud's own, or `codecommit::region://NAME`."""
    return location.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")


def _from_codecommit(source: Mapping[str, Any], directory: str, client: aws.Client, endpoint: str) -> str:
    url = f"{endpoint}/v1/repos/{repository(source['location'])}"
    version = source.get("version") or ""
    depth = ["--depth", str(source["depth"])] if source.get("depth") and not version else []
    _patiently(["clone", "--quiet", *depth, url, directory], "/", client, url, source)
    if version:
        _checkout(version, directory, source)
    if source.get("submodules"):
        _patiently(["submodule", "update", "--init", "--recursive", "--quiet"], directory, client, url, source)
    status, said = git(["rev-parse", "HEAD"], directory, {})
    if status != 0:
        raise SourceError(f"reference not found for {whose(source)}")
    return said.strip()


def _checkout(version: str, directory: str, source: Mapping[str, Any]) -> None:
    """A branch, a tag or a commit; detached, as CodeBuild leaves it."""
    for name in (f"origin/{version.removeprefix('refs/heads/')}", version):
        status, _ = git(["checkout", "--quiet", "--detach", name, "--"], directory, {})
        if status == 0:
            return
    raise SourceError(f"reference not found for {whose(source)}")


def _patiently(arguments: list[str], directory: str, client: aws.Client, url: str, source: Mapping[str, Any]) -> None:
    """git with the role's signature; a cloud that restarts in between is waited for."""
    deadline = time.monotonic() + GIT_PATIENCE
    pause = 0.1
    while True:
        status, said = git(arguments, directory, _authorization(client, url))
        if status == 0:
            return
        if not any(words in said for words in UNREACHABLE) or time.monotonic() > deadline:
            raise SourceError(_words(said, source))
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _authorization(client: aws.Client, url: str) -> dict[str, str]:
    """git's configuration for one run: the signature of the credential helper, as a header."""
    host, _, path = url.partition("://")[2].partition("/")
    user, password = aws.git_credentials(client.credentials.get(), client.region, host, "/" + path, time.time())
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    number = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    return {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"http.{url}.extraHeader",
        f"GIT_CONFIG_VALUE_{number}": f"Authorization: Basic {encoded}",
    }


def git(arguments: list[str], directory: str, settings: Mapping[str, str]) -> tuple[int, str]:
    """(status, output) of git."""
    import subprocess

    environment = {**os.environ, **settings, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _words(said: str, source: Mapping[str, Any]) -> str:
    if "not found" in said or "returned error: 404" in said:
        return f"repository not found for {whose(source)}"
    if "returned error: 403" in said or "Authentication failed" in said or "returned error: 401" in said:
        return f"authorization failed for {whose(source)}"
    last = (said.strip().splitlines() or ["git failed"])[-1]
    return f"{last} for {whose(source)}"
