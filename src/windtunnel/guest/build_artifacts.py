"""Collects a build's artifacts and uploads them, as the build's own role.

Invariant: what is uploaded lies below the base directory; the object is one whole PUT, so that a reader never sees half an artifact.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from windtunnel.guest import aws
from windtunnel.guest.build_spec import ArtifactSpec

CHUNK = 1 << 20


class ArtifactError(Exception):
    """Artifacts that could not be collected or uploaded, in CodeBuild's words."""


class Found(NamedTuple):
    """A file to upload. name: its path in the artifact."""

    path: str
    name: str


# -- which files --------------------------------------------------------------------------------------------------------------


def pattern(glob: str) -> re.Pattern[str]:
    """A path pattern: `*` within a name, `**` over directories, `?`, `[…]`."""
    out, at = "", 0
    while at < len(glob):
        character = glob[at]
        if glob.startswith("**/", at):
            out, at = out + "(?:[^/]+/)*", at + 3
        elif glob.startswith("**", at):
            out, at = out + ".*", at + 2
        elif character == "*":
            out, at = out + "[^/]*", at + 1
        elif character == "?":
            out, at = out + "[^/]", at + 1
        elif character == "[" and "]" in glob[at + 2 :]:
            end = glob.index("]", at + 2)
            inner = glob[at + 1 : end].replace("\\", "\\\\")
            out, at = out + "[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]", end + 1
        else:
            out, at = out + re.escape(character), at + 1
    return re.compile(out + r"\Z", re.DOTALL)


def files_below(directory: str, follow: bool) -> list[str]:
    """The files below a directory, as paths relative to it, sorted. follow: through links to directories."""
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    for base, directories, names in os.walk(directory, followlinks=follow):
        info = os.stat(base)
        if (info.st_dev, info.st_ino) in seen:
            directories.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        links = [] if follow else [name for name in directories if os.path.islink(os.path.join(base, name))]
        found += [os.path.relpath(os.path.join(base, name), directory) for name in (*names, *links)]
    return sorted(found)


def base_directories(source: str, base: str) -> list[str]:
    """The directories that `base-directory` names; it may be a pattern."""
    if not base or base == ".":
        return [source]
    if os.path.isdir(os.path.join(source, base)):
        return [os.path.normpath(os.path.join(source, base))]
    if any(sign in base for sign in "*?["):
        wanted = pattern(os.path.normpath(base))
        found = []
        for at, directories, _ in os.walk(source):
            found += [os.path.join(at, name) for name in directories if wanted.match(os.path.relpath(os.path.join(at, name), source))]
        if found:
            return sorted(found)
    raise ArtifactError(f"no matching base directory path found for {base}")


def collect(spec: ArtifactSpec, source: str, say: Callable[[str], None]) -> list[Found]:
    """The files that the artifacts section means. Raises ArtifactError when there are none."""
    say(f"Expanding base directory path: {spec.base or '.'}")
    say("Assembling file list")
    found: dict[str, Found] = {}
    excluded = [pattern(_cleaned(glob)) for glob in spec.exclude]
    for base in base_directories(source, spec.base):
        say(f"Expanding {base}")
        say("Expanding file paths for base directory " + base)
        names = files_below(base, follow=not spec.symlinks)
        for glob in spec.files:
            matched = _matching(glob, base, names)
            say(f"Found {len(matched)} file(s)")
            for path, name in matched:
                if not any(exclude.match(name) for exclude in excluded) and (spec.symlinks or os.path.isfile(path)):
                    final = os.path.basename(name) if spec.discard_paths else name
                    found[final] = Found(path, final)
    if not found:
        raise ArtifactError("no matching artifact paths found")
    return [found[name] for name in sorted(found)]


def _cleaned(glob: str) -> str:
    return glob[2:] if glob.startswith("./") else glob


def _matching(glob: str, base: str, names: list[str]) -> list[tuple[str, str]]:
    """(path, name in the artifact). An absolute pattern names files of the container itself."""
    if os.path.isabs(glob):
        fixed = glob.split("*")[0].split("?")[0].rsplit("/", 1)[0] or "/"
        wanted = pattern(glob)
        paths = [os.path.join(fixed, name) for name in files_below(fixed, follow=False)] if os.path.isdir(fixed) else []
        return [(path, path.lstrip("/")) for path in paths if wanted.match(path)]
    wanted = pattern(_cleaned(glob))
    return [(os.path.join(base, name), name) for name in names if wanted.match(name)]


# -- where to -----------------------------------------------------------------------------------------------------------------


def object_key(artifacts: Mapping[str, Any], uuid: str, name: str) -> str:
    """`path/[BUILD_ID/]name`; a name of `/` is the directory itself."""
    parts = [str(artifacts.get("path") or "").strip("/"), uuid if artifacts.get("namespaceType") == "BUILD_ID" else "", name.strip("/")]
    return "/".join(part for part in parts if part)


def pack(files: list[Found], target: str, symlinks: bool) -> tuple[str, str]:
    """Make a zip of the files; its (sha256, md5) in hex."""
    import zipfile

    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False, compresslevel=1) as zipped:
        for file in files:
            if symlinks and os.path.islink(file.path):
                info = zipfile.ZipInfo(file.name)
                info.create_system, info.external_attr = 3, 0o120777 << 16
                zipped.writestr(info, os.readlink(file.path))
            else:
                zipped.write(file.path, file.name)
    return digests(target)


def digests(path: str) -> tuple[str, str]:
    sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            sha.update(chunk)
            md5.update(chunk)
    return sha.hexdigest(), md5.hexdigest()


def upload(
    client: aws.Client, artifacts: Mapping[str, Any], files: list[Found], name: str, uuid: str, arn: str, scratch: str, symlinks: bool
) -> dict[str, str]:
    """Upload one artifact. Returns BuildArtifacts: location, and the sums of a zip."""
    bucket = str(artifacts["location"]).removeprefix("arn:aws:s3:::")
    key = object_key(artifacts, uuid, name)
    try:
        if artifacts["type"] == "CODEPIPELINE" or artifacts.get("packaging") == "ZIP":
            return _upload_zip(client, bucket, key, files, arn, scratch, symlinks, _encryption(artifacts))
        for file in files:
            place = f"{key}/{file.name}" if key else file.name
            client.put_object(bucket, place, file.path, metadata={"codebuild-buildarn": arn}, headers=_encryption(artifacts))
    except aws.ApiError as error:
        raise ArtifactError(f"error while uploading {key}: {error.code}: {error.message} status code: {error.status}") from error
    return {"location": f"arn:aws:s3:::{bucket}/{key}"}


def _encryption(artifacts: Mapping[str, Any]) -> dict[str, str]:
    """The headers by which S3 encrypts under the build's key; none for S3's own."""
    key = artifacts.get("kmsKey")
    return {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": str(key)} if key else {}


def _upload_zip(
    client: aws.Client, bucket: str, key: str, files: list[Found], arn: str, scratch: str, symlinks: bool, encryption: dict[str, str]
) -> dict[str, str]:
    archive = os.path.join(scratch, "artifact.zip")
    sha, md5 = pack(files, archive, symlinks)
    metadata = {"codebuild-buildarn": arn, "codebuild-content-sha256": sha, "codebuild-content-md5": md5}
    client.put_object(bucket, key, archive, metadata=metadata, headers={"Content-Type": "application/zip", **encryption})
    os.unlink(archive)
    return {"location": f"arn:aws:s3:::{bucket}/{key}", "sha256sum": sha, "md5sum": md5}
