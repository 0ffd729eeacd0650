"""A small AWS client for programs inside a sandbox, where there is no boto3: SigV4, JSON protocols and S3's objects.

Why it exists: the build runner and the deployment agent must not depend on what an image has installed.

Invariants: standard library only. A cloud that is down or restarting is waited for (`patience` seconds), because a build or a
deployment must not fail for that; what it answered with reason (4xx, 501) is raised at once as `ApiError`. Credentials come from
the environment, the container endpoint or the instance metadata, in that order, and are fetched anew before they expire.

    client = Client()
    client.json("codedeploy-commands", "CodeDeployCommandService_v20141006.PollHostCommand", {"HostIdentifier": arn})
    client.get_object("bucket", "key.zip", "/tmp/key.zip", version="…")
    client.put_object("bucket", "key.zip", "/tmp/key.zip", metadata={"codebuild-buildarn": arn})
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

UTC = timezone.utc  # noqa: UP017  (images may carry an older Python)
CONTAINER_HOST = "http://169.254.170.2"
METADATA_HOST = "http://169.254.169.254"
REFRESH_BEFORE = 300.0
CHUNK = 1 << 20
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
THROTTLES = {"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "SlowDown", "TooManyRequestsException"}
LOCAL_ERRORS = {errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EISDIR, errno.EROFS, errno.EFBIG, errno.EMFILE}
"""Of the guest's own disk: no repeat mends them."""
EXPIRED = {"ExpiredToken", "ExpiredTokenException"}


class ApiError(Exception):
    """The cloud's own refusal: code and message as AWS words them, status the HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.status = status


class Unreachable(Exception):
    """The cloud did not answer within the patience; the text says what happened last."""


class NoCredentials(Exception):
    """Neither the environment nor an endpoint gave credentials."""


class Credentials(NamedTuple):
    """expires: epoch seconds, None for those that do not expire."""

    access_key: str
    secret: str
    token: str = ""
    expires: float | None = None


class Answer(NamedTuple):
    """headers: names in lower case. body: empty when it went to a file."""

    status: int
    headers: dict[str, str]
    body: bytes


# -- signing ----------------------------------------------------------------------------------------------------------


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def canonical_query(pairs: Mapping[str, str]) -> str:
    return "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(pairs.items()))


def signed_headers(
    credentials: Credentials,
    service: str,
    region: str,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload_hash: str,
    now: float,
) -> dict[str, str]:
    """The headers of a signed request: those given, and the date, token, payload hash (S3) and Authorization.

    path: as it is sent, percent-encoded once. S3 signs it as it is, every other service encodes it again.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    date = stamp[:8]
    out = dict(headers)
    out["X-Amz-Date"] = stamp
    if credentials.token:
        out["X-Amz-Security-Token"] = credentials.token
    if service == "s3":
        out["X-Amz-Content-SHA256"] = payload_hash
    lowered = sorted((name.lower(), " ".join(value.split())) for name, value in out.items())
    names = ";".join(name for name, _ in lowered)
    signed_path = path if service == "s3" else quote(path, safe="/-_.~")
    canonical = "\n".join([method, signed_path, canonical_query(query), "".join(f"{n}:{v}\n" for n, v in lowered), names, payload_hash])
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(signing_key(credentials.secret, date, region, service), to_sign.encode(), hashlib.sha256).hexdigest()
    out["Authorization"] = f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return out


def git_credentials(credentials: Credentials, region: str, host: str, path: str, now: float) -> tuple[str, str]:
    """(username, password) for a CodeCommit clone URL, as `aws codecommit credential-helper` makes them. path: `/v1/repos/NAME`."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    scope = f"{stamp[:8]}/{region}/codecommit/aws4_request"
    canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = signing_key(credentials.secret, stamp[:8], region, "codecommit")
    username = credentials.access_key + (f"%{credentials.token}" if credentials.token else "")
    return username, f"{stamp}Z{hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()}"


# -- credentials ------------------------------------------------------------------------------------------------------


def parse_time(text: str) -> float:
    """`2026-01-02T03:04:05Z` as epoch seconds."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()


