"""Terraform's SSM parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow
PARAMETERS = """
data "aws_caller_identity" "me" {}

resource "aws_kms_key" "own" {
  description = "for parameters"
}

resource "aws_ssm_parameter" "greeting" {
  name            = "/site/greeting"
  type            = "String"
  value           = "%(text)s"
  description     = "what the page says"
  allowed_pattern = "^[a-z ]+$"
  tags            = { team = "%(team)s" }
}

resource "aws_ssm_parameter" "list" {
  name  = "/site/list"
  type  = "StringList"
  value = "a,b,%(text)s"
}

resource "aws_ssm_parameter" "password" {
  name  = "/site/password"
  type  = "SecureString"
  value = "hush %(text)s"
}

resource "aws_ssm_parameter" "own" {
  name   = "/site/own"
  type   = "SecureString"
  key_id = aws_kms_key.own.key_id
  tier   = "Advanced"
  value  = "hush own %(text)s"
}

resource "aws_ssm_parameter" "insecure" {
  name           = "/site/insecure"
  type           = "String"
  tier           = "Intelligent-Tiering"
  insecure_value = "plain %(text)s"
}

resource "aws_ssm_service_setting" "tier" {
  setting_id    = "arn:aws:ssm:us-east-1:${data.aws_caller_identity.me.account_id}:servicesetting/ssm/parameter-store/default-parameter-tier"
  setting_value = "%(tier)s"
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

resource "aws_ssm_parameter" "image" {
  name      = "/site/image"
  type      = "String"
  data_type = "aws:ec2:image"
  value     = data.aws_ssm_parameter.image.value
}

data "aws_ssm_parameter" "password" {
  name       = aws_ssm_parameter.password.name
}

data "aws_ssm_parameters_by_path" "site" {
  path       = "/site"
  depends_on = [aws_ssm_parameter.greeting, aws_ssm_parameter.list, aws_ssm_parameter.password, aws_ssm_parameter.own]
}

output "password" {
  value     = data.aws_ssm_parameter.password.value
  sensitive = true
}
"""
FIRST = {"text": "hello", "team": "a", "tier": "Intelligent-Tiering"}
THEN = {"text": "good evening", "team": "b", "tier": "Advanced"}


def test_parameters(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(PARAMETERS % FIRST)
        assert lab.outputs()["password"] == "hush hello"
        lab.holds(PARAMETERS % THEN)
        assert lab.outputs()["password"] == "hush good evening"
        lab.imports("aws_ssm_parameter.greeting", "/site/greeting")
        lab.imports("aws_ssm_parameter.password", "/site/password")
