"""A repository as a record, and the words about it. Pure.

Invariant: no repository holds an image, for nothing here can push one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope


def repository_arn(scope: Scope, name: str) -> str:
    return scope.arn("ecr", f"repository/{name}")


class Repository(Record, kw_only=True):
    """policy, lifecycle: JSON texts as given, "" for none. created: epoch seconds."""

    KIND: ClassVar[str] = "ecr.repository"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    created: float
    mutability: str = "MUTABLE"
    exclusions: list[dict[str, str]] = []
    scan_on_push: bool = False
    policy: str = ""
    lifecycle: str = ""
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name

    def described(self, scope: Scope) -> dict[str, Any]:
        """The Repository shape."""
        shown = {
            "repositoryArn": repository_arn(scope, self.name),
            "registryId": scope.account,
            "repositoryName": self.name,
            "repositoryUri": f"{scope.account}.dkr.ecr.{scope.region}.amazonaws.com/{self.name}",
            "createdAt": self.created,
            "imageTagMutability": self.mutability,
            "imageScanningConfiguration": {"scanOnPush": self.scan_on_push},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }
        return shown | ({"imageTagMutabilityExclusionFilters": self.exclusions} if self.exclusions else {})

    def named(self, scope: Scope) -> dict[str, Any]:
        """What most answers begin with."""
        return {"registryId": scope.account, "repositoryName": self.name}
