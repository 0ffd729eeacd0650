"""Digest files: what was delivered since the last one, signed, each naming the one before. Pure, but for the signing key's record.

Source: user guide, "CloudTrail digest file structure" and "signature". Held by the real `aws cloudtrail validate-logs`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from typing import Any, ClassVar, NamedTuple

import msgspec

from windtunnel.kernel.records import Record
from windtunnel.kernel.scope import Scope
from windtunnel.services.cloudtrail.records import iso
from windtunnel.services.cloudtrail.trails import Digests, Trail

ALGORITHM = "SHA256withRSA"
VALID_SECONDS = 3 * 365 * 86_400.0


class SigningKey(Record, kw_only=True):
    """A region's key. sealed: the private key (PKCS#8 DER) under the cloud's root key; public: PKCS#1 DER, base64."""

    KIND: ClassVar[str] = "cloudtrail.key"

    fingerprint: str
    public: str
    sealed: str
    begins: float
    ends: float

    def key(self) -> str:
        return "signing"


def sealed_for(scope: Scope) -> bytes:
    return f"cloudtrail.key/{scope.account}/{scope.region}".encode()


def make_key(sealer: Any, scope: Scope, now: float) -> dict[str, Any]:
    """A new key as the fields of its record. Takes a tenth of a second: for a job's thread."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    secret = private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "fingerprint": hashlib.md5(public, usedforsecurity=False).hexdigest(),
        "public": base64.b64encode(public).decode(),
        "sealed": base64.b64encode(sealer.seal(secret, sealed_for(scope))).decode(),
        "begins": now - 3600.0,
        "ends": now + VALID_SECONDS,
    }


def sign(sealer: Any, scope: Scope, key: SigningKey, text: bytes) -> str:
    """The signature in hex. About a millisecond."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    private = serialization.load_der_private_key(sealer.unseal(base64.b64decode(key.sealed), sealed_for(scope)), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return private.sign(text, padding.PKCS1v15(), hashes.SHA256()).hex()


class Digest(NamedTuple):
    """A digest ready to be put: its key, the file, what is to be signed, the hash of the file."""

    key: str
    body: bytes
    signed: bytes
    sha256: str


def digest_key(base: str, scope: Scope, trail: Trail, region: str, ended: float) -> str:
    day, minute = iso(ended)[:10].replace("-", "/"), iso(ended).replace("-", "").replace(":", "")
    return f"{base}/{region}/{day}/{scope.account}_CloudTrail-Digest_{region}_{trail.name}_{scope.region}_{minute}.json.gz"


def make(base: str, scope: Scope, trail: Trail, region: str, chain: Digests, fingerprint: str, ended: float) -> Digest:
    """The region's next digest, over what was delivered until `ended`."""
    key = digest_key(base, scope, trail, region, ended)
    times = [time for file in chain.files for time in (file.oldest, file.newest)]
    document = {
        "awsAccountId": scope.account,
        "digestStartTime": iso(chain.began),
        "digestEndTime": iso(ended),
        "digestS3Bucket": trail.bucket,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": fingerprint,
        "digestSignatureAlgorithm": ALGORITHM,
        "newestEventTime": iso(max(times)) if times else None,
        "oldestEventTime": iso(min(times)) if times else None,
        "previousDigestS3Bucket": chain.bucket or None,
        "previousDigestS3Object": chain.key or None,
        "previousDigestHashValue": chain.sha256 or None,
        "previousDigestHashAlgorithm": "SHA-256" if chain.key else None,
        "previousDigestSignature": chain.signature or None,
        "logFiles": [
            {
                "s3Bucket": trail.bucket,
                "s3Object": file.key,
                "hashValue": file.sha256,
                "hashAlgorithm": "SHA-256",
                "newestEventTime": iso(file.newest),
                "oldestEventTime": iso(file.oldest),
            }
            for file in chain.files
        ],
    }
    text = msgspec.json.encode(document)
    sha256 = hashlib.sha256(text).hexdigest()
    signed = f"{iso(ended)}\n{trail.bucket}/{key}\n{sha256}\n{chain.signature or 'null'}".encode()
    return Digest(key, gzip.compress(text, mtime=0), signed, sha256)
