"""How a deployment goes on: every change of its state, each in one transaction with its events, trail lines and next commands.

Invariants: after each change the targets agree with what the minimum of healthy hosts allows; a deployment ends once, and with its
end its group, its hosts' states and its rollback are recorded; nothing here is slow, so an agent's report carries it all out.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import trail
from windtunnel.services.codedeploy import announce
from windtunnel.services.codedeploy.model import progress
from windtunnel.services.codedeploy.model.health import can_begin, next_moves
from windtunnel.services.codedeploy.model.progress import Result
from windtunnel.services.codedeploy.model.records import (
    ENDED,
    Active,
    Config,
    Deployment,
    Group,
    HostState,
    Location,
    Revision,
    Target,
)
from windtunnel.services.codedeploy.model.revisions import digest, shown
from windtunnel.services.codedeploy.model.tagfilters import selected

SERVICE = "codedeploy.amazonaws.com"
COUNTED = ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready")
HEALTH_CONSTRAINTS = (
    "The overall deployment failed because too many individual instances failed deployment, too few healthy instances are available"
    " for deployment, or some instances in your deployment group are experiencing problems."
)
HEALTH_CONSTRAINTS_INVALID = (
    "The deployment can't start because the minimum number of healthy instances, as defined by the deployment configuration, are not"
    " available. Reduce the required number of healthy instances or increase the number of instances in this deployment group."
)
NO_INSTANCES = (
    "The deployment failed because no instances were found for your deployment group. Check your deployment group settings to make"
    " sure the tags for your EC2 instances or Auto Scaling groups correctly identify the instances you want to deploy to, and then"
    " try again."
)
ROLE_PERMISSIONS = (
    "The IAM role {role} does not give you permission to perform operations in the following AWS service: AmazonEC2. Contact your AWS"
    " administrator if you need help. If you are an AWS administrator, you can grant permissions to your users or groups by creating"
    " IAM policies."
)
MANUAL_STOP = "The deployment was stopped by a user."


def host_signal(host: str) -> str:
    """Notified when a command is out for an agent."""
    return f"codedeploy-commands:{host}"


def over_signal(deployment_id: str) -> str:
    """Signalled to the deployment's run when a deployment that had begun has ended."""
    return f"codedeploy.over:{deployment_id}"


def forget_group(ctx: Context, group: Group) -> None:
    """Delete a group with what it knows of its instances; its deployments stay to be read, and one that runs goes on to its end."""
    for state in ctx.tx.scan(HostState, prefix=f"{group.id}/"):
        ctx.tx.delete(HostState, state.key())
    ctx.tx.delete(Group, group.key())


# -- beginning --------------------------------------------------------------------------------------------------------


def create(ctx: Context, group: Group, config: Config, revision: Location, **members: Any) -> Deployment:
    """A new deployment with its job. members: further fields of `Deployment`."""
    running = ctx.tx.get(Active, group.id)
    if running is not None:
        said = f"The Deployment Group '{group.name}' already has an active Deployment '{running.deployment}'"
        raise AwsError("DeploymentLimitExceededException", said)
    new_id = f"d-{ctx.ids.upper(9)}"
    if not ctx.cause:
        ctx = ctx.caused_by(f"deployment:{new_id}")
    deployment = Deployment(
        id=new_id,
        application=group.application,
        group=group.name,
        group_id=group.id,
        config_name=config.name,
        minimum=config.minimum,
        revision=revision,
        previous_revision=group.target_revision,
        created=ctx.now,
        cause=ctx.cause,
        overview=dict.fromkeys(COUNTED, 0),
        **members,
    )
    ctx.tx.insert(deployment)
    ctx.tx.insert(Active(group_id=group.id, deployment=new_id))
    group.last_attempted = new_id
    ctx.tx.put(group)
    _use_revision(ctx, deployment)
    ctx.start_job("codedeploy.deployment", f"codedeploy/{ctx.scope.account}/{ctx.scope.region}/{new_id}", deployment_id=new_id)
    who = ctx.principal.arn if deployment.creator == "user" else deployment.creator
    trail(ctx, subjects(deployment), f"deployment {new_id} of {shown(revision)} to {group.application}/{group.name} was created by {who}")
    return deployment


def subjects(deployment: Deployment, *more: str) -> list[str]:
    return [deployment.id, deployment.application, f"{deployment.application}/{deployment.group}", *more]


