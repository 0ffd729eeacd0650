"""IAM's records and their rules. Pure.

Invariant: names are unique within an account without regard to case, so a record's key is its name in lower case, while ARNs and
answers keep the case that was given.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
from msgspec import structs

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Record, RecordScope, Sealable
from windtunnel.kernel.scope import Arn, Scope

MAX_KEYS_PER_USER = 2
MAX_ATTACHED = 10
MAX_POLICY_VERSIONS = 5
MAX_MANAGED_SIZE = 6144
MAX_TRUST_SIZE = 2048
MAX_TAGS = 50


class Generation(Record, kw_only=True):
    """Changes with every change of IAM; what is derived from IAM's records is cached under its id (see identity.py)."""

    KIND: ClassVar[str] = "iam.generation"
    SCOPE: ClassVar[RecordScope] = "cloud"
    ONCE: ClassVar[bool] = True

    id: str

    def key(self) -> str:
        return "current"


class Entity(Record, kw_only=True):
    """What users, groups and roles have in common.

    inline: policy name -> document as it was given. attached: ARNs of managed policies, in the order of their attachment.
    boundary: the ARN of the permissions boundary, or "". id: `AIDA…`, `AGPA…`, `AROA…`.
    """

    SCOPE: ClassVar[RecordScope] = "account"
    INDEXES: ClassVar = {"attached": lambda entity: entity.attached, "boundary": "boundary"}
    NOUN: ClassVar[str]
    INLINE_SIZE: ClassVar[int]

    name: str
    path: str
    id: str
    created: float
    tags: dict[str, str] = {}
    inline: dict[str, str] = {}
    attached: list[str] = []
    boundary: str = ""

    def key(self) -> str:
        return self.name.lower()


class User(Entity, kw_only=True):
    """groups: keys of the groups that the user is in."""

    KIND: ClassVar[str] = "iam.user"
    INDEXES: ClassVar = {**Entity.INDEXES, "group": lambda user: user.groups}
    NOUN: ClassVar[str] = "user"
    INLINE_SIZE: ClassVar[int] = 2048

    groups: list[str] = []


class Group(Entity, kw_only=True):
    KIND: ClassVar[str] = "iam.group"
    NOUN: ClassVar[str] = "group"
    INLINE_SIZE: ClassVar[int] = 5120


class Role(Entity, kw_only=True):
    """trust: the trust policy's document; max_session in seconds. service: whose service-linked role it is (`ecs.amazonaws.com`), or ""."""

    KIND: ClassVar[str] = "iam.role"
    NOUN: ClassVar[str] = "role"
    INLINE_SIZE: ClassVar[int] = 10240

    trust: str
    description: str = ""
    max_session: int = 3600
    service: str = ""


class PolicyVersion(msgspec.Struct):
    number: int
    document: str
    created: float


class ManagedPolicy(Record, kw_only=True):
    """A customer managed policy, oldest version first. latest: the highest number ever given to a version."""

    KIND: ClassVar[str] = "iam.policy"
    SCOPE: ClassVar[RecordScope] = "account"

    name: str
    path: str
    id: str
    description: str
    created: float
    updated: float
    versions: list[PolicyVersion]
    default: int = 1
    latest: int = 1
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name.lower()

    def version(self, number: int) -> PolicyVersion | None:
        return next((version for version in self.versions if version.number == number), None)

    @property
    def document(self) -> str:
        found = self.version(self.default)
        if found is None:
            raise ValueError(f"{self.name} has lost its default version")
        return found.document


class InstanceProfile(Record, kw_only=True):
    """role: the key of its role, or ""."""

    KIND: ClassVar[str] = "iam.instance-profile"
    SCOPE: ClassVar[RecordScope] = "account"
    INDEXES: ClassVar = {"role": "role"}

    name: str
    path: str
    id: str
    created: float
    role: str = ""
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name.lower()


class AccessKey(Sealable, kw_only=True):
    """A long-lived key. user: its user's key; owner: `account/user`."""

    KIND: ClassVar[str] = "iam.access-key"
    SCOPE: ClassVar[RecordScope] = "cloud"
    INDEXES: ClassVar = {"owner": lambda key: [owner_of(key.account, key.user)]}

    sealed: bool | bytes = True
    id: str
    secret: str
    account: str
    user: str
    created: float
    active: bool = True

    def key(self) -> str:
        return self.id

    def shell(self) -> AccessKey:
        return structs.replace(self, secret="")


