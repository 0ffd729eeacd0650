"""Every operation by a real boto3 client, with the least input that is valid: what comes back is an answer that it reads, or AWS's error.

The client's code runs whole: endpoint rules, serialiser, signer, parser, and its own customisations of S3 and others. Writes are undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from botocore.exceptions import ClientError
from samples import Samples
from seeded import seeded_cloud
from wire_calls import Undoing

from clients import Door
from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS, Operation
from windtunnel.wire.models import OWN_MODELS, load_service
from windtunnel.wire.naming import xform

load_services()
EVERY = [
    pytest.param(operation, id=f"{service}:{name}")
    for (service, name), operation in sorted(OPERATIONS.items())
    if not (OWN_MODELS / f"{service}.json").is_file()
]


answers: list[str] = []
refusals: list[str] = []


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with seeded_cloud(tmp_path_factory.mktemp("boto3")) as running:
        yield running


@pytest.fixture(scope="module")
def clients(cloud: InProcessCloud) -> Any:
    door = Door(cloud, Undoing)
    return cache(door.client)


@pytest.mark.parametrize("operation", EVERY)
def test_a_round_trip(clients: Any, operation: Operation) -> None:
    model = load_service(operation.service)
    shape = model.operation(operation.name)
    arguments = Samples(model).usual(shape)
    call = getattr(clients(operation.service), xform(operation.name))
    try:
        reply = call(**arguments)
    except ClientError as refused:
        error, status = refused.response["Error"], refused.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status < 500, (error, arguments)
        assert error["Code"] not in ("SerializationException", "SignatureDoesNotMatch", "InvalidSignatureException"), (error, arguments)
        assert error["Code"] and not error["Code"].isdigit() or status in (304, 400, 403, 404, 412), error
        refusals.append(f"{operation.service}:{operation.name} {error['Code']}")
        return
    answers.append(operation.name)
    assert 200 <= reply["ResponseMetadata"]["HTTPStatusCode"] < 300
    assert reply["ResponseMetadata"]["RequestId"]
    known = set(shape.output_shape.members) | {"ResponseMetadata"}
    assert set(reply) <= known
    stream = reply.get(shape.event_output or "")
    if stream is not None:
        first = next(iter(stream), None)
        stream.close()
        assert first is None or len(first) == 1


def test_most_are_answered() -> None:
    """A sample that is refused for its own sake says little; most are not."""
    assert len(answers) + len(refusals) in (0, len(EVERY)) and len(answers) >= len(refusals), refusals
