"""What the generated contract tests need to know of `codedeploy`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION
from tables.shared import ROLE

NAMES: dict[str, Any] = {
    "resourcearn": f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:application:app",
    "deploymentid": "d-ABCDEFGH1",
    "deploymentids": ["d-ABCDEFGH1"],
}
ALSO: dict[str, str] = {
    "UpdateApplication": "applicationName newApplicationName",
    "CreateDeployment": "deploymentGroupName revision",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateApplication", {"application_name": "app"}),
    ("CreateDeploymentGroup", {"application_name": "app", "deployment_group_name": "fleet", "service_role_arn": ROLE}),
]
ACTIONS: dict[str, list[str]] = {
    "CreateDeploymentGroup": ["codedeploy:CreateDeploymentGroup", "iam:PassRole"],
}
AFTER = "iam"
