"""The deployment's durable run: it begins the deployment and watches its deadlines; the agents' reports do the rest.

Invariant: however the cloud dies, a deployment that was accepted begins; an agent that stays silent fails its instance, and so does
an instance that goes away.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import at_start, listens
from windtunnel.services.codedeploy import conduct
from windtunnel.services.codedeploy.model.records import Active


def gave_up(ctx: Context, message: str, deployment_id: str) -> None:
    conduct.fail_internally(ctx, deployment_id, message)


@job("codedeploy.deployment", failed=gave_up)
def run_deployment(run: Run, deployment_id: str) -> None:
    if not run.tx("begin", conduct.begin, deployment_id):
        return
    left = run.tx("deadline", conduct.seconds_left, deployment_id)
    if run.wait_for(conduct.over_signal(deployment_id), key="over", timeout=left) is None:
        run.continue_as_new(deployment_id=deployment_id)


@listens("aws.ec2", "EC2 Instance State-change Notification")
def instance_changed(ctx: Context, event: Event) -> None:
    if event.detail["state"] in ("stopped", "terminated"):
        conduct.lose(ctx, event.detail["instance-id"], event.detail["state"])


@at_start
def give_agents_time(cloud: Any) -> None:
    """Agents could not report while the cloud was down: their commands' deadlines begin anew."""
    with cloud.store.thread_snapshot("", "") as tx:
        running = tx.everywhere(Active)
    for account, region, active in running:
        cloud.writer.submit_threadsafe(partial(_grant, cloud, account, region, active.deployment))


def _grant(cloud: Any, account: str, region: str, deployment_id: str, tx: Tx) -> None:
    conduct.grant_time(cloud.context(tx, account, region), deployment_id)
