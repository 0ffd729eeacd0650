"""What 169.254.169.254 answers: tables over the pure part, and credentials through a running cloud."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ec2_lab import Machine, running  # noqa: E402

from harness import InProcessCloud  # noqa: E402
from windtunnel.kernel.scope import Scope  # noqa: E402
from windtunnel.server import LoopBackend  # noqa: E402
from windtunnel.services.ec2.answering import InstanceMetadata  # noqa: E402
from windtunnel.services.ec2.metadata import Answer, NeedsCredentials, NeedsSignature, answer  # noqa: E402
from windtunnel.services.ec2.metadata_network import Surroundings  # noqa: E402
from windtunnel.services.ec2.model import Instance, Tokens  # noqa: E402

SCOPE = Scope("123456789012", "eu-west-1")
SECRET, NOW = b"secret", 1_000_000.0
TTL, TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
PROFILE = "arn:aws:iam::123456789012:instance-profile/web"


def machine(**fields: Any) -> Instance:
    known: dict[str, Any] = {
        "id": "i-00000000000000001", "reservation_id": "r-00000000000000001", "owner": "123456789012", "index": 0,
        "image_id": "ami-1", "type": "t3.micro", "state": "running", "launched": NOW, "private_ip": "172.31.0.10",
    }  # fmt: skip
    return Instance(**(known | fields))


def ask(instance: Instance, path: str, method: str = "GET", now: float = NOW, **headers: str) -> Answer:
    found = answer(SCOPE, instance, method, path, {name.replace("_", "-"): value for name, value in headers.items()}, SECRET, now)
    assert not isinstance(found, NeedsCredentials | NeedsSignature)
    return found


def token(instance: Instance, seconds: str = "60", now: float = NOW) -> str:
    status, headers, body = ask(instance, "/latest/api/token", "PUT", now, **{TTL: seconds})
    assert status == 200 and headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == seconds
    return body.decode()


@pytest.mark.parametrize(
    "path, expected",
    [
        pytest.param("/latest/meta-data/instance-id", "i-00000000000000001", id="its id"),
        pytest.param("/2021-07-15/meta-data/instance-type", "t3.micro", id="a dated version"),
        pytest.param("/latest/meta-data/local-ipv4", "172.31.0.10", id="its address"),
        pytest.param("/latest/meta-data/local-hostname", "ip-172-31-0-10.eu-west-1.compute.internal", id="its name"),
        pytest.param("/latest/meta-data/placement/", "availability-zone\navailability-zone-id\nregion", id="a listing"),
        pytest.param("/latest/meta-data/placement/region", "eu-west-1", id="its region"),
        pytest.param("/latest/meta-data/placement/availability-zone-id", "euw1-az1", id="its zone's id"),
        pytest.param("/latest/meta-data/network/interfaces/macs/", "02:00:ac:1f:00:0a/", id="its interface"),
        pytest.param(
            "/latest/meta-data/network/interfaces/macs/02:00:ac:1f:00:0a/local-ipv4s", "172.31.0.10", id="its interface's address"
        ),
        pytest.param("/latest/", "dynamic\nmeta-data", id="the top without user data"),
        pytest.param("/latest/dynamic/instance-identity/", "document\npkcs7\nrsa2048\nsignature", id="what is known of its identity"),
        pytest.param("/latest/meta-data/reservation-id?x=1", "r-00000000000000001", id="a query is nothing"),
    ],
)
def test_the_tree(path: str, expected: str) -> None:
    assert ask(machine(), path) == (200, {"Content-Type": "text/plain"}, expected.encode())


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/latest/meta-data/no-such", id="an unknown leaf"),
        pytest.param("/latest/meta-data/instance-id/deeper", id="below a leaf"),
        pytest.param("/latest/meta-data/iam/security-credentials/", id="credentials without a profile"),
        pytest.param("/latest/meta-data/iam/info", id="the profile without one"),
        pytest.param("/latest/meta-data/tags/instance/Name", id="tags that were not let in"),
        pytest.param("/latest/user-data", id="user data that there is not"),
        pytest.param("/2099-01-01/meta-data/", id="a version that there is not"),
        pytest.param("/2019/meta-data/", id="half a version"),
        pytest.param("/favicon.ico", id="something else"),
    ],
)
def test_what_is_not_there(path: str) -> None:
    assert ask(machine(tags={"Name": "web"}), path)[0] == 404


def test_the_top_lists_the_versions() -> None:
    assert ask(machine(), "/")[2].splitlines()[-1] == b"latest"


PLACED = {
    "vpc_ip": "10.0.1.4",
    "wired": True,
    "interface_id": "eni-1",
    "vpc_id": "vpc-1",
    "groups": ["sg-1", "sg-2"],
    "private_ip": "198.19.0.9",
}
AROUND = Surroundings("02:12:34:56:78:9a", "10.0.1.0/24", ("10.0.0.0/16", "10.1.0.0/16"), ("web", "db"))
MACS = "/latest/meta-data/network/interfaces/macs/02:12:34:56:78:9a"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/latest/meta-data/local-ipv4", "10.0.1.4", id="its private address"),
        pytest.param("/latest/meta-data/public-ipv4", "198.19.0.9", id="its public address"),
        pytest.param("/latest/meta-data/mac", "02:12:34:56:78:9a", id="its hardware address"),
        pytest.param("/latest/meta-data/security-groups", "web\ndb", id="its groups by name"),
        pytest.param(f"{MACS}/security-group-ids", "sg-1\nsg-2", id="its groups by id"),
        pytest.param(f"{MACS}/subnet-ipv4-cidr-block", "10.0.1.0/24", id="its subnet"),
        pytest.param(f"{MACS}/vpc-ipv4-cidr-block", "10.0.0.0/16", id="its VPC's first block"),
        pytest.param(f"{MACS}/vpc-ipv4-cidr-blocks", "10.0.0.0/16\n10.1.0.0/16", id="its VPC's blocks"),
        pytest.param(f"{MACS}/ipv4-associations/198.19.0.9", "10.0.1.4", id="what its public address leads to"),
    ],
)
def test_its_place_in_a_vpc(path: str, expected: str) -> None:
    found = answer(SCOPE, machine(**PLACED), "GET", path, {}, SECRET, NOW, AROUND)
    assert found == (200, {"Content-Type": "text/plain"}, expected.encode())


def test_without_a_public_address_there_is_none() -> None:
    instance = machine(**PLACED, public=False)
    for path in ("/latest/meta-data/public-ipv4", f"{MACS}/public-ipv4s", "/latest/meta-data/public-hostname"):
        found = answer(SCOPE, instance, "GET", path, {}, SECRET, NOW, AROUND)
        assert found[0] == 404, path
    elastic = answer(
        SCOPE, machine(**PLACED, public=False, elastic_ip="198.19.0.77"), "GET", "/latest/meta-data/public-ipv4", {}, SECRET, NOW, AROUND
    )
    assert elastic[2] == b"198.19.0.77"


def test_the_identity_document() -> None:
    document = json.loads(ask(machine(), "/latest/dynamic/instance-identity/document")[2])
    assert (document["accountId"], document["region"], document["availabilityZone"]) == ("123456789012", "eu-west-1", "eu-west-1a")
    assert (document["instanceId"], document["privateIp"]) == ("i-00000000000000001", "172.31.0.10")
    assert (document["version"], document["pendingTime"]) == ("2017-09-30", "1970-01-12T13:46:40Z")


def test_user_data_is_handed_out_byte_for_byte() -> None:
    data = bytes(range(256))
    with_data = machine(user_data=base64.b64encode(data).decode())
    assert ask(with_data, "/latest/user-data") == (200, {"Content-Type": "application/octet-stream"}, data)
    assert ask(with_data, "/latest/")[2] == b"dynamic\nmeta-data\nuser-data"


def test_tags_that_were_let_in() -> None:
    shown = machine(tags={"Name": "web", "Empty": ""}, metadata=Tokens(instance_tags="enabled"))
    assert ask(shown, "/latest/meta-data/tags/instance/")[2] == b"Empty\nName"
    assert ask(shown, "/latest/meta-data/tags/instance/Name")[2] == b"web"
    assert ask(shown, "/latest/meta-data/tags/instance/Empty") == (200, {"Content-Type": "text/plain"}, b"")


@pytest.mark.parametrize(
    "options, status",
    [pytest.param(Tokens(), 200, id="optional"), pytest.param(Tokens("required"), 401, id="required")]
    + [pytest.param(Tokens(http_endpoint="disabled"), 403, id="disabled")],
)
def test_version_1(options: Tokens, status: int) -> None:
    assert ask(machine(metadata=options), "/latest/meta-data/ami-id")[0] == status


def test_version_2() -> None:
    strict = machine(metadata=Tokens("required"))
    got = token(strict)
    assert ask(strict, "/latest/meta-data/ami-id", **{TOKEN: got})[2] == b"ami-1"
    assert ask(strict, "/latest/meta-data/ami-id", now=NOW + 59, **{TOKEN: got})[0] == 200
    assert ask(strict, "/latest/meta-data/ami-id", now=NOW + 60, **{TOKEN: got})[0] == 401, "its time is over"


@pytest.mark.parametrize("tokens", ["optional", "required"])
@pytest.mark.parametrize(
    "given",
    [
        pytest.param("", id="an empty one"),
        pytest.param("AAAA", id="a short one"),
        pytest.param("no base64!", id="no base64"),
        pytest.param("\xff\xfe", id="not ASCII"),
        pytest.param(base64.urlsafe_b64encode(b"\xff" * 40).decode(), id="one from the far future"),
        pytest.param(token(machine(id="i-00000000000000002")), id="another instance's"),
    ],
)
def test_wrong_tokens(tokens: str, given: str) -> None:
    assert ask(machine(metadata=Tokens(tokens)), "/latest/meta-data/ami-id", **{TOKEN: given})[0] == 401


@pytest.mark.parametrize(
    "method, headers, status",
    [
        pytest.param("PUT", {}, 400, id="without a time"),
        pytest.param("PUT", {TTL: "0"}, 400, id="no time"),
        pytest.param("PUT", {TTL: "21601"}, 400, id="more than six hours"),
        pytest.param("PUT", {TTL: "21600"}, 200, id="six hours"),
        pytest.param("PUT", {TTL: "ten"}, 400, id="not a number"),
        pytest.param("PUT", {TTL: "9" * 400}, 400, id="an endless number"),
        pytest.param("PUT", {TTL: "60", "x-forwarded-for": "10.0.0.1"}, 403, id="through a proxy"),
        pytest.param("GET", {TTL: "60"}, 405, id="not a PUT"),
    ],
)
def test_asking_for_a_token(method: str, headers: dict[str, str], status: int) -> None:
    assert ask(machine(), "/latest/api/token", method, **headers)[0] == status


def test_the_tree_takes_no_writes() -> None:
    assert ask(machine(), "/latest/meta-data/ami-id", "POST")[0] == 405


def test_credentials_come_from_elsewhere() -> None:
    held = machine(profile_arn=PROFILE)
    wanted = answer(SCOPE, held, "GET", "/latest/meta-data/iam/security-credentials/r", {}, SECRET, NOW)
    assert wanted == NeedsCredentials("123456789012", "eu-west-1", held.id, PROFILE, "r")
    assert ask(held, "/latest/meta-data/iam/security-credentials/r/x")[0] == 404


# -- through a cloud ------------------------------------------------------------------------------------------------


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Guest:
    """What an instance's own requests are answered."""

    def __init__(self, cloud: InProcessCloud, instance: str) -> None:
        self._cloud = cloud
        self._instance = instance
        self._metadata = cloud.on_loop(lambda: InstanceMetadata(cloud.cloud, LoopBackend(cloud.cloud)))

    def get(self, path: str) -> tuple[int, bytes]:
        found = asyncio.run_coroutine_threadsafe(self._metadata(self._instance, "GET", path, {}), self._cloud.loop).result(10)
        assert found is not None
        return found[0], found[2]

    def credentials(self, role: str) -> dict[str, Any]:
        status, body = self.get(f"/latest/meta-data/iam/security-credentials/{role}")
        assert status == 200
        found: dict[str, Any] = json.loads(body)
        return found


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def paced(self, seconds: float) -> float:
        return seconds


