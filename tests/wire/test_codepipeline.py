"""CodePipeline and EventBridge through boto3, over the real CodeCommit, S3 and IAM: sources, roles, permissions, refusals."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Pipeline"
RULES_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Rules"
PIPELINE = f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:rel"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/on-push"
PATTERN = '{"source": ["aws.codecommit"]}'
UUID = "00000000-0000-4000-8000-000000000000"
NEEDED = [
    *("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:GetBucketVersioning"),
    *("codecommit:GetBranch", "codecommit:GetCommit", "codecommit:UploadArchive"),
]


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def action(name: str, category: str, provider: str, configuration: dict[str, str], **more: Any) -> dict[str, Any]:
    type_id = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name, "actionTypeId": type_id, "configuration": configuration, **more}


def declared(source: dict[str, Any] | None = None) -> dict[str, Any]:
    fetch = source or action("Fetch", "Source", "CodeCommit", {"RepositoryName": "web", "BranchName": "main"})
    fetch["outputArtifacts"] = [{"name": "Src"}]
    ask = action("OK", "Approval", "Manual", {})
    stages = [{"name": "Source", "actions": [fetch]}, {"name": "Approve", "actions": [ask]}]
    return {"name": "rel", "roleArn": ROLE, "artifactStore": {"type": "S3", "location": "artifacts"}, "stages": stages}


def role(door: Door, name: str, service: str, actions: list[str]) -> None:
    iam = door.client("iam")
    trust = policy(Principal={"Service": f"{service}.amazonaws.com"}, Action="sts:AssumeRole")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(Action=actions, Resource="*"))


def with_world(door: Door) -> Door:
    """Roles, a repository with one commit, a versioned source bucket and an artifact bucket."""
    role(door, "Pipeline", "codepipeline", NEEDED)
    role(door, "Rules", "events", ["codepipeline:StartPipelineExecution"])
    s3 = door.client("s3")
    s3.create_bucket(Bucket="artifacts")
    s3.create_bucket(Bucket="sources")
    s3.put_bucket_versioning(Bucket="sources", VersioningConfiguration={"Status": "Enabled"})
    door.client("codecommit").create_repository(repositoryName="web")
    return door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with InProcessCloud(tmp_path) as cloud:
        yield with_world(Door(cloud))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One cloud for all calls that are refused: each of them must leave it as it was."""
    with InProcessCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        door = with_world(Door(cloud))
        door.client("codepipeline").create_pipeline(pipeline=declared())
        events = door.client("events")
        events.put_rule(Name="on-push", EventPattern=PATTERN, State="DISABLED")
        events.put_targets(Rule="on-push", Targets=[{"Id": "a", "Arn": PIPELINE, "RoleArn": RULES_ROLE}])
        yield door


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One cloud for all calls that are let in; each makes sure of what it needs."""
    with InProcessCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield with_world(Door(cloud))


def commit(door: Door, content: str) -> str:
    codecommit = door.client("codecommit")
    branches = codecommit.list_branches(repositoryName="web")["branches"]
    parent = {"parentCommitId": codecommit.get_branch(repositoryName="web", branchName="main")["branch"]["commitId"]} if branches else {}
    put = codecommit.put_file(
        repositoryName="web",
        branchName="main",
        fileContent=content.encode(),
        filePath="index.html",
        commitMessage=f"Say {content}",
        **parent,
    )
    return str(put["commitId"])


def token(client: Any) -> Any:
    state = client.get_pipeline_state(name="rel")["stageStates"][1]["actionStates"][0]
    return state.get("latestExecution", {}).get("token")


def newest(client: Any) -> Any:
    return client.list_pipeline_executions(pipelineName="rel")["pipelineExecutionSummaries"][0]


def revision(client: Any) -> Any:
    """The source revision of the newest execution, "" before it has one."""
    found = newest(client)["sourceRevisions"]
    return found[0]["revisionId"] if found else ""


def fetched(client: Any) -> Any:
    """The latest execution of the source action, once it has ended."""

    def ended() -> Any:
        latest = client.get_pipeline_state(name="rel")["stageStates"][0]["actionStates"][0].get("latestExecution", {})
        return latest if latest.get("status") in ("Succeeded", "Failed") else None

    return until(ended, what="the source action ending")


def test_a_commit_becomes_an_artifact_and_waits_for_a_person(door: Door) -> None:
    client = door.client("codepipeline")
    first = commit(door, "one")
    client.create_pipeline(pipeline=declared(), tags=[{"key": "team", "value": "web"}])
    until(lambda: token(client), what="an approval token")
    assert revision(client) == first
    assert newest(client)["sourceRevisions"][0]["revisionSummary"] == "Say one"
    detail = client.list_action_executions(pipelineName="rel")["actionExecutionDetails"][1]
    place = detail["output"]["outputArtifacts"][0]["s3location"]
    assert (place["bucket"], place["key"][:8], place["key"][-4:]) == ("artifacts", "rel/Src/", ".zip")
    body = door.client("s3").get_object(Bucket="artifacts", Key=place["key"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as zipped:
        assert zipped.read("index.html") == b"one"
    result = {"status": "Approved", "summary": ""}
    client.put_approval_result(pipelineName="rel", stageName="Approve", actionName="OK", result=result, token=token(client))
    until(lambda: newest(client)["status"] == "Succeeded", what="the execution succeeding")


def test_the_next_commit_starts_the_pipeline_and_the_reply_to_get_can_be_put_back(door: Door) -> None:
    client = door.client("codepipeline")
    commit(door, "one")
    client.create_pipeline(pipeline=declared())
    until(lambda: token(client))
    shown = client.get_pipeline(name="rel")["pipeline"]
    assert client.update_pipeline(pipeline=shown)["pipeline"] == shown | {"version": 2}
    second = commit(door, "two")
    until(lambda: revision(client) == second, what="the new commit in the pipeline")
    assert newest(client)["trigger"]["triggerType"] == "PollForSourceChanges"


def test_a_rule_starts_the_pipeline(door: Door) -> None:
    client, events = door.client("codepipeline"), door.client("events")
    commit(door, "one")
    configuration = {"RepositoryName": "web", "BranchName": "main", "PollForSourceChanges": "false"}
    client.create_pipeline(pipeline=declared(action("Fetch", "Source", "CodeCommit", configuration)))
    events.put_rule(Name="on-push", EventPattern=json.dumps({"detail": {"referenceName": ["main"]}}))
    events.put_targets(Rule="on-push", Targets=[{"Id": "a", "Arn": PIPELINE, "RoleArn": RULES_ROLE}])
    commit(door, "two")
    until(lambda: newest(client)["trigger"] == {"triggerType": "CloudWatchEvent", "triggerDetail": RULE}, what="the rule's execution")


def test_an_object_becomes_an_artifact_and_its_next_version_starts_the_pipeline(door: Door) -> None:
    client, s3 = door.client("codepipeline"), door.client("s3")
    version = s3.put_object(Bucket="sources", Key="web app.zip", Body=b"one")["VersionId"]
    client.create_pipeline(pipeline=declared(action("Fetch", "Source", "S3", {"S3Bucket": "sources", "S3ObjectKey": "web app.zip"})))
    until(lambda: token(client))
    assert revision(client) == version
    detail = client.list_action_executions(pipelineName="rel")["actionExecutionDetails"][1]
    place = detail["output"]["outputArtifacts"][0]["s3location"]
    assert s3.get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read() == b"one"
    after = s3.put_object(Bucket="sources", Key="web app.zip", Body=b"two")["VersionId"]
    until(lambda: revision(client) == after, what="the new version in the pipeline")


@pytest.mark.parametrize("extract", ["true", "false"])
def test_an_artifact_is_deployed_to_a_bucket(door: Door, extract: str) -> None:
    client, s3 = door.client("codepipeline"), door.client("s3")
    s3.create_bucket(Bucket="site")
    commit(door, "one")
    configuration = {"BucketName": "site", "Extract": extract, "ObjectKey": "v1/site.zip" if extract == "false" else "v1"}
    made = declared()
    made["stages"][1] = {"name": "Deploy", "actions": [action("Copy", "Deploy", "S3", configuration, inputArtifacts=[{"name": "Src"}])]}
    client.create_pipeline(pipeline=made)
    until(lambda: newest(client)["status"] != "InProgress", what="the deployment")
    assert newest(client)["status"] == "Succeeded", client.get_pipeline_state(name="rel")["stageStates"][1]
    names = [found["Key"] for found in s3.list_objects_v2(Bucket="site")["Contents"]]
    if extract == "false":
        assert names == ["v1/site.zip"]
    else:
        assert names == ["v1/index.html"]
        page = s3.get_object(Bucket="site", Key="v1/index.html")
        assert (page["Body"].read(), page["ContentType"]) == (b"one", "text/html")


def test_a_deployed_file_has_the_acl_and_the_key_that_were_asked_for(door: Door) -> None:
    client, s3 = door.client("codepipeline"), door.client("s3")
    s3.create_bucket(Bucket="site", ObjectOwnership="BucketOwnerPreferred")
    s3.delete_public_access_block(Bucket="site")
    key = door.client("kms").create_key()["KeyMetadata"]["Arn"]
    allowed = policy(Action=[*NEEDED, "s3:PutObjectAcl", "kms:GenerateDataKey"], Resource="*")
    door.client("iam").put_role_policy(RoleName="Pipeline", PolicyName="p", PolicyDocument=allowed)
    commit(door, "one")
    configuration = {"BucketName": "site", "Extract": "true", "CannedACL": "public-read", "KMSEncryptionKeyARN": key}
    made = declared()
    made["stages"][1] = {"name": "Deploy", "actions": [action("Copy", "Deploy", "S3", configuration, inputArtifacts=[{"name": "Src"}])]}
    client.create_pipeline(pipeline=made)
    until(lambda: newest(client)["status"] != "InProgress", what="the deployment")
    assert newest(client)["status"] == "Succeeded", client.get_pipeline_state(name="rel")["stageStates"][1]
    grants = s3.get_object_acl(Bucket="site", Key="index.html")["Grants"]
    assert any(grant["Grantee"].get("URI", "").endswith("/AllUsers") for grant in grants)
    assert s3.head_object(Bucket="site", Key="index.html")["SSEKMSKeyId"] == key


def test_what_is_no_zip_is_not_extracted(door: Door) -> None:
    client, s3 = door.client("codepipeline"), door.client("s3")
    s3.create_bucket(Bucket="site")
    s3.put_object(Bucket="sources", Key="a.zip", Body=b"no zip at all")
    made = declared(action("Fetch", "Source", "S3", {"S3Bucket": "sources", "S3ObjectKey": "a.zip"}))
    configuration = {"BucketName": "site", "Extract": "true"}
    made["stages"][1] = {"name": "Deploy", "actions": [action("Copy", "Deploy", "S3", configuration, inputArtifacts=[{"name": "Src"}])]}
    client.create_pipeline(pipeline=made)
    until(lambda: newest(client)["status"] == "Failed", what="the deployment failing")
    error = client.get_pipeline_state(name="rel")["stageStates"][1]["actionStates"][0]["latestExecution"]["errorDetails"]
    assert error == {"code": "JobFailed", "message": "The input artifact Src could not be extracted: File is not a zip file"}


@pytest.mark.parametrize("missing", NEEDED[1:])
def test_a_role_that_lacks_one_permission_fails_its_action(door: Door, missing: str) -> None:
    client = door.client("codepipeline")
    commit(door, "one")
    door.client("s3").put_object(Bucket="sources", Key="a.zip", Body=b"one")
    rest = [needed for needed in NEEDED if needed != missing]
    door.client("iam").put_role_policy(RoleName="Pipeline", PolicyName="p", PolicyDocument=policy(Action=rest, Resource="*"))
    from_s3 = action("Fetch", "Source", "S3", {"S3Bucket": "sources", "S3ObjectKey": "a.zip"})
    client.create_pipeline(pipeline=declared(None if missing.startswith("codecommit") or missing == "s3:PutObject" else from_s3))
    failed = fetched(client)
    assert (failed["status"], failed["errorDetails"]["code"]) == ("Failed", "PermissionError")
    assert missing.split(":")[0].replace("codecommit", "CodeCommit").replace("s3", "S3") in failed["errorDetails"]["message"]


def test_an_actions_own_role_is_assumed_from_the_pipelines(door: Door) -> None:
    client = door.client("codepipeline")
    commit(door, "one")
    iam = door.client("iam")
    iam.create_role(
        RoleName="Fetcher", AssumeRolePolicyDocument=policy(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Action="sts:AssumeRole")
    )
    iam.put_role_policy(RoleName="Fetcher", PolicyName="p", PolicyDocument=policy(Action=NEEDED, Resource="*"))
    own = f"arn:aws:iam::{ACCOUNT}:role/Fetcher"
    fetch = action("Fetch", "Source", "CodeCommit", {"RepositoryName": "web", "BranchName": "main"}, roleArn=own)
    client.create_pipeline(pipeline=declared(fetch))
    refused = fetched(client)
    assert refused["errorDetails"]["code"] == "PermissionError"
    assert "is not authorized to perform AssumeRole on role" in refused["errorDetails"]["message"]
    iam.put_role_policy(RoleName="Pipeline", PolicyName="p", PolicyDocument=policy(Action="sts:AssumeRole", Resource=own))
    execution = newest(client)["pipelineExecutionId"]
    client.retry_stage_execution(pipelineName="rel", stageName="Source", pipelineExecutionId=execution, retryMode="FAILED_ACTIONS")
    until(lambda: token(client), what="the retried source succeeding as its own role")


STAGE = {"pipelineName": "rel", "stageName": "Approve"}
EXECUTION = {"pipelineName": "rel", "pipelineExecutionId": UUID}
CALLS: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("codepipeline", "create_pipeline", "CreatePipeline", f"{PIPELINE}2", {"pipeline": declared() | {"name": "rel2"}}),
    ("codepipeline", "get_pipeline", "GetPipeline", PIPELINE, {"name": "rel"}),
    ("codepipeline", "update_pipeline", "UpdatePipeline", PIPELINE, {"pipeline": declared()}),
    ("codepipeline", "delete_pipeline", "DeletePipeline", PIPELINE, {"name": "rel"}),
    ("codepipeline", "list_pipelines", "ListPipelines", "*", {}),
    ("codepipeline", "list_action_types", "ListActionTypes", "*", {}),
    ("codepipeline", "get_pipeline_state", "GetPipelineState", PIPELINE, {"name": "rel"}),
    ("codepipeline", "start_pipeline_execution", "StartPipelineExecution", PIPELINE, {"name": "rel"}),
    ("codepipeline", "stop_pipeline_execution", "StopPipelineExecution", PIPELINE, EXECUTION),
    ("codepipeline", "get_pipeline_execution", "GetPipelineExecution", PIPELINE, EXECUTION),
    ("codepipeline", "list_pipeline_executions", "ListPipelineExecutions", PIPELINE, {"pipelineName": "rel"}),
    ("codepipeline", "list_action_executions", "ListActionExecutions", PIPELINE, {"pipelineName": "rel"}),
    (
        "codepipeline",
        "retry_stage_execution",
        "RetryStageExecution",
        f"{PIPELINE}/Approve",
        STAGE | EXECUTION | {"retryMode": "ALL_ACTIONS"},
    ),
    (
        "codepipeline",
        "disable_stage_transition",
        "DisableStageTransition",
        f"{PIPELINE}/Approve",
        STAGE | {"transitionType": "Inbound", "reason": "x"},
    ),
    ("codepipeline", "enable_stage_transition", "EnableStageTransition", f"{PIPELINE}/Approve", STAGE | {"transitionType": "Inbound"}),
    (
        "codepipeline",
        "put_approval_result",
        "PutApprovalResult",
        f"{PIPELINE}/Approve/OK",
        STAGE | {"actionName": "OK", "result": {"summary": "", "status": "Approved"}, "token": UUID},
    ),
    ("codepipeline", "tag_resource", "TagResource", PIPELINE, {"resourceArn": PIPELINE, "tags": [{"key": "a", "value": "b"}]}),
    ("codepipeline", "untag_resource", "UntagResource", PIPELINE, {"resourceArn": PIPELINE, "tagKeys": ["a"]}),
    ("codepipeline", "list_tags_for_resource", "ListTagsForResource", PIPELINE, {"resourceArn": PIPELINE}),
    ("events", "put_rule", "PutRule", f"{RULE}2", {"Name": "on-push2", "EventPattern": PATTERN}),
    ("events", "describe_rule", "DescribeRule", RULE, {"Name": "on-push"}),
    ("events", "list_rules", "ListRules", "*", {}),
    ("events", "enable_rule", "EnableRule", RULE, {"Name": "on-push"}),
    ("events", "disable_rule", "DisableRule", RULE, {"Name": "on-push"}),
    ("events", "delete_rule", "DeleteRule", RULE, {"Name": "on-push"}),
    (
        "events",
        "put_targets",
        "PutTargets",
        RULE,
        {"Rule": "on-push", "Targets": [{"Id": "b", "Arn": PIPELINE, "RoleArn": RULES_ROLE}]},
    ),
    ("events", "remove_targets", "RemoveTargets", RULE, {"Rule": "on-push", "Ids": ["a"]}),
    ("events", "list_targets_by_rule", "ListTargetsByRule", RULE, {"Rule": "on-push"}),
    ("events", "list_rule_names_by_target", "ListRuleNamesByTarget", "*", {"TargetArn": PIPELINE}),
    (
        "events",
        "put_events",
        "PutEvents",
        f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
        {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]},
    ),
    ("events", "test_event_pattern", "TestEventPattern", "*", {"EventPattern": PATTERN, "Event": "{}"}),
    ("events", "describe_event_bus", "DescribeEventBus", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default", {}),
    ("events", "list_event_buses", "ListEventBuses", "*", {}),
    ("events", "tag_resource", "TagResource", RULE, {"ResourceARN": RULE, "Tags": [{"Key": "a", "Value": "b"}]}),
    ("events", "untag_resource", "UntagResource", RULE, {"ResourceARN": RULE, "TagKeys": ["a"]}),
    ("events", "list_tags_for_resource", "ListTagsForResource", RULE, {"ResourceARN": RULE}),
]


def outcome(client: Any, method: str, args: dict[str, Any]) -> str:
    """The error's code, or `done`."""
    try:
        getattr(client, method)(**args)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def keys_of(door: Door, name: str, statements: list[dict[str, Any]]) -> tuple[str, str, str]:
    iam = door.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"], ""


