"""Which declarations are pipelines: every row a rule of AWS's, and where the declaration breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from pipelines import action, approval, build, deploy, full, pipeline, source, stage

from windtunnel.app import load_services
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codepipeline.plan import Done, Failed, Start, Wait, next_step, successor
from windtunnel.services.codepipeline.structure import check, normalised

REGION = "us-east-1"
STRUCTURE, STAGE, ACTION = "InvalidStructureException", "InvalidStageDeclarationException", "InvalidActionDeclarationException"


@pytest.fixture(autouse=True)
def providers() -> None:
    load_services()


def with_build(**more: Any) -> dict[str, Any]:
    return pipeline(stage("Build", build(**more)))


def typed(**more: Any) -> dict[str, Any]:
    made = approval()
    return pipeline(stage("Gate", made | {"actionTypeId": made["actionTypeId"] | more}))


@pytest.mark.parametrize(
    "declared, code, words",
    [
        pytest.param(pipeline(), STRUCTURE, "Pipeline has only 1 stage(s)", id="one stage"),
        pytest.param(pipeline(*[stage(f"S{n}", approval()) for n in range(50)]), STRUCTURE, "maximum of 50 stages", id="51 stages"),
        pytest.param(
            pipeline(stage("A", approval()), stage("A", approval())), STRUCTURE, "A has been used more than once", id="stage twice"
        ),
        pytest.param(
            pipeline(stage("Source", approval()), stage("B", approval())), STRUCTURE, "action 'OK' in stage 'Source'", id="no source"
        ),
        pytest.param(
            pipeline(stage("B", source() | {"name": "Again"})),
            STRUCTURE,
            "action 'Again' in stage 'B' is a source action",
            id="a later source",
        ),
        pytest.param(pipeline(stage("Empty")), STAGE, "Stage 'Empty' contains no actions", id="an empty stage"),
        pytest.param(
            pipeline(stage("B", approval(), approval())), STAGE, "OK has been used more than once in stage 'B'", id="action twice"
        ),
        pytest.param(
            pipeline(stage("B", *[approval(f"A{n}") for n in range(51)])),
            STAGE,
            "Stage 'B' contains 51 actions",
            id="51 actions in a stage",
        ),
        pytest.param(
            pipeline(stage("B", deploy(artifact="Nothing"))),
            STRUCTURE,
            "Input Artifact Bundle Nothing in action Ship is not declared as Output Artifact Bundle in any of the preceding actions",
            id="an input that nobody makes",
        ),
        pytest.param(
            pipeline(stage("B", build(outputs=["Out"]), deploy(artifact="Out"))),
            STRUCTURE,
            "Input Artifact Bundle Out in action Ship",
            id="an input made at the same time",
        ),
        pytest.param(
            pipeline(stage("B", build(outputs=["SourceArtifact"]))),
            STRUCTURE,
            "SourceArtifact has been used more than once. It is an output of action Fetch and of action Compile",
            id="an artifact made twice",
        ),
        pytest.param(
            pipeline(stage("B", action("Ship", "Deploy/CodeDeploy", {"ApplicationName": "a", "DeploymentGroupName": "g"}))),
            ACTION,
            "Action Ship has invalid number of input artifacts: 0. Expected 1",
            id="too few inputs",
        ),
        pytest.param(
            pipeline(stage("B", build(outputs=[f"O{n}" for n in range(6)]))),
            ACTION,
            "output artifacts: 6. Expected 0 to 5",
            id="many outputs",
        ),
        pytest.param(
            with_build(configuration={"Colour": "red"}),
            ACTION,
            "Action configuration for action 'Compile' contains unknown configuration 'Colour'",
            id="an unknown key",
        ),
        pytest.param(
            pipeline(stage("B", action("Ship", "Deploy/CodeDeploy", {"ApplicationName": "a"}, inputs=["SourceArtifact"]))),
            ACTION,
            "Action configuration for action 'Ship' is missing required configuration 'DeploymentGroupName'",
            id="a missing key",
        ),
        pytest.param(with_build(configuration={"ProjectName": "x" * 1001}), ACTION, "'ProjectName'", id="a long value"),
        pytest.param(
            with_build(configuration={"EnvironmentVariables": "{"}), ACTION, "must be a JSON array", id="variables that are no JSON"
        ),
        pytest.param(with_build(configuration={"EnvironmentVariables": '[{"name":"a"}]'}), ACTION, "EnvironmentVariables", id="no value"),
        pytest.param(pipeline(stage("B", approval(configuration={"NotificationArn": "arn:x"}))), ACTION, "NotificationArn", id="no topic"),
        pytest.param(
            with_build(configuration={"EnvironmentVariables": '[{"name":"a","value":"b","type":"X"}]'}), ACTION, "type X", id="no such type"
        ),
        pytest.param(
            pipeline(stage("Source", source(configuration={"PollForSourceChanges": "maybe"})), stage("B", approval())),
            ACTION,
            "PollForSourceChanges must be true or false",
            id="a boolean that is none",
        ),
        pytest.param(
            pipeline(
                stage("Source", source(), action("Two", "Source/S3", {"S3Bucket": "b", "S3ObjectKey": "k"}, outputs=["Two"])),
                stage("B", action("C", "Build/CodeBuild", {"ProjectName": "p"}, inputs=["SourceArtifact", "Two"])),
            ),
            ACTION,
            "missing required configuration 'PrimarySource'",
            id="two inputs without a primary one",
        ),
        pytest.param(
            typed(category="Build", provider="Maven"),
            ACTION,
            "ActionType (Category: 'Build', Provider: 'Maven', Owner: 'AWS', Version: '1') in action 'OK' is not available in region US_EAST_1",
            id="a provider that nobody has",
        ),
        pytest.param(typed(version="2"), ACTION, "Version: '2'", id="a version that nobody has"),
        pytest.param(typed(owner="Custom"), ACTION, "Owner: 'Custom'", id="a custom action that nobody made"),
        pytest.param(
            pipeline(stage("B", approval(configuration={"CustomData": "#{Src.CommitId}"}))),
            ACTION,
            "StageName=[B], ActionName=[OK], ActionConfigurationKey=[CustomData], VariableReferenceText=[#{Src.CommitId}]",
            id="a namespace that nobody has",
        ),
        pytest.param(
            pipeline(stage("B", approval(configuration={"CustomData": "#{CommitId}"}))),
            ACTION,
            "Valid format for a pipeline execution variable reference",
            id="a reference without a namespace",
        ),
        pytest.param(
            pipeline(stage("B", approval(configuration={"CustomData": "#{variables.v}"})), pipelineType="V2"),
            ACTION,
            "#{variables.v}",
            id="a variable that was not declared",
        ),
        pytest.param(
            pipeline(stage("Source", source(namespace="N")), stage("B", build(namespace="N"))),
            ACTION,
            "Action Compile has N",
            id="a namespace twice",
        ),
        pytest.param(
            pipeline(stage("Source", source(namespace="variables")), stage("B", build())), ACTION, "reserved", id="a reserved namespace"
        ),
        pytest.param(
            full() | {"executionMode": "QUEUED"}, STRUCTURE, "executionMode is only available in a pipeline of type V2", id="V1 QUEUED"
        ),
        pytest.param(full() | {"variables": [{"name": "v"}]}, STRUCTURE, "variables is only available", id="V1 with variables"),
        pytest.param(
            full() | {"pipelineType": "V2", "variables": [{"name": "v"}, {"name": "v"}]}, STRUCTURE, "v has been used", id="variable twice"
        ),
        pytest.param(
            {key: value for key, value in full().items() if key != "artifactStore"}, STRUCTURE, "either artifactStore or", id="no store"
        ),
        pytest.param(
            full() | {"artifactStores": {REGION: {"type": "S3", "location": "b"}}}, STRUCTURE, "either artifactStore or", id="both stores"
        ),
    ],
)
def test_what_is_refused(declared: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(AwsError) as refused:
        check(declared, REGION, "CreatePipeline")
    assert refused.value.code == code
    assert words in refused.value.message


@pytest.mark.parametrize(
    "declared, words",
    [
        pytest.param(typed(category="Deploy", provider="ECS"), "the action provider Deploy/ECS", id="a provider"),
        pytest.param(with_build(configuration={"BatchEnabled": "true"}), "BatchEnabled", id="batch builds"),
        pytest.param(with_build(region="eu-west-1"), "action 'Compile' in another region", id="another region"),
        pytest.param(
            pipeline(stage("Source", source(configuration={"OutputArtifactFormat": "CODEBUILD_CLONE_REF"})), stage("B", approval())),
            "CODEBUILD_CLONE_REF",
            id="full clones",
        ),
    ],
)
def test_what_aws_has_and_does_not_run_here_is_refused_by_name(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError) as refused:
        check(declared, REGION, "CreatePipeline")
    assert (refused.value.code, refused.value.status) == ("NotImplemented", 501)
    assert words in refused.value.message


def test_a_good_pipeline_passes_and_says_what_it_watches() -> None:
    assert check(full(), REGION, "CreatePipeline") == ["codecommit:web:main"]
    quiet = pipeline(stage("Source", source(configuration={"PollForSourceChanges": "false"})), stage("B", approval()))
    assert check(quiet, REGION, "CreatePipeline") == []


def test_defaults_are_filled_in_and_normalising_again_changes_nothing() -> None:
    once = normalised(full(), 3)
    assert (once["version"], once["executionMode"], once["pipelineType"]) == (3, "SUPERSEDED", "V1")
    gate = once["stages"][2]["actions"][0]
    assert gate == approval() | {"runOrder": 1}
    assert normalised(once, 3) == once


A, B, C = {"name": "A", "runOrder": 1}, {"name": "B", "runOrder": 1}, {"name": "C", "runOrder": 2}


@pytest.mark.parametrize(
    "statuses, expected",
    [
        pytest.param({}, Start(("A", "B")), id="one run order starts together"),
        pytest.param({"A": "Succeeded", "B": "InProgress"}, Wait(), id="it is waited for"),
        pytest.param({"A": "Failed", "B": "InProgress"}, Wait(), id="also when one has failed"),
        pytest.param({"A": "Failed", "B": "Succeeded"}, Failed(("A",)), id="then the stage fails"),
        pytest.param({"A": "Abandoned", "B": "Succeeded"}, Failed(("A",)), id="an abandoned action is not a success"),
        pytest.param({"A": "Succeeded", "B": "Succeeded"}, Start(("C",)), id="the next order follows"),
        pytest.param({"A": "Succeeded"}, Start(("B",)), id="a retry starts what has no status"),
        pytest.param({"A": "Succeeded", "B": "Succeeded", "C": "Succeeded"}, Done(), id="all succeeded"),
    ],
)
def test_the_next_step_of_a_stage(statuses: dict[str, Any], expected: Any) -> None:
    assert next_step([C, A, B], statuses) == expected


@pytest.mark.parametrize(
    "old, new, stage_name, expected",
    [
        pytest.param("ABC", "ABC", "A", "B", id="the next stage"),
        pytest.param("ABC", "ABC", "C", None, id="after the last"),
        pytest.param("ABC", "AXBC", "A", "X", id="a stage put between"),
        pytest.param("ABC", "AC", "B", "C", id="the stage itself is gone"),
        pytest.param("ABC", "A", "B", None, id="everything after is gone"),
    ],
)
def test_where_an_execution_goes_after_a_change(old: str, new: str, stage_name: str, expected: str | None) -> None:
    def of(names: str) -> dict[str, Any]:
        return {"stages": [{"name": name, "actions": []} for name in names]}

    assert successor(of(old), of(new), stage_name) == expected
