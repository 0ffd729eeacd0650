"""IAM and STS through boto3: what a user sees, and what one without the permission does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, InProcessCloud
from people import user_keys
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.errors import AwsError

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/Deploy"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def trust(**principal: Any) -> str:
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


FOR_BUILDS = trust(Service="codebuild.amazonaws.com")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    # botocore signs with the machine's time, so the clock must be near it; it stands still all the same.
    import time

    with InProcessCloud(tmp_path, clock=FixedClock(float(int(time.time())))) as running:
        yield running


@pytest.fixture
def iam(door: Door) -> Any:
    return door.client("iam")


def error(call: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**args)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


# --- users and keys --------------------------------------------------------------------------------------------------------


def test_a_user_comes_and_goes(iam: Any) -> None:
    made = iam.create_user(UserName="alice", Path="/dev/", Tags=[{"Key": "team", "Value": "blue"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/dev/alice"
    assert made["UserId"].startswith("AIDA")
    assert iam.get_user(UserName="ALICE")["User"] == made
    assert [user["UserName"] for user in iam.list_users(PathPrefix="/dev/")["Users"]] == ["alice"]
    assert iam.list_users(PathPrefix="/ops/")["Users"] == []
    assert error(iam.create_user, UserName="Alice") == ("EntityAlreadyExists", "User with name Alice already exists.")
    iam.update_user(UserName="alice", NewUserName="bob", NewPath="/")
    assert iam.get_user(UserName="bob")["User"]["UserId"] == made["UserId"]
    iam.delete_user(UserName="bob")
    assert error(iam.get_user, UserName="bob") == ("NoSuchEntity", "The user with name bob cannot be found.")


def test_a_users_own_keys(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("iam:*"))
    own = door.client("iam", keys)
    assert own.get_user()["User"]["UserName"] == "alice"
    assert door.client("sts", keys).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert own.list_access_keys()["AccessKeyMetadata"][0]["AccessKeyId"] == keys[0]
    second = own.create_access_key()["AccessKey"]
    assert error(own.create_access_key) == ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
    used = iam.get_access_key_last_used(AccessKeyId=keys[0])
    assert (used["UserName"], used["AccessKeyLastUsed"]["ServiceName"]) == ("alice", "iam")
    assert iam.get_access_key_last_used(AccessKeyId=second["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    iam.update_access_key(UserName="alice", AccessKeyId=keys[0], Status="Inactive")
    assert error(own.get_user)[0] == "InvalidClientTokenId"
    iam.update_access_key(UserName="alice", AccessKeyId=keys[0], Status="Active")
    assert own.get_user()["User"]["UserName"] == "alice"
    iam.delete_access_key(UserName="alice", AccessKeyId=keys[0])
    assert error(own.get_user)[0] == "InvalidClientTokenId"


def test_a_user_goes_only_when_nothing_hangs_on_it(iam: Any) -> None:
    access_key = user_keys(iam, "alice", allow("iam:GetUser"))[0]
    iam.attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    iam.create_group(GroupName="devs")
    iam.add_user_to_group(GroupName="devs", UserName="alice")
    for words, undo in (
        ("remove users from group", lambda: iam.remove_user_from_group(GroupName="devs", UserName="alice")),
        ("detach all policies", lambda: iam.detach_user_policy(UserName="alice", PolicyArn=READ_ONLY)),
        ("delete access keys", lambda: iam.delete_access_key(UserName="alice", AccessKeyId=access_key)),
        ("delete policies", lambda: iam.delete_user_policy(UserName="alice", PolicyName="may")),
    ):
        assert error(iam.delete_user, UserName="alice") == ("DeleteConflict", f"Cannot delete entity, must {words} first.")
        undo()
    iam.delete_user(UserName="alice")
    iam.delete_group(GroupName="devs")


def test_a_group_gives_its_policies_to_its_users(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice")
    iam.create_group(GroupName="readers")
    iam.put_group_policy(GroupName="readers", PolicyName="read", PolicyDocument=policy(allow("iam:ListGroupsForUser")))
    listing = door.client("iam", keys).list_groups_for_user
    assert error(listing, UserName="alice")[0] == "AccessDenied"
    iam.add_user_to_group(GroupName="readers", UserName="alice")
    assert [group["GroupName"] for group in listing(UserName="alice")["Groups"]] == ["readers"]
    assert [user["UserName"] for user in iam.get_group(GroupName="readers")["Users"]] == ["alice"]
    iam.remove_user_from_group(GroupName="readers", UserName="alice")
    assert error(listing, UserName="alice")[0] == "AccessDenied"


# --- roles -----------------------------------------------------------------------------------------------------------------


def test_a_role_comes_and_goes(iam: Any) -> None:
    made = iam.create_role(
        RoleName="Deploy", AssumeRolePolicyDocument=FOR_BUILDS, Description="deploys", Tags=[{"Key": "env", "Value": "test"}]
    )["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(FOR_BUILDS)
    assert (made["Arn"], made["MaxSessionDuration"], made["Description"]) == (ROLE_ARN, 3600, "deploys")
    found = iam.get_role(RoleName="Deploy")["Role"]
    assert found["Tags"] == [{"Key": "env", "Value": "test"}]
    assert found["RoleLastUsed"] == {}
    assert error(iam.create_role, RoleName="deploy", AssumeRolePolicyDocument=FOR_BUILDS)[0] == "EntityAlreadyExists"
    iam.update_assume_role_policy(RoleName="Deploy", PolicyDocument=trust(Service="ec2.amazonaws.com"))
    iam.update_role(RoleName="Deploy", MaxSessionDuration=7200)
    changed = iam.get_role(RoleName="Deploy")["Role"]
    assert changed["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert changed["MaxSessionDuration"] == 7200
    iam.tag_role(RoleName="Deploy", Tags=[{"Key": "ENV", "Value": "prod"}])
    assert iam.list_role_tags(RoleName="Deploy")["Tags"] == [{"Key": "ENV", "Value": "prod"}]
    iam.untag_role(RoleName="Deploy", TagKeys=["env"])
    assert iam.list_role_tags(RoleName="Deploy")["Tags"] == []
    iam.delete_role(RoleName="Deploy")
    assert error(iam.get_role, RoleName="Deploy") == ("NoSuchEntity", "The role with name Deploy cannot be found.")
    iam.get_waiter("role_exists").config.max_attempts = 1
    assert iam.list_roles()["Roles"] == []


def test_a_roles_policies(iam: Any) -> None:
    iam.create_role(RoleName="Deploy", AssumeRolePolicyDocument=FOR_BUILDS)
    document = policy(allow("s3:GetObject", resource="arn:aws:s3:::b/*"))
    iam.put_role_policy(RoleName="Deploy", PolicyName="inline", PolicyDocument=document)
    assert iam.get_role_policy(RoleName="Deploy", PolicyName="inline")["PolicyDocument"] == json.loads(document)
    assert iam.list_role_policies(RoleName="Deploy")["PolicyNames"] == ["inline"]
    iam.attach_role_policy(RoleName="Deploy", PolicyArn=READ_ONLY)
    iam.attach_role_policy(RoleName="Deploy", PolicyArn=READ_ONLY)
    attached = iam.list_attached_role_policies(RoleName="Deploy")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ_ONLY}]
    missing = f"arn:aws:iam::{ACCOUNT}:policy/none"
    words = f"Policy {missing} does not exist or is not attachable."
    assert error(iam.attach_role_policy, RoleName="Deploy", PolicyArn=missing) == ("NoSuchEntity", words)
    unknown = "arn:aws:iam::aws:policy/NoSuchPolicy"
    assert error(iam.attach_role_policy, RoleName="Deploy", PolicyArn=unknown)[0] == "NoSuchEntity"
    assert error(iam.detach_role_policy, RoleName="Deploy", PolicyArn=missing) == ("NoSuchEntity", f"Policy {missing} was not found.")
    assert error(iam.delete_role, RoleName="Deploy") == ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    iam.detach_role_policy(RoleName="Deploy", PolicyArn=READ_ONLY)
    assert error(iam.delete_role, RoleName="Deploy") == ("DeleteConflict", "Cannot delete entity, must delete policies first.")
    iam.delete_role_policy(RoleName="Deploy", PolicyName="inline")
    gone = ("NoSuchEntity", "The role policy with name inline cannot be found.")
    assert error(iam.get_role_policy, RoleName="Deploy", PolicyName="inline") == gone
    iam.delete_role(RoleName="Deploy")


def test_documents_that_are_wrong_change_nothing(iam: Any) -> None:
    malformed = "MalformedPolicyDocument"
    assert error(iam.create_role, RoleName="R", AssumeRolePolicyDocument="{") == (malformed, "This policy contains invalid Json")
    nobody = f"arn:aws:iam::{ACCOUNT}:user/nobody"
    invalid = (malformed, f'Invalid principal in policy: "AWS":"{nobody}"')
    assert error(iam.create_role, RoleName="R", AssumeRolePolicyDocument=trust(AWS=nobody)) == invalid
    assert iam.list_roles()["Roles"] == []
    iam.create_role(RoleName="R", AssumeRolePolicyDocument=FOR_BUILDS)
    put = iam.put_role_policy
    assert error(put, RoleName="R", PolicyName="p", PolicyDocument="{}") == (malformed, "Syntax errors in policy.")
    long = policy(*(allow("s3:GetObject", resource=f"arn:aws:s3:::bucket-{n}/*") for n in range(200)))
    assert error(put, RoleName="R", PolicyName="p", PolicyDocument=long) == (
        "LimitExceeded",
        "Maximum policy size of 10240 bytes exceeded for role R",
    )
    assert iam.list_role_policies(RoleName="R")["PolicyNames"] == []


def test_pages(iam: Any) -> None:
    for n in range(5):
        iam.create_user(UserName=f"u{n}")
    first = iam.list_users(MaxItems=2)
    assert ([user["UserName"] for user in first["Users"]], first["IsTruncated"]) == (["u0", "u1"], True)
    pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
    assert [user["UserName"] for page in pages for user in page["Users"]] == [f"u{n}" for n in range(5)]
    assert error(iam.list_users, Marker="!")[0] == "ValidationError"


# --- managed policies ------------------------------------------------------------------------------------------------------


def test_a_managed_policy_and_its_versions(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice")
    arn = iam.create_policy(PolicyName="P", PolicyDocument=policy(allow("iam:GetUser")), Description="d")["Policy"]["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/P"
    iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    own = door.client("iam", keys)
    assert own.get_user()["User"]["UserName"] == "alice"
    for number in range(2, 6):
        version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(allow(f"iam:Do{number}")))["PolicyVersion"]
        assert (version["VersionId"], version["IsDefaultVersion"]) == (f"v{number}", False)
    assert error(iam.create_policy_version, PolicyArn=arn, PolicyDocument=policy(allow("iam:X")))[0] == "LimitExceeded"
    assert own.get_user()["User"]["UserName"] == "alice"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v3")
    assert error(own.get_user)[0] == "AccessDenied"
    assert error(iam.delete_policy_version, PolicyArn=arn, VersionId="v3")[0] == "DeleteConflict"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    assert [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v5", "v4", "v3", "v2"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v3")["PolicyVersion"]["Document"]
    assert document["Statement"][0]["Action"] == ["iam:Do3"]
    policy_now = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (policy_now["AttachmentCount"], policy_now["DefaultVersionId"], policy_now["Description"]) == (1, "v3", "d")
    assert [user["UserName"] for user in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]] == ["alice"]
    assert error(iam.delete_policy, PolicyArn=arn) == ("DeleteConflict", "Cannot delete a policy attached to entities.")
    iam.detach_user_policy(UserName="alice", PolicyArn=arn)
    assert error(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    for number in (2, 4, 5):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    iam.delete_policy(PolicyArn=arn)
    assert error(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", f"Policy {arn} was not found.")


def test_awss_policies_are_there_and_nobodys_to_change(iam: Any) -> None:
    policies = iam.get_paginator("list_policies").paginate(Scope="AWS").build_full_result()["Policies"]
    assert {"AdministratorAccess", "AWSCodeDeployRole"} <= {listed["PolicyName"] for listed in policies}
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert document["Statement"] == [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    assert error(iam.delete_policy, PolicyArn=arn)[0] == "AccessDenied"
    assert iam.list_policies(Scope="Local")["Policies"] == []


# --- instance profiles, service-specific credentials, the account ------------------------------------------------------------


def test_an_instance_profile(iam: Any) -> None:
    iam.create_role(RoleName="Web", AssumeRolePolicyDocument=trust(Service="ec2.amazonaws.com"))
    made = iam.create_instance_profile(InstanceProfileName="Web")["InstanceProfile"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/Web"
    assert made["Roles"] == []
    iam.add_role_to_instance_profile(InstanceProfileName="Web", RoleName="Web")
    found = iam.get_instance_profile(InstanceProfileName="Web")["InstanceProfile"]
    assert [role["RoleName"] for role in found["Roles"]] == ["Web"]
    again = {"InstanceProfileName": "Web", "RoleName": "Web"}
    limit = ("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
    assert error(iam.add_role_to_instance_profile, **again) == limit
    profiles = iam.list_instance_profiles_for_role(RoleName="Web")["InstanceProfiles"]
    assert [profile["InstanceProfileName"] for profile in profiles] == ["Web"]
    conflict = ("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
    assert error(iam.delete_role, RoleName="Web") == conflict
    assert error(iam.delete_instance_profile, InstanceProfileName="Web") == conflict
    iam.remove_role_from_instance_profile(**again)
    iam.delete_instance_profile(InstanceProfileName="Web")
    gone = ("NoSuchEntity", "Instance Profile Web cannot be found.")
    assert error(iam.get_instance_profile, InstanceProfileName="Web") == gone


def test_a_password_for_git(cloud: InProcessCloud, iam: Any) -> None:
    iam.create_user(UserName="alice")
    created = iam.create_service_specific_credential(UserName="alice", ServiceName="codecommit.amazonaws.com")
    made = created["ServiceSpecificCredential"]
    assert made["ServiceUserName"] == f"alice-at-{ACCOUNT}"

    def principal(password: str) -> Any:
        login = made["ServiceUserName"]
        return cloud.read(lambda ctx: ctx.cloud.identity.service_password(ctx.tx, "codecommit.amazonaws.com", login, password))

    assert principal(made["ServicePassword"]).arn == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert principal("wrong") is None
    which = {"UserName": "alice", "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    reset = iam.reset_service_specific_credential(**which)["ServiceSpecificCredential"]
    assert principal(made["ServicePassword"]) is None
    assert principal(reset["ServicePassword"]).name == "alice"
    iam.update_service_specific_credential(**which, Status="Inactive")
    assert principal(reset["ServicePassword"]) is None
    listed = iam.list_service_specific_credentials(UserName="alice")["ServiceSpecificCredentials"]
    assert [(found["Status"], "ServicePassword" in found) for found in listed] == [("Inactive", False)]
    iam.delete_service_specific_credential(**which)
    iam.delete_user(UserName="alice")


def test_the_account_in_numbers(iam: Any) -> None:
    iam.create_user(UserName="alice")
    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["Users"], summary["Roles"], summary["AccessKeysPerUserQuota"]) == (1, 0, 2)


# --- permission ------------------------------------------------------------------------------------------------------------


def test_without_the_permission_nothing_happens(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("iam:*"), {"Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*"})
    words = (
        f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: iam:CreateRole on resource: {ROLE_ARN}"
        " with an explicit deny in an identity-based policy"
    )
    assert error(door.client("iam", keys).create_role, RoleName="Deploy", AssumeRolePolicyDocument=FOR_BUILDS) == ("AccessDenied", words)
    assert iam.list_roles()["Roles"] == []


def test_a_boundary_must_be_given_where_the_policy_says_so(door: Door, iam: Any) -> None:
    condition = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
    own = door.client("iam", user_keys(iam, "alice", allow("iam:CreateRole", "iam:PutRolePolicy", Condition=condition)))
    assert error(own.create_role, RoleName="Deploy", AssumeRolePolicyDocument=FOR_BUILDS)[0] == "AccessDenied"
    own.create_role(RoleName="Deploy", AssumeRolePolicyDocument=FOR_BUILDS, PermissionsBoundary=BOUNDARY)
    own.put_role_policy(RoleName="Deploy", PolicyName="p", PolicyDocument=policy(allow("s3:*")))
    iam.delete_role_permissions_boundary(RoleName="Deploy")
    assert error(own.put_role_policy, RoleName="Deploy", PolicyName="q", PolicyDocument=policy(allow("s3:*")))[0] == "AccessDenied"


def test_a_boundary_takes_away(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("*"))
    iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=BOUNDARY)
    code, words = error(door.client("iam", keys).get_user)
    assert code == "AccessDenied"
    assert words.endswith("because no permissions boundary allows the iam:GetUser action")


def test_adding_a_role_to_a_profile_passes_the_role(door: Door, iam: Any) -> None:
    iam.create_role(RoleName="Web", AssumeRolePolicyDocument=trust(Service="ec2.amazonaws.com"))
    iam.create_instance_profile(InstanceProfileName="Web")
    own = door.client("iam", user_keys(iam, "alice", allow("iam:AddRoleToInstanceProfile")))
    code, words = error(own.add_role_to_instance_profile, InstanceProfileName="Web", RoleName="Web")
    assert code == "AccessDenied"
    assert "iam:PassRole on resource: arn:aws:iam::123456789012:role/Web" in words
    assert iam.get_instance_profile(InstanceProfileName="Web")["InstanceProfile"]["Roles"] == []


def test_tags_decide_where_a_policy_asks_for_them(door: Door, iam: Any) -> None:
    team = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    keys = user_keys(iam, "alice", allow("iam:GetRole", Condition=team))
    iam.tag_user(UserName="alice", Tags=[{"Key": "team", "Value": "blue"}])
    for name in ("blue", "red"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=FOR_BUILDS, Tags=[{"Key": "team", "Value": name}])
    own = door.client("iam", keys)
    assert own.get_role(RoleName="blue")["Role"]["RoleName"] == "blue"
    assert error(own.get_role, RoleName="red")[0] == "AccessDenied"


# --- sts -------------------------------------------------------------------------------------------------------------------


def assumable(iam: Any, name: str = "Deploy", *, by: str = ACCOUNT, **more: Any) -> str:
    document = policy({"Effect": "Allow", "Principal": {"AWS": by}, "Action": ["sts:AssumeRole", "sts:TagSession"], **more})
    return str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])


def session(reply: dict[str, Any]) -> tuple[str, str, str]:
    given = reply["Credentials"]
    return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]


def test_a_user_assumes_a_role_and_acts_as_it(door: Door, iam: Any) -> None:
    arn = assumable(iam)
    iam.put_role_policy(RoleName="Deploy", PolicyName="p", PolicyDocument=policy(allow("iam:GetRole")))
    sts = door.client("sts", user_keys(iam, "alice", allow("sts:AssumeRole", resource=arn)))
    reply = sts.assume_role(RoleArn=arn, RoleSessionName="s1")
    as_role = f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/s1"
    assert reply["AssumedRoleUser"]["Arn"] == as_role
    assert reply["AssumedRoleUser"]["AssumedRoleId"] == iam.get_role(RoleName="Deploy")["Role"]["RoleId"] + ":s1"
    keys = session(reply)
    assert door.client("sts", keys).get_caller_identity()["Arn"] == as_role
    acting = door.client("iam", keys)
    assert acting.get_role(RoleName="Deploy")["Role"]["Arn"] == arn
    code, words = error(acting.delete_role, RoleName="Deploy")
    assert (code, words.split(" is not")[0]) == ("AccessDenied", f"User: {as_role}")
    assert error(door.client("iam", (keys[0], keys[1], "")).get_role, RoleName="Deploy")[0] == "InvalidClientTokenId"
    iam.delete_role_policy(RoleName="Deploy", PolicyName="p")
    assert error(acting.get_role, RoleName="Deploy")[0] == "AccessDenied"


def test_a_session_policy_takes_away(door: Door, iam: Any) -> None:
    arn = assumable(iam)
    iam.attach_role_policy(RoleName="Deploy", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    sts = door.client("sts", user_keys(iam, "alice", allow("sts:AssumeRole")))
    narrow = sts.assume_role(RoleArn=arn, RoleSessionName="s1", Policy=policy(allow("iam:ListRoles")))
    assert narrow["PackedPolicySize"] > 0
    acting = door.client("iam", session(narrow))
    assert [role["RoleName"] for role in acting.list_roles()["Roles"]] == ["Deploy"]
    assert error(acting.get_role, RoleName="Deploy")[1].endswith("because no session policy allows the iam:GetRole action")
    by_arn = sts.assume_role(RoleArn=arn, RoleSessionName="s1", PolicyArns=[{"arn": READ_ONLY}])
    assert error(door.client("iam", session(by_arn)).list_roles)[0] == "AccessDenied"


def test_who_may_not_assume(door: Door, iam: Any) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "x1"}}
    arn = assumable(iam, Condition=condition)
    denied = ("AccessDenied", f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: sts:AssumeRole on resource: {arn}")
    sts = door.client("sts", user_keys(iam, "alice", allow("sts:AssumeRole", resource=arn)))
    assert error(sts.assume_role, RoleArn=arn, RoleSessionName="s1") == denied
    assert error(sts.assume_role, RoleArn=arn, RoleSessionName="s1", ExternalId="x2") == denied
    assert sts.assume_role(RoleArn=arn, RoleSessionName="s1", ExternalId="x1")["Credentials"]["AccessKeyId"].startswith("ASIA")
    bob = door.client("sts", user_keys(iam, "bob"))
    assert error(bob.assume_role, RoleArn=arn, RoleSessionName="s1", ExternalId="x1")[0] == "AccessDenied"
    root = ("AccessDenied", "Roles may not be assumed by root accounts.")
    assert error(door.client("sts").assume_role, RoleArn=arn, RoleSessionName="s1") == root
    assert error(sts.assume_role, RoleArn=arn + "x", RoleSessionName="s1")[0] == "AccessDenied"
    assert error(sts.assume_role, RoleArn="x" * 20, RoleSessionName="s1")[0] == "ValidationError"


def test_how_long_a_session_lasts(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    arn = assumable(iam)
    iam.put_role_policy(RoleName="Deploy", PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", "iam:GetRole")))
    iam.update_role(RoleName="Deploy", MaxSessionDuration=7200)
    sts = door.client("sts", user_keys(iam, "alice", allow("sts:AssumeRole")))
    code, words = error(sts.assume_role, RoleArn=arn, RoleSessionName="s1", DurationSeconds=7201)
    assert (code, words) == ("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    reply = sts.assume_role(RoleArn=arn, RoleSessionName="s1", DurationSeconds=900)
    assert reply["Credentials"]["Expiration"].timestamp() == cloud.cloud.clock.now() + 900
    chained = door.client("sts", session(reply))
    code, words = error(chained.assume_role, RoleArn=arn, RoleSessionName="t1", DurationSeconds=3601)
    assert (code, words.split(" session")[0]) == ("ValidationError", "The requested DurationSeconds exceeds the 1 hour")
    assert chained.assume_role(RoleArn=arn, RoleSessionName="t1", DurationSeconds=3600)["AssumedRoleUser"]["Arn"].endswith("/t1")


def test_ended_sessions_are_forgotten(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    clock = cloud.cloud.clock
    assert isinstance(clock, FixedClock)
    keys = session(door.client("sts").get_session_token(DurationSeconds=900))
    assert door.client("s3", keys).list_buckets()["Buckets"] == []
    clock.advance(800)
    assert door.client("s3", keys).list_buckets()["Buckets"] == []
    clock.advance(101)
    cloud.write(lambda ctx: ctx.cloud.identity.issue(ctx, ctx.principal, 900))
    assert cloud.read(lambda ctx: ctx.cloud.identity.credential(ctx.tx, keys[0])) is None


def test_session_tags_are_the_callers(door: Door, iam: Any) -> None:
    arn = assumable(iam)
    condition = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
    iam.put_role_policy(RoleName="Deploy", PolicyName="p", PolicyDocument=policy(allow("iam:GetRole", Condition=condition)))
    sts = door.client("sts", user_keys(iam, "alice", allow("sts:AssumeRole", "sts:TagSession")))
    for team, may in (("blue", True), ("red", False)):
        reply = sts.assume_role(RoleArn=arn, RoleSessionName="s1", Tags=[{"Key": "team", "Value": team}])
        acting = door.client("iam", session(reply))
        if may:
            assert acting.get_role(RoleName="Deploy")["Role"]["Arn"] == arn
        else:
            assert error(acting.get_role, RoleName="Deploy")[0] == "AccessDenied"
    untagging = door.client("sts", user_keys(iam, "bob", allow("sts:AssumeRole")))
    assert error(untagging.assume_role, RoleArn=arn, RoleSessionName="s1", Tags=[{"Key": "team", "Value": "blue"}])[0] == "AccessDenied"


def test_a_session_token_is_the_user_with_an_end(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("s3:ListAllMyBuckets", "iam:GetUser"))
    temporary = session(door.client("sts", keys).get_session_token())
    assert door.client("s3", temporary).list_buckets()["Buckets"] == []
    assert error(door.client("iam", temporary).get_user)[0] == "InvalidClientTokenId", "IAM takes no session without a code"
    assert error(door.client("sts", temporary).get_session_token)[0] == "AccessDenied"
    iam.delete_user_policy(UserName="alice", PolicyName="may")
    assert error(door.client("s3", temporary).list_buckets)[0] == "AccessDenied"


def test_a_namesake_of_a_deleted_role_is_another_role(door: Door, iam: Any) -> None:
    arn = assumable(iam)
    sts = door.client("sts", user_keys(iam, "alice", allow("sts:AssumeRole")))
    keys = session(sts.assume_role(RoleArn=arn, RoleSessionName="s1"))
    iam.delete_role(RoleName="Deploy")
    assumable(iam)
    iam.put_role_policy(RoleName="Deploy", PolicyName="p", PolicyDocument=policy(allow("iam:GetRole")))
    assert error(door.client("iam", keys).get_role, RoleName="Deploy")[0] == "AccessDenied"


def test_a_service_acts_only_as_roles_that_trust_it(cloud: InProcessCloud, iam: Any) -> None:
    iam.create_role(RoleName="Deploy", AssumeRolePolicyDocument=FOR_BUILDS)
    principal = cloud.read(lambda ctx: ctx.assuming(ROLE_ARN, "build", "codebuild.amazonaws.com").principal)
    assert principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/build"
    for role, service in ((ROLE_ARN, "ec2.amazonaws.com"), (ROLE_ARN + "2", "codebuild.amazonaws.com")):
        with pytest.raises(AwsError, match=f"User: {service} is not authorized to perform: sts:AssumeRole on resource: {role}"):
            cloud.read(lambda ctx, role=role, service=service: ctx.assuming(role, "s", service))


def test_a_write_that_is_undone_leaves_nothing_in_the_cache(cloud: InProcessCloud, door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice")
    own = door.client("iam", keys)
    alice = cloud.read(lambda ctx: ctx.cloud.identity.credential(ctx.tx, keys[0]))

    def allow_look_and_fail(ctx: Any) -> None:
        ctx.call("iam", "PutUserPolicy", user_name="alice", policy_name="p", policy_document=policy(allow("iam:GetUser")))
        ctx.acting(alice.principal).call("iam", "GetUser")
        raise AwsError("Undone")

    with pytest.raises(AwsError, match="Undone"):
        cloud.write(allow_look_and_fail)
    assert error(own.get_user)[0] == "AccessDenied"
    iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=policy(allow("iam:ListUsers")))
    assert error(own.get_user)[0] == "AccessDenied"


def test_an_undeclared_member_is_refused_by_name(iam: Any) -> None:
    code, words = error(iam.create_service_specific_credential, UserName="a", ServiceName="codecommit.amazonaws.com", CredentialAgeDays=3)
    assert code == "NotImplemented"
    assert "CredentialAgeDays" in words