@pytest.mark.parametrize("service, method, name, resource, args", CALLS, ids=[f"{call[0]}-{call[2]}" for call in CALLS])
def test_who_lacks_exactly_this_action_is_denied(
    unchanged: Door, service: str, method: str, name: str, resource: str, args: dict[str, Any]
) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    but = {"Effect": "Deny", "Action": f"{service}:{name}", "Resource": resource}
    keys = keys_of(unchanged, f"without-{service}-{name}", [everything, but])
    assert outcome(unchanged.client(service, keys), method, args) == "AccessDeniedException"


@pytest.mark.parametrize("service, method, name, resource, args", CALLS, ids=[f"{call[0]}-{call[2]}" for call in CALLS])
def test_who_may_exactly_this_and_pass_the_roles_is_let_in(
    worn: Door, service: str, method: str, name: str, resource: str, args: dict[str, Any]
) -> None:
    if not any(p["name"] == "rel" for p in worn.client("codepipeline").list_pipelines()["pipelines"]):
        worn.client("codepipeline").create_pipeline(pipeline=declared())
    worn.client("events").put_rule(Name="on-push", EventPattern=PATTERN, State="DISABLED")
    this = {"Effect": "Allow", "Action": f"{service}:{name}", "Resource": resource}
    roles = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": [ROLE, RULES_ROLE]}
    client = worn.client(service, keys_of(worn, f"only-{service}-{name}", [this, roles]))
    expected = {
        "stop_pipeline_execution": "PipelineExecutionNotStoppableException",
        "get_pipeline_execution": "PipelineExecutionNotFoundException",
        "retry_stage_execution": "NotLatestPipelineExecutionException",
        "put_approval_result": "InvalidApprovalTokenException",
        "test_event_pattern": "ValidationException",
    }
    assert outcome(client, method, args) == expected.get(method, "done")


