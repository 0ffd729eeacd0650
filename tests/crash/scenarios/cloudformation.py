"""Stacks that arrive: created, updated with a replacement, a new and a removed resource, deleted. Each service is asked what there is: nothing twice, nothing forgotten."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("cloudformation.operation",)
GROUP, QUEUE, BUS = "AWS::Logs::LogGroup", "AWS::SQS::Queue", "AWS::Events::EventBus"


class Clients:
    """What the scenarios of stacks share: calls that may be made again, and lists of everything."""

    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.stacks = cloud.client("cloudformation")
        self.logs, self.sqs, self.events = cloud.client("logs"), cloud.client("sqs"), cloud.client("events")

    def set_up(self) -> None:
        """Nothing is needed."""

    def create(self, name: str, body: dict[str, Any]) -> str:
        try:
            patiently(lambda: self.stacks.create_stack(StackName=name, TemplateBody=json.dumps(body), ClientRequestToken=name))
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AlreadyExistsException", error
        return self.arrived(name)

    def update(self, name: str, body: dict[str, Any], token: str) -> str:
        try:
            patiently(lambda: self.stacks.update_stack(StackName=name, TemplateBody=json.dumps(body), ClientRequestToken=token))
        except ClientError as error:
            # The call before the kill was heard: the stack is at it, or has arrived.
            assert error.response["Error"]["Code"] in ("ValidationError", "TokenAlreadyExistsException"), error
        return self.arrived(name)

    def delete(self, name: str) -> None:
        patiently(lambda: self.stacks.delete_stack(StackName=name))
        until(lambda: not self.there(name), 60, f"stack {name} being gone")

    def there(self, name: str) -> bool:
        found = patiently(lambda: self.stacks.list_stacks())["StackSummaries"]
        return any(stack["StackName"] == name and stack["StackStatus"] != "DELETE_COMPLETE" for stack in found)

    def arrived(self, name: str) -> str:
        def status() -> str:
            found: str = patiently(lambda: self.stacks.describe_stacks(StackName=name))["Stacks"][0]["StackStatus"]
            return "" if found.endswith("_IN_PROGRESS") else found

        return until(status, 60, f"stack {name} to arrive")

    def everything(self, nonce: str) -> list[str]:
        """The names of all that carry the nonce."""
        groups = patiently(lambda: self.logs.describe_log_groups(logGroupNamePrefix=nonce))["logGroups"]
        queues = patiently(lambda: self.sqs.list_queues(QueueNamePrefix=nonce)).get("QueueUrls", [])
        buses = patiently(lambda: self.events.list_event_buses(NamePrefix=nonce))["EventBuses"]
        return sorted(
            [group["logGroupName"] for group in groups] + [url.rsplit("/", 1)[1] for url in queues] + [bus["Name"] for bus in buses]
        )


def group(name: str, days: int = 1, *needs: str) -> dict[str, Any]:
    return {"Type": GROUP, "Properties": {"LogGroupName": name, "RetentionInDays": days}, "DependsOn": list(needs)}


def queue(name: str, *needs: str) -> dict[str, Any]:
    return {"Type": QUEUE, "Properties": {"QueueName": name}, "DependsOn": list(needs)}


def bus(name: str) -> dict[str, Any]:
    return {"Type": BUS, "Properties": {"Name": name}}


class Scenario(Clients):
    def go(self, nonce: str) -> None:
        nonce = f"stack-{nonce}"
        first = {"Resources": {"A": group(f"{nonce}-a"), "B": queue(f"{nonce}-b", "A"), "C": bus(f"{nonce}-c")}}
        assert self.create(nonce, first) == "CREATE_COMPLETE"
        assert self.everything(nonce) == [f"{nonce}-a", f"{nonce}-b", f"{nonce}-c"]
        second = {"Resources": {"A": group(f"{nonce}-a", 3), "B": queue(f"{nonce}-b2", "A"), "D": queue(f"{nonce}-d", "B")}}
        assert self.update(nonce, second, f"{nonce}-update") == "UPDATE_COMPLETE"
        assert self.everything(nonce) == [f"{nonce}-a", f"{nonce}-b2", f"{nonce}-d"]
        self.delete(nonce)
        assert self.everything(nonce) == []
