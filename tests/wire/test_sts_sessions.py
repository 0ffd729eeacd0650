"""Sessions through boto3: web identity with real tokens, multi-factor codes, tags and sources along a chain, federation, messages."""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from clients import Door
from harness import ACCOUNT, InProcessCloud
from people import user_keys
from windtunnel.kernel.clock import FixedClock
from windtunnel.services.iam.devices import STEP, code_at

ROLE = f"arn:aws:iam::{ACCOUNT}:role/"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def trusts(principal: dict[str, Any], *actions: str, **more: Any) -> str:
    return policy({"Effect": "Allow", "Principal": principal, "Action": list(actions or ("sts:AssumeRole",)), **more})


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(float(int(time.time())))


@pytest.fixture
def cloud(tmp_path: Path, clock: FixedClock) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=clock) as running:
        yield running


@pytest.fixture
def iam(door: Door) -> Any:
    return door.client("iam")


def keys_of(reply: dict[str, Any]) -> tuple[str, str, str]:
    found = reply["Credentials"]
    return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]


def refusal(call: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**args)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


# --- web identity --------------------------------------------------------------------------------------------------------------


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """An OpenID Connect issuer on this machine, with an RSA and an elliptic key."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.asked: list[str] = []
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                body = json.dumps(issuer.documents().get(self.path, {})).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.host = self.url.removeprefix("http://")
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def documents(self) -> dict[str, Any]:
        public, point = self.rsa.public_key().public_numbers(), self.ec.public_key().public_numbers()
        return {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {
                "keys": [
                    {"kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig", "n": number(public.n), "e": number(public.e)},
                    {"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))},
                ]
            },
        }

    def token(self, claims: dict[str, Any], alg: str = "RS256", kid: str | None = None) -> str:
        header = {"alg": alg, "typ": "JWT", "kid": kid or {"RS256": "r", "ES256": "e"}.get(alg, "r")}
        text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{text}.{b64(self.sign(text.encode(), alg))}"

    def sign(self, text: bytes, alg: str) -> bytes:
        if alg == "RS256":
            return self.rsa.sign(text, padding.PKCS1v15(), hashes.SHA256())
        if alg == "ES256":
            r, s = decode_dss_signature(self.ec.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return b""

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture
def claims(issuer: Issuer, clock: FixedClock) -> dict[str, Any]:
    now = int(clock.now())
    return {"iss": issuer.url, "sub": "repo:org/app:ref:refs/heads/main", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 300}


@pytest.fixture
def deploy(iam: Any, issuer: Issuer) -> dict[str, Any]:
    """A role for what the issuer says is that repository's main branch."""
    provider = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=["sts.amazonaws.com"])["OpenIDConnectProviderArn"]
    condition = {"StringEquals": {f"{issuer.host}:aud": "sts.amazonaws.com"}, "StringLike": {f"{issuer.host}:sub": "repo:org/app:*"}}
    actions = ("sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity")
    iam.create_role(RoleName="Deploy", AssumeRolePolicyDocument=trusts({"Federated": provider}, *actions, Condition=condition))
    iam.put_role_policy(RoleName="Deploy", PolicyName="may", PolicyDocument=policy(allow("ssm:*")))
    return {"RoleArn": f"{ROLE}Deploy", "RoleSessionName": "release"}


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_token_of_a_registered_issuer_makes_a_session(
    door: Door, issuer: Issuer, claims: dict[str, Any], deploy: dict[str, Any], alg: str
) -> None:
    reply = unsigned(door).assume_role_with_web_identity(WebIdentityToken=issuer.token(claims, alg), **deploy)
    assert reply["SubjectFromWebIdentityToken"] == claims["sub"]
    assert reply["Audience"] == "sts.amazonaws.com"
    assert reply["Provider"] == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.host}"
    session = keys_of(reply)
    assert door.client("sts", session).get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/release"
    door.client("ssm", session).put_parameter(Name="/p", Value="v", Type="String")


def unsigned(door: Door) -> Any:
    """boto3 signs none of these calls by itself: the token is the proof."""
    return door.client("sts", ("", "", ""))


