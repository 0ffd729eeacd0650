"""KMS's records, and the rules that follow from them alone. Pure.

Invariants: key material stands in a record only as the cloud's sealer sealed it; a key's material is never replaced, only followed
by newer material, so that whatever was encrypted under it can be decrypted for as long as the key is there.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.kernel.scope import Scope
from windtunnel.services.kms.specs import AGREE, ENCRYPT, MAC, SIGN, SYMMETRIC, algorithms

service_rules("kms", ServiceRules())

DAY = 86400.0
POLICY_NAME = "default"
MAX_TAGS = 50
MAX_POLICY = 32768
ON_DEMAND_ROTATIONS = 25
State = Literal["Enabled", "Disabled", "PendingDeletion", "PendingImport"]


class Material(msgspec.Struct, frozen=True):
    """What a key encrypts with from `created` on. sealed: empty once imported material was deleted or has expired.

    rotation: how it became current (`AUTOMATIC`, `ON_DEMAND`), empty for a key's first. expires: epoch seconds, for imported material.
    pending: imported for a rotation that has not been asked for yet.
    """

    id: str
    sealed: bytes
    created: float
    rotation: str = ""
    expires: float | None = None
    description: str = ""
    pending: bool = False

    def usable(self, now: float) -> bool:
        return bool(self.sealed) and (self.expires is None or now < self.expires)


class Deletion(msgspec.Struct, frozen=True):
    """A key's end: at, epoch seconds; token names the job that waits for it."""

    at: float
    days: int
    token: str


class Rotation(msgspec.Struct, frozen=True):
    """Automatic rotation, every so many days; token names the job that does it."""

    days: int
    next: float
    token: str


class Key(Record, kw_only=True):
    """A KMS key. materials: oldest first. public: an asymmetric key's SubjectPublicKeyInfo in DER. granted: there has been a grant.

    multi_region: the primary of replicas that nobody can make yet; its id begins with `mrk-`."""

    KIND: ClassVar[str] = "kms.key"
    SCOPE: ClassVar[RecordScope] = "region"

    id: str
    created: float
    policy: str
    materials: list[Material] = []
    description: str = ""
    usage: str = ENCRYPT
    spec: str = SYMMETRIC
    origin: str = "AWS_KMS"
    enabled: bool = True
    tags: dict[str, str] = {}
    deletion: Deletion | None = None
    rotation: Rotation | None = None
    public: bytes = b""
    granted: bool = False
    multi_region: bool = False
    manager: Literal["CUSTOMER", "AWS"] = "CUSTOMER"

    def key(self) -> str:
        return self.id

    @property
    def current(self) -> Material | None:
        """The material that new ciphertexts are made with; None before the first import."""
        return next((material for material in reversed(self.materials) if not material.pending), None)

    def state(self, now: float) -> State:
        if self.deletion is not None:
            return "PendingDeletion"
        if self.origin == "EXTERNAL" and not (self.materials and all(m.usable(now) for m in self.materials if not m.pending)):
            return "PendingImport"
        return "Enabled" if self.enabled else "Disabled"


class Alias(Record, kw_only=True):
    """`alias/name`; target: the key's id. updated: epoch seconds."""

    KIND: ClassVar[str] = "kms.alias"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"target": "target"}

    name: str
    target: str
    created: float
    updated: float

    def key(self) -> str:
        return self.name


class Grant(Record, kw_only=True):
    """A permission on one key for one principal. subset, equals: what the encryption context must have, or be; None: no constraint."""

    KIND: ClassVar[str] = "kms.grant"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"token": "token", "retiring": lambda grant: [grant.retiring] if grant.retiring else []}

    key_id: str
    id: str
    token: str
    grantee: str
    operations: list[str]
    created: float
    issuer: str
    name: str = ""
    retiring: str = ""
    subset: dict[str, str] | None = None
    equals: dict[str, str] | None = None

    def key(self) -> str:
        return f"{self.key_id}/{self.id}"

    def allows(self, operation: str, context: dict[str, str]) -> bool:
        if operation not in self.operations:
            return False
        if operation not in UNDER_CONTEXT:
            return True
        return (self.equals is None or self.equals == context) and (self.subset is None or self.subset.items() <= context.items())


