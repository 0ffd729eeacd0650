"""Build/CodeBuild and Test/CodeBuild: a build of a project whose source is the pipeline's artifact."""

from __future__ import annotations

import json
from typing import Any

from windtunnel.jobs import Run
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import listens
from windtunnel.services.codepipeline.acting import call_as_role, outside_work_ended, started, tell_action
from windtunnel.services.codepipeline.catalog import Configuration, NotRunHere, action_type
from windtunnel.services.codepipeline.model import Act, ActionFailed, Located, Outcome

EIGHT_HOURS = 8 * 3600.0
KEYS = "PrimarySource BatchEnabled CombineArtifacts EnvironmentVariables"
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT", "FAULT"})


def check(configuration: Configuration) -> None:
    for key in ("BatchEnabled", "CombineArtifacts"):
        if configuration.get(key, "false").lower() != "false":
            raise NotRunHere(f"the configuration {key}")
    environment(configuration)


def environment(configuration: Configuration) -> list[dict[str, str]]:
    """The EnvironmentVariables of a configuration as StartBuild takes them. Raises ValueError."""
    text = configuration.get("EnvironmentVariables")
    if text is None:
        return []
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("EnvironmentVariables must be a JSON array of objects with name and value") from error
    if not isinstance(given, list):
        raise ValueError("EnvironmentVariables must be a JSON array of objects with name and value")
    return [_variable(entry) for entry in given]


def _variable(entry: Any) -> dict[str, str]:
    fits = isinstance(entry, dict) and {"name", "value"} <= entry.keys() <= {"name", "value", "type"}
    if not fits or not all(isinstance(value, str) for value in entry.values()):
        raise ValueError("every entry of EnvironmentVariables must be an object with the strings name, value and, if need be, type")
    kind = entry.get("type", "PLAINTEXT")
    if kind not in ("PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"):
        raise ValueError(f"an environment variable has the unknown type {kind}")
    return {"name": entry["name"], "value": entry["value"], "type": kind}


def _build(run: Run, act: Act) -> Outcome:
    build = run.tx("start", start_build, act)
    ended = outside_work_ended(run, act)
    if ended is None:
        raise ActionFailed("JobFailed", f"The build {build} did not end within {act.timeout / 60:g} minutes.")
    if ended["status"] != "SUCCEEDED":
        raise ActionFailed("JobFailed", f"Build terminated with state: {ended['status']}")
    variables, made = run.tx("result", result, act, build)
    return Outcome(variables=variables, artifacts=tuple(output for output in act.outputs if output.name in made))


for _category in ("Build", "Test"):
    action_type(
        _category, "CodeBuild", inputs=(1, 5), outputs=(0, 5), required="ProjectName", optional=KEYS, timeout=EIGHT_HOURS, check=check
    )(_build)


def start_build(ctx: Context, act: Act) -> str:
    """StartBuild as the action's role; the build and the record of its id commit together."""
    try:
        variables = environment(act.configuration)
    except ValueError as error:
        raise ActionFailed("ConfigurationError", str(error)) from error
    reply = call_as_role(
        ctx,
        act,
        "CodeBuild",
        "codebuild",
        "StartBuild",
        project_name=act.configuration["ProjectName"],
        environment_variables_override=variables,
        idempotency_token=act.id,
        **sources(act),
        **artifacts(act),
    )
    build = reply["build"]["id"]
    return started(ctx, act, build, console(ctx.scope.region, build))


def console(region: str, build: str) -> str:
    return f"https://console.aws.amazon.com/codebuild/home?region={region}#/builds/{build}/view/new"


def sources(act: Act) -> dict[str, Any]:
    """The primary input as sourceVersion (its object's ARN), the others as secondary sources under their artifact names."""
    wanted = act.configuration.get("PrimarySource", act.inputs[0].name)
    primary = next((artifact for artifact in act.inputs if artifact.name == wanted), act.inputs[0])
    others = [artifact for artifact in act.inputs if artifact is not primary]
    given: dict[str, Any] = {"source_version": f"arn:aws:s3:::{primary.bucket}/{primary.key}", "source_revision": primary.revision}
    if others:
        given["secondary_sources_override"] = [
            {"type": "CODEPIPELINE", "sourceIdentifier": a.name, "location": f"{a.bucket}/{a.key}"} for a in others
        ]
    return given


def artifacts(act: Act) -> dict[str, Any]:
    """A single output as the build's artifact, several as secondary ones under their names, each at the key that was chosen for it."""
    if not act.outputs:
        return {}
    key = {"encryption_key_override": act.outputs[0].kms_key} if act.outputs[0].kms_key else {}
    if len(act.outputs) == 1:
        return {"artifacts_override": _artifact(act.outputs[0]), **key}
    return {"secondary_artifacts_override": [_artifact(output) for output in act.outputs], **key}


def _artifact(output: Located) -> dict[str, Any]:
    path, _, name = output.key.rpartition("/")
    return {
        "type": "CODEPIPELINE",
        "location": output.bucket,
        "path": path,
        "name": name,
        "packaging": "ZIP",
        "namespaceType": "NONE",
        "artifactIdentifier": output.name,
    }


def result(ctx: Context, act: Act, build: str) -> tuple[dict[str, str], list[str]]:
    """The build's exported variables, and the names of the output artifacts that it really uploaded (its buildspec may name none)."""
    found = call_as_role(ctx, act, "CodeBuild", "codebuild", "BatchGetBuilds", ids=[build])["builds"]
    variables = {v["name"]: v["value"] for b in found for v in b.get("exportedEnvironmentVariables", [])}
    return variables, [output.name for output in act.outputs if is_there(ctx, output)]


def is_there(ctx: Context, output: Located) -> bool:
    """Asked by the cloud itself: the pipeline's role need not be allowed to look."""
    try:
        ctx.call("s3", "HeadObject", bucket=output.bucket, key=output.key)
    except AwsError:
        return False
    return True


@listens("aws.codebuild", "CodeBuild Build State Change")
def build_changed(ctx: Context, event: Event) -> None:
    status = event.detail["build-status"]
    if status in ENDED:
        tell_action(ctx, event.detail["build-id"].rsplit("build/", 1)[-1], {"status": status})
