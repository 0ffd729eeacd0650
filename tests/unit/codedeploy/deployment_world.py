"""A cloud with a fleet that exists in name only: instances as tags, agents as calls of the command service.

`World.drive()` lets every agent do what it is offered until nothing is; `failing` says which events fail where.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.app import load_services
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import LISTENERS, OPERATIONS
from windtunnel.services.codedeploy import conduct
from windtunnel.services.codedeploy.model.records import ENDED

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Deployer"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
MAY_LOOK = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]})
WEB = [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}]
Fails = Callable[[str, str], bool]


def revision(key: str = "app.zip") -> dict[str, Any]:
    return {"revisionType": "S3", "s3Location": {"bucket": "artifacts", "key": key, "bundleType": "zip"}}


def host_arn(instance: str) -> str:
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance}"


def agent_of(instance: str) -> Principal:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/Web/{instance}"
    return Principal("assumed-role", ACCOUNT, arn, f"arn:aws:iam::{ACCOUNT}:role/Web", f"AROA:{instance}", instance)


class World:
    """Use within `with World(path) as world:`; `restart()` is a crash of the cloud and its next start."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.clock = FixedClock()
        self.fleet: dict[str, dict[str, str]] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.failing: set[tuple[str, str]] = set()
        self.seen: list[tuple[str, str]] = []

    def __enter__(self) -> World:
        load_services()
        self._kept = OPERATIONS["ec2", "DescribeInstances"]
        OPERATIONS["ec2", "DescribeInstances"] = msgspec.structs.replace(self._kept, handler=self.describe)
        self._listener = ("aws.codedeploy", "*", lambda ctx, event: self.events.append((event.detail_type, event.detail)))
        LISTENERS.append(self._listener)
        self.cloud = InProcessCloud(self._data, clock=self.clock).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cloud.__exit__()
        LISTENERS.remove(self._listener)
        OPERATIONS["ec2", "DescribeInstances"] = self._kept

    def restart(self) -> None:
        self.cloud.__exit__()
        self.cloud = InProcessCloud(self._data, clock=self.clock).__enter__()

    def seconds_left(self, deployment: str) -> float | None:
        """What the deployment's run does when it wakes: fail what is overdue, and see how long there still is."""
        return self.cloud.write(lambda ctx: conduct.seconds_left(ctx, deployment), Principal.service("windtunnel", ACCOUNT))

    def describe(self, ctx: Context, **_: Any) -> Reply:
        instances = [{"InstanceId": name, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]} for name, tags in self.fleet.items()]
        return {"Reservations": [{"Instances": instances}]}

    # -- what a person does ---------------------------------------------------------------------------------------------

    def api(self, operation: str, **args: Any) -> Any:
        return self.cloud.api("codedeploy", operation, **args)

    def set_up(self, instances: int = 2, **group: Any) -> None:
        """A role, an application `shop`, and a group `web` of so many instances."""
        self.fleet = {f"i-{n:017x}": {"role": "web"} for n in range(1, instances + 1)}
        self.cloud.api("iam", "CreateRole", role_name="Deployer", assume_role_policy_document=TRUST)
        self.cloud.api("iam", "PutRolePolicy", role_name="Deployer", policy_name="look", policy_document=MAY_LOOK)
        self.api("CreateApplication", application_name="shop")
        settings = {"service_role_arn": ROLE, "ec2_tag_filters": WEB, **group}
        self.api("CreateDeploymentGroup", application_name="shop", deployment_group_name="web", **settings)

    def deploy(self, key: str = "app.zip", **more: Any) -> str:
        found = self.api("CreateDeployment", application_name="shop", deployment_group_name="web", revision=revision(key), **more)
        return str(found["deploymentId"])

    def info(self, deployment: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GetDeployment", deployment_id=deployment)["deploymentInfo"]
        return found

    def begun(self, deployment: str) -> str:
        until(lambda: self.info(deployment)["status"] != "Created", what=f"the start of {deployment}")
        return deployment

    def events_of(self, deployment: str, instance: str) -> dict[str, str]:
        target = self.api("GetDeploymentTarget", deployment_id=deployment, target_id=instance)["deploymentTarget"]["instanceTarget"]
        return {event["lifecycleEventName"]: event["status"] for event in target["lifecycleEvents"]}

    # -- what the agents do ---------------------------------------------------------------------------------------------

    def as_agent(self, instance: str, operation: str, **args: Any) -> Any:
        return self.cloud.api("codedeploy-commands", operation, principal=agent_of(instance), **args)

    def poll(self, instance: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.as_agent(instance, "PollHostCommand", host_identifier=host_arn(instance)).get("HostCommand")
        return found

    def acknowledge(self, instance: str, command: dict[str, Any], noop: bool = False) -> str:
        diagnostics = {"Format": "JSON", "Payload": json.dumps({"IsCommandNoop": noop})}
        identifier = command["HostCommandIdentifier"]
        reply = self.as_agent(instance, "PutHostCommandAcknowledgement", host_command_identifier=identifier, diagnostics=diagnostics)
        return str(reply["CommandStatus"])

    def complete(self, instance: str, command: dict[str, Any], error: dict[str, Any] | None = None) -> None:
        payload = error or {"error_code": 0, "script_name": "", "message": "Succeeded", "log": ""}
        self.as_agent(
            instance,
            "PutHostCommandComplete",
            host_command_identifier=command["HostCommandIdentifier"],
            command_status="Failed" if error else "Succeeded",
            diagnostics={"Format": "JSON", "Payload": json.dumps(payload)},
        )

    def work(self, instance: str) -> bool:
        """One command of one agent; False when it is offered none."""
        command = self.poll(instance)
        if command is None:
            return False
        name = command["CommandName"]
        self.seen.append((instance, name))
        noop = name in ("ApplicationStop", "AfterInstall")
        if self.acknowledge(instance, command, noop) == "InProgress":
            script = {
                "error_code": 4,
                "script_name": f"scripts/{name}.sh",
                "message": "failed with exit code 3",
                "log": "[stderr]no luck\n",
            }
            self.complete(instance, command, script if (instance, name) in self.failing else None)
        return True

    def drive(self, deployment: str) -> dict[str, Any]:
        """Let the agents work until the deployment has ended; its info."""

        def ended() -> dict[str, Any] | None:
            while any(self.work(instance) for instance in self.fleet):
                continue
            info = self.info(deployment)
            return info if info["status"] in ENDED else None

        found = until(ended, what=f"the end of {deployment}")
        assert found is not None
        return found
