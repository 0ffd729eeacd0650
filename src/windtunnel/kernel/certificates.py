"""A service's own key and self-signed certificate, by which clients verify what it signs (SNS's messages, an instance's identity document).

`cryptography` is imported when a key is made: a start does not pay for it. Making one takes up to a second: never on the loop.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LIFE = timedelta(days=3650)
BEFORE = timedelta(hours=1)
"""How long before now it is valid already: clients' clocks differ."""


class SelfSigned(NamedTuple):
    """private: PKCS #8 in PEM, unsealed: seal it before it is kept."""

    private: bytes
    certificate: Certificate

    @property
    def pem(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM).decode()


def self_signed(common_name: str, bits: int, now: float) -> SelfSigned:
    """An RSA key of so many bits and its certificate. now: UTC epoch seconds."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    since = datetime.fromtimestamp(now, UTC) - BEFORE
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + LIFE)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SelfSigned(private, certificate)
