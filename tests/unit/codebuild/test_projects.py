"""Projects: AWS's defaults, what must fit together, what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from build_lab import PROJECT, ROLE, Lab

from harness import ACCOUNT
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import OPERATIONS


def test_a_project_has_awss_defaults(lab: Lab) -> None:
    [project] = lab.api("BatchGetProjects", names=["app"])["projects"]
    assert project["arn"] == f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/app"
    assert (project["timeoutInMinutes"], project["queuedTimeoutInMinutes"], project["cache"]) == (60, 480, {"type": "NO_CACHE"})
    assert project["encryptionKey"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/aws/s3"
    assert project["environment"]["imagePullCredentialsType"] == "CODEBUILD"
    assert project["badge"] == {"badgeEnabled": False}


def test_updating_replaces_what_is_given_and_keeps_the_rest(lab: Lab) -> None:
    lab.api("UpdateProject", name="app", description="new", timeout_in_minutes=9)
    [project] = lab.api("BatchGetProjects", names=["app"])["projects"]
    assert (project["description"], project["timeoutInMinutes"], project["serviceRole"]) == ("new", 9, ROLE)
    assert project["lastModified"] >= project["created"]


def test_names_and_arns_find_a_project(lab: Lab) -> None:
    arn = f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/app"
    reply = lab.api("BatchGetProjects", names=[arn, "none"])
    assert ([p["name"] for p in reply["projects"]], reply["projectsNotFound"]) == (["app"], ["none"])


def test_projects_are_listed_in_order(lab: Lab) -> None:
    for name in ("zeta", "alpha"):
        lab.api("CreateProject", **{**PROJECT, "name": name})
    assert lab.api("ListProjects")["projects"] == ["alpha", "app", "zeta"]
    assert lab.api("ListProjects", sort_by="CREATED_TIME", sort_order="DESCENDING")["projects"] == ["alpha", "zeta", "app"]


def test_deleting_what_is_gone_is_success(lab: Lab) -> None:
    lab.api("DeleteProject", name="app")
    lab.api("DeleteProject", name="app")
    assert lab.api("ListProjects")["projects"] == []


S3_SOURCE = {"type": "S3", "location": "bucket/key.zip"}


@pytest.mark.parametrize(
    "change, code, words",
    [
        pytest.param({"source": {"type": "NO_SOURCE"}}, "InvalidInputException", "buildspec", id="no source and no buildspec"),
        pytest.param({"source": {"type": "S3", "location": "bucket"}}, "InvalidInputException", "S3 source location", id="a bucket alone"),
        pytest.param({"source": {"type": "CODECOMMIT", "location": "app"}}, "InvalidInputException", "CodeCommit", id="not a clone URL"),
        pytest.param({"source": {"type": "CODEPIPELINE"}}, "InvalidInputException", "CODEPIPELINE", id="a pipeline's source alone"),
        pytest.param({"artifacts": {"type": "CODEPIPELINE"}}, "InvalidInputException", "CODEPIPELINE", id="a pipeline's artifacts alone"),
        pytest.param({"artifacts": {"type": "S3"}}, "InvalidInputException", "location", id="S3 artifacts to nowhere"),
        pytest.param({"secondary_sources": [S3_SOURCE]}, "InvalidInputException", "sourceIdentifier", id="a nameless secondary source"),
        pytest.param(
            {"secondary_sources": [{**S3_SOURCE, "sourceIdentifier": "a"}] * 2}, "InvalidInputException", "unique", id="one name twice"
        ),
        pytest.param(
            {"service_role": "arn:aws:iam::123456789012:role/none"}, "InvalidInputException", "sts:AssumeRole on service role", id="no role"
        ),
        pytest.param({"source": {"type": "GITHUB", "location": "x"}}, "NotImplemented", "source.type GITHUB", id="GitHub"),
        pytest.param(
            {"environment": {**PROJECT["environment"], "type": "ARM_CONTAINER"}}, "NotImplemented", "environment.type", id="another machine"
        ),
        pytest.param({"cache": {"type": "S3", "location": "b"}}, "NotImplemented", "cache.type S3", id="a cache in S3"),
        pytest.param({"name": "app"}, "ResourceAlreadyExistsException", "Project already exists: arn:", id="a name that is taken"),
        pytest.param({"concurrent_build_limit": 0}, "InvalidInputException", "concurrentBuildLimit", id="no builds at all"),
    ],
)
def test_what_does_not_fit_is_refused(lab: Lab, change: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(AwsError) as caught:
        lab.api("CreateProject", **{**PROJECT, "name": "new", **change})
    assert caught.value.code == code
    assert words in caught.value.message
    assert lab.api("ListProjects")["projects"] == ["app"]


def test_creating_needs_the_right_to_pass_the_role(lab: Lab) -> None:
    needs = lab.cloud.read(lambda ctx: OPERATIONS["codebuild", "CreateProject"].authorize(ctx, **PROJECT))
    assert [(need.action, need.resource) for need in needs] == [
        ("codebuild:CreateProject", f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/app"),
        ("iam:PassRole", ROLE),
    ]
    assert needs[1].context == {"iam:PassedToService": "codebuild.amazonaws.com"}


def test_curated_images_are_those_that_run_here(lab: Lab) -> None:
    names = [
        image["name"]
        for platform in lab.api("ListCuratedEnvironmentImages")["platforms"]
        for language in platform["languages"]
        for image in language["images"]
    ]
    assert "aws/codebuild/standard:7.0" in names and "aws/codebuild/amazonlinux-x86_64-standard:5.0" in names
