"""Values that several services' tables name."""

from __future__ import annotations

from harness import ACCOUNT

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Deploy"
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
_TRUSTED = ("cloudtrail", "codebuild", "codedeploy", "codepipeline", "ec2", "events", "logs", "s3", "scheduler", "sns")
_SERVICES = ",".join(f'"{name}.amazonaws.com"' for name in _TRUSTED)
TRUST = f'{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":[{_SERVICES}]}},"Action":"sts:AssumeRole"}}]}}'
"""Deploy's trust policy."""
