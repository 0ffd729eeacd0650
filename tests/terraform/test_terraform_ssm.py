"""Terraform's SSM parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow
PARAMETER = """
resource "aws_ssm_parameter" "greeting" {
  name  = "/site/greeting"
  type  = "String"
  value = "%s"
}
"""


def test_parameters(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(PARAMETER % "hello")
        lab.holds(PARAMETER % "good evening")
        lab.imports("aws_ssm_parameter.greeting", "/site/greeting")
