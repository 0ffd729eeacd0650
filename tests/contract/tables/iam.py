"""What the generated contract tests need to know of `iam`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT
from tables.shared import POLICY, TRUST

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBFzCBv6ADAgECAgEBMAoGCCqGSM49BAMCMBYxFDASBgNVBAMMC2V4YW1wbGUu
Y29tMB4XDTI2MDEwMTAwMDAwMFoXDTQ2MDEwMTAwMDAwMFowFjEUMBIGA1UEAwwL
ZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQvOZ8JKVQ+k4Dn
t5IpiN5+Ts/9wf3lAbDgF6JmiQas1RgpIjDORiNb9x3CXdmv2LnHcwBYf0m1QLL6
hGRKtXaHMAoGCCqGSM49BAMCA0cAMEQCIGQFdGAfNiKujneAFDeaCvACE69WTr0F
lYrA7AyH+zjiAiBi8LTQIPax791JXYAUbrHZTOOtX0RSsGi5TCL+39w62Q==
-----END CERTIFICATE-----
"""
PRIVATE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwOSJWC8Z+uokspvf
7QfscibO3qbN0nI8Z1C3Q9Ww0RmhRANCAAQvOZ8JKVQ+k4Dnt5IpiN5+Ts/9wf3l
AbDgF6JmiQas1RgpIjDORiNb9x3CXdmv2LnHcwBYf0m1QLL6hGRKtXaH
-----END PRIVATE KEY-----
"""
"""Of nobody: made for these tests."""
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILy6jwpNUwVO7WI803GNcTxwGhn3A8BYzae0FwE96D1X"
METADATA = (
    '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/saml"><IDPSSODescriptor'
    ' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><SingleSignOnService'
    ' Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/sso"/></IDPSSODescriptor></EntityDescriptor>'
).ljust(1100)
ARN = f"arn:aws:iam::{ACCOUNT}"

NAMES: dict[str, Any] = {
    "groupname": "devs",
    "accountalias": "wind-tunnel",
    "actionnames": ["s3:GetObject"],
    "arn": f"{ARN}:user/alice",
    "authenticationcode1": "123456",
    "authenticationcode2": "654321",
    "awsservicename": "autoscaling.amazonaws.com",
    "callerarn": f"{ARN}:user/alice",
    "certificatebody": CERTIFICATE,
    "deletiontaskid": "task/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS/1",
    "name": "idp",
    "newpassword": "Correct-Horse-2",
    "oldpassword": "Correct-Horse-1",
    "openidconnectproviderarn": f"{ARN}:oidc-provider/idp.example.com",
    "password": "Correct-Horse-1",
    "permissionsboundarypolicyinputlist": [POLICY],
    "policyinputlist": [POLICY],
    "policysourcearn": f"{ARN}:user/alice",
    "privatekey": PRIVATE_KEY,
    "resourcearns": ["arn:aws:s3:::bucket/key"],
    "samlmetadatadocument": METADATA,
    "samlproviderarn": f"{ARN}:saml-provider/idp",
    "serialnumber": f"{ARN}:mfa/phone",
    "servercertificatename": "certificate",
    "sshpublickeybody": SSH_KEY,
    "thumbprintlist": ["0" * 40],
    "url": "https://another.example.com",
}
ALSO: dict[str, str] = {
    "CreateAccessKey": "UserName",
    "DeleteAccessKey": "UserName",
    "UpdateAccessKey": "UserName",
    "ListAccessKeys": "UserName",
    "CreateLoginProfile": "UserName Password",
    "GetLoginProfile": "UserName",
    "DeleteLoginProfile": "UserName",
    "DeactivateMFADevice": "UserName",
    "GetMFADevice": "UserName",
    "ListMFADevices": "UserName",
    "ListSSHPublicKeys": "UserName",
    "UploadSigningCertificate": "UserName",
    "UpdateSigningCertificate": "UserName",
    "DeleteSigningCertificate": "UserName",
    "ListSigningCertificates": "UserName",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateUser", {"user_name": "alice"}),
    ("CreateGroup", {"group_name": "devs"}),
    ("CreateRole", {"role_name": "Deploy", "assume_role_policy_document": TRUST}),
    ("CreatePolicy", {"policy_name": "P", "policy_document": POLICY}),
    ("CreateInstanceProfile", {"instance_profile_name": "Web"}),
    ("AddRoleToInstanceProfile", {"instance_profile_name": "Web", "role_name": "Deploy"}),
    ("CreateVirtualMFADevice", {"virtual_mfa_device_name": "phone"}),
    ("CreateOpenIDConnectProvider", {"url": "https://idp.example.com", "client_id_list": ["client"], "thumbprint_list": ["0" * 40]}),
    ("CreateSAMLProvider", {"name": "idp", "saml_metadata_document": METADATA}),
    ("UploadServerCertificate", {"server_certificate_name": "certificate", "certificate_body": CERTIFICATE, "private_key": PRIVATE_KEY}),
]
ACTIONS: dict[str, list[str]] = {
    "AddRoleToInstanceProfile": ["iam:AddRoleToInstanceProfile", "iam:PassRole"],
}
ERRORS = {
    "InvalidParameterValue",  # a session tag that a role chain keeps; "Pass session tags in AWS STS"
    "PolicyNotAttachable",
    "InvalidClientTokenId",  # a session that IAM does not take
}
