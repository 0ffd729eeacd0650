"""The life of one action: prepared, run by its provider, and its end carried into the flow.

Invariants: an action's end and what follows from it (the next action, the next stage, the execution's end) commit together; the
provider sees everything resolved; whatever goes wrong ends the action with a reason that a person can read.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.typed import convert
from windtunnel.services.codepipeline.acting import DENIED, SERVICE, Abandoned, running
from windtunnel.services.codepipeline.catalog import ACTION_TYPES
from windtunnel.services.codepipeline.flow import Flow, action_signal
from windtunnel.services.codepipeline.model import (
    Act,
    ActionExecution,
    ActionFace,
    ActionFailed,
    Declaration,
    Execution,
    Located,
    Outcome,
    SourceRevision,
)
from windtunnel.services.codepipeline.variables import EXECUTION_NAMESPACE, PIPELINE_NAMESPACE, Unresolved, resolve

MAX_VARIABLES = 122_880
MAX_SESSION_NAME = 64


def _crashed(ctx: Context, message: str, key: str, action_id: str) -> None:
    """The job itself failed: the action fails with it, so that the pipeline does not hang."""
    try:
        fail(ctx, key, action_id, "InternalError", f"The action could not be carried out: {message}", "")
    except Abandoned:
        return


@job("codepipeline.action", failed=_crashed)
def run_action(run: Run, key: str, action_id: str) -> None:
    """Steps: prepare, the provider's own (under `run/`), then succeeded or failed."""
    try:
        _carry_out(run, key, action_id)
    except Abandoned:
        _forget_signals(run, action_id)


def _carry_out(run: Run, key: str, action_id: str) -> None:
    try:
        act = convert(run.tx("prepare", prepare, key, action_id), Act)
        outcome = ACTION_TYPES[act.category, act.provider].run(run.under("run"), act)
        run.tx("succeeded", succeed, key, action_id, msgspec.to_builtins(outcome))
    except ActionFailed as failure:
        run.tx("failed", fail, key, action_id, failure.code, failure.message, failure.summary)
    except AwsError as error:
        code = "PermissionError" if error.code in DENIED else "ConfigurationError"
        run.tx("failed", fail, key, action_id, code, error.message or error.code, "")


def _forget_signals(run: Run, action_id: str) -> None:
    """Take what the run of an abandoned action was told and did not wait for: signals are kept until somebody takes them."""
    for number in count():
        if run.wait_for(action_signal(action_id), key=f"forgotten-{number}", timeout=0) is None:
            return


def prepare(ctx: Context, key: str, action_id: str) -> dict[str, Any]:
    """The action with its variables resolved, its role assumed and its output objects named, as plain data."""
    action = running(ctx, key, action_id)
    flow = Flow.of(ctx, action.pipeline)
    if flow is None:
        raise Abandoned
    e, declared = flow.execution(action.execution), action.declared
    type_id = declared["actionTypeId"]
    kind = ACTION_TYPES[type_id["category"], type_id["provider"]]
    action.resolved = resolved_configuration(e, declared)
    ctx.tx.put(action)
    minutes = declared.get("timeoutInMinutes")
    act = Act(
        key=key,
        id=action_id,
        pipeline=action.pipeline,
        execution=action.execution,
        stage=action.stage,
        name=action.name,
        category=type_id["category"],
        provider=type_id["provider"],
        configuration=action.resolved,
        inputs=tuple(_inputs(e, declared)),
        outputs=tuple(_outputs(ctx, flow.pipeline.declaration, declared)),
        principal=_principal(ctx, flow.pipeline.declaration, declared),
        timeout=float(minutes) * 60 if minutes else kind.timeout,
        override=_override(e, action.name),
    )
    plain: dict[str, Any] = msgspec.to_builtins(act)
    return plain


def resolved_configuration(e: Execution, declared: dict[str, Any]) -> dict[str, str]:
    """The configuration with every `#{namespace.key}` replaced. Raises ActionFailed."""
    values = {**e.namespaces, PIPELINE_NAMESPACE: e.variables, EXECUTION_NAMESPACE: {"PipelineExecutionId": e.id}}
    try:
        return {name: resolve(text, values) for name, text in declared["configuration"].items()}
    except Unresolved as missing:
        raise ActionFailed(
            "ConfigurationError",
            f"The action configuration has an invalid variable reference: {missing} has no value in this pipeline execution.",
        ) from missing


