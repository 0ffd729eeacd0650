"""Everything that starts an execution comes through here: clients, creation, change detection, rules.

Invariant: an execution that starts has a value for every variable of its pipeline, and its pipeline has room for it.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import trail
from windtunnel.services.codepipeline.catalog import ACTION_TYPES
from windtunnel.services.codepipeline.flow import Flow
from windtunnel.services.codepipeline.model import Execution, Pipeline, Trigger

MAX_CONCURRENT = 50


def begin(
    flow: Flow,
    trigger: Trigger,
    given: list[dict[str, str]] | None = None,
    overrides: list[dict[str, str]] | None = None,
    token: str = "",
) -> Execution:
    """Start an execution and save the flow. Raises AWS's error for variables without a value and for too many executions."""
    variables = variable_values(flow.pipeline, given or [])
    if flow.pipeline.mode != "SUPERSEDED":
        live = len(flow.ctx.tx.find(Execution, "live", flow.pipeline.name, limit=MAX_CONCURRENT))
        if live >= MAX_CONCURRENT:
            raise AwsError(
                "ConcurrentPipelineExecutionsLimitExceededException",
                f"The pipeline has reached the limit of {MAX_CONCURRENT} concurrent pipeline executions.",
            )
    execution = flow.start(trigger, variables, overrides or [], token)
    flow.save()
    return execution


def variable_values(pipeline: Pipeline, given: list[dict[str, str]]) -> dict[str, str]:
    """The values of the pipeline's variables: as given, else their defaults."""
    declared = {v["name"]: v.get("defaultValue") for v in pipeline.declaration.get("variables", [])}
    values = {v["name"]: v["value"] for v in given}
    unknown = sorted(values.keys() - declared.keys())
    if unknown:
        raise AwsError("ValidationException", f"The pipeline {pipeline.name} does not declare the variables [{', '.join(unknown)}].")
    missing = sorted(name for name, default in declared.items() if default is None and name not in values)
    if missing:
        raise AwsError(
            "ValidationException",
            f"The pipeline variables [{', '.join(missing)}] have no default value: give their values when you start the pipeline.",
        )
    return {name: values.get(name, default or "") for name, default in declared.items()}


def source_changed(ctx: Context, watched: str) -> None:
    """A source has changed: start every pipeline that watches it (see Pipeline.watches)."""
    for pipeline in ctx.tx.find(Pipeline, "watches", watched):
        try:
            begin(Flow(ctx, pipeline), Trigger("PollForSourceChanges", _watching_action(pipeline, watched)))
        except AwsError as refused:
            text = f"pipeline {pipeline.name} was not started by the change of {watched}: {refused.message}"
            trail(ctx, [pipeline.name], text, level="error")


def _watching_action(pipeline: Pipeline, watched: str) -> str:
    def watches(action: dict[str, Any]) -> bool:
        type_id = action["actionTypeId"]
        kind = ACTION_TYPES.get((type_id["category"], type_id["provider"]))
        return kind is not None and kind.watch(action["configuration"]) == watched

    first = pipeline.declaration["stages"][0]["actions"]
    return next((str(action["name"]) for action in first if watches(action)), "")
