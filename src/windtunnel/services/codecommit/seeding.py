"""A repository's first commit out of a zip in S3 (`Code` of AWS::CodeCommit::Repository).

Invariants: the objects are on disk and fsynced before the repository that owns them exists; nothing refers to them until `begin`, and what a
creation that failed left behind is swept at the next start, as every directory of no repository is.
Sources: who made the commit, and its message, as clones of repositories so made show them; the words of failures as stack events have them.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.git import ZERO, Update
from windtunnel.provision.registry import Failed, Properties
from windtunnel.services.codecommit.model import HEADS, Repository, repository_arn, resource_tags
from windtunnel.services.codecommit.operations import check_branch, project_after
from windtunnel.services.codecommit.refs import move

if TYPE_CHECKING:
    import zipfile

NAME, EMAIL, MESSAGE = "AWS CodeCommit", "noreply-awscodecommit@amazon.com", "Initial commit by AWS CodeCommit"
MOST = 20_000_000
"""Bytes of an archive."""
MOST_FILES, MOST_UNPACKED = 20_000, 1 << 30
"""Ours: a small archive can be made to hold anything."""
BROKEN = "Code supplied is not a valid .zip archive"


class Seed(NamedTuple):
    """What was made of an archive: for the repository of this id, which is made after it."""

    repository_id: str
    branch: str
    commit: str


def sow(ctx: Context, code: Properties) -> Seed:
    """Read the archive as the caller, and make its commit. In a thread. Raises Failed, AwsError."""
    branch = code.get("BranchName") or "main"
    check_branch(branch)
    archive = _fetched(ctx, code["S3"])
    repository_id = ctx.ids.uuid()
    return Seed(repository_id, branch, _commit(ctx, repository_id, archive))


def begin(ctx: Context, name: str, seed: Seed) -> None:
    """Have the new repository begin with its commit: a commit like any other, for which one needs the permission."""
    repo = ctx.tx.get(Repository, name)
    assert repo is not None and repo.repository_id == seed.repository_id
    keys = resource_tags(repo) | {"codecommit:References": HEADS + seed.branch}
    ctx.cloud.identity.check(ctx, [Need("codecommit:CreateCommit", repository_arn(ctx.scope, name), keys)])
    move(ctx, repo, Update(HEADS + seed.branch, ZERO, seed.commit), summary=MESSAGE)
    project_after(ctx, repo)


def _fetched(ctx: Context, place: Properties) -> bytes:
    asked = {"bucket": place["Bucket"], "key": place["Key"]}
    if place.get("ObjectVersion"):
        asked["version_id"] = place["ObjectVersion"]
    try:
        if ctx.call("s3", "HeadObject", **asked)["ContentLength"] > MOST:
            raise Failed("Code archive supplied cannot be more than 20 MB compressed", "")
        return b"".join(ctx.cloud.blobs.stream(ctx.call("s3", "GetObject", **asked)["Body"]))
    except AwsError as error:
        raise Failed(_said(ctx, error), "") from error


def _said(ctx: Context, error: AwsError) -> str:
    """The SDK's words of a HEAD that failed: it has no body, so it has S3's status and no code of S3's."""
    status, words = {"AccessDenied": (403, "Forbidden"), "MethodNotAllowed": (405, "Method Not Allowed")}.get(
        error.code, (404, "Not Found") if error.code.startswith(("NoSuch", "NotFound", "404")) else (400, "Bad Request")
    )
    request = ctx.ids.upper(16)
    return f"{words} (Service: Amazon S3; Status Code: {status}; Error Code: {status} {words}; Request ID: {request}; Proxy: null)"


def _commit(ctx: Context, repository_id: str, archive: bytes) -> str:
    import zipfile
    import zlib

    import pygit2

    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            entries = _entries(zipped)
            objects: Any = pygit2.Repository(str(ctx.cloud.part("git").path(repository_id)))
            pygit2.settings.enable_fsync_gitdir(True)
            index = pygit2.Index()
            for path, entry in entries.items():
                with zipped.open(entry) as content:
                    index.add(pygit2.IndexEntry(path, objects.create_blob(content.read()), pygit2.enums.FileMode(_mode(entry))))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, pygit2.GitError) as error:
        raise Failed(BROKEN, "") from error
    who = pygit2.Signature(NAME, EMAIL, int(ctx.now), 0)
    return str(objects.create_commit(None, who, who, MESSAGE, index.write_tree(objects), []))


def _mode(entry: zipfile.ZipInfo) -> int:
    """What a zip made on Unix says of a file; others say nothing of it."""
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        return 0o120000
    return 0o100755 if mode & stat.S_IXUSR else 0o100644


def _entries(zipped: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's files by their paths; of two at one path the last, as unpacking leaves it."""
    found = {entry.filename: entry for entry in zipped.infolist() if not entry.is_dir()}
    if not found or any(_strange(path) for path in found) or any(above in found for path in found for above in _above(path)):
        raise Failed(BROKEN, "")
    if len(found) > MOST_FILES or sum(entry.file_size for entry in found.values()) > MOST_UNPACKED:
        raise Failed(f"Code archive supplied cannot have more than {MOST_FILES} files or {MOST_UNPACKED >> 30} GiB uncompressed", "")
    return found


def _strange(path: str) -> bool:
    """No path within a working tree, or one of git's own."""
    return any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")) or "\\" in path


def _above(path: str) -> Iterator[str]:
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
