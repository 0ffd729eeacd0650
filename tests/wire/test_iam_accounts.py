"""Several accounts in one cloud: how they come to be, who may make them, and what one may do in another."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud
from people import user_keys
from windtunnel.gateways.control import PREFIX, SERVICE, ControlGateway, matches
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.server import LoopBackend
from windtunnel.wire.signing import sign_request

OTHER = "222222222222"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def trust(arn: str, *actions: str, **more: Any) -> str:
    return policy({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": list(actions or ("sts:AssumeRole",)), **more})


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=FixedClock(float(int(time.time())))) as running:
        yield running


class Owner:
    """Asks the control gateway, signed with some key; headers and bodies may be bent."""

    def __init__(self, cloud: InProcessCloud, door: Door) -> None:
        self.cloud = cloud
        self.gateway = ControlGateway(cloud.cloud, LoopBackend(cloud.cloud))
        self.root = Credential(*door.root[:2], Principal.root(ACCOUNT))

    def ask(
        self, what: str, credential: Credential | None = None, *, service: str = SERVICE, sent: bytes | None = None, **arguments: Any
    ) -> Any:
        body = json.dumps(arguments).encode()
        headers = [(b"host", b"127.0.0.1:4566")]
        path = PREFIX + what
        who = credential or self.root
        signed = sign_request(who, "POST", path, "", headers, body, region=REGION, service=service, now=self.cloud.cloud.clock.now())
        return self.call(path, list(signed), body if sent is None else sent)

    def call(self, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
        answers: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            answers.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
        assert matches(scope)
        asyncio.run_coroutine_threadsafe(self.gateway(scope, receive, send), self.cloud.loop).result(30)
        return answers[0]["status"], msgspec.json.decode(answers[1]["body"])


@pytest.fixture
def owner(cloud: InProcessCloud, door: Door) -> Owner:
    return Owner(cloud, door)


def refusal(call: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**args)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


@pytest.fixture
def other(owner: Owner) -> tuple[str, str, str]:
    """The root keys of a second account."""
    _, made = owner.ask("account.create", account=OTHER, name="staging")
    return made["access_key_id"], made["secret_access_key"], ""


# --- making them -------------------------------------------------------------------------------------------------------------


def test_the_owner_makes_and_lists_accounts(owner: Owner, door: Door) -> None:
    status, made = owner.ask("account.create", account=OTHER, name="staging")
    assert (status, made["account"]) == (200, OTHER)
    _, drawn = owner.ask("account.create")
    assert len(drawn["account"]) == 12
    assert drawn["account"].isdigit()
    listed = owner.ask("account.list")[1]["accounts"]
    assert {(each["account"], each["first"]) for each in listed} == {(ACCOUNT, True), (OTHER, False), (drawn["account"], False)}
    keys = owner.ask("account.keys", account=OTHER)[1]
    assert keys["secret_access_key"] == made["secret_access_key"]
    root = (keys["access_key_id"], keys["secret_access_key"], "")
    assert door.client("sts", root).get_caller_identity()["Arn"] == f"arn:aws:iam::{OTHER}:root"
    assert door.client("iam", root).list_users()["Users"] == []


@pytest.mark.parametrize(
    "arguments, code",
    [
        pytest.param({"account": ACCOUNT}, "EntityAlreadyExists", id="one that is there"),
        pytest.param({"account": "12"}, "ValidationError", id="not 12 digits"),
        pytest.param({"account": 222222222222}, "ValidationError", id="a number"),
        pytest.param({"name": "a\nb"}, "ValidationError", id="a name that cannot be printed"),
        pytest.param({"nonsense": 1}, "ValidationError", id="an argument that nobody takes"),
    ],
)
def test_a_bad_account_is_refused(owner: Owner, arguments: dict[str, Any], code: str) -> None:
    before = owner.ask("account.list")
    status, said = owner.ask("account.create", **arguments)
    assert status >= 400
    assert said["code"] == code
    assert owner.ask("account.list") == before


def test_nobody_else_is_heard(owner: Owner, door: Door, other: tuple[str, str, str]) -> None:
    iam = door.client("iam")
    admin = user_keys(iam, "admin", allow("*"))
    before = owner.ask("account.list")
    assert owner.ask("account.create", Credential(*admin[:2], Principal.root(ACCOUNT)))[0] == 403
    assert owner.ask("account.create", Credential(*other[:2], Principal.root(OTHER)))[0] == 403
    assert owner.ask("account.create", Credential("AKIANOBODYNOBODYNOBO", "x", Principal.root(ACCOUNT)))[0] == 400
    assert owner.ask("account.create", Credential(door.root[0], "wrong", Principal.root(ACCOUNT)))[0] == 400
    assert owner.ask("account.create", service="iam")[0] == 400, "a signature for another service"
    assert owner.ask("account.create", sent=b'{"account":"333333333333"}')[0] == 400, "another body than was signed"
    assert owner.call(f"{PREFIX}account.create", [(b"host", b"127.0.0.1")], b"{}")[0] == 400, "no signature"
    assert owner.ask("account.destroy")[0] == 404
    assert owner.ask("account.list") == before


# --- across them ---------------------------------------------------------------------------------------------------------------


def test_a_role_of_another_account_takes_both_sides(door: Door, other: tuple[str, str, str]) -> None:
    here, there = door.client("iam"), door.client("iam", other)
    role = f"arn:aws:iam::{OTHER}:role/Deploy"
    keys = user_keys(here, "dev")
    sts = door.client("sts", keys)
    denied = ("AccessDenied", f"User: arn:aws:iam::{ACCOUNT}:user/dev is not authorized to perform: sts:AssumeRole on resource: {role}")
    asked: dict[str, Any] = {"RoleArn": role, "RoleSessionName": "release"}
    assert refusal(sts.assume_role, **asked) == denied, "there is no such role"
    there.create_role(RoleName="Deploy", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:root"))
    assert refusal(sts.assume_role, **asked) == denied, "its account trusts, the user's own policies say nothing"
    here.put_user_policy(UserName="dev", PolicyName="may", PolicyDocument=policy(allow("sts:AssumeRole", resource=role)))
    session = sts.assume_role(**asked)
    assert session["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/Deploy/release"
    there.update_assume_role_policy(RoleName="Deploy", PolicyDocument=trust(f"arn:aws:iam::{OTHER}:root"))
    assert refusal(sts.assume_role, **asked) == denied, "the user may, its account does not trust any more"


def test_what_a_session_makes_is_its_roles_accounts(door: Door, other: tuple[str, str, str]) -> None:
    here, there = door.client("iam"), door.client("iam", other)
    role = f"arn:aws:iam::{OTHER}:role/Deploy"
    there.create_role(RoleName="Deploy", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:root"))
    there.put_role_policy(RoleName="Deploy", PolicyName="may", PolicyDocument=policy(allow("ssm:*")))
    keys = user_keys(here, "dev", allow("sts:AssumeRole", resource=role), allow("ssm:*"))
    found = door.client("sts", keys).assume_role(RoleArn=role, RoleSessionName="release")["Credentials"]
    session = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    door.client("ssm", session, "eu-west-1").put_parameter(Name="/p", Value="theirs", Type="String")
    assert door.client("ssm", other, "eu-west-1").get_parameter(Name="/p")["Parameter"]["Value"] == "theirs"
    assert refusal(door.client("ssm", keys, "eu-west-1").get_parameter, Name="/p")[0] == "ParameterNotFound", "another account's"
    assert refusal(door.client("ssm", other, "eu-north-1").get_parameter, Name="/p")[0] == "ParameterNotFound", "another region's"


def test_an_external_id_is_asked_of_the_other_account(door: Door, other: tuple[str, str, str]) -> None:
    here, there = door.client("iam"), door.client("iam", other)
    role = f"arn:aws:iam::{OTHER}:role/Deploy"
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": "42"}}}
    there.create_role(RoleName="Deploy", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:root", **condition))
    sts = door.client("sts", user_keys(here, "dev", allow("sts:AssumeRole", resource=role)))
    assert refusal(sts.assume_role, RoleArn=role, RoleSessionName="release")[0] == "AccessDenied"
    assert sts.assume_role(RoleArn=role, RoleSessionName="release", ExternalId="42")["Credentials"]


def test_a_bucket_of_another_account_takes_both_policies(door: Door, other: tuple[str, str, str]) -> None:
    theirs = door.client("s3", other)
    theirs.create_bucket(Bucket="shared")
    theirs.put_object(Bucket="shared", Key="k", Body=b"content")
    here = door.client("iam")
    keys = user_keys(here, "dev", allow("s3:GetObject"))
    mine = door.client("s3", keys)
    assert refusal(mine.get_object, Bucket="shared", Key="k")[0] == "AccessDenied", "the user may, the bucket says nothing"
    granted = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/dev"}, "Action": "s3:GetObject"}
    theirs.put_bucket_policy(Bucket="shared", Policy=policy({**granted, "Resource": "arn:aws:s3:::shared/*"}))
    assert mine.get_object(Bucket="shared", Key="k")["Body"].read() == b"content"
    here.delete_user_policy(UserName="dev", PolicyName="may")
    assert refusal(mine.get_object, Bucket="shared", Key="k")[0] == "AccessDenied", "the bucket grants, the user's own policies do not"


def test_a_role_of_another_account_is_not_passed(door: Door, other: tuple[str, str, str]) -> None:
    door.client("iam", other).create_role(
        RoleName="Build",
        AssumeRolePolicyDocument=policy(
            {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ),
    )
    keys = user_keys(door.client("iam"), "dev", allow("codebuild:*", "iam:PassRole"))
    code, words = refusal(
        door.client("codebuild", keys).create_project,
        name="web",
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=f"arn:aws:iam::{OTHER}:role/Build",
    )
    assert (code, "iam:PassRole" in words) == ("AccessDeniedException", True), words


def test_an_alias_is_one_accounts_in_the_whole_cloud(door: Door, other: tuple[str, str, str]) -> None:
    here, there = door.client("iam"), door.client("iam", other)
    here.create_account_alias(AccountAlias="wind")
    assert refusal(there.create_account_alias, AccountAlias="wind")[0] == "EntityAlreadyExists"
    assert (here.list_account_aliases()["AccountAliases"], there.list_account_aliases()["AccountAliases"]) == (["wind"], [])
    assert refusal(there.delete_account_alias, AccountAlias="wind")[0] == "NoSuchEntity"
    here.create_account_alias(AccountAlias="tunnel")
    assert here.list_account_aliases()["AccountAliases"] == ["tunnel"]
    there.create_account_alias(AccountAlias="wind")


def test_a_key_tells_its_account(door: Door, other: tuple[str, str, str]) -> None:
    keys = user_keys(door.client("iam", other), "theirs")
    sts = door.client("sts")
    assert sts.get_access_key_info(AccessKeyId=keys[0])["Account"] == OTHER
    assert sts.get_access_key_info(AccessKeyId=door.root[0])["Account"] == ACCOUNT
    assert refusal(sts.get_access_key_info, AccessKeyId="AKIANOBODYNOBODYNOBO")[0] == "ValidationError"
