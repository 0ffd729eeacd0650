"""Secrets: each version that was acknowledged is the current one, whole, under its KMS key; deleted ones are gone."""

from __future__ import annotations

from typing import ClassVar

from botocore.exceptions import ClientError

import loads
from loads import ABSENT, Register, ask, code


class Load(loads.Load):
    NEEDS: ClassVar = {("secretsmanager", "CreateSecret"), ("secretsmanager", "PutSecretValue"), ("secretsmanager", "GetSecretValue")}
    KEYS: ClassVar = 8
    LOOKS: ClassVar = 4

    def set_up(self) -> None:
        self.secrets = self.client("secretsmanager")
        self.values = Register()

    def step(self, n: int) -> None:
        name = f"mixed{self.draw.randrange(self.KEYS)}"
        possible, value = self.values.possible(name), f"{n}:{'s' * 500}"
        if len(possible) > 1:
            self.look(name)
        elif possible == {ABSENT}:
            self.values.change(name, value, self.secrets.create_secret, Name=name, SecretString=value)
        elif n % 7 == 6:
            self.values.change(name, ABSENT, self.secrets.delete_secret, SecretId=name, ForceDeleteWithoutRecovery=True)
        else:
            self.values.change(name, value, self.secrets.put_secret_value, SecretId=name, SecretString=value)

    def look(self, name: str) -> None:
        try:
            self.values.seen(name, ask(self.secrets.get_secret_value, SecretId=name)["SecretString"])
        except ClientError as error:
            assert code(error) == "ResourceNotFoundException"
            self.values.seen(name, ABSENT)

    def verify(self) -> None:
        for name in self.some(list(self.values)):
            self.look(str(name))
        for secret in ask(self.secrets.list_secrets)["SecretList"]:
            labels = [label for on in secret["SecretVersionsToStages"].values() for label in on]
            assert labels.count("AWSCURRENT") == 1 and len(labels) == len(set(labels)), secret

    def finish(self) -> None:
        for name in self.values:
            self.look(str(name))
