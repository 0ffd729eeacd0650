"""The agents' side: how an instance takes its commands and reports them (CodeDeployCommandService, 2014-10-06).

AWS asks for no permission here: an instance's credentials show who it is, and only that instance may speak for itself.

Invariants: a command is named by deployment, instance and event, so that a repeated call means the same command; the report of a
command that is no longer current changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply, Wait
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, unguarded, writes
from windtunnel.kernel.typed import decoder
from windtunnel.services.codedeploy import conduct
from windtunnel.services.codedeploy.model import progress
from windtunnel.services.codedeploy.model.progress import ERROR_CODES, Result
from windtunnel.services.codedeploy.model.records import Deployment, Target

SERVICE = "codedeploy-commands"
MOST_TEXT = 4096
POLL_SECONDS = 60.0


class Diagnostics(msgspec.Struct):
    """What an agent's JSON says of a command: whether there was nothing to do, or how it went."""

    is_noop: bool = msgspec.field(default=False, name="IsCommandNoop")
    error_code: int | None = None
    script_name: str = ""
    message: str = ""
    log: str = ""


_DIAGNOSTICS = decoder(Diagnostics)
_COMMAND = decoder(tuple[str, str, int])


def own_host(ctx: Context, host: str) -> None:
    """Refuse a caller who is not the instance: its session is named after the instance (as the instance metadata names it)."""
    instance = host.rpartition("/")[2]
    mine = (
        ctx.principal.kind == "assumed-role" and ctx.principal.arn.endswith(f"/{instance}") and ctx.principal.account == ctx.scope.account
    )
    if not mine or host != ctx.arn("ec2", f"instance/{instance}"):
        raise AwsError("AccessDeniedException", f"{ctx.principal.arn} is not the host {host}")


@reads(SERVICE, "PollHostCommand", authorize=unguarded, acts="HostIdentifier")
def poll_host_command(ctx: Context, host_identifier: str) -> Reply | Wait:
    own_host(ctx, host_identifier)
    offered = ctx.tx.find(Target, "offered", host_identifier, limit=1)
    if not offered:
        return Wait(conduct.host_signal(host_identifier), POLL_SECONDS, {})
    target = offered[0]
    assert target.current is not None
    return {
        "HostCommand": {
            "HostCommandIdentifier": command_id(target, target.current),
            "HostIdentifier": host_identifier,
            "DeploymentExecutionId": execution_id(ctx, target.deployment),
            "CommandName": target.events[target.current].name,
            "Nonce": target.current,
        }
    }


@writes(
    SERVICE,
    "PutHostCommandAcknowledgement",
    authorize=unguarded,
    acts="HostCommandIdentifier Diagnostics.Format Diagnostics.Payload",
)
def put_host_command_acknowledgement(ctx: Context, host_command_identifier: str, diagnostics: dict[str, str] | None = None) -> Reply:
    target, index = command_of(ctx, host_command_identifier)
    if target.current != index:
        return {"CommandStatus": "Succeeded" if target.events[index].status == "Succeeded" else "Failed"}
    progress.acknowledge(target, ctx.now)
    if _payload(diagnostics).is_noop:
        conduct.report(ctx, deployment_behind(ctx, target), target, Result(True))
        return {"CommandStatus": "Succeeded"}
    ctx.tx.put(target)
    return {"CommandStatus": "InProgress"}


@writes(
    SERVICE,
    "PutHostCommandComplete",
    authorize=unguarded,
    acts="HostCommandIdentifier CommandStatus Diagnostics.Format Diagnostics.Payload",
)
def put_host_command_complete(
    ctx: Context, host_command_identifier: str, command_status: str, diagnostics: dict[str, str] | None = None
) -> Reply:
    target, index = command_of(ctx, host_command_identifier)
    if command_status not in ("Succeeded", "Failed"):
        raise AwsError("ClientException", f"The command status {command_status} does not end a command.")
    if target.current == index:
        progress.acknowledge(target, ctx.now)
        conduct.report(ctx, deployment_behind(ctx, target), target, _result(command_status, _payload(diagnostics)))
    return {}


