"""169.254.170.2: a build's credentials, for its own sandbox alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import InProcessCloud
from windtunnel.compute.credentials import SandboxCredential
from windtunnel.gateways.container_credentials import Answer, answer


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    held = SandboxCredential(
        sandbox="one", path="/v2/credentials/x", role_arn="arn:role", access_key="ASIA1", secret="s", token="t", expires=1_700_000_000.0
    )
    with InProcessCloud(tmp_path) as made:
        made.write(lambda ctx: ctx.tx.put(held))
        yield made


def ask(cloud: InProcessCloud, sandbox: str, path: str, method: str = "GET") -> Answer | None:
    return cloud.read(lambda ctx: answer(ctx.tx, sandbox, method, path, {}))


def test_the_sandbox_gets_its_credentials(cloud: InProcessCloud) -> None:
    found = ask(cloud, "one", "/v2/credentials/x?unused=1")
    assert found is not None and found[0] == 200
    assert json.loads(found[2]) == {
        "RoleArn": "arn:role",
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "s",
        "Token": "t",
        "Expiration": "2023-11-14T22:13:20Z",
    }


@pytest.mark.parametrize("path, method, status", [("/v2/credentials/y", "GET", 404), ("/", "GET", 404), ("/v2/credentials/x", "PUT", 405)])
def test_anything_else_is_not_there(cloud: InProcessCloud, path: str, method: str, status: int) -> None:
    found = ask(cloud, "one", path, method)
    assert found is not None and found[0] == status
    assert b"ASIA1" not in found[2]


def test_another_sandbox_has_none(cloud: InProcessCloud) -> None:
    assert ask(cloud, "two", "/v2/credentials/x") is None
