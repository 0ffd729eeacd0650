"""EventBridge Scheduler as Terraform keeps it: groups and schedules, changed, imported, with nothing left to do after each."""

from __future__ import annotations

from pathlib import Path

import pytest

from shell import client
from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow

CONFIGURATION = """
resource "aws_scheduler_schedule_group" "night" {
  name = "night"
  tags = { team = "TEAM" }
}

resource "aws_iam_role" "clock" {
  name = "clock"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "scheduler.amazonaws.com" } }]
  })
}

resource "aws_sqs_queue" "work" {
  name = "work"
}

resource "aws_sqs_queue" "letters" {
  name = "letters"
}

resource "aws_scheduler_schedule" "report" {
  name                         = "report"
  group_name                   = aws_scheduler_schedule_group.night.name
  description                  = "DESCRIPTION"
  schedule_expression          = "EXPRESSION"
  schedule_expression_timezone = "Europe/Berlin"
  start_date                   = "2036-01-01T00:00:00Z"
  end_date                     = "2037-01-01T00:00:00Z"
  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }
  target {
    arn      = aws_sqs_queue.work.arn
    role_arn = aws_iam_role.clock.arn
    input    = jsonencode({ report = "daily" })
    dead_letter_config {
      arn = aws_sqs_queue.letters.arn
    }
    retry_policy {
      maximum_event_age_in_seconds = 600
      maximum_retry_attempts       = RETRIES
    }
  }
}

resource "aws_scheduler_schedule" "plain" {
  name_prefix         = "plain-"
  schedule_expression = "rate(30 days)"
  state               = "DISABLED"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
    role_arn = aws_iam_role.clock.arn
    input    = jsonencode({ MessageBody = "hello", QueueUrl = aws_sqs_queue.work.url })
  }
}

resource "aws_scheduler_schedule" "bus" {
  name                = "bus"
  schedule_expression = "at(2036-05-05T05:05:05)"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = "arn:aws:events:us-east-1:${data.aws_caller_identity.me.account_id}:event-bus/default"
    role_arn = aws_iam_role.clock.arn
    input    = jsonencode({ tick = true })
    eventbridge_parameters {
      detail_type = "Tick"
      source      = "clockwork"
    }
  }
}

data "aws_caller_identity" "me" {}
"""
FIRST = {"TEAM": "a", "DESCRIPTION": "first", "EXPRESSION": "cron(30 2 * * ? *)", "RETRIES": "3"}
THEN = {"TEAM": "b", "DESCRIPTION": "then", "EXPRESSION": "rate(12 hours)", "RETRIES": "0"}


def written(words: dict[str, str]) -> str:
    text = CONFIGURATION
    for name, value in words.items():
        text = text.replace(name, value)
    return text


def test_schedules_and_groups(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(written(FIRST))
        lab.holds(written(THEN))
        lab.imports("aws_scheduler_schedule_group.night", "night")
        lab.imports("aws_scheduler_schedule.report", "night/report")
        lab.imports("aws_scheduler_schedule.bus", "default/bus")
        shown = client(lab.cloud, "scheduler").get_schedule(Name="report", GroupName="night")
        assert shown["ScheduleExpression"] == "rate(12 hours)"
        assert shown["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 0}
