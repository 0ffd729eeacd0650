"""Plain types declared in a few lines, against the real services: made, told, changed, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.checking import differences
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted
from windtunnel.provision.simple import Mapped, Tagging


class LogGroup(Mapped):
    type = "AWS::Logs::LogGroup"
    name = Name("LogGroupName", 512)
    service, creates, reads, deletes, lists = "logs", "CreateLogGroup", "DescribeLogGroups", "DeleteLogGroup", "DescribeLogGroups"
    member, listed = "logGroupName", "logGroups.logGroupName"
    missing = frozenset({"ResourceNotFoundException"})
    drop = ("RetentionInDays",)
    attributes = {"Arn": "arn"}
    tagging = Tagging("resourceArn", by="Arn", lists="ListTagsForResource")

    def look(self, ctx: Context, id: str) -> Reply | None:
        found = ctx.call("logs", "DescribeLogGroups", log_group_name_prefix=id)["logGroups"]
        return next(({**group, "arn": group["logGroupArn"]} for group in found if group["logGroupName"] == id), None)

    def finish(self, ctx: Context, id: str, new: Properties, old: Properties) -> None:
        if "RetentionInDays" in new:
            ctx.call("logs", "PutRetentionPolicy", log_group_name=id, retention_in_days=new["RetentionInDays"])
        elif "RetentionInDays" in old:
            ctx.call("logs", "DeleteRetentionPolicy", log_group_name=id)


class Queue(Mapped):
    type = "AWS::SQS::Queue"
    name = Name("QueueName", 80)
    service, creates, reads, updates, deletes, lists = (
        "sqs", "CreateQueue", "GetQueueAttributes", "SetQueueAttributes", "DeleteQueue", "ListQueues",
    )  # fmt: skip
    member, identity, thing, listed, rest = "QueueUrl", "QueueUrl", "Attributes", "QueueUrls", "Attributes"
    missing = frozenset({"QueueDoesNotExist"})
    tells = {"Arn": "QueueArn"}
    defaults = {"DelaySeconds": 0, "VisibilityTimeout": 30}
    attributes = {"Arn": "QueueArn"}
    tagging = Tagging("QueueUrl", "TagQueue", "UntagQueue", "Tags", "TagKeys", lists="ListQueueTags", found="Tags")

    def key(self, id: str) -> dict[str, Any]:
        return {"QueueUrl": id}

    def look(self, ctx: Context, id: str) -> Reply | None:
        try:
            return dict(ctx.call("sqs", "GetQueueAttributes", queue_url=id, attribute_names=["All"])["Attributes"])
        except AwsError as error:
            if error.code in self.missing:
                return None
            raise


class Project(Mapped):
    type = "AWS::CodeBuild::Project"
    name = Name("Name", 255)
    service, creates, reads, updates, deletes, lists = (
        "codebuild", "CreateProject", "BatchGetProjects", "UpdateProject", "DeleteProject", "ListProjects",
    )  # fmt: skip
    member, identity, thing, listed = "name", "project.name", "projects.0", "projects"
    attributes = {"Arn": "arn"}

    def look(self, ctx: Context, id: str) -> Reply | None:
        return next(iter(ctx.call("codebuild", "BatchGetProjects", names=[id])["projects"]), None)


TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    path: Path = tmp_path_factory.mktemp("simple")
    with InProcessCloud(path) as running:
        running.write(lambda ctx: ctx.call("iam", "CreateRole", role_name="build", assume_role_policy_document=TRUST))
        yield running


def wanted(kind: Mapped, name: str) -> Wanted:
    return Wanted(logical_id="Thing", stack_name="stack", stack_id="arn:stack", name=name, token=f"token-{kind.type}-{name}")


ROLE = "arn:aws:iam::123456789012:role/build"
PROJECT = {
    "ServiceRole": ROLE,
    "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2\nphases: {build: {commands: [date]}}"},
    "Artifacts": {"Type": "NO_ARTIFACTS"},
    "Environment": {"Type": "LINUX_CONTAINER", "Image": "aws/codebuild/standard:7.0", "ComputeType": "BUILD_GENERAL1_SMALL"},
}
TAGS = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]


@pytest.mark.parametrize(
    "kind, first, second",
    [
        pytest.param(LogGroup(), {"RetentionInDays": 7, "Tags": TAGS}, {"RetentionInDays": 14, "Tags": TAGS[:1]}, id="a log group"),
        pytest.param(Queue(), {"DelaySeconds": 5, "VisibilityTimeout": 60, "Tags": TAGS}, {"VisibilityTimeout": 90, "Tags": [{"Key": "b", "Value": "3"}]}, id="a queue"),
        pytest.param(Project(), {**PROJECT, "TimeoutInMinutes": 5}, {**PROJECT, "TimeoutInMinutes": 6, "Tags": TAGS}, id="a build project"),
    ],
)  # fmt: skip
def test_a_life(cloud: InProcessCloud, kind: Mapped, first: Properties, second: Properties) -> None:
    name = f"life-{kind.service}"
    made: Created = cloud.write(lambda ctx: kind.create(ctx, first, wanted(kind, name)))
    assert name in made.id and made.attributes["Arn"].startswith("arn:aws:")
    resource = Resource(type=kind.type, logical_id="Thing", id=made.id, properties=first, attributes=made.attributes)
    told = cloud.read(lambda ctx: kind.read(ctx, resource))
    assert told is not None and differences(kind.schema, first, told) == []
    assert made.id in cloud.read(lambda ctx: list(kind.list(ctx)))

    cloud.write(lambda ctx: kind.update(ctx, resource, second, wanted(kind, name)))
    resource.properties = second
    changed = cloud.read(lambda ctx: kind.read(ctx, resource))
    assert changed is not None and differences(kind.schema, second, changed) == []
    assert changed.get("DelaySeconds", 0) == 0, "a property that is gone has its default again"

    for _ in range(2):  # deleting what is gone is success
        cloud.write(lambda ctx: kind.delete(ctx, resource))
    assert cloud.read(lambda ctx: kind.read(ctx, resource)) is None


def test_a_property_that_nobody_takes_is_refused_by_name(cloud: InProcessCloud) -> None:
    kind = LogGroup()
    with pytest.raises(AwsError, match="logs:CreateLogGroup with FieldIndexPolicies") as refused:
        cloud.write(lambda ctx: kind.create(ctx, {"FieldIndexPolicies": [{}]}, wanted(kind, "refused")))
    assert refused.value.status == 501
    assert cloud.read(lambda ctx: kind.look(ctx, "refused")) is None
