"""CodeCommit's API in process: names, branches, files, tags, pages, and what each of them refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import OPERATIONS
from windtunnel.services.codecommit.content import within
from windtunnel.services.codecommit.model import valid_branch, valid_ref

ARN = f"arn:aws:codecommit:{REGION}:{ACCOUNT}:app"


def refused(cloud: InProcessCloud, operation: str, **args: Any) -> str:
    with pytest.raises(AwsError) as error:
        cloud.api("codecommit", operation, **args)
    return error.value.code


def put(cloud: InProcessCloud, path: str = "page.html", content: bytes = b"one\n", **args: Any) -> str:
    known = {"repository_name": "app", "branch_name": "main", "file_content": content, "file_path": path} | args
    return str(cloud.api("codecommit", "PutFile", **known)["commitId"])


@pytest.fixture
def cloud(tmp_path: Path) -> Any:
    with InProcessCloud(tmp_path) as made:
        made.api("codecommit", "CreateRepository", repository_name="app", tags={"team": "web"})
        yield made


@pytest.mark.parametrize(
    "name, ref, branch",
    [
        pytest.param("main", True, True, id="a word"),
        pytest.param("feature/a.b-c_1", True, True, id="a path"),
        pytest.param("größe", True, True, id="letters of any language"),
        pytest.param("0" * 40, True, False, id="the form of a commit id"),
        pytest.param("a..b", False, False, id="two dots"),
        pytest.param("a//b", False, False, id="two slashes"),
        pytest.param("/a", False, False, id="a slash first"),
        pytest.param("a/", False, False, id="a slash last"),
        pytest.param("a.", False, False, id="a dot last"),
        pytest.param(".a", False, False, id="a dot first"),
        pytest.param("a/.b", False, False, id="a dot first in a part"),
        pytest.param("a.lock", False, False, id="a lock"),
        pytest.param("a.lock/b", False, False, id="a lock in a part"),
        pytest.param("a b", False, False, id="a blank"),
        pytest.param("a\nb", False, False, id="a line's end"),
        pytest.param("a~1", False, False, id="a tilde"),
        pytest.param("a@{1}", False, False, id="a reflog entry"),
        pytest.param("@", False, False, id="the head's other name"),
        pytest.param("", False, False, id="nothing"),
        pytest.param("a" * 257, False, False, id="too long"),
    ],
)
def test_names_of_branches_and_tags(name: str, ref: bool, branch: bool) -> None:
    assert (valid_ref(name), valid_branch(name)) == (ref, branch)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "app.git", "a" * 101, "ä"])
def test_repository_names_that_are_refused(cloud: InProcessCloud, name: str) -> None:
    assert refused(cloud, "CreateRepository", repository_name=name) == "InvalidRepositoryNameException"


def test_a_repository_s_life(cloud: InProcessCloud) -> None:
    assert refused(cloud, "CreateRepository", repository_name="app") == "RepositoryNameExistsException"
    made = cloud.api("codecommit", "GetRepository", repository_name="app")["repositoryMetadata"]
    assert made["Arn"] == ARN and "defaultBranch" not in made and made["cloneUrlHttp"].endswith("/v1/repos/app")
    put(cloud)
    cloud.api("codecommit", "UpdateRepositoryName", old_name="app", new_name="web")
    renamed = cloud.api("codecommit", "GetRepository", repository_name="web")["repositoryMetadata"]
    assert (renamed["repositoryId"], renamed["defaultBranch"]) == (made["repositoryId"], "main")
    assert cloud.api("codecommit", "ListBranches", repository_name="web")["branches"] == ["main"]
    disk = cloud.cloud.data / "git" / f"{made['repositoryId']}.git"
    assert disk.exists()
    assert cloud.api("codecommit", "DeleteRepository", repository_name="web") == {"repositoryId": made["repositoryId"]}
    assert cloud.api("codecommit", "DeleteRepository", repository_name="web") == {}
    until(lambda: not disk.exists(), 10, "the objects to be gone")
    assert refused(cloud, "GetRepository", repository_name="web") == "RepositoryDoesNotExistException"


def test_branches(cloud: InProcessCloud) -> None:
    tip = put(cloud)
    cloud.api("codecommit", "CreateBranch", repository_name="app", branch_name="side", commit_id=tip)
    known = {"repository_name": "app"}
    assert refused(cloud, "CreateBranch", **known, branch_name="side", commit_id=tip) == "BranchNameExistsException"
    assert refused(cloud, "CreateBranch", **known, branch_name="x", commit_id="1" * 40) == "CommitDoesNotExistException"
    assert refused(cloud, "CreateBranch", **known, branch_name="x", commit_id="main") == "InvalidCommitIdException"
    assert refused(cloud, "CreateBranch", **known, branch_name="a..b", commit_id=tip) == "InvalidBranchNameException"
    assert refused(cloud, "DeleteBranch", **known, branch_name="main") == "DefaultBranchCannotBeDeletedException"
    assert refused(cloud, "UpdateDefaultBranch", **known, default_branch_name="x") == "BranchDoesNotExistException"
    cloud.api("codecommit", "UpdateDefaultBranch", **known, default_branch_name="side")
    assert cloud.api("codecommit", "DeleteBranch", **known, branch_name="main") == {
        "deletedBranch": {"branchName": "main", "commitId": tip}
    }
    assert cloud.api("codecommit", "DeleteBranch", **known, branch_name="main") == {}
    assert refused(cloud, "GetBranch", **known, branch_name="main") == "BranchDoesNotExistException"
    assert refused(cloud, "ListBranches", **known, next_token="x") == "InvalidContinuationTokenException"


def test_the_ref_files_follow_what_the_api_does(cloud: InProcessCloud) -> None:
    tip = put(cloud)
    for number in range(20):
        cloud.api("codecommit", "CreateBranch", repository_name="app", branch_name=f"b{number}", commit_id=tip)
    name = cloud.api("codecommit", "GetRepository", repository_name="app")["repositoryMetadata"]["repositoryId"]
    packed = cloud.cloud.data / "git" / f"{name}.git" / "packed-refs"
    wanted = {"refs/heads/main", *(f"refs/heads/b{n}" for n in range(20))}
    until(lambda: {line.split()[1] for line in packed.read_text().splitlines()[1:]} == wanted, 10, "all branches")


def test_ref_files_never_go_back(cloud: InProcessCloud) -> None:
    host: Any = cloud.cloud.part("git")
    name = cloud.api("codecommit", "GetRepository", repository_name="app")["repositoryMetadata"]["repositoryId"]
    earlier, later = cloud.write(lambda ctx: host.turn()), cloud.write(lambda ctx: host.turn())
    host.project(name, {"refs/heads/a": "1" * 40, "refs/heads/b": "2" * 40}, "a", later)
    host.project(name, {"refs/heads/a": "1" * 40}, "a", earlier)
    assert "refs/heads/b" in (host.path(name) / "packed-refs").read_text()


def test_files(cloud: InProcessCloud) -> None:
    first = put(cloud, "docs/page.html")
    second = put(cloud, "run.sh", b"#!/bin/sh\n", parent_commit_id=first, file_mode="EXECUTABLE", commit_message="a script")
    known = {"repository_name": "app"}
    found = cloud.api("codecommit", "GetFile", **known, file_path="run.sh", commit_specifier="HEAD")
    assert (found["fileContent"], found["fileMode"], found["commitId"]) == (b"#!/bin/sh\n", "EXECUTABLE", second)
    assert cloud.api("codecommit", "GetFile", **known, file_path="/docs/page.html", commit_specifier=first)["fileSize"] == 4
    folder = cloud.api("codecommit", "GetFolder", **known, folder_path="/")
    assert [f["relativePath"] for f in folder["subFolders"] + folder["files"]] == ["docs", "run.sh"]
    commit = cloud.api("codecommit", "GetCommit", **known, commit_id=second)["commit"]
    assert (commit["parents"], commit["message"]) == ([first], "a script")
    changes = cloud.api("codecommit", "GetDifferences", **known, after_commit_specifier="main", before_commit_specifier=first)
    assert [(d["changeType"], d["afterBlob"]["path"]) for d in changes["differences"]] == [("A", "run.sh")]
    assert refused(cloud, "GetFile", **known, file_path="no") == "FileDoesNotExistException"
    assert refused(cloud, "GetFolder", **known, folder_path="run.sh") == "FolderDoesNotExistException"
    assert refused(cloud, "GetCommit", **known, commit_id="main") == "InvalidCommitIdException"
    assert refused(cloud, "GetCommit", **known, commit_id="1" * 40) == "CommitIdDoesNotExistException"
    assert refused(cloud, "GetFile", **known, file_path="run.sh", commit_specifier=second[:8]) == "CommitDoesNotExistException"


@pytest.mark.parametrize(
    "change, code",
    [
        pytest.param({}, "ParentCommitIdRequiredException", id="no parent"),
        pytest.param({"parent_commit_id": "1" * 40}, "ParentCommitIdOutdatedException", id="another parent"),
        pytest.param({"parent_commit_id": "main"}, "InvalidParentCommitIdException", id="no commit id"),
        pytest.param({"branch_name": "other"}, "BranchDoesNotExistException", id="a branch that there is not"),
        pytest.param({"branch_name": "a..b"}, "InvalidBranchNameException", id="no branch's name"),
        pytest.param({"parent_commit_id": "TIP"}, "SameFileContentException", id="nothing new"),
        pytest.param({"parent_commit_id": "TIP", "path": "docs"}, "FileNameConflictsWithDirectoryNameException", id="a folder"),
        pytest.param(
            {"parent_commit_id": "TIP", "path": "docs/page.html/x"}, "DirectoryNameConflictsWithFileNameException", id="below a file"
        ),
        pytest.param({"parent_commit_id": "TIP", "path": "../x"}, "InvalidPathException", id="out of the repository"),
        pytest.param({"parent_commit_id": "TIP", "path": "x/.GIT/config"}, "InvalidPathException", id="git's own"),
        pytest.param(
            {"parent_commit_id": "TIP", "content": b"x" * ((6 << 20) + 1)}, "FileContentSizeLimitExceededException", id="too large"
        ),
    ],
)
def test_files_that_are_refused(cloud: InProcessCloud, change: dict[str, Any], code: str) -> None:
    tip = put(cloud, "docs/page.html")
    given = {name: tip if value == "TIP" else value for name, value in change.items()}
    with pytest.raises(AwsError) as error:
        put(cloud, **({"path": "docs/page.html"} | given))
    assert error.value.code == code
    assert cloud.api("codecommit", "GetBranch", repository_name="app", branch_name="main")["branch"]["commitId"] == tip


@pytest.mark.parametrize(
    "path, folder, expected",
    [
        ("src/a", "src", True),
        ("src/a", "/src/", True),
        ("src2/a", "src", False),
        ("src", "src", True),
        ("a", "", True),
        ("a", "a/b", False),
    ],
)
def test_paths_within(path: str, folder: str, expected: bool) -> None:
    assert within(path, folder) == expected


def test_tags_of_repositories(cloud: InProcessCloud) -> None:
    cloud.api("codecommit", "TagResource", resource_arn=ARN, tags={"stage": "prod"})
    cloud.api("codecommit", "UntagResource", resource_arn=ARN, tag_keys=["team"])
    assert cloud.api("codecommit", "ListTagsForResource", resource_arn=ARN)["tags"] == {"stage": "prod"}
    assert refused(cloud, "TagResource", resource_arn=ARN, tags={"aws:x": "1"}) == "InvalidSystemTagUsageException"
    assert refused(cloud, "TagResource", resource_arn=ARN, tags={f"k{n}": "" for n in range(50)}) == "TooManyTagsException"
    for wrong in ("app", ARN.replace(ACCOUNT, "210987654321"), ARN.replace(REGION, "eu-west-1")):
        assert refused(cloud, "ListTagsForResource", resource_arn=wrong) == "InvalidResourceArnException"
    assert refused(cloud, "ListTagsForResource", resource_arn=ARN + "x") == "RepositoryDoesNotExistException"


@pytest.mark.parametrize("operation", ["CreateBranch", "DeleteBranch", "PutFile"])
def test_writing_a_branch_asks_with_its_reference_and_the_repository_s_tags(cloud: InProcessCloud, operation: str) -> None:
    def ask(ctx: Context) -> list[Need]:
        return OPERATIONS["codecommit", operation].authorize(ctx, repository_name="app", branch_name="main")

    (need,) = cloud.read(ask)
    assert need == Need(f"codecommit:{operation}", ARN, {"codecommit:References": "refs/heads/main", "aws:ResourceTag/team": "web"})
