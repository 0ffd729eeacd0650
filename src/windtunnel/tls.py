"""A certificate authority of this cloud's own, for clients that insist on https (git-remote-codecommit, AWS's agents, docker login).

Invariants: the CA's key never leaves the data directory (0600); the CA is made once, so that clients that trust it go on doing so; the server's
certificate is made anew, by the same CA, when it is about to expire, when its names change, and after a kill between its files.
"""

from __future__ import annotations

import importlib.util
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FORMAT = 2
DAYS, RENEWED_DAYS = 397, 30
"""How long a server's certificate is good for (what the strictest clients take), and how long before its end it is renewed."""
_FORMS = ("*.{region}.{suffix}", "*.s3.{region}.{suffix}", "*.dkr.ecr.{region}.{suffix}", "*.d.codeartifact.{region}.{suffix}")
"""A wildcard stands for one label only, so each depth that AWS's names have needs its own."""
_GLOBAL = ("localhost", "*.localhost", "*.s3.localhost", "*.amazonaws.com", "*.s3.amazonaws.com", "*.test", "host.docker.internal")


def ca_file(data: Path) -> Path:
    """The CA certificate that clients are told to trust (AWS_CA_BUNDLE)."""
    return data / "tls" / "ca.pem"


def server_context(data: Path, hosts: Iterable[str] = ()) -> ssl.SSLContext:
    """The server's TLS settings; makes CA and certificate on first need, in a process of its own (the library is heavy).

    hosts: names of this cloud beside AWS's and the loopback's.
    """
    names = sorted(hosts)
    if not _is_good(data / "tls", names):
        command = [sys.executable, "-m", "windtunnel.tls", str(data), *names]
        subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(data / "tls" / "server.pem", data / "tls" / "server.key")
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_good(directory: Path, names: list[str]) -> bool:
    try:
        made = json.loads((directory / "server.json").read_text())
    except (OSError, ValueError):
        return False
    whole = all((directory / name).exists() for name in ("ca.pem", "server.pem", "server.key"))
    current = isinstance(made, dict) and made.get("format") == FORMAT and made.get("hosts") == names
    return whole and current and made.get("until", 0) > time.time() + RENEWED_DAYS * 86400


def regions() -> list[tuple[str, str]]:
    """(region, its DNS suffix) of every region that the clients know, from botocore's file."""
    spec = importlib.util.find_spec("botocore")
    where = spec.submodule_search_locations if spec is not None else None
    if not where:
        return [("us-east-1", "amazonaws.com")]
    partitions = json.loads((Path(where[0]) / "data" / "partitions.json").read_text())["partitions"]
    suffixes = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
    return [
        (region, suffixes[partition["id"]])
        for partition in partitions
        if partition["id"] in suffixes
        for region in sorted(partition["regions"])
        if not region.endswith("-global")
    ]


def server_names(hosts: Iterable[str] = ()) -> list[str]:
    return [*_GLOBAL, *hosts, *(form.format(region=region, suffix=suffix) for region, suffix in regions() for form in _FORMS)]


def make(data: Path, hosts: list[str]) -> None:
    """Write `tls/{ca.key,ca.pem}` if there is none, and `tls/{server.key,server.pem,server.json}`; the last file says that all are there."""
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

    def store(name: str, content: bytes) -> None:
        fresh = directory / f".{name}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        os.replace(fresh, directory / name)

    def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def usage(*, ca: bool) -> x509.KeyUsage:
        unset = {"content_commitment": False, "key_encipherment": False, "data_encipherment": False, "key_agreement": False}
        return x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False, **unset)

    def authority() -> tuple[Any, x509.Certificate]:
        """The CA there is, or a new one. Its certificate is written after its key, so that a certificate has one."""
        if (directory / "ca.pem").exists():
            ca = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
            return serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None), ca
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Windtunnel local CA")])
        ca = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        store("ca.key", pem(key))
        store("ca.pem", ca.public_bytes(serialization.Encoding.PEM))
        return key, ca

    ca_key, ca = authority()
    key = ec.generate_private_key(ec.SECP256R1())
    until = now + datetime.timedelta(days=DAYS)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(server_names(hosts))]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Windtunnel")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(min(until, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(ca=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (directory / "server.json").unlink(missing_ok=True)
    store("server.key", pem(key))
    store("server.pem", certificate.public_bytes(serialization.Encoding.PEM) + ca.public_bytes(serialization.Encoding.PEM))
    store("server.json", json.dumps({"format": FORMAT, "until": until.timestamp(), "hosts": hosts}).encode())


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