def _inputs(e: Execution, declared: dict[str, Any]) -> list[Located]:
    found = []
    for artifact in declared["inputArtifacts"]:
        if artifact["name"] not in e.artifacts:
            raise ActionFailed("ConfigurationError", f"The input artifact {artifact['name']} was not produced by this pipeline execution.")
        found.append(e.artifacts[artifact["name"]])
    return found


def _outputs(ctx: Context, pipeline: Declaration, declared: dict[str, Any]) -> list[Located]:
    """Where the outputs go: `pipeline/artifact/random`, both names shortened as AWS does; a source's is a zip by its name."""
    store = pipeline.get("artifactStore") or pipeline["artifactStores"][ctx.scope.region]
    kms_key = store.get("encryptionKey", {}).get("id", "")
    ending = ".zip" if declared["actionTypeId"]["category"] == "Source" else ""
    return [
        Located(a["name"], store["location"], f"{pipeline['name'][:20]}/{a['name'][:10]}/{ctx.ids.alnum(7)}{ending}", kms_key=kms_key)
        for a in declared["outputArtifacts"]
    ]


def _principal(ctx: Context, pipeline: Declaration, declared: dict[str, Any]) -> Principal:
    """The session in which the action acts: the pipeline's role, and from it the action's own role if it has one."""
    session = pipeline["name"][:MAX_SESSION_NAME]
    try:
        as_pipeline = ctx.assuming(pipeline["roleArn"], session, SERVICE)
    except AwsError as denied:
        raise ActionFailed(
            "PermissionError", f"CodePipeline is not authorized to perform AssumeRole on role {pipeline['roleArn']}. {denied.message}"
        ) from denied
    role = declared.get("roleArn")
    if role is None:
        return as_pipeline.principal
    try:
        given = as_pipeline.call("sts", "AssumeRole", role_arn=role, role_session_name=session)
    except AwsError as denied:
        if denied.code not in DENIED:
            raise
        raise ActionFailed(
            "PermissionError",
            f"{pipeline['roleArn']} is not authorized to perform AssumeRole on role {role}. {denied.message}",
        ) from denied
    credential = ctx.cloud.identity.credential(ctx.tx, given["Credentials"]["AccessKeyId"])
    if credential is None:
        raise ActionFailed("PermissionError", f"The session of role {role} is not known.")
    return credential.principal


def _override(e: Execution, action: str) -> tuple[str, str] | None:
    found = next((o for o in e.overrides if o["actionName"] == action), None)
    return None if found is None else (found["revisionType"], found["revisionValue"])


def succeed(ctx: Context, key: str, action_id: str, plain: dict[str, Any]) -> None:
    """Carry what the action brought into its execution, and go on."""
    action, outcome = running(ctx, key, action_id), convert(plain, Outcome)
    flow = Flow.of(ctx, action.pipeline)
    if flow is None:
        raise Abandoned
    e = flow.execution(action.execution)
    namespace = action.declared.get("namespace")
    if namespace:
        e.namespaces[namespace] = outcome.variables
    if sum(len(k) + len(v) for values in e.namespaces.values() for k, v in values.items()) > MAX_VARIABLES:
        raise ActionFailed("ConfigurationError", f"The output variables of the pipeline execution exceed {MAX_VARIABLES} bytes.")
    action.outputs = list(outcome.artifacts)
    action.variables, action.summary = outcome.variables, outcome.summary
    e.artifacts.update({artifact.name: artifact for artifact in outcome.artifacts})
    if outcome.revision is not None:
        _record_revision(flow, e, action, outcome)
    flow.action_ended(action, "Succeeded")
    flow.save()


def _record_revision(flow: Flow, e: Execution, action: ActionExecution, outcome: Outcome) -> None:
    revision = outcome.revision
    if revision is None:
        return
    artifact = outcome.artifacts[0].name if outcome.artifacts else ""
    e.revisions = [r for r in e.revisions if r.action != action.name] + [SourceRevision(action.name, artifact, revision)]
    action.external, action.external_url = revision.id, revision.url
    face = flow.board.slot(action.stage).actions.setdefault(action.name, ActionFace())
    face.revision, face.entity_url = revision, outcome.entity_url


def fail(ctx: Context, key: str, action_id: str, code: str, message: str, summary: str) -> None:
    """End the action as failed, with its reason."""
    action = running(ctx, key, action_id)
    flow = Flow.of(ctx, action.pipeline)
    if flow is None:
        raise Abandoned
    action.error_code, action.error_message, action.summary = code, message, summary or action.summary
    flow.action_ended(action, "Failed")
    flow.save()
