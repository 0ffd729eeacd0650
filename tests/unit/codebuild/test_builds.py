"""Builds over a scripted machine: from the queue to the end, whatever the sandbox says or does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from build_lab import EVERYTHING, PROJECT, ROLE, Lab, phases

from harness import ACCOUNT, until
from windtunnel.compute.credentials import SandboxCredential
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codebuild.jobs import AT_ONCE
from windtunnel.services.codebuild.model import Build, BuildOutput

ALL = [
    "SUBMITTED",
    "QUEUED",
    "PROVISIONING",
    "DOWNLOAD_SOURCE",
    "INSTALL",
    "PRE_BUILD",
    "BUILD",
    "POST_BUILD",
    "UPLOAD_ARTIFACTS",
    "FINALIZING",
]


def test_a_build_goes_through_all_phases(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.say(build, {"resolved": "abc"}, {"exported": [{"name": "V", "value": "1"}]}, {"artifacts": {"location": "arn:aws:s3:::b/k"}})
    lab.play(build)
    found = lab.ended(build)
    assert phases(found) == {**dict.fromkeys(ALL, "SUCCEEDED"), "COMPLETED": None}
    assert all("endTime" in phase and isinstance(phase["durationInSeconds"], int) for phase in found["phases"][:-1])
    assert found["buildStatus"] == "SUCCEEDED"
    assert found["resolvedSourceVersion"] == "abc"
    assert found["exportedEnvironmentVariables"] == [{"name": "V", "value": "1"}]
    assert found["artifacts"] == {"location": "arn:aws:s3:::b/k"}
    assert found["logs"]["streamName"] == build.split(":")[1]
    assert found["initiator"] == "root"
    assert lab.log(build)[-6:] == [f"in {phase}" for phase in ALL[3:9]]
    until(lambda: build.split(":")[1] not in lab.world.boots, what="the sandbox's removal")
    assert lab.cloud.read(lambda ctx: (ctx.tx.get(BuildOutput, build), ctx.tx.get(SandboxCredential, build.split(":")[1]))) == (None, None)


def test_the_log_says_what_stands_in_for_the_image(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    assert any("stock image" in line and "aws/codebuild/standard:7.0" in line for line in lab.log(build))
    assert any("stock image: unpacking" in line for line in lab.log(build))


def test_a_failed_phase_fails_the_build_with_its_reason(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.play(build, "BUILD")
    found = lab.ended(build)
    assert found["buildStatus"] == "FAILED"
    [failed] = [phase for phase in found["phases"] if phase.get("phaseStatus") == "FAILED"]
    assert failed["phaseType"] == "BUILD"
    assert failed["contexts"][0]["statusCode"] == "COMMAND_EXECUTION_ERROR"
    [line] = [text for text in lab.trail(build) if "FAILED: COMMAND" in text]
    assert "make. Reason: exit status 2" in line and "| in BUILD" in line


def test_events_tell_of_every_phase_and_of_the_end(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.play(build)
    lab.ended(build)
    changes = until(lambda: [e for e in lab.events if e.detail.get("build-status") == "SUCCEEDED"], what="the last event")
    [last] = changes
    arn = f"arn:aws:codebuild:us-east-1:{ACCOUNT}:build/{build}"
    assert last.resources == (arn,)
    assert (last.detail["build-id"], last.detail["project-name"], last.detail["current-phase"]) == (arn, "app", "COMPLETED")
    assert last.detail["additional-information"]["build-complete"] is True
    assert last.detail["additional-information"]["logs"]["stream-name"] == build.split(":")[1]
    statuses = [e.detail["build-status"] for e in lab.events if e.detail_type == "CodeBuild Build State Change"]
    assert statuses == ["IN_PROGRESS", "SUCCEEDED"]
    completed = [e.detail["completed-phase"] for e in lab.events if e.detail_type == "CodeBuild Build Phase Change"]
    assert completed == ALL


def test_what_is_not_the_runners_language_is_logged(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.say(build, b"not json\n", b'{"t": "x", "log": 1}\n', b'{"t": 1, "log": "an old clock"}\n', b"\xff\xfe\n")
    lab.say(
        build, b'{"a":' * 100_000 + b"\n", b'{"t": 1e308, "begin": "DOWNLOAD_SOURCE"}\n', b'{"t": -1e308, "phase": "DOWNLOAD_SOURCE"}\n'
    )
    lab.say(build, b'{"t": 1, "begin": "NO_PHASE"}\n', b'{"t": 1, "artifacts": {"other": "x"}, "exported": [{}]}\n')
    lab.play(build)
    found = lab.ended(build)
    assert found["buildStatus"] == "SUCCEEDED"
    assert all(abs(phase["startTime"] - found["startTime"]) < 60 for phase in found["phases"])
    assert {"not json", '{"t": "x", "log": 1}', "an old clock", "\ufffd\ufffd"} <= set(lab.log(build))


def test_a_line_that_comes_in_pieces_is_one_line(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.say(build, b'{"t": 1700000000.0, "lo')
    lab.say(build, b'g": "whole"}\n')
    lab.play(build)
    lab.ended(build)
    assert "whole" in lab.log(build)


def test_stopping_ends_the_sandbox(lab: Lab) -> None:
    build = lab.start()
    uuid = lab.in_sandbox(build)
    lab.say(build, {"begin": "DOWNLOAD_SOURCE"}, {"phase": "DOWNLOAD_SOURCE"}, {"begin": "BUILD"})
    until(lambda: lab.build(build)["currentPhase"] == "BUILD", what="BUILD")
    lab.api("StopBuild", id=build)
    found = lab.ended(build)
    assert (found["buildStatus"], phases(found)["BUILD"]) == ("STOPPED", "STOPPED")
    until(lambda: uuid not in lab.world.boots, what="the sandbox's removal")
    assert lab.api("StopBuild", id=build)["build"]["buildStatus"] == "STOPPED"


@pytest.mark.parametrize(
    "end, status, words",
    [
        pytest.param({"code": None, "signal": 9, "oom_killed": True}, "FAULT", "ended before the build did", id="killed"),
        pytest.param({"code": 0}, "FAULT", "ended before the build did", id="ended without a word"),
    ],
)
def test_a_sandbox_that_ends_too_soon_is_a_fault(lab: Lab, end: dict[str, Any], status: str, words: str) -> None:
    build = lab.start()
    uuid = lab.in_sandbox(build)
    lab.say(build, {"begin": "DOWNLOAD_SOURCE"}, b'{"half a line')
    lab.world.end(uuid, **end)
    found = lab.ended(build)
    assert found["buildStatus"] == status
    assert words in next(phase for phase in found["phases"] if phase.get("phaseStatus") == status)["contexts"][0]["message"]
    assert '{"half a line' in lab.log(build)


def test_a_runner_that_was_told_to_end_says_why(lab: Lab) -> None:
    build = lab.start()
    uuid = lab.in_sandbox(build)
    lab.say(build, {"begin": "DOWNLOAD_SOURCE"}, {"terminated": True})
    lab.world.end(uuid, code=143)
    found = lab.ended(build)
    assert found["buildStatus"] == "STOPPED"
    assert "shut down" in json.dumps(found["phases"])


def test_a_sandbox_that_cannot_start_is_a_fault_in_provisioning(lab: Lab) -> None:
    lab.world.failure = "runc is missing"
    found = lab.ended(lab.start())
    assert (found["buildStatus"], phases(found)["PROVISIONING"]) == ("FAULT", "FAULT")
    assert "runc is missing" in found["phases"][2]["contexts"][0]["message"]


def test_another_image_cannot_be_pulled(lab: Lab) -> None:
    found = lab.ended(lab.start(image_override="python:3.12"))
    [context] = found["phases"][2]["contexts"]
    assert found["buildStatus"] == "FAILED"
    assert context["statusCode"] == "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE"
    assert "CannotPullContainerError: python:3.12" in context["message"]
    assert lab.world.boots == {}


def test_a_role_that_may_not_log_fails_the_build(lab: Lab) -> None:
    lab.allow(EVERYTHING, {"Effect": "Deny", "Action": "logs:CreateLogStream", "Resource": "*"})
    found = lab.ended(lab.start())
    [context] = found["phases"][2]["contexts"]
    assert (found["buildStatus"], context["statusCode"]) == ("FAILED", "ACCESS_DENIED")
    assert "does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams" in context["message"]


def test_a_role_that_loses_its_log_in_the_middle_does_not_succeed(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.allow(EVERYTHING, {"Effect": "Deny", "Action": "logs:PutLogEvents", "Resource": "*"})
    lab.play(build)
    found = lab.ended(build)
    assert (found["buildStatus"], phases(found)["FINALIZING"]) == ("FAILED", "FAILED")


def test_builds_wait_for_a_place_first_come_first_served(lab: Lab) -> None:
    running = [lab.start() for _ in range(AT_ONCE)]
    for build in running:
        lab.in_sandbox(build)
    waiting = [lab.start() for _ in range(2)]
    until(lambda: all(lab.build(build)["currentPhase"] == "QUEUED" for build in waiting))
    assert len(lab.world.boots) == AT_ONCE
    lab.play(running[0])
    lab.ended(running[0])
    lab.in_sandbox(waiting[0])
    assert lab.build(waiting[1])["currentPhase"] == "QUEUED"
    lab.api("StopBuild", id=waiting[1])
    assert lab.ended(waiting[1])["buildStatus"] == "STOPPED"
    assert phases(lab.build(waiting[1]))["QUEUED"] == "STOPPED"


def test_two_that_leave_at_once_make_room_for_two(lab: Lab) -> None:
    running = [lab.start() for _ in range(AT_ONCE)]
    for build in running:
        lab.in_sandbox(build)
    waiting = [lab.start() for _ in range(2)]
    for build in running[:2]:
        lab.play(build)
    for build in waiting:
        lab.in_sandbox(build)


def test_the_projects_own_limit(lab: Lab) -> None:
    lab.api("UpdateProject", name="app", concurrent_build_limit=1)
    lab.start()
    with pytest.raises(AwsError, match="Project build limit exceeded") as caught:
        lab.start()
    assert caught.value.code == "AccountLimitExceededException"


def test_a_token_is_one_build(lab: Lab) -> None:
    assert lab.start(idempotency_token="t") == lab.start(idempotency_token="t")
    assert lab.start(idempotency_token="u") != lab.start(idempotency_token="t")
    with pytest.raises(AwsError, match="other parameters") as caught:
        lab.start(idempotency_token="t", source_version="x")
    assert caught.value.code == "InvalidInputException"


def test_a_role_may_insist_on_the_project(lab: Lab) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "codebuild.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/app"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    lab.cloud.api("iam", "UpdateAssumeRolePolicy", role_name="builder", policy_document=document)
    lab.in_sandbox(lab.start())
    with pytest.raises(AwsError, match="sts:AssumeRole on service role"):
        lab.api("CreateProject", **{**PROJECT, "name": "other"})


def test_a_projects_second_life_keeps_the_builds_of_the_first(lab: Lab) -> None:
    first = lab.start()
    lab.api("DeleteProject", name="app")
    lab.api("CreateProject", **PROJECT)
    second = lab.start()
    assert lab.build(second)["buildNumber"] == 1
    assert lab.api("ListBuildsForProject", project_name="app")["ids"] == [second, first]


def test_overrides_win_for_one_build_only(lab: Lab) -> None:
    build = lab.start(
        environment_variables_override=[{"name": "A", "value": "2"}],
        timeout_in_minutes_override=5,
        compute_type_override="BUILD_GENERAL1_MEDIUM",
    )
    found = lab.build(build)
    assert found["environment"]["environmentVariables"] == [{"type": "PLAINTEXT", "name": "A", "value": "2"}]
    assert (found["timeoutInMinutes"], found["environment"]["computeType"]) == (5, "BUILD_GENERAL1_MEDIUM")
    [project] = lab.api("BatchGetProjects", names=["app"])["projects"]
    assert project["environment"]["environmentVariables"] == []


def test_the_sandbox_gets_the_plan_and_the_roles_credentials(lab: Lab) -> None:
    build = lab.start(source_version="v1")
    uuid = lab.in_sandbox(build)
    spec = lab.world.boots[uuid][0].spec
    plan = json.loads(spec.files[0].content)
    assert (plan["buildspec"].startswith("version: 0.2"), plan["sources"][0]["version"]) == (True, "v1")
    assert spec.env["CODEBUILD_BUILD_ID"] == build and spec.env["CODEBUILD_SOURCE_VERSION"] == "v1"
    held = lab.cloud.read(lambda ctx: ctx.tx.get(SandboxCredential, uuid))
    assert held is not None and held.path == spec.env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
    credential = lab.cloud.read(lambda ctx: lab.cloud.cloud.identity.credential(ctx.tx, held.access_key))
    assert credential is not None and credential.principal.arn.endswith(f"assumed-role/builder/AWSCodeBuild-{uuid}")


def test_a_pipeline_gives_its_artifacts(lab: Lab) -> None:
    lab.api("UpdateProject", name="app", source={"type": "CODEPIPELINE"}, artifacts={"type": "CODEPIPELINE"})
    session = lab.cloud.write(lambda ctx: ctx.assuming(ROLE, "my-pipeline", "codepipeline.amazonaws.com").principal)
    build = lab.api(
        "StartBuild",
        principal=session,
        project_name="app",
        source_version="arn:aws:s3:::bucket/my-pipeline/Source/abc",
        source_revision="c0ffee",
        artifacts_override={"type": "CODEPIPELINE", "location": "bucket", "path": "my-pipeline/Build", "name": "xyz", "packaging": "ZIP"},
    )["build"]
    assert (build["initiator"], build["sourceVersion"]) == ("codepipeline/my-pipeline", "arn:aws:s3:::bucket/my-pipeline/Source/abc")
    spec = lab.world.boots[lab.in_sandbox(build["id"])][0].spec
    plan = json.loads(spec.files[0].content)
    assert (build["resolvedSourceVersion"], spec.env["CODEBUILD_RESOLVED_SOURCE_VERSION"]) == ("c0ffee", "c0ffee")
    assert plan["sources"][0]["location"] == "bucket/my-pipeline/Source/abc"
    assert (plan["artifacts"]["location"], plan["artifacts"]["path"], plan["artifacts"]["name"]) == ("bucket", "my-pipeline/Build", "xyz")


def test_retrying_is_a_new_build_with_the_same_parameters(lab: Lab) -> None:
    old = lab.start(source_version="v1", timeout_in_minutes_override=7)
    with pytest.raises(AwsError, match="still in progress"):
        lab.api("RetryBuild", id=old)
    lab.in_sandbox(old)
    lab.play(old, "BUILD")
    lab.ended(old)
    new = lab.api("RetryBuild", id=old)["build"]
    assert (new["sourceVersion"], new["timeoutInMinutes"], new["buildNumber"]) == ("v1", 7, 2)


def test_builds_are_listed_newest_first(lab: Lab) -> None:
    started = [lab.start() for _ in range(3)]
    assert lab.api("ListBuilds")["ids"] == started[::-1]
    assert lab.api("ListBuildsForProject", project_name="app", sort_order="ASCENDING")["ids"] == started
    assert lab.api("BatchGetBuilds", ids=[started[0], "app:none"])["buildsNotFound"] == ["app:none"]


def test_long_lists_come_in_pages_that_meet(lab: Lab) -> None:
    def fill(ctx: Any) -> list[str]:
        from windtunnel.services.codebuild.model import places

        made = []
        for number in range(1, 251):
            build = Build(
                id=f"app:{number}", number=number, settings={}, source_version="", initiator="", started=float(number), cause="", ended=1.0
            )
            for place in places(build):
                ctx.tx.put(place)
            made.append(build.id)
        return made

    made = lab.cloud.write(fill)
    for operation, args in (("ListBuilds", {}), ("ListBuildsForProject", {"project_name": "app"})):
        for order, expected in (("ASCENDING", made), ("DESCENDING", made[::-1])):
            seen, token = [], None
            while True:
                page = lab.api(operation, sort_order=order, **args, **({"next_token": token} if token else {}))
                seen += page["ids"]
                token = page.get("nextToken")
                if token is None:
                    break
            assert seen == expected
    with pytest.raises(AwsError) as caught:
        lab.api("ListBuilds", next_token="!!")
    assert caught.value.code == "InvalidInputException"


def test_only_builds_that_have_ended_are_deleted(lab: Lab) -> None:
    ended, alive = lab.start(), lab.start()
    lab.in_sandbox(ended)
    lab.play(ended)
    lab.ended(ended)
    reply = lab.api("BatchDeleteBuilds", ids=[ended, alive])
    assert reply["buildsDeleted"] == [f"arn:aws:codebuild:us-east-1:{ACCOUNT}:build/{ended}"]
    assert [one["id"] for one in reply["buildsNotDeleted"]] == [alive]
    assert lab.api("ListBuilds")["ids"] == [alive]


@pytest.mark.parametrize(
    "operation, args, code",
    [
        pytest.param("StartBuild", {"project_name": "none"}, "ResourceNotFoundException", id="no such project"),
        pytest.param("StopBuild", {"id": "app:none"}, "ResourceNotFoundException", id="no such build"),
        pytest.param("StopBuild", {"id": "none"}, "InvalidInputException", id="not an id"),
        pytest.param("RetryBuild", {}, "InvalidInputException", id="retry of nothing"),
        pytest.param("ListBuildsForProject", {"project_name": "none"}, "ResourceNotFoundException", id="builds of no project"),
        pytest.param("BatchGetBuilds", {"ids": []}, "InvalidInputException", id="no ids"),
        pytest.param("StartBuild", {"project_name": "app", "source_type_override": "GITHUB"}, "NotImplemented", id="GitHub is not built"),
        pytest.param(
            "StartBuild",
            {"project_name": "app", "service_role_override": "arn:aws:iam::123456789012:role/x"},
            "InvalidInputException",
            id="a role that does not trust",
        ),
    ],
)
def test_bad_requests_change_nothing(lab: Lab, operation: str, args: dict[str, Any], code: str) -> None:
    with pytest.raises(AwsError) as caught:
        lab.api(operation, **args)
    assert caught.value.code == code
    assert lab.api("ListBuilds")["ids"] == []
