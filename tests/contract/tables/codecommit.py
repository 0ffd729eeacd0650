"""What the generated contract tests need to know of `codecommit`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION

NAMES: dict[str, Any] = {
    "resourcearn": f"arn:aws:codecommit:{REGION}:{ACCOUNT}:repo",
}
ALSO: dict[str, str] = {
    "GetBranch": "repositoryName branchName",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateRepository", {"repository_name": "repo"}),
]
