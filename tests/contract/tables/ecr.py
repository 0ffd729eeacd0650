"""What the generated contract tests need to know of `ecr`."""

from __future__ import annotations

import json
from typing import Any

from harness import ACCOUNT, REGION

_EXPIRE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
    "action": {"type": "expire"},
}
_LIFECYCLE = json.dumps({"rules": [_EXPIRE]})
_ALLOWED = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [_ALLOWED]})

NAMES: dict[str, Any] = {
    "repositoryname": "web",
    "repositorynames": ["web"],
    "registryid": ACCOUNT,
    "resourcearn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/web",
    "policytext": _POLICY,
    "lifecyclepolicytext": _LIFECYCLE,
    "imagetagmutability": "MUTABLE",
    "encryptionconfiguration.encryptiontype": "AES256",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateRepository", {"repository_name": "web"}),
    ("SetRepositoryPolicy", {"repository_name": "web", "policy_text": _POLICY}),
    ("PutLifecyclePolicy", {"repository_name": "web", "lifecycle_policy_text": _LIFECYCLE}),
]