def bent(claims: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    "changes, code",
    [
        pytest.param({"aud": "another"}, "InvalidIdentityToken", id="another audience"),
        pytest.param({"azp": "another"}, "InvalidIdentityToken", id="another authorized party"),
        pytest.param({"iss": "https://elsewhere.example.com"}, "InvalidIdentityToken", id="an issuer that is not registered"),
        pytest.param({"exp": 1}, "ExpiredTokenException", id="ended"),
        pytest.param({"iat": 1 << 40}, "InvalidIdentityToken", id="of the future"),
        pytest.param({"nbf": 1 << 40}, "InvalidIdentityToken", id="not yet valid"),
        pytest.param({"exp": None}, "InvalidIdentityToken", id="without an end"),
        pytest.param({"sub": None}, "InvalidIdentityToken", id="without a subject"),
        pytest.param({"sub": "repo:other/app:ref:refs/heads/main"}, "AccessDenied", id="a subject that the role does not trust"),
    ],
)
def test_a_token_that_is_not_right_is_refused(
    door: Door, issuer: Issuer, claims: dict[str, Any], deploy: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    token = issuer.token(bent(claims, **changes))
    assert refusal(unsigned(door).assume_role_with_web_identity, WebIdentityToken=token, **deploy)[0] == code


@pytest.mark.parametrize("how", ["altered", "none", "hmac", "swapped", "rubbish"])
def test_a_token_that_nobody_signed_is_refused(
    door: Door, issuer: Issuer, claims: dict[str, Any], deploy: dict[str, Any], how: str
) -> None:
    good = issuer.token(claims)
    head, body, proof = good.split(".")
    tokens = {
        "altered": f"{head}.{b64(json.dumps({**claims, 'sub': 'repo:org/app:ref:refs/heads/evil'}).encode())}.{proof}",
        "none": issuer.token(claims, "none"),
        "hmac": issuer.token(claims, "HS256"),
        "swapped": issuer.token(claims, "ES256", kid="r"),
        "rubbish": "abcdefgh.ijklmnop.qrstuvwx",
    }
    assert refusal(unsigned(door).assume_role_with_web_identity, WebIdentityToken=tokens[how], **deploy)[0] == "InvalidIdentityToken"


def test_keys_that_the_issuer_has_replaced_are_asked_for_again(
    door: Door, issuer: Issuer, claims: dict[str, Any], deploy: dict[str, Any]
) -> None:
    sts = unsigned(door)
    sts.assume_role_with_web_identity(WebIdentityToken=issuer.token(claims), **deploy)
    once = len(issuer.asked)
    sts.assume_role_with_web_identity(WebIdentityToken=issuer.token(claims), **deploy)
    assert len(issuer.asked) == once, "known keys are not asked for again"
    issuer.rsa = rsa.generate_private_key(65537, 2048)
    assert sts.assume_role_with_web_identity(WebIdentityToken=issuer.token(claims), **deploy)["Credentials"]
    assert len(issuer.asked) > once


def test_an_issuer_that_is_not_on_this_machine_is_not_asked(
    door: Door, iam: Any, issuer: Issuer, claims: dict[str, Any], deploy: dict[str, Any]
) -> None:
    iam.create_open_id_connect_provider(Url="https://token.example.com", ClientIDList=["sts.amazonaws.com"])
    token = issuer.token(bent(claims, iss="https://token.example.com"))
    code, words = refusal(unsigned(door).assume_role_with_web_identity, WebIdentityToken=token, **deploy)
    assert (code, "retrieve verification key" in words) == ("InvalidIdentityToken", True)


def test_a_tokens_tags_are_the_sessions(door: Door, iam: Any, issuer: Issuer, claims: dict[str, Any], deploy: dict[str, Any]) -> None:
    of_team = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
    iam.put_role_policy(RoleName="Deploy", PolicyName="may", PolicyDocument=policy(allow("ssm:PutParameter", Condition=of_team)))
    sts = unsigned(door)
    tags = {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}}
    blue = keys_of(sts.assume_role_with_web_identity(WebIdentityToken=issuer.token({**claims, **tags}), **deploy))
    none = keys_of(sts.assume_role_with_web_identity(WebIdentityToken=issuer.token(claims), **deploy))
    door.client("ssm", blue).put_parameter(Name="/p", Value="v", Type="String")
    assert refusal(door.client("ssm", none).put_parameter, Name="/q", Value="v", Type="String")[0] == "AccessDeniedException"


# --- multi-factor devices ----------------------------------------------------------------------------------------------------------


