"""Where a revision lies: which locations are well formed, and when two of them are the same revision.

Invariant: a location that was accepted is complete (type and the one member that belongs to it), so an agent can fetch it.
"""

from __future__ import annotations

import hashlib
import json
import re

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.services.codedeploy.model.records import Location

BUNDLES = ("tar", "tgz", "zip")
REPOSITORY = re.compile(r"[^/\s]+/[^/\s]+\Z")
COMMIT = re.compile(r"[0-9a-fA-F]{40}\Z")


def checked(location: Location, operation: str) -> Location:
    """The location without empty members; AwsError RevisionRequiredException or InvalidRevisionException, 501 for other platforms'."""
    kind = location.get("revisionType") or _told_by_member(location)
    if kind == "S3":
        return {"revisionType": "S3", "s3Location": _s3(location.get("s3Location") or {})}
    if kind == "GitHub":
        _github(location.get("gitHubLocation") or {})
        raise not_built("codedeploy", operation, "revision.gitHubLocation")
    if kind in ("String", "AppSpecContent"):
        raise AwsError("InvalidRevisionException", f"The revision type {kind} is not supported for the compute platform Server.")
    if kind is None:
        raise AwsError("RevisionRequiredException", "Revision is required.")
    raise AwsError("InvalidRevisionException", f"The revision type {kind} is not valid.")


def _told_by_member(location: Location) -> str | None:
    members = {"s3Location": "S3", "gitHubLocation": "GitHub", "string": "String", "appSpecContent": "AppSpecContent"}
    return next((kind for member, kind in members.items() if location.get(member)), None)


def _s3(found: dict[str, str]) -> dict[str, str]:
    for member in ("bucket", "key"):
        if not found.get(member):
            raise AwsError("InvalidRevisionException", f"The S3 location of a revision must have a {member}.")
    bundle = found.get("bundleType")
    if bundle in ("YAML", "JSON"):
        raise AwsError("InvalidRevisionException", f"The bundle type {bundle} is not supported for the compute platform Server.")
    if bundle not in BUNDLES:
        raise AwsError("InvalidRevisionException", "The bundle type of a revision must be one of: tar, tgz, zip.")
    return {name: found[name] for name in ("bucket", "key", "bundleType", "version", "eTag") if found.get(name)}


def _github(found: dict[str, str]) -> None:
    if not REPOSITORY.match(found.get("repository", "")) or not COMMIT.match(found.get("commitId", "")):
        raise AwsError("InvalidRevisionException", "A GitHub location must have a repository (owner/name) and a commit ID.")


def digest(location: Location) -> str:
    """The revision's name: equal for equal locations, the quotes around an ETag aside."""
    plain = json.loads(json.dumps(location))
    s3 = plain.get("s3Location")
    if s3 and "eTag" in s3:
        s3["eTag"] = s3["eTag"].strip('"')
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def shown(location: Location) -> str:
    """The location as a person writes it."""
    s3 = location.get("s3Location") or {}
    return f"s3://{s3.get('bucket', '')}/{s3.get('key', '')}"
