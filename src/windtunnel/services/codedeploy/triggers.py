"""Triggers: what a deployment group tells SNS topics of its deployments (user guide, "Monitor deployments with Amazon SNS event notifications").

Invariant: a notification is published in the transaction that makes its event true, with the group's role; a topic that does not take it, or a
role that may not publish, stops no deployment.
"""

from __future__ import annotations

import json
import logging
from typing import Any, get_args

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codedeploy.model.records import Deployment, Group, Target, Trigger, TriggerEvent

SERVICE = "codedeploy.amazonaws.com"
LIMIT = 10
_WORDS = {"START": "Start", "SUCCESS": "Success", "FAILURE": "Failure", "STOP": "Stop", "READY": "Ready"}
_STATUS = {"START": "CREATED", "SUCCESS": "SUCCEEDED", "FAILURE": "FAILED", "STOP": "STOPPED", "READY": "READY"}

log = logging.getLogger(__name__)


def checked(given: list[dict[str, Any]]) -> list[Trigger]:
    """TriggerConfigurations as a group keeps them."""
    if len(given) > LIMIT:
        raise AwsError("TriggerTargetsLimitExceededException", f"The maximum allowed number of triggers was exceeded: {LIMIT}.")
    names = [one.get("triggerName") for one in given]
    if len(set(names)) < len(names):
        raise AwsError("InvalidTriggerConfigException", "Trigger names must be unique within a deployment group.")
    found = []
    for one in given:
        name, target, events = one.get("triggerName"), one.get("triggerTargetArn"), one.get("triggerEvents")
        if not name or not target or not events:
            raise AwsError("InvalidTriggerConfigException", "A trigger needs a name, a target ARN and at least one event.")
        if not target.startswith("arn:") or target.split(":")[2:3] != ["sns"]:
            raise AwsError("InvalidTriggerConfigException", f"The trigger target ARN is not that of an Amazon SNS topic: {target}")
        if not set(events) <= set(get_args(TriggerEvent)):
            raise AwsError("InvalidTriggerConfigException", "A trigger names an event that is not valid.")
        found.append(Trigger(name=name, target=target, events=list(events)))
    return found


def shown(triggers: list[Trigger]) -> list[dict[str, Any]]:
    return [{"triggerName": one.name, "triggerTargetArn": one.target, "triggerEvents": one.events} for one in triggers]


def of_deployment(ctx: Context, deployment: Deployment, state: str) -> None:
    """state: as announce has it."""
    events = [f"Deployment{_WORDS[state]}"]
    if state == "START" and deployment.creator == "codeDeployRollback":
        events.append("DeploymentRollback")
    said = {
        "deploymentGroupName": deployment.group,
        "createTime": _moment(deployment.created),
        "completeTime": _moment(deployment.completed),
        "deploymentOverview": json.dumps({name: str(count) for name, count in deployment.overview.items()}),
        "status": _STATUS[state],
    }
    if deployment.error_code:
        said["errorInformation"] = json.dumps({"ErrorCode": deployment.error_code, "ErrorMessage": deployment.error_message})
    _tell(
        ctx, deployment, events, said, f"{_STATUS[state]}: AWS CodeDeploy {deployment.id} in {ctx.scope.region} to {deployment.application}"
    )


def of_instance(ctx: Context, deployment: Deployment, target: Target, state: str) -> None:
    said = {
        "instanceId": target.host,
        "lastUpdatedAt": _moment(ctx.now),
        "instanceStatus": target.status,
        "lifecycleEvents": json.dumps([{"LifecycleEvent": one.name, "LifecycleEventStatus": one.status} for one in target.events]),
    }
    subject = f"{_STATUS[state]}: AWS CodeDeploy Instance {target.instance} in {ctx.scope.region} for {deployment.application}"
    _tell(ctx, deployment, [f"Instance{_WORDS[state]}"], said, subject)


def _moment(at: float | None) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%a %b %d %H:%M:%S UTC %Y") if at is not None else ""


def _tell(ctx: Context, deployment: Deployment, events: list[str], said: dict[str, str], subject: str) -> None:
    group = ctx.tx.get(Group, f"{deployment.application}/{deployment.group}")
    if group is None or group.id != deployment.group_id:
        return
    for trigger in group.triggers:
        if not any(event in trigger.events for event in events):
            continue
        message = {
            "region": ctx.scope.region,
            "accountId": ctx.scope.account,
            "eventTriggerName": trigger.name,
            "applicationName": deployment.application,
            "deploymentId": deployment.id,
            **said,
        }
        try:
            acting = ctx.assuming(group.role_arn, "codedeploy", SERVICE).in_scope(ctx.scope.account, trigger.target.split(":")[3])
            acting.call("sns", "Publish", topic_arn=trigger.target, subject=subject[:100], message=json.dumps(message))
        except AwsError as error:
            log.warning("deployment group %s: %s did not take a notification: %s", group.name, trigger.target, error)
