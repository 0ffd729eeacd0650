"""CodeCommit's operations on repositories, branches and tags of resources (API reference 2015-04-13)."""

from __future__ import annotations

import re
import shutil
from typing import Any

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.git import ZERO, Update
from windtunnel.kernel.registry import MemberErrors, ServiceRules, at_start, reads, service_rules, writes
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.tags import by_stack, reserved, users
from windtunnel.services.codecommit.model import (
    HEADS,
    Ref,
    Repository,
    check_repository_name,
    checked_tags,
    is_commit_id,
    metadata,
    repository_arn,
    resource_tags,
    valid_branch,
)
from windtunnel.services.codecommit.refs import clash, move, refs_of
from windtunnel.services.codecommit.triggering import RepositoryTriggers

PAGE = 1000
OBJECTS = "codecommit.objects"
"""In `ctx.found`, the id under which a new repository's objects are on disk already (`seeding`)."""
service_rules(
    "codecommit",
    ServiceRules(
        validation_code="ValidationException",
        members={
            "repositoryName": MemberErrors(required="RepositoryNameRequiredException", invalid="InvalidRepositoryNameException"),
            "repositoryNames": MemberErrors(required="RepositoryNamesRequiredException", invalid="InvalidRepositoryNameException"),
            "repositoryDescription": MemberErrors(invalid="InvalidRepositoryDescriptionException"),
            "branchName": MemberErrors(required="BranchNameRequiredException", invalid="InvalidBranchNameException"),
            "defaultBranchName": MemberErrors(required="BranchNameRequiredException", invalid="InvalidBranchNameException"),
            "commitId": MemberErrors(required="CommitIdRequiredException", invalid="InvalidCommitIdException"),
            "oldName": MemberErrors(required="RepositoryNameRequiredException", invalid="InvalidRepositoryNameException"),
            "newName": MemberErrors(required="RepositoryNameRequiredException", invalid="InvalidRepositoryNameException"),
            "filePath": MemberErrors(required="PathRequiredException", invalid="InvalidPathException"),
            "folderPath": MemberErrors(required="PathRequiredException", invalid="InvalidPathException"),
            "triggers": MemberErrors(required="RepositoryTriggersListRequiredException", invalid="InvalidRepositoryTriggerEventsException"),
            "resourceArn": MemberErrors(required="ResourceArnRequiredException", invalid="InvalidResourceArnException"),
        },
    ),
)


def asked_tags(tags: dict[str, str] | None) -> dict[str, Any]:
    tags = users(tags or {})
    asked: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return asked | ({"aws:TagKeys": list(tags)} if tags else {})


def on_branch(action: str) -> Any:
    """Permission to write one branch: the same condition key as a push has."""

    def authorize(ctx: Context, repository_name: str, branch_name: str, **_: Any) -> list[Need]:
        keys = resource_tags(ctx.tx.get(Repository, repository_name))
        return [Need(action, repository_arn(ctx.scope, repository_name), keys | {"codecommit:References": HEADS + branch_name})]

    return authorize


def on_repository(action: str, member: str = "repository_name") -> Any:
    """Permission on one repository; tag conditions see its tags."""

    def authorize(ctx: Context, **args: Any) -> list[Need]:
        name = args.get(member)
        if name is None:  # GetBranch's model does not require it
            raise AwsError("RepositoryNameRequiredException", "A repository name is required.")
        repo = ctx.tx.get(Repository, name)
        return [Need(action, repository_arn(ctx.scope, name), resource_tags(repo) | asked_tags(args.get("tags")))]

    return authorize


def on_all(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(action, "*")]

    return authorize


def the_repository(ctx: Context, name: str) -> Repository:
    check_repository_name(name)
    repo = ctx.tx.get(Repository, name)
    if repo is None:
        raise AwsError("RepositoryDoesNotExistException", f"{name} does not exist")
    return repo


def project_after(ctx: Context, repo: Repository) -> None:
    """Have the ref files follow the store once this commits."""
    refs, git = refs_of(ctx, repo), ctx.cloud.part("git")
    repository_id, default, turn = repo.repository_id, repo.default_branch, git.turn()
    ctx.tx.after_commit(lambda: ctx.cloud.part("threads")(lambda: git.project(repository_id, refs, default, turn)))


