"""The rest of IAM through boto3: passwords, providers, certificates, service-linked roles, reports, the simulator, explanations."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, InProcessCloud, until
from people import user_keys
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.registry import CONTROLS

ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
FOR_EC2 = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def deny(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(*actions, resource=resource, **more), "Effect": "Deny"}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(float(int(time.time())))


@pytest.fixture
def cloud(tmp_path: Path, clock: FixedClock) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=clock) as running:
        yield running


@pytest.fixture
def iam(door: Door) -> Any:
    return door.client("iam")


def refusal(call: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**args)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


# --- passwords -----------------------------------------------------------------------------------------------------------------


def test_a_password_is_hashed_and_checked(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("iam:ChangePassword", "iam:GetLoginProfile"))
    made = iam.create_login_profile(UserName="alice", Password="Correct-Horse-1", PasswordResetRequired=True)["LoginProfile"]
    assert (made["UserName"], made["PasswordResetRequired"]) == ("alice", True)
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        kept = bytes(tx.connection.execute("SELECT body FROM doc WHERE kind='iam.login-profile'").fetchone()[0])
    assert b"Correct-Horse" not in kept
    own = door.client("iam", keys)
    assert refusal(own.change_password, OldPassword="wrong", NewPassword="Battery-Staple-2") == (
        "AccessDenied",
        "The old password was incorrect.",
    )
    own.change_password(OldPassword="Correct-Horse-1", NewPassword="Battery-Staple-2")
    assert own.get_login_profile()["LoginProfile"]["PasswordResetRequired"] is False
    iam.update_account_password_policy(AllowUsersToChangePassword=True)
    assert refusal(own.change_password, OldPassword="Correct-Horse-1", NewPassword="Other-Word-3")[0] == "AccessDenied"
    assert refusal(iam.create_login_profile, UserName="alice", Password="Another-Word-4")[0] == "EntityAlreadyExists"
    assert refusal(iam.delete_user, UserName="alice")[0] == "DeleteConflict"
    iam.delete_login_profile(UserName="alice")
    assert refusal(iam.get_login_profile, UserName="alice")[0] == "NoSuchEntity"


def test_the_accounts_password_policy_is_kept(iam: Any, door: Door) -> None:
    assert refusal(iam.get_account_password_policy) == (
        "NoSuchEntity",
        f"The Password Policy with domain name {ACCOUNT} cannot be found.",
    )
    iam.create_user(UserName="alice")
    assert refusal(iam.create_login_profile, UserName="alice", Password="short")[0] == "PasswordPolicyViolation"
    iam.update_account_password_policy(
        MinimumPasswordLength=10, RequireSymbols=True, RequireNumbers=True, PasswordReusePrevention=2, AllowUsersToChangePassword=True
    )
    shown = iam.get_account_password_policy()["PasswordPolicy"]
    assert (shown["MinimumPasswordLength"], shown["ExpirePasswords"], shown["PasswordReusePrevention"]) == (10, False, 2)
    for bad in ("abcdefghij", "abcdefghi1", "abc-1"):
        assert refusal(iam.create_login_profile, UserName="alice", Password=bad)[0] == "PasswordPolicyViolation"
    iam.create_login_profile(UserName="alice", Password="first-word-1")
    iam.update_login_profile(UserName="alice", Password="second-word-2")
    assert refusal(iam.update_login_profile, UserName="alice", Password="first-word-1")[0] == "PasswordPolicyViolation", "used before"
    iam.delete_account_password_policy()
    assert refusal(iam.delete_account_password_policy)[0] == "NoSuchEntity"


# --- a renamed user and group keep what they have -----------------------------------------------------------------------------


def test_a_renamed_user_keeps_what_hangs_on_it(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("iam:*"))
    iam.create_login_profile(UserName="alice", Password="Correct-Horse-1")
    ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL6VyX8zUH1rJ8sBvXWm3wQYkxX9d0yX6yqk0hJw8iO4 work"
    key_id = iam.upload_ssh_public_key(UserName="alice", SSHPublicKeyBody=ssh)["SSHPublicKey"]["SSHPublicKeyId"]
    iam.update_user(UserName="alice", NewUserName="alicia")
    assert iam.get_login_profile(UserName="alicia")["LoginProfile"]["UserName"] == "alicia"
    assert iam.get_ssh_public_key(UserName="alicia", SSHPublicKeyId=key_id, Encoding="SSH")["SSHPublicKey"]["SSHPublicKeyBody"] == ssh
    assert (
        "BEGIN PUBLIC KEY"
        in iam.get_ssh_public_key(UserName="alicia", SSHPublicKeyId=key_id, Encoding="PEM")["SSHPublicKey"]["SSHPublicKeyBody"]
    )
    assert door.client("iam", keys).get_user()["User"]["UserName"] == "alicia"
    assert refusal(iam.upload_ssh_public_key, UserName="alicia", SSHPublicKeyBody=ssh)[0] == "DuplicateSSHPublicKey"
    assert refusal(iam.upload_ssh_public_key, UserName="alicia", SSHPublicKeyBody="ssh-rsa AAAA")[0] == "InvalidPublicKey"


def test_a_renamed_group_keeps_its_members(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice")
    iam.create_group(GroupName="devs")
    iam.add_user_to_group(GroupName="devs", UserName="alice")
    iam.put_group_policy(GroupName="devs", PolicyName="may", PolicyDocument=policy(allow("iam:GetUser")))
    iam.update_group(GroupName="devs", NewGroupName="makers", NewPath="/team/")
    assert iam.list_groups_for_user(UserName="alice")["Groups"][0]["Arn"] == f"{ARN}:group/team/makers"
    assert door.client("iam", keys).get_user()["User"]["UserName"] == "alice"
    assert refusal(iam.get_group, GroupName="devs")[0] == "NoSuchEntity"


# --- service-linked roles ---------------------------------------------------------------------------------------------------------


def test_a_service_linked_role_is_its_services(iam: Any) -> None:
    made = iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com", Description="of ECS")["Role"]
    assert made["Arn"] == f"{ARN}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
    attached = iam.list_attached_role_policies(RoleName="AWSServiceRoleForECS")["AttachedPolicies"]
    assert attached[0]["PolicyArn"] == "arn:aws:iam::aws:policy/aws-service-role/AmazonECSServiceRolePolicy"
    assert refusal(iam.create_service_linked_role, AWSServiceName="ecs.amazonaws.com")[0] == "InvalidInput"
    assert refusal(iam.create_service_linked_role, AWSServiceName="unheard.amazonaws.com")[0] == "InvalidInput"
    same = {"RoleName": "AWSServiceRoleForECS"}
    for call, more in (
        (iam.delete_role, {}),
        (iam.update_assume_role_policy, {"PolicyDocument": FOR_EC2}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": policy(allow("s3:*"))}),
        (iam.attach_role_policy, {"PolicyArn": READ_ONLY}),
        (iam.put_role_permissions_boundary, {"PermissionsBoundary": READ_ONLY}),
    ):
        assert refusal(call, **same, **more)[0] == "UnmodifiableEntity"
    iam.create_role(RoleName="mine", AssumeRolePolicyDocument=FOR_EC2)
    assert refusal(iam.attach_role_policy, RoleName="mine", PolicyArn=attached[0]["PolicyArn"])[0] == "PolicyNotAttachable"
    assert refusal(iam.delete_service_linked_role, RoleName="mine")[0] == "NoSuchEntity"
    task = iam.delete_service_linked_role(**same)["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert refusal(iam.get_role, **same)[0] == "NoSuchEntity"
    assert refusal(iam.get_service_linked_role_deletion_status, DeletionTaskId=task + "x")[0] == "NoSuchEntity"


def test_every_service_linked_role_has_its_policy() -> None:
    from windtunnel.services.iam.aws_managed import aws_policies
    from windtunnel.services.iam.service_linked import LINKED, PREFIX

    assert {PREFIX + linked.policy for linked in LINKED.values()} - set(aws_policies()) == set()


@pytest.mark.parametrize("arn", sorted(__import__("windtunnel.services.iam.aws_managed", fromlist=["aws_policies"]).aws_policies()))
def test_an_aws_policy_can_be_evaluated(arn: str) -> None:
    from windtunnel.iam.grammar import validate
    from windtunnel.iam.policy import compile_policy
    from windtunnel.services.iam.aws_managed import aws_policies

    found = aws_policies()[arn]
    validate(found.text, "identity")
    assert compile_policy(found.text, arn, "identity-based policy").statements


# --- identity providers -----------------------------------------------------------------------------------------------------------


def test_an_openid_connect_provider_comes_and_goes(iam: Any) -> None:
    arn = iam.create_open_id_connect_provider(Url="https://idp.example.com/tenant", ClientIDList=["a"], Tags=[{"Key": "k", "Value": "v"}])[
        "OpenIDConnectProviderArn"
    ]
    assert arn == f"{ARN}:oidc-provider/idp.example.com/tenant"
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["A" * 40])
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["k"])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["Url"], found["ClientIDList"], found["ThumbprintList"]) == ("idp.example.com/tenant", ["b"], ["a" * 40])
    assert iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"] == [{"Key": "l", "Value": "w"}]
    assert refusal(iam.create_open_id_connect_provider, Url="https://idp.example.com/tenant")[0] == "EntityAlreadyExists"
    for bad in ("http://idp.example.com", "https://idp.example.com:8443", "https://user@idp.example.com", "ftp://127.0.0.1"):
        assert refusal(iam.create_open_id_connect_provider, Url=bad)[0] in ("InvalidInput", "ValidationError")
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


# --- reports ----------------------------------------------------------------------------------------------------------------------


def test_a_credential_report_tells_of_every_user(door: Door, iam: Any) -> None:
    assert refusal(iam.get_credential_report)[0] == "ReportNotPresent"
    keys = user_keys(iam, "alice", allow("iam:ListUsers"))
    iam.create_login_profile(UserName="alice", Password="Correct-Horse-1")
    door.client("iam", keys).list_users()
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    report = iam.get_credential_report()
    rows = {row["user"]: row for row in csv.DictReader(report["Content"].decode().splitlines())}
    assert set(rows) == {"<root_account>", "alice"}
    alice = rows["alice"]
    assert (alice["password_enabled"], alice["mfa_active"], alice["access_key_1_active"], alice["access_key_2_active"]) == (
        "true",
        "false",
        "true",
        "false",
    )
    assert (alice["access_key_1_last_used_service"], alice["access_key_1_last_used_region"]) == ("iam", "us-east-1")


def test_services_last_accessed_are_those_that_were(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("iam:ListUsers", "iam:ListRoles", "ssm:*"))
    door.client("iam", keys).list_users()
    job = iam.generate_service_last_accessed_details(Arn=f"{ARN}:user/alice", Granularity="ACTION_LEVEL")["JobId"]
    details = iam.get_service_last_accessed_details(JobId=job)
    assert (details["JobStatus"], details["JobType"]) == ("COMPLETED", "ACTION_LEVEL")
    by_name = {each["ServiceNamespace"]: each for each in details["ServicesLastAccessed"]}
    assert set(by_name) == {"iam", "ssm"}
    assert by_name["iam"]["LastAuthenticatedEntity"] == f"{ARN}:user/alice"
    assert [action["ActionName"] for action in by_name["iam"]["TrackedActionsLastAccessed"]] == ["ListUsers"]
    assert (by_name["ssm"]["TotalAuthenticatedEntities"], "LastAuthenticated" in by_name["ssm"]) == (0, False)
    entities = iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="iam")["EntityDetailsList"]
    assert entities[0]["EntityInfo"]["Name"] == "alice"
    granting = iam.list_policies_granting_service_access(Arn=f"{ARN}:user/alice", ServiceNamespaces=["ssm", "s3"])
    assert [(each["ServiceNamespace"], len(each["Policies"])) for each in granting["PoliciesGrantingServiceAccess"]] == [
        ("s3", 0),
        ("ssm", 1),
    ]


def test_last_uses_outlive_the_cloud(tmp_path: Path, clock: FixedClock) -> None:
    with InProcessCloud(tmp_path / "again", clock=clock) as cloud:
        door = Door(cloud)
        iam = door.client("iam")
        iam.create_role(RoleName="Deploy", AssumeRolePolicyDocument=policy_for_users())
        iam.put_role_policy(RoleName="Deploy", PolicyName="may", PolicyDocument=policy(allow("iam:ListUsers")))
        keys = user_keys(iam, "alice", allow("sts:AssumeRole"))
        found = door.client("sts", keys).assume_role(RoleArn=f"{ARN}:role/Deploy", RoleSessionName="run")["Credentials"]
        session = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        door.client("iam", session, "eu-west-1").list_users()
        assert refusal(door.client("iam", session).list_roles)[0] == "AccessDenied"
    with InProcessCloud(tmp_path / "again", clock=clock) as cloud:
        iam = Door(cloud).client("iam")
        assert iam.get_access_key_last_used(AccessKeyId=keys[0])["AccessKeyLastUsed"]["ServiceName"] == "sts"
        assert iam.get_role(RoleName="Deploy")["Role"]["RoleLastUsed"]["Region"] == "eu-west-1"
        assert [denial["action"] for denial in control(cloud, "explain.denials")["denials"]] == ["iam:ListRoles"]


def policy_for_users() -> str:
    return policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})


def test_authorization_details_are_everything(iam: Any) -> None:
    user_keys(iam, "alice", allow("s3:*"))
    iam.attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    iam.create_group(GroupName="devs")
    iam.add_user_to_group(GroupName="devs", UserName="alice")
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=FOR_EC2)
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    own = iam.create_policy(PolicyName="p", PolicyDocument=policy(allow("s3:*")))["Policy"]["Arn"]
    whole = iam.get_account_authorization_details()
    assert whole["UserDetailList"][0]["GroupList"] == ["devs"]
    assert whole["UserDetailList"][0]["UserPolicyList"][0]["PolicyDocument"]["Statement"] == [allow("s3:*")]
    assert whole["RoleDetailList"][0]["InstanceProfileList"][0]["InstanceProfileName"] == "web"
    assert {each["Arn"] for each in whole["Policies"]} == {own, READ_ONLY}
    pages = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 1}).build_full_result()
    assert {name: len(pages[name]) for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")} == {
        "UserDetailList": 1,
        "GroupDetailList": 1,
        "RoleDetailList": 1,
        "Policies": 2,
    }
    only = iam.get_account_authorization_details(Filter=["Role"])
    assert (len(only["RoleDetailList"]), only["UserDetailList"], only["Policies"]) == (1, [], [])


# --- the simulator ----------------------------------------------------------------------------------------------------------------

DOCUMENT = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::bucket/*",
      "Condition": {"StringEquals": {"aws:PrincipalTag/team": "${aws:ResourceTag/team}"}}
    },
    {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/secret"}
  ]
}"""


