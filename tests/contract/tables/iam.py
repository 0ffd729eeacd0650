"""What the generated contract tests need to know of `iam`."""

from __future__ import annotations

from typing import Any

from tables.shared import POLICY, TRUST

NAMES: dict[str, Any] = {
    "groupname": "devs",
}
ALSO: dict[str, str] = {
    "CreateAccessKey": "UserName",
    "DeleteAccessKey": "UserName",
    "UpdateAccessKey": "UserName",
    "ListAccessKeys": "UserName",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateUser", {"user_name": "alice"}),
    ("CreateGroup", {"group_name": "devs"}),
    ("CreateRole", {"role_name": "Deploy", "assume_role_policy_document": TRUST}),
    ("CreatePolicy", {"policy_name": "P", "policy_document": POLICY}),
    ("CreateInstanceProfile", {"instance_profile_name": "Web"}),
    ("AddRoleToInstanceProfile", {"instance_profile_name": "Web", "role_name": "Deploy"}),
]
ACTIONS: dict[str, list[str]] = {
    "AddRoleToInstanceProfile": ["iam:AddRoleToInstanceProfile", "iam:PassRole"],
}