class RootKey(Record, kw_only=True):
    """The access key of an account's root user; an account is there when it has one. name: what `windtunnel account` calls it.

    The owner's own, in a file beside the store too, and read at every start: it is not sealed.
    """

    KIND: ClassVar[str] = "iam.root-key"
    SCOPE: ClassVar[RecordScope] = "cloud"

    access_key: str
    secret: str
    account: str
    name: str = ""
    created: float = 0.0

    def key(self) -> str:
        return self.access_key


class Session(Sealable, kw_only=True):
    """Temporary credentials. Never changed after they were made, so they may be cached without asking the generation."""

    KIND: ClassVar[str] = "iam.session"
    SCOPE: ClassVar[RecordScope] = "cloud"

    sealed: bool | bytes = True
    id: str
    secret: str
    token: str
    principal: Principal
    expires: float

    def key(self) -> str:
        return self.id

    def shell(self) -> Session:
        return structs.replace(self, secret="", token="")


class Expiry(Record, kw_only=True):
    """The sessions in the order in which they end, so that ended ones are removed without reading the others."""

    KIND: ClassVar[str] = "iam.expiry"
    SCOPE: ClassVar[RecordScope] = "cloud"

    expires: float
    session: str

    def key(self) -> str:
        return f"{int(self.expires):012d}/{self.session}"


class ServiceCredential(Sealable, kw_only=True):
    """A user's name and password for one service (CodeCommit over HTTPS). login is `NAME-at-ACCOUNT`."""

    KIND: ClassVar[str] = "iam.service-credential"
    SCOPE: ClassVar[RecordScope] = "account"
    INDEXES: ClassVar = {"user": "user", "login": "login"}

    sealed: bool | bytes = True
    id: str
    user: str
    service: str
    login: str
    password: str
    created: float
    active: bool = True

    def key(self) -> str:
        return self.id

    def shell(self) -> ServiceCredential:
        return structs.replace(self, password="")


def owner_of(account: str, user: str) -> str:
    return f"{account}/{user}"


def entity_arn(scope: Scope, entity: Entity) -> str:
    return scope.global_arn("iam", f"{entity.NOUN}{entity.path}{entity.name}")


def policy_arn(scope: Scope, policy: ManagedPolicy) -> str:
    return scope.global_arn("iam", f"policy{policy.path}{policy.name}")


def profile_arn(scope: Scope, profile: InstanceProfile) -> str:
    return scope.global_arn("iam", f"instance-profile{profile.path}{profile.name}")


def name_in(arn: str) -> str:
    """`x` of `arn:aws:iam::1:role/path/x`."""
    return arn.rsplit("/", 1)[-1]


def account_in(arn: str) -> str:
    parsed = Arn.parse(arn)
    return parsed.account if parsed else ""


def session_arn(account: str, role_name: str, session_name: str) -> str:
    return f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}"


def encoded(document: str) -> str:
    """A policy document as IAM's answers carry it (RFC 3986)."""
    return quote(document, safe="")


def policy_size(document: str) -> int:
    """What counts against the size limits: white space does not."""
    return sum(1 for char in document if not char.isspace())


def checked_tags(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """The tags as a mapping, after AWS's rules."""
    given = {tag["Key"]: tag["Value"] for tag in tags or []}
    if len({key.lower() for key in given}) < len(tags or []):
        raise AwsError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.lower().startswith("aws:") for key in given):
        raise AwsError("InvalidInput", "Tag keys starting with 'aws:' are reserved for system use.")
    return given


def merged_tags(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """A tag replaces the one whose key differs in case only."""
    replaced = {key.lower() for key in new}
    merged = {key: value for key, value in old.items() if key.lower() not in replaced} | new
    if len(merged) > MAX_TAGS:
        raise AwsError("LimitExceeded", f"The number of tags has reached the maximum limit of {MAX_TAGS}.")
    return merged


def without_tags(old: dict[str, str], keys: list[str]) -> dict[str, str]:
    dropped = {key.lower() for key in keys}
    return {key: value for key, value in old.items() if key.lower() not in dropped}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def described(scope: Scope, entity: Entity, *, tags: bool = True) -> dict[str, Any]:
    """The User, Group and Role shapes. tags: the List operations leave tags and boundaries out."""
    title = entity.NOUN.title()
    reply: dict[str, Any] = {
        "Path": entity.path,
        f"{title}Name": entity.name,
        f"{title}Id": entity.id,
        "Arn": entity_arn(scope, entity),
        "CreateDate": entity.created,
    }
    if isinstance(entity, Role):
        reply["AssumeRolePolicyDocument"] = encoded(entity.trust)
        reply["MaxSessionDuration"] = entity.max_session
        if entity.description:
            reply["Description"] = entity.description
    if tags and entity.boundary:
        reply["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": entity.boundary}
    if tags and entity.tags:
        reply["Tags"] = tag_list(entity.tags)
    return reply
