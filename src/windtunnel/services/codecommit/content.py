"""CodeCommit's operations on commits and files. They read git objects, so they run in threads; PutFile makes its objects before
its transaction, which then moves the branch only if it still stands where the commit was built."""

from __future__ import annotations

import posixpath
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.git import ZERO, Update
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codecommit.model import HEADS, TAGS, Repository, is_commit_id
from windtunnel.services.codecommit.operations import (
    check_branch,
    on_branch,
    on_repository,
    page_start,
    project_after,
    the_branch,
    the_repository,
)
from windtunnel.services.codecommit.refs import move, refs_of

MODES = {0o100644: "NORMAL", 0o100755: "EXECUTABLE", 0o120000: "SYMLINK"}
FILE_LIMIT = 6 << 20


def _objects(ctx: Context, repo: Repository) -> Any:
    import pygit2

    return pygit2.Repository(str(ctx.cloud.part("git").path(repo.repository_id)))


def _commit(ctx: Context, repo: Repository, specifier: str | None) -> Any:
    """The commit that a branch, tag, full ref name or commit id names; the default branch without one."""
    refs = refs_of(ctx, repo)
    wanted = repo.default_branch if specifier in (None, "", "HEAD") else specifier
    target = refs.get(wanted) or refs.get(HEADS + wanted) or refs.get(TAGS + wanted) or wanted
    try:
        found = _objects(ctx, repo).get(target) if is_commit_id(target) else None
    except ValueError:
        found = None
    if found is not None and found.type_str == "tag":
        found = found.peel()
    if found is None or found.type_str != "commit":
        raise AwsError("CommitDoesNotExistException", f"The commit {wanted} does not exist" if wanted else "The repository is empty")
    return found


def _person(who: Any) -> dict[str, str]:
    hours, minutes = divmod(abs(who.offset), 60)
    return {"name": who.name, "email": who.email, "date": f"{who.time} {'-' if who.offset < 0 else '+'}{hours:02d}{minutes:02d}"}


@reads("codecommit", "GetCommit", authorize=on_repository("codecommit:GetCommit"), acts="repositoryName commitId", cost="scan")
def get_commit(ctx: Context, repository_name: str, commit_id: str) -> Reply:
    repo = the_repository(ctx, repository_name)
    if not is_commit_id(commit_id):
        raise AwsError("InvalidCommitIdException", f"{commit_id} is not a valid commit ID.")
    try:
        commit = _commit(ctx, repo, commit_id)
    except AwsError as error:
        raise AwsError("CommitIdDoesNotExistException", f"Commit ID {commit_id} does not exist") from error
    return {
        "commit": {
            "commitId": str(commit.id),
            "treeId": str(commit.tree_id),
            "parents": [str(parent) for parent in commit.parent_ids],
            "message": commit.message,
            "author": _person(commit.author),
            "committer": _person(commit.committer),
            "additionalData": "",
        }
    }


def _entry(tree: Any, path: str) -> Any:
    try:
        return tree[path] if path else tree
    except KeyError:
        return None


def _clean(path: str) -> str:
    cleaned = posixpath.normpath(path.strip("/")) if path.strip("/") else ""
    if cleaned.startswith("..") or len(path) > 4096 or "\0" in path:
        raise AwsError("InvalidPathException", f"The path {path} is not valid.")
    return "" if cleaned == "." else cleaned


@reads("codecommit", "GetFile", authorize=on_repository("codecommit:GetFile"), acts="repositoryName commitSpecifier filePath", cost="scan")
def get_file(ctx: Context, repository_name: str, file_path: str, commit_specifier: str | None = None) -> Reply:
    commit = _commit(ctx, the_repository(ctx, repository_name), commit_specifier)
    path = _clean(file_path)
    entry = _entry(commit.tree, path)
    if entry is None or entry.type_str != "blob":
        raise AwsError("FileDoesNotExistException", f"Could not find path {file_path}")
    if entry.size > FILE_LIMIT:
        raise AwsError("FileTooLargeException", f"The file {file_path} is larger than 6 MB")
    mode = MODES.get(int(entry.filemode), "NORMAL")
    return {
        "commitId": str(commit.id),
        "blobId": str(entry.id),
        "filePath": path,
        "fileMode": mode,
        "fileSize": entry.size,
        "fileContent": entry.data,
    }


