"""Deployments from their creation to their end: the order, failures, rollbacks, stops, silence, restarts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deployment_world import ROLE, World, revision

from harness import ACCOUNT, REGION, until
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import TrailLine
from windtunnel.services.codedeploy.model.progress import IN_PLACE

A, B, C = (f"i-{n:017x}" for n in (1, 2, 3))
OPEN = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]})
MAY_TELL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"}]})
ON_FAILURE = {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}


def states(world: World, kind: str) -> list[str]:
    return [detail["state"] for name, detail in world.events if name.startswith(f"CodeDeploy {kind}")]


def code(caught: pytest.ExceptionInfo[AwsError]) -> str:
    return caught.value.code


def test_one_at_a_time_deploys_to_one_instance_after_the_other(world: World) -> None:
    world.set_up(2)
    deployment = world.begun(world.deploy())
    assert world.info(deployment)["deploymentOverview"] == {
        "Pending": 1,
        "InProgress": 1,
        "Succeeded": 0,
        "Failed": 0,
        "Skipped": 0,
        "Ready": 0,
    }
    assert world.poll(B) is None
    info = world.drive(deployment)
    assert (info["status"], info["deploymentOverview"]["Succeeded"]) == ("Succeeded", 2)
    assert world.seen == [*((A, event) for event in IN_PLACE), *((B, event) for event in IN_PLACE)]
    until(lambda: states(world, "Deployment") == ["START", "SUCCESS"], what="the deployment's events")
    assert states(world, "Instance") == ["START", "SUCCESS", "START", "SUCCESS"]


def test_events_have_the_details_that_eventbridge_rules_match(world: World) -> None:
    world.set_up(1)
    deployment = world.begun(world.deploy())
    world.drive(deployment)
    group = world.api("GetDeploymentGroup", application_name="shop", deployment_group_name="web")["deploymentGroupInfo"]
    until(lambda: len(world.events) == 4, what="four events")
    common = {
        "region": REGION,
        "deploymentId": deployment,
        "instanceGroupId": group["deploymentGroupId"],
        "deploymentGroup": "web",
        "application": "shop",
    }
    assert world.events[0] == ("CodeDeploy Deployment State-change Notification", {**common, "state": "START"})
    assert world.events[1] == ("CodeDeploy Instance State-change Notification", {**common, "instanceId": A, "state": "START"})


def test_success_is_remembered_by_the_group(world: World) -> None:
    world.set_up(1)
    deployment = world.deploy("one.zip")
    world.drive(deployment)
    group = world.api("GetDeploymentGroup", application_name="shop", deployment_group_name="web")["deploymentGroupInfo"]
    assert group["targetRevision"] == revision("one.zip")
    assert group["lastSuccessfulDeployment"]["deploymentId"] == group["lastAttemptedDeployment"]["deploymentId"] == deployment
    found = world.api("GetApplicationRevision", application_name="shop", revision=revision("one.zip"))["revisionInfo"]
    assert found["deploymentGroups"] == ["web"]
    assert found["description"] == f"Application revision registered by Deployment ID: {deployment}"
    again = world.deploy("two.zip")
    assert world.info(again)["previousRevision"] == revision("one.zip")


def test_a_failing_hook_fails_the_deployment_and_says_where(world: World) -> None:
    world.set_up(2)
    world.failing = {(A, "ApplicationStart")}
    deployment = world.deploy()
    info = world.drive(deployment)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["code"] == "HEALTH_CONSTRAINTS"
    assert info["errorInformation"]["message"].startswith("The overall deployment failed because too many individual instances failed")
    assert info["deploymentOverview"] == {"Pending": 0, "InProgress": 0, "Succeeded": 0, "Failed": 1, "Skipped": 1, "Ready": 0}
    summary = world.api("GetDeploymentInstance", deployment_id=deployment, instance_id=A)["instanceSummary"]
    event = next(e for e in summary["lifecycleEvents"] if e["lifecycleEventName"] == "ApplicationStart")
    assert event["diagnostics"] == {
        "errorCode": "ScriptFailed",
        "scriptName": "scripts/ApplicationStart.sh",
        "message": "failed with exit code 3",
        "logTail": "[stderr]no luck\n",
    }
    assert world.events_of(deployment, A)["ValidateService"] == "Skipped"
    assert set(world.events_of(deployment, B).values()) == {"Skipped"}
    lines = [line.text for line in world.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "subject", deployment))]
    assert any("ApplicationStart (scripts/ApplicationStart.sh) failed" in text and "no luck" in text for text in lines)


def test_a_failure_is_rolled_back_to_the_last_good_revision(world: World) -> None:
    world.set_up(2, auto_rollback_configuration=ON_FAILURE)
    world.drive(world.deploy("good.zip"))
    world.failing = {(A, "ApplicationStart")}
    bad = world.deploy("bad.zip")
    info = world.drive(bad)
    rollback = info["rollbackInfo"]["rollbackDeploymentId"]
    world.failing = set()
    after = world.drive(rollback)
    assert (after["creator"], after["status"], after["revision"]) == ("codeDeployRollback", "Succeeded", revision("good.zip"))
    assert after["rollbackInfo"]["rollbackTriggeringDeploymentId"] == bad
    assert world.api("ListDeploymentTargets", deployment_id=rollback)["targetIds"] == [A]
    assert after["deploymentConfigName"] == info["deploymentConfigName"]


def test_without_a_good_revision_nothing_is_rolled_back(world: World) -> None:
    world.set_up(1, auto_rollback_configuration=ON_FAILURE)
    world.failing = {(A, "BeforeInstall")}
    info = world.drive(world.deploy())
    assert info["rollbackInfo"] == {
        "rollbackMessage": "No rollback was performed because the deployment group has no previous successful deployment."
    }


def test_a_rollback_that_fails_is_not_rolled_back_again(world: World) -> None:
    world.set_up(1, auto_rollback_configuration=ON_FAILURE)
    world.drive(world.deploy("good.zip"))
    world.failing = {(A, "Install")}
    rollback = world.drive(world.deploy("bad.zip"))["rollbackInfo"]["rollbackDeploymentId"]
    info = world.drive(rollback)
    assert info["status"] == "Failed"
    assert "rollbackDeploymentId" not in info["rollbackInfo"]


def test_a_failing_application_stop_can_be_ignored(world: World) -> None:
    world.set_up(1)
    deployment = world.begun(world.deploy(ignore_application_stop_failures=True))
    command = world.poll(A)
    assert command is not None and command["CommandName"] == "ApplicationStop"
    world.acknowledge(A, command)
    world.complete(A, command, {"error_code": 1, "script_name": "stop.sh", "message": "missing", "log": ""})
    info = world.drive(deployment)
    assert info["status"] == "Succeeded"
    assert world.events_of(deployment, A)["ApplicationStop"] == "Failed"


def test_unhealthy_instances_come_first_in_the_next_deployment(world: World) -> None:
    world.set_up(3, deployment_config_name="CodeDeployDefault.AllAtOnce")
    world.failing = {(C, "Install")}
    assert world.drive(world.deploy("one.zip"))["status"] == "Succeeded"
    world.failing, world.seen = set(), []
    world.drive(world.deploy("two.zip", deployment_config_name="CodeDeployDefault.OneAtATime"))
    assert [instance for instance, event in world.seen if event == "Install"] == [C, A, B]


def test_only_outdated_instances_when_asked_for(world: World) -> None:
    world.set_up(2, deployment_config_name="CodeDeployDefault.AllAtOnce")
    world.failing = {(B, "Install")}
    world.drive(world.deploy("one.zip"))
    world.failing = set()
    again = world.deploy("one.zip", update_outdated_instances_only=True)
    assert world.drive(again)["status"] == "Succeeded"
    assert world.api("ListDeploymentTargets", deployment_id=again)["targetIds"] == [B]


def test_a_group_without_instances(world: World) -> None:
    world.set_up(0)
    info = world.drive(world.deploy())
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "NO_INSTANCES")
    assert "startTime" not in info


def test_a_minimum_that_cannot_be_held(world: World) -> None:
    world.set_up(1, deployment_config_name="CodeDeployDefault.HalfAtATime")
    assert world.drive(world.deploy())["errorInformation"]["code"] == "HEALTH_CONSTRAINTS_INVALID"


def test_a_role_that_may_not_look_at_instances(world: World) -> None:
    world.set_up(1)
    world.cloud.api("iam", "DeleteRolePolicy", role_name="Deployer", policy_name="look")
    info = world.drive(world.deploy())
    assert info["errorInformation"]["code"] == "IAM_ROLE_PERMISSIONS"
    assert ROLE in info["errorInformation"]["message"]


def test_a_run_that_breaks_fails_the_deployment_and_frees_the_group(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.set_up(1)
    fleet, world.fleet = world.fleet, None  # type: ignore[assignment]
    broken = world.deploy()
    info = until(lambda: (i := world.info(broken))["status"] == "Failed" and i, what="the failure")
    assert info["errorInformation"]["code"] == "INTERNAL_ERROR"
    assert "codedeploy.deployment" in caplog.text
    world.fleet = fleet
    assert world.drive(world.deploy())["status"] == "Succeeded"


def test_one_active_deployment_a_group(world: World) -> None:
    world.set_up(1)
    first = world.deploy()
    with pytest.raises(AwsError) as caught:
        world.deploy()
    assert (code(caught), caught.value.message) == (
        "DeploymentLimitExceededException",
        f"The Deployment Group 'web' already has an active Deployment '{first}'",
    )
    world.drive(first)
    world.drive(world.deploy())


def test_an_agent_that_stays_silent_fails_after_five_minutes(world: World) -> None:
    world.set_up(1)
    deployment = world.begun(world.deploy())
    world.clock.advance(299)
    assert world.seconds_left(deployment) == pytest.approx(1)
    world.restart()
    until(lambda: world.seconds_left(deployment) == 300, what="the time that agents get after a restart")
    world.clock.advance(300)
    assert world.seconds_left(deployment) is None
    info = world.info(deployment)
    assert info["errorInformation"]["code"] == "HEALTH_CONSTRAINTS"
    target = world.api("GetDeploymentTarget", deployment_id=deployment, target_id=A)["deploymentTarget"]["instanceTarget"]
    assert target["lifecycleEvents"][0]["diagnostics"]["message"].startswith("CodeDeploy agent was not able to receive the lifecycle event")


@pytest.mark.parametrize("state", ["stopped", "terminated"])
def test_an_instance_that_goes_away_fails_at_once(world: World, state: str) -> None:
    world.set_up(3)
    deployment = world.begun(world.deploy(ignore_application_stop_failures=True))
    command = world.poll(A)
    assert command is not None
    world.acknowledge(A, command)
    for gone in (A, C):
        detail = {"instance-id": gone, "state": state}
        world.cloud.write(lambda ctx, detail=detail: ctx.emit("aws.ec2", "EC2 Instance State-change Notification", [], detail))
    until(lambda: world.info(deployment)["status"] == "Failed", what="the end of the deployment")
    for gone in (A, C):
        found = world.api("GetDeploymentTarget", deployment_id=deployment, target_id=gone)["deploymentTarget"]["instanceTarget"]
        first = found["lifecycleEvents"][0]
        assert (found["status"], first["status"]) in (("Failed", "Failed"), ("Skipped", "Skipped"))
    failed = world.api("GetDeploymentTarget", deployment_id=deployment, target_id=A)["deploymentTarget"]["instanceTarget"]
    message = failed["lifecycleEvents"][0]["diagnostics"]["message"]
    assert message == f"The instance was {state} before the lifecycle event ended."


def test_a_group_that_is_deleted_in_the_middle_lets_its_deployment_end(world: World) -> None:
    world.set_up(2, auto_rollback_configuration=ON_FAILURE)
    world.drive(world.deploy("good.zip"))
    deployment = world.begun(world.deploy("next.zip"))
    world.work(A)
    world.api("DeleteDeploymentGroup", application_name="shop", deployment_group_name="web")
    world.failing = {(B, "Install")}
    assert world.drive(deployment)["status"] == "Succeeded"
    assert "rollbackInfo" not in world.info(deployment)
    world.api("CreateDeploymentGroup", application_name="shop", deployment_group_name="web", service_role_arn=ROLE)
    assert world.api("ListDeployments", application_name="shop", deployment_group_name="web")["deployments"] == []


def test_every_line_of_a_deployment_has_its_cause_and_its_place(world: World) -> None:
    world.set_up(1, auto_rollback_configuration=ON_FAILURE)
    world.drive(world.deploy("good.zip"))
    world.failing = {(A, "Install")}
    bad = world.deploy("bad.zip")
    rollback = world.drive(bad)["rollbackInfo"]["rollbackDeploymentId"]
    world.failing = set()
    world.drive(rollback)
    lines = [line.text for line in world.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "cause", f"deployment:{bad}"))]
    words = ["was created by arn:aws:iam", "Install (scripts/Install.sh) failed", "ended: Failed", "was created by codeDeployRollback"]
    words += ["is rolled back by", "s3://artifacts/good.zip is deployed on", "ended: Succeeded"]
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        assert word in line


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_stopping_between_commands_is_done_at_once(world: World) -> None:
    world.set_up(2)
    deployment = world.begun(world.deploy())
    command = world.poll(A)
    assert command is not None
    reply = world.api("StopDeployment", deployment_id=deployment)
    assert reply == {
        "status": "Succeeded",
        "statusMessage": "No more commands will be scheduled for execution in the deployment instances",
    }
    info = world.info(deployment)
    assert (info["status"], info["errorInformation"]["code"], info["deploymentOverview"]["Skipped"]) == ("Stopped", "MANUAL_STOP", 2)
    assert world.acknowledge(A, command) == "Failed"
    assert world.poll(A) is None
    with pytest.raises(AwsError) as caught:
        world.api("StopDeployment", deployment_id=deployment)
    assert code(caught) == "DeploymentAlreadyCompletedException"


def test_a_running_script_ends_before_the_deployment_is_stopped(world: World) -> None:
    world.set_up(2, auto_rollback_configuration={"enabled": True, "events": ["DEPLOYMENT_STOP_ON_REQUEST"]})
    world.drive(world.deploy("good.zip"))
    deployment = world.begun(world.deploy("next.zip"))
    while (command := world.poll(A)) and command["CommandName"] != "Install":
        world.work(A)
    assert command is not None and world.acknowledge(A, command) == "InProgress"
    assert world.api("StopDeployment", deployment_id=deployment)["status"] == "Pending"
    assert world.info(deployment)["status"] == "InProgress"
    world.complete(A, command)
    info = world.info(deployment)
    assert info["status"] == "Stopped"
    assert (world.events_of(deployment, A)["Install"], world.events_of(deployment, A)["AfterInstall"]) == ("Succeeded", "Skipped")
    assert world.drive(info["rollbackInfo"]["rollbackDeploymentId"])["revision"] == revision("good.zip")


def test_who_stops_says_whether_to_roll_back(world: World) -> None:
    world.set_up(1, auto_rollback_configuration={"enabled": True, "events": ["DEPLOYMENT_STOP_ON_REQUEST"]})
    world.drive(world.deploy("good.zip"))
    deployment = world.begun(world.deploy("next.zip"))
    world.work(A)
    world.api("StopDeployment", deployment_id=deployment, auto_rollback_enabled=False)
    assert "rollbackInfo" not in world.info(deployment)


# -- the command service ----------------------------------------------------------------------------------------------


def test_the_specification_tells_the_agent_what_to_do(world: World) -> None:
    import json

    world.set_up(1)
    deployment = world.begun(world.deploy("app.tgz", file_exists_behavior="OVERWRITE"))
    command = world.poll(A)
    assert command is not None
    host = command["HostIdentifier"]
    execution = command["DeploymentExecutionId"]
    reply = world.as_agent(A, "GetDeploymentSpecification", deployment_execution_id=execution, host_identifier=host)
    found = json.loads(reply["DeploymentSpecification"]["GenericEnvelope"]["Payload"])
    assert found["DeploymentId"] == deployment
    assert found["Revision"] == {"RevisionType": "S3", "S3Revision": {"Bucket": "artifacts", "Key": "app.tgz", "BundleType": "zip"}}
    assert found["AgentActionOverrides"]["AgentOverrides"]["FileExistsBehavior"] == "OVERWRITE"


def test_nobody_but_the_instance_speaks_for_it(world: World) -> None:
    world.set_up(2)
    world.begun(world.deploy())
    command = world.poll(A)
    assert command is not None
    calls: list[tuple[str, dict[str, Any]]] = [
        ("PollHostCommand", {"host_identifier": command["HostIdentifier"]}),
        ("PutHostCommandAcknowledgement", {"host_command_identifier": command["HostCommandIdentifier"]}),
        ("PutHostCommandComplete", {"host_command_identifier": command["HostCommandIdentifier"], "command_status": "Succeeded"}),
        (
            "GetDeploymentSpecification",
            {"deployment_execution_id": command["DeploymentExecutionId"], "host_identifier": command["HostIdentifier"]},
        ),
    ]
    for operation, args in calls:
        with pytest.raises(AwsError) as caught:
            world.as_agent(B, operation, **args)
        assert code(caught) == "AccessDeniedException"
        with pytest.raises(AwsError):
            world.cloud.api("codedeploy-commands", operation, **args)
    other = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{A}"
    with pytest.raises(AwsError):
        world.as_agent(A, "PollHostCommand", host_identifier=other)


def test_reports_may_be_repeated(world: World) -> None:
    world.set_up(1)
    deployment = world.begun(world.deploy())
    command = world.poll(A)
    assert command is not None
    assert [world.acknowledge(A, command) for _ in range(2)] == ["InProgress", "InProgress"]
    for _ in range(2):
        world.complete(A, command)
    assert world.acknowledge(A, command) == "Succeeded"
    assert list(world.events_of(deployment, A).values()) == ["Succeeded", *["Pending"] * 6]
    following = world.poll(A)
    assert following is not None and following["CommandName"] == "DownloadBundle"


@pytest.mark.parametrize("payload", ["[]", "{", '{"log": 1}', '{"log": "\\ud800"}', "[" * 5000])
def test_diagnostics_that_are_not_what_they_should_be(world: World, payload: str) -> None:
    world.set_up(1)
    world.begun(world.deploy())
    command = world.poll(A)
    assert command is not None
    with pytest.raises(AwsError) as caught:
        world.as_agent(
            A,
            "PutHostCommandComplete",
            host_command_identifier=command["HostCommandIdentifier"],
            command_status="Succeeded",
            diagnostics={"Format": "JSON", "Payload": payload},
        )
    assert code(caught) == "ClientException"
    assert world.poll(A) == command


@pytest.mark.parametrize("identifier", ["", "x", "e30=", "WzEsMiwzXQ==", "WyJhIiwiYiIsMF0=", "é"])
def test_a_wrong_command_identifier_is_refused(world: World, identifier: str) -> None:
    with pytest.raises(AwsError) as caught:
        world.as_agent(A, "PutHostCommandComplete", host_command_identifier=identifier, command_status="Succeeded")
    assert code(caught) == "ClientException"


# -- restarts ---------------------------------------------------------------------------------------------------------


def test_a_deployment_goes_on_after_a_restart_at_every_command(world: World) -> None:
    world.set_up(2)
    deployment = world.deploy()
    for _ in range(2 * len(IN_PLACE)):
        world.restart()
        until(lambda: world.work(A) or world.work(B), what="a command")
    info = until(lambda: (i := world.info(deployment))["status"] == "Succeeded" and i, what="success")
    assert info["deploymentOverview"]["Succeeded"] == 2
    assert world.seen == [*((A, event) for event in IN_PLACE), *((B, event) for event in IN_PLACE)]


def test_a_command_that_ended_while_the_cloud_was_away_is_reported_afterwards(world: World) -> None:
    world.set_up(1)
    deployment = world.begun(world.deploy())
    command = world.poll(A)
    assert command is not None
    world.acknowledge(A, command)
    world.clock.advance(3 * 3600)
    world.restart()
    world.complete(A, command)
    assert world.drive(deployment)["status"] == "Succeeded"


def test_triggers_tell_a_topic_of_what_happens(world: World) -> None:
    aws = world.cloud.api
    topic = aws("sns", "CreateTopic", name="deployments")["TopicArn"]
    queue = aws("sqs", "CreateQueue", queue_name="heard", attributes={"Policy": OPEN})["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:heard"
    aws("sns", "Subscribe", topic_arn=topic, protocol="sqs", endpoint=arn, attributes={"RawMessageDelivery": "true"})
    trigger = {"triggerName": "tell", "triggerTargetArn": topic, "triggerEvents": ["DeploymentSuccess", "InstanceSuccess"]}
    gone = {"triggerName": "nobody", "triggerTargetArn": f"{topic}-gone", "triggerEvents": ["DeploymentSuccess"]}
    world.set_up(1, trigger_configurations=[trigger, gone])
    aws("iam", "PutRolePolicy", role_name="Deployer", policy_name="tell", policy_document=MAY_TELL)
    group = world.api("GetDeploymentGroup", application_name="shop", deployment_group_name="web")["deploymentGroupInfo"]
    assert group["triggerConfigurations"] == [trigger, gone]
    deployment = world.deploy()
    assert world.drive(deployment)["status"] == "Succeeded"
    heard: list[dict[str, Any]] = []

    def all_heard() -> bool:
        heard.extend(json.loads(each["Body"]) for each in aws("sqs", "ReceiveMessage", queue_url=queue).get("Messages", []))
        return len(heard) == 2

    until(all_heard, what="both notifications")
    told = {one.get("status") or one["instanceStatus"]: one for one in heard}
    assert told.keys() == {"SUCCEEDED", "Succeeded"}
    assert all((one["eventTriggerName"], one["deploymentId"], one["applicationName"]) == ("tell", deployment, "shop") for one in heard)
    assert told["Succeeded"]["instanceId"] == f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{A}"
    assert json.loads(told["SUCCEEDED"]["deploymentOverview"])["Succeeded"] == "1"


@pytest.mark.parametrize(
    "trigger, expected",
    [
        ({"triggerName": "t", "triggerEvents": ["DeploymentStart"]}, "InvalidTriggerConfigException"),
        (
            {"triggerName": "t", "triggerTargetArn": "arn:aws:sqs:us-east-1:1:q", "triggerEvents": ["DeploymentStart"]},
            "InvalidTriggerConfigException",
        ),
        ({"triggerName": "t", "triggerTargetArn": "arn:aws:sns:us-east-1:1:t", "triggerEvents": []}, "InvalidTriggerConfigException"),
    ],
)
def test_a_trigger_that_cannot_be_is_refused(world: World, trigger: dict[str, Any], expected: str) -> None:
    with pytest.raises(AwsError) as caught:
        world.set_up(1, trigger_configurations=[trigger])
    assert code(caught) == expected
