"""Cloud Control's requests: a resource is made, changed and removed once, and each request ends, whenever the cloud dies.

The schedule group's deletion is a job of the Scheduler's: the request waits for it.
"""

from __future__ import annotations

import json
from typing import Any

from doomed import DoomedCloud, patiently, until

JOBS = ("cloudcontrol.request",)
GROUP, SCHEDULES = "AWS::Logs::LogGroup", "AWS::Scheduler::ScheduleGroup"


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.control = cloud.client("cloudcontrol")
        self.logs, self.scheduler = cloud.client("logs"), cloud.client("scheduler")

    def set_up(self) -> None:
        pass

    def go(self, nonce: str) -> None:
        self.done(
            lambda token: self.control.create_resource(TypeName=GROUP, DesiredState=json.dumps({"LogGroupName": nonce}), ClientToken=token),
            f"a-{nonce}",
        )
        self.done(
            lambda token: self.control.create_resource(TypeName=SCHEDULES, DesiredState=json.dumps({"Name": nonce}), ClientToken=token),
            f"b-{nonce}",
        )
        patch = json.dumps([{"op": "add", "path": "/RetentionInDays", "value": 7}])
        self.done(
            lambda token: self.control.update_resource(TypeName=GROUP, Identifier=nonce, PatchDocument=patch, ClientToken=token),
            f"c-{nonce}",
        )
        assert [group["retentionInDays"] for group in self.groups(nonce)] == [7]
        for number, kind in enumerate((GROUP, SCHEDULES)):
            self.done(
                lambda token, kind=kind: self.control.delete_resource(TypeName=kind, Identifier=nonce, ClientToken=token),
                f"d{number}-{nonce}",
            )
        assert self.groups(nonce) == []
        left = patiently(lambda: self.scheduler.list_schedule_groups(NamePrefix=nonce))["ScheduleGroups"]
        assert left == []
        asked = patiently(lambda: self.control.list_resource_requests(MaxResults=5))["ResourceRequestStatusSummaries"]
        assert [one["OperationStatus"] for one in asked] == ["SUCCESS"] * 5, asked
        assert [one["Operation"] for one in asked] == ["DELETE", "DELETE", "UPDATE", "CREATE", "CREATE"], "each was asked for once"

    def done(self, ask: Any, token: str) -> None:
        """The same token again, when the answer was lost, is the same request."""
        event = patiently(lambda: ask(token))["ProgressEvent"]

        def over() -> bool:
            event.update(self.control.get_resource_request_status(RequestToken=event["RequestToken"])["ProgressEvent"])
            return event["OperationStatus"] not in ("PENDING", "IN_PROGRESS")

        until(over, 30, f"request {token}")
        assert event["OperationStatus"] == "SUCCESS", event

    def groups(self, nonce: str) -> list[Any]:
        found: list[Any] = patiently(lambda: self.logs.describe_log_groups(logGroupNamePrefix=nonce))["logGroups"]
        return found
