"""What 169.254.169.254 answers an instance: metadata (version 1 and 2), user data, identity document, its role's credentials.

Invariants: the instance is the sandbox whose listener took the request; a token is good on the instance that asked for it only, until
its time is over; nothing here changes the instance. Source: EC2 user guide, "Instance metadata".
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from windtunnel.kernel.records import Tx
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.metadata_network import NO_VPC, Surroundings, network_tree
from windtunnel.services.ec2.model import Instance, private_address
from windtunnel.services.ec2.network.zones import zone_id

Answer = tuple[int, dict[str, str], bytes]
MAX_TTL = 21600
VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04",
    "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02",
    "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-09-24",
    "2024-04-11", "latest",
)  # fmt: skip
"""The versions of the tree that clients ask for; all answer alike."""


class NeedsCredentials(NamedTuple):
    """Answer with fresh or cached credentials of the role in this profile; only a write transaction can make them."""

    account: str
    region: str
    instance_id: str
    profile_arn: str
    role: str
    """As named in the path; empty when only the role's name is asked for."""


class NeedsSignature(NamedTuple):
    """Answer with the signature of this document; kind: `signature`, `pkcs7` or `rsa2048`."""

    document: str
    kind: str


SIGNATURES = ("signature", "pkcs7", "rsa2048")


def find(tx: Tx, sandbox_id: str) -> tuple[Scope, Instance] | None:
    """The instance of a sandbox, wherever it is."""
    return next(((Scope(*where), found) for *where, found in tx.everywhere(Instance) if found.id == sandbox_id), None)


def answer(
    scope: Scope,
    instance: Instance,
    method: str,
    path: str,
    headers: Mapping[str, str],
    secret: bytes,
    now: float,
    around: Surroundings = NO_VPC,
) -> Answer | NeedsCredentials | NeedsSignature:
    """headers: lower-case names; secret: this cloud's, for tokens; now: epoch seconds."""
    if instance.metadata.http_endpoint != "enabled":
        return _text(403, "Instance metadata is disabled")
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if parts and parts[0] not in VERSIONS:
        return _text(404, "Not Found")
    if parts[1:] == ["api", "token"]:
        return _token(instance, method, headers, secret, now)
    if method not in ("GET", "HEAD"):
        return _text(405, "Method Not Allowed")
    refusal = _refused(instance, headers, secret, now)
    if refusal is not None:
        return refusal
    return _read(scope, instance, around, parts)


# -- tokens ---------------------------------------------------------------------------------------------------------


def _sign(instance: Instance, expires: int, secret: bytes) -> str:
    seal = hmac.digest(secret, f"{instance.id}/{expires}".encode(), "sha256")
    return base64.urlsafe_b64encode(expires.to_bytes(8, "big") + seal).decode()


