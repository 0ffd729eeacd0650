"""What the generated contract tests need to know of `accessanalyzer`, whose actions have the prefix `access-analyzer`."""

from __future__ import annotations

from typing import Any

from tables.shared import POLICY

NAMES: dict[str, Any] = {
    "policydocument": POLICY,
    "newpolicydocument": POLICY,
    "existingpolicydocument": POLICY,
    "policytype": "IDENTITY_POLICY",
    "actions": ["s3:PutObject"],
    "resources": ["arn:aws:s3:::bucket/*"],
}
ACTIONS: dict[str, list[str]] = {
    name: [f"access-analyzer:{name}"]
    for name in ("ValidatePolicy", "CheckAccessNotGranted", "CheckNoNewAccess", "CheckNoPublicAccess", "ListAnalyzers")
}
