"""Key pairs (EC2 API reference, 2016-11-15). The private key is made before the transaction and told once; only the public one is kept."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.network.common import TAGS, every, given_tags, need, new_id, new_needs, tagged, tells
from windtunnel.services.ec2.network.model import Resource

BITS = 2048


class KeyPair(Resource, kw_only=True):
    """public: as OpenSSH writes it (`ssh-rsa AAAA…`). kind: `rsa` or `ed25519`."""

    KIND: ClassVar[str] = "ec2.key-pair"
    TYPE: ClassVar[str] = "key-pair"
    PREFIX: ClassVar[str] = "key"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidKeyPair.NotFound", "The key pair '{}' does not exist")
    INDEXES: ClassVar = {"name": "name"}

    name: str
    kind: str
    public: str
    fingerprint_shown: str
    created: float

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:KeyPairName": self.name, "ec2:KeyPairType": self.kind}


def named(ctx: Context, name: str) -> KeyPair | None:
    found = ctx.tx.find(KeyPair, "name", name, limit=1)
    return found[0] if found else None


def the_key(ctx: Context, name: str) -> KeyPair:
    found = named(ctx, name)
    if found is None:
        raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    return found


def colons(digest: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in digest)


def made_key(kind: str, form: str) -> tuple[str, str, str]:
    """(private key, public key in OpenSSH's form, fingerprint) of a new pair. Slow: in a thread."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    if kind == "ed25519":
        key: Any = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption()).decode()
    else:
        key = rsa.generate_private_key(65537, BITS)
        private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption()).decode()
    public = key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode()
    if kind == "ed25519":
        return private, public, fingerprint_of(public)
    der = key.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())
    return private, public, colons(hashlib.sha1(der, usedforsecurity=False).digest())


def fingerprint_of(public: str) -> str:
    """Of an ED25519 key, the SHA-256 that OpenSSH shows; of an RSA key that was imported, the MD5 of its DER form."""
    kind, blob = public.split()[:2]
    raw = base64.b64decode(blob)
    if kind == "ssh-ed25519":
        return base64.b64encode(hashlib.sha256(raw).digest()).decode()
    from cryptography.hazmat.primitives import serialization as s

    der = s.load_ssh_public_key(f"{kind} {blob}".encode()).public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    return colons(hashlib.md5(der, usedforsecurity=False).digest())


def key_shape(pair: KeyPair, public: bool = False) -> dict[str, Any]:
    shape = {
        "KeyPairId": pair.id,
        "KeyName": pair.name,
        "KeyType": pair.kind,
        "KeyFingerprint": pair.fingerprint_shown,
        "CreateTime": pair.created,
        "Tags": tagged(pair),
    }
    return shape | ({"PublicKey": f"{pair.public} {pair.name}\n"} if public else {})


