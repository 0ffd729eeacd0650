"""Templates that nobody here wrote, deployed: each resource is read by its type and by its own service, an unchanged update is none, and after the
deletion nothing is left but what the template retains. What does not deploy says so by name, is rolled back, and leaves nothing either.

`NOT_DEPLOYED` is the whole list of samples whose types run and which do not deploy, each with the words in which Windtunnel refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from corpus_lab import Lab, StandIn, Surroundings, lab, missing, parsed, stand_ins
from harness import REGION
from services_lab import LOOKS, Services
from windtunnel.provision import registry
from windtunnel.provision.registry import Resource
from windtunnel.services.cloudformation.language.errors import TemplateError

_HERE = [parent / "shared" / "samples" / "templates" for parent in Path(__file__).parents]
SAMPLES = next((folder for folder in _HERE if folder.is_dir()), _HERE[3])
FILES = sorted(path for path in SAMPLES.rglob("*.*") if path.is_file()) if SAMPLES.is_dir() else []
SAM = "AWS::Serverless-2016-10-31"
NO_RUN = "Windtunnel does not run "

NOT_DEPLOYED = {
    "aws-codebuild__package__test__integ.aws-deep-learning-container": "codebuild:CreateProject with environment.type LINUX_GPU_CONTAINER",
    "aws-codebuild__package__test__integ.docker-registry": "codebuild:CreateProject with environment.RegistryCredential",
    "aws-codebuild__package__test__integ.project-vpc": "codebuild:CreateProject with VpcConfig",
    "integ.lambda-deployed-through-codepipeline": "codepipeline:CreatePipeline with the action provider Deploy/CloudFormation",
    "integ.pipeline-cfn-with-action-role": "codepipeline:CreatePipeline with the action provider Deploy/CloudFormation",
    "integ.pipeline-cfn-cross-region": "codepipeline:CreatePipeline with the action provider Deploy/CloudFormation",
    "integ.pipeline-cfn.": "codepipeline:CreatePipeline with the action provider Deploy/CloudFormation",
    "integ.pipeline-ecr-source": "codepipeline:CreatePipeline with the action provider Source/ECR",
    "pipelines__package__test__integ.pipeline-with-assets": "codepipeline:CreatePipeline with the action provider Source/GitHub",
    "pipelines__package__test__integ.pipeline.": "codepipeline:CreatePipeline with the action provider Source/GitHub",
    "laser-fargate": "codepipeline:CreatePipeline with the action provider Source/GitHub",
    "petstore-api-pipeline": "codebuild:CreateProject with source.type GITHUB",
}
"""Part of a sample's file name -> what Windtunnel says that it does not run."""

BESIDE = {
    "deployment-group": "codedeploy:CreateDeploymentGroup with alarmConfiguration",
    "integ.lambda-pipeline": "codepipeline:CreatePipeline with the action provider Invoke/Lambda",
    "pipeline-ecs-deploy": "codebuild:CreateProject with environment.privilegedMode",
    "scheduled-fargate-task": "events:PutTargets with Targets[].EcsParameters",
    "event-ec2-task": "events:PutTargets with Targets[].EcsParameters",
    "job-definition-events": "events:PutTargets with Targets[].BatchParameters",
    "kinesis-stream": "events:PutTargets with Targets[].KinesisParameters",
}
"""The same of samples with other types too, when those are stood in for."""

BROKEN = {
    "api-resource": "Encountered unsupported function: Fn::Rain::S3",
    "DateFunctions": "#/Code/ZipFile: expected type: String, found: JSONObject",
    "StringFunctions": "#/Code/ZipFile: expected type: String, found: JSONObject",
    "PyPlate": "#/ManagedPolicyArns/0: failed validation constraint for keyword [pattern]",
    "integ.pipeline-jenkins": "is not available in region US_EAST_1",
    "aws-iam__package__test__integ.condition-with-ref": "Conditions must be JSON objects",
    "aws-lambda__package__test__integ.lambda.": "#/FunctionName: failed validation constraint",
    "Elasticache-snapshot": 'must be in ARN format or "*"',
    "SapPrivateLink": "Rule SubnetsInVPC failed",
}
"""Samples that fail on AWS as well: of a preprocessor's language, or wanting what a stand-in does not give. File -> AWS's words."""

