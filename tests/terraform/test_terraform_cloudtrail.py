"""Terraform's CloudTrail, with everything that a trail delivers to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import until
from shell import client
from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow
TRAIL = """
data "aws_caller_identity" "me" {}
data "aws_region" "here" {}
data "aws_partition" "here" {}

locals {
  trail = "arn:aws:cloudtrail:${data.aws_region.here.name}:${data.aws_caller_identity.me.account_id}:trail/all"
}

resource "aws_s3_bucket" "trail" {
  bucket        = "trail-bucket"
  force_destroy = true
}

data "aws_iam_policy_document" "trail" {
  statement {
    actions   = ["s3:GetBucketAcl"]
    resources = [aws_s3_bucket.trail.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail]
    }
  }
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.trail.arn}/prefix/AWSLogs/${data.aws_caller_identity.me.account_id}/*"]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "s3:x-amz-acl"
      values   = ["bucket-owner-full-control"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail]
    }
  }
}

resource "aws_s3_bucket_policy" "trail" {
  bucket = aws_s3_bucket.trail.id
  policy = data.aws_iam_policy_document.trail.json
}

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
    actions   = ["kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
  }
}

resource "aws_kms_key" "trail" {
  policy = data.aws_iam_policy_document.key.json
}

resource "aws_cloudwatch_log_group" "trail" {
  name = "trail"
}

resource "aws_iam_role" "trail" {
  name = "trail"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "cloudtrail.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "trail" {
  role = aws_iam_role.trail.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "${aws_cloudwatch_log_group.trail.arn}:*" }]
  })
}

resource "aws_cloudtrail" "all" {
  name                          = "all"
  s3_bucket_name                = aws_s3_bucket.trail.id
  s3_key_prefix                 = "prefix"
  include_global_service_events = true
  is_multi_region_trail         = %(multi)s
  enable_log_file_validation    = true
  kms_key_id                    = aws_kms_key.trail.arn
  cloud_watch_logs_group_arn    = "${aws_cloudwatch_log_group.trail.arn}:*"
  cloud_watch_logs_role_arn     = aws_iam_role.trail.arn
  sns_topic_name                = "trail"
  tags                          = { team = "%(team)s" }
  %(selectors)s
  depends_on = [aws_s3_bucket_policy.trail, aws_iam_role_policy.trail]
}
"""
BASIC = """event_selector {
    read_write_type           = "WriteOnly"
    include_management_events = true
    data_resource {
      type   = "AWS::S3::Object"
      values = ["arn:aws:s3"]
    }
  }"""
ADVANCED = """advanced_event_selector {
    name = "management"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
    field_selector {
      field      = "eventSource"
      not_equals = ["kms.amazonaws.com"]
    }
  }"""


def test_a_trail_with_everything(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        make_topic(client(lab.cloud, "sns"))
        lab.holds(TRAIL % {"multi": "false", "team": "a", "selectors": BASIC})
        status = client(lab.cloud, "cloudtrail").get_trail_status(Name="all")
        assert status["IsLogging"]
        lab.holds(TRAIL % {"multi": "true", "team": "b", "selectors": ADVANCED})
        client(lab.cloud, "iam").create_user(UserName="ann")
        s3, logs = client(lab.cloud, "s3"), client(lab.cloud, "logs")
        until(lambda: s3.list_objects_v2(Bucket="trail-bucket", Prefix="prefix/AWSLogs/").get("KeyCount", 0) > 1, 30, "a file is delivered")
        until(lambda: logs.filter_log_events(logGroupName="trail", filterPattern='{ $.eventName = "CreateUser" }')["events"], 30)
        client(lab.cloud, "iam").delete_user(UserName="ann")
        lab.imports("aws_cloudtrail.all", f"arn:aws:cloudtrail:us-east-1:{status_account(lab)}:trail/all")


def make_topic(sns: Any) -> None:
    arn = sns.create_topic(Name="trail")["TopicArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "sns:Publish", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


def status_account(lab: object) -> str:
    account: str = client(lab.cloud, "sts").get_caller_identity()["Account"]  # type: ignore[attr-defined]
    return account
