"""EventBridge as Terraform keeps it: every resource type that runs here, created, changed, imported, with nothing left to do after each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shell import client
from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow

CONFIGURATION = """
data "aws_caller_identity" "me" {}

resource "aws_cloudwatch_event_bus" "orders" {
  name        = "orders"
  description = "DESCRIPTION"
  tags        = { team = "TEAM" }
}

resource "aws_cloudwatch_event_bus" "audit" {
  name = "audit"
}

data "aws_cloudwatch_event_bus" "default" {
  name = "default"
}

resource "aws_cloudwatch_event_permission" "other" {
  principal      = "222222222222"
  statement_id   = "other"
  event_bus_name = aws_cloudwatch_event_bus.orders.name
}

data "aws_iam_policy_document" "audit" {
  statement {
    sid       = "others"
    effect    = "Allow"
    actions   = ["events:PutEvents"]
    resources = [aws_cloudwatch_event_bus.audit.arn]
    principals {
      type        = "AWS"
      identifiers = ["222222222222"]
    }
  }
}

resource "aws_cloudwatch_event_bus_policy" "audit" {
  policy         = data.aws_iam_policy_document.audit.json
  event_bus_name = aws_cloudwatch_event_bus.audit.name
}

resource "aws_iam_role" "events" {
  name = "events"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "events.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "events" {
  role = aws_iam_role.events.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["events:PutEvents", "codebuild:StartBuild", "codepipeline:StartPipelineExecution", "events:InvokeApiDestination"], Resource = "*" }]
  })
}

resource "aws_sqs_queue" "work" {
  name = "work"
}

resource "aws_sqs_queue" "letters" {
  name = "letters"
}