@at_start
def repair_projections(cloud: Cloud) -> None:
    """After a crash between a ref's commit and its ref file: the store is right. What pushes left that were cut off goes."""
    git, store = cloud.part("git"), cloud.part("store")
    with store.thread_snapshot("", "") as tx:
        targets: dict[str, dict[str, str]] = {}
        for _, _, ref in tx.everywhere(Ref):
            targets.setdefault(ref.repository_id, {})[ref.name] = ref.target
        repositories = tx.everywhere(Repository)
    git.sweep({repo.repository_id for _, _, repo in repositories})
    for left in cloud.data.glob("push-*"):
        shutil.rmtree(left, ignore_errors=True)
    for _, _, repo in repositories:
        git.project(repo.repository_id, targets.get(repo.repository_id, {}), repo.default_branch, git.turn())


@writes(
    "codecommit",
    "CreateRepository",
    authorize=on_repository("codecommit:CreateRepository"),
    acts="repositoryName tags{}",
    descriptive="repositoryDescription",
)
def create_repository(ctx: Context, repository_name: str, repository_description: str = "", tags: dict[str, str] | None = None) -> Reply:
    check_repository_name(repository_name)
    if ctx.tx.get(Repository, repository_name) is not None:
        raise AwsError("RepositoryNameExistsException", f"Repository named {repository_name} already exists")
    repo = Repository(
        name=repository_name,
        repository_id=ctx.found.pop(OBJECTS, None) or ctx.ids.uuid(),
        account=ctx.scope.account,
        description=repository_description,
        created=ctx.now,
        modified=ctx.now,
        tags=checked_tags({}, tags or {}, by_stack(ctx)),
    )
    ctx.tx.insert(repo)
    return {"repositoryMetadata": metadata(ctx.scope, repo, ctx.cloud.endpoint)}


@reads("codecommit", "GetRepository", authorize=on_repository("codecommit:GetRepository"), acts="repositoryName")
def get_repository(ctx: Context, repository_name: str) -> Reply:
    return {"repositoryMetadata": metadata(ctx.scope, the_repository(ctx, repository_name), ctx.cloud.endpoint)}


def on_each_repository(ctx: Context, repository_names: list[str], **_: Any) -> list[Need]:
    return [
        Need("codecommit:BatchGetRepositories", repository_arn(ctx.scope, name), resource_tags(ctx.tx.get(Repository, name)))
        for name in repository_names
    ]


@reads("codecommit", "BatchGetRepositories", authorize=on_each_repository, acts="repositoryNames[]", cost="scan")
def batch_get_repositories(ctx: Context, repository_names: list[str]) -> Reply:
    if len(repository_names) > 100:
        raise AwsError("MaximumRepositoryNamesExceededException", "The maximum number of repository names is 100.")
    found, missing = [], []
    for name in dict.fromkeys(repository_names):
        repo = ctx.tx.get(Repository, name)
        if repo is None:
            missing.append(name)
        else:
            found.append(metadata(ctx.scope, repo, ctx.cloud.endpoint))
    return {"repositories": found, "repositoriesNotFound": missing}


@reads("codecommit", "ListRepositories", authorize=on_all("codecommit:ListRepositories"), acts="nextToken sortBy order", cost="scan")
def list_repositories(ctx: Context, next_token: str | None = None, sort_by: str = "repositoryName", order: str = "ascending") -> Reply:
    repos = ctx.tx.scan(Repository)
    repos.sort(key=lambda r: (r.modified, r.name) if sort_by == "lastModifiedDate" else (0.0, r.name), reverse=order == "descending")
    start = page_start(next_token, len(repos))
    reply: Reply = {"repositories": [{"repositoryName": r.name, "repositoryId": r.repository_id} for r in repos[start : start + PAGE]]}
    if start + PAGE < len(repos):
        reply["nextToken"] = str(start + PAGE)
    return reply


def page_start(token: str | None, size: int) -> int:
    if token is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", token) or int(token) > size:
        raise AwsError("InvalidContinuationTokenException", "The specified continuation token is not valid.")
    return int(token)


