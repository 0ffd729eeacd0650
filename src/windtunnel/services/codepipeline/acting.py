"""What an action's provider needs to run: its role, its record while it runs, and the wait for its outside work.

Invariant: nothing here touches an action that has ended; an abandoned action's provider is unwound at its next step.
"""

from __future__ import annotations

from typing import Any

from windtunnel.jobs import Run
from windtunnel.kernel.cloud import BlobRef
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import trail
from windtunnel.services.codepipeline.flow import ABANDONED, action_signal
from windtunnel.services.codepipeline.model import Act, ActionExecution, ActionFailed, Located

SERVICE = "codepipeline.amazonaws.com"
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


class Abandoned(Exception):
    """The action was abandoned, or its pipeline deleted: nobody waits for its end any more."""


def running(ctx: Context, key: str, action_id: str) -> ActionExecution:
    """The record of an action that runs. Raises Abandoned."""
    action = ctx.tx.get(ActionExecution, key)
    if action is None or action.id != action_id or action.status != "InProgress":
        raise Abandoned
    return action


def in_role(ctx: Context, act: Act) -> Context:
    """This transaction as the action's role. Raises Abandoned, so that no abandoned action starts anything."""
    running(ctx, act.key, act.id)
    return ctx.acting(act.principal)


def call_as_role(ctx: Context, act: Act, provider: str, service: str, operation: str, **args: Any) -> Reply:
    """An operation of the provider's service, as the action's role. Raises ActionFailed in AWS's words for a role that may not."""
    try:
        return in_role(ctx, act).call(service, operation, **args)
    except AwsError as error:
        if error.code in DENIED:
            text = f"The provided role does not have sufficient permissions to access {provider}: {error.message}"
            raise ActionFailed("PermissionError", text) from error
        raise ActionFailed("ConfigurationError", error.message or error.code) from error


def started(ctx: Context, act: Act, external: str, url: str = "") -> str:
    """Record, in the transaction that started it, what outside work this action stands for. Returns its id."""
    action = running(ctx, act.key, act.id)
    action.external, action.external_url, action.updated = external, url, ctx.now
    ctx.tx.put(action)
    trail(ctx, [act.execution, act.id, external], f"action {act.name} in stage {act.stage} started {external}")
    return external


def waits_for_person(ctx: Context, act: Act) -> None:
    """Say that the action waits for a person."""
    running(ctx, act.key, act.id)
    trail(ctx, [act.execution, act.id], f"action {act.name} in stage {act.stage} waits for an approval")


def outside_work_ended(run: Run, act: Act) -> Any:
    """Park until the action's outside work ends; its payload, None at the action's timeout. Raises Abandoned."""
    payload = run.wait_for(action_signal(act.id), key="ended", timeout=act.timeout)
    if payload is not None and payload.get("what") == ABANDONED:
        raise Abandoned
    return payload


def tell_action(ctx: Context, external: str, payload: dict[str, Any]) -> None:
    """Wake the action that stands for this outside work, if one runs."""
    for action in ctx.tx.find(ActionExecution, "external", external):
        ctx.signal(action_signal(action.id), payload)


def artifact_denied(act: Act, bucket: str) -> ActionFailed:
    """AWS's words for a role that may not use a bucket (user guide, "Troubleshooting CodePipeline")."""
    text = f'CodePipeline service role "{act.principal.identity}" is getting S3 access denied for the S3 bucket "{bucket}"'
    return ActionFailed("PermissionError", text)


def put_artifact(ctx: Context, act: Act, content: BlobRef) -> Located:
    """Write the action's output artifact, as its role. Raises ActionFailed."""
    output = act.outputs[0]
    try:
        in_role(ctx, act).call("s3", "PutObject", bucket=output.bucket, key=output.key, body=content, **output.encryption())
    except AwsError as error:
        if error.code in DENIED:
            raise artifact_denied(act, output.bucket) from error
        raise ActionFailed("ConfigurationError", f"The artifact could not be written to {output.bucket}: {error.message}") from error
    return output
