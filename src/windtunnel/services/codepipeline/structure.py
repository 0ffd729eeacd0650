"""Is this a pipeline? AWS's rules for a declaration, and its defaults filled in. Pure.

Invariant: what passes here can run: every action type is built, every artifact has one maker before its users, every variable a source.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.services.codepipeline.catalog import ActionType, NotRunHere, find
from windtunnel.services.codepipeline.model import Declaration
from windtunnel.services.codepipeline.variables import EXECUTION_NAMESPACE, PIPELINE_NAMESPACE, references

MAX_STAGES, MAX_ACTIONS_A_STAGE, MAX_ACTIONS = 50, 50, 1000
MAX_VALUE = 1000
ACTION_MEMBERS = (
    *("name", "actionTypeId", "runOrder", "configuration", "outputArtifacts", "inputArtifacts"),
    *("roleArn", "region", "namespace", "timeoutInMinutes"),
)
RESERVED = {EXECUTION_NAMESPACE, PIPELINE_NAMESPACE}


def structure_error(text: str) -> AwsError:
    return AwsError("InvalidStructureException", text)


def stage_error(text: str) -> AwsError:
    return AwsError("InvalidStageDeclarationException", text)


def action_error(text: str) -> AwsError:
    return AwsError("InvalidActionDeclarationException", text)


def normalised(given: dict[str, Any], version: int) -> Declaration:
    """The declaration as GetPipeline returns it: defaults filled in, lists present, the version the server's."""
    stages = [{"name": stage["name"], "actions": [_action(action) for action in stage["actions"]]} for stage in given["stages"]]
    kept: Declaration = {key: given[key] for key in ("name", "roleArn", "artifactStore", "artifactStores") if key in given}
    kept |= {"stages": stages, "version": version}
    kept |= {"executionMode": given.get("executionMode", "SUPERSEDED"), "pipelineType": given.get("pipelineType", "V1")}
    if kept["pipelineType"] == "V2" and given.get("variables"):
        kept["variables"] = given["variables"]
    return kept


def _action(given: dict[str, Any]) -> dict[str, Any]:
    action = {"runOrder": 1, "configuration": {}, "outputArtifacts": [], "inputArtifacts": [], **given}
    return {key: action[key] for key in ACTION_MEMBERS if key in action}


def check(given: dict[str, Any], region: str, operation: str) -> list[str]:
    """Raise AWS's error for a declaration that is wrong, 501 for what does not run here. Returns what the pipeline watches."""
    _check_pipeline(given, region, operation)
    watches: list[str] = []
    made: dict[str, str] = {}
    namespaces: set[str] = set()
    for position, stage in enumerate(given["stages"]):
        _check_stage(stage, first=position == 0)
        for order in sorted({int(action.get("runOrder", 1)) for action in stage["actions"]}):
            group = [action for action in stage["actions"] if int(action.get("runOrder", 1)) == order]
            for action in group:
                kind = _check_type(action, region, operation)
                _check_configuration(kind, action, operation)
                _check_artifacts(kind, action, made)
                _check_references(given, stage["name"], action, namespaces)
                watched = kind.watch(action.get("configuration", {}))
                watches += [watched] if watched else []
            for action in group:
                _declare_outputs(action, made)
                _declare_namespace(action, namespaces)
    return watches


def _check_pipeline(given: dict[str, Any], region: str, operation: str) -> None:
    stages = given["stages"]
    if len(stages) < 2:
        raise structure_error(f"Pipeline has only {len(stages)} stage(s). There should be a minimum of 2 stages in a pipeline")
    if len(stages) > MAX_STAGES:
        raise structure_error(f"Pipeline has {len(stages)} stages. There should be a maximum of {MAX_STAGES} stages in a pipeline")
    total = sum(len(stage["actions"]) for stage in stages)
    if total > MAX_ACTIONS:
        raise structure_error(f"Pipeline has {total} actions. There should be a maximum of {MAX_ACTIONS} actions in a pipeline")
    twice = _twice([stage["name"] for stage in stages])
    if twice:
        raise structure_error(f"Stage name must be unique within the pipeline. {twice} has been used more than once.")
    _check_stores(given, region, operation)
    if given.get("pipelineType", "V1") == "V1":
        for member, unusual in (("variables", bool(given.get("variables"))), ("executionMode", _mode(given) != "SUPERSEDED")):
            if unusual:
                raise structure_error(f"Pipeline {given['name']} is of type V1, and {member} is only available in a pipeline of type V2.")
    twice = _twice([variable["name"] for variable in given.get("variables", [])])
    if twice:
        raise structure_error(f"Pipeline variable name must be unique within the pipeline. {twice} has been used more than once.")


def _mode(given: dict[str, Any]) -> str:
    return str(given.get("executionMode", "SUPERSEDED"))


def _check_stores(given: dict[str, Any], region: str, operation: str) -> None:
    one, many = given.get("artifactStore"), given.get("artifactStores")
    if (one is None) == (many is None):
        raise structure_error("Pipeline must declare either artifactStore or artifactStores, and not both of them.")
    if many is not None and region not in many:
        raise structure_error(f"Pipeline must declare an artifact store for its own region {region} in artifactStores.")
    if many is not None and len(many) > 1:
        other = next(name for name in sorted(many) if name != region)
        raise not_built("codepipeline", operation, f"an artifact store in another region ({other})")


