"""The two operations that the helper scripts call, and how they prove who calls.

Why it exists: AWS's scripts need no permission to read and signal their own stack. Without credentials that were asked for, they show the
instance's signed identity document, and CloudFormation looks whether the instance belongs to the stack.

The invariant it keeps: credentials are used only when they were asked for (`--role`, `--access-key`, `--credential-file`), or where there is
no identity document (a build, a container).
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from windtunnel.guest.aws import ApiError, Client, Provider, metadata
from windtunnel.guest.cfn.errors import Failed

SERVICE = "cloudformation"
VERSION = "2010-05-15"
IDENTITY = "/latest/dynamic/instance-identity"
Lookup = Callable[[str], "str | None"]
"""An item of the instance's metadata, None when there is none."""


class Access(NamedTuple):
    """What a command line says of whom to call, and as whom; empty: not said."""

    region: str = ""
    url: str = ""
    access_key: str = ""
    secret_key: str = ""
    credential_file: str = ""
    role: str = ""


class Resource(NamedTuple):
    """A resource of a stack, as far as the scripts ask. metadata: None when the template gives it none."""

    physical_id: str
    metadata: dict[str, Any] | None


class Stacks:
    """CloudFormation, as the helper scripts use it."""

    def __init__(self, client: Client, endpoint: str) -> None:
        self._client = client
        self.endpoint = endpoint
        self.region = client.region

    def resource(self, stack: str, logical_id: str) -> Resource:
        """Raises ApiError, Unreachable, Failed."""
        answer = self._client.query(SERVICE, VERSION, "DescribeStackResource", {"StackName": stack, "LogicalResourceId": logical_id})
        found = _leaves(answer)
        return Resource(found.get("PhysicalResourceId", ""), parsed_metadata(found.get("Metadata", "")))

    def signal(self, stack: str, logical_id: str, unique_id: str, success: bool) -> None:
        status = "SUCCESS" if success else "FAILURE"
        asked = {"StackName": stack, "LogicalResourceId": logical_id, "UniqueId": unique_id, "Status": status}
        self._client.query(SERVICE, VERSION, "SignalResource", asked)


def does_not_exist(error: ApiError) -> bool:
    """CloudFormation says that the stack, or the resource in it, is not there (any more)."""
    return error.code == "ValidationError" and "does not exist" in error.message


def parsed_metadata(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failed(f"the resource's metadata are not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Failed("the resource's metadata are not an object")
    return found


def _leaves(xml: bytes) -> dict[str, str]:
    """The texts of an answer by their elements' names; the answers used here hold none twice."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise Failed(f"what answered is not CloudFormation: {error}") from None
    return {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter() if not len(element)}


def connect(access: Access, lookup: Lookup = metadata, environment: Mapping[str, str] = os.environ, patience: float = 900.0) -> Stacks:
    """Raises Failed when the command line's credentials cannot be read, or nothing says where CloudFormation is."""
    found = endpoint(access.url, environment)
    region = access.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    given = given_credentials(access)
    proof = None if given is not None else identity_proof(lookup)
    client = Client(found, region, given or Provider(environment), patience, authorization=None if proof is None else lambda: proof)
    return Stacks(client, found)


def endpoint(url: str, environment: Mapping[str, str]) -> str:
    """Where CloudFormation is. AWS's own names mean the cloud that the instance is in."""
    here = environment.get("AWS_ENDPOINT_URL_CLOUDFORMATION") or environment.get("AWS_ENDPOINT_URL") or ""
    host = urlsplit(url).hostname or ""
    if url and not (here and host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))):
        return url
    if not here:
        raise Failed("neither --url nor AWS_ENDPOINT_URL says where CloudFormation is")
    return here


def given_credentials(access: Access) -> Provider | None:
    """Those that were asked for; the file wins over the role, the role over the keys."""
    if access.credential_file:
        return fixed(*credentials_in(access.credential_file))
    if access.role:
        return Provider({}, role=access.role)
    if access.access_key and access.secret_key:
        return fixed(access.access_key, access.secret_key)
    return None


def fixed(access_key: str, secret_key: str) -> Provider:
    return Provider({"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key})


def credentials_in(path: str) -> tuple[str, str]:
    """`AWSAccessKeyId=…` and `AWSSecretKey=…`, a line each."""
    try:
        with open(path, encoding="utf-8") as stream:
            pairs = (line.partition("=") for line in stream)
            found = {name.strip(): value.strip() for name, _, value in pairs}
    except (OSError, ValueError) as error:
        raise Failed(f"the credential file {path} cannot be read: {error}") from None
    if not (found.get("AWSAccessKeyId") and found.get("AWSSecretKey")):
        raise Failed(f"the credential file {path} has no AWSAccessKeyId and AWSSecretKey")
    return found["AWSAccessKeyId"], found["AWSSecretKey"]


def identity_proof(lookup: Lookup) -> str | None:
    """The Authorization of an instance that shows its identity document; None where there is none."""
    try:
        document, signature = lookup(f"{IDENTITY}/document"), lookup(f"{IDENTITY}/signature")
    except (OSError, http.client.HTTPException):
        return None
    if not document or not signature:
        return None
    return f"CFN_V1 {base64.b64encode(document.encode()).decode()}:{''.join(signature.split())}"
