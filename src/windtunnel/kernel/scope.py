"""Where a request happens: partition, account and region, and the ARNs that follow from them."""

from __future__ import annotations

import msgspec


class Scope(msgspec.Struct, frozen=True):
    """An account (12 digits) in a region (`us-east-1`)."""

    account: str
    region: str
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this region and account: `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """An ARN without a region, as IAM has: `arn:aws:iam::ACCOUNT:RESOURCE`."""
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"

    def s3_arn(self, resource: str) -> str:
        """An S3 ARN, which has neither region nor account: `arn:aws:s3:::BUCKET/KEY`."""
        return f"arn:{self.partition}:s3:::{resource}"


class Arn(msgspec.Struct, frozen=True):
    """A parsed ARN; `resource` is everything after the fifth colon."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Arn | None:
        """The parts of an ARN, or None when the text is not one."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn":
            return None
        return cls(*parts[1:])
