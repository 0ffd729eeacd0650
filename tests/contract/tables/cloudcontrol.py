"""What the generated contract tests need to know of `cloudcontrol`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT
from windtunnel.kernel.context import Context
from windtunnel.kernel.principal import Principal
from windtunnel.services.cloudcontrol.model import Request

TOKEN = "00000000-0000-4000-8000-0000000000cc"
NAMES: dict[str, Any] = {
    "typename": "AWS::Logs::LogGroup",
    "identifier": "cloud-controlled",
    "desiredstate": '{"LogGroupName": "cloud-controlled-too"}',
    "patchdocument": '[{"op": "add", "path": "/RetentionInDays", "value": 7}]',
    "requesttoken": TOKEN,
    "resourcemodel": "{}",
    "rolearn": f"arn:aws:iam::{ACCOUNT}:role/Deploy",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [("logs:CreateLogGroup", {"log_group_name": "cloud-controlled"})]
AFTER = "iam logs"
_NAMES = "CancelResourceRequest CreateResource DeleteResource GetResource GetResourceRequestStatus ListResourceRequests ListResources UpdateResource"
ACTIONS: dict[str, list[str]] = {name: [f"cloudformation:{name}"] for name in _NAMES.split()}
for _name in ("GetResource", "ListResources", "UpdateResource"):
    ACTIONS[_name] += ["logs:DescribeLogGroups", "logs:ListTagsForResource"]
ERRORS = {"ValidationException", "AccessDeniedException"}


def place(ctx: Context) -> None:
    ctx.tx.put(
        Request(
            token=TOKEN, type="AWS::Logs::LogGroup", kind="CREATE", status="IN_PROGRESS", asked=ctx.now, principal=Principal.root(ACCOUNT)
        )
    )
