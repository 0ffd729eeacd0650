"""A cloud for KMS's tests, and people in it who may do just what a policy says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import Door
from harness import InProcessCloud
from windtunnel.kernel.clock import FixedClock


@pytest.fixture()
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path / "data") as started:
        yield started


@pytest.fixture()
def door(cloud: InProcessCloud) -> Door:
    return Door(cloud)


@pytest.fixture()
def kms(door: Door) -> Any:
    """The root user's client."""
    return door.client("kms")


@pytest.fixture()
def person(cloud: InProcessCloud, door: Door) -> Callable[..., Any]:
    """person(name, statement, …) is a user's client of KMS (or `service=`); a second call changes what the user may do."""
    keys: dict[str, tuple[str, str, str]] = {}

    def make(name: str, *statements: dict[str, Any], service: str = "kms") -> Any:
        if name not in keys:
            cloud.api("iam", "CreateUser", user_name=name)
            made = cloud.api("iam", "CreateAccessKey", user_name=name)["AccessKey"]
            keys[name] = (made["AccessKeyId"], made["SecretAccessKey"], "")
        if statements:
            document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **item} for item in statements]}
            cloud.api("iam", "PutUserPolicy", user_name=name, policy_name="may", policy_document=json.dumps(document))
        return door.client(service, keys[name])

    return make