def _use_revision(ctx: Context, deployment: Deployment) -> None:
    name = digest(deployment.revision)
    revision = ctx.tx.get(Revision, f"{deployment.application}/{name}") or Revision(
        application=deployment.application,
        digest=name,
        location=deployment.revision,
        registered=ctx.now,
        description=f"Application revision registered by Deployment ID: {deployment.id}",
    )
    revision.first_used = revision.first_used if revision.first_used is not None else ctx.now
    revision.last_used = ctx.now
    revision.groups = sorted({*revision.groups, deployment.group})
    ctx.tx.put(revision)


def begin(ctx: Context, deployment_id: str) -> bool:
    """Find the instances and start with the first of them. False when the deployment ended without a start."""
    deployment = ctx.tx.get(Deployment, deployment_id)
    if deployment is None or deployment.status in ENDED or deployment.started is not None:
        return deployment is not None and deployment.started is not None
    group = ctx.tx.get(Group, f"{deployment.application}/{deployment.group}")
    if group is None or group.id != deployment.group_id:
        return _refuse(ctx, deployment, "DEPLOYMENT_GROUP_MISSING", "The deployment group was deleted.")
    try:
        instances = _instances(ctx, group)
    except AwsError as error:
        if error.code in ("AccessDenied", "UnauthorizedOperation"):
            return _refuse(ctx, deployment, "IAM_ROLE_PERMISSIONS", ROLE_PERMISSIONS.format(role=group.role_arn))
        return _refuse(ctx, deployment, "INTERNAL_ERROR", f"The instances could not be looked up: {error.message}")
    if not instances:
        return _refuse(ctx, deployment, "NO_INSTANCES", NO_INSTANCES)
    if not can_begin(deployment.minimum, len(instances)):
        return _refuse(ctx, deployment, "HEALTH_CONSTRAINTS_INVALID", HEALTH_CONSTRAINTS_INVALID)
    _start(ctx, deployment, instances)
    return True


def _refuse(ctx: Context, deployment: Deployment, code: str, message: str) -> bool:
    _finish(ctx, deployment, [], "Failed", code, message)
    return False


def _start(ctx: Context, deployment: Deployment, instances: list[str]) -> None:
    deployment.fleet = len(instances)
    states = {name: ctx.tx.get(HostState, f"{deployment.group_id}/{name}") for name in instances}
    wanted = digest(deployment.revision)
    chosen = [name for name in instances if not deployment.only or name in deployment.only]
    if deployment.outdated_only:
        chosen = [name for name in chosen if not _is_current(states[name], wanted)]
    chosen.sort(key=lambda name: (_rank(states[name], wanted), name))
    targets = [
        progress.planned(deployment.id, name, ctx.arn("ec2", f"instance/{name}"), order, ctx.now) for order, name in enumerate(chosen)
    ]
    deployment.status = "InProgress"
    deployment.started = ctx.now
    announce.deployment_state(ctx, deployment, "START")
    if targets:
        advance(ctx, deployment, targets)
    else:
        _finish(ctx, deployment, [], "Succeeded", "", "")


def _is_current(state: HostState | None, wanted: str) -> bool:
    return state is not None and state.healthy and state.digest == wanted


def _rank(state: HostState | None, wanted: str) -> int:
    """The order of deploying: unhealthy, unknown revision, old revision, current one."""
    if state is None:
        return 1
    if not state.healthy:
        return 0
    return 3 if state.digest == wanted else 2


def _instances(ctx: Context, group: Group) -> list[str]:
    """The ids of the group's instances that are not terminated, looked up with the group's role."""
    acting = ctx.assuming(group.role_arn, "codedeploy", SERVICE)
    states = ["pending", "running", "stopping", "stopped"]
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        reply = acting.call("ec2", "DescribeInstances", filters=[{"Name": "instance-state-name", "Values": states}], **token)
        for reservation in reply["Reservations"]:
            for instance in reservation["Instances"]:
                tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags") or []}
                if selected(group.filters, group.tag_set, tags):
                    found.append(instance["InstanceId"])
        if not reply.get("NextToken"):
            return sorted(found)
        token = {"next_token": reply["NextToken"]}


# -- going on ---------------------------------------------------------------------------------------------------------


def targets_of(ctx: Context, deployment_id: str) -> list[Target]:
    """In the order of deploying."""
    return sorted(ctx.tx.scan(Target, prefix=f"{deployment_id}/"), key=lambda target: target.order)


