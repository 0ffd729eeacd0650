"""How a service's refusal is told in a stack's event, and by Cloud Control."""

from __future__ import annotations

import pytest

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.provision.identity import handler_code
from windtunnel.provision.saying import said, service_name


@pytest.mark.parametrize(
    ("type_name", "error", "words", "code"),
    [
        ("AWS::S3::Bucket", AwsError("BucketNotEmpty", "It is not empty"), "It is not empty (Service: S3, Status Code: 409,", "GeneralServiceException"),
        ("AWS::IAM::Role", AwsError("EntityAlreadyExists", "There"), "There (Service: Iam, Status Code: 409,", "AlreadyExists"),
        ("AWS::IAM::Role", AwsError("NoSuchEntity", "Gone"), "Gone (Service: Iam, Status Code: 404,", "NotFound"),
        ("AWS::SQS::Queue", AwsError("InvalidAttributeName", "No"), "No (Service: Sqs, Status Code: 400,", "InvalidRequest"),
        ("AWS::IAM::Role", AwsError("AccessDenied", "No", status=403), "No (Service: Iam, Status Code: 403,", "AccessDenied"),
        ("AWS::S3::Bucket", not_built("s3", "PutBucketReplication"), "Status Code: 501,", "GeneralServiceException"),
        ("AWS::Nowhere::Thing", AwsError("Odd", "Odd"), "Odd (Service: Nowhere, Status Code: 400,", "InvalidRequest"),
        ("Custom::Thing", AwsError("Odd", "Odd"), "Odd (Service: CloudFormation, Status Code: 400,", "InvalidRequest"),
    ],
)  # fmt: skip
def test_a_refusal_in_words(type_name: str, error: AwsError, words: str, code: str) -> None:
    assert words in said(error, type_name, "the-request") and "Request ID: the-request)" in said(error, type_name, "the-request")
    assert handler_code(error) == code


@pytest.mark.parametrize(
    ("type_name", "name"),
    [
        ("AWS::EC2::VPC", "Ec2"),
        ("AWS::SecretsManager::Secret", "SecretsManager"),
        ("AWS::CodeBuild::Project", "CodeBuild"),
        ("AWS::Logs::LogGroup", "CloudWatchLogs"),
        ("AWS::KMS::Key", "Kms"),
        ("AWS::S3::Bucket", "S3"),
    ],
)
def test_services_as_the_sdk_names_them(type_name: str, name: str) -> None:
    assert service_name(type_name) == name