@reads(
    "codecommit",
    "GetFolder",
    authorize=on_repository("codecommit:GetFolder"),
    acts="repositoryName commitSpecifier folderPath",
    cost="scan",
)
def get_folder(ctx: Context, repository_name: str, folder_path: str, commit_specifier: str | None = None) -> Reply:
    commit = _commit(ctx, the_repository(ctx, repository_name), commit_specifier)
    path = _clean(folder_path)
    tree = _entry(commit.tree, path)
    if tree is None or tree.type_str != "tree":
        raise AwsError("FolderDoesNotExistException", f"Could not find path {folder_path}")
    reply: Reply = {
        "commitId": str(commit.id),
        "folderPath": path,
        "treeId": str(tree.id),
        "subFolders": [],
        "files": [],
        "symbolicLinks": [],
        "subModules": [],
    }
    for entry in tree:
        place = {"absolutePath": posixpath.join(path, entry.name), "relativePath": entry.name}
        mode = int(entry.filemode)
        if entry.type_str == "tree":
            reply["subFolders"].append({"treeId": str(entry.id), **place})
        elif entry.type_str == "commit":
            reply["subModules"].append({"commitId": str(entry.id), **place})
        else:
            kind = "symbolicLinks" if mode == 0o120000 else "files"
            reply[kind].append({"blobId": str(entry.id), **place, "fileMode": MODES.get(mode, "NORMAL")})
    return reply


def within(path: str, folder: str) -> bool:
    """Whether a path is the given one, or below it."""
    wanted = folder.strip("/")
    return not wanted or path == wanted or path.startswith(wanted + "/")


@reads(
    "codecommit",
    "GetDifferences",
    authorize=on_repository("codecommit:GetDifferences"),
    acts="repositoryName beforeCommitSpecifier afterCommitSpecifier beforePath afterPath MaxResults NextToken",
    cost="scan",
)
def get_differences(
    ctx: Context,
    repository_name: str,
    after_commit_specifier: str,
    before_commit_specifier: str | None = None,
    before_path: str = "",
    after_path: str = "",
    max_results: int = 100,
    next_token: str | None = None,
) -> Reply:
    repo = the_repository(ctx, repository_name)
    after = _commit(ctx, repo, after_commit_specifier)
    before = _commit(ctx, repo, before_commit_specifier) if before_commit_specifier else None
    diff = before.tree.diff_to_tree(after.tree) if before is not None else after.tree.diff_to_tree(swap=True)
    found: list[dict[str, Any]] = []
    for delta in diff.deltas:
        old, new = delta.old_file, delta.new_file
        if not (within(old.path, before_path) and within(new.path, after_path)):
            continue
        kind = {"A": "A", "D": "D"}.get(delta.status_char(), "M")
        item: dict[str, Any] = {"changeType": kind}
        if kind != "A":
            item["beforeBlob"] = {"blobId": str(old.id), "path": old.path, "mode": f"{int(old.mode):o}"}
        if kind != "D":
            item["afterBlob"] = {"blobId": str(new.id), "path": new.path, "mode": f"{int(new.mode):o}"}
        found.append(item)
    start = page_start(next_token, len(found))
    reply: Reply = {"differences": found[start : start + max_results]}
    if start + max_results < len(found):
        reply["NextToken"] = str(start + max_results)
    return reply