def advance(ctx: Context, deployment: Deployment, targets: list[Target]) -> None:
    """Start, skip or end what the targets' statuses call for; writes deployment and targets."""
    if deployment.stopping:
        _wind_down(ctx, deployment, targets)
        return
    moves = next_moves(deployment.minimum, deployment.fleet, targets)
    for target in targets:
        if target.instance in moves.start:
            progress.offer(target, 0, ctx.now)
            announce.instance_state(ctx, deployment, target, "START")
        elif target.instance in moves.skip:
            progress.end(target, "Skipped", ctx.now)
        if target.current is not None and not target.acknowledged:
            ctx.notify(host_signal(target.host))
    if moves.outcome == "Failed":
        _finish(ctx, deployment, targets, "Failed", "HEALTH_CONSTRAINTS", HEALTH_CONSTRAINTS)
    elif moves.outcome == "Succeeded":
        _finish(ctx, deployment, targets, "Succeeded", "", "")
    else:
        _write(ctx, deployment, targets)


def _write(ctx: Context, deployment: Deployment, targets: list[Target]) -> None:
    deployment.overview = {status: sum(t.status == status for t in targets) for status in COUNTED}
    for target in targets:
        ctx.tx.put(target)
    ctx.tx.put(deployment)


def report(ctx: Context, deployment: Deployment, target: Target, result: Result, *, lost: bool = False) -> None:
    """The target's current event has ended; with it the target if its instance is lost."""
    ctx = ctx.caused_by(deployment.cause)
    targets = [target if t.instance == target.instance else t for t in targets_of(ctx, deployment.id)]
    _settle(ctx, deployment, target, result, lost=lost)
    advance(ctx, deployment, targets)


def lose(ctx: Context, instance: str, state: str) -> None:
    """An instance has gone away: what is being deployed to it has failed, for its agent will not report any more."""
    for active in ctx.tx.scan(Active):
        deployment, target = ctx.tx.get(Deployment, active.deployment), ctx.tx.get(Target, f"{active.deployment}/{instance}")
        if deployment is None or target is None or target.status not in ("Pending", "InProgress"):
            continue
        if target.current is None:
            progress.offer(target, 0, ctx.now)
        message = f"The instance was {state} before the lifecycle event ended."
        report(ctx, deployment, target, Result(False, "UnknownError", "", message), lost=True)


def _settle(ctx: Context, deployment: Deployment, target: Target, result: Result, *, lost: bool = False) -> None:
    event = target.events[target.current].name if target.current is not None else ""
    progress.record(target, result, ctx.now, ignore_stop_failures=deployment.ignore_stop_failures and not lost)
    if not result.succeeded:
        where = f" ({result.script})" if result.script else ""
        text = f"{event}{where} failed on {target.instance}: {result.message}" + progress.last_words(result.log_tail)
        trail(ctx, subjects(deployment, target.instance), text, level="error")
    if target.status in ("Succeeded", "Failed"):
        announce.instance_state(ctx, deployment, target, "SUCCESS" if target.status == "Succeeded" else "FAILURE")
        healthy = target.status == "Succeeded"
        state = HostState(group_id=deployment.group_id, instance=target.instance, digest=digest(deployment.revision), healthy=healthy)
        ctx.tx.put(state)
        if healthy:
            trail(ctx, subjects(deployment, target.instance), f"{shown(deployment.revision)} is deployed on {target.instance}")


def seconds_left(ctx: Context, deployment_id: str) -> float | None:
    """Fail what is overdue; then the seconds until the next deadline, None when the deployment has ended."""
    deployment = ctx.tx.get(Deployment, deployment_id)
    if deployment is None or deployment.status in ENDED:
        return None
    targets = targets_of(ctx, deployment_id)
    late = [t for t in targets if (due := progress.deadline(t)) is not None and due <= ctx.now]
    for target in late:
        _settle(ctx, deployment, target, progress.overdue(target))
    if late:
        advance(ctx, deployment, targets)
    if deployment.status in ENDED:
        return None
    due_times = [due for t in targets if (due := progress.deadline(t)) is not None]
    return max(0.05, min(due_times) - ctx.now) if due_times else progress.TO_START


def grant_time(ctx: Context, deployment_id: str) -> None:
    """After a start of the cloud: deadlines count from now, for no agent could report while it was down."""
    for target in targets_of(ctx, deployment_id):
        if target.current is not None:
            target.since = ctx.now
            ctx.tx.put(target)


# -- ending -----------------------------------------------------------------------------------------------------------


def stop(ctx: Context, deployment: Deployment, rollback: bool | None) -> bool:
    """Schedule nothing more. False while a script still runs: the deployment then stops when it has ended."""
    ctx = ctx.caused_by(deployment.cause)
    deployment.stopping = True
    deployment.stop_rollback = rollback
    trail(ctx, subjects(deployment), f"deployment {deployment.id} was asked to stop by {ctx.principal.arn}")
    advance(ctx, deployment, targets_of(ctx, deployment.id))
    return deployment.status in ENDED


