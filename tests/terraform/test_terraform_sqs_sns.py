"""Terraform's queues, topics and subscriptions: an empty plan after apply, after changes and after import."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from terraform_lab import Terraform, terraform_lab

pytestmark = pytest.mark.slow
QUEUES = """
data "aws_caller_identity" "me" {}

resource "aws_sqs_queue" "plain" {
  name = "plain"
}
resource "aws_sqs_queue" "tuned" {
  name                       = "tuned"
  delay_seconds              = 5
  max_message_size           = 2048
  message_retention_seconds  = %(retention)s
  receive_wait_time_seconds  = 10
  visibility_timeout_seconds = 40
  tags                       = { team = "%(team)s" }
}
resource "aws_sqs_queue" "dead" {
  name = "dead"
}
resource "aws_sqs_queue" "source" {
  name           = "source"
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = %(count)s })
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = data.aws_caller_identity.me.account_id }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:us-east-1:${data.aws_caller_identity.me.account_id}:source"
    }]
  })
}
resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url            = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.source.arn] })
}
resource "aws_sqs_queue" "fifo" {
  name                        = "orders.fifo"
  fifo_queue                  = true
  content_based_deduplication = true
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
}
resource "aws_sqs_queue" "plain_fifo" {
  name       = "plain.fifo"
  fifo_queue = true
}
resource "aws_sqs_queue" "managed" {
  name                    = "managed"
  sqs_managed_sse_enabled = %(managed)s
}
resource "aws_kms_key" "key" {
  description             = "of queues"
  deletion_window_in_days = 7
}
resource "aws_sqs_queue" "sealed" {
  name                              = "sealed"
  kms_master_key_id                 = aws_kms_key.key.id
  kms_data_key_reuse_period_seconds = 600
}
resource "aws_sqs_queue" "alias" {
  name              = "alias"
  kms_master_key_id = "alias/aws/sqs"
}
resource "aws_sqs_queue" "separate" {
  name = "separate"
}
resource "aws_sqs_queue_redrive_policy" "separate" {
  queue_url      = aws_sqs_queue.separate.id
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.plain.arn, maxReceiveCount = 4 })
}
resource "aws_sqs_queue_policy" "separate" {
  queue_url = aws_sqs_queue.separate.id
  policy    = data.aws_iam_policy_document.separate.json
}
data "aws_iam_policy_document" "separate" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.separate.arn]
    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["arn:aws:sns:us-east-1:${data.aws_caller_identity.me.account_id}:plain"]
    }
  }
}
data "aws_sqs_queue" "plain" {
  name       = "plain"
  depends_on = [aws_sqs_queue.plain]
}
data "aws_sqs_queues" "all" {
  queue_name_prefix = "sea"
  depends_on        = [aws_sqs_queue.sealed]
}
output "found" {
  value = [data.aws_sqs_queue.plain.arn == aws_sqs_queue.plain.arn, length(data.aws_sqs_queues.all.queue_urls)]
}
"""
TOPICS = """
data "aws_caller_identity" "me" {}

