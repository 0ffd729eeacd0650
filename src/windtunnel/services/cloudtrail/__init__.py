"""AWS CloudTrail: every management call recorded and looked up for 90 days, and trails that deliver into S3, with digests. No Lake, no Insights."""

from windtunnel.services.cloudtrail import delivering, retention
from windtunnel.services.cloudtrail.operations import lookup, selectors, tags, trails

__all__ = ["delivering", "lookup", "retention", "selectors", "tags", "trails"]