@writes("codecommit", "DeleteRepository", authorize=on_repository("codecommit:DeleteRepository"), acts="repositoryName")
def delete_repository(ctx: Context, repository_name: str) -> Reply:
    check_repository_name(repository_name)
    repo = ctx.tx.get(Repository, repository_name)
    if repo is None:
        return {}
    for name in refs_of(ctx, repo):
        ctx.tx.delete(Ref, f"{repo.repository_id}/{name}")
    ctx.tx.delete(Repository, repository_name)
    ctx.tx.delete(RepositoryTriggers, repo.repository_id)
    git, repository_id = ctx.cloud.part("git"), repo.repository_id
    ctx.tx.after_commit(lambda: ctx.cloud.part("threads")(lambda: git.remove(repository_id)))
    return {"repositoryId": repository_id}


@writes(
    "codecommit",
    "UpdateRepositoryDescription",
    authorize=on_repository("codecommit:UpdateRepositoryDescription"),
    acts="repositoryName",
    descriptive="repositoryDescription",
)
def update_repository_description(ctx: Context, repository_name: str, repository_description: str = "") -> Reply:
    repo = the_repository(ctx, repository_name)
    repo.description = repository_description
    repo.modified = ctx.now
    ctx.tx.put(repo)
    return {}


@writes(
    "codecommit", "UpdateRepositoryName", authorize=on_repository("codecommit:UpdateRepositoryName", "old_name"), acts="oldName newName"
)
def update_repository_name(ctx: Context, old_name: str, new_name: str) -> Reply:
    repo = the_repository(ctx, old_name)
    check_repository_name(new_name)
    if ctx.tx.get(Repository, new_name) is not None:
        raise AwsError("RepositoryNameExistsException", f"Repository named {new_name} already exists")
    ctx.tx.delete(Repository, old_name)
    repo.name = new_name
    repo.modified = ctx.now
    ctx.tx.insert(repo)
    return {}


