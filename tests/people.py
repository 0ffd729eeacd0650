"""People in a cloud who may do just what a policy says, as boto3 clients."""

from __future__ import annotations

import json
from typing import Any

from clients import Door
from harness import InProcessCloud


class People:
    """people(name, statement, …) is a user's client; a second call changes what the user may do. service: kms unless said otherwise."""

    def __init__(self, cloud: InProcessCloud, door: Door, service: str) -> None:
        self._cloud, self._door, self._service = cloud, door, service
        self._keys: dict[str, tuple[str, str, str]] = {}

    def __call__(self, name: str, *statements: dict[str, Any], service: str | None = None) -> Any:
        if name not in self._keys:
            self._cloud.api("iam", "CreateUser", user_name=name)
            made = self._cloud.api("iam", "CreateAccessKey", user_name=name)["AccessKey"]
            self._keys[name] = (made["AccessKeyId"], made["SecretAccessKey"], "")
        if statements:
            document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **item} for item in statements]}
            self._cloud.api("iam", "PutUserPolicy", user_name=name, policy_name="may", policy_document=json.dumps(document))
        return self._door.client(service or self._service, self._keys[name])


def user_keys(iam: Any, name: str, *statements: dict[str, Any]) -> tuple[str, str, str]:
    """A new user's keys, made by a boto3 client; the user may do what the statements say."""
    iam.create_user(UserName=name)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"], ""
