"""Secrets, their versions and labels. Pure.

Invariants: a label is on one version at most (`stages` maps label to version); the value of a version never changes, and stands in
its record only as encrypted under a data key that KMS gave out; AWSPREVIOUS is on the version that AWSCURRENT left last.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.kernel.scope import Scope
from windtunnel.kernel.tags import reserved, users

service_rules("secretsmanager", ServiceRules())

DAY = 86400.0
CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
MAX_VERSIONS = 100
MAX_STAGES = 20
MAX_TAGS = 50
MAX_VALUE = 65536
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]+\Z")


class Deletion(msgspec.Struct, frozen=True):
    """Asked for and due at, epoch seconds; token names the job that waits for it."""

    asked: float
    due: float
    token: str


class Replica(msgspec.Struct, frozen=True):
    """A secret's copy in another region. kms_key: of that region, empty for its default; status, message: the ReplicationStatus shape."""

    kms_key: str
    status: str = "InSync"
    message: str = ""


class Secret(Record, kw_only=True):
    """A secret without its values. suffix: the six letters by which its ARN differs from a namesake's. kms_key: as it was given.

    order: the ids of its versions, oldest first, so that a new value need not look at the old ones.
    replicas: by region. primary: the region that a replica follows, empty for a primary.
    """

    KIND: ClassVar[str] = "secretsmanager.secret"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    suffix: str
    created: float
    changed: float
    description: str = ""
    kms_key: str = ""
    tags: dict[str, str] = {}
    stages: dict[str, str] = {}
    order: list[str] = []
    policy: str | None = None
    deletion: Deletion | None = None
    replicas: dict[str, Replica] = {}
    primary: str = ""

    def key(self) -> str:
        return self.name

    def labels(self, version: str) -> list[str]:
        return sorted(label for label, on in self.stages.items() if on == version)


class Version(Record, kw_only=True):
    """A value. data_key: a data key under `kms_key`, as KMS encrypted it; sealed: nonce and the value under the data key.

    mark: a keyed fingerprint, by which a repeated request is known.
    """

    KIND: ClassVar[str] = "secretsmanager.version"
    SCOPE: ClassVar[RecordScope] = "region"

    secret: str
    id: str
    created: float
    data_key: bytes = b""
    sealed: bytes = b""
    mark: bytes = b""
    binary: bool = False
    kms_key: str = ""

    def key(self) -> str:
        return version_key(self.secret, self.id)


def version_prefix(secret: str) -> str:
    return f"{secret}\x00"


def version_key(secret: str, version: str) -> str:
    return f"{version_prefix(secret)}{version}"


def secret_arn(scope: Scope, secret: Secret) -> str:
    return scope.arn("secretsmanager", f"secret:{secret.name}-{secret.suffix}")


def check_name(name: str) -> None:
    if _NAME.match(name) is None:
        words = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
        raise AwsError("ValidationException", words)


def not_found(what: str = "secret") -> AwsError:
    return AwsError("ResourceNotFoundException", f"Secrets Manager can't find the specified {what}.")


def marked_for_deletion() -> AwsError:
    return AwsError("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")


def moved(stages: dict[str, str], labels: list[str], version: str) -> dict[str, str]:
    """The labels after these went to a version. When AWSCURRENT moves, AWSPREVIOUS follows to where it came from."""
    after = {**stages, **dict.fromkeys(labels, version)}
    left = stages.get(CURRENT)
    if CURRENT in labels and left is not None and left != version:
        after[PREVIOUS] = left
    if after.get(PREVIOUS) == version and CURRENT in labels:
        del after[PREVIOUS]
    return after


def tag_map(old: dict[str, str], pairs: list[dict[str, str]], stack: bool = False) -> dict[str, str]:
    """The tags after these were added. stack: whether CloudFormation adds them, its own among them."""
    for pair in pairs:
        if not pair.get("Key"):
            raise AwsError("InvalidParameterException", "A tag needs a key.")
    check_tag_keys([pair["Key"] for pair in pairs], stack)
    tags = {**old, **{pair["Key"]: pair.get("Value", "") for pair in pairs}}
    if len(users(tags)) > MAX_TAGS:
        raise AwsError("InvalidParameterException", f"A secret can have at most {MAX_TAGS} tags.")
    return tags


def check_tag_keys(keys: list[str], stack: bool) -> None:
    if any(reserved(key, stack) for key in keys):
        raise AwsError("InvalidParameterException", "Tag keys beginning with aws: are reserved.")


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def described(scope: Scope, secret: Secret) -> dict[str, Any]:
    """What DescribeSecret and ListSecrets have in common."""
    entry: dict[str, Any] = {
        "ARN": secret_arn(scope, secret),
        "Name": secret.name,
        "LastChangedDate": secret.changed,
        "CreatedDate": secret.created,
        "Tags": tag_list(secret.tags),
    }
    if secret.description:
        entry["Description"] = secret.description
    if secret.kms_key:
        entry["KmsKeyId"] = secret.kms_key
    if secret.deletion is not None:
        entry["DeletedDate"] = secret.deletion.asked
    if secret.replicas or secret.primary:
        entry["PrimaryRegion"] = secret.primary or scope.region
    return entry


def stages_by_version(secret: Secret) -> dict[str, list[str]]:
    return {version: secret.labels(version) for version in sorted(set(secret.stages.values()))}
