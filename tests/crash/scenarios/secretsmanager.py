"""Secrets Manager's jobs: a secret goes when its recovery window has passed, and its name is free again."""

from __future__ import annotations

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("secretsmanager.delete",)
PACE = 4_000_000.0
"""A week passes in a sixth of a second."""
GONE = {"ResourceNotFoundException", "InvalidRequestException"}


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.secrets = cloud.client("secretsmanager")

    def set_up(self) -> None:
        return None

    def go(self, nonce: str) -> None:
        patiently(lambda: self.create(nonce))
        patiently(lambda: self.delete(nonce))
        until(lambda: nonce not in self.names(), 30, "the secret is gone")
        patiently(lambda: self.create(nonce))
        assert patiently(lambda: self.secrets.get_secret_value(SecretId=nonce))["SecretString"] == nonce

    def create(self, name: str) -> None:
        try:
            self.secrets.create_secret(Name=name, SecretString=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceExistsException":
                raise

    def delete(self, name: str) -> None:
        try:
            self.secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE:
                raise

    def names(self) -> list[str]:
        pages = self.secrets.get_paginator("list_secrets").paginate(IncludePlannedDeletion=True)
        return [secret["Name"] for page in pages for secret in page["SecretList"]]
