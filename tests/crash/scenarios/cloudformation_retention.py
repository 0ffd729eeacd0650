"""The run that forgets stacks which were deleted long ago: it looks each hour, whenever the cloud dies, and what was deleted now stays."""

from __future__ import annotations

from doomed import patiently, until

from scenarios.cloudformation import Clients, queue

JOBS = ("cloudformation.retention",)
PACE = 3_600.0
"""An hour's pause passes within a second."""


class Scenario(Clients):
    def go(self, nonce: str) -> None:
        name = f"gone-{nonce}"
        assert self.create(name, {"Resources": {"A": queue(name)}}) == "CREATE_COMPLETE"
        arn = patiently(lambda: self.stacks.describe_stacks(StackName=name))["Stacks"][0]["StackId"]
        self.delete(name)
        until(lambda: not self.cloud.armed, 30, "the boundary is passed")
        shown = patiently(lambda: self.stacks.describe_stacks(StackName=arn))["Stacks"][0]
        assert shown["StackStatus"] == "DELETE_COMPLETE"
        assert self.everything(name) == []
