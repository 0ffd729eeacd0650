"""ECR's control plane through boto3: repositories, their policies and tags, another account's access, and images that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud
from windtunnel.services.ecr.lifecycle import fault

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/web"


@pytest.fixture
def ecr(tmp_path: Path) -> Iterator[Any]:
    with InProcessCloud(tmp_path) as cloud:
        yield Door(cloud).client("ecr")


def rule(**changes: Any) -> dict[str, Any]:
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5, **changes}
    return {"rulePriority": 1, "selection": {k: v for k, v in selection.items() if v is not None}, "action": {"type": "expire"}}


def refused(call: Any, **args: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as error:
        call(**args)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_a_repository_lives(ecr: Any) -> None:
    made = ecr.create_repository(repositoryName="team/web", tags=[{"Key": "k", "Value": "v"}], imageTagMutability="IMMUTABLE")["repository"]
    assert made["repositoryArn"] == ARN
    assert made["repositoryUri"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/web"
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}
    assert refused(ecr.create_repository, repositoryName="team/web")[:2] == ("RepositoryAlreadyExistsException", 400)
    ecr.put_image_tag_mutability(
        repositoryName="team/web",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "v*"}],
    )
    ecr.put_image_scanning_configuration(repositoryName="team/web", imageScanningConfiguration={"scanOnPush": True})
    ecr.tag_resource(resourceArn=ARN, tags=[{"Key": "b", "Value": "2"}])
    ecr.untag_resource(resourceArn=ARN, tagKeys=["k"])
    [shown] = ecr.describe_repositories(repositoryNames=["team/web"])["repositories"]
    assert (shown["imageTagMutability"], shown["imageScanningConfiguration"]) == ("MUTABLE_WITH_EXCLUSION", {"scanOnPush": True})
    assert shown["imageTagMutabilityExclusionFilters"] == [{"filterType": "WILDCARD", "filter": "v*"}]
    assert ecr.list_tags_for_resource(resourceArn=ARN)["tags"] == [{"Key": "b", "Value": "2"}]
    assert ecr.list_images(repositoryName="team/web")["imageIds"] == ecr.describe_images(repositoryName="team/web")["imageDetails"] == []
    assert ecr.delete_repository(repositoryName="team/web")["repository"]["repositoryName"] == "team/web"
    code, _, said = refused(ecr.describe_repositories, repositoryNames=["team/web"])
    assert (code, said) == (
        "RepositoryNotFoundException",
        f"The repository with name 'team/web' does not exist in the registry with id '{ACCOUNT}'",
    )


def test_repositories_come_in_pages(ecr: Any) -> None:
    for name in ("aa", "bb", "cc"):
        ecr.create_repository(repositoryName=name)
    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2}))
    assert [[one["repositoryName"] for one in page["repositories"]] for page in pages] == [["aa", "bb"], ["cc"]]


def test_policies_are_kept_and_taken_away(ecr: Any) -> None:
    ecr.create_repository(repositoryName="team/web")
    lifecycle = json.dumps({"rules": [rule()]})
    statement = {"Sid": "pull", "Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for noun, text, code in (
        ("repository_policy", "policyText", "RepositoryPolicyNotFoundException"),
        ("lifecycle_policy", "lifecyclePolicyText", "LifecyclePolicyNotFoundException"),
    ):
        get, delete = getattr(ecr, f"get_{noun}"), getattr(ecr, f"delete_{noun}")
        put = ecr.set_repository_policy if noun == "repository_policy" else ecr.put_lifecycle_policy
        given = policy if noun == "repository_policy" else lifecycle
        assert refused(get, repositoryName="team/web")[0] == code
        put(repositoryName="team/web", **{text: given})
        assert get(repositoryName="team/web")[text] == delete(repositoryName="team/web")[text] == given
        assert refused(delete, repositoryName="team/web")[0] == code
    assert (
        refused(ecr.set_repository_policy, repositoryName="team/web", policyText='{"Version":"2012-10-17"}')[0]
        == "InvalidParameterException"
    )


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        pytest.param([rule()], "", id="every image beyond the fifth"),
        pytest.param([rule(tagStatus="tagged", tagPrefixList=["v"])], "", id="tagged with a prefix"),
        pytest.param([rule(countType="sinceImagePushed", countUnit="days")], "", id="by age"),
        pytest.param([rule(tagStatus="tagged")], "tagPrefixList", id="tagged, but how"),
        pytest.param([rule(tagPrefixList=["v"])], "neither", id="a prefix of any"),
        pytest.param([rule(countType="sinceImagePushed")], "countUnit", id="an age without a unit"),
        pytest.param([rule(countNumber=0)], "countNumber", id="nothing kept"),
        pytest.param([rule(), rule()], "unique", id="two of one priority"),
        pytest.param([], "rules", id="no rules"),
        pytest.param(["x"], "object", id="a rule that is none"),
    ],
)
def test_lifecycle_policies_are_read(rules: list[Any], wrong: str) -> None:
    said = fault(json.dumps({"rules": rules}))
    assert said == "" if not wrong else wrong in said


def test_images_are_refused_by_name(ecr: Any) -> None:
    ecr.create_repository(repositoryName="team/web")
    code, _, said = refused(ecr.describe_images, repositoryName="team/web", imageIds=[{"imageTag": "latest"}])
    assert code == "ImageNotFoundException"
    assert "imageTag:'latest'" in said
    for call, args in (
        (ecr.get_authorization_token, {}),
        (ecr.put_image, {"repositoryName": "team/web", "imageManifest": "{}"}),
        (ecr.initiate_layer_upload, {"repositoryName": "team/web"}),
    ):
        assert refused(call, **args)[1] == 501
    encryption = {"encryptionType": "KMS"}
    assert refused(ecr.create_repository, repositoryName="sealed", encryptionConfiguration=encryption)[1] == 501
    assert [one["repositoryName"] for one in ecr.describe_repositories()["repositories"]] == ["team/web"]