def _wind_down(ctx: Context, deployment: Deployment, targets: list[Target]) -> None:
    """Withdraw every command that no agent has begun with; the deployment is stopped once none is being worked on."""
    for target in targets:
        if target.status == "Pending":
            progress.end(target, "Skipped", ctx.now)
        elif target.status == "InProgress" and not (target.current is not None and target.acknowledged):
            begun = any(event.status != "Pending" for event in target.events)
            progress.end(target, "Failed" if begun else "Skipped", ctx.now)
    if any(target.status == "InProgress" for target in targets):
        _write(ctx, deployment, targets)
    else:
        _finish(ctx, deployment, targets, "Stopped", "MANUAL_STOP", MANUAL_STOP)


def _finish(ctx: Context, deployment: Deployment, targets: list[Target], status: str, code: str, message: str) -> None:
    deployment.status = status
    deployment.completed = ctx.now
    deployment.error_code, deployment.error_message = code, message
    _write(ctx, deployment, targets)
    ctx.tx.delete(Active, deployment.group_id)
    group = ctx.tx.get(Group, f"{deployment.application}/{deployment.group}")
    if group is not None and group.id != deployment.group_id:
        group = None
    if group is not None and status == "Succeeded":
        group.last_successful = deployment.id
        group.target_revision = deployment.revision
        ctx.tx.put(group)
    announce.deployment_state(ctx, deployment, {"Succeeded": "SUCCESS", "Failed": "FAILURE", "Stopped": "STOP"}[status])
    said = f"deployment {deployment.id} ended: {status}" + (f" ({code}: {message})" if code else "")
    trail(ctx, subjects(deployment), said, level="info" if status == "Succeeded" else "error")
    if deployment.started is not None:
        ctx.signal(over_signal(deployment.id), status)
    if group is not None and status != "Succeeded":
        _roll_back(ctx, deployment, group, targets)


def fail_internally(ctx: Context, deployment_id: str, message: str) -> None:
    """The deployment's run has failed: say so rather than leave it in progress for ever."""
    deployment = ctx.tx.get(Deployment, deployment_id)
    if deployment is None or deployment.status in ENDED:
        return
    targets = targets_of(ctx, deployment_id)
    for target in targets:
        if target.status in ("Pending", "InProgress"):
            progress.end(target, "Skipped" if target.status == "Pending" else "Failed", ctx.now)
    _finish(ctx, deployment, targets, "Failed", "INTERNAL_ERROR", message)


def _wants_rollback(deployment: Deployment) -> bool:
    if deployment.rollback_of:
        return False
    if deployment.status == "Stopped" and deployment.stop_rollback is not None:
        return deployment.stop_rollback
    settings = deployment.auto_rollback or {}
    event = "DEPLOYMENT_FAILURE" if deployment.status == "Failed" else "DEPLOYMENT_STOP_ON_REQUEST"
    return bool(settings.get("enabled")) and event in (settings.get("events") or [])


def _roll_back(ctx: Context, deployment: Deployment, group: Group, targets: list[Target]) -> None:
    """Deploy the last good revision to the instances that this deployment had touched, as a deployment of its own."""
    if not _wants_rollback(deployment):
        return
    touched = [t.instance for t in targets if t.status in ("Succeeded", "Failed")]
    good = group.target_revision
    if good is None or not touched:
        why = "no instance was changed" if good is not None else "the deployment group has no previous successful deployment"
        deployment.rollback_message = f"No rollback was performed because {why}."
        ctx.tx.put(deployment)
        trail(ctx, subjects(deployment), f"deployment {deployment.id}: {deployment.rollback_message}")
        return
    config = Config(name=deployment.config_name, id="", minimum=deployment.minimum)
    rollback = create(
        ctx,
        group,
        config,
        good,
        creator="codeDeployRollback",
        only=touched,
        rollback_of=deployment.id,
        file_exists=deployment.file_exists,
        ignore_stop_failures=deployment.ignore_stop_failures,
        rollback_message=f"Deployment {deployment.id} is rolled back to the last successful deployment {group.last_successful}.",
    )
    deployment.rollback_id = rollback.id
    deployment.rollback_message = f"Deployment {deployment.id} was rolled back by deployment {rollback.id}."
    ctx.tx.put(deployment)
    trail(ctx, subjects(deployment, rollback.id), f"deployment {deployment.id} is rolled back by {rollback.id} to {shown(good)}")
