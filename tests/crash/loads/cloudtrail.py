"""What was done is told: every call that changed something and was acknowledged is found by LookupEvents, once."""

from __future__ import annotations

import json
from collections import Counter
from typing import ClassVar

import loads
from loads import ask, policy


class Load(loads.Load):
    NEEDS: ClassVar = {("cloudtrail", "LookupEvents"), ("ssm", "PutParameter")}
    KEYS: ClassVar = 5

    def set_up(self) -> None:
        iam = self.client("iam")
        iam.create_user(UserName="trailed")
        iam.put_user_policy(UserName="trailed", PolicyName="p", PolicyDocument=policy(Action="ssm:*", Resource="*"))
        key = iam.create_access_key(UserName="trailed")["AccessKey"]
        self.ssm = self.client("ssm", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        self.trail = self.client("cloudtrail")
        self.acknowledged: set[str] = set()

    def step(self, n: int) -> None:
        answer = ask(self.ssm.put_parameter, Name=f"/trailed/{n % self.KEYS}", Value=str(n), Type="String", Overwrite=True)
        self.acknowledged.add(answer["ResponseMetadata"]["RequestId"])

    def finish(self) -> None:
        told: Counter[str] = Counter()
        pages = self.trail.get_paginator("lookup_events").paginate(
            LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": "trailed"}]
        )
        for page in pages:
            told.update(json.loads(event["CloudTrailEvent"])["requestID"] for event in page["Events"])
        assert self.acknowledged <= told.keys(), f"{len(self.acknowledged - told.keys())} of {len(self.acknowledged)} calls are not told"
        assert max(told.values()) == 1