@reads(
    "ec2",
    "DescribeKeyPairs",
    authorize=on_everything("ec2:DescribeKeyPairs"),
    acts="KeyNames[] KeyPairIds[] Filters[].Name Filters[].Values[] IncludePublicKey DryRun",
    cost="scan",
)
def describe_key_pairs(
    ctx: Context,
    key_names: list[str] | None = None,
    key_pair_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    include_public_key: bool = False,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    found = [the_key(ctx, name) for name in dict.fromkeys(key_names or [])]
    for name in dict.fromkeys(key_pair_ids or []):
        pair = ctx.tx.get(KeyPair, name)
        if pair is None:
            raise AwsError("InvalidKeyPair.NotFound", f"The key pair ID '{name}' does not exist")
        found.append(pair)
    if not key_names and not key_pair_ids:
        found = every(ctx, KeyPair)
    known = {"key-name": tells("KeyName"), "key-pair-id": tells("KeyPairId"), "fingerprint": tells("KeyFingerprint")}
    return {"KeyPairs": chosen([key_shape(pair, include_public_key) for pair in found], filters, known)}


def to_make(action: str) -> Any:
    def authorize(ctx: Context, key_name: str, tag_specifications: Any = None, key_type: str = "rsa", **_: Any) -> list[Need]:
        return new_needs(ctx, action, KeyPair, tag_specifications, {"ec2:KeyPairName": key_name, "ec2:KeyPairType": key_type})

    return authorize


def checked_name(ctx: Context, name: str) -> None:
    if not 1 <= len(name) <= 255 or not name.isascii():
        raise AwsError("InvalidParameterValue", f"Value ({name[:300]}) for parameter KeyName is invalid. Up to 255 ASCII characters.")
    if named(ctx, name) is not None:
        raise AwsError("InvalidKeyPair.Duplicate", "The keypair already exists")


def prepared_pair(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """prepare=: the key, unless the request will be refused."""
    kind = args.get("key_type", "rsa")
    if args.get("dry_run") or kind not in ("rsa", "ed25519") or named(ctx, args.get("key_name") or "") is not None:
        return args
    return {**args, "prepared": made_key(kind, "pem")}


@writes(
    "ec2",
    "CreateKeyPair",
    authorize=to_make("CreateKeyPair"),
    acts=f"KeyName KeyType DryRun {TAGS}",
    default_only={"KeyFormat": "pem"},
    prepare=prepared_pair,
)
def create_key_pair(
    ctx: Context,
    key_name: str,
    key_type: str = "rsa",
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
    prepared: tuple[str, str, str] | None = None,
    **_: Any,
) -> Reply:
    checked_name(ctx, key_name)
    tags = given_tags(ctx, tag_specifications, KeyPair)
    if key_type not in ("rsa", "ed25519"):
        raise AwsError("InvalidParameterValue", f"Value ({key_type}) for parameter KeyType is invalid.")
    dry(dry_run)
    if prepared is None:
        raise AwsError("InvalidKeyPair.Duplicate", "The keypair already exists")
    private, public, said = prepared
    pair = KeyPair(id=new_id(ctx, KeyPair), name=key_name, kind=key_type, public=public, fingerprint_shown=said, created=ctx.now, tags=tags)
    ctx.tx.put(pair)
    shape = {name: value for name, value in key_shape(pair).items() if name not in ("KeyType", "CreateTime")}
    return shape | {"KeyMaterial": private}


@writes("ec2", "ImportKeyPair", authorize=to_make("ImportKeyPair"), acts=f"KeyName PublicKeyMaterial DryRun {TAGS}")
def import_key_pair(
    ctx: Context,
    key_name: str,
    public_key_material: bytes,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    checked_name(ctx, key_name)
    tags = given_tags(ctx, tag_specifications, KeyPair)
    kind, public = checked_public(public_key_material)
    dry(dry_run)
    pair = KeyPair(
        id=new_id(ctx, KeyPair),
        name=key_name,
        kind=kind,
        public=public,
        fingerprint_shown=fingerprint_of(public),
        created=ctx.now,
        tags=tags,
    )
    ctx.tx.put(pair)
    return {name: value for name, value in key_shape(pair).items() if name not in ("KeyType", "CreateTime")}


def checked_public(material: bytes) -> tuple[str, str]:
    """(kind, `ssh-… BASE64`) of a public key in OpenSSH's form, which clients encode once more. Raises InvalidKey.Format."""
    try:
        text = material.decode("ascii").strip()
        if not text.startswith("ssh-"):
            text = base64.b64decode(text, validate=True).decode("ascii").strip()
        head, blob = text.split()[:2]
        raw = base64.b64decode(blob, validate=True)
    except ValueError:
        head, blob, raw = "", "", b""
    kind = {"ssh-rsa": "rsa", "ssh-ed25519": "ed25519"}.get(head)
    if kind is None or raw[4 : 4 + len(head)] != head.encode() or raw[:4] != len(head).to_bytes(4, "big"):
        raise AwsError("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
    if kind == "rsa":
        from cryptography.hazmat.primitives.serialization import load_ssh_public_key

        try:
            load_ssh_public_key(f"{head} {blob}".encode())
        except ValueError:
            raise AwsError("InvalidKey.Format", "Key is not in valid OpenSSH public key format") from None
    return kind, f"{head} {blob}"


def to_delete(ctx: Context, key_name: str | None = None, key_pair_id: str | None = None, **_: Any) -> list[Need]:
    pair = named(ctx, key_name) if key_name else None
    return [
        need(ctx, "DeleteKeyPair", KeyPair, pair.id if pair else key_pair_id or "*", {"ec2:KeyPairName": key_name} if key_name else None)
    ]


@writes("ec2", "DeleteKeyPair", authorize=to_delete, acts="KeyName KeyPairId DryRun")
def delete_key_pair(ctx: Context, key_name: str | None = None, key_pair_id: str | None = None, dry_run: bool = False) -> Reply:
    """Deleting what is not there is success."""
    if not key_name and not key_pair_id:
        raise AwsError("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
    dry(dry_run)
    pair = named(ctx, key_name) if key_name else ctx.tx.get(KeyPair, key_pair_id or "")
    if pair is None:
        return {"Return": True}
    ctx.tx.delete(KeyPair, pair.id)
    return {"Return": True, "KeyPairId": pair.id}
