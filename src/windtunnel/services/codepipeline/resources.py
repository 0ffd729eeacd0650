"""AWS::CodePipeline::Pipeline: a pipeline, and its doors between stages, which CodePipeline has as operations of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, attempt, listed, tag_changes, with_stack_tags
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.schemas import schema
from windtunnel.provision.shaping import Walk, properties
from windtunnel.provision.showing import tags_shown

MISSING = frozenset({"PipelineNotFoundException"})
_ELSEWHERE = ("DisableInboundStageTransitions", "RestartExecutionOnUpdate")
CREATING = Walk("codepipeline", "CreatePipeline", rest="pipeline", drop=_ELSEWHERE)
UPDATING = Walk("codepipeline", "UpdatePipeline", rest="pipeline", drop=(*_ELSEWHERE, "Tags"))
_NONE: dict[str, Any] = {"Blockers": [], "Triggers": []}


def _pipeline(ctx: Context, operation: str, **members: Any) -> Any:
    return perform(ctx, "codepipeline", operation, **members)


def _declared(props: Properties, name: str) -> Properties:
    """The properties as the structure has them: stores by region, and nothing that is said to be empty."""
    made = {key: value for key, value in props.items() if value != _NONE.get(key, ...)} | {"Name": name}
    if "Stages" in made:
        made["Stages"] = [{key: value for key, value in stage.items() if value != _NONE.get(key, ...)} for stage in made["Stages"]]
    if "ArtifactStores" in made:
        made["ArtifactStores"] = {one["Region"]: one["ArtifactStore"] for one in made["ArtifactStores"]}
    return made


def _closed(props: Properties) -> dict[str, str]:
    return {one["StageName"]: one["Reason"] for one in props.get("DisableInboundStageTransitions") or ()}


@resource_type("AWS::CodePipeline::Pipeline")
class PipelineType(Direct):
    service = "codepipeline"
    calls = "DisableStageTransition EnableStageTransition TagResource UntagResource StartPipelineExecution DeletePipeline"
    name = Name("Name", limit=100)
    missing = MISSING

    def warm(self) -> None:
        super().warm()
        CREATING.compile()
        UPDATING.compile()

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        tags = with_stack_tags(props.get("Tags"), wanted)
        made = CREATING.call(ctx, {**_declared(props, wanted.name), "Tags": tags})["pipeline"]
        self._doors(ctx, wanted.name, {}, _closed(props))
        return Created(id=wanted.name, attributes=self._attributes(ctx, wanted.name, made))

    def _attributes(self, ctx: Context, name: str, declaration: dict[str, Any]) -> dict[str, Any]:
        return {"Version": str(declaration["version"]), "Arn": ctx.arn("codepipeline", name)}

    def _doors(self, ctx: Context, name: str, old: dict[str, str], new: dict[str, str]) -> None:
        for stage in old.keys() - new.keys():
            _pipeline(ctx, "EnableStageTransition", pipelineName=name, stageName=stage, transitionType="Inbound")
        for stage, reason in new.items():
            if old.get(stage) != reason:
                _pipeline(ctx, "DisableStageTransition", pipelineName=name, stageName=stage, transitionType="Inbound", reason=reason)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = attempt(ctx, MISSING, "codepipeline", "GetPipeline", name=resource.id)
        if found is None:
            return None
        known = schema(self.type)
        assert known is not None
        declaration, stores = found["pipeline"], found["pipeline"].get("artifactStores")
        split = [{"Region": region, "ArtifactStore": store} for region, store in (stores or {}).items()]
        shown = properties(known, {**declaration, "artifactStores": split or None})
        states = _pipeline(ctx, "GetPipelineState", name=resource.id)["stageStates"]
        closed = [
            {"StageName": stage["stageName"], "Reason": stage["inboundTransitionState"].get("disabledReason", "")}
            for stage in states
            if not stage.get("inboundTransitionState", {}).get("enabled", True)
        ]
        shown |= {"DisableInboundStageTransitions": closed} if closed else {}
        shown |= self._attributes(ctx, resource.id, declaration)
        return shown | tags_shown(_pipeline(ctx, "ListTagsForResource", resourceArn=shown["Arn"])["tags"], "key", "value")

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old, name = resource.properties, resource.id
        structure = {member: value for member, value in _declared(new, name).items() if member not in (*_ELSEWHERE, "Tags")}
        before = {member: value for member, value in _declared(old, name).items() if member not in (*_ELSEWHERE, "Tags")}
        attributes = None
        if structure != before:
            attributes = self._attributes(ctx, name, UPDATING.call(ctx, structure)["pipeline"])
        still = [stage["Name"] for stage in new["Stages"]]
        self._doors(ctx, name, {stage: why for stage, why in _closed(old).items() if stage in still}, _closed(new))
        added, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        arn = ctx.arn("codepipeline", name)
        if gone:
            _pipeline(ctx, "UntagResource", resourceArn=arn, tagKeys=gone)
        if added:
            _pipeline(ctx, "TagResource", resourceArn=arn, tags=[{"key": tag["Key"], "value": tag["Value"]} for tag in added])
        if new.get("RestartExecutionOnUpdate") and attributes is not None:
            _pipeline(ctx, "StartPipelineExecution", name=name)
        return None if attributes is None else Created(id=name, attributes=attributes)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _pipeline(ctx, "DeletePipeline", name=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["name"] for one in listed(ctx, "codepipeline", "ListPipelines", "pipelines", ("nextToken", "nextToken")))