NEEDS = {"EC2LaunchType__services__public-service": "No export named", "NeptuneDB": "No export named"}
"""One half of two stacks: what it wants of the other half, which the next test gives."""

REGIONS = {"pipeline-cfn-cross-region": "us-west-2"}
VALUES: dict[str, dict[str, str]] = {
    "DIRECTORY_SETTINGS": {
        "DirectoryID": "d-0123456789",
        "DirectoryMonitoringSNSTopicKMSKey": "1234abcd-12ab-34cd-56ef-1234567890ab",
        "LambdaLogsCloudWatchKMSKey": "",
    },
    "VPCFlowLogsCloudWatch": {"VPCFlowLogsCloudWatchKMSKey": ""},
}


def find(table: dict[str, Any], path: Path, default: Any = None) -> Any:
    return next((value for part, value in table.items() if part in path.name), default)


def name_of(path: Path, kind: str) -> str:
    return f"{kind}-{FILES.index(path)}"


def kind(path: Path) -> str:
    """runs: every type runs. others: some types do not. transformed: nobody knows before SAM's transform."""
    text = path.read_text()
    if SAM in text:
        return "transformed"
    try:
        return "others" if missing(parsed(text)) else "runs"
    except TemplateError:
        return "others"


KINDS = {path: kind(path) for path in FILES}


def of(wanted: str) -> list[Any]:
    found = [pytest.param(path, id=path.name[:90]) for path, each in KINDS.items() if each == wanted]
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=f"no samples beside this checkout, at {SAMPLES}"))]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Surroundings]]:
    with lab(tmp_path_factory.mktemp("corpus")) as made:
        yield made, Surroundings(made)


def test_the_tables_name_samples_that_there_are() -> None:
    if not FILES:
        pytest.skip(f"no samples beside this checkout, at {SAMPLES}")
    for table in (NOT_DEPLOYED, BESIDE, BROKEN, REGIONS, VALUES):
        assert [part for part in table if not any(part in path.name for path in FILES)] == []
    assert len([path for path in FILES if KINDS[path] == "runs"]) >= 28


@pytest.mark.parametrize("path", of("runs"))
def test_a_sample_deploys_or_says_what_does_not_run(cloud: tuple[Lab, Surroundings], path: Path) -> None:
    tried(cloud, path, find(NOT_DEPLOYED, path))


@pytest.mark.parametrize("path", of("others"))
def test_a_sample_with_types_that_do_not_run_fails_by_name_and_leaves_nothing(cloud: tuple[Lab, Surroundings], path: Path) -> None:
    made, around = cloud
    text = around.placed(path.read_text())
    template = parsed(text)
    before = made.before()
    try:
        arn, status = made.create(name_of(path, "other"), text, around.values(template, find(VALUES, path, {})))
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "ValidationError" and find(BROKEN, path, "?") in str(refused), refused
        assert made.left(before) == {}
        return
    assert status == "ROLLBACK_COMPLETE"
    words = [f"{NO_RUN}the resource type {name} yet" for name in missing(template)]
    words += [part for part in (find(BESIDE, path), find(BROKEN, path), find(NEEDS, path)) if part]
    said = [reason for reason in made.why(arn) if not reason.endswith("Resource creation cancelled")]
    assert any(part in said[0] for part in words), said
    assert made.stacks.delete(arn) == "DELETE_COMPLETE"
    assert made.left(before) == made.kept(arn)


@pytest.mark.parametrize("path", of("others"))
def test_everything_else_of_a_sample_deploys(cloud: tuple[Lab, Surroundings], path: Path) -> None:
    """The types that do not run are stood in for by the test."""
    if find(BROKEN, path, "").startswith("Encountered"):
        pytest.skip(find(BROKEN, path))
    with stand_ins([parsed(path.read_text())]):
        tried(cloud, path, find(BESIDE, path))


AFTER_SAM = [
    "AWS::ApiGateway::Deployment", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage", "AWS::CloudFormation::Macro", "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::StepFunctions::StateMachine",
]  # fmt: skip
"""What AWS's translator makes of these samples and Windtunnel does not run."""


