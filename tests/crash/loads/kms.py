"""Keys and what was encrypted under them: every ciphertext that was given out opens after each kill, aliases point where they were put."""

from __future__ import annotations

from typing import ClassVar

import loads
from loads import ABSENT, Register, ask


class Load(loads.Load):
    NEEDS: ClassVar = {("kms", "Encrypt"), ("kms", "Decrypt"), ("kms", "CreateKey"), ("kms", "UpdateAlias")}
    LOOKS: ClassVar = 4

    def set_up(self) -> None:
        self.kms = self.client("kms")
        self.keys = [self.kms.create_key()["KeyMetadata"]["KeyId"]]
        self.kms.create_alias(AliasName="alias/mixed", TargetKeyId=self.keys[0])
        self.alias = Register()
        self.alias.change("alias/mixed", self.keys[0], lambda: None)
        self.sealed: list[tuple[bytes, bytes]] = []

    def step(self, n: int) -> None:
        if n % 40 == 39:
            self.keys.append(ask(self.kms.create_key)["KeyMetadata"]["KeyId"])
        elif n % 10 == 9:
            key = self.draw.choice(self.keys)
            self.alias.change("alias/mixed", key, self.kms.update_alias, AliasName="alias/mixed", TargetKeyId=key)
        else:
            plain = b"secret %d" % n
            context = {"n": str(n)}
            blob = ask(self.kms.encrypt, KeyId=self.draw.choice(self.keys), Plaintext=plain, EncryptionContext=context)["CiphertextBlob"]
            self.sealed = [*self.sealed[-400:], (plain, blob)]

    def verify(self) -> None:
        self.open(self.some(self.sealed))
        listed = ask(self.kms.list_aliases)["Aliases"]
        target = next((alias.get("TargetKeyId") for alias in listed if alias["AliasName"] == "alias/mixed"), ABSENT)
        self.alias.seen("alias/mixed", target)

    def open(self, sealed: list[tuple[bytes, bytes]]) -> None:
        for plain, blob in sealed:
            context = {"n": plain.decode().split()[1]}
            assert ask(self.kms.decrypt, CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == plain

    def finish(self) -> None:
        self.verify()
        self.open(self.sealed)
        for key in self.keys:
            assert ask(self.kms.describe_key, KeyId=key)["KeyMetadata"]["Enabled"]
