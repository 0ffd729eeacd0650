"""CloudFormation's types of S3."""

from windtunnel.services.s3.resources import bucket as bucket
from windtunnel.services.s3.resources import policy as policy
