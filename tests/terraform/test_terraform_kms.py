"""Terraform's KMS: keys of every kind, aliases, grants, policies, ciphertexts."""

from __future__ import annotations

from pathlib import Path

import pytest

from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow
KEYS = """
data "aws_caller_identity" "me" {}

resource "aws_kms_key" "main" {
  description             = "%(description)s"
  deletion_window_in_days = 7
  enable_key_rotation     = %(rotation)s
  rotation_period_in_days = %(rotation)s ? 180 : null
  is_enabled              = %(enabled)s
  tags                    = { team = "%(team)s" }
}

resource "aws_kms_alias" "main" {
  name          = "alias/main"
  target_key_id = %(target)s
}

resource "aws_kms_key" "other" {
  description = "guarded"
}

resource "aws_kms_key_policy" "other" {
  key_id = aws_kms_key.other.id
  policy = jsonencode({
    Version = "2012-10-17"
    Id      = "other"
    Statement = [{
      Sid       = "Everything"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_key" "signing" {
  customer_master_key_spec = "ECC_NIST_P256"
  key_usage                = "SIGN_VERIFY"
}

resource "aws_kms_key" "mac" {
  customer_master_key_spec = "HMAC_256"
  key_usage                = "GENERATE_VERIFY_MAC"
}

resource "aws_iam_role" "reader" {
  name = "reader"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_kms_grant" "reader" {
  name              = "reading"
  key_id            = aws_kms_key.other.key_id
  grantee_principal = aws_iam_role.reader.arn
  operations        = ["Decrypt", "DescribeKey"]
  constraints {
    encryption_context_equals = { app = "shop" }
  }
}

resource "aws_kms_external_key" "imported" {
  description         = "brought from outside"
  key_material_base64 = base64encode("0123456789abcdef0123456789abcdef")
  enabled             = true
}

resource "aws_kms_ciphertext" "hush" {
  key_id    = aws_kms_key.other.key_id
  plaintext = "hush"
  context   = { app = "shop" }
}

data "aws_kms_alias" "s3" {
  name = "alias/aws/s3"
}

data "aws_kms_key" "by_alias" {
  key_id     = aws_kms_alias.main.name
}

data "aws_kms_public_key" "signing" {
  key_id = aws_kms_key.signing.key_id
}

data "aws_kms_secrets" "opened" {
  secret {
    name    = "hush"
    payload = aws_kms_ciphertext.hush.ciphertext_blob
    context = { app = "shop" }
  }
}

output "managed" {
  value = data.aws_kms_alias.s3.target_key_arn
}

output "opened" {
  value     = data.aws_kms_secrets.opened.plaintext["hush"]
  sensitive = true
}

output "public" {
  value = data.aws_kms_public_key.signing.public_key_pem
}

output "main" {
  value = aws_kms_key.main.key_id
}

output "imported" {
  value = aws_kms_external_key.imported.key_state
}
"""
FIRST = {"description": "first", "rotation": "true", "enabled": "true", "team": "a", "target": "aws_kms_key.main.key_id"}
THEN = {"description": "then", "rotation": "false", "enabled": "true", "team": "b", "target": "aws_kms_key.other.key_id"}
LAST = {**THEN, "enabled": "false"}


def test_keys(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(KEYS % FIRST)
        found = lab.outputs()
        assert (found["opened"], found["imported"]) == ("hush", "Enabled")
        assert found["public"].startswith("-----BEGIN PUBLIC KEY-----")
        assert ":key/" in found["managed"]
        lab.holds(KEYS % THEN)
        lab.holds(KEYS % LAST)
        lab.imports("aws_kms_key.signing", lab.state("aws_kms_key.signing")["key_id"])
        lab.imports("aws_kms_alias.main", "alias/main")
