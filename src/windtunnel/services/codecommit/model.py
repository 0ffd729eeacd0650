"""CodeCommit's records and names. Pure."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope
from windtunnel.kernel.tags import reserved, users

HEADS, TAGS = "refs/heads/", "refs/tags/"
_FORBIDDEN = re.compile(r"\.\.|//|@\{|[\x00-\x20\x7f~^:?*\[\\]|\.lock(/|$)|(^|/)\.|\.$|/$|^/|^@$")
_SHA = re.compile(r"[0-9a-f]{40}\Z")


class Repository(Record, kw_only=True):
    """repository_id names the directory of its objects, so that a rename moves nothing."""

    KIND: ClassVar[str] = "codecommit.repository"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"id": "repository_id"}

    name: str
    repository_id: str
    account: str
    description: str = ""
    default_branch: str = ""
    created: float
    modified: float
    kms_key_id: str = ""
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name


class Ref(Record, kw_only=True):
    """A branch or tag: the truth; the ref files in the repository's directory are its projection."""

    KIND: ClassVar[str] = "codecommit.ref"
    SCOPE: ClassVar[RecordScope] = "region"

    repository_id: str
    name: str
    target: str

    def key(self) -> str:
        return f"{self.repository_id}/{self.name}"


def repository_arn(scope: Scope, name: str) -> str:
    return scope.arn("codecommit", name)


def resource_tags(repo: Repository | None) -> dict[str, str]:
    """The condition keys of a repository as a resource."""
    return {f"aws:ResourceTag/{key}": value for key, value in (repo.tags if repo else {}).items()}


def checked_tags(held: dict[str, str], tags: dict[str, str], stack: bool = False) -> dict[str, str]:
    """A repository's tags with more of them. stack: CloudFormation sets them. Raises InvalidSystemTagUsageException, InvalidTagKeyException, TooManyTagsException."""
    for key, value in tags.items():
        if reserved(key, stack):
            raise AwsError("InvalidSystemTagUsageException", f"The tag key {key} begins with aws:, which is reserved.")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise AwsError("InvalidTagsMapException", "A tag's key has 1 to 128 characters, its value up to 256.")
    found = {**held, **tags}
    if len(users(found)) > 50:
        raise AwsError("TooManyTagsException", "The maximum number of tags for a resource is 50.")
    return found


def check_repository_name(name: str) -> None:
    if not re.fullmatch(r"[\w\.-]{1,100}", name, re.ASCII) or name.endswith(".git"):
        raise AwsError(
            "InvalidRepositoryNameException",
            "The repository name is not valid. Repository names can be any valid combination of letters, numbers, periods, underscores, "
            "and dashes between 1 and 100 characters in length. Names are case sensitive, and they cannot end in .git.",
        )


def valid_ref(name: str) -> bool:
    """git check-ref-format's rules for what follows refs/heads/ or refs/tags/, and CodeCommit's: 1-256 characters."""
    return 1 <= len(name) <= 256 and not _FORBIDDEN.search(name)


def valid_branch(name: str) -> bool:
    """A branch moreover has not the form of a commit id."""
    return valid_ref(name) and not _SHA.match(name)


def is_commit_id(text: str) -> bool:
    return bool(_SHA.match(text))


def metadata(scope: Scope, repo: Repository, endpoint: str) -> dict[str, Any]:
    """The RepositoryMetadata shape. The clone URL is this cloud's own: it resolves on this machine and inside sandboxes."""
    shown: dict[str, Any] = {
        "accountId": repo.account,
        "repositoryId": repo.repository_id,
        "repositoryName": repo.name,
        "lastModifiedDate": repo.modified,
        "creationDate": repo.created,
        "cloneUrlHttp": f"{endpoint}/v1/repos/{repo.name}",
        "cloneUrlSsh": f"ssh://git-codecommit.{scope.region}.amazonaws.com/v1/repos/{repo.name}",
        "Arn": repository_arn(scope, repo.name),
        "kmsKeyId": repo.kms_key_id,
    }
    if repo.description:
        shown["repositoryDescription"] = repo.description
    if repo.default_branch:
        shown["defaultBranch"] = repo.default_branch
    return {name: value for name, value in shown.items() if value != ""}