@pytest.mark.parametrize(
    "service, method, args",
    [
        pytest.param("codepipeline", "create_pipeline", {"pipeline": declared() | {"name": "rel2"}}, id="a pipeline's role"),
        pytest.param("codepipeline", "update_pipeline", {"pipeline": declared()}, id="an updated pipeline's role"),
        pytest.param(
            "events",
            "put_targets",
            {"Rule": "on-push", "Targets": [{"Id": "b", "Arn": PIPELINE, "RoleArn": RULES_ROLE}]},
            id="a target's role",
        ),
    ],
)
def test_a_role_is_passed_only_by_who_may_pass_it(
    unchanged: Door, request: pytest.FixtureRequest, service: str, method: str, args: dict[str, Any]
) -> None:
    statement = {"Effect": "Allow", "Action": f"{service}:*", "Resource": "*"}
    keys = keys_of(unchanged, "pass-" + request.node.callspec.id.replace(" ", "-").replace("'", ""), [statement])
    assert outcome(unchanged.client(service, keys), method, args) == "AccessDeniedException"
    assert unchanged.client("codepipeline").get_pipeline(name="rel")["pipeline"]["version"] == 1


def with_stage(**more: Any) -> dict[str, Any]:
    made = declared() | {"name": "rel2"}
    made["stages"][1] |= more
    return {"pipeline": made}