def packaged(text: str) -> str:
    """As `sam package` leaves a template: what was a folder beside it is an object."""
    template = parsed(text)
    for spec in template["Resources"].values():
        held = spec.setdefault("Properties", {})
        if spec["Type"] == "AWS::Serverless::Function" and "InlineCode" not in held:
            held["CodeUri"] = "s3://assets-of-the-corpus/code.zip"
        if "DefinitionUri" in held:
            held["DefinitionUri"] = "s3://assets-of-the-corpus/definition.json"
    template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    return json.dumps(template)


@pytest.mark.parametrize("path", of("transformed"))
def test_a_serverless_one_is_translated_and_fails_by_name(cloud: tuple[Lab, Surroundings], path: Path) -> None:
    made, around = cloud
    text = packaged(path.read_text())
    values = around.values(parsed(text), {})
    before = made.before()
    arn, status = made.create(name_of(path, "sam"), text, values)
    said = [reason for reason in made.why(arn) if not reason.endswith("Resource creation cancelled")]
    words = [*(f"{NO_RUN}the resource type {name} yet" for name in AFTER_SAM), *filter(None, [find(SAM_REFUSED, path)])]
    assert status == "ROLLBACK_COMPLETE" and any(part in said[0] for part in words), said
    assert made.stacks.delete(arn) == "DELETE_COMPLETE" and made.left(before) == made.kept(arn)


SAM_REFUSED = {
    "continuous-integration-branch-checks": "parameter value codebuild-samples-slack-webhook for parameter name SlackHookUrlParameter"
}
"""Part of a sample's file name -> why it does not even begin."""


def tried(cloud: tuple[Lab, Surroundings], path: Path, refusal: str | None) -> None:
    """A sample's whole life. refusal: what it says that does not run; None when it deploys."""
    made, around = cloud
    region = find(REGIONS, path, REGION)
    here = made if region == REGION else made.at(region)
    text = around.placed(path.read_text())
    values = around.values(parsed(text), find(VALUES, path, {}))
    before = here.before()
    name = name_of(path, "whole")
    broken = find(BROKEN, path)
    try:
        arn, status = here.create(name, text, values)
    except ClientError as refused:
        assert broken is not None and broken in str(refused), refused
        return
    while lacking := [reason for reason in here.why(arn) if "No export named" in reason]:
        here.stacks.delete(arn)
        around.export(here, lacking[0].partition("No export named ")[2].removesuffix(" found"))
        before = here.before()
        arn, status = here.create(name, text, values)
    if refusal or broken:
        words = f"{NO_RUN}{refusal}" if refusal else str(broken)
        assert status == "ROLLBACK_COMPLETE" and any(words in reason for reason in here.why(arn)), here.why(arn)
    else:
        assert status == "CREATE_COMPLETE", here.why(arn)
        everything_is_there(here, name)
        with pytest.raises(ClientError, match="No updates are to be performed."):
            here.update(name, text, values)
    resources = here.resources(name)
    assert here.stacks.delete(arn) == "DELETE_COMPLETE", here.why(arn)
    kept = here.kept(arn)
    assert here.left(before) == {kind: ids for kind, ids in kept.items() if kind in before}
    everything_is_gone(here, resources, kept)


def everything_is_there(here: Lab, name: str) -> None:
    services = Services(here.door, here.region)
    described = {one["LogicalResourceId"]: one for one in here.api.describe_stack_resources(StackName=name)["StackResources"]}
    for resource in here.resources(name):
        handler = registry.handler(resource.type)
        if isinstance(handler, StandIn):
            continue
        assert described[resource.logical_id]["ResourceStatus"] == "CREATE_COMPLETE"
        assert here.read(resource) is not None, f"{resource.type} {resource.id} cannot be read"
        if resource.type in LOOKS:
            assert services.look(resource) is not None, f"{resource.type} {resource.id} is not there"


def everything_is_gone(here: Lab, resources: list[Resource], kept: dict[str, set[str]]) -> None:
    services = Services(here.door, here.region)
    for resource in resources:
        if isinstance(registry.handler(resource.type), StandIn):
            continue
        if resource.type in LOOKS and resource.type not in RULES and resource.id not in kept.get(resource.type, ()):
            assert services.look(resource) is None, f"{resource.type} {resource.id} is left"


RULES = {"AWS::EC2::Route", "AWS::EC2::NatGateway", "AWS::SNS::Subscription"}
"""What goes with what it is in, is still told of for an hour, or was never confirmed and stays until its days are over."""
