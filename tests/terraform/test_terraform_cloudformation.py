"""A CloudFormation stack as Terraform keeps it: made, read, changed, its outputs used, with nothing left to do after each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shell import client
from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow


def template(retention: int) -> dict[str, Any]:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": {"Ref": "Seconds"}}}
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": retention}}
    return {
        "Parameters": {"Seconds": {"Type": "Number", "Default": 60}},
        "Resources": {"Queue": queue, "Group": group},
        "Outputs": {"Url": {"Value": {"Ref": "Queue"}}, "Group": {"Value": {"Ref": "Group"}}},
    }


def configuration(seconds: int, retention: int, team: str) -> str:
    return f"""
resource "aws_cloudformation_stack" "work" {{
  name          = "work"
  parameters    = {{ Seconds = "{seconds}" }}
  tags          = {{ team = "{team}" }}
  on_failure    = "DELETE"
  template_body = jsonencode({json.dumps(template(retention))})
}}

data "aws_cloudformation_stack" "work" {{
  name = aws_cloudformation_stack.work.name
}}

output "url" {{ value = aws_cloudformation_stack.work.outputs["Url"] }}
output "group" {{ value = data.aws_cloudformation_stack.work.outputs["Group"] }}
"""


def test_a_stack(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(configuration(120, 7, "blue"))
        outputs, sqs, logs = lab.outputs(), client(lab.cloud, "sqs"), client(lab.cloud, "logs")
        kept = sqs.get_queue_attributes(QueueUrl=outputs["url"], AttributeNames=["MessageRetentionPeriod"])["Attributes"]
        assert kept == {"MessageRetentionPeriod": "120"}
        lab.holds(configuration(180, 14, "red"))
        kept = sqs.get_queue_attributes(QueueUrl=outputs["url"], AttributeNames=["MessageRetentionPeriod"])["Attributes"]
        assert kept == {"MessageRetentionPeriod": "180"}, "changed in place"
        [group] = logs.describe_log_groups(logGroupNamePrefix=outputs["group"])["logGroups"]
        assert group["retentionInDays"] == 14
        assert logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]["team"] == "red"
        lab.destroy()
        assert logs.describe_log_groups()["logGroups"] == []
        assert sqs.list_queues().get("QueueUrls", []) == []