def parent_of(ctx: Context, repo: Repository, branch: str, given: str | None) -> str | None:
    """The branch's tip, on which the commit is built; None for the first commit of a repository."""
    check_branch(branch)
    refs = refs_of(ctx, repo)
    tip = refs.get(HEADS + branch)
    if given is not None and not is_commit_id(given):
        raise AwsError("InvalidParentCommitIdException", f"{given} is not a valid commit ID.")
    if tip is None:
        if any(name.startswith(HEADS) for name in refs):
            raise AwsError("BranchDoesNotExistException", f"Branch {branch} does not exist")
        if given is not None:
            raise AwsError("ParentCommitDoesNotExistException", f"The parent commit {given} does not exist")
        return None
    if given is None:
        raise AwsError("ParentCommitIdRequiredException", "A parent commit ID is required when the branch exists.")
    if given != tip:
        raise AwsError("ParentCommitIdOutdatedException", f"The parent commit {given} is not the tip of {branch}: {tip}")
    return tip


def make_commit(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """Write the blob, trees and commit that PutFile asks for; nothing refers to them until the transaction moves the branch."""
    import pygit2

    repo = the_repository(ctx, args["repository_name"])
    objects, path = _objects(ctx, repo), _clean(args["file_path"])
    content: bytes = args["file_content"]
    if len(content) > FILE_LIMIT:
        raise AwsError("FileContentSizeLimitExceededException", "The maximum size of a file added through the API is 6 MB.")
    tip = parent_of(ctx, repo, args["branch_name"], args.get("parent_commit_id"))
    if not path or ".git" in (part.lower() for part in path.split("/")):
        raise AwsError("InvalidPathException", "The path is not valid.")
    pygit2.settings.enable_fsync_gitdir(True)
    blob = objects.create_blob(content)
    mode = pygit2.enums.FileMode({"EXECUTABLE": 0o100755, "SYMLINK": 0o120000}.get(args.get("file_mode") or "NORMAL", 0o100644))
    index = pygit2.Index()
    if tip is not None:
        tree = objects[tip].tree
        old = _entry(tree, path)
        folders = [path.rsplit("/", depth)[0] for depth in range(1, path.count("/") + 1)]
        if any((above := _entry(tree, folder)) is not None and above.type_str != "tree" for folder in folders):
            raise AwsError("DirectoryNameConflictsWithFileNameException", f"A folder of {path} is a file")
        if old is not None and old.type_str == "tree":
            raise AwsError("FileNameConflictsWithDirectoryNameException", f"{path} is a folder")
        if old is not None and str(old.id) == str(blob) and int(old.filemode) == mode:
            raise AwsError("SameFileContentException", f"The file {path} has the same content already")
        index.read_tree(tree)
    index.add(pygit2.IndexEntry(path, blob, mode))
    try:
        who = pygit2.Signature(
            args.get("name") or ctx.principal.name or "unknown", args.get("email") or "unknown@localhost", int(ctx.now), 0
        )
    except (ValueError, pygit2.GitError):
        raise AwsError("InvalidEmailException", "The specified name and email address cannot be those of a commit.") from None
    message = (args.get("commit_message") or "").replace("\0", "") or f"Edited {path}"
    tree_id = index.write_tree(objects)
    commit = objects.create_commit(None, who, who, message, tree_id, [tip] if tip else [])
    return {
        **args,
        "made": {"commitId": str(commit), "blobId": str(blob), "treeId": str(tree_id), "tip": tip, "summary": message.partition("\n")[0]},
    }


@writes(
    "codecommit",
    "PutFile",
    authorize=on_branch("codecommit:PutFile"),
    acts="repositoryName branchName fileContent filePath fileMode parentCommitId commitMessage name email",
    prepare=make_commit,
)
def put_file(ctx: Context, repository_name: str, branch_name: str, made: dict[str, Any], **_: Any) -> Reply:
    repo = the_repository(ctx, repository_name)
    current = refs_of(ctx, repo).get(HEADS + branch_name)
    if current != made["tip"]:
        raise AwsError("ConcurrentReferenceUpdateException", f"The branch {branch_name} was updated by another request")
    if current is not None:
        the_branch(ctx, repo, branch_name)
    move(ctx, repo, Update(HEADS + branch_name, current or ZERO, made["commitId"]), summary=made["summary"])
    project_after(ctx, repo)
    return {"commitId": made["commitId"], "blobId": made["blobId"], "treeId": made["treeId"]}