def _token(instance: Instance, method: str, headers: Mapping[str, str], secret: bytes, now: float) -> Answer:
    if method != "PUT":
        return _text(405, "Method Not Allowed")
    if "x-forwarded-for" in headers:
        return _text(403, "Forbidden")
    asked = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
    if not asked.isdecimal() or len(asked) > 9 or not 1 <= int(asked) <= MAX_TTL:
        return _text(400, "Bad Request")
    status, answered, body = _text(200, _sign(instance, int(now) + int(asked), secret))
    return status, {**answered, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds": asked}, body


def _refused(instance: Instance, headers: Mapping[str, str], secret: bytes, now: float) -> Answer | None:
    given = headers.get("x-aws-ec2-metadata-token")
    if given is None:
        return _text(401, "Unauthorized") if instance.metadata.http_tokens == "required" else None
    try:
        expires = int.from_bytes(base64.urlsafe_b64decode(given.encode())[:8], "big")
    except ValueError:
        return _text(401, "Unauthorized")
    good = hmac.compare_digest(_sign(instance, expires, secret).encode(), given.encode("utf-8", "replace")) if expires < 1 << 40 else False
    return None if good and expires > now else _text(401, "Unauthorized")


# -- the tree -------------------------------------------------------------------------------------------------------

Leaf = str | Callable[[], "str | None"]


def _read(scope: Scope, instance: Instance, around: Surroundings, parts: list[str]) -> Answer | NeedsCredentials | NeedsSignature:
    if not parts:
        return _text(200, "\n".join(VERSIONS))
    if len(parts) == 1:
        return _text(200, "dynamic\nmeta-data\nuser-data" if instance.user_data else "dynamic\nmeta-data")
    if parts[1] == "user-data":
        if not instance.user_data or len(parts) > 2:
            return _text(404, "Not Found")
        return 200, {"Content-Type": "application/octet-stream"}, base64.b64decode(instance.user_data)
    if parts[1:] == ["dynamic", "instance-identity", "document"]:
        return 200, {"Content-Type": "text/plain"}, identity_document(scope, instance).encode()
    if parts[1:3] == ["dynamic", "instance-identity"] and len(parts) == 4 and parts[3] in SIGNATURES:
        return NeedsSignature(identity_document(scope, instance), parts[3])
    if parts[1:4] == ["meta-data", "iam", "security-credentials"] and instance.profile_arn and len(parts) < 6:
        return NeedsCredentials(scope.account, scope.region, instance.id, instance.profile_arn, parts[4] if len(parts) > 4 else "")
    tree: Any = {
        "meta-data": metadata_tree(scope, instance, around),
        "dynamic": {"instance-identity": dict.fromkeys(("document", *SIGNATURES), "")},
    }
    for part in parts[1:]:
        tree = tree.get(part) if isinstance(tree, dict) else None
        if tree is None:
            return _text(404, "Not Found")
    if isinstance(tree, dict):
        return _text(200, "\n".join(name + "/" if isinstance(value, dict) else name for name, value in sorted(tree.items())))
    return _text(200, tree)


def metadata_tree(scope: Scope, instance: Instance, around: Surroundings) -> dict[str, Any]:
    """`/latest/meta-data/` as nested dicts."""
    instance.placed(scope)
    tree: dict[str, Any] = {
        "ami-id": instance.image_id,
        "ami-launch-index": str(instance.index),
        "ami-manifest-path": "(unknown)",
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.type,
        "placement": {"availability-zone": instance.zone, "availability-zone-id": zone_id(instance.zone), "region": scope.region},
        "profile": "default-hvm",
        "reservation-id": instance.reservation_id,
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    } | network_tree(scope, instance, around)
    if instance.profile_arn:
        info = {
            "Code": "Success",
            "LastUpdated": _iso(instance.launched),
            "InstanceProfileArn": instance.profile_arn,
            "InstanceProfileId": instance.profile_id,
        }
        tree["iam"] = {"info": json.dumps(info, indent=2), "security-credentials": {}}
    if instance.public_key:
        tree["public-keys"] = {"0": {"openssh-key": f"{instance.public_key} {instance.key_name}"}}
    if instance.metadata.instance_tags == "enabled":
        tree["tags"] = {"instance": dict(instance.tags)}
    return tree


def identity_document(scope: Scope, instance: Instance) -> str:
    instance.placed(scope)
    document = {
        "accountId": scope.account,
        "architecture": "x86_64",
        "availabilityZone": instance.zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.type,
        "kernelId": None,
        "pendingTime": _iso(instance.launched),
        "privateIp": private_address(instance),
        "ramdiskId": None,
        "region": scope.region,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def unauthorized_document(role: str, now: float) -> str:
    """What `iam/security-credentials/ROLE` answers while the role does not let EC2 assume it."""
    said = (
        f"EC2 cannot assume the role {role}. Please see documentation at"
        " http://docs.amazonwebservices.com/IAM/latest/UserGuide/RolesTroubleshooting.html."
    )
    return json.dumps({"Code": "AssumeRoleUnauthorizedAccess", "Message": said, "LastUpdated": _iso(now)}, indent=2)


def credentials_document(access_key: str, secret: str, token: str, expires: float, issued: float) -> str:
    """What `iam/security-credentials/ROLE` answers."""
    shown = {
        "Code": "Success",
        "LastUpdated": _iso(issued),
        "Type": "AWS-HMAC",
        "AccessKeyId": access_key,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": _iso(expires),
    }
    return json.dumps(shown, indent=2)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _text(status: int, body: str) -> Answer:
    return status, {"Content-Type": "text/plain"}, body.encode()