def plain_get(url: str, headers: Mapping[str, str] | None = None, method: str = "GET", timeout: float = 5.0) -> Answer:
    """One unsigned request, for the metadata and credential endpoints. Raises OSError or http.client.HTTPException."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def metadata(path: str, timeout: float = 5.0) -> str | None:
    """An instance metadata item (version 2: with a session token), None when there is no such item."""
    token = plain_get(f"{METADATA_HOST}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, method="PUT", timeout=timeout)
    answer = plain_get(METADATA_HOST + path, {"X-aws-ec2-metadata-token": token.body.decode()}, timeout=timeout)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise OSError(f"the instance metadata answered {answer.status} for {path}")
    return answer.body.decode()


class Provider:
    """Finds credentials and keeps them until shortly before they expire. role: the instance profile must hold the role of this name."""

    def __init__(self, environment: Mapping[str, str] | None = None, role: str = "") -> None:
        self._environment = os.environ if environment is None else environment
        self._role = role
        self._held: Credentials | None = None

    def forget(self) -> None:
        """Fetch anew at the next request: these were refused as expired."""
        self._held = None

    def get(self) -> Credentials:
        held = self._held
        if held is None or (held.expires is not None and held.expires - time.time() < REFRESH_BEFORE):
            held = self._held = self._fetch()
        return held

    def _fetch(self) -> Credentials:
        found = self._environment.get
        key, secret = found("AWS_ACCESS_KEY_ID"), found("AWS_SECRET_ACCESS_KEY")
        if key and secret:
            return Credentials(key, secret, found("AWS_SESSION_TOKEN") or "")
        relative = found("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        full = CONTAINER_HOST + relative if relative else found("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if full:
            token = found("AWS_CONTAINER_AUTHORIZATION_TOKEN")
            answer = plain_get(full, {"Authorization": token} if token else None)
            if answer.status >= 500:
                raise OSError(f"the credential endpoint answered {answer.status}")
            if answer.status != 200:
                raise NoCredentials(f"the credential endpoint answered {answer.status}: {answer.body.decode('utf-8', 'replace')}")
            return parse_credentials(answer.body)
        return self._from_metadata()

    def _from_metadata(self) -> Credentials:
        base = "/latest/meta-data/iam/security-credentials/"
        role = self._role or (metadata(base) or "").strip().partition("\n")[0]
        if not role:
            raise NoCredentials("this instance has no instance profile")
        text = metadata(base + role)
        if text is None:
            raise NoCredentials(f"the instance metadata has no credentials for {role}")
        return parse_credentials(text.encode())


def parse_credentials(body: bytes) -> Credentials:
    found = json.loads(body)
    if "AccessKeyId" not in found:
        raise NoCredentials(str(found.get("Message") or found.get("Code") or "no credentials were given"))
    expires = parse_time(found["Expiration"]) if found.get("Expiration") else None
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""), expires)


# -- the client -------------------------------------------------------------------------------------------------------


class Client:
    """endpoint: AWS_ENDPOINT_URL unless given. patience: seconds for which an unreachable or failing cloud is tried again.

    waiting: called once with a text when the first retry of a request begins, for the program's log.
    authorization: what the Authorization header says instead of a signature, for the one service that takes another proof.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        region: str | None = None,
        credentials: Provider | None = None,
        patience: float = 900.0,
        waiting: Callable[[str], None] | None = None,
        authorization: Callable[[], str] | None = None,
    ) -> None:
        found = endpoint or os.environ.get("AWS_ENDPOINT_URL") or ""
        if not found:
            raise ValueError("AWS_ENDPOINT_URL is not set")
        parts = urlsplit(found)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if self._secure else 80)
        self.region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        self.credentials = credentials or Provider()
        self._patience = patience
        self._waiting = waiting
        self._authorization = authorization

    def query(self, service: str, version: str, action: str, parameters: Mapping[str, str]) -> bytes:
        """An operation of a Query protocol service: its answer's XML."""
        form = urlencode({"Action": action, "Version": version, **parameters})
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return self._request(service, "POST", "/", {}, headers, form.encode()).body

    def json(self, service: str, target: str, payload: Mapping[str, Any], *, version: str = "1.1", timeout: float = 90.0) -> dict[str, Any]:
        """A JSON protocol operation. service: the signing name; target: `Prefix_date.Operation`; timeout: of one attempt."""
        headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
        answer = self._request(service, "POST", "/", {}, headers, json.dumps(payload).encode(), timeout=timeout)
        decoded: dict[str, Any] = json.loads(answer.body) if answer.body else {}
        return decoded

    def get_object(self, bucket: str, key: str, target: str, version: str = "") -> dict[str, str]:
        """Stream an object into the file `target` (made whole or not at all). Returns the response's headers."""
        query = {"versionId": version} if version else {}
        partial = target + ".part"
        answer = self._request("s3", "GET", object_path(bucket, key), query, {}, b"", into=partial)
        os.replace(partial, target)
        return answer.headers

    def put_object(
        self,
        bucket: str,
        key: str,
        source: str | bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Upload a file (by path, streamed) or bytes. Returns the response's headers (ETag, x-amz-version-id)."""
        sent = {**(headers or {}), **{f"x-amz-meta-{k}": v for k, v in (metadata or {}).items()}}
        return self._request("s3", "PUT", object_path(bucket, key), {}, sent, source).headers

    def list_objects(self, bucket: str, prefix: str) -> Iterator[str]:
        """The keys under a prefix (ListObjectsV2, all pages)."""
        import xml.etree.ElementTree as ElementTree

        query = {"list-type": "2", "prefix": prefix}
        while True:
            answer = self._request("s3", "GET", object_path(bucket, ""), query, {}, b"")
            root = ElementTree.fromstring(answer.body)
            space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
            yield from (key.text or "" for key in root.iterfind(f"{space}Contents/{space}Key"))
            token = root.findtext(f"{space}NextContinuationToken")
            if not token:
                return
            query["continuation-token"] = token

    # -- one request with its repeats ---------------------------------------------------------------------------------

    def _request(
        self,
        service: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: str | bytes,
        *,
        into: str | None = None,
        timeout: float = 90.0,
    ) -> Answer:
        payload_hash = _hash(body)
        deadline = time.monotonic() + self._patience
        pause, refreshed, told = 0.05, False, False
        while True:
            try:
                answer = self._attempt(service, method, path, query, headers, body, payload_hash, into, timeout)
            except (OSError, http.client.HTTPException) as problem:
                if isinstance(problem, OSError) and problem.errno in LOCAL_ERRORS:
                    raise
                trouble = str(problem) or type(problem).__name__
            else:
                if answer.status < 300:
                    return answer
                error = parse_error(answer)
                if error.code in EXPIRED and not refreshed:
                    refreshed = True
                    self.credentials.forget()
                    continue
                if not (error.code in THROTTLES or (answer.status >= 500 and answer.status != 501)):
                    raise error
                trouble = str(error)
            if time.monotonic() > deadline:
                raise Unreachable(f"{service} at {self._host}:{self._port} could not be reached: {trouble}")
            if not told and self._waiting is not None and pause > 0.5:
                told = True
                self._waiting(f"waiting for {service}: {trouble}")
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 2.0)

    def _attempt(
        self,
        service: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: str | bytes,
        payload_hash: str,
        into: str | None,
        timeout: float,
    ) -> Answer:
        size = len(body) if isinstance(body, bytes) else os.path.getsize(body)
        sent = {**headers, "Host": f"{self._host}:{self._port}"}
        if self._authorization is not None:
            sent["Authorization"] = self._authorization()
        else:
            sent = signed_headers(self.credentials.get(), service, self.region, method, path, query, sent, payload_hash, time.time())
        sent["Content-Length"] = str(size)
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout)
        try:
            url = path + (f"?{canonical_query(query)}" if query else "")
            if isinstance(body, bytes):
                connection.request(method, url, body=body, headers=sent)
            else:
                with open(body, "rb") as file:
                    connection.request(method, url, body=file, headers=sent)
            response = connection.getresponse()
            found = {k.lower(): v for k, v in response.getheaders()}
            if into is not None and response.status < 300:
                with open(into, "wb") as target:
                    _copy(response, target, found.get("content-length"))
                return Answer(response.status, found, b"")
            return Answer(response.status, found, response.read())
        finally:
            connection.close()