def look_for_commit(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """Whether the commit is in the repository: a look at git's objects, before the transaction."""
    repo = the_repository(ctx, args["repository_name"])
    commit_id = args["commit_id"]
    if not is_commit_id(commit_id):
        raise AwsError("InvalidCommitIdException", f"{commit_id} is not a valid commit ID.")
    known = commit_id in refs_of(ctx, repo).values() or ctx.cloud.part("git").has_commit(repo.repository_id, commit_id)
    return {**args, "known": known}


@writes(
    "codecommit",
    "CreateBranch",
    authorize=on_branch("codecommit:CreateBranch"),
    acts="repositoryName branchName commitId",
    prepare=look_for_commit,
)
def create_branch(ctx: Context, repository_name: str, branch_name: str, commit_id: str, known: bool) -> Reply:
    repo = the_repository(ctx, repository_name)
    check_branch(branch_name)
    if ctx.tx.get(Ref, f"{repo.repository_id}/{HEADS}{branch_name}") is not None:
        raise AwsError("BranchNameExistsException", f"Branch {branch_name} already exists")
    other = clash(HEADS + branch_name, refs_of(ctx, repo))
    if other is not None:
        raise AwsError("InvalidBranchNameException", f"Branch {branch_name} conflicts with {other[len(HEADS) :]}")
    if not known:
        raise AwsError("CommitDoesNotExistException", f"Commit {commit_id} does not exist")
    move(ctx, repo, Update(HEADS + branch_name, ZERO, commit_id))
    project_after(ctx, repo)
    return {}


def check_branch(name: str) -> None:
    if not valid_branch(name):
        raise AwsError("InvalidBranchNameException", f"The branch name {name} is not valid.")


def the_branch(ctx: Context, repo: Repository, name: str) -> Ref:
    check_branch(name)
    ref = ctx.tx.get(Ref, f"{repo.repository_id}/{HEADS}{name}")
    if ref is None:
        raise AwsError("BranchDoesNotExistException", f"Branch {name} does not exist")
    return ref


@reads("codecommit", "GetBranch", authorize=on_repository("codecommit:GetBranch"), acts="repositoryName branchName")
def get_branch(ctx: Context, repository_name: str | None = None, branch_name: str | None = None) -> Reply:
    if branch_name is None:
        raise AwsError("BranchNameRequiredException", "A branch name is required.")
    ref = the_branch(ctx, the_repository(ctx, repository_name or ""), branch_name)
    return {"branch": {"branchName": branch_name, "commitId": ref.target}}


@reads("codecommit", "ListBranches", authorize=on_repository("codecommit:ListBranches"), acts="repositoryName nextToken", cost="scan")
def list_branches(ctx: Context, repository_name: str, next_token: str | None = None) -> Reply:
    repo = the_repository(ctx, repository_name)
    names = [name[len(HEADS) :] for name in refs_of(ctx, repo) if name.startswith(HEADS)]
    start = page_start(next_token, len(names))
    reply: Reply = {"branches": names[start : start + PAGE]}
    if start + PAGE < len(names):
        reply["nextToken"] = str(start + PAGE)
    return reply


@writes("codecommit", "DeleteBranch", authorize=on_branch("codecommit:DeleteBranch"), acts="repositoryName branchName")
def delete_branch(ctx: Context, repository_name: str, branch_name: str) -> Reply:
    repo = the_repository(ctx, repository_name)
    check_branch(branch_name)
    if branch_name == repo.default_branch:
        raise AwsError("DefaultBranchCannotBeDeletedException", f"Default branch {branch_name} cannot be deleted")
    ref = ctx.tx.get(Ref, f"{repo.repository_id}/{HEADS}{branch_name}")
    if ref is None:
        return {}
    move(ctx, repo, Update(HEADS + branch_name, ref.target, ZERO))
    project_after(ctx, repo)
    return {"deletedBranch": {"branchName": branch_name, "commitId": ref.target}}


@writes(
    "codecommit", "UpdateDefaultBranch", authorize=on_repository("codecommit:UpdateDefaultBranch"), acts="repositoryName defaultBranchName"
)
def update_default_branch(ctx: Context, repository_name: str, default_branch_name: str) -> Reply:
    repo = the_repository(ctx, repository_name)
    the_branch(ctx, repo, default_branch_name)
    repo.default_branch = default_branch_name
    repo.modified = ctx.now
    ctx.tx.put(repo)
    project_after(ctx, repo)
    return {}


def on_arn(action: str) -> Any:
    def authorize(ctx: Context, resource_arn: str, tags: dict[str, str] | None = None, tag_keys: list[str] | None = None) -> list[Need]:
        keys = resource_tags(ctx.tx.get(Repository, resource_arn.rpartition(":")[2])) | asked_tags(tags)
        return [Need(action, resource_arn, keys | ({"aws:TagKeys": tag_keys} if tag_keys else {}))]

    return authorize


def by_arn(ctx: Context, text: str) -> Repository:
    arn = Arn.parse(text)
    if arn is None or text != repository_arn(ctx.scope, arn.resource):
        raise AwsError("InvalidResourceArnException", f"{text} is not a valid resource ARN.")
    return the_repository(ctx, arn.resource)


@writes("codecommit", "TagResource", authorize=on_arn("codecommit:TagResource"), acts="resourceArn tags{}")
def tag_resource(ctx: Context, resource_arn: str, tags: dict[str, str]) -> Reply:
    repo = by_arn(ctx, resource_arn)
    repo.tags = checked_tags(repo.tags, tags, by_stack(ctx))
    ctx.tx.put(repo)
    return {}


@writes("codecommit", "UntagResource", authorize=on_arn("codecommit:UntagResource"), acts="resourceArn tagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    if any(reserved(key, by_stack(ctx)) for key in tag_keys):
        raise AwsError("InvalidSystemTagUsageException", "Tag keys that begin with aws: are reserved for AWS.")
    repo = by_arn(ctx, resource_arn)
    repo.tags = {key: value for key, value in repo.tags.items() if key not in tag_keys}
    ctx.tx.put(repo)
    return {}


@reads(
    "codecommit",
    "ListTagsForResource",
    authorize=on_arn("codecommit:ListTagsForResource"),
    acts="resourceArn",
    default_only={"nextToken": None},
)
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    return {"tags": by_arn(ctx, resource_arn).tags}
