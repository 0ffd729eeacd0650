"""A certificate authority of this cloud's own, for clients that insist on https (git-remote-codecommit, AWS's agents, docker login).

Invariant: the CA's key never leaves the data directory (0600); the CA is made once, so that clients that trust it go on doing so.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path


def ca_file(data: Path) -> Path:
    """The CA certificate that clients are told to trust (AWS_CA_BUNDLE)."""
    return data / "tls" / "ca.pem"


def server_context(data: Path) -> ssl.SSLContext:
    """The server's TLS settings; makes CA and certificate on first need, in a process of its own (the library is heavy)."""
    certificate, key = data / "tls" / "server.pem", data / "tls" / "server.key"
    if not (certificate.exists() and key.exists() and ca_file(data).exists()):
        subprocess.run([sys.executable, "-m", "windtunnel.tls", str(data)], check=True, timeout=60, stdin=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def make(data: Path) -> None:
    """Write `tls/{ca.pem,ca.key,server.pem,server.key}`; the certificate last, so that its presence means all are there."""
    import datetime
    import ipaddress
    import os

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    directory = data / "tls"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    later = now + datetime.timedelta(days=3650)

    def store(name: str, content: bytes) -> None:
        fresh = directory / f".{name}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        os.replace(fresh, directory / name)

    def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Windtunnel local CA")])
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(later)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.DNSName("*.amazonaws.com"),
        x509.DNSName("*.us-east-1.amazonaws.com"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Windtunnel")]))
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(later)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    store("ca.key", pem(ca_key))
    store("ca.pem", ca.public_bytes(serialization.Encoding.PEM))
    store("server.key", pem(key))
    store("server.pem", certificate.public_bytes(serialization.Encoding.PEM) + ca.public_bytes(serialization.Encoding.PEM))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
