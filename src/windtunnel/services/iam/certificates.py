"""Keys and certificates that users and the account hold: SSH public keys, signing certificates, server certificates.

Invariant: what is kept has been read as what it claims to be; a private key is sealed at rest and never shown again.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error as NotBase64
from typing import ClassVar, NamedTuple

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope


class SSHPublicKey(Record, kw_only=True):
    """user: its user's key. body: in OpenSSH's form."""

    KIND: ClassVar[str] = "iam.ssh-public-key"
    SCOPE: ClassVar[RecordScope] = "account"
    INDEXES: ClassVar = {"user": "user"}

    id: str
    user: str
    body: str
    fingerprint: str
    created: float
    active: bool = True

    def key(self) -> str:
        return self.id


class SigningCertificate(Record, kw_only=True):
    KIND: ClassVar[str] = "iam.signing-certificate"
    SCOPE: ClassVar[RecordScope] = "account"
    INDEXES: ClassVar = {"user": "user"}

    id: str
    user: str
    body: str
    created: float
    active: bool = True

    def key(self) -> str:
        return self.id


class ServerCertificate(Record, kw_only=True):
    """private: the key, sealed, in base64. expires: epoch seconds."""

    KIND: ClassVar[str] = "iam.server-certificate"
    SCOPE: ClassVar[RecordScope] = "account"

    name: str
    path: str
    id: str
    body: str
    chain: str
    private: str
    created: float
    expires: float
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name.lower()


def server_certificate_arn(scope: Scope, path: str, name: str) -> str:
    return scope.global_arn("iam", f"server-certificate{path}{name}")


_KINDS = {"ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"}


def ssh_key(text: str) -> tuple[str, str]:
    """(the key in OpenSSH's form, its MD5 fingerprint) of an RSA key in OpenSSH's or PEM's form. Raises AwsError."""
    if text.lstrip().startswith("-----BEGIN"):
        text = _from_pem(text)
    fields = text.split()
    try:
        kind, blob = fields[0], b64decode(fields[1], validate=True)
    except (IndexError, NotBase64, ValueError):
        raise AwsError("InvalidPublicKey", "The public key is malformed or otherwise invalid.") from None
    size = int.from_bytes(blob[:4], "big")
    if kind not in _KINDS or blob[4 : 4 + size] != kind.encode() or len(blob) < 32:
        raise AwsError("InvalidPublicKey", "The public key is malformed or otherwise invalid.")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return " ".join(fields[:3]), ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def _from_pem(text: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(text.encode())
        return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise AwsError("UnrecognizedPublicKeyEncoding", "The public key encoding is not supported.") from None


def ssh_as_pem(body: str) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

    return load_ssh_public_key(body.encode()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Certificate(NamedTuple):
    expires: float
    public: bytes


def read_certificate(text: str) -> Certificate:
    """An X.509 certificate in PEM. Raises AwsError MalformedCertificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        found = x509.load_pem_x509_certificate(text.encode())
        public = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError):
        raise AwsError("MalformedCertificate", "Unable to parse certificate. Please ensure the certificate is in PEM format.") from None
    return Certificate(found.not_valid_after_utc.timestamp(), public)


def check_pair(certificate: Certificate, private_key: str) -> None:
    """Raises AwsError unless the private key is the certificate's."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(private_key.encode(), None)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        words = "Unable to parse key; the body must contain a single PEM-encoded, unencrypted private key."
        raise AwsError("MalformedCertificate", words) from None
    if public != certificate.public:
        raise AwsError("KeyPairMismatch", "Private key does not match the certificate.")