def _check_stage(stage: dict[str, Any], *, first: bool) -> None:
    name, actions = stage["name"], stage["actions"]
    if not actions:
        raise stage_error(f"Stage '{name}' contains no actions. There should be a minimum of 1 action in a stage")
    if len(actions) > MAX_ACTIONS_A_STAGE:
        raise stage_error(f"Stage '{name}' contains {len(actions)} actions. There should be a maximum of {MAX_ACTIONS_A_STAGE} in a stage")
    twice = _twice([action["name"] for action in actions])
    if twice:
        raise stage_error(f"Action name must be unique within a stage. {twice} has been used more than once in stage '{name}'.")
    for action in actions:
        is_source = action["actionTypeId"]["category"] == "Source"
        if first and not is_source:
            raise structure_error(
                f"Pipeline should start with a stage that only contains source actions; action '{action['name']}' in stage '{name}' is not one"
            )
        if is_source and not first:
            raise structure_error(
                f"Only the first stage may contain source actions; action '{action['name']}' in stage '{name}' is a source action"
            )


def _check_type(action: dict[str, Any], region: str, operation: str) -> ActionType:
    type_id = action["actionTypeId"]
    kind = find(type_id, action["name"], region)
    if kind is None:
        raise not_built("codepipeline", operation, f"the action provider {type_id['category']}/{type_id['provider']}")
    if action.get("region", region) != region:
        raise not_built("codepipeline", operation, f"action '{action['name']}' in another region ({action['region']})")
    return kind


def _check_configuration(kind: ActionType, action: dict[str, Any], operation: str) -> None:
    name, configuration = action["name"], action.get("configuration", {})
    for key, value in configuration.items():
        if key not in kind.keys:
            raise action_error(f"Action configuration for action '{name}' contains unknown configuration '{key}'")
        if not 1 <= len(value) <= MAX_VALUE:
            raise action_error(f"Value of configuration '{key}' for action '{name}' must have a length of 1 to {MAX_VALUE}")
    for key, required in kind.keys.items():
        if required and key not in configuration:
            raise action_error(f"Action configuration for action '{name}' is missing required configuration '{key}'")
    try:
        kind.check(configuration)
    except NotRunHere as missing:
        raise not_built("codepipeline", operation, f"{missing} of action '{name}'") from missing
    except ValueError as wrong:
        raise action_error(f"Action configuration for action '{name}' is not valid: {wrong}") from wrong
    if kind.inputs[1] > 1 and len(action.get("inputArtifacts", [])) > 1 and "PrimarySource" in kind.keys:
        _check_primary(action)


def _check_primary(action: dict[str, Any]) -> None:
    name, primary = action["name"], action.get("configuration", {}).get("PrimarySource")
    if primary is None:
        raise action_error(f"Action configuration for action '{name}' is missing required configuration 'PrimarySource'")
    if primary not in [artifact["name"] for artifact in action["inputArtifacts"]]:
        raise action_error(f"PrimarySource '{primary}' of action '{name}' is not one of its input artifacts")


def _check_artifacts(kind: ActionType, action: dict[str, Any], made: dict[str, str]) -> None:
    name = action["name"]
    for word, member, (least, most) in (("input", "inputArtifacts", kind.inputs), ("output", "outputArtifacts", kind.outputs)):
        count = len(action.get(member, []))
        if not least <= count <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            raise action_error(f"Action {name} has invalid number of {word} artifacts: {count}. Expected {expected}")
    for artifact in action.get("inputArtifacts", []):
        if artifact["name"] not in made:
            raise structure_error(
                f"Input Artifact Bundle {artifact['name']} in action {name} is not declared as Output Artifact Bundle in any of the preceding actions"
            )


def _declare_outputs(action: dict[str, Any], made: dict[str, str]) -> None:
    for artifact in action.get("outputArtifacts", []):
        if artifact["name"] in made:
            raise structure_error(
                f"Output Artifact Bundle name must be unique within the pipeline. {artifact['name']} has been used more than once."
                f" It is an output of action {made[artifact['name']]} and of action {action['name']}."
            )
        made[artifact["name"]] = action["name"]


def _declare_namespace(action: dict[str, Any], namespaces: set[str]) -> None:
    namespace = action.get("namespace")
    if namespace is None:
        return
    if namespace in namespaces or namespace in RESERVED:
        raise action_error(f"Namespace must be unique within the pipeline and not a reserved one. Action {action['name']} has {namespace}.")
    namespaces.add(namespace)


def _check_references(given: dict[str, Any], stage: str, action: dict[str, Any], namespaces: set[str]) -> None:
    declared = {variable["name"] for variable in given.get("variables", [])}
    for key, value in action.get("configuration", {}).items():
        for text, name in references(value):
            known = name is not None and (
                name[0] in namespaces
                or (name[0] == EXECUTION_NAMESPACE and name[1] == "PipelineExecutionId")
                or (name[0] == PIPELINE_NAMESPACE and name[1] in declared)
            )
            if not known:
                raise action_error(
                    "Valid format for a pipeline execution variable reference is a namespace and a key separated by a period (.). The following"
                    " pipeline execution variables are referencing a namespace that does not exist."
                    f" StageName=[{stage}], ActionName=[{action['name']}], ActionConfigurationKey=[{key}], VariableReferenceText=[{text}]"
                )


def _twice(names: list[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
