"""Coverage by member, over the wire: what an operation does not declare is refused by its name, and the store does not change."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5, sha512

import pytest
from samples import Samples
from seeded import seeded_cloud, store_hash
from wire_calls import Wire

from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS, Operation
from windtunnel.wire import coverage
from windtunnel.wire.models import OperationModel, load_service

load_services()
WITH_REFUSED = [
    pytest.param(operation, id=f"{service}:{name}")
    for (service, name), operation in sorted(OPERATIONS.items())
    if coverage.refused(load_service(service), name, operation.declared)
]
CHECKSUMS = {"ChecksumMD5": b64encode(md5().digest()).decode(), "ChecksumSHA512": b64encode(sha512().digest()).decode()}
"""Of the body, which is empty: a wrong checksum is refused before anything else."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with seeded_cloud(tmp_path_factory.mktemp("members")) as running:
        yield running


@pytest.fixture(scope="module")
def wire(cloud: InProcessCloud) -> Wire:
    return Wire(cloud)


def names_on_the_wire(model: OperationModel, path: str) -> set[str]:
    """What a refusal may call the member: its path, the part of it that nothing is declared below, or its header."""
    steps = path.replace("[]", ".[]").replace("{}", ".{}").split(".")
    wholes = {".".join(steps[: n + 1]).replace(".[]", "[]").replace(".{}", "{}") for n in range(len(steps))}
    header = model.input_shape.members[steps[0]].location_name
    return wholes | ({header} if header else set())


@pytest.mark.parametrize("operation", WITH_REFUSED)
def test_what_is_not_declared_is_refused_by_name(cloud: InProcessCloud, wire: Wire, operation: Operation) -> None:
    model = load_service(operation.service)
    shape = model.operation(operation.name)
    samples = Samples(model)
    before = store_hash(cloud)
    wrong = []
    members = coverage.coverage(model, operation.name, operation.declared)
    unaccepted = [member.path for member in members if member.kind in ("refused", "default-only")]
    for path in coverage.refused(model, operation.name, operation.declared):
        given = samples.with_value(shape, path, CHECKSUMS[path]) if path in CHECKSUMS else samples.with_member(shape, path)
        reply = wire.call(operation.service, operation.name, given)
        beside = [other for other in unaccepted if other.rpartition(".")[0] == path.rpartition(".")[0]]  # it may not stand without these
        named = {f" with {name} yet; nothing was changed." for each in beside for name in names_on_the_wire(shape, each)}
        said = shape.http_method == "HEAD" or any(reply.message.endswith(words) for words in named)
        if reply.status != 501 or not said:
            wrong.append((path, reply))
    assert wrong == []
    assert store_hash(cloud) == before


@pytest.mark.parametrize("operation", WITH_REFUSED)
def test_the_same_call_without_the_member_is_answered(wire: Wire, operation: Operation) -> None:
    model = load_service(operation.service)
    reply = wire.call(operation.service, operation.name, Samples(model).usual(model.operation(operation.name)))
    assert reply.status < 500
