"""The seams through which handlers reach what the composition root put together.

Invariant: kernel knows only these protocols; `app.py` alone knows what stands behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from windtunnel.kernel.clock import Clock
from windtunnel.kernel.ids import Ids
from windtunnel.kernel.principal import Credential, Principal

if TYPE_CHECKING:
    from windtunnel.kernel.context import Context, Event, Need, Reply
    from windtunnel.kernel.records import Tx


class BlobRef(msgspec.Struct, frozen=True):
    """A durable blob. sha256 is its name (hex): of what lies on disk; md5 hex of the plaintext; size of the plaintext in bytes.

    inline: a small one's bytes, which has no file. key: of a file its data key, sealed under the cloud's root key; of inline bytes
    `SEALED` when they are sealed themselves. Empty: plaintext (what was staged in memory, and files of releases before encryption).
    """

    sha256: str
    size: int
    md5: str
    inline: bytes | None = None
    key: bytes = b""


SEALED = b"1"


class DamagedBlob(Exception):
    """A blob is gone, cut short or altered: nothing of it may be handed on as if it were whole."""


class Body(msgspec.Struct, frozen=True):
    """A request body that was staged before the transaction, or bytes given by an in-process caller."""

    ref: BlobRef
    checksums: tuple[tuple[str, str], ...] = ()
    """Checksums that the client sent and that were verified: (`crc32`, base64)."""


class BlobRange(msgspec.Struct, frozen=True):
    """A part of a blob, as a streaming answer: the wire sends it in chunks."""

    ref: BlobRef
    offset: int
    length: int


class BlobWriter(Protocol):
    def write(self, data: bytes) -> None: ...

    def finish(self) -> BlobRef:
        """Fsynced and named; afterwards a row may refer to it."""

    def discard(self) -> None: ...


class BlobReader(Protocol):
    """An open blob. Not for two threads at once."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes of the plaintext, proven to be what was written; DamagedBlob otherwise."""

    def close(self) -> None: ...


class Blobs(Protocol):
    """Content-addressed files of ciphertext. Inside a write transaction only `small`, `sealed` and `opened` are called."""

    def small(self, data: bytes) -> BlobRef:
        """A blob held inline by the record that refers to it (no file, no I/O): for up to INLINE_LIMIT bytes."""

    def put(self, data: bytes) -> BlobRef: ...

    def writer(self) -> BlobWriter: ...

    def sealed(self, ref: BlobRef) -> BlobRef:
        """As it may stand in a record: inline bytes sealed under the root key (microseconds, no I/O)."""

    def opened(self, ref: BlobRef) -> BlobRef:
        """The inverse of `sealed`. Raises DamagedBlob."""

    def path(self, ref: BlobRef) -> Path:
        """The file of a blob that is not inline: ciphertext."""

    def reader(self, ref: BlobRef) -> BlobReader:
        """Open a blob. Raises DamagedBlob when it is gone."""

    def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes: ...

    def stream(self, ranges: BlobRange | Iterable[BlobRange]) -> Iterator[bytes]:
        """The bytes of an answer in chunks: s3 GetObject's `Body` is one range, or several for a multipart object."""

    def close(self) -> None:
        """No more will be written."""


class Assumption(msgspec.Struct, frozen=True):
    """How a role is to be assumed.

    action: `sts:AssumeRole`, or with another proof of who asks: `sts:AssumeRoleWithWebIdentity`; provider: the ARN of the identity
    provider that vouches for the caller then. context: condition keys of this request; keys: those that the session keeps for good.
    policies, policy_arns: session policies; tags: session tags, of which `transitive` go on to the next role of a chain.
    """

    context: Mapping[str, Any] = {}
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive: tuple[str, ...] = ()
    source_identity: str = ""
    action: str = "sts:AssumeRole"
    provider: str = ""
    keys: tuple[tuple[str, str], ...] = ()


class Issuer(msgspec.Struct, frozen=True):
    """An account's OpenID Connect provider. url: without its scheme; clients: the audiences that its tokens may have."""

    arn: str
    scheme: str
    url: str
    clients: tuple[str, ...]
    thumbprints: tuple[str, ...]


class Asleep(NamedTuple):
    """How a run begins that has nothing to do yet: as if it had come to its `wait_for(signal, key=step, timeout=seconds)` already.

    When it wakes it is driven from its beginning, so what comes before that wait must be right then too.
    """

    step: str
    signal: str
    seconds: float


