"""The AWS managed policies that are known here: AWS's own documents, kept as data in `aws_managed.json`.

Invariant: a policy is either AWS's document or not there at all; attaching one that is not there fails by name.
"""

from __future__ import annotations

from base64 import b32encode
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

import msgspec

PREFIX = "arn:aws:iam::aws:policy"


class AwsPolicy(msgspec.Struct, frozen=True):
    """path: `/` or `/service-role/`; version: as AWS numbers it; created in epoch seconds."""

    name: str
    path: str
    version: int
    created: float
    document: msgspec.Raw

    @property
    def arn(self) -> str:
        return f"{PREFIX}{self.path}{self.name}"

    @property
    def id(self) -> str:
        """Of the shape of AWS's, but ours: it follows from the name."""
        return "ANPA" + b32encode(sha256(self.name.encode()).digest()).decode()[:17]

    @property
    def text(self) -> str:
        return bytes(self.document).decode()


@lru_cache(maxsize=1)
def aws_policies() -> dict[str, AwsPolicy]:
    """By ARN, in the order of their names."""
    data = (files(__package__) / "aws_managed.json").read_bytes()
    return {policy.arn: policy for policy in sorted(msgspec.json.decode(data, type=list[AwsPolicy]), key=lambda policy: policy.name)}
