"""S3 as Terraform keeps it: every resource type of a bucket, applied with an empty plan after it, changed in place, imported, destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest

from terraform_lab import terraform_lab

pytestmark = pytest.mark.slow

CONFIGURATION = """
resource "aws_kms_key" "key" { deletion_window_in_days = 7 }

resource "aws_s3_bucket" "logs" { bucket = "tf-logs" }

resource "aws_s3_bucket" "main" {
  bucket        = "tf-main"
  force_destroy = true
  tags          = { team = "TEAM" }
}
resource "aws_s3_bucket_versioning" "main" {
  bucket = aws_s3_bucket.main.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.key.arn
    }
    bucket_key_enabled = true
  }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}
resource "aws_s3_bucket_public_access_block" "main" {
  bucket                  = aws_s3_bucket.main.id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = BLOCK
  restrict_public_buckets = true
}
resource "aws_s3_bucket_policy" "main" {
  bucket = aws_s3_bucket.main.id
  policy = data.aws_iam_policy_document.main.json
}
data "aws_caller_identity" "me" {}
data "aws_iam_policy_document" "main" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.main.arn}/*"]
    principals {
      type        = "AWS"
      identifiers = [data.aws_caller_identity.me.account_id]
    }
  }
}
resource "aws_s3_bucket_ownership_controls" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule { object_ownership = "BucketOwnerPreferred" }
}
resource "aws_s3_bucket_acl" "logs" {
  depends_on = [aws_s3_bucket_ownership_controls.logs]
  bucket     = aws_s3_bucket.logs.id
  acl        = "log-delivery-write"
}
resource "aws_s3_bucket_cors_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  cors_rule {
    allowed_headers = ["*"]
    allowed_methods = ["PUT", "GET"]
    allowed_origins = ["https://example.com"]
    expose_headers  = ["ETag"]
    max_age_seconds = AGE
  }
}
resource "aws_s3_bucket_lifecycle_configuration" "main" {
  depends_on = [aws_s3_bucket_versioning.main]
  bucket     = aws_s3_bucket.main.id
  rule {
    id     = "expire"
    status = "Enabled"
    filter { prefix = "tmp/" }
    expiration { days = AGE }
    noncurrent_version_expiration {
      noncurrent_days           = 30
      newer_noncurrent_versions = 3
    }
    abort_incomplete_multipart_upload { days_after_initiation = 3 }
  }
  rule {
    id     = "archive"
    status = "Enabled"
    filter {
      and {
        prefix = "old/"
        tags   = { archive = "yes" }
      }
    }
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    transition {
      days          = 90
      storage_class = "GLACIER"
    }
  }
}
resource "aws_s3_bucket_notification" "main" {
  bucket      = aws_s3_bucket.main.id
  eventbridge = true
  queue {
    queue_arn     = aws_sqs_queue.events.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "in/"
  }
  depends_on = [aws_sqs_queue_policy.events]
}
resource "aws_sqs_queue" "events" { name = "tf-events" }
resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.events.arn
      Condition = { ArnLike = { "aws:SourceArn" = aws_s3_bucket.main.arn } }
    }]
  })
}
resource "aws_s3_bucket_logging" "main" {
  bucket        = aws_s3_bucket.main.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "log/"
}
resource "aws_s3_bucket_website_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  index_document { suffix = "index.html" }
  error_document { key = "error.html" }
  routing_rule {
    condition { key_prefix_equals = "docs/" }
    redirect { replace_key_prefix_with = "documents/" }
  }
}
resource "aws_s3_object" "page" {
  depends_on   = [aws_s3_bucket_versioning.main]
  bucket       = aws_s3_bucket.main.id
  key          = "in/index.html"
  content      = "TEAM"
  content_type = "text/html"
  tags         = { page = "yes" }
}
resource "aws_s3_object_copy" "copy" {
  bucket = aws_s3_bucket.main.id
  key    = "copy.html"
  source = "${aws_s3_bucket.main.id}/${aws_s3_object.page.key}"

  tagging_directive = "REPLACE"
  tags              = { copied = "yes" }
}
resource "aws_s3_bucket_accelerate_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  status = "Enabled"
}
resource "aws_s3_bucket_request_payment_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  payer  = "Requester"
}
resource "aws_s3_bucket_intelligent_tiering_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  name   = "whole"
  tiering {
    access_tier = "DEEP_ARCHIVE_ACCESS"
    days        = 180
  }
}
resource "aws_s3_bucket_inventory" "main" {
  bucket                   = aws_s3_bucket.main.id
  name                     = "weekly"
  included_object_versions = "All"
  schedule { frequency = "Weekly" }
  destination {
    bucket {
      format     = "CSV"
      bucket_arn = aws_s3_bucket.logs.arn
    }
  }
}
resource "aws_s3_bucket_metric" "main" {
  bucket = aws_s3_bucket.main.id
  name   = "whole"
  filter { prefix = "in/" }
}
resource "aws_s3_bucket_analytics_configuration" "main" {
  bucket = aws_s3_bucket.main.id
  name   = "whole"
  storage_class_analysis {
    data_export {
      destination {
        s3_bucket_destination { bucket_arn = aws_s3_bucket.logs.arn }
      }
    }
  }
}
resource "aws_s3_bucket" "locked" {
  bucket              = "tf-locked"
  object_lock_enabled = true
}
resource "aws_s3_bucket_object_lock_configuration" "locked" {
  bucket = aws_s3_bucket.locked.id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = AGE
    }
  }
}
data "aws_s3_bucket" "main" {
  bucket     = "tf-main"
  depends_on = [aws_s3_bucket.main]
}
data "aws_s3_object" "page" {
  bucket = aws_s3_bucket.main.id
  key    = aws_s3_object.page.key
}
data "aws_s3_objects" "all" {
  bucket     = aws_s3_bucket.main.id
  depends_on = [aws_s3_object_copy.copy]
}
output "keys" { value = data.aws_s3_objects.all.keys }
output "body" { value = data.aws_s3_object.page.body }
output "region" { value = data.aws_s3_bucket.main.region }
"""
FIRST = CONFIGURATION.replace("TEAM", "red").replace("BLOCK", "true").replace("AGE", "10")
SECOND = CONFIGURATION.replace("TEAM", "blue").replace("BLOCK", "false").replace("AGE", "20")
IMPORTED = {
    "aws_s3_bucket.main": "tf-main",
    "aws_s3_bucket_versioning.main": "tf-main",
    "aws_s3_bucket_lifecycle_configuration.main": "tf-main",
    "aws_s3_bucket_notification.main": "tf-main",
    "aws_s3_bucket_acl.logs": "tf-logs,log-delivery-write",
    "aws_s3_bucket_inventory.main": "tf-main:weekly",
}


def test_buckets_with_everything_on_them(tmp_path: Path) -> None:
    with terraform_lab(tmp_path) as lab:
        lab.holds(FIRST)
        assert lab.outputs() == {"keys": ["copy.html", "in/index.html"], "body": "red", "region": "us-east-1"}
        lab.holds(SECOND)
        assert lab.outputs()["body"] == "blue"
        for address, identifier in IMPORTED.items():
            lab.run("state", "rm", address)
            lab.run("import", "-input=false", "-no-color", address, identifier)
        left = lab.plan()
        assert "to destroy" not in left or "0 to destroy" in left, left