def device(iam: Any, clock: FixedClock, user: str, name: str = "phone") -> tuple[str, str]:
    """(serial number, seed) of an enabled device; its next code is the one after the second."""
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]
    seed = made["Base32StringSeed"].decode()
    step = int(clock.now()) // STEP
    first, second = code_at(seed, step - 1), code_at(seed, step)
    iam.enable_mfa_device(UserName=user, SerialNumber=made["SerialNumber"], AuthenticationCode1=first, AuthenticationCode2=second)
    return made["SerialNumber"], seed


def test_a_code_makes_a_session_that_policies_can_tell(door: Door, iam: Any, clock: FixedClock) -> None:
    with_code = {"Bool": {"aws:MultiFactorAuthPresent": "true"}, "NumericLessThan": {"aws:MultiFactorAuthAge": "600"}}
    keys = user_keys(iam, "alice", allow("iam:GetUser", Condition=with_code))
    serial, seed = device(iam, clock, "alice")
    sts = door.client("sts", keys)
    step = int(clock.now()) // STEP
    assert refusal(door.client("iam", keys).get_user)[0] == "AccessDenied", "a long-lived key has no code"
    without = keys_of(sts.get_session_token())
    assert refusal(door.client("iam", without).get_user)[0] == "InvalidClientTokenId", "IAM takes no session without a code"
    code = code_at(seed, step + 1)
    session = keys_of(sts.get_session_token(SerialNumber=serial, TokenCode=code))
    assert door.client("iam", session).get_user()["User"]["UserName"] == "alice"
    assert refusal(sts.get_session_token, SerialNumber=serial, TokenCode=code) == (
        "AccessDenied",
        "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
    ), "a code counts once"
    clock.advance(601)
    assert refusal(door.client("iam", session).get_user)[0] in ("AccessDenied", "SignatureDoesNotMatch")


def test_codes_that_are_not_right(door: Door, iam: Any, clock: FixedClock) -> None:
    keys = user_keys(iam, "alice")
    user_keys(iam, "bob")
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]
    serial, seed = made["SerialNumber"], made["Base32StringSeed"].decode()
    assert made["QRCodePNG"].startswith(b"\x89PNG")
    step = int(clock.now()) // STEP
    same = {"UserName": "alice", "SerialNumber": serial}
    wrong = refusal(iam.enable_mfa_device, **same, AuthenticationCode1=code_at(seed, step), AuthenticationCode2=code_at(seed, step))
    assert wrong[0] == "InvalidAuthenticationCode", "the codes must be consecutive"
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []
    iam.enable_mfa_device(**same, AuthenticationCode1=code_at(seed, step - 1), AuthenticationCode2=code_at(seed, step))
    assert iam.list_mfa_devices(UserName="alice")["MFADevices"][0]["SerialNumber"] == serial
    assert refusal(iam.enable_mfa_device, UserName="bob", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="123457")[
        0
    ] == ("EntityAlreadyExists")
    assert refusal(iam.delete_virtual_mfa_device, SerialNumber=serial)[0] == "DeleteConflict"
    sts = door.client("sts", keys)
    assert refusal(sts.get_session_token, SerialNumber=serial, TokenCode="000000")[0] == "AccessDenied"
    assert refusal(sts.get_session_token, SerialNumber=serial + "x", TokenCode=code_at(seed, step + 1))[0] == "AccessDenied"
    iam.deactivate_mfa_device(UserName="alice", SerialNumber=serial)
    assert refusal(sts.get_session_token, SerialNumber=serial, TokenCode=code_at(seed, step + 1))[0] == "AccessDenied"
    iam.delete_virtual_mfa_device(SerialNumber=serial)


def test_a_role_may_ask_for_a_code(door: Door, iam: Any, clock: FixedClock) -> None:
    condition = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    keys = user_keys(iam, "alice", allow("sts:AssumeRole"))
    iam.create_role(RoleName="Admin", AssumeRolePolicyDocument=trusts({"AWS": ACCOUNT}, **condition))
    serial, seed = device(iam, clock, "alice")
    sts = door.client("sts", keys)
    assert refusal(sts.assume_role, RoleArn=f"{ROLE}Admin", RoleSessionName="work")[0] == "AccessDenied"
    code = code_at(seed, int(clock.now()) // STEP + 1)
    assert sts.assume_role(RoleArn=f"{ROLE}Admin", RoleSessionName="work", SerialNumber=serial, TokenCode=code)["Credentials"]


def test_a_seed_is_sealed_at_rest(cloud: InProcessCloud, iam: Any) -> None:
    seed = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]["Base32StringSeed"]
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        rows = tx.connection.execute("SELECT body FROM doc WHERE kind='iam.mfa-device'").fetchall()
    assert len(rows) == 1
    assert seed not in bytes(rows[0][0])


