"""Events on a bus, through a rule, into a queue: each that was acknowledged arrives once."""

from __future__ import annotations

import json
from typing import ClassVar

from arriving import Arriving


class Load(Arriving):
    NEEDS: ClassVar = {("events", "PutEvents"), ("events", "PutTargets"), ("sqs", "ReceiveMessage")}

    def set_up(self) -> None:
        arn = self.queue("mixed-events", "events.amazonaws.com")
        self.events = self.client("events")
        self.events.put_rule(Name="mixed", EventPattern=json.dumps({"source": ["mixed"], "detail": {"n": [{"exists": True}]}}))
        self.events.put_targets(Rule="mixed", Targets=[{"Id": "q", "Arn": arn, "InputPath": "$.detail"}])

    def name_of(self, body: str) -> str:
        return str(json.loads(body)["n"])

    def step(self, n: int) -> None:
        entry = {"Source": "mixed", "DetailType": "step", "Detail": json.dumps({"n": f"e{n}"})}
        self.send(f"e{n}", self.events.put_events, Entries=[entry])
