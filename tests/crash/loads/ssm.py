"""Parameters: overwritten, deleted, written again. A value is one that was asked for, and the last that was acknowledged."""

from __future__ import annotations

from typing import ClassVar

from botocore.exceptions import ClientError

import loads
from loads import ABSENT, Register, ask, code


class Load(loads.Load):
    NEEDS: ClassVar = {("ssm", "PutParameter"), ("ssm", "DeleteParameter"), ("ssm", "GetParameters")}

    def set_up(self) -> None:
        self.ssm = self.client("ssm")
        self.values = Register()

    def step(self, n: int) -> None:
        name = f"/mixed/{self.draw.randrange(self.KEYS)}"
        if n % 5 == 4:
            try:
                self.values.change(name, ABSENT, self.ssm.delete_parameter, Name=name)
            except ClientError as error:
                assert code(error) == "ParameterNotFound"
                self.values.seen(name, ABSENT)
        else:
            value = f"{n}:{'v' * self.draw.randrange(2000)}"
            kind = "SecureString" if n % 2 else "String"
            self.values.change(name, value, self.ssm.put_parameter, Name=name, Value=value, Type=kind, Overwrite=True)

    def verify(self) -> None:
        names = sorted(str(key) for key in self.values)
        for start in range(0, len(names), 10):
            asked = names[start : start + 10]
            there = {p["Name"]: p["Value"] for p in ask(self.ssm.get_parameters, Names=asked, WithDecryption=True)["Parameters"]}
            for name in asked:
                self.values.seen(name, there.get(name, ABSENT))