def test_the_simulator_decides_as_iam_does(iam: Any) -> None:
    context = [
        {"ContextKeyName": "aws:PrincipalTag/team", "ContextKeyValues": ["blue"], "ContextKeyType": "string"},
        {"ContextKeyName": "aws:ResourceTag/team", "ContextKeyValues": ["blue"], "ContextKeyType": "string"},
    ]
    resources = ["arn:aws:s3:::bucket/open", "arn:aws:s3:::bucket/secret", "arn:aws:s3:::other/open"]
    found = iam.simulate_custom_policy(
        PolicyInputList=[DOCUMENT], ActionNames=["s3:GetObject", "s3:PutObject"], ResourceArns=resources, ContextEntries=context
    )["EvaluationResults"]
    by_resource = {each["EvalResourceName"]: each for each in found[0]["ResourceSpecificResults"]}
    assert [by_resource[name]["EvalResourceDecision"] for name in resources] == ["allowed", "explicitDeny", "implicitDeny"]
    assert found[0]["EvalDecision"] == "explicitDeny"
    assert {each["EvalResourceDecision"] for each in found[1]["ResourceSpecificResults"]} == {"implicitDeny"}
    matched = by_resource[resources[0]]["MatchedStatements"]
    assert matched == [
        {
            "SourcePolicyId": "PolicyInputList.1",
            "SourcePolicyType": "IAM Policy",
            "StartPosition": {"Line": 4, "Column": 6},
            "EndPosition": {"Line": 9, "Column": 6},
        }
    ]
    without = iam.simulate_custom_policy(PolicyInputList=[DOCUMENT], ActionNames=["s3:GetObject"], ResourceArns=[resources[0]])
    assert without["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"
    assert without["EvaluationResults"][0]["MissingContextValues"] == ["aws:PrincipalTag/team", "aws:ResourceTag/team"]


def test_the_simulator_knows_a_principals_policies_and_boundary(iam: Any) -> None:
    iam.create_role(RoleName="web", AssumeRolePolicyDocument=FOR_EC2)
    iam.put_role_policy(RoleName="web", PolicyName="own", PolicyDocument=policy(allow("s3:*")))
    iam.attach_role_policy(RoleName="web", PolicyArn=READ_ONLY)
    same = {"PolicySourceArn": f"{ARN}:role/web"}
    found = iam.simulate_principal_policy(**same, ActionNames=["s3:GetObject", "ec2:RunInstances"])["EvaluationResults"]
    assert [each["EvalDecision"] for each in found] == ["allowed", "implicitDeny"]
    assert {each["SourcePolicyId"] for each in found[0]["MatchedStatements"]} == {"role_web_own", "AmazonS3ReadOnlyAccess"}
    iam.put_role_permissions_boundary(RoleName="web", PermissionsBoundary=READ_ONLY)
    limited = iam.simulate_principal_policy(**same, ActionNames=["s3:GetObject", "s3:PutObject"])["EvaluationResults"]
    assert [each["EvalDecision"] for each in limited] == ["allowed", "implicitDeny"]
    assert [each["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for each in limited] == [True, False]
    more = iam.simulate_principal_policy(**same, ActionNames=["s3:GetObject"], PolicyInputList=[policy(deny("s3:*"))])
    assert more["EvaluationResults"][0]["EvalDecision"] == "explicitDeny"
    assert refusal(iam.simulate_principal_policy, PolicySourceArn=f"{ARN}:role/gone", ActionNames=["s3:GetObject"])[0] == "NoSuchEntity"
    assert refusal(iam.simulate_principal_policy, **same, ActionNames=["GetObject"])[0] == "InvalidInput"


def test_the_simulator_takes_a_resources_policy(iam: Any) -> None:
    iam.create_user(UserName="alice")
    alice = f"{ARN}:user/alice"
    own = policy({"Effect": "Allow", "Principal": {"AWS": alice}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"})
    asked: dict[str, Any] = {
        "ActionNames": ["s3:GetObject"],
        "ResourceArns": ["arn:aws:s3:::bucket/k"],
        "ResourcePolicy": own,
        "CallerArn": alice,
    }
    nothing = policy(allow("ec2:*"))
    assert iam.simulate_custom_policy(PolicyInputList=[nothing], **asked)["EvaluationResults"][0]["EvalDecision"] == "allowed"
    across = {**asked, "ResourceOwner": "arn:aws:iam::222222222222:root"}
    refused = iam.simulate_custom_policy(PolicyInputList=[nothing], **across)["EvaluationResults"][0]
    assert (refused["EvalDecision"], refused["EvalDecisionDetails"]) == (
        "implicitDeny",
        {"IAM Policy": "implicitDeny", "Resource Policy": "allowed"},
    )
    both = iam.simulate_custom_policy(PolicyInputList=[policy(allow("s3:GetObject"))], **across)["EvaluationResults"][0]
    assert both["EvalDecision"] == "allowed"


def test_the_keys_that_policies_ask_for(iam: Any) -> None:
    asking = policy(
        allow("s3:*", resource="arn:aws:s3:::home/${aws:username}/*", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        deny("s3:*", Condition={"StringNotEquals": {"AWS:SecureTransport": "${aws:PrincipalTag/team, 'none'}"}}),
    )
    found = iam.get_context_keys_for_custom_policy(PolicyInputList=[asking])["ContextKeyNames"]
    assert sorted(found) == ["aws:PrincipalTag/team", "aws:SecureTransport", "aws:username"]
    user_keys(iam, "alice", allow("s3:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    own = iam.get_context_keys_for_principal_policy(PolicySourceArn=f"{ARN}:user/alice", PolicyInputList=[asking])["ContextKeyNames"]
    assert "aws:SourceIp" in own


# --- explanations -----------------------------------------------------------------------------------------------------------------


def control(cloud: InProcessCloud, name: str, **arguments: Any) -> Any:
    return cloud.read(lambda ctx: CONTROLS[name].handler(ctx, **arguments))


def test_a_denial_names_its_statement_or_the_nearest(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    keys = user_keys(
        iam,
        "alice",
        allow("iam:GetUser", resource=f"{ARN}:user/bob"),
        allow("iam:ListUsers", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}),
        deny("iam:ListRoles", Sid="NoRoles"),
    )
    own = door.client("iam", keys)
    for call in (own.get_user, own.list_users, own.list_roles):
        refusal(call)
    roles, users, user = control(cloud, "explain.denials", what="alice")["denials"]
    assert (roles["kind"], roles["statement"], roles["policy"]) == ("explicitDeny", "NoRoles", "may (inline policy of user alice)")
    assert json.loads(roles["text"])["Action"] == ["iam:ListRoles"]
    assert [(near["failed"], near["statement"]) for near in users["near"]] == [("condition", "1")]
    assert [(near["failed"], near["statement"]) for near in user["near"]] == [("resource", "0")]
    assert user["resource"] == f"{ARN}:user/alice"


def test_a_denial_is_found_by_its_request(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    own = door.client("iam", user_keys(iam, "alice"))
    with pytest.raises(ClientError) as refused:
        own.list_users()
    refusal(own.list_roles)
    request = refused.value.response["ResponseMetadata"]["RequestId"]
    found = control(cloud, "explain.denials", what=request)["denials"]
    assert [denial["action"] for denial in found] == ["iam:ListUsers"], "the request id that the client saw"


def test_a_boundary_that_refuses_is_named(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("iam:ListUsers"))
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=READ_ONLY)
    refusal(door.client("iam", keys).list_users)
    found = control(cloud, "explain.denials", what=f"{ARN}:user/alice")["denials"][0]
    assert (found["kind"], found["policy_type"]) == ("implicitDeny", "permissions boundary")


def test_a_least_policy_is_enough_and_no_more(cloud: InProcessCloud, door: Door, iam: Any, clock: FixedClock) -> None:
    keys = user_keys(iam, "alice", allow("ssm:*", "s3:*"))
    before = clock.now()
    clock.advance(10)
    ssm, s3 = door.client("ssm", keys), door.client("s3", keys)
    ssm.put_parameter(Name="/app/a", Value="v", Type="String")
    ssm.get_parameter(Name="/app/a")
    s3.create_bucket(Bucket="bucket")
    for n in range(70):
        s3.put_object(Bucket="bucket", Key=f"logs/{n}", Body=b"x")
    refusal(door.client("iam", keys).list_users)
    told = control(cloud, "explain.least", what="alice", since=before)["principals"][0]
    assert told["refused"] == [{"action": "iam:ListUsers", "resource": f"{ARN}:user/"}]
    assert told["wide"] == ["arn:aws:s3:::bucket/logs/*"]
    statements = told["policy"]["Statement"]
    assert {action for statement in statements for action in statement["Action"]} == {
        "ssm:PutParameter",
        "ssm:GetParameter",
        "s3:CreateBucket",
        "s3:PutObject",
    }
    iam.put_user_policy(UserName="alice", PolicyName="may", PolicyDocument=json.dumps(told["policy"]))
    assert ssm.get_parameter(Name="/app/a")["Parameter"]["Value"] == "v"
    s3.put_object(Bucket="bucket", Key="logs/new", Body=b"x")
    for call, args in (
        (ssm.get_parameter, {"Name": "/app/b"}),
        (ssm.delete_parameter, {"Name": "/app/a"}),
        (s3.put_object, {"Bucket": "bucket", "Key": "other", "Body": b"x"}),
        (s3.get_object, {"Bucket": "bucket", "Key": "logs/1"}),
    ):
        assert refusal(call, **args)[0] in ("AccessDenied", "AccessDeniedException")
    assert control(cloud, "explain.least", what="alice", since=clock.now() + 1)["principals"][0]["policy"] is None


def test_a_trust_policy_that_nearly_lets_in_is_named(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("sts:AssumeRole"))
    condition = {"StringEquals": {"sts:ExternalId": "42"}}
    statement = {"Sid": "Partner", "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Condition": condition}
    iam.create_role(RoleName="Deploy", AssumeRolePolicyDocument=policy(statement))
    refusal(door.client("sts", keys).assume_role, RoleArn=f"{ARN}:role/Deploy", RoleSessionName="run")
    found = control(cloud, "explain.denials", what="alice")["denials"][0]
    assert (found["action"], found["policy_type"]) == ("sts:AssumeRole", "role trust policy")
    assert [(near["statement"], near["failed"]) for near in found["near"]] == [("Partner", "condition")]


def test_what_was_decided_is_kept_within_seconds(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    """Without anyone asking, and without the cloud's end: kill -9 may come."""
    import sqlite3
    from contextlib import closing

    refusal(door.client("iam", user_keys(iam, "alice")).list_users)
    path = cloud.cloud.data / "decisions.db"

    def kept() -> int:
        if not path.exists():
            return 0
        with closing(sqlite3.connect(path)) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
            return db.execute("SELECT count(*) FROM denial").fetchone()[0] if "denial" in tables else 0

    until(kept, what="the denial is in the file")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_history_is_begun_anew(tmp_path: Path, clock: FixedClock) -> None:
    data = tmp_path / "damaged"
    data.mkdir()
    (data / "decisions.db").write_bytes(b"SQLite format 3\0" + b"rubbish" * 4096)
    with InProcessCloud(data, clock=clock) as cloud:
        door = Door(cloud)
        iam = door.client("iam")
        own = door.client("iam", user_keys(iam, "alice"))
        refusal(own.list_users)
        control(cloud, "explain.denials")
        refusal(own.list_roles)
        assert [each["action"] for each in control(cloud, "explain.denials")["denials"]] == ["iam:ListRoles"]