class Identity(Protocol):
    """Who is who, and what they may do: implemented by services/iam, used by wire, guard and jobs."""

    def credential(self, tx: Tx, access_key: str) -> Credential | None:
        """The credential of an active access key or session; None when unknown, inactive or deleted. Cached."""

    def known(self, access_key: str) -> Credential | None:
        """As credential, from memory alone: None when it must be looked up. For the loop's thread."""

    def committed(self, generation: str) -> None:
        """IAM's records are now, durably, those of this generation (services/iam says so after each commit)."""

    def check(self, ctx: Context, needs: Iterable[Need]) -> None:
        """Raise AwsError("AccessDenied", words) unless the caller may do all of it."""

    def assume_for_service(self, ctx: Context, role_arn: str, session_name: str, service: str, source_arn: str = "") -> Principal:
        """The session principal of a role that trusts the service (acting for `source_arn`); AwsError AccessDenied otherwise."""

    def assume(self, ctx: Context, role_arn: str, session_name: str, asked: Assumption) -> tuple[Principal, int]:
        """The session of a role for ctx's principal, and the role's longest session in seconds; AwsError AccessDenied otherwise."""

    def session_documents(self, ctx: Context, account: str, policies: tuple[str, ...], arns: tuple[str, ...]) -> tuple[str, ...]:
        """The session policies that were given as documents and as ARNs of managed policies."""

    def check_code(self, ctx: Context, user: str, serial: str, code: str) -> None:
        """AwsError AccessDenied unless this is a code of the user's (or, with "", root's) enabled multi-factor device, not used before."""

    def federation_issuer(self, ctx: Context, url: str) -> Issuer | None:
        """This account's OpenID Connect provider for an issuer; None when there is none."""

    def saml_metadata(self, ctx: Context, arn: str) -> str | None:
        """The metadata document of this account's SAML provider; None when there is none."""

    def account_of(self, tx: Tx, access_key: str) -> str | None:
        """The account of any access key id that was given out, also of one that is inactive; None when it is unknown."""

    def decode_refusal(self, ctx: Context, message: str) -> str | None:
        """The decision in an encoded authorization message of this account, as JSON; None when it is none."""

    def issue(self, ctx: Context, principal: Principal, seconds: float) -> Credential:
        """Temporary credentials for a principal (write transaction)."""

    def service_password(self, tx: Tx, service: str, login: str, password: str) -> Principal | None:
        """The user whose active service-specific credential this is (`codecommit.amazonaws.com`, `NAME-at-ACCOUNT`)."""

    def last_used(self, access_key: str) -> tuple[float, str, str] | None:
        """(epoch seconds, service, region) of the last authorized use of an access key, or of a role by its ARN."""


class Cloud(Protocol):
    """What a Context offers beyond its transaction."""

    clock: Clock
    ids: Ids
    blobs: Blobs
    identity: Identity
    endpoint: str
    """The URL under which clients (and sandboxes) reach this cloud: `http://127.0.0.1:4566`."""
    data: Path

    def call(self, ctx: Context, service: str, operation: str, args: dict[str, Any]) -> Reply: ...

    def hears(self, ctx: Context, source: str) -> bool:
        """Whether anyone in ctx's account and region may want an event of a source: what nobody hears need not be put into words."""

    def append_events(self, ctx: Context, events: Iterable[Event]) -> None:
        """Events of one account and region happen in ctx's transaction, in this order."""

    def start_job(self, ctx: Context, kind: str, run_id: str, args: dict[str, Any], asleep: Asleep | None = None) -> None:
        """asleep: the run begins as one that waits already (see `Asleep`)."""

    def dismiss_job(self, ctx: Context, run_id: str) -> None:
        """End a run of which nothing is wanted any more: it waits, and what it waits for will not come."""

    def signal(self, ctx: Context, name: str, payload: Any) -> None: ...

    def notify(self, ctx: Context, name: str) -> None: ...

    def wake(self, ctx: Context, run_id: str) -> None:
        """Have a run look again (see `Run.until`) once this commits. A hint: it looks by itself after its interval."""

    def part(self, name: str) -> Any:
        """A part that the composition root registered for services: "compute" (Driver), "git", …"""

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run on the loop after some seconds; lost at a restart (use jobs for what must not be)."""