resource "aws_sqs_queue_policy" "events" {
  for_each  = { work = aws_sqs_queue.work, letters = aws_sqs_queue.letters }
  queue_url = each.value.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = each.value.arn
      Principal = { Service = "events.amazonaws.com" }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "ordered" {
  name           = "ordered"
  description    = "DESCRIPTION"
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  event_pattern  = jsonencode({ source = ["shop"], detail = { total = [{ numeric = [">", LIMIT] }] } })
  tags           = { team = "TEAM" }
}

resource "aws_cloudwatch_event_target" "work" {
  rule           = aws_cloudwatch_event_rule.ordered.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  target_id      = "work"
  arn            = aws_sqs_queue.work.arn
  input_transformer {
    input_paths    = { total = "$.detail.total" }
    input_template = "{\\"total\\": <total>, \\"rule\\": \\"<aws.events.rule-name>\\"}"
  }
  dead_letter_config {
    arn = aws_sqs_queue.letters.arn
  }
  retry_policy {
    maximum_event_age_in_seconds = 300
    maximum_retry_attempts       = RETRIES
  }
}

resource "aws_cloudwatch_event_target" "audit" {
  rule           = aws_cloudwatch_event_rule.ordered.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  arn            = aws_cloudwatch_event_bus.audit.arn
  role_arn       = aws_iam_role.events.arn
}

resource "aws_sns_topic" "orders" {
  name = "orders"
}

resource "aws_cloudwatch_log_group" "orders" {
  name = "/aws/events/orders"
}

resource "aws_cloudwatch_event_target" "topic" {
  rule           = aws_cloudwatch_event_rule.ordered.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  arn            = aws_sns_topic.orders.arn
  input_path     = "$.detail"
}

resource "aws_cloudwatch_event_target" "lines" {
  rule           = aws_cloudwatch_event_rule.ordered.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  arn            = aws_cloudwatch_log_group.orders.arn
}

resource "aws_cloudwatch_event_rule" "nightly" {
  name                = "nightly"
  schedule_expression = "cron(0 3 ? * MON-FRI *)"
  state               = "STATE"
}

resource "aws_cloudwatch_event_target" "build" {
  rule     = aws_cloudwatch_event_rule.nightly.name
  arn      = "arn:aws:codebuild:us-east-1:${data.aws_caller_identity.me.account_id}:project/nightly"
  role_arn = aws_iam_role.events.arn
  input    = jsonencode({ sourceVersion = "main" })
}

resource "aws_cloudwatch_event_target" "pipeline" {
  rule     = aws_cloudwatch_event_rule.nightly.name
  arn      = "arn:aws:codepipeline:us-east-1:${data.aws_caller_identity.me.account_id}:release"
  role_arn = aws_iam_role.events.arn
}

resource "aws_cloudwatch_event_target" "api" {
  rule     = aws_cloudwatch_event_rule.nightly.name
  arn      = aws_cloudwatch_event_api_destination.api.arn
  role_arn = aws_iam_role.events.arn
  http_target {
    header_parameters       = { x-own = "TEAM" }
    query_string_parameters = { q = "1" }
  }
}

resource "aws_cloudwatch_event_archive" "orders" {
  name             = "orders"
  event_source_arn = aws_cloudwatch_event_bus.orders.arn
  description      = "DESCRIPTION"
  retention_days   = DAYS
  event_pattern    = jsonencode({ source = ["shop"] })
}

resource "aws_cloudwatch_event_connection" "api" {
  name               = "api"
  description        = "DESCRIPTION"
  authorization_type = "API_KEY"
  auth_parameters {
    api_key {
      key   = "x-key"
      value = "TEAM"
    }
    invocation_http_parameters {
      header {
        key             = "x-team"
        value           = "TEAM"
        is_value_secret = false
      }
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "api" {
  name                             = "api"
  invocation_endpoint              = "https://example.com/hooks"
  http_method                      = "POST"
  invocation_rate_limit_per_second = LIMIT
  connection_arn                   = aws_cloudwatch_event_connection.api.arn
}

output "account" {
  value = data.aws_caller_identity.me.account_id
}

output "default" {
  value = data.aws_cloudwatch_event_bus.default.arn
}
"""
FIRST = {"DESCRIPTION": "first", "TEAM": "a", "LIMIT": "100", "RETRIES": "3", "STATE": "ENABLED", "DAYS": "7"}
THEN = {"DESCRIPTION": "then", "TEAM": "b", "LIMIT": "200", "RETRIES": "0", "STATE": "DISABLED", "DAYS": "9"}


def written(words: dict[str, str]) -> str:
    text = CONFIGURATION
    for name, value in words.items():
        text = text.replace(name, value)
    return text


def test_buses_rules_targets_and_archives(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(written(FIRST))
        assert lab.outputs()["default"].endswith(":event-bus/default")
        lab.holds(written(THEN))
        account = lab.outputs()["account"]
        for address, identifier in {
            "aws_cloudwatch_event_bus.orders": "orders",
            "aws_cloudwatch_event_permission.other": "orders/other",
            "aws_cloudwatch_event_bus_policy.audit": "audit",
            "aws_cloudwatch_event_rule.ordered": "orders/ordered",
            "aws_cloudwatch_event_rule.nightly": "nightly",
            "aws_cloudwatch_event_target.work": "orders/ordered/work",
            "aws_cloudwatch_event_archive.orders": "orders",
            "aws_cloudwatch_event_api_destination.api": "api",
        }.items():
            lab.imports(address, identifier)
        events = client(lab.cloud, "events")
        shown = events.describe_archive(ArchiveName="orders")
        assert shown["EventSourceArn"] == f"arn:aws:events:us-east-1:{account}:event-bus/orders"
        entry = {"Source": "shop", "DetailType": "Ordered", "Detail": json.dumps({"total": 700}), "EventBusName": "orders"}
        events.put_events(Entries=[entry])
        sqs = client(lab.cloud, "sqs")
        url = sqs.get_queue_url(QueueName="work")["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
        assert json.loads(message["Body"]) == {"total": 700, "rule": "ordered"}
