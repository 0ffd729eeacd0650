"""Terraform's CloudWatch Logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from shell import client
from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow
LOGS = """
data "aws_caller_identity" "me" {}
data "aws_region" "here" {}

data "aws_iam_policy_document" "key" {
  statement {
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.me.account_id}:root"]
    }
  }
  statement {
    actions   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.${data.aws_region.here.name}.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:aws:logs:${data.aws_region.here.name}:${data.aws_caller_identity.me.account_id}:*"]
    }
  }
}

resource "aws_kms_key" "logs" {
  policy = data.aws_iam_policy_document.key.json
}

resource "aws_cloudwatch_log_group" "site" {
  name              = "/site/web"
  retention_in_days = %(days)d
  kms_key_id        = %(key)s
  tags              = { team = "%(team)s" }
}

resource "aws_cloudwatch_log_group" "cheap" {
  name            = "/site/cheap"
  log_group_class = "INFREQUENT_ACCESS"
}

resource "aws_cloudwatch_log_group" "generated" {
  name_prefix  = "generated-"
  skip_destroy = true
}

resource "aws_cloudwatch_log_stream" "one" {
  name           = "one"
  log_group_name = aws_cloudwatch_log_group.site.name
}

data "aws_iam_policy_document" "events" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.site.arn}:*"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "events" {
  policy_name     = "events"
  policy_document = data.aws_iam_policy_document.events.json
}

resource "aws_cloudwatch_query_definition" "errors" {
  name            = "site/errors"
  log_group_names = [aws_cloudwatch_log_group.site.name]
  query_string    = <<EOF
fields @timestamp, @message
| sort @timestamp desc
| limit %(days)d
EOF
}

data "aws_cloudwatch_log_group" "site" {
  name = aws_cloudwatch_log_group.site.name
}

data "aws_cloudwatch_log_groups" "all" {
  log_group_name_prefix = "/site"
  depends_on            = [aws_cloudwatch_log_group.site, aws_cloudwatch_log_group.cheap]
}

output "retention" {
  value = data.aws_cloudwatch_log_group.site.retention_in_days
}

output "groups" {
  value = sort(data.aws_cloudwatch_log_groups.all.log_group_names)
}
"""


def test_groups_streams_policies_and_definitions(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(LOGS % {"days": 7, "team": "a", "key": "aws_kms_key.logs.arn"})
        assert lab.outputs() == {"retention": 7, "groups": ["/site/cheap", "/site/web"]}
        [site] = client(lab.cloud, "logs").describe_log_groups(logGroupNamePrefix="/site/web")["logGroups"]
        assert site["kmsKeyId"].startswith("arn:aws:kms:")
        lab.holds(LOGS % {"days": 30, "team": "b", "key": "null"})
        [site] = client(lab.cloud, "logs").describe_log_groups(logGroupNamePrefix="/site/web")["logGroups"]
        assert "kmsKeyId" not in site and site["retentionInDays"] == 30
        lab.imports("aws_cloudwatch_log_group.site", "/site/web")
        lab.imports("aws_cloudwatch_log_stream.one", "/site/web:one")
        lab.imports("aws_cloudwatch_log_resource_policy.events", "events")
        definition = client(lab.cloud, "logs").describe_query_definitions()["queryDefinitions"][0]["queryDefinitionId"]
        arn = f"arn:aws:logs:us-east-1:{site['arn'].split(':')[4]}:query-definition:{definition}"
        lab.imports("aws_cloudwatch_query_definition.errors", arn)
        lab.destroy()
        left = client(lab.cloud, "logs").describe_log_groups()["logGroups"]
        assert [group["logGroupName"][:10] for group in left] == ["generated-"], "what is to be kept is kept"
