"""What the generated contract tests need to know of `scheduler`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION

_TARGET = {"Arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/Deploy"}

NAMES: dict[str, Any] = {
    "name": "nightly",
    "groupname": "group",
    "scheduleexpression": "rate(1 day)",
    "scheduleexpressiontimezone": "Europe/Berlin",
    "resourcearn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/group",
    "target.arn": _TARGET["Arn"],
    "flexibletimewindow.mode": "OFF",
    "deadletterconfig.arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters",
}
ACTIONS: dict[str, list[str]] = {
    "CreateSchedule": ["scheduler:CreateSchedule", "iam:PassRole"],
    "UpdateSchedule": ["scheduler:UpdateSchedule", "iam:PassRole"],
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateScheduleGroup", {"name": "group"}),
    ("CreateScheduleGroup", {"name": "nightly"}),
    (
        "CreateSchedule",
        {
            "name": "nightly",
            "state": "DISABLED",
            "schedule_expression": "rate(1 day)",
            "flexible_time_window": {"Mode": "OFF"},
            "target": _TARGET,
        },
    ),
]
AFTER = "iam"
