"""Properties become an operation's arguments, a reply becomes properties; what fits nowhere is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st

from windtunnel.app import load_services
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.names import physical_name
from windtunnel.provision.registry import Name
from windtunnel.provision.schemas import schema
from windtunnel.provision.shaping import arguments, properties

load_services()
STAGE = {"Name": "s", "Actions": []}
PROJECT = {
    "Name": "site",
    "ServiceRole": "arn:aws:iam::123456789012:role/build",
    "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2"},
    "Artifacts": {"Type": "NO_ARTIFACTS"},
    "Environment": {
        "Type": "LINUX_CONTAINER",
        "Image": "aws/codebuild/standard:7.0",
        "ComputeType": "BUILD_GENERAL1_SMALL",
        "EnvironmentVariables": [{"Name": "a", "Value": "b"}],
    },
    "TimeoutInMinutes": "5",
    "Tags": [{"Key": "k", "Value": "v"}],
}


@pytest.mark.parametrize(
    "service, operation, given, more, wanted",
    [
        pytest.param(
            "sqs", "CreateQueue",
            {"QueueName": "q", "DelaySeconds": 30, "FifoQueue": True, "RedrivePolicy": {"maxReceiveCount": 5}, "Tags": [{"Key": "a", "Value": "1"}]},
            {"rest": "Attributes"},
            {"queue_name": "q", "tags": {"a": "1"},
             "attributes": {"DelaySeconds": "30", "FifoQueue": "true", "RedrivePolicy": '{"maxReceiveCount":5}'}},
            id="the rest as attributes, a list of tags as a map",
        ),
        pytest.param(
            "codebuild", "CreateProject", PROJECT, {},
            {"name": "site", "service_role": "arn:aws:iam::123456789012:role/build", "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"},
             "artifacts": {"type": "NO_ARTIFACTS"}, "timeout_in_minutes": 5, "tags": [{"key": "k", "value": "v"}],
             "environment": {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
                             "environmentVariables": [{"name": "a", "value": "b"}]}},
            id="names of another case, at every depth",
        ),
        pytest.param("ssm", "PutParameter", {"Name": "n", "Type": "String", "Value": "v", "Tags": {"a": "1"}}, {},
            {"name": "n", "type": "String", "value": "v", "tags": [{"Key": "a", "Value": "1"}]}, id="a map of tags as a list"),
        pytest.param("kms", "CreateKey", {"KeyPolicy": {"Version": "x"}, "Tags": [{"Key": "a", "Value": "1"}]}, {"rename": {"KeyPolicy": "Policy"}},
            {"policy": '{"Version":"x"}', "tags": [{"TagKey": "a", "TagValue": "1"}]}, id="a new name, JSON as text, tags of other members"),
        pytest.param("events", "PutRule", {"Name": "r", "EventPattern": {"source": ["a"]}, "Targets": [1]}, {"drop": ("Targets",)},
            {"name": "r", "event_pattern": '{"source":["a"]}'}, id="what is dropped on purpose"),
        pytest.param("codepipeline", "CreatePipeline",
            {"Name": "p", "RoleArn": "arn:aws:iam::123456789012:role/r", "Stages": [STAGE], "Tags": [{"Key": "a", "Value": "b"}]}, {"rest": "pipeline"},
            {"pipeline": {"name": "p", "roleArn": "arn:aws:iam::123456789012:role/r", "stages": [{"name": "s", "actions": []}]},
             "tags": [{"key": "a", "value": "b"}]},
            id="the rest as a structure"),
    ],
)  # fmt: skip
def test_properties_become_arguments(service: str, operation: str, given: Any, more: Any, wanted: dict[str, Any]) -> None:
    assert arguments(service, operation, given, **more) == wanted


@pytest.mark.parametrize(
    "service, operation, given, code, names",
    [
        pytest.param(
            "logs", "CreateLogGroup", {"LogGroupName": "g", "RetentionInDays": 3}, "NotImplemented", "RetentionInDays", id="no member"
        ),
        pytest.param(
            "codebuild", "CreateProject", {**PROJECT, "VpcConfig": {"VpcId": "v"}}, "NotImplemented", "VpcConfig", id="not declared"
        ),
        pytest.param(
            "ssm", "PutParameter", {"Name": "n", "Type": "X", "Value": "v"}, "ValidationException", "StringList", id="a constraint"
        ),
        pytest.param("ssm", "NoSuch", {}, "NotImplemented", "NoSuch", id="no such operation"),
    ],
)
def test_what_fits_nowhere_is_refused(service: str, operation: str, given: Any, code: str, names: str) -> None:
    with pytest.raises(AwsError) as refused:
        arguments(service, operation, given)
    assert (refused.value.code, names in refused.value.message) == (code, True)


def test_a_rename_to_a_member_that_is_not_there_is_refused_by_that_name() -> None:
    with pytest.raises(AwsError, match="ssm:PutParameter with Nmae"):
        arguments("ssm", "PutParameter", {"Name": "n"}, rename={"Name": "Nmae"})


def told(type_name: str, reply: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = schema(type_name)
    assert found is not None
    return properties(found, reply, **more)


def test_a_reply_becomes_properties() -> None:
    assert told(
        "AWS::SQS::Queue", {"QueueArn": "arn", "DelaySeconds": "30", "FifoQueue": "true", "Other": 1}, rename={"Arn": "QueueArn"}
    ) == {
        "Arn": "arn",
        "DelaySeconds": 30,
        "FifoQueue": True,
    }
    project = told(
        "AWS::CodeBuild::Project",
        {"name": "p", "source": {"buildspec": "b", "type": "T"}, "tags": [{"key": "k", "value": "v"}], "created": 1.0},
    )
    assert project == {"Name": "p", "Source": {"BuildSpec": "b", "Type": "T"}, "Tags": [{"Key": "k", "Value": "v"}]}
    assert told("AWS::Logs::LogGroup", {"logGroupName": "g", "tags": {"a": "b"}}) == {
        "LogGroupName": "g",
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert told("AWS::SSM::Parameter", {"Tags": [{"Key": "a", "Value": "b"}]}) == {"Tags": {"a": "b"}}


@pytest.mark.parametrize(
    "rule, stack, logical, wanted",
    [
        pytest.param(Name("N"), "web", "Queue", "web-Queue-ABCDEFGHIJKL", id="as AWS makes them"),
        pytest.param(Name("N", 63, lower=True), "Web", "Files", "web-files-abcdefghijkl", id="buckets are lower case"),
        pytest.param(Name("N", 64), "s" * 60, "Role", f"{'s' * 46}-Role-ABCDEFGHIJKL", id="a long stack name gives way"),
        pytest.param(Name("N", 63), "s" * 60, "L" * 60, f"{'s' * 25}-{'L' * 24}-ABCDEFGHIJKL", id="both are long"),
        pytest.param(Name("N", 16), "stack", "Logical", "s-L-ABCDEFGHIJKL", id="hardly any room"),
    ],
)
def test_names_that_are_made_up(rule: Name, stack: str, logical: str, wanted: str) -> None:
    made = physical_name(rule, stack, logical, "ABCDEFGHIJKL")
    assert made == wanted
    assert len(made) <= rule.limit


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["Key", "Value", "Type", "Name"]), below, max_size=3)
    ),
    max_leaves=10,
)
CALLS = {
    ("sqs", "CreateQueue", "Attributes"): ("QueueName", "Tags", "DelaySeconds", "RedrivePolicy"),
    ("codebuild", "CreateProject", ""): ("Name", "Source", "Environment", "Tags", "TimeoutInMinutes", "SecondarySources", "VpcConfig"),
    ("codepipeline", "CreatePipeline", "pipeline"): ("Name", "Stages", "RoleArn", "Tags", "ArtifactStore"),
    ("scheduler", "CreateSchedule", ""): ("Name", "StartDate", "Target", "FlexibleTimeWindow"),
    ("ec2", "RunInstances", ""): ("MinCount", "BlockDeviceMappings", "TagSpecifications", "IamInstanceProfile"),
}


@pytest.mark.parametrize("tags", [[{}], [{"Key": []}], [{"Value": "x"}], [{"Key": "a"}, {"Key": 1}]])
def test_tags_without_a_key_are_refused(tags: list[dict[str, Any]]) -> None:
    with pytest.raises(AwsError):
        arguments("sqs", "CreateQueue", {"QueueName": "q", "Tags": tags}, rest="Attributes")


def test_a_reply_that_is_no_tag_where_tags_may_stand_is_left_out() -> None:
    found = schema("AWS::CodeBuild::Project")
    assert found is not None and properties(found, {"Artifacts": [{"KEY": []}]}) == {"Artifacts": {}}


@settings(max_examples=60, deadline=None)
@given_by(st.data())
def test_whatever_is_given_the_answer_is_arguments_or_awss_error(data: st.DataObject) -> None:
    (service, operation, rest), names = data.draw(st.sampled_from(sorted(CALLS.items())))
    given = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=3), HOSTILE, max_size=4))
    try:
        made = arguments(service, operation, given, rest=rest)
    except AwsError as error:
        assert error.code and error.message
    else:
        assert isinstance(made, dict)


@settings(max_examples=60, deadline=None)
@given_by(st.data())
def test_whatever_a_reply_holds_it_becomes_properties(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["AWS::SQS::Queue", "AWS::CodeBuild::Project", "AWS::S3::Bucket", "AWS::SSM::Parameter"]))
    found = schema(kind)
    assert found is not None
    reply = data.draw(st.dictionaries(st.sampled_from(sorted(found.properties)) | st.text(max_size=3), HOSTILE, max_size=4))
    assert set(properties(found, reply)) <= set(found.properties)
