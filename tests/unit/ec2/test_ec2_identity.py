"""The signed identity document: what the metadata hand out, who is taken for whom, and what such a caller may do."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ec2_lab import Machine, becomes, running  # noqa: E402

from clients import Door  # noqa: E402
from harness import ACCOUNT, InProcessCloud, until  # noqa: E402
from windtunnel.kernel.context import Context, Need  # noqa: E402
from windtunnel.kernel.errors import AwsError  # noqa: E402
from windtunnel.kernel.scope import Scope  # noqa: E402
from windtunnel.server import LoopBackend  # noqa: E402
from windtunnel.services.ec2 import identity  # noqa: E402
from windtunnel.services.ec2.answering import InstanceMetadata  # noqa: E402
from windtunnel.services.ec2.model import Instance  # noqa: E402
from windtunnel.wire.core import Core, Request  # noqa: E402
from windtunnel.wire.sigv4 import shown_document  # noqa: E402

STACK = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/web/0f2ad670-c9d3-11f0-8de9-0242ac120002"


def fetch(cloud: InProcessCloud, metadata: InstanceMetadata, instance: str, item: str) -> bytes:
    work = metadata(instance, "GET", f"/latest/dynamic/instance-identity/{item}", {})
    found = asyncio.run_coroutine_threadsafe(work, cloud.loop).result(30)  # type: ignore[arg-type]
    assert found is not None and found[0] == 200
    return found[2]


def metadata_of(cloud: InProcessCloud) -> InstanceMetadata:
    return cloud.on_loop(lambda: InstanceMetadata(cloud.cloud, LoopBackend(cloud.cloud)))


def tagged(cloud: InProcessCloud, instance: str, stack: str) -> None:
    """As CloudFormation leaves the instance of a stack."""

    def write(ctx: Context) -> None:
        held = ctx.tx.get(Instance, instance)
        assert held is not None
        held.tags = {**held.tags, identity.STACK_TAG: stack}
        ctx.tx.put(held)

    cloud.write(write)


def caller(cloud: InProcessCloud, document: bytes, proof: bytes) -> identity.Caller | None:
    return cloud.read(lambda ctx: cloud.cloud.part("instance-identity")(ctx.tx, document, proof))


def test_a_document_is_signed_and_taken_as_long_as_its_instance_lives(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        instance, metadata = running(cloud), metadata_of(cloud)
        document, written = fetch(cloud, metadata, instance, "document"), fetch(cloud, metadata, instance, "signature")
        proof = base64.b64decode(written)
        assert fetch(cloud, metadata, instance, "signature") == written
        known = caller(cloud, document, proof)
        assert known is not None and known.region == "us-east-1"
        assert known.principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/aws:ec2-infrastructure/{instance}"
        altered = document.replace(instance.encode(), b"i-00000000000000001")
        assert caller(cloud, altered, proof) is None
        assert caller(cloud, document, proof[:-1] + bytes([proof[-1] ^ 1])) is None
        cloud.api("ec2", "TerminateInstances", instance_ids=[instance])
        becomes(cloud, instance, "terminated")
        assert caller(cloud, document, proof) is None


def test_signatures_hold_over_a_restart_and_in_pkcs7(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.cloud() as cloud:
        instance = running(cloud)
        metadata = metadata_of(cloud)
        document, proof = fetch(cloud, metadata, instance, "document"), base64.b64decode(fetch(cloud, metadata, instance, "signature"))
        for kind in ("pkcs7", "rsa2048"):
            assert document in base64.b64decode(fetch(cloud, metadata, instance, kind))
    with machine.cloud() as cloud:
        assert caller(cloud, document, proof) is not None
        assert base64.b64decode(fetch(cloud, metadata_of(cloud), instance, "signature")) == proof


@pytest.mark.parametrize(
    "stack, action, resource, allowed",
    [
        pytest.param(STACK, "cloudformation:DescribeStackResource", STACK, True, id="its own stack's resources"),
        pytest.param(STACK, "cloudformation:SignalResource", STACK, True, id="a signal to its own stack"),
        pytest.param(STACK, "cloudformation:DeleteStack", STACK, False, id="anything else with its own stack"),
        pytest.param(STACK, "cloudformation:SignalResource", STACK + "x", False, id="another stack"),
        pytest.param(STACK, "s3:GetObject", "arn:aws:s3:::bucket/key", False, id="another service"),
        pytest.param("", "cloudformation:DescribeStackResource", STACK, False, id="an instance of no stack"),
    ],
)
def test_what_an_instance_may_do_that_shows_its_document(tmp_path: Path, stack: str, action: str, resource: str, allowed: bool) -> None:
    with InProcessCloud(tmp_path) as cloud:
        principal = identity.principal(ACCOUNT, "i-00000000000000001", stack)

        def check(ctx: Context) -> str:
            try:
                cloud.cloud.identity.check(Context(ctx.tx, Scope(ACCOUNT, "us-east-1"), principal, cloud.cloud), [Need(action, resource)])
            except AwsError as error:
                return error.code
            return ""

        assert cloud.read(check) == ("" if allowed else "AccessDenied")


def ask(cloud: InProcessCloud, door: Core, authorization: str, form: str) -> tuple[int, bytes]:
    head = {"host": "127.0.0.1:4566", "content-type": "application/x-www-form-urlencoded", "authorization": authorization}
    request = Request("POST", "/", "", [(name.encode(), value.encode()) for name, value in head.items()], head)
    request.body = form.encode()

    async def run() -> Any:
        answer = door.handle(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    status, _, body = asyncio.run_coroutine_threadsafe(run(), cloud.loop).result(30)
    return status, body


def test_other_services_do_not_take_it(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        instance, metadata = running(cloud), metadata_of(cloud)
        tagged(cloud, instance, STACK)
        document, signature = fetch(cloud, metadata, instance, "document"), fetch(cloud, metadata, instance, "signature")
        proof = f"CFN_V1 {base64.b64encode(document).decode()}:{signature.decode().replace(chr(10), '')}"
        door = Door(cloud)._core
        status, body = ask(cloud, door, proof, "Action=GetCallerIdentity&Version=2011-06-15")
        assert status == 400 and b"IncompleteSignature" in body


@pytest.mark.parametrize(
    "proof, expected",
    [
        pytest.param(b"e30=:c2ln", (b"{}", b"sig"), id="a document and its signature"),
        pytest.param(b"e30=", None, id="no signature"),
        pytest.param(b"e30=:!", None, id="no base64"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_what_is_shown(proof: bytes, expected: Any) -> None:
    assert shown_document(proof) == expected


def test_the_session_policy_names_the_stack_alone() -> None:
    (policy,) = identity.principal(ACCOUNT, "i-1", STACK).session_policies
    assert [statement["Resource"] for statement in json.loads(policy)["Statement"]] == [STACK]


TEMPLATE = json.dumps(
    {
        "Resources": {
            "Topic": {"Type": "AWS::SNS::Topic", "Metadata": {"AWS::CloudFormation::Init": {"config": {"files": {"/f": {"content": "x"}}}}}}
        }
    }
)


def test_cloudformation_lets_an_instance_read_its_own_stack_and_no_other(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        instance, metadata = running(cloud), metadata_of(cloud)
        arns = [cloud.api("cloudformation", "CreateStack", stack_name=name, template_body=TEMPLATE)["StackId"] for name in ("web", "other")]
        until(lambda: all(complete(cloud, arn) for arn in arns), what="both stacks are complete")
        door = Door(cloud)._core
        document, signature = fetch(cloud, metadata, instance, "document"), fetch(cloud, metadata, instance, "signature")
        proof = f"CFN_V1 {base64.b64encode(document).decode()}:{signature.decode().replace(chr(10), '')}"
        form = "Action=DescribeStackResource&Version=2010-05-15&LogicalResourceId=Topic&StackName="
        assert ask(cloud, door, proof, form + "web")[0] == 403, "no stack has made this instance"
        tagged(cloud, instance, arns[0])
        status, body = ask(cloud, door, proof, form + "web")
        assert status == 200 and b"AWS::CloudFormation::Init" in body
        status, body = ask(cloud, door, proof, form + "other")
        assert status == 403 and f"assumed-role/aws:ec2-infrastructure/{instance} is not authorized".encode() in body
        status, body = ask(cloud, door, proof, "Action=DeleteStack&Version=2010-05-15&StackName=web")
        assert status == 403 and complete(cloud, arns[0])
        status, body = ask(cloud, door, proof[:-8] + "AAAAAAAA", form + "web")
        assert status == 403 and b"InvalidClientTokenId" in body


def complete(cloud: InProcessCloud, arn: str) -> bool:
    return bool(cloud.api("cloudformation", "DescribeStacks", stack_name=arn)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE")