@reads(SERVICE, "PostHostCommandUpdate", authorize=unguarded, acts="HostCommandIdentifier EstimatedCompletionTime Diagnostics.*")
def post_host_command_update(ctx: Context, host_command_identifier: str, **_: Any) -> Reply:
    target, index = command_of(ctx, host_command_identifier)
    return {"CommandStatus": "InProgress" if target.current == index else target.events[index].status}


@reads(
    SERVICE,
    "GetDeploymentSpecification",
    authorize=unguarded,
    acts="DeploymentExecutionId HostIdentifier",
)
def get_deployment_specification(ctx: Context, deployment_execution_id: str, host_identifier: str) -> Reply:
    own_host(ctx, host_identifier)
    deployment_id = deployment_execution_id.rpartition("/")[2]
    target = ctx.tx.get(Target, f"{deployment_id}/{host_identifier.rpartition('/')[2]}")
    if target is None:
        raise AwsError("DeploymentNotFoundException", f"The host has no deployment {deployment_execution_id}.")
    payload = json.dumps(specification(deployment_behind(ctx, target)))
    envelope = {"Format": "TEXT/JSON", "Payload": payload}
    return {"DeploymentSystem": "CodeDeploy", "DeploymentSpecification": {"GenericEnvelope": envelope}}


def specification(deployment: Deployment) -> dict[str, Any]:
    """What the agent must know of a deployment, in its own terms."""
    s3 = deployment.revision["s3Location"]
    location = {
        "Bucket": s3["bucket"],
        "Key": s3["key"],
        "BundleType": s3["bundleType"],
        "Version": s3.get("version"),
        "ETag": s3.get("eTag"),
    }
    return {
        "DeploymentId": deployment.id,
        "DeploymentGroupId": deployment.group_id,
        "DeploymentGroupName": deployment.group,
        "ApplicationName": deployment.application,
        "DeploymentCreator": deployment.creator,
        "DeploymentType": "IN_PLACE",
        "Revision": {"RevisionType": "S3", "S3Revision": {name: value for name, value in location.items() if value}},
        "AgentActionOverrides": {"AgentOverrides": {"FileExistsBehavior": deployment.file_exists}},
        "AllPossibleLifecycleEvents": list(progress.IN_PLACE),
    }


def execution_id(ctx: Context, deployment_id: str) -> str:
    return ctx.arn("codedeploy", f"deployment/{deployment_id}")


def command_id(target: Target, index: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([target.deployment, target.instance, index]).encode()).decode()


def command_of(ctx: Context, identifier: str) -> tuple[Target, int]:
    """The target and the event's index behind a command's identifier, if they are the caller's own."""
    try:
        deployment_id, instance, index = _COMMAND.decode(base64.urlsafe_b64decode(identifier.encode("ascii", "replace")))
    except (msgspec.DecodeError, binascii.Error) as error:
        raise AwsError("ClientException", "The host command identifier is not valid.") from error
    target = ctx.tx.get(Target, f"{deployment_id}/{instance}")
    if target is None or not 0 <= index < len(target.events):
        raise AwsError("ClientException", "The host command identifier is not valid.")
    own_host(ctx, target.host)
    return target, index


def deployment_behind(ctx: Context, target: Target) -> Deployment:
    found = ctx.tx.get(Deployment, target.deployment)
    if found is None:
        raise AwsError("DeploymentNotFoundException", f"The deployment {target.deployment} could not be found.")
    return found


def _payload(diagnostics: dict[str, str] | None) -> Diagnostics:
    try:
        return _DIAGNOSTICS.decode((diagnostics or {}).get("Payload") or "{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise AwsError("ClientException", f"The diagnostics are not valid: {error}") from error


def _result(status: str, found: Diagnostics) -> Result:
    if status == "Succeeded":
        return Result(True, script=found.script_name, message=found.message or "Succeeded", log_tail=found.log)
    code = ERROR_CODES.get(found.error_code, "UnknownError") if found.error_code else "UnknownError"
    return Result(False, code, found.script_name[:MOST_TEXT], found.message[:MOST_TEXT], found.log)
