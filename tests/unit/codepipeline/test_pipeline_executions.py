"""Executions from source to deployment, with what an observer sees on the way (spec: worked execution)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pipeline_world import COMMIT, World, world_at
from pipelines import approval, build, deploy, full, pipeline, source, stage

from harness import ACCOUNT, REGION, until
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import TrailLine


def told(events: list[Event]) -> list[str]:
    """`subject STATE` of each event, in order."""
    said = []
    for event in events:
        detail = event.detail
        said.append(f"{detail.get('action') or detail.get('stage') or 'pipeline'} {detail['state']}")
    return said


def through(world: World, execution: str) -> None:
    """Play the outside of the full pipeline to its end."""
    world.build_ends(world.running("Build", "Compile"))
    world.approve("Approve", "OK")
    world.deployment_ends(world.running("Deploy", "Ship"))
    world.ends(execution, "Succeeded")


def test_a_commit_goes_through_source_build_approval_and_deployment(tmp_path: Path) -> None:
    events: list[Event] = []
    with world_at(tmp_path, events) as world:
        execution = world.create(full())
        through(world, execution)
        until(lambda: len(events) == 18, what=f"all events, have {told(events)}")
        shown = world.executions()[0]
        objects = [(o.name, o.by) for o in world.stored()]
        started = world.work()
    assert told(events) == [
        *("pipeline STARTED", "Source STARTED", "Fetch STARTED", "Fetch SUCCEEDED", "Source SUCCEEDED"),
        *("Build STARTED", "Compile STARTED", "Compile SUCCEEDED", "Build SUCCEEDED"),
        *("Approve STARTED", "OK STARTED", "OK SUCCEEDED", "Approve SUCCEEDED"),
        *("Deploy STARTED", "Ship STARTED", "Ship SUCCEEDED", "Deploy SUCCEEDED", "pipeline SUCCEEDED"),
    ]
    assert shown["status"] == "Succeeded"
    assert shown["trigger"]["triggerType"] == "CreatePipeline"
    assert [(r["actionName"], r["revisionId"], r["revisionSummary"]) for r in shown["sourceRevisions"]] == [("Fetch", COMMIT, "Say hello")]
    (name, by) = objects[0]
    assert name.startswith("artifacts/rel/SourceArti/")
    assert name.endswith(".zip")
    assert by == f"arn:aws:sts::{ACCOUNT}:assumed-role/pipeline/rel"
    deployment = next(w for w in started if w.id.startswith("d-"))
    built = next(w for w in started if w.id.startswith("unit:"))
    assert built.args["source_version"] == f"arn:aws:s3:::{name}"
    made = built.args["artifacts_override"]
    assert deployment.args["revision"]["s3Location"] == {
        "bucket": "artifacts",
        "key": f"{made['path']}/{made['name']}",
        "bundleType": "zip",
    }


def test_the_state_shows_revision_external_ids_and_what_never_ran(world: World) -> None:
    execution = world.create(full())
    built = world.running("Build", "Compile")
    state = world.stage("Source")
    assert state["latestExecution"] == {"pipelineExecutionId": execution, "status": "Succeeded", "type": "STANDARD"}
    fetched = state["actionStates"][0]
    assert fetched["currentRevision"]["revisionId"] == COMMIT
    assert fetched["latestExecution"]["summary"] == "Say hello"
    assert world.action("Build", "Compile")["externalExecutionId"] == built
    assert "latestExecution" not in world.stage("Deploy")
    assert world.action("Deploy", "Ship") == {}


def test_a_failed_build_fails_stage_and_execution_and_says_why(tmp_path: Path) -> None:
    events: list[Event] = []
    with world_at(tmp_path, events) as world:
        execution = world.create(full())
        world.build_ends(world.running("Build", "Compile"), "FAILED")
        world.ends(execution, "Failed")
        failed = world.action("Build", "Compile")
        summary = world.executions()[0]["statusSummary"]
        until(lambda: told(events)[-1] == "pipeline FAILED")
        lines = world.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "subject", execution))
    assert failed["status"] == "Failed"
    assert failed["errorDetails"] == {"code": "JobFailed", "message": "Build terminated with state: FAILED"}
    assert summary == "The action Compile in the stage Build failed."
    assert told(events)[-3:] == ["Compile FAILED", "Build FAILED", "pipeline FAILED"]
    assert any("Build terminated with state: FAILED" in line.text and line.level == "error" for line in lines)


def test_a_build_that_uploads_no_artifact_leaves_the_next_action_without_its_input(world: World) -> None:
    world.uploads = False
    execution = world.create(pipeline(stage("Build", build(outputs=["Out"])), stage("Deploy", deploy(artifact="Out"))))
    world.build_ends(world.running("Build", "Compile"))
    world.ends(execution, "Failed")
    assert world.action("Build", "Compile")["status"] == "Succeeded"
    error = world.action("Deploy", "Ship")["errorDetails"]
    assert error == {"code": "ConfigurationError", "message": "The input artifact Out was not produced by this pipeline execution."}


def test_a_failed_deployment_names_itself(world: World) -> None:
    execution = world.create(pipeline(stage("Deploy", deploy())))
    deployment = world.running("Deploy", "Ship")
    world.deployment_ends(deployment, "FAILURE")
    world.ends(execution, "Failed")
    assert world.action("Deploy", "Ship")["errorDetails"] == {"code": "JobFailed", "message": f"Deployment {deployment} failed"}


def test_parallel_actions_finish_before_the_stage_fails_and_the_next_order_never_starts(world: World) -> None:
    builds = [build("One"), build("Two"), build("Later", runOrder=2)]
    execution = world.create(pipeline(stage("Build", *builds)))
    one, two = world.running("Build", "One"), world.running("Build", "Two")
    world.build_ends(one, "FAILED")
    until(lambda: world.action("Build", "One")["status"] == "Failed")
    assert world.status(execution) == "InProgress"
    world.build_ends(two)
    world.ends(execution, "Failed")
    assert world.action("Build", "Two")["status"] == "Succeeded"
    assert world.action("Build", "Later") == {}


def test_a_later_run_order_starts_once_the_earlier_has_succeeded(world: World) -> None:
    execution = world.create(pipeline(stage("Build", build("Two", runOrder=2), build("One"))))
    first = world.running("Build", "One")
    assert world.action("Build", "Two") == {}
    world.build_ends(first)
    world.build_ends(world.running("Build", "Two"))
    world.ends(execution, "Succeeded")


def test_variables_reach_the_next_actions(world: World) -> None:
    declared = pipeline(
        stage("Source", source(namespace="Src")),
        stage(
            "Build",
            build(
                namespace="Made",
                configuration={
                    "EnvironmentVariables": '[{"name":"WHO","value":"#{variables.who}"},{"name":"ID","value":"#{codepipeline.PipelineExecutionId}"}]'
                },
            ),
        ),
        stage("Approve", approval(configuration={"CustomData": "#{Src.CommitId} #{Made.VERSION}"})),
        pipelineType="V2",
        variables=[{"name": "who", "defaultValue": "everyone"}],
    )
    execution = world.create(declared)
    built = world.running("Build", "Compile")
    world.build_ends(built, VERSION="1.2")
    until(lambda: world.action("Approve", "OK").get("token"))

    def detail(action: str) -> Any:
        details = world.api("ListActionExecutions", pipeline_name="rel", filter={"pipelineExecutionId": execution})
        return next(d for d in details["actionExecutionDetails"] if d["actionName"] == action)

    until(lambda: detail("OK")["input"]["resolvedConfiguration"], what="the approval's configuration is resolved")
    asked = detail("OK")["input"]
    assert asked["resolvedConfiguration"] == {"CustomData": f"{COMMIT} 1.2"}
    assert asked["configuration"] == {"CustomData": "#{Src.CommitId} #{Made.VERSION}"}
    variables = world.work(built)[0].args["environment_variables_override"]
    assert [(v["name"], v["value"]) for v in variables] == [("WHO", "everyone"), ("ID", execution)]
    assert detail("Compile")["output"]["outputVariables"] == {"VERSION": "1.2"}


def listening_queue(world: World) -> tuple[str, str]:
    """(a topic, the URL of a queue that gets its messages raw)."""
    topic = world.cloud.api("sns", "CreateTopic", name="approvals")["TopicArn"]
    url = world.cloud.api("sqs", "CreateQueue", queue_name="approvals")["QueueUrl"]
    arn = topic.replace(":sns:", ":sqs:")
    world.cloud.api("sns", "Subscribe", topic_arn=topic, protocol="sqs", endpoint=arn, attributes={"RawMessageDelivery": "true"})
    return topic, url


def test_an_approval_tells_its_topic_what_is_asked_and_by_which_token(world: World) -> None:
    topic, url = listening_queue(world)
    configuration = {"NotificationArn": topic, "CustomData": "look at it", "ExternalEntityLink": "http://site.example"}
    execution = world.create(pipeline(stage("Source", source()), stage("Approve", approval(configuration=configuration))))
    token = until(lambda: world.action("Approve", "OK").get("token"))
    [message] = until(lambda: world.cloud.api("sqs", "ReceiveMessage", queue_url=url).get("Messages"), what="the notification")
    asked = json.loads(message["Body"])["approval"]
    assert asked.pop("expires").endswith("Z") and asked.pop("approvalReviewLink").endswith(f"/rel/Approve/OK/approve/{token}")
    assert asked == {
        "pipelineName": "rel",
        "stageName": "Approve",
        "actionName": "OK",
        "token": token,
        "externalEntityLink": "http://site.example",
        "customData": "look at it",
    }
    world.approve("Approve", "OK")
    world.ends(execution, "Succeeded")


def test_an_approval_whose_role_may_not_publish_fails(world: World) -> None:
    topic, _ = listening_queue(world)
    world.identity.denied.add("sns:Publish")
    execution = world.create(pipeline(stage("Source", source()), stage("Approve", approval(configuration={"NotificationArn": topic}))))
    world.ends(execution, "Failed")
    error = world.action("Approve", "OK")["errorDetails"]
    assert error["code"] == "PermissionError" and "sns:Publish" in error["message"]


def test_a_variable_that_no_action_made_fails_the_action(world: World) -> None:
    declared = pipeline(
        stage("Source", source(namespace="Src")),
        stage("Approve", approval(configuration={"CustomData": "#{Src.NoSuchThing}"})),
    )
    execution = world.create(declared)
    world.ends(execution, "Failed")
    error = world.action("Approve", "OK")["errorDetails"]
    assert error["code"] == "ConfigurationError"
    assert "#{Src.NoSuchThing}" in error["message"]


@pytest.mark.parametrize(
    "denied, words",
    [
        pytest.param("codecommit:GetBranch", "Could not access the CodeCommit repository web.", id="the branch"),
        pytest.param("codecommit:UploadArchive", "Could not access the CodeCommit repository web.", id="the archive"),
        pytest.param("s3:PutObject", f'CodePipeline service role "arn:aws:iam::{ACCOUNT}:role/pipeline" is getting S3', id="the bucket"),
    ],
)
def test_a_role_without_permission_fails_the_source_in_words(world: World, denied: str, words: str) -> None:
    world.identity.denied.add(denied)
    execution = world.create(full())
    world.ends(execution, "Failed")
    error = world.action("Source", "Fetch")["errorDetails"]
    assert error["code"] == "PermissionError"
    assert error["message"].startswith(words)


@pytest.mark.parametrize(
    "denied, provider, action",
    [
        pytest.param("codebuild:StartBuild", "CodeBuild", ("Build", "Compile"), id="to start a build"),
        pytest.param("codedeploy:CreateDeployment", "CodeDeploy", ("Deploy", "Ship"), id="to deploy"),
    ],
)
def test_a_role_that_may_not_use_the_provider_fails_its_action(world: World, denied: str, provider: str, action: tuple[str, str]) -> None:
    world.identity.denied.add(denied)
    execution = world.create(pipeline(stage("Deploy", deploy())) if provider == "CodeDeploy" else full())
    world.ends(execution, "Failed")
    error = world.action(*action)["errorDetails"]
    assert error["code"] == "PermissionError"
    assert error["message"].startswith(f"The provided role does not have sufficient permissions to access {provider}: User: arn:aws:sts::")


def test_a_role_that_does_not_trust_codepipeline_is_refused(world: World) -> None:
    world.identity.untrusted.add(f"arn:aws:iam::{ACCOUNT}:role/pipeline")
    with pytest.raises(AwsError) as refused:
        world.create(full())
    assert refused.value.code == "InvalidStructureException"
    assert refused.value.message == f"CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::{ACCOUNT}:role/pipeline"


def test_a_role_that_trusts_codepipeline_no_longer_fails_the_action(world: World) -> None:
    world.create(full())
    world.identity.untrusted.add(f"arn:aws:iam::{ACCOUNT}:role/pipeline")
    execution = world.api("StartPipelineExecution", name="rel")["pipelineExecutionId"]
    world.ends(execution, "Failed")
    error = world.action("Source", "Fetch")["errorDetails"]
    assert error["code"] == "PermissionError"
    assert "is not authorized to perform AssumeRole on role" in error["message"]


@pytest.mark.parametrize(
    "configuration, error",
    [
        pytest.param({"ProjectName": "none"}, ("ConfigurationError", "Project cannot be found: none"), id="no such project"),
    ],
)
def test_a_build_that_cannot_start_fails_the_action(world: World, configuration: dict[str, str], error: tuple[str, str]) -> None:
    execution = world.create(pipeline(stage("Build", build(configuration=configuration))))
    world.ends(execution, "Failed")
    assert world.action("Build", "Compile")["errorDetails"] == {"code": error[0], "message": error[1]}


def test_a_branch_that_is_not_there_is_a_configuration_error(world: World) -> None:
    world.branches.clear()
    execution = world.create(full())
    world.ends(execution, "Failed")
    error = world.action("Source", "Fetch")["errorDetails"]
    assert error == {"code": "ConfigurationError", "message": "The branch main does not exist in the CodeCommit repository web."}


def test_a_push_starts_the_pipeline_with_the_commits_cause(world: World) -> None:
    first = world.create(full())
    through(world, first)
    commit = "b" * 40
    world.push(commit)
    until(lambda: len(world.executions()) == 2)
    newest = world.executions()[0]
    assert newest["trigger"] == {"triggerType": "PollForSourceChanges", "triggerDetail": "Fetch"}
    world.running("Build", "Compile")
    until(lambda: world.executions()[0]["sourceRevisions"])
    assert world.executions()[0]["sourceRevisions"][0]["revisionId"] == commit
    for words in ("started by PollForSourceChanges", "started unit:"):
        until(lambda words=words: any(words in line.text for line in chain(world, commit)), what=f"the commit's chain has: {words}")


def chain(world: World, commit: str) -> list[TrailLine]:
    return world.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "cause", f"commit:web@{commit}"))


def test_a_push_starts_no_pipeline_that_does_not_poll_or_watches_another_branch(world: World) -> None:
    quiet = pipeline(stage("Source", source(configuration={"PollForSourceChanges": "false"})), stage("Approve", approval()))
    world.api("CreatePipeline", pipeline=quiet | {"name": "quiet"})
    world.api("CreatePipeline", pipeline=full())
    world.push("c" * 40, branch="other")
    world.push("d" * 40)
    until(lambda: len(world.executions("rel")) == 2)
    assert len(world.executions("quiet")) == 1


def test_an_s3_source_takes_the_newest_version_and_needs_versioning(world: World) -> None:
    from pipelines import action

    def of(bucket: str) -> dict[str, Any]:
        fetch = action("Fetch", "Source/S3", {"S3Bucket": bucket, "S3ObjectKey": "web.zip"}, outputs=["SourceArtifact"])
        return pipeline(stage("Source", fetch), stage("Approve", approval()))

    world.objects["src/web.zip"] = "v1"
    execution = world.create(of("src"))
    until(lambda: world.action("Approve", "OK").get("token"))
    revision = world.executions()[0]["sourceRevisions"][0]
    assert (revision["revisionId"], revision["revisionSummary"]) == ("v1", "Amazon S3 version id: v1")
    assert world.stored()[0].sha256 == "src/web.zip?versionId=v1"
    detail = {"bucket": {"name": "src"}, "object": {"key": "web.zip"}}
    world.cloud.write(lambda ctx: ctx.emit("windtunnel.s3", "Object Created", [], detail))
    until(lambda: len(world.executions()) == 2, what="the new version starting the pipeline")
    world.api("CreatePipeline", pipeline=of("plain") | {"name": "plain"})
    plain = world.executions("plain")[0]["pipelineExecutionId"]
    world.ends(plain, "Failed", "plain")
    assert world.action("Source", "Fetch", "plain")["errorDetails"]["message"] == "The S3 bucket plain does not have versioning enabled."
    assert execution != plain


def test_a_start_with_the_same_token_is_one_execution(world: World) -> None:
    world.create(full())
    first = world.api("StartPipelineExecution", name="rel", client_request_token="t-1")
    again = world.api("StartPipelineExecution", name="rel", client_request_token="t-1")
    assert first == again
    assert len(world.executions()) == 2


def test_a_start_from_a_rule_is_triggered_by_the_rule(world: World) -> None:
    world.create(full())
    rule = world.identity.assume_for_service(_context(world), f"arn:aws:iam::{ACCOUNT}:role/ev", "on-push", "events.amazonaws.com")
    world.cloud.api("codepipeline", "StartPipelineExecution", principal=rule, name="rel")
    expected = {"triggerType": "CloudWatchEvent", "triggerDetail": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/on-push"}
    assert world.executions()[0]["trigger"] == expected


def _context(world: World) -> Context:
    return world.cloud.read(lambda ctx: ctx)


def test_source_overrides_are_for_v2_and_take_the_named_commit(world: World) -> None:
    override = [{"actionName": "Fetch", "revisionType": "COMMIT_ID", "revisionValue": "e" * 40}]
    world.create(pipeline(stage("Approve", approval()), pipelineType="V2", executionMode="PARALLEL"))
    started = world.api("StartPipelineExecution", name="rel", source_revisions=override)["pipelineExecutionId"]
    until(lambda: next(e for e in world.executions() if e["pipelineExecutionId"] == started)["sourceRevisions"])
    newest = next(e for e in world.executions() if e["pipelineExecutionId"] == started)
    assert newest["sourceRevisions"][0]["revisionId"] == "e" * 40
    world.api("CreatePipeline", pipeline=full() | {"name": "old"})
    with pytest.raises(AwsError) as refused:
        world.api("StartPipelineExecution", name="old", source_revisions=override)
    assert refused.value.code == "ValidationException"


def test_deleting_a_pipeline_forgets_what_ran(world: World) -> None:
    world.create(full())
    built = world.running("Build", "Compile")
    world.api("DeletePipeline", name="rel")
    world.api("DeletePipeline", name="rel")
    with pytest.raises(AwsError) as gone:
        world.api("GetPipelineState", name="rel")
    assert gone.value.code == "PipelineNotFoundException"
    assert gone.value.message == f"Account '{ACCOUNT}' does not have a pipeline with name 'rel'"
    world.build_ends(built)
    again = world.create(full())
    world.running("Build", "Compile")
    assert [e["pipelineExecutionId"] for e in world.executions()] == [again]
