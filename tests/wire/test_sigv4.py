"""SigV4 against AWS's own vectors, against botocore as the client, and against every way to get it wrong."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.wire import gitauth, sigv4
from windtunnel.wire.autherrors import basic
from windtunnel.wire.signing import presign, sign_git, sign_request

SUITE = Path(__file__).parents[3] / "shared" / "data" / "sigv4"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1440938160.0  # 2015-08-30T12:36:00Z, the vectors' date


def credential(key: str = "AKIDEXAMPLE", token: str = "", expires: float | None = None) -> Credential:
    return Credential(key, SECRET, Principal.root("123456789012", key), token, expires)


def lookup_of(*known: Credential) -> Callable[[str], Credential | None]:
    return {one.access_key: one for one in known}.get


def check(
    method: str,
    path: str,
    query: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes = b"",
    *,
    family: Any = "json",
    now: float = NOW,
    known: Credential | None = None,
) -> sigv4.Verified:
    signed = sigv4.read_signature(dict(headers), query, family)
    assert signed is not None
    return sigv4.verify(
        signed, method, path, query, headers, lambda: sha256(body).hexdigest(), lookup_of(known or credential()), now, family
    )


def vectors() -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(SUITE.rglob("*.sreq"))]


def parse(text: str) -> tuple[str, str, list[tuple[bytes, bytes]], bytes]:
    head, _, body = text.partition("\n\n")
    lines = head.split("\n")
    method, target = lines[0].split(" ", 1)[0], lines[0].split(" ", 1)[1].rsplit(" ", 1)[0]
    headers: list[tuple[bytes, bytes]] = []
    for line in lines[1:]:
        if line.startswith((" ", "\t")):
            headers[-1] = (headers[-1][0], headers[-1][1] + b" " + line.encode())
        elif line:
            name, _, value = line.partition(":")
            headers.append((name.lower().encode(), value.encode()))
    return method, target, headers, body.encode()


@pytest.mark.skipif(not SUITE.is_dir(), reason=f"AWS's SigV4 vectors are not at {SUITE}")
@pytest.mark.parametrize("path", vectors())
def test_vector(path: Path) -> None:
    method, target, headers, body = parse(path.read_text())
    # One vector's .sreq bears another's signature: the .authz file is the authority.
    authorization = path.with_suffix(".authz").read_text().strip()
    headers = [(name, authorization.encode() if name == b"authorization" else value) for name, value in headers]
    signed_names = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    token = dict(headers).get(b"x-amz-security-token", b"").decode()
    raw_path, _, query = target.partition("?")
    found = check(method, raw_path, query, headers, body, known=credential(token=token))
    assert (found.region, found.service, found.session_token) == ("us-east-1", "service", token)
    assert [name.decode() for name in found.signed_headers] == signed_names
    broken = [(name, value.replace(b"Signature=", b"Signature=0") if name == b"authorization" else value) for name, value in headers]
    with pytest.raises(AwsError, match="InvalidSignatureException"):
        check(method, raw_path, query, broken, body, known=credential(token=token))


@pytest.mark.skipif(not SUITE.is_dir(), reason=f"AWS's SigV4 vectors are not at {SUITE}")
def test_the_vectors_are_there() -> None:
    assert len(vectors()) >= 30


@pytest.fixture
def client_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(NOW, UTC))


def botocore_signed(auth: Any, method: str, url: str, headers: dict[str, str], body: bytes, token: str = "", **options: Any) -> AWSRequest:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    request.context["client_config"] = None
    request.context["payload_signing_enabled"] = True
    auth(Credentials("AKIDEXAMPLE", SECRET, token or None), options.pop("service"), "eu-west-1", **options).add_auth(request)
    return request


def received(request: AWSRequest) -> tuple[str, str, str, list[tuple[bytes, bytes]]]:
    url = urlsplit(request.url)
    headers = [
        (name.lower().encode(), str(value).encode() if not isinstance(value, bytes) else value) for name, value in request.headers.items()
    ]
    if all(name != b"host" for name, _ in headers):
        headers.append((b"host", url.netloc.encode()))
    return request.method, url.path or "/", url.query, headers


@pytest.mark.usefixtures("client_clock")
@pytest.mark.parametrize("token", ["", "FwoGZXIvYXdzE//token=="])
@pytest.mark.parametrize(
    "auth, service, family, method, url",
    [
        pytest.param(SigV4Auth, "ssm", "json", "POST", "http://127.0.0.1:4566/", id="a json service"),
        pytest.param(
            SigV4Auth,
            "lambda",
            "json",
            "GET",
            "http://127.0.0.1:4566/2015/functions/arn%3Aaws%3Ax/a%20b?B=2&A=1&A=0&Z",
            id="a rest service, encoded twice",
        ),
        pytest.param(
            S3SigV4Auth,
            "s3",
            "s3",
            "PUT",
            "http://127.0.0.1:4566/b/a%20b//c/../%C3%A9%2B%3D.txt?partNumber=1&uploadId=a%2Fb",
            id="s3, encoded once",
        ),
        pytest.param(
            S3SigV4QueryAuth,
            "s3",
            "s3",
            "GET",
            "http://127.0.0.1:4566/b/a%20b//k?response-content-type=text%2Fplain",
            id="an s3 presigned url",
        ),
        pytest.param(
            SigV4QueryAuth,
            "sts",
            "query",
            "GET",
            "http://127.0.0.1:4566/?Action=GetCallerIdentity&Version=2011-06-15",
            id="an sts presigned url",
        ),
    ],
)
def test_what_botocore_signs_is_accepted_and_nothing_else(auth: Any, service: str, family: str, method: str, url: str, token: str) -> None:
    body = b"" if method == "GET" else b'{"a": 1}'
    request = botocore_signed(auth, method, url, {"Content-Type": "application/json"} if body else {}, body, token, service=service)
    method, path, query, headers = received(request)
    known = credential(token=token)
    found = check(method, path, query, headers, body, family=family, known=known)
    assert (found.service, found.region, found.credential) == (service, "eu-west-1", known)
    altered = [
        ("DELETE", path, query, headers),
        (method, path + "x", query, headers),
        (method, path, query + "&more=1" if query else "more=1", headers),
        (method, path, query, [(n, b"evil.example" if n == b"host" else v) for n, v in headers]),
    ]
    for changed in altered:
        with pytest.raises(AwsError) as caught:
            check(*changed, body, family=family, known=known)
        assert caught.value.code in ("InvalidSignatureException", "SignatureDoesNotMatch")


@pytest.mark.usefixtures("client_clock")
def test_a_changed_body_is_refused() -> None:
    method, path, query, headers = received(botocore_signed(SigV4Auth, "POST", "http://h/", {}, b"{}", service="ssm"))
    with pytest.raises(AwsError, match="InvalidSignatureException"):
        check(method, path, query, headers, b'{"x":1}')


@pytest.mark.usefixtures("client_clock")
def test_a_body_that_is_not_the_claimed_one_is_refused() -> None:
    method, path, query, headers = received(botocore_signed(S3SigV4Auth, "PUT", "http://h/b/k", {}, b"right", service="s3"))
    found = check(method, path, query, headers, b"never asked", family="s3")
    sigv4.check_body(found, sha256(b"right").hexdigest())
    with pytest.raises(AwsError, match="XAmzContentSHA256Mismatch"):
        sigv4.check_body(found, sha256(b"wrong").hexdigest())


def signed_headers(**change: Any) -> list[tuple[bytes, bytes]]:
    options = {"region": "us-east-1", "service": "ssm", "now": NOW} | change
    return sign_request(
        options.pop("credential", credential()), "POST", "/", "", [(b"host", b"h"), *options.pop("extra", [])], b"", **options
    )


FAMILIES = ["json", "query", "ec2", "s3"]


@pytest.mark.parametrize(
    "family, code, status",
    [
        ("json", "UnrecognizedClientException", 400),
        ("query", "InvalidClientTokenId", 403),
        ("ec2", "AuthFailure", 401),
        ("s3", "InvalidAccessKeyId", 403),
    ],
)
def test_an_unknown_key(family: str, code: str, status: int) -> None:
    headers = signed_headers(credential=credential("AKIDOTHER"), service="s3" if family == "s3" else "ssm")
    with pytest.raises(AwsError) as caught:
        check("POST", "/", "", headers, family=family)
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrong_secret(family: str) -> None:
    wrong = Credential("AKIDEXAMPLE", "another secret", Principal.root("123456789012"))
    headers = signed_headers(credential=wrong, service="s3" if family == "s3" else "ssm")
    with pytest.raises(AwsError) as caught:
        check("POST", "/", "", headers, family=family)
    assert caught.value.code == {"json": "InvalidSignatureException", "ec2": "AuthFailure"}.get(family, "SignatureDoesNotMatch")
    if family == "s3":
        assert caught.value.extra["StringToSign"].startswith("AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/s3/aws4_request\n")


@pytest.mark.parametrize("offset, accepted", [(-901, False), (-899, True), (0, True), (899, True), (901, False)])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_clock_may_be_fifteen_minutes_off(family: str, offset: float, accepted: bool) -> None:
    headers = signed_headers(service="s3" if family == "s3" else "ssm")
    if accepted:
        assert check("POST", "/", "", headers, family=family, now=NOW + offset).access_key == "AKIDEXAMPLE"
        return
    with pytest.raises(AwsError) as caught:
        check("POST", "/", "", headers, family=family, now=NOW + offset)
    expected = {
        "json": "InvalidSignatureException",
        "query": "SignatureDoesNotMatch",
        "ec2": "RequestExpired",
        "s3": "RequestTimeTooSkewed",
    }
    assert caught.value.code == expected[family]
    if family == "json" and offset > 0:
        assert (
            caught.value.message == "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
        )


@pytest.mark.parametrize(
    "family, wrong, old",
    [
        ("json", "UnrecognizedClientException", "ExpiredTokenException"),
        ("query", "InvalidClientTokenId", "ExpiredToken"),
        ("ec2", "AuthFailure", "RequestExpired"),
        ("s3", "InvalidToken", "ExpiredToken"),
    ],
)
def test_session_tokens(family: str, wrong: str, old: str) -> None:
    session = credential("ASIAEXAMPLE", "the token", NOW + 60)
    service = "s3" if family == "s3" else "ssm"
    headers = signed_headers(credential=session, service=service)
    assert check("POST", "/", "", headers, family=family, known=session).session_token == "the token"
    with pytest.raises(AwsError, match=old):
        check("POST", "/", "", headers, family=family, known=session, now=NOW + 61)
    for other in (credential("ASIAEXAMPLE", "another", NOW + 60), credential("ASIAEXAMPLE", "", NOW + 60)):
        with pytest.raises(AwsError, match=wrong):
            check("POST", "/", "", headers, family=family, known=other)
    with pytest.raises(AwsError, match=wrong):
        check("POST", "/", "", signed_headers(credential=credential("ASIAEXAMPLE"), service=service), family=family, known=session)


@pytest.mark.parametrize(
    "name, family, code",
    [(b"x-amz-meta-a", "s3", "AccessDenied"), (b"x-amz-target", "json", "InvalidSignatureException"), (b"x-amz-acl", "ec2", "AuthFailure")],
)
def test_every_x_amz_header_must_be_signed(name: bytes, family: str, code: str) -> None:
    headers = [*signed_headers(service="s3" if family == "s3" else "ssm"), (name, b"smuggled")]
    with pytest.raises(AwsError, match=code):
        check("POST", "/", "", headers, family=family)


def test_host_must_be_signed() -> None:
    headers = sign_request(credential(), "POST", "/", "", [], b"", region="us-east-1", service="ssm", now=NOW)
    with pytest.raises(AwsError, match="'Host' or ':authority' must be a 'SignedHeader'"):
        check("POST", "/", "", [*headers, (b"host", b"h")])


@pytest.mark.parametrize(
    "authorization, code",
    [
        (b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/ssm/aws4_request", "IncompleteSignatureException"),
        (b"AWS4-HMAC-SHA256", "IncompleteSignatureException"),
        (b"AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=0", "IncompleteSignatureException"),
        (b"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws5_request, SignedHeaders=host, Signature=0", "IncompleteSignatureException"),
        (b"AWS4-HMAC-SHA256 Credential=\xff/20150830/r/s/aws4_request, SignedHeaders=\xfe, Signature=0", "IncompleteSignatureException"),
        (b"AWS AKIDEXAMPLE:c2ln", "IncompleteSignatureException"),
        (b"Basic YTpi", "IncompleteSignatureException"),
        (b"", "IncompleteSignatureException"),
        (
            b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=\xff\xfe",
            "InvalidSignatureException",
        ),
        (
            b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/r/s/aws4_request, SignedHeaders=host;;%b, Signature=0",
            "InvalidSignatureException",
        ),
    ],
)
def test_malformed_authorization(authorization: bytes, code: str) -> None:
    headers = [(b"host", b"h"), (b"x-amz-date", b"20150830T123600Z"), (b"authorization", authorization)]
    if b";;" in authorization:
        headers = [(b"host", b"h"), (b"date", b"Sun, 30 Aug 2015 12:36:00 GMT"), (b"authorization", authorization)]
    with pytest.raises(AwsError) as caught:
        check("POST", "/", "", headers)
    assert caught.value.code == code


def test_the_date_of_the_scope_must_be_the_requests() -> None:
    headers = [(n, v.replace(b"/20150830/", b"/20150829/")) for n, v in signed_headers()]
    with pytest.raises(AwsError, match="Date in Credential scope does not match"):
        check("POST", "/", "", headers)


@pytest.mark.parametrize("stamp", [b"yesterday", b"20159930T123600Z", b"2015-08-30T12:36:00Z", b"\xff"])
def test_a_date_that_is_none(stamp: bytes) -> None:
    headers = [(n, stamp if n == b"x-amz-date" else v) for n, v in signed_headers()]
    with pytest.raises(AwsError, match="IncompleteSignatureException"):
        check("POST", "/", "", headers)


def presigned(expires: int | str = 60, **options: Any) -> str:
    query = presign(credential(), "GET", "h", "/b/k", region="us-east-1", service="s3", now=NOW, expires=60, **options)
    return query.replace("X-Amz-Expires=60", f"X-Amz-Expires={expires}")


@pytest.mark.parametrize(
    "query, now, code",
    [
        pytest.param(presigned(), NOW + 59, None, id="in time"),
        pytest.param(presigned(), NOW + 61, "AccessDenied: Request has expired", id="too late"),
        pytest.param(presigned(), NOW - 901, "AccessDenied: Request is not valid yet", id="from the future"),
        pytest.param(
            presigned(604801), NOW, "AuthorizationQueryParametersError: X-Amz-Expires must be less than a week", id="more than a week"
        ),
        pytest.param(presigned(-1), NOW, "AuthorizationQueryParametersError: X-Amz-Expires must be non-negative", id="negative"),
        pytest.param(presigned("1e3"), NOW, "AuthorizationQueryParametersError: X-Amz-Expires should be a number", id="no number"),
        pytest.param(presigned("9" * 20), NOW, "AuthorizationQueryParametersError", id="a huge number"),
        pytest.param(presigned(61), NOW, "SignatureDoesNotMatch", id="another expiry than the signed one"),
        pytest.param("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=1", NOW, "AuthorizationQueryParametersError", id="parts are missing"),
        pytest.param(presigned().replace("AKIDEXAMPLE%2F", ""), NOW, "AuthorizationQueryParametersError", id="a broken scope"),
    ],
)
def test_presigned_urls(query: str, now: float, code: str | None) -> None:
    if code is None:
        assert check("GET", "/b/k", query, [(b"host", b"h")], family="s3", now=now).payload == "unsigned"
        return
    with pytest.raises(AwsError, match=code):
        check("GET", "/b/k", query, [(b"host", b"h")], family="s3", now=now)


@pytest.mark.parametrize(
    "family, signed_for, asked, code",
    [
        ("json", "s3", "ssm", "InvalidSignatureException: Credential should be scoped to correct service: 'ssm'"),
        ("query", "ssm", "iam", "SignatureDoesNotMatch: Credential should be scoped to correct service: 'iam'"),
        ("ec2", "ssm", "ec2", "AuthFailure"),
        ("s3", "ssm", "s3", "AuthorizationHeaderMalformed"),
    ],
)
def test_a_signature_is_good_for_its_service_only(family: Any, signed_for: str, asked: str, code: str) -> None:
    headers = signed_headers(service=signed_for)
    signed = sigv4.read_signature(dict(headers), "", family)
    assert signed is not None
    with pytest.raises(AwsError, match=code):
        sigv4.verify(signed, "POST", "/", "", headers, lambda: sha256(b"").hexdigest(), lookup_of(credential()), NOW, family, asked)


def test_an_unsigned_request_is_nobodys() -> None:
    assert sigv4.read_signature({b"host": b"h"}, "list-type=2") is None


def test_a_removed_key_stops_working_at_once() -> None:
    headers = signed_headers()
    assert check("POST", "/", "", headers).access_key == "AKIDEXAMPLE"
    signed = sigv4.read_signature(dict(headers), "")
    assert signed is not None
    with pytest.raises(AwsError, match="UnrecognizedClientException"):
        sigv4.verify(signed, "POST", "/", "", headers, lambda: sha256(b"").hexdigest(), lookup_of(), NOW, "json")
    rotated = Credential("AKIDEXAMPLE", "new secret", Principal.root("123456789012"))
    with pytest.raises(AwsError, match="InvalidSignatureException"):
        sigv4.verify(signed, "POST", "/", "", headers, lambda: sha256(b"").hexdigest(), lookup_of(rotated), NOW, "json")


def test_s3_asks_for_the_payloads_hash() -> None:
    headers = sign_request(credential(), "GET", "/b", "", [(b"host", b"h")], b"", region="us-east-1", service="ssm", now=NOW)
    with pytest.raises(AwsError, match="Missing required header for this request: x-amz-content-sha256"):
        check("GET", "/b", "", headers, family="s3")
    headers = sign_request(
        credential(), "GET", "/b", "", [(b"host", b"h")], b"", region="us-east-1", service="s3", now=NOW, payload_hash="nonsense"
    )
    with pytest.raises(AwsError, match="InvalidArgument"):
        check("GET", "/b", "", headers, family="s3")


def helper_password(host: str, path: str, key: Credential, region: str = "eu-west-1") -> str:
    """What `aws codecommit credential-helper` prints."""
    from awscli.customizations.codecommit import CodeCommitGetCommand

    class Session:
        def get_credentials(self) -> Credentials:
            return Credentials(key.access_key, key.secret, key.token or None)

    password: str = CodeCommitGetCommand(Session()).sign_request(region, f"http://{host}{path}")
    return password


@pytest.mark.parametrize("host", ["git-codecommit.eu-west-1.amazonaws.com", "127.0.0.1:4566"])
@pytest.mark.parametrize("token", ["", "session/token+="])
def test_git_credentials(host: str, token: str) -> None:
    key = credential(token=token, expires=NOW + 60 if token else None)
    path = "/v1/repos/demo"
    user, password = sign_git(key, host, path, region="eu-west-1", now=NOW)
    lookup = lookup_of(key)
    assert gitauth.verify_git(user, password, host, path, "eu-west-1", lookup, NOW + 1) is key
    refused = [
        (user, password, host, "/v1/repos/other", NOW),
        (user, password[:-1] + ("0" if password[-1] != "0" else "1"), host, path, NOW),
        (user, password, host, path, NOW + 901),
        (user + "x", password, host, path, NOW),
        ("AKIDEXAMPLE%wrong", password, host, path, NOW),
        (user, "nonsense", host, path, NOW),
        (user, "20159930T123600Zab", host, path, NOW),
        (user, password + "\udcff", host, path, NOW),
    ]
    for name, word, at, where, now in refused:
        with pytest.raises(AwsError):
            gitauth.verify_git(name, word, at, where, "eu-west-1", lookup, now)


def test_the_clis_credential_helper_is_accepted() -> None:
    key = credential()
    for host in ("git-codecommit.eu-west-1.amazonaws.com", "127.0.0.1:4566"):
        password = helper_password(host, "/v1/repos/demo", key)
        signed_at = datetime.strptime(password.partition("Z")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
        assert gitauth.verify_git("AKIDEXAMPLE", password, host, "/v1/repos/demo", "eu-west-1", lookup_of(key), signed_at) is key
        assert basic(signed_at)[:-1] == password.partition("Z")[0]


@pytest.mark.parametrize(
    "header, expected",
    [("Basic YTpiOmM=", ("a", "b:c")), ("basic YTo=", ("a", "")), ("Basic !!", None), ("Basic YQ==", None), ("Bearer x", None), ("", None)],
)
def test_basic_credentials(header: str, expected: tuple[str, str] | None) -> None:
    assert gitauth.basic_credentials(header) == expected


def version_2(method: str, url: str, token: str = "", headers: dict[str, str] | None = None, expires: int = 60) -> str:
    """What boto3 signs when it presigns for S3 without being told a version."""
    request = AWSRequest(method=method, url=url, headers=headers or {})
    HmacV1QueryAuth(Credentials("AKIDEXAMPLE", SECRET, token or None), expires).add_auth(request)
    signed: str = request.url
    return signed


@pytest.mark.parametrize("token", ["", "a/session+token="])
@pytest.mark.parametrize(
    "method, url, headers",
    [
        ("GET", "http://127.0.0.1:4566/b/a%20b/%C3%A9", {}),
        ("GET", "http://h/b/k?versionId=x%2Fy&response-content-type=text%2Fplain", {}),
        ("PUT", "http://h/b/k", {"content-type": "text/plain", "x-amz-meta-a": "b", "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
        ("POST", "http://h/b/k?uploads", {}),
        ("GET", "http://h/b?list-type=2&prefix=a", {}),
    ],
)
def test_presigned_urls_of_version_2(method: str, url: str, headers: dict[str, str], token: str) -> None:
    known = credential(token=token, expires=None)
    signed = urlsplit(version_2(method, url, token, headers))
    sent = [(b"host", signed.netloc.encode()), *((name.encode(), value.encode()) for name, value in headers.items())]
    now = float(dict(pair.split("=", 1) for pair in signed.query.split("&") if "=" in pair)["Expires"]) - 1
    found = check(method, signed.path, signed.query, sent, family="s3", now=now, known=known)
    assert (found.credential, found.payload, found.service, found.region) == (known, "unsigned", "s3", "")
    with pytest.raises(AwsError, match="AccessDenied: Request has expired"):
        check(method, signed.path, signed.query, sent, family="s3", now=now + 2, known=known)
    for path, query, verb in [
        (signed.path + "x", signed.query, method),
        (signed.path, signed.query.replace("Expires=", "Expires=9"), method),
        (signed.path, signed.query + "&acl", method),
        (signed.path, signed.query + "&x-amz-acl=public-read", method),
        (signed.path, signed.query, "DELETE"),
    ]:
        with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
            check(verb, path, query, sent, family="s3", now=now, known=known)
    with pytest.raises(AwsError, match="not covered by a signature of version 2"):
        check(method, signed.path, signed.query + "&encryption", sent, family="s3", now=now, known=known)
    with pytest.raises(AwsError, match="InvalidToken"):
        check(method, signed.path, signed.query, sent, family="s3", now=now, known=credential(token=token + "x"))


@pytest.mark.parametrize(
    "query",
    [
        "AWSAccessKeyId=AKIDEXAMPLE",
        "AWSAccessKeyId=&Signature=x&Expires=1",
        "AWSAccessKeyId=AKIDEXAMPLE&Signature=x&Expires=soon",
        "AWSAccessKeyId=A&Signature=%ff&Expires=9",
    ],
)
def test_broken_urls_of_version_2(query: str) -> None:
    with pytest.raises(AwsError) as caught:
        check("GET", "/b/k", query, [(b"host", b"h")], family="s3")
    assert caught.value.code in ("AccessDenied", "InvalidAccessKeyId")


def test_other_services_do_not_take_urls_of_version_2() -> None:
    url = urlsplit(version_2("GET", "http://h/?Action=GetCallerIdentity&Version=2011-06-15"))
    with pytest.raises(AwsError, match="IncompleteSignature"):
        check("GET", "/", url.query, [(b"host", b"h")], family="query")
