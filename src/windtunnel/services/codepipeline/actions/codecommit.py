"""Source/CodeCommit: the newest commit of a branch, its tree as a zip in the artifact bucket."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from windtunnel.jobs import Run
from windtunnel.kernel.cloud import BlobRef
from windtunnel.kernel.context import Context, Event, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import listens
from windtunnel.kernel.trail import trail
from windtunnel.kernel.typed import convert
from windtunnel.services.codepipeline.acting import DENIED, in_role, put_artifact
from windtunnel.services.codepipeline.catalog import Configuration, NotRunHere, action_type
from windtunnel.services.codepipeline.model import Act, ActionFailed, Located, Outcome, Revision
from windtunnel.services.codepipeline.starting import source_changed

KEYS = "PollForSourceChanges OutputArtifactFormat"
MAX_MESSAGE = 100 * 1024
MAX_SUMMARY = 2048


class Fetched(msgspec.Struct, frozen=True):
    """A commit with its tree as a zip; author and committer dates as ISO 8601, message without its last line feed."""

    commit: str
    message: str
    author_date: str
    committer_date: str
    archive: BlobRef


def check(configuration: Configuration) -> None:
    if configuration.get("OutputArtifactFormat", "CODE_ZIP") == "CODEBUILD_CLONE_REF":
        raise NotRunHere("the configuration OutputArtifactFormat CODEBUILD_CLONE_REF")
    if configuration.get("OutputArtifactFormat", "CODE_ZIP") != "CODE_ZIP":
        raise ValueError("OutputArtifactFormat must be CODE_ZIP or CODEBUILD_CLONE_REF")
    if configuration.get("PollForSourceChanges", "true").lower() not in ("true", "false"):
        raise ValueError("PollForSourceChanges must be true or false")


def watch(configuration: Configuration) -> str | None:
    if configuration.get("PollForSourceChanges", "true").lower() == "false":
        return None
    return watched(configuration["RepositoryName"], configuration["BranchName"])


def watched(repository: str, branch: str) -> str:
    return f"codecommit:{repository}:{branch}"


@action_type(
    "Source", "CodeCommit", outputs=(1, 1), required="RepositoryName BranchName", optional=KEYS, timeout=3600.0, check=check, watch=watch
)
def source(run: Run, act: Act) -> Outcome:
    found = run.effect("fetch", fetch, run, act, returns=Fetched)
    artifact = convert(run.tx("store", store, act, found), Located)
    repository, branch = act.configuration["RepositoryName"], act.configuration["BranchName"]
    console = f"https://console.aws.amazon.com/codesuite/codecommit/repositories/{repository}"
    url = f"{console}/commit/{found.commit}?region={run.scope.region}"
    return Outcome(
        summary=found.message[:MAX_SUMMARY],
        variables={
            "RepositoryName": repository,
            "BranchName": branch,
            "AuthorDate": found.author_date,
            "CommitterDate": found.committer_date,
            "CommitId": found.commit,
            "CommitMessage": found.message[:MAX_MESSAGE],
        },
        artifacts=(artifact,),
        revision=Revision(found.commit, found.commit, _epoch(found.committer_date), found.message[:MAX_SUMMARY], url),
        entity_url=f"{console}/browse/refs/heads/{branch}?region={run.scope.region}",
    )


def fetch(run: Run, act: Act, token: str) -> Fetched:
    """Look the commit up and zip its tree. The same commit gives the same blob, so that a repeat is a no-op."""
    repository_id, commit = run.read(look_up, act)
    blob: BlobRef = run.cloud.part("git").archive(repository_id, commit["commitId"])
    message = commit["message"].rstrip("\n")
    return Fetched(commit["commitId"], message, _iso(commit["author"]["date"]), _iso(commit["committer"]["date"]), blob)


def look_up(ctx: Context, act: Act) -> tuple[str, dict[str, Any]]:
    """The repository's id and the commit, as the action's role may see them. Raises ActionFailed."""
    role, name, branch = in_role(ctx, act), act.configuration["RepositoryName"], act.configuration["BranchName"]
    try:
        commit_id = (
            act.override[1]
            if act.override
            else role.call("codecommit", "GetBranch", repository_name=name, branch_name=branch)["branch"]["commitId"]
        )
        commit = role.call("codecommit", "GetCommit", repository_name=name, commit_id=commit_id)["commit"]
        ctx.cloud.identity.check(role, [Need("codecommit:UploadArchive", ctx.arn("codecommit", name))])
        about = ctx.call("codecommit", "GetRepository", repository_name=name)["repositoryMetadata"]
    except AwsError as error:
        raise _failure(error, name, branch) from error
    return about["repositoryId"], commit


def _failure(error: AwsError, repository: str, branch: str) -> ActionFailed:
    if error.code in DENIED:
        text = (
            f"Could not access the CodeCommit repository {repository}."
            " Make sure that the pipeline IAM role has sufficient permissions to access the repository."
        )
        return ActionFailed("PermissionError", f"{text} {error.message}")
    if error.code == "BranchDoesNotExistException":
        return ActionFailed("ConfigurationError", f"The branch {branch} does not exist in the CodeCommit repository {repository}.")
    if error.code == "RepositoryDoesNotExistException":
        return ActionFailed("ConfigurationError", f"The CodeCommit repository {repository} does not exist.")
    return ActionFailed("ConfigurationError", f"{error.code}: {error.message}")


def store(ctx: Context, act: Act, found: Fetched) -> Located:
    """Put the zip into the artifact bucket, as the action's role."""
    artifact = put_artifact(ctx, act, found.archive)
    subjects = [act.execution, act.id, found.commit, found.commit[:7]]
    name, branch = act.configuration["RepositoryName"], act.configuration["BranchName"]
    trail(ctx, subjects, f"action {act.name} took commit {found.commit[:7]} of {name} {branch} into execution {act.execution}")
    return msgspec.structs.replace(artifact, revision=found.commit)


def _iso(date: str) -> str:
    """git's `1700000000 +0100` as ISO 8601 in UTC."""
    return datetime.fromtimestamp(int(date.split()[0]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _epoch(iso: str) -> float:
    return datetime.strptime(iso, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


@listens("aws.codecommit", "CodeCommit Repository State Change")
def repository_changed(ctx: Context, event: Event) -> None:
    detail = event.detail
    if detail.get("event") in ("referenceCreated", "referenceUpdated") and detail.get("referenceType") == "branch":
        source_changed(ctx, watched(detail["repositoryName"], detail["referenceName"]))