def object_path(bucket: str, key: str) -> str:
    return f"/{bucket}/{quote(key, safe='/-_.~')}"


def _hash(body: str | bytes) -> str:
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest()
    digest = hashlib.sha256()
    with open(body, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _copy(response: http.client.HTTPResponse, target: BinaryIO, expected: str | None) -> None:
    """The whole body or an error: a connection that breaks early must not look like a short object."""
    count = 0
    while chunk := response.read(CHUNK):
        target.write(chunk)
        count += len(chunk)
    if expected is not None and count != int(expected):
        raise http.client.IncompleteRead(b"", int(expected) - count)


def parse_error(answer: Answer) -> ApiError:
    """The error of any of the AWS protocols: JSON's `__type` and `message`, or XML's Code and Message."""
    text = answer.body.decode("utf-8", "replace")
    code = answer.headers.get("x-amzn-errortype", "")
    message = ""
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            found = {}
        code = str(found.get("__type") or code)
        message = str(found.get("message") or found.get("Message") or "")
    else:
        code = _element(text, "Code") or code
        message = _element(text, "Message")
    code = code.split("#")[-1].split(":")[0] or {403: "AccessDenied", 404: "NotFound"}.get(answer.status, f"Http{answer.status}")
    return ApiError(code, message, answer.status)


def _element(text: str, name: str) -> str:
    found = re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
    if found is None:
        return ""
    inside = found.group(1)
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")):
        inside = inside.replace(entity, character)
    return inside
