"""CloudFormation's registry, as clients read it: AWS's types, their schemas, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import REGION, InProcessCloud

ARN = f"arn:aws:cloudformation:{REGION}::type/resource/AWS-SQS-Queue"


@pytest.fixture(scope="module")
def formation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with InProcessCloud(tmp_path_factory.mktemp("types")) as cloud:
        yield Door(cloud).client("cloudformation")


@pytest.mark.parametrize("asked", [{"Type": "RESOURCE", "TypeName": "AWS::SQS::Queue"}, {"Arn": ARN}, {"Arn": f"{ARN}/00000001"}])
def test_a_type_is_described_by_its_schema(formation: Any, asked: dict[str, str]) -> None:
    told = formation.describe_type(**asked)
    assert (told["Arn"], told["TypeName"], told["DefaultVersionId"]) == (ARN, "AWS::SQS::Queue", "00000001")
    assert (told["ProvisioningType"], told["Visibility"], told["DeprecatedStatus"]) == ("FULLY_MUTABLE", "PUBLIC", "LIVE")
    schema = json.loads(told["Schema"])
    assert schema["typeName"] == "AWS::SQS::Queue" and schema["primaryIdentifier"] == ["/properties/QueueUrl"]


@pytest.mark.parametrize(
    "operation, asked, code, message",
    [
        pytest.param("describe_type", {"Type": "RESOURCE", "TypeName": "Own::Thing::Here"}, "TypeNotFoundException", "The type 'Own::Thing::Here' cannot be found.", id="not AWS's"),
        pytest.param("describe_type", {"Type": "HOOK", "TypeName": "AWS::SQS::Queue"}, "TypeNotFoundException", "cannot be found", id="a hook"),
        pytest.param("describe_type", {"TypeName": "AWS::SQS::Queue"}, "CFNRegistryException", "Either TypeName and Type, or Arn", id="half a name"),
        pytest.param("describe_type", {"Arn": "arn:aws:cloudformation:us-east-1:123456789012:type/resource/Own-Thing-Here"}, "TypeNotFoundException", "cannot be found", id="an ARN of nobody's"),
        pytest.param("describe_type", {"Arn": ARN, "VersionId": "00000002"}, "TypeNotFoundException", "cannot be found", id="a version that is not there"),
        pytest.param("list_type_versions", {"Type": "RESOURCE", "TypeName": "Own::Thing::Here"}, "TypeNotFoundException", "cannot be found", id="its versions"),
        pytest.param("describe_type_registration", {"RegistrationToken": "00000000-0000-4000-8000-000000000000"}, "CFNRegistryException", "No registration token", id="a registration"),
        pytest.param("register_type", {"Type": "RESOURCE", "TypeName": "Own::Thing::Here", "SchemaHandlerPackage": "s3://b/k"}, "NotImplemented", "RegisterType", id="not built"),
    ],
)  # fmt: skip
def test_errors(formation: Any, operation: str, asked: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(formation, operation)(**asked)
    error = refused.value.response["Error"]
    assert (error["Code"], message in error["Message"]) == (code, True), error


def test_the_list_of_types(formation: Any) -> None:
    names: list[str] = []
    for page in formation.get_paginator("list_types").paginate(
        Visibility="PUBLIC", Filters={"Category": "AWS_TYPES", "TypeNamePrefix": "AWS::"}
    ):
        names += [one["TypeName"] for one in page["TypeSummaries"]]
    assert (
        names == sorted(set(names)) and {"AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::SageMaker::Model"} <= set(names) and len(names) > 1_500
    )
    assert formation.list_types()["TypeSummaries"] == [], "an account has no types of its own"
    assert formation.list_types(Visibility="PUBLIC", Type="HOOK")["TypeSummaries"] == []
    old = formation.list_types(Visibility="PUBLIC", ProvisioningType="NON_PROVISIONABLE", Filters={"TypeNamePrefix": "AWS::CodeBuild"})
    assert "AWS::CodeBuild::Project" in [one["TypeName"] for one in old["TypeSummaries"]]
    [version] = formation.list_type_versions(Arn=ARN)["TypeVersionSummaries"]
    assert (version["VersionId"], version["IsDefaultVersion"]) == ("00000001", True)
    assert formation.list_type_registrations(RegistrationStatusFilter="COMPLETE")["RegistrationTokenList"] == []
