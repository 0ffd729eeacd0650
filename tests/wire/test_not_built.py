"""What is not built refuses in the words that its own client reads: a 501 whose code is NotImplemented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import InProcessCloud


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    path: Path = tmp_path_factory.mktemp("cloud")
    with InProcessCloud(path) as cloud:
        yield Door(cloud)


@pytest.mark.parametrize(
    "service, operation",
    [
        pytest.param("lambda", "list_functions", id="rest-json"),
        pytest.param("route53", "list_hosted_zones", id="rest-xml"),
        pytest.param("dynamodb", "list_tables", id="json"),
        pytest.param("rds", "describe_db_instances", id="query"),
        pytest.param("ec2", "describe_spot_fleet_requests", id="ec2"),
    ],
)
def test_a_service_that_is_not_built_says_so(door: Door, service: str, operation: str) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(door.client(service), operation)()
    error, status = refused.value.response["Error"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert (status, error["Code"]) == (501, "NotImplemented")
    assert error["Message"].startswith(f"Windtunnel does not run {service}:")
