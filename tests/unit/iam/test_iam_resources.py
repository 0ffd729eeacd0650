"""IAM's resource types: what a template says is what IAM has, what it says no more is taken away, and a deletion leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness import ACCOUNT, InProcessCloud
from resource_tables.iam import CASES, READ_ONLY, S3_READ, TRUST, allow, world
from stacks_lab import Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed, Resource


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("iam-resources")) as cloud:
        world(cloud)
        yield Lab(cloud)


def _left(lab: Lab) -> Any:
    """What there is of everything, to be the same after a deletion."""
    details = lab.cloud.api("iam", "GetAccountAuthorizationDetails", filter=["User", "Role", "Group", "LocalManagedPolicy"])
    details = {name: part for name, part in details.items() if name.endswith(("List", "Policies"))}
    profiles = lab.cloud.api("iam", "ListInstanceProfiles")["InstanceProfiles"]
    keys = [lab.cloud.api("iam", "ListAccessKeys", user_name=user)["AccessKeyMetadata"] for user in ("ann", "bob")]
    devices = lab.cloud.api("iam", "ListVirtualMFADevices")["VirtualMFADevices"]
    return details, profiles, keys, devices, lab.cloud.api("iam", "ListOpenIDConnectProviders")


@pytest.mark.parametrize(("type_name", "first", "second"), CASES)
def test_its_life(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    before = _left(lab)
    made = lab.create(type_name, **first)
    assert differences(first, lab.read(made)) == []
    if type_name not in ("AWS::IAM::Policy", "AWS::IAM::UserToGroupAddition"):
        assert made.id in lab.list(type_name)
    changed = lab.update(made, **second)
    live = lab.read(changed) or {}
    assert differences(second, live) == []
    for gone in first.keys() - second.keys() - {"Description"}:
        assert not live.get(gone) or live[gone] != first[gone], gone
    lab.delete(changed)
    assert lab.read(changed) is None
    assert _left(lab) == before
    lab.delete(changed)


def test_what_ref_and_getatt_give(lab: Lab) -> None:
    role = lab.create("AWS::IAM::Role", "Carrier", AssumeRolePolicyDocument=TRUST, Path="/x/")
    assert lab.ref(role) == role.id and role.id.startswith("demo-Carrier-")
    assert role.attributes["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/x/{role.id}" and role.attributes["RoleId"].startswith("AROA")
    policy = lab.create("AWS::IAM::Policy", "CarrierPolicy", PolicyName="p", PolicyDocument=allow("s3:*"), Roles=[role.id])
    assert policy.id.startswith("demo-Carri-") and policy.attributes == {"Id": policy.id}
    managed = lab.create("AWS::IAM::ManagedPolicy", "Managed", PolicyDocument=allow("s3:*"), Roles=[role.id])
    assert lab.ref(managed) == managed.attributes["PolicyArn"] and managed.attributes["AttachmentCount"] == 1
    key = lab.create("AWS::IAM::AccessKey", UserName="ann")
    assert key.id.startswith("AKIA") and len(key.attributes["SecretAccessKey"]) == 40
    for each in (key, managed, policy, role):
        lab.delete(each)


def test_a_moved_user_has_a_new_arn(lab: Lab) -> None:
    user = lab.create("AWS::IAM::User", Path="/a/")
    assert lab.update(user, Path="/b/").attributes["Arn"].endswith(f":user/b/{user.id}")
    lab.delete(user)


def test_a_login_profile_is_usable_and_its_password_is_not_kept(lab: Lab) -> None:
    props = {"UserName": "dora", "LoginProfile": {"Password": "Correct-horse-1"}}
    user = lab.create("AWS::IAM::User", **props)
    assert lab.cloud.api("iam", "GetLoginProfile", user_name="dora")["LoginProfile"]["PasswordResetRequired"] is False
    assert "Password" not in (lab.read(user) or {})["LoginProfile"]
    lab.update(user, UserName="dora", LoginProfile={"Password": "Correct-horse-2", "PasswordResetRequired": True})
    assert lab.cloud.api("iam", "GetLoginProfile", user_name="dora")["LoginProfile"]["PasswordResetRequired"] is True
    with pytest.raises(AwsError, match="minimum length of 8"):
        lab.update(user, UserName="dora", LoginProfile={"Password": "short"})
    lab.update(user, UserName="dora")
    with pytest.raises(AwsError, match="NoSuchEntity"):
        lab.cloud.api("iam", "GetLoginProfile", user_name="dora")
    lab.delete(user)


def test_a_managed_policy_is_updated_more_often_than_it_may_have_versions(lab: Lab) -> None:
    policy = lab.create("AWS::IAM::ManagedPolicy", PolicyDocument=allow("s3:a0"))
    for turn in range(1, 8):
        document = allow(f"s3:Get{turn}")
        lab.update(policy, PolicyDocument=document)
        assert (lab.read(policy) or {})["PolicyDocument"] == document
    lab.delete(policy)
    assert lab.read(policy) is None


def _leaves_nothing(lab: Lab, type_name: str, error: type[Exception], words: str, **props: Any) -> None:
    before = _left(lab)
    with pytest.raises(error, match=words):
        lab.create(type_name, **props)
    assert _left(lab) == before


def test_a_creation_that_fails_half_way_leaves_nothing(lab: Lab) -> None:
    gone = "arn:aws:iam::123456789012:policy/gone"
    _leaves_nothing(
        lab, "AWS::IAM::Role", AwsError, "does not exist or is not attachable", AssumeRolePolicyDocument=TRUST, ManagedPolicyArns=[gone]
    )
    _leaves_nothing(lab, "AWS::IAM::User", AwsError, "cannot be found", Groups=["nobody"])
    _leaves_nothing(
        lab, "AWS::IAM::Policy", AwsError, "cannot be found", PolicyName="p", PolicyDocument=allow("s3:*"), Roles=["carrier", "none"]
    )
    _leaves_nothing(
        lab, "AWS::IAM::SAMLProvider", AwsError, "AssertionEncryptionMode", SamlMetadataDocument="<a/>", AssertionEncryptionMode="Required"
    )
    _leaves_nothing(lab, "AWS::IAM::Policy", Failed, "must be non-empty", PolicyName="p", PolicyDocument=allow("s3:*"))
    _leaves_nothing(
        lab,
        "AWS::IAM::Role",
        Failed,
        "aws: prefixed tag",
        AssumeRolePolicyDocument=TRUST,
        Tags=[{"Key": "aws:cloudformation:x", "Value": "y"}],
    )


def test_what_others_attached_keeps_a_role(lab: Lab) -> None:
    role = lab.create("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST, ManagedPolicyArns=[READ_ONLY])
    lab.cloud.api("iam", "AttachRolePolicy", role_name=role.id, policy_arn=S3_READ)
    with pytest.raises(AwsError, match="must detach all policies first"):
        lab.delete(role)
    assert (lab.read(role) or {})["ManagedPolicyArns"] == [S3_READ, READ_ONLY], "a deletion that fails has taken nothing away"
    lab.cloud.api("iam", "DetachRolePolicy", role_name=role.id, policy_arn=S3_READ)
    lab.delete(role)


def test_a_role_policy_that_exists_is_not_taken_over(lab: Lab) -> None:
    lab.cloud.api("iam", "PutRolePolicy", role_name="carrier", policy_name="mine", policy_document=json.dumps(allow("s3:*")))
    with pytest.raises(Failed, match=r"with identifier 'mine\|carrier' already exists"):
        lab.create("AWS::IAM::RolePolicy", PolicyName="mine", RoleName="carrier", PolicyDocument=allow("s3:*"))
    lab.cloud.api("iam", "DeleteRolePolicy", role_name="carrier", policy_name="mine")


def test_service_linked_roles(lab: Lab) -> None:
    made = lab.create("AWS::IAM::ServiceLinkedRole", AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="mine", Description="a")
    assert lab.ref(made) == "AWSServiceRoleForAutoScaling_mine" and made.attributes == {"RoleName": made.id}
    lab.update(made, AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="mine", Description="b")
    assert (lab.read(made) or {})["Description"] == "b"
    lab.delete(made)
    assert lab.read(made) is None


def test_certificates_and_saml_providers(lab: Lab) -> None:
    body, key = _certificate()
    made: Resource = lab.create("AWS::IAM::ServerCertificate", CertificateBody=body, PrivateKey=key, Tags=[{"Key": "a", "Value": "b"}])
    assert differences({"Path": "/", "Tags": [{"Key": "a", "Value": "b"}]}, lab.read(made)) == []
    assert lab.update(made, CertificateBody=body, PrivateKey=key, Path="/x/").attributes["Arn"].endswith(f":server-certificate/x/{made.id}")
    lab.delete(made)
    assert lab.list("AWS::IAM::ServerCertificate") == []
    metadata = (
        '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{}"><IDPSSODescriptor/></EntityDescriptor>' + " " * 1000
    )
    provider = lab.create("AWS::IAM::SAMLProvider", SamlMetadataDocument=metadata.format("one"))
    assert provider.attributes["Arn"] == provider.id and provider.attributes["SamlProviderUUID"].startswith("ASPA")
    lab.update(provider, SamlMetadataDocument=metadata.format("two"), Tags=[{"Key": "a", "Value": "b"}])
    assert differences({"SamlMetadataDocument": metadata.format("two"), "Tags": [{"Key": "a", "Value": "b"}]}, lab.read(provider)) == []
    lab.delete(provider)
    assert lab.list("AWS::IAM::SAMLProvider") == []


def _certificate() -> tuple[str, str]:
    """A certificate of its own, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demo.example")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = builder.not_valid_before(start).not_valid_after(start + timedelta(days=3650)).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
