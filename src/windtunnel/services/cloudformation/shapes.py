"""Records as the API shows them. Pure."""

from __future__ import annotations

import json
from typing import Any

from windtunnel.kernel.scope import Scope
from windtunnel.services.cloudformation.model import Stack, StackEvent, StackResource, Value, stack_arn

NOT_CHECKED = "NOT_CHECKED"


def parameter(name: str, value: Value) -> dict[str, Any]:
    shown: dict[str, Any] = {"ParameterKey": name, "ParameterValue": "****" if value.no_echo else value.value}
    if value.resolved is not None:
        shown["ResolvedValue"] = "****" if value.no_echo else value.resolved
    return shown


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def stack(scope: Scope, found: Stack) -> dict[str, Any]:
    """The Stack shape of DescribeStacks."""
    shown: dict[str, Any] = {
        "StackId": found.arn(scope),
        "StackName": found.name,
        "CreationTime": found.created,
        "StackStatus": found.status,
        "DisableRollback": found.disable_rollback,
        "NotificationARNs": found.notification_arns,
        "RollbackConfiguration": {},
        "Tags": tag_list(found.tags),
        "EnableTerminationProtection": found.protected,
        "DriftInformation": found.drift or {"StackDriftStatus": NOT_CHECKED},
    }
    if found.parameters:
        shown["Parameters"] = [parameter(name, value) for name, value in found.parameters.items()]
    if found.outputs:
        shown["Outputs"] = found.outputs
    optional = {
        "Description": found.description,
        "StackStatusReason": found.reason,
        "LastUpdatedTime": found.updated,
        "DeletionTime": found.deleted,
        "TimeoutInMinutes": found.timeout_minutes,
        "Capabilities": found.capabilities,
        "RoleARN": found.role_arn,
        "ChangeSetId": found.change_set,
        "RetainExceptOnCreate": found.retain_except_on_create or None,
    }
    shown |= {name: value for name, value in optional.items() if value}
    return shown | family(scope, found)


def family(scope: Scope, found: Stack) -> dict[str, str]:
    """ParentId and RootId, which are ids of stacks and are shown as ARNs."""
    shown = {}
    if found.parent:
        shown["ParentId"] = stack_arn(scope, *found.parent.split("/"))
    if found.root:
        shown["RootId"] = stack_arn(scope, *found.root.split("/"))
    return shown


def summary(scope: Scope, found: Stack) -> dict[str, Any]:
    """The StackSummary shape of ListStacks."""
    shown: dict[str, Any] = {
        "StackId": found.arn(scope),
        "StackName": found.name,
        "CreationTime": found.created,
        "StackStatus": found.status,
        "DriftInformation": found.drift or {"StackDriftStatus": NOT_CHECKED},
    }
    optional = {
        "TemplateDescription": found.description,
        "LastUpdatedTime": found.updated,
        "DeletionTime": found.deleted,
        "StackStatusReason": found.reason,
    }
    return shown | {name: value for name, value in optional.items() if value} | family(scope, found)


def event(scope: Scope, of: Stack, found: StackEvent) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "StackId": of.arn(scope),
        "EventId": found.id,
        "StackName": of.name,
        "LogicalResourceId": found.logical,
        "PhysicalResourceId": found.physical,
        "ResourceType": found.type,
        "Timestamp": found.at,
        "ResourceStatus": found.status,
    }
    optional = {
        "ResourceStatusReason": found.reason,
        "ResourceProperties": found.properties,
        "ClientRequestToken": found.token,
        "OperationId": found.operation,
        "DetailedStatus": found.detail,
    }
    return shown | {name: value for name, value in optional.items() if value}


def physical(found: StackResource) -> str:
    return found.now.physical if found.now is not None else found.last


def resource(scope: Scope, of: Stack, found: StackResource, time_member: str) -> dict[str, Any]:
    """StackResource, StackResourceSummary and StackResourceDetail have the same members but for the time's name."""
    shown: dict[str, Any] = {
        "LogicalResourceId": found.logical,
        "ResourceType": found.type,
        time_member: found.at,
        "ResourceStatus": found.status,
        "DriftInformation": found.drift or {"StackResourceDriftStatus": NOT_CHECKED},
    }
    if physical(found):
        shown["PhysicalResourceId"] = physical(found)
    if found.reason:
        shown["ResourceStatusReason"] = found.reason
    return shown


def detail(scope: Scope, of: Stack, found: StackResource) -> dict[str, Any]:
    """StackResourceDetail of DescribeStackResource."""
    metadata = found.now.metadata if found.now is not None else {}
    shown = resource(scope, of, found, "LastUpdatedTimestamp") | {"StackId": of.arn(scope), "StackName": of.name}
    return shown | {"Metadata": json.dumps(metadata, separators=(",", ":"))}
