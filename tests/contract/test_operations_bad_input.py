"""Hostile input to every operation, over the wire: AWS's error or a refusal that names the member, soon, and nothing changed.

Every member that an operation accepts is given every value of a fixed list, in a request that is otherwise as it should be; and
every operation gets every body of a fixed list. What happens to be good input is run and undone (see wire_calls.Undoing).
"""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from samples import Samples
from seeded import seeded_cloud, store_hash
from wire_calls import Reply, Sent, Wire, botocore_model, serialise

from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS, Operation
from windtunnel.wire import coverage
from windtunnel.wire.models import load_service

load_services()
EVERY_OPERATION = [pytest.param(operation, id=f"{service}:{name}") for (service, name), operation in sorted(OPERATIONS.items())]
SOON = 2.0
ONE_IN = 5
"""How many of the requests the fast test sends: which ones is drawn anew, the same each time, for each operation."""
DEEP = 10_000
YAML_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
STRINGS = [
    "",
    " ",
    "\0",
    "a\0b",
    "a\nb\r\n",
    "\ud800",
    "é\U0001f4a9\u202e",
    "a" * 70_000,
    "../../../../etc/passwd",
    "-1",
    "99999999999999999999999",
    "1" * 5000,
    "NaN",
    "1e999",
    "*",
    "%",
    "%00%ff%s%n",
    "&amp;<![CDATA[]]>",
    "arn:aws:iam::",
    "arn:::::",
    "arn:aws:iam::123456789012:role/" + "/" * 200,
    ":",
    "/",
    "::::::",
    "#{a.b.c}${a}{{a}}",
    "{",
    "null",
    '"text"',
    "[1]",
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":5,"Resource":{}}]}',
    '{"Statement":7,"source":{"a":[{"numeric":["<","x"]}]}}',
    '{"source":[{"wildcard":"' + "*a" * 500 + '"}]}',
    "[" * DEEP,
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "- " * DEEP,
    YAML_BOMB,
    "version: 0.2\nphases: &a\n  build: *a\n",
    "version: 0.2\nphases: !!python/object/apply:os.system [id]\n",
    "rate(0 minutes)",
    "cron(* * * * * 9999999)",
]
NUMBERS: list[Any] = [-1, 0, 1 << 31, 1 << 63, 1 << 64, 10**400, 1.5, 1e308, "1", "x", True, None]
AMONG_OTHERS: list[Any] = ["", "\0", "x", -1, 1 << 64, {}, [], [[]], None]
OTHERS: list[Any] = [None, True, 7, "text", [], {}, [None], [[]], [{}], {"": {}}, {"a": None}, [["a"] * 3] * 3, ["a"] * 3000, ["a", "a"]]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with seeded_cloud(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture(scope="module")
def wire(cloud: InProcessCloud) -> Wire:
    return Wire(cloud)


def speaks_json(service: str) -> bool:
    return botocore_model(service).resolved_protocol == "json"


def values_for(kind: str) -> list[Any]:
    if kind == "string":
        return [*STRINGS, *OTHERS]
    if kind in ("integer", "long", "float", "double", "timestamp", "boolean"):
        return [*NUMBERS, *OTHERS, "", "a" * 5000, "2020-99-99T99:99:99Z"]
    return [*OTHERS, "", "\0", "a" * 70_000]


def as_json(service: str, operation: str, members: dict[str, Any]) -> Sent:
    """The request with whatever values, surrogates too: botocore writes only what it can understand."""
    meta = load_service(service)
    body = json.dumps(members, default=lambda value: b64encode(value).decode() if isinstance(value, bytes) else str(value))
    headers = {"X-Amz-Target": f"{meta.target_prefix}.{operation}", "Content-Type": f"application/x-amz-json-{meta.json_version}"}
    return Sent("POST", "/", headers, body.encode())


Write = Callable[[], Sent | None]


def requests(operation: Operation) -> Iterator[tuple[str, Write]]:
    """(what is sent, as a few words, and what writes it), for every accepted member and every value."""
    model = load_service(operation.service)
    shape, samples = model.operation(operation.name), Samples(model)

    def written(make: Callable[[], dict[str, Any]]) -> Write:
        return lambda: _written(operation, make())

    yield "nothing at all", written(dict)
    usual = samples.usual(shape)
    for required in shape.input_shape.required:
        yield f"no {required}", written(lambda name=required: without(usual, [name]))
    accepted = [m.path for m in coverage.coverage(model, operation.name, operation.declared) if m.kind in ("acts", "descriptive")]
    full = merged([samples.with_member(shape, path) for path in accepted])
    for path in accepted:
        yield f"all but {path}", written(lambda path=path: without(full, steps(path)))
        others = without(usual, steps(path)[:1])
        for value in values_for(_kind(operation, path)):
            yield (
                f"{path} = {value!r:.60}",
                written(lambda path=path, value=value, others=others: samples.with_value(shape, path, value) | others),
            )
        for value in AMONG_OTHERS:
            yield (
                f"{path} = {value!r:.60} among all",
                written(lambda path=path, value=value: merged([full, samples.with_value(shape, path, value)])),
            )


def merged(values: list[Any]) -> Any:
    """One value that has the members of all; later ones win."""
    if all(isinstance(value, dict) for value in values):
        names = dict.fromkeys(name for value in values for name in value)
        return {name: merged([value[name] for value in values if name in value]) for name in names}
    if all(isinstance(value, list) and value for value in values):
        return [merged([value[0] for value in values])]
    return values[-1]


def without(value: Any, path: list[str]) -> Any:
    """The value without what is at the path."""
    head, rest = path[0], path[1:]
    if head == "[]":
        return [without(item, rest) for item in value] if rest and isinstance(value, list) else []
    if not isinstance(value, dict):
        return value
    if head == "{}":
        return {name: without(item, rest) for name, item in value.items()} if rest else {}
    return {name: without(item, rest) if rest and name == head else item for name, item in value.items() if rest or name != head}


def steps(path: str) -> list[str]:
    return [step for step in path.replace("[]", ".[]").replace("{}", ".{}").split(".") if step != "*"]


def _kind(operation: Operation, path: str) -> str:
    """The type of the shape at a path."""
    model = load_service(operation.service)
    shape = model.operation(operation.name).input_shape
    for step in steps(path):
        ref = {"[]": shape.member, "{}": shape.value}.get(step) or shape.members[step]
        shape = model.shape(ref.shape)
    return shape.type


def _written(operation: Operation, members: dict[str, Any]) -> Any:
    """The request, or None when botocore cannot write this value for this member."""
    if speaks_json(operation.service):
        return as_json(operation.service, operation.name, members)
    try:
        sent = serialise(operation.service, operation.name, members)
    except (BotoCoreError, AttributeError, TypeError, ValueError, KeyError, OverflowError, RuntimeError):
        return None
    printable = all(value.isascii() and not set("\r\n") & set(value) for value in sent.headers.values())
    return sent if printable and sent.target.isascii() else None


def bodies(operation: Operation) -> Iterator[tuple[str, Write]]:
    """Bodies that no client of AWS writes."""
    model = load_service(operation.service)
    usual = _written(operation, Samples(model).usual(model.operation(operation.name)))
    shared = [b"\xff\xfe\x00", b"\0" * 100, b"{" * DEEP, b"[" * DEEP, b'{"a":' * DEEP, b"<a>" * DEEP, b"&" * DEEP, b"=" * 50]
    if speaks_json(operation.service):
        special = [b"", b"null", b"[]", b'"a"', b"7", b"{", b'{"a":}', b'{"\\ud800":1}', b'{"a":1' + b"0" * 5000 + b"}", b"{}" * 2]
        special += [usual.body[:-1], usual.body + b"x", b"\xef\xbb\xbf" + usual.body]
    elif operation.service == "s3":
        entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(10))
        special = [
            b"<",
            b"<a/>",
            b"<a></b>",
            f'<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><a>&e10;</a>'.encode(),
            b"<a b='" + b"x" * 70_000 + b"'/>",
        ]
        special += [b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', b"<a>&#0;</a>", b"<a>\x01</a>"]
    else:
        action = f"Action={operation.name}&Version={model.api_version}&".encode()
        special = [action + tail for tail in (b"%", b"%ff=%ff", b"=", b"a.b" * DEEP, b"Tags.member.999999999.Key=a", b"Tags.member.x=1")]
        special += [usual.body + b"&" + usual.body, action * 2, action + b"Filter.1.Value.1.2.3=x&Tags.member=1&Tags.member.1.Key.1=2"]
    for body in [*shared, *special]:
        yield f"body {body[:40]!r}", partial(usual._replace, body=body)


def faults(operation: Operation, wire: Wire, sent: Iterator[tuple[str, Write]]) -> list[tuple[str, Reply]]:
    """The requests that were not answered as they should be."""
    found = []
    for words, write in sent:
        request = write()
        if request is None:
            continue
        reply = wire.send(operation.service, request)
        if (reply.status >= 500 and reply.status != 501) or reply.seconds > SOON:
            found.append((words, reply))
    return found


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_some_hostile_members(cloud: InProcessCloud, wire: Wire, operation: Operation) -> None:
    before = store_hash(cloud)
    draw = random.Random(operation.name)
    assert faults(operation, wire, (each for each in requests(operation) if draw.randrange(ONE_IN) == 0)) == []
    assert store_hash(cloud) == before


@pytest.mark.slow
@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_hostile_members(cloud: InProcessCloud, wire: Wire, operation: Operation) -> None:
    before = store_hash(cloud)
    assert faults(operation, wire, requests(operation)) == []
    assert store_hash(cloud) == before


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_hostile_bodies(cloud: InProcessCloud, wire: Wire, operation: Operation) -> None:
    before = store_hash(cloud)
    assert faults(operation, wire, bodies(operation)) == []
    assert store_hash(cloud) == before
