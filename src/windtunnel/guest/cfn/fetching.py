"""Downloads for files and sources: http(s), and objects of S3 with the credentials that AWS::CloudFormation::Authentication names.

The invariant it keeps: a download is whole or fails. S3 means the S3 of the cloud that the instance is in, under AWS's names as well;
only a bucket that is not there is looked for where the URL says.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from windtunnel.guest.aws import ApiError, Client, NoCredentials, Provider, Unreachable, object_path
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.stacks import fixed

TRIES = 5
TIMEOUT = 60.0
_AWS_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?\Z")
_SIGNED = re.compile(r"(?:\A|&)(?:X-Amz-Signature|Signature)=", re.IGNORECASE)


class Place(NamedTuple):
    """An object. named: the URL names AWS's own host, so that it may be in a bucket of AWS."""

    bucket: str
    key: str
    version: str
    named: bool


def place(url: str, endpoint: str) -> Place | None:
    """The object that a URL names; None when it is none of S3, or is signed already."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    if _SIGNED.search(parts.query):
        return None
    version = parse_qs(parts.query).get("versionId", [""])[0]
    if parts.scheme == "s3":
        return Place(parts.netloc, path, version, False)
    named = _AWS_HOST.match(host)
    if named is not None:
        bucket, key = (named["bucket"], path) if named["bucket"] else _split(path)
        return Place(bucket, key, version, True) if bucket and key else None
    ours = urlsplit(endpoint)
    if endpoint and parts.port == ours.port and parts.scheme == ours.scheme:
        inside = re.match(r"(?P<bucket>.+)\.s3(?:\.[a-z0-9-]+)*\.(?:localhost|localstack|internal|test)\Z", host)
        bucket, key = (inside["bucket"], path) if inside else _split(path) if host == ours.hostname else ("", "")
        return Place(bucket, key, version, False) if bucket and key else None
    return None


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.partition("/")
    return bucket, key


class Fetcher:
    """authentication: the resource's AWS::CloudFormation::Authentication. endpoint: of this cloud."""

    def __init__(self, authentication: Mapping[str, Any], endpoint: str, region: str, log: Log, patience: float = 900.0) -> None:
        self._known = {str(name): given for name, given in authentication.items() if isinstance(given, Mapping)}
        self._endpoint = endpoint
        self._region = region
        self._log = log
        self._patience = patience

    def get(self, url: str, target: str, name: str = "") -> None:
        """Download to the file `target`. name: of the authentication, when it is given. Raises Failed."""
        if name and name not in self._known:
            raise Failed(f"{url}: there is no authentication named {name}")
        found = place(url, self._endpoint)
        self._log.debug(f"Retrieving {url}")
        try:
            if found is None:
                self._plain(url, target, self._basic(url, name))
            else:
                self._object(url, found, target, name)
        except (ApiError, Unreachable, NoCredentials) as error:
            raise Failed(f"Failed to retrieve {url}: {error}") from None

    def _object(self, url: str, found: Place, target: str, name: str) -> None:
        provider = self._provider(found.bucket, name)
        try:
            if provider is not None:
                client = Client(self._endpoint, self._region, provider, self._patience)
                client.get_object(found.bucket, found.key, target, found.version)
            else:
                query = f"?versionId={found.version}" if found.version else ""
                self._plain(self._endpoint + object_path(found.bucket, found.key) + query, target, "")
        except ApiError as error:
            if not found.named or error.code != "NoSuchBucket":
                raise
            self._log.info(f"There is no bucket {found.bucket} in this cloud: trying {url} itself")
            self._plain(url, target, "")

    def _provider(self, bucket: str, name: str) -> Provider | None:
        """The credentials for a bucket: those of the named authentication, else of the one that lists it."""
        given = self._known.get(name) if name else next((a for a in self._known.values() if bucket in _listed(a.get("buckets"))), None)
        if given is None:
            return None
        if str(given.get("type", "")).lower() != "s3":
            raise Failed(f"the authentication {name} is not of type S3, and s3://{bucket} is in S3")
        if given.get("roleName"):
            return Provider({}, role=str(given["roleName"]).rsplit("/", 1)[-1])
        if given.get("accessKeyId") and given.get("secretKey"):
            return fixed(str(given["accessKeyId"]), str(given["secretKey"]))
        raise Failed(f"the authentication for {bucket} has neither a roleName nor an accessKeyId with its secretKey")

    def _basic(self, url: str, name: str) -> str:
        given = self._known.get(name) if name else next((a for a in self._known.values() if _covers(a, url)), None)
        if given is None:
            return ""
        if str(given.get("type", "")).lower() != "basic":
            raise Failed(f"the authentication {name} is of type {given.get('type')}, and {url} is not in S3")
        pair = f"{given.get('username', '')}:{given.get('password', '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _plain(self, url: str, target: str, authorization: str) -> None:
        """A URL as it is, with a few tries while its server fails. Raises ApiError for what the server refuses."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise Failed(f"{url}: only http, https and s3 URLs can be retrieved")
        request = urllib.request.Request(url, headers={"User-Agent": "cfn-init"})
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        for attempt in range(1, TRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT) as response, open(target, "wb") as stream:
                    shutil.copyfileobj(response, stream, 1 << 20)
                    expected = response.headers.get("Content-Length")
                    if expected is None or int(expected) == stream.tell():
                        return
                    trouble = f"the connection ended after {stream.tell()} of {expected} bytes"
            except urllib.error.HTTPError as error:
                with error:
                    body = error.read(65536).decode("utf-8", "replace")
                code = re.search(r"<Code>(.*?)</Code>", body)
                if error.code < 500:
                    raise ApiError(code[1] if code else f"HTTP {error.code}", str(error.reason), error.code) from None
                trouble = f"HTTP {error.code} {error.reason}"
            except (OSError, http.client.HTTPException) as error:
                trouble = str(getattr(error, "reason", "") or error)
            if attempt < TRIES:
                self._log.debug(f"{url}: {trouble}; trying again")
                time.sleep(min(2.0**attempt / 2, 8.0))
        if os.path.exists(target):
            os.unlink(target)
        raise Failed(f"Failed to retrieve {url}: {trouble}")


def _listed(value: Any) -> list[str]:
    if isinstance(value, str):
        return [word.strip() for word in value.split(",")]
    return [str(word) for word in value or []]


def _covers(given: Mapping[str, Any], url: str) -> bool:
    """Basic authentication holds for the URIs that it lists, and for those beneath."""
    bare = url.partition("://")[2]
    for uri in _listed(given.get("uris")):
        root = (uri.partition("://")[2] or uri).rstrip("/")
        if str(given.get("type", "")).lower() == "basic" and (bare == root or bare.startswith(root + "/")):
            return True
    return False