# --- chains, tags, sources -----------------------------------------------------------------------------------------------------------

LINK = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")


def chain(door: Door, iam: Any) -> tuple[Any, tuple[str, str, str]]:
    """A user who may assume First, which may assume Second; sts of the user."""
    keys = user_keys(iam, "alice", allow(*LINK))
    iam.create_role(RoleName="First", AssumeRolePolicyDocument=trusts({"AWS": ACCOUNT}, *LINK))
    iam.put_role_policy(RoleName="First", PolicyName="on", PolicyDocument=policy(allow(*LINK)))
    iam.create_role(RoleName="Second", AssumeRolePolicyDocument=trusts({"AWS": f"{ROLE}First"}, *LINK))
    of_team = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
    iam.put_role_policy(RoleName="Second", PolicyName="may", PolicyDocument=policy(allow("iam:ListUsers", Condition=of_team)))
    return door.client("sts", keys), keys


@pytest.mark.parametrize("transitive", [True, False])
def test_only_transitive_tags_go_on_along_a_chain(door: Door, iam: Any, transitive: bool) -> None:
    sts, _ = chain(door, iam)
    more = {"TransitiveTagKeys": ["team"]} if transitive else {}
    first = keys_of(sts.assume_role(RoleArn=f"{ROLE}First", RoleSessionName="one", Tags=[{"Key": "team", "Value": "blue"}], **more))
    second = keys_of(door.client("sts", first).assume_role(RoleArn=f"{ROLE}Second", RoleSessionName="two"))
    if transitive:
        assert door.client("iam", second).list_users()["Users"]
        code, words = refusal(
            door.client("sts", first).assume_role, RoleArn=f"{ROLE}Second", RoleSessionName="two", Tags=[{"Key": "Team", "Value": "red"}]
        )
        assert (code, "conflicts with a transitive tag key" in words) == ("InvalidParameterValue", True)
    else:
        assert refusal(door.client("iam", second).list_users)[0] == "AccessDenied"


def test_a_tag_that_is_not_there_cannot_go_on(door: Door, iam: Any) -> None:
    sts, _ = chain(door, iam)
    assert refusal(sts.assume_role, RoleArn=f"{ROLE}First", RoleSessionName="one", TransitiveTagKeys=["team"])[0] == "ValidationError"


def test_a_chained_session_lasts_an_hour_at_most(door: Door, iam: Any) -> None:
    sts, _ = chain(door, iam)
    iam.update_role(RoleName="Second", MaxSessionDuration=7200)
    first = door.client("sts", keys_of(sts.assume_role(RoleArn=f"{ROLE}First", RoleSessionName="one")))
    assert refusal(first.assume_role, RoleArn=f"{ROLE}Second", RoleSessionName="two", DurationSeconds=7200)[0] == "ValidationError"
    assert first.assume_role(RoleArn=f"{ROLE}Second", RoleSessionName="two", DurationSeconds=3600)["Credentials"]


def test_a_source_identity_stays(door: Door, iam: Any) -> None:
    sts, _ = chain(door, iam)
    reply = sts.assume_role(RoleArn=f"{ROLE}First", RoleSessionName="one", SourceIdentity="alice")
    assert reply["SourceIdentity"] == "alice"
    first = door.client("sts", keys_of(reply))
    assert refusal(first.assume_role, RoleArn=f"{ROLE}Second", RoleSessionName="two", SourceIdentity="mallory")[0] == "AccessDenied"
    assert first.assume_role(RoleArn=f"{ROLE}Second", RoleSessionName="two")["SourceIdentity"] == "alice"
    iam.put_role_policy(RoleName="First", PolicyName="on", PolicyDocument=policy(allow("sts:AssumeRole")))
    iam.put_user_policy(UserName="alice", PolicyName="may", PolicyDocument=policy(allow("sts:AssumeRole")))
    assert refusal(sts.assume_role, RoleArn=f"{ROLE}First", RoleSessionName="one", SourceIdentity="alice")[0] == "AccessDenied", (
        "it takes sts:SetSourceIdentity"
    )


