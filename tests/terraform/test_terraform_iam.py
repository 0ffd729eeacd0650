"""IAM as Terraform's AWS provider uses it: applied, nothing left to do, updated, imported, destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest

from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow

PEOPLE = """
resource "aws_iam_group" "devs" {
  name = "devs"
  path = "/team/"
}
resource "aws_iam_user" "alice" {
  name          = "alice"
  path          = "/team/"
  force_destroy = true
  tags          = { team = "blue" }
  permissions_boundary = aws_iam_policy.read.arn
}
resource "aws_iam_user" "bob" {
  name = "bob"
}
resource "aws_iam_group_membership" "devs" {
  name  = "devs"
  group = aws_iam_group.devs.name
  users = [aws_iam_user.bob.name]
}
resource "aws_iam_group" "ops" {
  name = "ops"
}
resource "aws_iam_user_group_membership" "alice" {
  user   = aws_iam_user.alice.name
  groups = [aws_iam_group.ops.name]
}
resource "aws_iam_group_policy" "devs" {
  name   = "list"
  group  = aws_iam_group.devs.name
  policy = data.aws_iam_policy_document.read.json
}
resource "aws_iam_group_policy_attachment" "ops" {
  group      = aws_iam_group.ops.name
  policy_arn = data.aws_iam_policy.read_only.arn
}
resource "aws_iam_user_policy" "alice" {
  name   = "own"
  user   = aws_iam_user.alice.name
  policy = data.aws_iam_policy_document.read.json
}
resource "aws_iam_user_policy_attachment" "alice" {
  user       = aws_iam_user.alice.name
  policy_arn = aws_iam_policy.read.arn
}
resource "aws_iam_access_key" "alice" {
  user = aws_iam_user.alice.name
}
resource "aws_iam_user_login_profile" "bob" {
  user                    = aws_iam_user.bob.name
  password_length         = 20
  password_reset_required = true
}
resource "aws_iam_user_ssh_key" "bob" {
  username   = aws_iam_user.bob.name
  encoding   = "SSH"
  public_key = "%(ssh)s"
}
resource "aws_iam_service_specific_credential" "bob" {
  user_name    = aws_iam_user.bob.name
  service_name = "codecommit.amazonaws.com"
}
resource "aws_iam_virtual_mfa_device" "phone" {
  virtual_mfa_device_name = "phone"
  tags                    = { of = "bob" }
}
resource "aws_iam_policy" "read" {
  name        = "read"
  path        = "/team/"
  description = "reads"
  policy      = data.aws_iam_policy_document.read.json
  tags        = { kind = "%(kind)s" }
}
data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = %(actions)s
    resources = ["arn:aws:s3:::bucket/$${aws:username}/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = ["us-east-1"]
    }
  }
}
data "aws_iam_policy" "read_only" {
  arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
}
output "policy" { value = aws_iam_policy.read.arn }
"""
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL6VyX8zUH1rJ8sBvXWm3wQYkxX9d0yX6yqk0hJw8iO4"
ROLES = """
data "aws_caller_identity" "me" {}
data "aws_iam_session_context" "me" {
  arn = data.aws_caller_identity.me.arn
}
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com", "lambda.amazonaws.com"]
    }
  }
}
data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["logs:PutLogEvents"]
    resources = ["*"]
  }
}
resource "aws_iam_role" "web" {
  name                 = "web"
  path                 = "/app/"
  description          = "%(description)s"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = %(seconds)s
  tags                 = { app = "web" }
}
resource "aws_iam_role" "exclusive" {
  name                = "exclusive"
  assume_role_policy  = data.aws_iam_policy_document.trust.json
  managed_policy_arns = ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]
  inline_policy {
    name   = "logs"
    policy = data.aws_iam_policy_document.logs.json
  }
}
resource "aws_iam_role_policy" "web" {
  name   = "logs"
  role   = aws_iam_role.web.id
  policy = data.aws_iam_policy_document.logs.json
}
resource "aws_iam_role_policy_attachment" "web" {
  role       = aws_iam_role.web.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}
resource "aws_iam_instance_profile" "web" {
  name = "web"
  role = aws_iam_role.web.name
  tags = { app = "web" }
}
resource "aws_iam_policy" "shared" {
  name   = "shared"
  policy = data.aws_iam_policy_document.logs.json
}
resource "aws_iam_policy_attachment" "shared" {
  name       = "shared"
  roles      = [aws_iam_role.web.name]
  policy_arn = aws_iam_policy.shared.arn
}
resource "aws_iam_service_linked_role" "ecs" {
  aws_service_name = "ecs.amazonaws.com"
  description      = "of ECS"
}
resource "aws_iam_account_alias" "alias" {
  account_alias = "windtunnel-lab"
}
resource "aws_iam_account_password_policy" "strict" {
  minimum_password_length        = 12
  require_lowercase_characters   = true
  require_numbers                = true
  require_uppercase_characters   = true
  require_symbols                = true
  allow_users_to_change_password = true
  password_reuse_prevention      = 3
}
resource "aws_iam_openid_connect_provider" "idp" {
  url             = "https://token.actions.githubusercontent.com"
  client_id_list  = %(clients)s
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1"]
  tags            = { idp = "github" }
}
resource "aws_iam_saml_provider" "idp" {
  name                   = "idp"
  saml_metadata_document = <<-XML
    <EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/saml" validUntil="2040-01-01T00:00:00Z">
      <!-- ${join("", [for i in range(100) : "padding   "])} -->
      <IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
        <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/sso"/>
      </IDPSSODescriptor>
    </EntityDescriptor>
  XML
}
resource "aws_iam_server_certificate" "site" {
  name             = "site"
  path             = "/web/"
  certificate_body = file("site.pem")
  private_key      = file("site.key")
}
data "aws_iam_role" "web" {
  name = aws_iam_role.web.name
}
output "account" { value = data.aws_caller_identity.me.account_id }
output "role" { value = data.aws_iam_role.web.arn }
"""


def test_users_groups_and_policies(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(PEOPLE % {"ssh": SSH, "kind": "first", "actions": '["s3:GetObject"]'})
        lab.holds(PEOPLE % {"ssh": SSH, "kind": "second", "actions": '["s3:GetObject", "s3:ListBucket"]'})
        lab.imports("aws_iam_group.devs", "devs")
        lab.imports("aws_iam_policy.read", lab.outputs()["policy"])


def certificate() -> tuple[str, str]:
    """(certificate, private key) of nobody's site, in PEM."""
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = builder.not_valid_before(datetime(2026, 1, 1)).not_valid_after(datetime(2046, 1, 1)).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def test_roles_providers_and_the_account(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        body, key = certificate()
        (lab.directory / "site.pem").write_text(body)
        (lab.directory / "site.key").write_text(key)
        lab.holds(ROLES % {"description": "a web server", "seconds": 3600, "clients": '["sts.amazonaws.com"]'})
        lab.holds(ROLES % {"description": "web servers", "seconds": 7200, "clients": '["sts.amazonaws.com", "other"]'})
        lab.imports("aws_iam_role.web", "web")
        lab.imports("aws_iam_account_alias.alias", "windtunnel-lab")
        outputs = lab.outputs()
        assert outputs["role"] == f"arn:aws:iam::{outputs['account']}:role/app/web"