resource "aws_sns_topic" "plain" {
  name = "plain"
}
resource "aws_sns_topic" "tuned" {
  name              = "tuned"
  display_name      = "%(shown)s"
  signature_version = 2
  tracing_config    = "PassThrough"
  kms_master_key_id = "alias/aws/sns"
  tags              = { team = "%(shown)s" }
  delivery_policy = jsonencode({
    http = {
      defaultHealthyRetryPolicy = {
        minDelayTarget     = 1
        maxDelayTarget     = 10
        numRetries         = %(retries)s
        numMaxDelayRetries = 0
        numNoDelayRetries  = 0
        numMinDelayRetries = 0
        backoffFunction    = "linear"
      }
      disableSubscriptionOverrides = false
      defaultRequestPolicy         = { headerContentType = "application/json" }
    }
  })
}
resource "aws_sns_topic" "fifo" {
  name                        = "orders.fifo"
  fifo_topic                  = true
  content_based_deduplication = true
}
resource "aws_sns_topic_policy" "plain" {
  arn = aws_sns_topic.plain.arn
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{
      Sid       = "alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.plain.arn
    }]
  })
}
resource "aws_sqs_queue" "target" {
  name = "target"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:us-east-1:${data.aws_caller_identity.me.account_id}:target"
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.plain.arn } }
    }]
  })
}
resource "aws_sqs_queue" "lost" {
  name = "lost"
}
resource "aws_sns_topic_subscription" "queue" {
  topic_arn            = aws_sns_topic.plain.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.target.arn
  raw_message_delivery = true
  filter_policy        = jsonencode({ colour = ["%(shown)s", { prefix = "light" }] })
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.lost.arn })
}
resource "aws_sns_topic_subscription" "body" {
  topic_arn           = aws_sns_topic.plain.arn
  protocol            = "sqs"
  endpoint            = aws_sqs_queue.lost.arn
  filter_policy_scope = "MessageBody"
  filter_policy       = jsonencode({ a = { b = [{ numeric = [">", 1] }] } })
}
resource "aws_sns_topic_subscription" "mail" {
  topic_arn = aws_sns_topic.plain.arn
  protocol  = "email"
  endpoint  = "alice@example.com"
}
resource "aws_sns_topic_subscription" "hook" {
  topic_arn              = aws_sns_topic.tuned.arn
  protocol               = "http"
  endpoint               = "%(hook)s"
  endpoint_auto_confirms = true
}
resource "aws_sns_topic_subscription" "function" {
  topic_arn = aws_sns_topic.plain.arn
  protocol  = "lambda"
  endpoint  = "arn:aws:lambda:us-east-1:${data.aws_caller_identity.me.account_id}:function:f"
}
data "aws_sns_topic" "plain" {
  name       = "plain"
  depends_on = [aws_sns_topic.plain]
}
output "found" {
  value = data.aws_sns_topic.plain.arn == aws_sns_topic.plain.arn
}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    with terraform_lab(tmp_path_factory.mktemp("terraform-sqs")) as lab:
        yield lab


def client(lab: Terraform, service: str) -> Any:
    environment = lab.cloud.environment()
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def test_queues(lab: Terraform) -> None:
    lab.holds(QUEUES % {"retention": 86400, "team": "a", "count": 3, "managed": "true"})
    assert lab.outputs()["found"] == [True, 1]
    lab.holds(QUEUES % {"retention": 90000, "team": "b", "count": 5, "managed": "false"})
    url = client(lab, "sqs").get_queue_url(QueueName="tuned")["QueueUrl"]
    lab.imports("aws_sqs_queue.tuned", url)
    for address, name in (
        ("aws_sqs_queue.fifo", "orders.fifo"),
        ("aws_sqs_queue.sealed", "sealed"),
        ("aws_sqs_queue.source", "source"),
        ("aws_sqs_queue_policy.separate", "separate"),
        ("aws_sqs_queue_redrive_policy.separate", "separate"),
        ("aws_sqs_queue_redrive_allow_policy.dead", "dead"),
    ):
        lab.imports(address, client(lab, "sqs").get_queue_url(QueueName=name)["QueueUrl"])


class Hook:
    """An endpoint that confirms by itself, as Terraform's `endpoint_auto_confirms` expects."""

    def __init__(self) -> None:
        import json
        import urllib.request

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if fields["Type"] == "SubscriptionConfirmation":
                    urllib.request.urlopen(fields["SubscribeURL"], timeout=10).close()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_topics(tmp_path: Path) -> None:
    hook = Hook()
    try:
        with terraform_lab(tmp_path) as lab:
            lab.holds(TOPICS % {"shown": "red", "retries": 4, "hook": hook.url})
            assert lab.outputs()["found"] is True
            lab.holds(TOPICS % {"shown": "blue", "retries": 5, "hook": hook.url})
            sns = client(lab, "sns")
            arn = next(found["TopicArn"] for found in sns.list_topics()["Topics"] if found["TopicArn"].endswith(":tuned"))
            lab.imports("aws_sns_topic.tuned", arn)
            lab.imports("aws_sns_topic.fifo", arn.replace(":tuned", ":orders.fifo"))
            lab.imports("aws_sns_topic_policy.plain", arn.replace(":tuned", ":plain"))
            listed = {found["Endpoint"].rpartition(":")[2]: found["SubscriptionArn"] for found in sns.list_subscriptions()["Subscriptions"]}
            for name, endpoint in (("queue", "target"), ("body", "lost")):
                # The provider's own settings of a subscription (how long it waits, say) are in no API: an apply puts them into its state.
                lab.run("state", "rm", f"aws_sns_topic_subscription.{name}")
                lab.run("import", "-input=false", "-no-color", f"aws_sns_topic_subscription.{name}", listed[endpoint])
            lab.holds(TOPICS % {"shown": "blue", "retries": 5, "hook": hook.url})
    finally:
        hook.close()