UNDER_CONTEXT = frozenset(
    [f"GenerateDataKey{kind}" for kind in ("", "WithoutPlaintext", "Pair", "PairWithoutPlaintext")]
    + ["Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo"]
)
"""The operations that take an encryption context: a grant's constraints bear on these only."""


def key_arn(scope: Scope, key_id: str) -> str:
    return scope.arn("kms", f"key/{key_id}")


def alias_arn(scope: Scope, name: str) -> str:
    return scope.arn("kms", name)


def default_policy(account: str) -> str:
    """What AWS gives a key that is made without a policy: the account's IAM policies decide."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}, indent=2, separators=(",", " : "))


def metadata(scope: Scope, key: Key, now: float) -> dict[str, Any]:
    """The KeyMetadata shape."""
    state, current = key.state(now), key.current
    found: dict[str, Any] = {
        "AWSAccountId": scope.account,
        "KeyId": key.id,
        "Arn": key_arn(scope, key.id),
        "CreationDate": key.created,
        "Enabled": state == "Enabled",
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": state,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": key.multi_region,
    }
    if key.multi_region:
        primary = {"Arn": key_arn(scope, key.id), "Region": scope.region}
        found["MultiRegionConfiguration"] = {"MultiRegionKeyType": "PRIMARY", "PrimaryKey": primary, "ReplicaKeys": []}
    names = {ENCRYPT: "EncryptionAlgorithms", SIGN: "SigningAlgorithms", MAC: "MacAlgorithms", AGREE: "KeyAgreementAlgorithms"}
    found[names[key.usage]] = list(algorithms(key.spec, key.usage))
    if key.deletion is not None:
        found["DeletionDate"] = key.deletion.at
    if key.spec == SYMMETRIC and current is not None:
        found["CurrentKeyMaterialId"] = current.id
    if key.origin == "EXTERNAL" and state != "PendingImport" and current is not None:
        found["ExpirationModel"] = "KEY_MATERIAL_EXPIRES" if current.expires is not None else "KEY_MATERIAL_DOES_NOT_EXPIRE"
        if current.expires is not None:
            found["ValidTo"] = current.expires
    return found


def check_usable(arn: str, key: Key, now: float) -> None:
    """A cryptographic operation needs an enabled key."""
    state = key.state(now)
    if state == "Disabled":
        raise AwsError("DisabledException", f"{arn} is disabled.")
    check_not_ending(arn, key)
    if state == "PendingImport":
        raise AwsError("KMSInvalidStateException", f"{arn} is pending import.")


def check_not_ending(arn: str, key: Key) -> None:
    if key.deletion is not None:
        raise AwsError("KMSInvalidStateException", f"{arn} is pending deletion.")


def check_usage(arn: str, key: Key, usage: str, operation: str) -> None:
    if key.usage != usage:
        raise AwsError("InvalidKeyUsageException", f"{arn} key usage is {key.usage} which is not valid for {operation}.")


def tag_map(old: dict[str, str], pairs: list[dict[str, str]]) -> dict[str, str]:
    """The tags after these were added."""
    names = [pair["TagKey"] for pair in pairs]
    if len(set(names)) != len(names):
        raise AwsError("TagException", "Duplicate tag keys")
    if any(name.lower().startswith("aws:") for name in names):
        raise AwsError("TagException", "Tags beginning with aws: are reserved")
    tags = {**old, **{pair["TagKey"]: pair["TagValue"] for pair in pairs}}
    if len(tags) > MAX_TAGS:
        raise AwsError("TagException", "Too many tags")
    return tags
