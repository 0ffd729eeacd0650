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
from wire_calls import Keys, Reply, Wire

from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS, Operation, unguarded
from windtunnel.wire import coverage
from windtunnel.wire.models import load_service

load_services()
USER = "caller"
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
ACTION = re.compile(r"is not authorized to perform: ([a-z0-9-]+:[A-Za-z0-9]+)")

PASSING = "iam:PassRole"
OTHERWISE_NAMED: dict[str, list[str]] = {
    "codebuild:CreateProject": ["codebuild:CreateProject", PASSING],
    "codedeploy:CreateDeploymentGroup": ["codedeploy:CreateDeploymentGroup", PASSING],
    "codepipeline:CreatePipeline": ["codepipeline:CreatePipeline", PASSING],
    "codepipeline:UpdatePipeline": ["codepipeline:UpdatePipeline", PASSING],
    "iam:AddRoleToInstanceProfile": ["iam:AddRoleToInstanceProfile", PASSING],
    "s3:CompleteMultipartUpload": ["s3:PutObject"],
    "s3:CopyObject": ["s3:GetObject", "s3:PutObject"],
    "s3:CreateMultipartUpload": ["s3:PutObject"],
    "s3:DeleteBucketEncryption": ["s3:PutEncryptionConfiguration"],
    "s3:DeleteBucketOwnershipControls": ["s3:PutBucketOwnershipControls"],
    "s3:DeleteBucketTagging": ["s3:PutBucketTagging"],
    "s3:DeletePublicAccessBlock": ["s3:PutBucketPublicAccessBlock"],
    "s3:GetBucketAccelerateConfiguration": ["s3:GetAccelerateConfiguration"],
    "s3:GetBucketCors": ["s3:GetBucketCORS"],
    "s3:GetBucketEncryption": ["s3:GetEncryptionConfiguration"],
    "s3:GetBucketLifecycleConfiguration": ["s3:GetLifecycleConfiguration"],
    "s3:GetBucketNotificationConfiguration": ["s3:GetBucketNotification"],
    "s3:GetBucketReplication": ["s3:GetReplicationConfiguration"],
    "s3:GetObjectAttributes": ["s3:GetObject", "s3:GetObjectAttributes"],
    "s3:GetObjectLockConfiguration": ["s3:GetBucketObjectLockConfiguration"],
    "s3:GetPublicAccessBlock": ["s3:GetBucketPublicAccessBlock"],
    "s3:HeadBucket": ["s3:ListBucket"],
    "s3:HeadObject": ["s3:GetObject"],
    "s3:ListBuckets": ["s3:ListAllMyBuckets"],
    "s3:ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
    "s3:ListObjectVersions": ["s3:ListBucketVersions"],
    "s3:ListObjects": ["s3:ListBucket"],
    "s3:ListObjectsV2": ["s3:ListBucket"],
    "s3:ListParts": ["s3:ListMultipartUploadParts"],
    "s3:PutBucketEncryption": ["s3:PutEncryptionConfiguration"],
    "s3:PutBucketNotificationConfiguration": ["s3:PutBucketNotification"],
    "s3:PutPublicAccessBlock": ["s3:PutBucketPublicAccessBlock"],
    "s3:UploadPart": ["s3:PutObject"],
    "s3:UploadPartCopy": ["s3:GetObject", "s3:PutObject"],
}
"""Where the reference departs from its rule, that the action is named as the operation."""
BY_ITEM = {"s3:DeleteObjects"}
"""Answered item by item: the refusals stand inside a 200. tests/wire/test_s3.py holds them."""
FOR_EVERYONE = {
    "sts:GetCallerIdentity": "AWS lets every caller ask who they are, whatever their policies say.",
    "sts:AssumeRole": "The handler asks the role's trust policy and the caller's policies together; tests/wire/test_iam.py holds it.",
    "sts:GetSessionToken": "AWS asks for no permission: a session has its user's.",
    "codedeploy-commands:PollHostCommand": "The agent's: it may ask for its own host only, which the handler holds.",
    "codedeploy-commands:PutHostCommandAcknowledgement": "The agent's, as above.",
    "codedeploy-commands:PutHostCommandComplete": "The agent's, as above.",
    "codedeploy-commands:PostHostCommandUpdate": "The agent's, as above.",
    "codedeploy-commands:GetDeploymentSpecification": "The agent's, as above.",
}
"""Operations that no permission guards, and why."""
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
    return OTHERWISE_NAMED.get(name, [name])[0]


@pytest.mark.parametrize("operation", GUARDED)
def test_an_operation_takes_exactly_its_actions(cloud: InProcessCloud, wire: Wire, keys: Keys, operation: Operation) -> None:
    probe = Probe(cloud, wire, keys, operation)
    found = probe.actions()
    name = f"{operation.service}:{operation.name}"
    assert found == OTHERWISE_NAMED.get(name, [name])
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
