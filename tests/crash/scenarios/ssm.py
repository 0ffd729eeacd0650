"""Parameter Store's jobs: a parameter expires at its date, and is told of before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from doomed import DoomedCloud, patiently, until

JOBS = ("ssm.policy",)
PACE = 40_000.0
"""A day passes in two seconds; dates are not paced."""
SECONDS = 3


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.ssm = cloud.client("ssm")

    def set_up(self) -> None:
        return None

    def go(self, nonce: str) -> None:
        patiently(lambda: self.put(f"/expires/{nonce}", policy("Expiration", Timestamp=soon())))
        patiently(lambda: self.put(f"/stays/{nonce}", policy("NoChangeNotification", After="1", Unit="Days")))
        until(lambda: self.parameters(f"/expires/{nonce}") == [], 30, "the parameter has expired")
        until(lambda: self.parameters(f"/stays/{nonce}")[0]["Policies"][0]["PolicyStatus"] == "Finished", 30, "the notification")
        assert patiently(lambda: self.ssm.get_parameter(Name=f"/stays/{nonce}"))["Parameter"]["Value"] == "v"

    def put(self, name: str, text: str) -> None:
        self.ssm.put_parameter(Name=name, Value="v", Type="String", Tier="Advanced", Policies=text, Overwrite=True)

    def parameters(self, name: str) -> list[dict[str, Any]]:
        asked = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        return list(patiently(lambda: self.ssm.describe_parameters(ParameterFilters=asked))["Parameters"])


def soon() -> str:
    return (datetime.now(UTC) + timedelta(seconds=SECONDS)).isoformat()


def policy(kind: str, **attributes: str) -> str:
    return json.dumps([{"Type": kind, "Version": "1.0", "Attributes": attributes}])
