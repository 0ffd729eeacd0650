"""Schedules that are due in a second or two, also while the cloud is dead: each that was acknowledged invokes its target once."""

from __future__ import annotations

import time
from typing import ClassVar

from arriving import Arriving

from loads import policy

AHEAD = 2.0


class Load(Arriving):
    NEEDS: ClassVar = {("scheduler", "CreateSchedule"), ("sqs", "ReceiveMessage")}

    def set_up(self) -> None:
        self.target = self.queue("mixed-schedules", "scheduler.amazonaws.com")
        iam = self.client("iam")
        trust = policy(Principal={"Service": "scheduler.amazonaws.com"}, Action="sts:AssumeRole")
        self.role = iam.create_role(RoleName="mixed-scheduler", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName="mixed-scheduler", PolicyName="p", PolicyDocument=policy(Action="sqs:SendMessage", Resource="*"))
        self.scheduler = self.client("scheduler")

    def step(self, n: int) -> None:
        due = time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(time.time() + AHEAD))
        self.send(
            f"s{n}",
            self.scheduler.create_schedule,
            Name=f"mixed{n}",
            ScheduleExpression=due,
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={"Arn": self.target, "RoleArn": self.role, "Input": f"s{n}"},
        )
