"""The AWS managed policies that are known here: the documents that AWS publishes, kept as data in `aws_managed.json`, one a line.

Invariant: a policy is either what AWS publishes or not there at all; attaching one that is not there fails by name.
"""

from __future__ import annotations

from base64 import b32encode
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

import msgspec

from windtunnel.kernel.typed import from_json

PREFIX = "arn:aws:iam::aws:policy"


class AwsPolicy(msgspec.Struct, frozen=True):
    """path: `/`, `/service-role/`, `/aws-service-role/` or `/job-function/`; version: as AWS numbers it; times in epoch seconds."""

    name: str
    path: str
    version: int
    created: float
    updated: float
    document: msgspec.Raw

    @property
    def arn(self) -> str:
        return f"{PREFIX}{self.path}{self.name}"

    @property
    def id(self) -> str:
        """Of the shape of AWS's, but ours: it follows from the name."""
        return "ANPA" + b32encode(sha256(self.name.encode()).digest()).decode()[:17]

    @property
    def attachable(self) -> bool:
        """A service-linked role's policy is attached by its service alone."""
        return self.path != "/aws-service-role/"

    @property
    def text(self) -> str:
        return bytes(self.document).decode()


@lru_cache(maxsize=1)
def aws_policies() -> dict[str, AwsPolicy]:
    """By ARN, in the order of their names."""
    data = (files(__package__) / "aws_managed.json").read_bytes()
    return {policy.arn: policy for policy in sorted(from_json(data, list[AwsPolicy]), key=lambda policy: policy.name)}
