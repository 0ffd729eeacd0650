"""The signature of an instance's identity document, and what an instance may do that shows it.

Invariants: what was signed here for an instance is what `caller` takes, and only while that instance lives; an instance that shows its
document may read and signal the stack that made it, and nothing else. Sources: EC2 user guide, "Instance identity documents";
CloudFormation template reference, "cfn-init" (without credentials the call's scope is the stack that the instance belongs to).
"""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar, NamedTuple

from windtunnel.kernel.certificates import self_signed
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Record, RecordScope, Tx
from windtunnel.services.ec2.model import Instance

BITS = 2048
STACK_TAG = "aws:cloudformation:stack-id"
ALLOWED = ("cloudformation:DescribeStackResource", "cloudformation:SignalResource")
ENDED = ("shutting-down", "terminated")
_PURPOSE = b"ec2.identity-signer"


class IdentitySigner(Record, kw_only=True):
    """The key that signs the documents of this cloud's instances (PEM, sealed, in base64), and its certificate (PEM)."""

    KIND: ClassVar[str] = "ec2.identity-signer"
    SCOPE: ClassVar[RecordScope] = "cloud"

    key_sealed: str
    certificate: str

    def key(self) -> str:
        return "signer"


class Caller(NamedTuple):
    """Whom a document stands for, and the region that it is of."""

    principal: Principal
    region: str


def made(sealer: Any, now: float) -> IdentitySigner:
    """A new signer. Slow (a key is made): in a thread."""
    own = self_signed("ec2.amazonaws.com", BITS, now)
    return IdentitySigner(key_sealed=base64.b64encode(sealer.seal(own.private, _PURPOSE)).decode(), certificate=own.pem)


def signature(sealer: Any, signer: IdentitySigner, document: bytes, kind: str) -> str:
    """kind: `signature` (RSA over SHA-256), or `pkcs7` and `rsa2048` (PKCS #7 with the document inside). Base64, in lines. In a thread."""
    from cryptography import x509  # also for `caller`, which runs on the loop and finds it loaded
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    private = serialization.load_pem_private_key(sealer.unseal(base64.b64decode(signer.key_sealed), _PURPOSE), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("the signer's key is an RSA key")
    if kind == "signature":
        return base64.encodebytes(private.sign(document, padding.PKCS1v15(), hashes.SHA256())).decode().rstrip("\n")
    from cryptography.hazmat.primitives.serialization import pkcs7

    certificate = x509.load_pem_x509_certificate(signer.certificate.encode())
    builder = pkcs7.PKCS7SignatureBuilder().set_data(document).add_signer(certificate, private, hashes.SHA256())
    return base64.encodebytes(builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])).decode().rstrip("\n")


def caller(tx: Tx, document: bytes, proof: bytes) -> Caller | None:
    """Who shows this document; None when it was not signed here, or its instance is no more."""
    signer = tx.get(IdentitySigner, "signer")
    if signer is None or not _genuine(signer, document, proof):
        return None
    said = json.loads(document)
    account, region = said["accountId"], said["region"]
    instance = tx.within(account, region).get(Instance, said["instanceId"])
    if instance is None or instance.state in ENDED:
        return None
    return Caller(principal(account, instance.id, instance.tags.get(STACK_TAG, "")), region)


def _genuine(signer: IdentitySigner, document: bytes, proof: bytes) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    public = x509.load_pem_x509_certificate(signer.certificate.encode()).public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        return False
    try:
        public.verify(proof, document, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def principal(account: str, instance_id: str, stack_id: str) -> Principal:
    """A session that nothing but the session policy allows anything: its stack alone, or nothing when it has none. Pure."""
    statement = {"Effect": "Allow", "Action": list(ALLOWED), "Resource": stack_id}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return Principal(
        kind="federated-user",
        account=account,
        arn=f"arn:aws:sts::{account}:assumed-role/aws:ec2-infrastructure/{instance_id}",
        identity=f"arn:aws:iam::{account}:root",
        unique_id=f"{account}:aws:ec2-infrastructure:{instance_id}",
        name=instance_id,
        session_policies=(policy,) if stack_id else (),
        issuer_id=account,
    )
