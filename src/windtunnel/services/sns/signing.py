"""The keys that sign messages, and their certificates, which this endpoint serves at SigningCertURL.

Invariants: a key is made once and kept sealed; whatever is signed can be verified with the certificate that its message names, also after
a restart. Messages to queues are signed with a shorter key than those to HTTP endpoints (see docs/decisions/0101).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from threading import Lock
from typing import Any, ClassVar, Literal, NamedTuple
from weakref import WeakKeyDictionary

from windtunnel.kernel.certificates import self_signed
from windtunnel.kernel.context import Context
from windtunnel.kernel.records import Record, RecordScope, Tx

Use = Literal["queue", "http"]
BITS: dict[Use, int] = {"queue": 1024, "http": 2048}
_PURPOSE = b"sns.signer"


class Signer(Record, kw_only=True):
    """use: for what it signs; key: the private key (PEM), sealed, in base64; certificate: PEM, named `id` in its URL."""

    KIND: ClassVar[str] = "sns.signer"
    SCOPE: ClassVar[RecordScope] = "cloud"
    ONCE: ClassVar[bool] = True
    INDEXES: ClassVar = {"id": "id"}

    use: str
    id: str
    key_sealed: str
    certificate: str

    def key(self) -> str:
        return self.use


class Loaded(NamedTuple):
    """A key that is ready to sign: its certificate's id, the padding, and the digest of each SignatureVersion."""

    key: Any
    id: str
    padding: Any
    digests: dict[str, Any]


_LOADED: WeakKeyDictionary[Any, dict[str, Loaded]] = WeakKeyDictionary()
_SIGNED: WeakKeyDictionary[Any, dict[tuple[bytes, str], str]] = WeakKeyDictionary()
_MADE: WeakKeyDictionary[Any, dict[Use, dict[str, str]]] = WeakKeyDictionary()
_MAKING = Lock()
_MOST_SIGNED = 4096
ROOM = "=" * len(b64encode(bytes(BITS["queue"] // 8)))
"""Stands where a queue's signature will: as long, and no signature."""


def make(ctx: Context) -> list[dict[str, str]]:
    """New signers for all uses that have none yet, to be given to `keep` (slow: in a thread, before the transaction).

    A stack of fifty topics asks fifty times before the first is kept: all get the same ones.
    """
    lacking = [use for use in BITS if ctx.tx.get(Signer, use) is None]
    if not lacking:
        return []
    with _MAKING:
        made = _MADE.setdefault(ctx.cloud, {})
        for use in lacking:
            made[use] = made.get(use) or _made(ctx, use)
        return [made[use] for use in lacking]


def keep(ctx: Context, made: list[dict[str, str]] | None) -> None:
    """Keep what `make` made, unless another was first. In-process callers have made none: then it is made here, once in a cloud's life."""
    for fields in made if made is not None else make(ctx):
        if ctx.tx.get(Signer, fields["use"]) is None:
            ctx.tx.put(Signer(**fields))


def _made(ctx: Context, use: Use) -> dict[str, str]:
    from cryptography.hazmat.primitives.hashes import SHA256

    own = self_signed("sns.amazonaws.com", BITS[use], ctx.now)
    return {
        "use": use,
        "id": own.certificate.fingerprint(SHA256()).hex()[:32],
        "key_sealed": b64encode(ctx.cloud.part("sealer").seal(own.private, _PURPOSE)).decode(),
        "certificate": own.pem,
    }


def sign(ctx: Context, use: Use, text: bytes, version: str) -> tuple[str, str]:
    """(signature in base64, SigningCertURL). version: "1" is SHA-1, "2" SHA-256."""
    loaded = _loaded(ctx, use)
    signature = loaded.key.sign(text, loaded.padding, loaded.digests[version])
    return b64encode(signature).decode(), certificate_url(ctx, use)


def certificate_url(ctx: Context, use: Use) -> str:
    return f"{ctx.cloud.endpoint}/SimpleNotificationService-{_loaded(ctx, use).id}.pem"


def kept_signature(ctx: Context, text: bytes, version: str) -> str:
    """As `sign` for queues, kept for a while: one message is received from many queues."""
    held = _SIGNED.setdefault(ctx.cloud, {})
    key = sha256(text).digest(), version
    found = held.get(key)
    if found is None:
        if len(held) >= _MOST_SIGNED:
            held.clear()
        found = held[key] = sign(ctx, "queue", text, version)[0]
    return found


def _loaded(ctx: Context, use: Use) -> Loaded:
    held = _LOADED.get(ctx.cloud)
    if held is None:
        held = _LOADED[ctx.cloud] = {}
    found = held.get(use)
    if found is None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        signer = ctx.tx.get(Signer, use)
        if signer is None:
            raise RuntimeError("a topic was made without the keys that sign its messages")
        private = load_pem_private_key(ctx.cloud.part("sealer").unseal(b64decode(signer.key_sealed), _PURPOSE), None)
        found = held[use] = Loaded(private, signer.id, padding.PKCS1v15(), {"1": hashes.SHA1(), "2": hashes.SHA256()})
    return found


def certificate(tx: Tx, identifier: str) -> str | None:
    """The certificate (PEM) that a SigningCertURL names."""
    found = tx.find(Signer, "id", identifier, limit=1)
    return found[0].certificate if found else None
