"""Users with a policy, and sessions of a role: credentials that were given out act after each kill, users that were deleted are gone."""

from __future__ import annotations

from typing import Any, ClassVar

from botocore.exceptions import ClientError

import loads
from loads import ABSENT, Register, ask, code, policy


class Load(loads.Load):
    NEEDS: ClassVar = {("iam", "CreateUser"), ("iam", "PutUserPolicy"), ("iam", "DeleteUser"), ("sts", "AssumeRole")}
    KEYS: ClassVar = 8
    LOOKS: ClassVar = 2

    def set_up(self) -> None:
        self.iam = self.client("iam")
        self.iam.create_user(UserName="assumer")
        self.iam.put_user_policy(UserName="assumer", PolicyName="p", PolicyDocument=policy(Action="sts:AssumeRole", Resource="*"))
        key = self.iam.create_access_key(UserName="assumer")["AccessKey"]
        self.sts = self.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        trust = policy(Principal={"AWS": loads.ACCOUNT}, Action="sts:AssumeRole")
        self.role = self.iam.create_role(RoleName="mixed", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self.users, self.policies = Register(), Register()
        self.sessions: list[tuple[str, Any]] = []

    def step(self, n: int) -> None:
        name = f"mixed{self.draw.randrange(self.KEYS)}"
        if n % 6 == 5:
            self.assume(n)
            return
        users, policies = self.users.possible(name), self.policies.possible(name)
        if len(users) + len(policies) > 2:
            self.look(name)
        elif users == {ABSENT}:
            self.users.change(name, True, self.iam.create_user, UserName=name)
        elif policies == {ABSENT} and n % 2:
            self.users.change(name, ABSENT, self.iam.delete_user, UserName=name)
        elif n % 3:
            document = policy(Action=f"s3:Get{n}", Resource="*")
            self.policies.change(name, f"s3:Get{n}", self.iam.put_user_policy, UserName=name, PolicyName="p", PolicyDocument=document)
        elif policies != {ABSENT}:
            self.policies.change(name, ABSENT, self.iam.delete_user_policy, UserName=name, PolicyName="p")

    def assume(self, n: int) -> None:
        session = f"s{n}"
        given = ask(self.sts.assume_role, RoleArn=self.role, RoleSessionName=session)["Credentials"]
        acting = self.client("sts", key=given["AccessKeyId"], secret=given["SecretAccessKey"], token=given["SessionToken"])
        self.sessions = [*self.sessions[-5:], (session, acting)]

    def look(self, name: str) -> None:
        try:
            shown = ask(self.iam.get_user_policy, UserName=name, PolicyName="p")["PolicyDocument"]["Statement"][0]["Action"]
            self.policies.seen(name, shown)
        except ClientError as error:
            assert code(error) == "NoSuchEntity"
            self.policies.seen(name, ABSENT)
        try:
            ask(self.iam.get_user, UserName=name)
            self.users.seen(name, True)
        except ClientError as error:
            assert code(error) == "NoSuchEntity"
            self.users.seen(name, ABSENT)

    def verify(self) -> None:
        for name in self.some(list(self.users)):
            self.look(str(name))
        for session, acting in self.sessions[-2:]:
            assert ask(acting.get_caller_identity)["Arn"].endswith(f":assumed-role/mixed/{session}")

    def finish(self) -> None:
        for name in self.users:
            self.look(str(name))