def test_a_session_policy_only_takes_away(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "alice", allow("sts:AssumeRole"))
    iam.create_role(RoleName="Wide", AssumeRolePolicyDocument=trusts({"AWS": ACCOUNT}))
    iam.put_role_policy(RoleName="Wide", PolicyName="may", PolicyDocument=policy(allow("iam:*")))
    sts = door.client("sts", keys)
    narrow = keys_of(sts.assume_role(RoleArn=f"{ROLE}Wide", RoleSessionName="one", Policy=policy(allow("iam:ListUsers", "s3:*"))))
    assert door.client("iam", narrow).list_users()["Users"]
    assert refusal(door.client("iam", narrow).list_roles)[0] == "AccessDenied"
    assert refusal(door.client("s3", narrow).list_buckets)[0] == "AccessDenied", "what the role may not do, its session may not"


# --- federation and messages -------------------------------------------------------------------------------------------------------


def test_a_federated_user_may_what_both_say(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "broker", allow("sts:GetFederationToken", "s3:ListAllMyBuckets", "ssm:DescribeParameters", "iam:ListUsers"))
    sts = door.client("sts", keys)
    reply = sts.get_federation_token(Name="carol", Policy=policy(allow("s3:ListAllMyBuckets", "logs:*", "iam:*")))
    assert reply["FederatedUser"] == {
        "FederatedUserId": f"{ACCOUNT}:carol",
        "Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/carol",
    }
    carol = keys_of(reply)
    assert door.client("sts", carol).get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:federated-user/carol"
    assert door.client("s3", carol).list_buckets()["Buckets"] == []
    assert refusal(door.client("ssm", carol).describe_parameters)[0] == "AccessDeniedException", "the user may, the session may not"
    assert refusal(door.client("logs", carol).describe_log_groups)[0] == "AccessDeniedException", "the session may, the user may not"
    assert refusal(door.client("iam", carol).list_users)[0] == "InvalidClientTokenId", "IAM takes no federated user"
    nothing = keys_of(sts.get_federation_token(Name="dave"))
    assert refusal(door.client("s3", nothing).list_buckets)[0] == "AccessDenied", "without a session policy there is nothing"
    assert refusal(door.client("sts", carol).get_federation_token, Name="eve")[0] == "AccessDenied"
    iam.delete_user_policy(UserName="broker", PolicyName="may")
    assert refusal(door.client("s3", carol).list_buckets)[0] == "AccessDenied", "the user's own policies count at each call"


def test_a_bucket_grants_to_a_federated_user_by_name(door: Door, iam: Any) -> None:
    keys = user_keys(iam, "broker", allow("sts:GetFederationToken"))
    carol = keys_of(door.client("sts", keys).get_federation_token(Name="carol"))
    s3 = door.client("s3")
    s3.create_bucket(Bucket="carols")
    s3.put_object(Bucket="carols", Key="k", Body=b"content")
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/carol"
    granted = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::carols/*"}
    s3.put_bucket_policy(Bucket="carols", Policy=policy(granted))
    assert door.client("s3", carol).get_object(Bucket="carols", Key="k")["Body"].read() == b"content"


def test_an_encoded_message_is_the_decision(door: Door, iam: Any) -> None:
    deny = {"Sid": "NoLooking", "Effect": "Deny", "Action": "ec2:Describe*", "Resource": "*"}
    keys = user_keys(iam, "alice", deny, allow("sts:DecodeAuthorizationMessage"))
    code, words = refusal(door.client("ec2", keys).describe_instances)
    assert code == "UnauthorizedOperation"
    message = words.partition("Encoded authorization failure message: ")[2]
    decoded = json.loads(door.client("sts", keys).decode_authorization_message(EncodedMessage=message)["DecodedMessage"])
    assert (decoded["allowed"], decoded["explicitDeny"]) == (False, True)
    assert decoded["matchedStatements"]["items"][0]["statementId"] == "NoLooking"
    assert decoded["context"]["action"] == "ec2:DescribeInstances"
    assert decoded["context"]["principal"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    root = door.client("sts")
    for bad in (message[:-4], message[:-1] + ("A" if message[-1] != "A" else "B"), "AAAA", "not a message!"):
        assert refusal(root.decode_authorization_message, EncodedMessage=bad)[0] == "InvalidAuthorizationMessageException"
