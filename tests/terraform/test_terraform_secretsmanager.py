"""Terraform's Secrets Manager: secrets, their versions and policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow
SECRETS = """
data "aws_caller_identity" "me" {}

resource "aws_kms_key" "own" {
  description = "for secrets"
}

resource "aws_secretsmanager_secret" "db" {
  name                    = "app/db"
  description             = "%(description)s"
  kms_key_id              = aws_kms_key.own.arn
  recovery_window_in_days = 7
  tags                    = { team = "%(team)s" }

  replica {
    region = "%(region)s"
  }
}

resource "aws_secretsmanager_secret_version" "db" {
  secret_id     = aws_secretsmanager_secret.db.id
  secret_string = jsonencode({ user = "app", password = "%(password)s" })
}

resource "aws_secretsmanager_secret_policy" "db" {
  secret_arn          = aws_secretsmanager_secret.db.arn
  block_public_policy = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Read"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root" }
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*"
    }]
  })
}

resource "aws_secretsmanager_secret" "bytes" {
  name_prefix             = "bytes-"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "bytes" {
  secret_id      = aws_secretsmanager_secret.bytes.id
  secret_binary  = base64encode("bytes")
  version_stages = ["AWSCURRENT", "mine"]
}

data "aws_secretsmanager_secret" "db" {
  name       = aws_secretsmanager_secret.db.name
}

data "aws_secretsmanager_secret_version" "db" {
  secret_id  = aws_secretsmanager_secret_version.db.secret_id
}

data "aws_secretsmanager_random_password" "one" {
  password_length = 20
}

data "aws_secretsmanager_secrets" "all" {
  filter {
    name   = "name"
    values = [aws_secretsmanager_secret.db.name]
  }
}

output "password" {
  value     = jsondecode(data.aws_secretsmanager_secret_version.db.secret_string)["password"]
  sensitive = true
}

output "names" {
  value = data.aws_secretsmanager_secrets.all.names
}

output "arn" {
  value = aws_secretsmanager_secret.db.arn
}
"""
FIRST = {"description": "first", "team": "a", "password": "one", "region": "eu-west-1"}
THEN = {"description": "then", "team": "b", "password": "two", "region": "eu-north-1"}


def test_secrets(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.apply(SECRETS % FIRST)
        assert lab.outputs()["password"] == "one"
        # A random password is another one each time it is read; the plan must have nothing else in it.
        lab.holds(SECRETS % FIRST)
        lab.holds(SECRETS % THEN)
        found = lab.outputs()
        assert (found["password"], found["names"]) == ("two", ["app/db"])
        lab.imports("aws_secretsmanager_secret.bytes", lab.state("aws_secretsmanager_secret.bytes")["arn"])