def with_action(**more: Any) -> dict[str, Any]:
    made = declared() | {"name": "rel2"}
    made["stages"][1]["actions"][0] |= more
    return {"pipeline": made}


@pytest.mark.parametrize(
    "service, method, args, code, words",
    [
        ("codepipeline", "create_pipeline", with_stage(onFailure={"result": "ROLLBACK"}), "NotImplemented", "pipeline.stages[].onFailure"),
        ("codepipeline", "create_pipeline", with_stage(beforeEntry={"conditions": []}), "NotImplemented", "pipeline.stages[].beforeEntry"),
        ("codepipeline", "create_pipeline", with_action(commands=["ls"]), "NotImplemented", "actions[].commands"),
        (
            "codepipeline",
            "create_pipeline",
            {"pipeline": declared() | {"triggers": [{"providerType": "CodeStarSourceConnection", "gitConfiguration": {}}]}},
            "NotImplemented",
            "pipeline.triggers",
        ),
        ("codepipeline", "create_pipeline", with_action(runOrder=0), "ValidationException", "runOrder"),
        ("codepipeline", "create_pipeline", with_action(name="a b"), "ValidationException", "name"),
        ("codepipeline", "create_pipeline", {"pipeline": declared()}, "PipelineNameInUseException", "'rel' already exists"),
        ("codepipeline", "create_pipeline", {}, "ValidationException", "'pipeline'"),
        ("codepipeline", "get_pipeline", {"name": "nope"}, "PipelineNotFoundException", f"Account '{ACCOUNT}' does not have a pipeline"),
        ("codepipeline", "list_pipelines", {"nextToken": "nonsense"}, "InvalidNextTokenException", "next token"),
        ("codepipeline", "rollback_stage", STAGE | {"targetPipelineExecutionId": UUID}, "NotImplemented", "codepipeline:RollbackStage"),
        (
            "events",
            "put_rule",
            {"Name": "x", "EventPattern": '{"a": "b"}'},
            "InvalidEventPatternException",
            '"a" must be an object or an array',
        ),
        (
            "events",
            "put_targets",
            {
                "Rule": "on-push",
                "Targets": [{"Id": "b", "Arn": PIPELINE, "RoleArn": RULES_ROLE, "KinesisParameters": {"PartitionKeyPath": "$"}}],
            },
            "NotImplemented",
            "Targets[].KinesisParameters",
        ),
        ("events", "create_endpoint", {"Name": "mine", "RoutingConfig": {}, "EventBuses": []}, "NotImplemented", "events:CreateEndpoint"),
    ],
)
def test_what_is_refused_names_itself_and_changes_nothing(
    unchanged: Door, service: str, method: str, args: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(unchanged.client(service), method)(**args)
    error = refused.value.response["Error"]
    assert error["Code"] == code
    assert words in error["Message"]
    assert [p["name"] for p in unchanged.client("codepipeline").list_pipelines()["pipelines"]] == ["rel"]
    assert [r["Name"] for r in unchanged.client("events").list_rules()["Rules"]] == ["on-push"]
