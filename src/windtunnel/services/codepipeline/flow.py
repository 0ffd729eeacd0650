"""How executions move: through stages, past each other, into stops and retries. The only code that changes boards and executions.

Invariants: outside PARALLEL mode one execution holds a stage; in SUPERSEDED mode at most one waits before it, the newest; whatever
moves an execution does so in the transaction of the thing that made it move, so that a crash finds it before or after, never between.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import trail
from windtunnel.services.codepipeline.announce import action_changed, pipeline_changed, stage_changed
from windtunnel.services.codepipeline.model import (
    ActionExecution,
    ActionFace,
    ActionMark,
    ActionStatus,
    Board,
    Declaration,
    Execution,
    ExecutionStatus,
    Pipeline,
    PipelineVersion,
    Slot,
    StageRun,
    StageStatus,
    Trigger,
    action_of,
    stage_names,
    stage_of,
    version_key,
)
from windtunnel.services.codepipeline.plan import Done, Failed, Start, Wait, next_step, successor

ABANDONED = "abandoned"


def action_signal(action_id: str) -> str:
    """The signal by which a running action hears of its outside work, of its approval, or that it was abandoned."""
    return f"codepipeline.action/{action_id}"


def find_execution(ctx: Context, pipeline: str, execution_id: str) -> Execution | None:
    found = ctx.tx.find(Execution, "id", execution_id)
    return next((e for e in found if e.pipeline == pipeline), None)


class Flow:
    """One pipeline's board and the executions touched in this transaction; `save` writes what changed."""

    def __init__(self, ctx: Context, pipeline: Pipeline) -> None:
        self.ctx = ctx
        self.pipeline = pipeline
        self.board = ctx.tx.get(Board, pipeline.name) or Board(pipeline=pipeline.name)
        self._executions: dict[str, Execution] = {}

    @classmethod
    def of(cls, ctx: Context, name: str) -> Flow | None:
        """The flow of a pipeline, None when there is no such pipeline (any more)."""
        pipeline = ctx.tx.get(Pipeline, name)
        return None if pipeline is None else cls(ctx, pipeline)

    def execution(self, execution_id: str) -> Execution:
        known = self._executions.get(execution_id)
        if known is None:
            known = find_execution(self.ctx, self.pipeline.name, execution_id)
            if known is None:
                raise LookupError(f"the board of {self.pipeline.name} names the execution {execution_id}, which is not there")
            self._executions[execution_id] = known
        return known

    def save(self) -> None:
        self.ctx.tx.put(self.board)
        for execution in self._executions.values():
            self.ctx.tx.put(execution)

    # -- beginning ------------------------------------------------------------------------------------------------

    def start(self, trigger: Trigger, variables: dict[str, str], overrides: list[dict[str, str]], token: str = "") -> Execution:
        """A new execution, on its way into the first stage."""
        ctx = self.ctx
        self.board.executions += 1
        identity = ctx.ids.uuid()
        e = Execution(
            pipeline=self.pipeline.name,
            number=self.board.executions,
            id=identity,
            version=self.pipeline.version,
            mode=self.pipeline.mode,
            trigger=trigger,
            started=ctx.now,
            updated=ctx.now,
            variables=variables,
            overrides=overrides,
            token=token,
            cause=ctx.cause or f"execution:{identity}",
        )
        self._executions[e.id] = e
        by = f" ({trigger.detail})" if trigger.detail else ""
        self._say(e, f"pipeline {e.pipeline}: execution {e.id} started by {trigger.type}{by}")
        pipeline_changed(self._for(e), e, "STARTED")
        self._arrive(e, stage_names(self.pipeline.declaration)[0])
        return e

    def _for(self, e: Execution) -> Context:
        """This transaction, on behalf of an execution: what follows carries its cause, whoever gave the push."""
        return self.ctx.caused_by(e.cause)

    def _say(self, e: Execution, text: str, *more: str, bad: bool = False) -> None:
        subjects = [subject for subject in (e.id, e.pipeline, *more) if subject]
        trail(self._for(e), subjects, text, level="error" if bad else "info")

    def _declaration(self, version: int) -> Declaration:
        if version == self.pipeline.version:
            return self.pipeline.declaration
        kept = self.ctx.tx.get(PipelineVersion, version_key(self.pipeline.name, version))
        if kept is None:
            raise LookupError(f"version {version} of {self.pipeline.name} is not kept")
        return kept.declaration

    # -- into and out of stages -------------------------------------------------------------------------------------

    def _arrive(self, e: Execution, stage: str) -> None:
        slot = self.board.slot(stage)
        if e.mode == "SUPERSEDED":
            for older in slot.inbound:
                self._supersede(self.execution(older), e, stage)
            slot.inbound = []
        slot.inbound.append(e.id)
        e.stage, e.waiting, e.updated = stage, True, self.ctx.now
        self.admit(stage)

    def _supersede(self, older: Execution, newer: Execution, stage: str) -> None:
        text = f"Superseded by execution {newer.id} while it waited for the stage {stage}."
        self._say(older, f"pipeline {older.pipeline}: execution {older.id} was superseded by {newer.id} before stage {stage}", newer.id)
        self._finish(older, "Superseded", text)

    def admit(self, stage: str) -> None:
        """Let in whoever waits before a stage and may enter now."""
        slot = self.board.slot(stage)
        while slot.inbound and self._open(stage):
            e = self.execution(slot.inbound[0])
            if slot.holder and e.mode != "PARALLEL":
                return
            slot.inbound.pop(0)
            self._enter(e, stage)

    def _open(self, stage: str) -> bool:
        names = stage_names(self.pipeline.declaration)
        if not self.board.slot(stage).inbound_door.enabled or stage not in names:
            return False
        position = names.index(stage)
        return position == 0 or self.board.slot(names[position - 1]).outbound_door.enabled

    def _enter(self, e: Execution, stage: str) -> None:
        slot = self.board.slot(stage)
        if e.mode != "PARALLEL":
            slot.holder = e.id
        slot.latest, slot.latest_status, slot.retries = e.id, "InProgress", 0
        e.stage, e.waiting, e.updated = stage, False, self.ctx.now
        e.stages[stage] = StageRun("InProgress", self.pipeline.version)
        stage_changed(self._for(e), e, stage, "STARTED")
        self._go_on(e, stage)

    def _go_on(self, e: Execution, stage: str) -> None:
        """Take the next step in the stage that the execution is in."""
        run = e.stages[stage]
        if e.status == "Stopping":
            self._stop_when_quiet(e, stage)
            return
        declared = self._stage_as_entered(run, stage)
        match next_step(declared["actions"], run.statuses()):
            case Start(names):
                for name in names:
                    self._start_action(e, stage, next(a for a in declared["actions"] if a["name"] == name))
            case Wait():
                e.updated = self.ctx.now
            case Failed(names):
                what = "action" if len(names) == 1 else "actions"
                self._leave(e, stage, "Failed", f"The {what} {', '.join(names)} in the stage {stage} failed.")
            case Done():
                self._leave(e, stage, "Succeeded")

    def _stage_as_entered(self, run: StageRun, stage: str) -> dict[str, Any]:
        declared = stage_of(self._declaration(run.version), stage)
        if declared is None:
            raise LookupError(f"stage {stage} is not in version {run.version} of {self.pipeline.name}")
        return declared

    def _stop_when_quiet(self, e: Execution, stage: str) -> None:
        statuses = e.stages[stage].statuses().values()
        if "InProgress" in statuses:
            return
        failed = "Failed" in statuses and "Abandoned" not in statuses
        self._leave(e, stage, "Failed" if failed else "Stopped", e.summary)

    def _leave(self, e: Execution, stage: str, status: StageStatus, summary: str = "") -> None:
        slot, run = self.board.slot(stage), e.stages[stage]
        run.status = status
        e.updated = self.ctx.now
        if slot.holder == e.id:
            slot.holder = ""
        if slot.latest == e.id:
            slot.latest_status = status
        stage_changed(self._for(e), e, stage, {"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Stopped": "STOPPED"}[status])
        if status == "Succeeded":
            following = successor(self._declaration(run.version), self.pipeline.declaration, stage)
            if following is None:
                self._finish(e, "Succeeded", "")
            else:
                self._arrive(e, following)
        else:
            self._finish(e, "Failed" if status == "Failed" else "Stopped", summary)
        self.admit(stage)

    def _finish(self, e: Execution, status: ExecutionStatus, summary: str) -> None:
        e.status, e.summary, e.updated, e.waiting = status, summary, self.ctx.now, False
        if status in ("Succeeded", "Failed", "Stopped"):
            text = f"pipeline {e.pipeline}: execution {e.id} {status.lower()}" + (f": {summary}" if summary else "")
            self._say(e, text, bad=status == "Failed")
        state = "CANCELED" if status == "Cancelled" else status.upper()
        pipeline_changed(self._for(e), e, state)

    # -- actions ------------------------------------------------------------------------------------------------------

    def _start_action(self, e: Execution, stage: str, declared: dict[str, Any]) -> None:
        ctx, board = self._for(e), self.board
        board.actions += 1
        action = ActionExecution(
            pipeline=e.pipeline,
            number=board.actions,
            id=ctx.ids.uuid(),
            execution=e.id,
            version=e.stages[stage].version,
            stage=stage,
            declared=declared,
            started=ctx.now,
            updated=ctx.now,
            inputs=[e.artifacts[a["name"]] for a in declared["inputArtifacts"] if a["name"] in e.artifacts],
            token=ctx.ids.uuid() if declared["actionTypeId"]["category"] == "Approval" else "",
        )
        ctx.tx.put(action)
        e.stages[stage].actions[action.name] = ActionMark(action.id, "InProgress")
        board.slot(stage).actions.setdefault(action.name, ActionFace()).latest = action.key()
        action_changed(ctx, e, action, "STARTED")
        ctx.start_job("codepipeline.action", action_signal(action.id), key=action.key(), action_id=action.id)

    def action_ended(self, action: ActionExecution, status: ActionStatus) -> None:
        """An action that was in progress has ended (its record says how): tell, and go on in its stage."""
        e = self.execution(action.execution)
        action.status, action.updated = status, self.ctx.now
        self.ctx.tx.put(action)
        mark = e.stages[action.stage].actions[action.name]
        mark.status = status
        state = {"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Abandoned": "ABANDONED"}[status]
        action_changed(self._for(e), e, action, state)
        if status == "Failed":
            text = f"action {action.name} in stage {action.stage} failed: {action.error_code}: {action.error_message}"
            self._say(e, text, action.id, action.external, bad=True)
        if status != "Abandoned":
            self._go_on(e, action.stage)

    # -- stop, retry, change --------------------------------------------------------------------------------------------

    def stop(self, e: Execution, abandon: bool, reason: str) -> None:
        """Stop an execution: after its running actions, or at once when they are abandoned."""
        if e.status != "Stopping":
            e.stop_reason = reason
            self._say(e, f"execution {e.id} was told to stop by {self.ctx.principal.arn}" + (f": {reason}" if reason else ""))
        if e.waiting:
            self.board.slot(e.stage).inbound.remove(e.id)
            self._finish(e, "Stopped", reason)
            return
        run = e.stages[e.stage]
        if e.status != "Stopping":
            e.status = run.status = "Stopping"
            e.summary = reason
            if self.board.slot(e.stage).latest == e.id:
                self.board.slot(e.stage).latest_status = "Stopping"
            pipeline_changed(self._for(e), e, "STOPPING")
            stage_changed(self._for(e), e, e.stage, "STOPPING")
        if abandon:
            self._abandon_actions(e, e.stage)
        self._go_on(e, e.stage)

    def _abandon_actions(self, e: Execution, stage: str) -> None:
        slot = self.board.slot(stage)
        for name, mark in e.stages[stage].actions.items():
            if mark.status != "InProgress":
                continue
            action = self._action_execution(slot, name, e, mark)
            if action is not None:
                self.action_ended(action, "Abandoned")
                self.ctx.signal(action_signal(action.id), {"what": ABANDONED})

    def _action_execution(self, slot: Slot, name: str, e: Execution, mark: ActionMark) -> ActionExecution | None:
        face = slot.actions.get(name)
        latest = self.ctx.tx.get(ActionExecution, face.latest) if face else None
        if latest is not None and latest.id == mark.id:
            return latest
        return next((a for a in self.ctx.tx.find(ActionExecution, "execution", e.id) if a.id == mark.id), None)

    def retry(self, e: Execution, stage: str, whole_stage: bool) -> None:
        """Run a stage that failed or was stopped once more, for the same execution."""
        slot, run = self.board.slot(stage), e.stages[stage]
        if e.mode != "PARALLEL":
            slot.holder = e.id
        slot.latest_status, slot.retries = "InProgress", slot.retries + 1
        run.status = "InProgress"
        run.actions = {} if whole_stage else {name: mark for name, mark in run.actions.items() if mark.status == "Succeeded"}
        e.status, e.summary, e.updated, e.stage, e.stop_reason = "InProgress", "", self.ctx.now, stage, ""
        e.attempt += 1
        self._say(e, f"stage {stage} of execution {e.id} is retried by {self.ctx.principal.arn}")
        pipeline_changed(self._for(e), e, "RESUMED")
        stage_changed(self._for(e), e, stage, "RESUMED")
        self._go_on(e, stage)

    def retryable(self, e: Execution | None, stage: str) -> None:
        """Raise AWS's error unless `retry` may run."""
        slot = self.board.slot(stage)
        if e is None or (slot.latest != e.id and e.mode != "PARALLEL") or stage not in e.stages:
            raise AwsError(
                "NotLatestPipelineExecutionException",
                f"The stage {stage} has been entered by a later pipeline execution, or the given one is not an execution of this pipeline:"
                " the pipelineExecutionId associated with the request is out of date.",
            )
        run = e.stages[stage]
        entered = stage_of(self._declaration(run.version), stage)
        same = entered == stage_of(self.pipeline.declaration, stage)
        if run.status not in ("Failed", "Stopped") or e.status not in ("Failed", "Stopped") or not same:
            raise AwsError(
                "StageNotRetryableException",
                "Unable to retry. The specified stage can't be retried because the pipeline structure or stage state changed after the stage"
                " was not completed; the stage contains no failed actions; one or more actions are still in progress; or another retry"
                " attempt is already in progress.",
            )

    def adopt(self, pipeline: Pipeline) -> None:
        """Go on with a new structure: who waited before a stage that is gone is cancelled, who may enter now enters."""
        self.pipeline = pipeline
        names = stage_names(pipeline.declaration)
        for stage in [name for name in self.board.stages if name not in names]:
            slot = self.board.stages[stage]
            for waiting in slot.inbound:
                self._finish(self.execution(waiting), "Cancelled", f"The stage {stage} was removed from the pipeline.")
            slot.inbound = []
            if not slot.holder:
                del self.board.stages[stage]
        for name in names:
            self.admit(name)

    def declared_action(self, stage: str, action: str) -> dict[str, Any] | None:
        found = stage_of(self.pipeline.declaration, stage)
        return None if found is None else action_of(found, action)

    def latest_action(self, stage: str, action: str) -> ActionExecution | None:
        face = self.board.slot(stage).actions.get(action)
        return self.ctx.tx.get(ActionExecution, face.latest) if face and face.latest else None
