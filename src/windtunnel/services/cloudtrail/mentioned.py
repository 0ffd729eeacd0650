"""Which resources an event names, by what its request and answer hold. Pure.

CloudTrail shows the resources that an event refers to; what is listed here is found by the members that name them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NAMED: dict[str, dict[str, str]] = {
    "s3": {"bucketName": "AWS::S3::Bucket"},
    "iam": {
        "roleName": "AWS::IAM::Role",
        "userName": "AWS::IAM::User",
        "groupName": "AWS::IAM::Group",
        "policyName": "AWS::IAM::Policy",
        "policyArn": "AWS::IAM::Policy",
        "instanceProfileName": "AWS::IAM::InstanceProfile",
        "accessKeyId": "AWS::IAM::AccessKey",
    },
    "sts": {"roleArn": "AWS::IAM::Role", "roleSessionName": "AWS::STS::AssumedRole", "accessKeyId": "AWS::IAM::AccessKey"},
    "kms": {"keyId": "AWS::KMS::Key", "aliasName": "AWS::KMS::Alias", "targetKeyId": "AWS::KMS::Key"},
    "ssm": {"name": "AWS::SSM::Parameter", "names": "AWS::SSM::Parameter"},
    "secretsmanager": {"secretId": "AWS::SecretsManager::Secret"},
    "sqs": {"queueUrl": "AWS::SQS::Queue", "queueName": "AWS::SQS::Queue"},
    "sns": {"topicArn": "AWS::SNS::Topic", "subscriptionArn": "AWS::SNS::Subscription"},
    "logs": {"logGroupName": "AWS::Logs::LogGroup", "logStreamName": "AWS::Logs::LogStream"},
    "events": {"rule": "AWS::Events::Rule", "eventBusName": "AWS::Events::EventBus"},
    "cloudtrail": {"trailName": "AWS::CloudTrail::Trail"},
    "ec2": {"instanceId": "AWS::EC2::Instance", "imageId": "AWS::EC2::Ami", "groupId": "AWS::EC2::SecurityGroup"},
    "codecommit": {"repositoryName": "AWS::CodeCommit::Repository"},
    "codebuild": {"projectName": "AWS::CodeBuild::Project"},
    "codedeploy": {"applicationName": "AWS::CodeDeploy::Application", "deploymentGroupName": "AWS::CodeDeploy::DeploymentGroup"},
    "codepipeline": {"pipelineName": "AWS::CodePipeline::Pipeline"},
    "ecr": {"repositoryName": "AWS::ECR::Repository"},
    "lambda": {"functionName": "AWS::Lambda::Function"},
}
_BY_OPERATION = {
    ("events", "Rule"): ("name", "AWS::Events::Rule"),
    ("events", "Bus"): ("name", "AWS::Events::EventBus"),
    ("cloudtrail", "Trail"): ("name", "AWS::CloudTrail::Trail"),
    ("cloudtrail", "Logging"): ("name", "AWS::CloudTrail::Trail"),
    ("secretsmanager", "CreateSecret"): ("name", "AWS::SecretsManager::Secret"),
    ("sns", "CreateTopic"): ("name", "AWS::SNS::Topic"),
    ("codebuild", "Project"): ("name", "AWS::CodeBuild::Project"),
    ("codepipeline", "Pipeline"): ("name", "AWS::CodePipeline::Pipeline"),
}
_ALSO = {"arn": "", "ARN": ""}
MAX_RESOURCES = 50


def resources(service: str, operation: str, request: Any, response: Any) -> list[tuple[str, str]]:
    """(type, name) of each, in the order in which they stand, each once."""
    named = dict(_NAMED.get(service, {}))
    for (owner, part), (member, kind) in _BY_OPERATION.items():
        if owner == service and part in operation:
            named[member] = kind
    found = dict.fromkeys(pair for document in (request, response) for pair in _walk(document, named, 0))
    return list(found)[:MAX_RESOURCES]


def _walk(value: Any, named: dict[str, str], depth: int) -> Iterator[tuple[str, str]]:
    if depth > 4:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            kind = named.get(key)
            if kind is not None and isinstance(item, str) and item:
                yield kind, item
            elif kind is not None and isinstance(item, list):
                yield from ((kind, name) for name in item if isinstance(name, str))
            else:
                yield from _walk(item, named, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, named, depth + 1)