def test_an_instance_gets_credentials_of_its_role_and_new_ones_in_time(tmp_path: Path) -> None:
    clock = Hands()
    with Machine(tmp_path).cloud(clock=clock) as cloud:
        for role in ("web", "next"):
            cloud.api("iam", "CreateRole", role_name=role, assume_role_policy_document=trust("ec2.amazonaws.com"))
        cloud.api("iam", "CreateInstanceProfile", instance_profile_name="web")
        cloud.api("iam", "AddRoleToInstanceProfile", instance_profile_name="web", role_name="web")
        instance = running(cloud, iam_instance_profile={"Name": "web"})
        guest = Guest(cloud, instance)
        assert guest.get("/latest/meta-data/iam/security-credentials/") == (200, b"web")
        assert guest.get("/latest/meta-data/iam/security-credentials/next")[0] == 404
        first = guest.credentials("web")
        assert (first["Code"], first["Type"]) == ("Success", "AWS-HMAC") and first["AccessKeyId"].startswith("ASIA")
        known = cloud.read(lambda ctx: cloud.cloud.identity.credential(ctx.tx, first["AccessKeyId"]))
        assert known is not None and known.principal.arn == f"arn:aws:sts::123456789012:assumed-role/web/{instance}"
        clock.at += 4 * 3600
        assert guest.credentials("web") == first
        clock.at += 3600
        second = guest.credentials("web")
        assert second["AccessKeyId"] != first["AccessKeyId"] and second["Expiration"] > first["Expiration"]
        cloud.api("iam", "RemoveRoleFromInstanceProfile", instance_profile_name="web", role_name="web")
        assert guest.get("/latest/meta-data/iam/security-credentials/")[0] == 404
        cloud.api("iam", "AddRoleToInstanceProfile", instance_profile_name="web", role_name="next")
        assert guest.credentials("next")["AccessKeyId"] not in (first["AccessKeyId"], second["AccessKeyId"])


def test_a_role_that_does_not_trust_ec2(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        cloud.api("iam", "CreateRole", role_name="lambda", assume_role_policy_document=trust("lambda.amazonaws.com"))
        cloud.api("iam", "CreateInstanceProfile", instance_profile_name="p")
        cloud.api("iam", "AddRoleToInstanceProfile", instance_profile_name="p", role_name="lambda")
        guest = Guest(cloud, running(cloud, iam_instance_profile={"Name": "p"}))
        assert guest.credentials("lambda")["Code"] == "AssumeRoleUnauthorizedAccess"


def test_a_sandbox_that_is_no_instance_is_answered_nothing(tmp_path: Path) -> None:
    with Machine(tmp_path).cloud() as cloud:
        metadata = cloud.on_loop(lambda: InstanceMetadata(cloud.cloud, LoopBackend(cloud.cloud)))
        asked = asyncio.run_coroutine_threadsafe(metadata("build", "GET", "/latest/", {}), cloud.loop)
        assert asked.result(10) is None
