"""IAM, operation by operation: a caller who lacks exactly one of the actions that it takes is refused and changes nothing.

What an operation takes is found from outside: a user without any permission is told an action, is given it, and asks again until
nobody refuses. The actions are then held to AWS's Service Authorization Reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from samples import Samples
from seeded import seeded_cloud, store_hash
from tables import ACTIONS, BY_ITEM, FOR_EVERYONE
from wire_calls import Keys, Reply, Wire

from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS, Operation, unguarded
from windtunnel.wire import coverage
from windtunnel.wire.models import load_service

load_services()
USER = "caller"
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
ACTION = re.compile(r"is not authorized to perform: ([a-z0-9-]+:[A-Za-z0-9]+)")

PASSING = "iam:PassRole"
GUARDED = [
    pytest.param(operation, id=f"{service}:{name}")
    for (service, name), operation in sorted(OPERATIONS.items())
    if operation.authorize is not unguarded and f"{service}:{name}" not in BY_ITEM
]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with seeded_cloud(tmp_path_factory.mktemp("permissions")) as running:
        running.api("iam", "CreateUser", user_name=USER)
        yield running


@pytest.fixture(scope="module")
def wire(cloud: InProcessCloud) -> Wire:
    return Wire(cloud)


@pytest.fixture(scope="module")
def keys(cloud: InProcessCloud) -> Keys:
    made = cloud.api("iam", "CreateAccessKey", user_name=USER)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"], ""


def permit(cloud: InProcessCloud, **statement: list[str]) -> None:
    """The user may do this, and nothing else."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **statement}]}
    cloud.api("iam", "PutUserPolicy", user_name=USER, policy_name="may", policy_document=json.dumps(document))


class Probe:
    """One operation, called by the user with the usual input."""

    def __init__(self, cloud: InProcessCloud, wire: Wire, keys: Keys, operation: Operation) -> None:
        self.cloud, self.wire, self.keys, self.operation = cloud, wire, keys, operation
        model = load_service(operation.service)
        self.members = Samples(model).usual(model.operation(operation.name))

    def call(self) -> Reply:
        return self.wire.call(self.operation.service, self.operation.name, self.members, self.keys)

    def actions(self) -> list[str]:
        """Every action that the call takes, in the order in which they are missed."""
        found: list[str] = []
        permit(self.cloud, Action=["nothing:Nothing"])
        while (reply := self.call()).code in DENIED:
            missing = self.missing(reply)
            assert missing not in found, f"{missing} was allowed and is asked for still: {reply.message}"
            found.append(missing)
            permit(self.cloud, Action=found)
        return found

    def missing(self, reply: Reply) -> str:
        named = ACTION.search(reply.message)
        if named is None:  # the answer to a HEAD says nothing; S3's says little
            return default_action(self.operation)
        return named[1]


def default_action(operation: Operation) -> str:
    """The action by the reference's rule, or by its exceptions."""
    name = f"{operation.service}:{operation.name}"
    return ACTIONS.get(name, [name])[0]


@pytest.mark.parametrize("operation", GUARDED)
def test_an_operation_takes_exactly_its_actions(cloud: InProcessCloud, wire: Wire, keys: Keys, operation: Operation) -> None:
    probe = Probe(cloud, wire, keys, operation)
    found = probe.actions()
    name = f"{operation.service}:{operation.name}"
    assert found == ACTIONS.get(name, [name])
    for action in found:
        permit(cloud, NotAction=[action])
        before = store_hash(cloud)
        reply = probe.call()
        assert reply.code in DENIED, f"without {action}: {reply}"
        assert probe.missing(reply) == action
        assert store_hash(cloud) == before


def test_what_no_permission_guards_is_known() -> None:
    assert {f"{service}:{name}" for (service, name), op in OPERATIONS.items() if op.authorize is unguarded} == set(FOR_EVERYONE)


ROLE_MEMBER = re.compile(r"(^|\.)(service)?role(arn)?(override)?$|(^|\.)IamInstanceProfile\.(Name|Arn)$", re.IGNORECASE)
HANDED_OVER = [
    pytest.param(operation, member.path, id=f"{service}:{name} {member.path}")
    for (service, name), operation in sorted(OPERATIONS.items())
    if service not in ("iam", "sts")
    for member in coverage.coverage(load_service(service), name, operation.declared)
    if member.kind == "acts" and ROLE_MEMBER.search(member.path)
]


@pytest.mark.parametrize("operation, path", HANDED_OVER)
def test_whoever_hands_over_a_role_must_be_allowed_to(
    cloud: InProcessCloud, wire: Wire, keys: Keys, operation: Operation, path: str
) -> None:
    probe = Probe(cloud, wire, keys, operation)
    model = load_service(operation.service)
    probe.members |= Samples(model).with_member(model.operation(operation.name), path)
    assert PASSING in probe.actions()
    permit(cloud, NotAction=[PASSING])
    before = store_hash(cloud)
    assert probe.missing(probe.call()) == PASSING
    assert store_hash(cloud) == before
