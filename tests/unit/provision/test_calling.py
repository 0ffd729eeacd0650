"""`perform` refuses what the wire would refuse, in the same words, before the operation runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.tags import by_stack, reserved
from windtunnel.provision.calling import perform


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    folder: Path = tmp_path_factory.mktemp("calling")
    with InProcessCloud(folder) as made:
        yield made


def _refusal(cloud: InProcessCloud, service: str, operation: str, **members: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        cloud.write(lambda ctx: perform(ctx, service, operation, **members))
    return caught.value


@pytest.mark.parametrize(
    ("service", "operation", "members", "status", "words"),
    [
        pytest.param("iam", "NoSuchOperation", {}, 501, "iam:NoSuchOperation", id="an operation that is not built"),
        pytest.param("s3", "CreateBucket", {"Bucket": "b", "Colour": "red"}, 501, "CreateBucket with Colour", id="an unknown member"),
        pytest.param(
            "s3",
            "PutBucketEncryption",
            {"Bucket": "b", "ServerSideEncryptionConfiguration": {"Rules": [{"Odd": 1}]}},
            501,
            "ServerSideEncryptionConfiguration.Rules[].Odd",
            id="a nested member, by its path",
        ),
        pytest.param("ssm", "DescribeParameters", {"Shared": True}, 501, "Shared", id="a member of which only the default is taken"),
        pytest.param("iam", "CreateUser", {"UserName": ""}, None, "validation error", id="a constraint of the model"),
        pytest.param("iam", "CreateUser", {}, None, "Member must not be null", id="a required member"),
    ],
)
def test_refused(cloud: InProcessCloud, service: str, operation: str, members: dict[str, Any], status: int | None, words: str) -> None:
    error = _refusal(cloud, service, operation, **members)
    assert error.status == status
    assert words in error.message


def test_it_calls_with_the_handlers_words(cloud: InProcessCloud) -> None:
    made = cloud.write(lambda ctx: perform(ctx, "iam", "CreateUser", UserName="ann", Path=None, Tags=[{"Key": "a", "Value": "b"}]))
    assert made["User"]["Tags"] == [{"Key": "a", "Value": "b"}]


def test_only_cloudformation_sets_the_tags_of_a_stack(cloud: InProcessCloud) -> None:
    def who(ctx: Context) -> list[bool]:
        return [by_stack(ctx), by_stack(ctx.on_behalf("cloudformation")), by_stack(ctx.on_behalf("cloudformation").on_behalf("s3"))]

    assert cloud.read(who) == [False, True, False]
    assert [reserved("aws:cloudformation:stack-id", stack) for stack in (False, True)] == [True, False]
    assert [reserved(key, True) for key in ("aws:other", "AWS:cloudformation:x", "mine")] == [True, True, False]
