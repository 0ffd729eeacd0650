"""Asymmetric keys: made, signed with, verified, decrypted and agreed with. Imported only when such a key is used.

Invariant: private keys are PKCS#8 in DER, public ones SubjectPublicKeyInfo in DER, as KMS hands them out. What is slow here (RSA) is
OpenSSL's work without the interpreter's lock, so that a thread is enough for it.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.services.kms.specs import EDWARDS, RSA

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {"1": hashes.SHA1, "256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def runs(spec: str) -> bool:
    return spec in RSA or spec in _CURVES or spec == EDWARDS


def check_runs(spec: str, operation: str, member: str) -> None:
    if not runs(spec):
        raise not_built("kms", operation, f"{member} {spec}")


def generate(spec: str) -> tuple[bytes, bytes]:
    """(private, public) of a new key pair. RSA takes up to a second: for threads."""
    key: Any
    if spec in RSA:
        key = rsa.generate_private_key(65537, RSA[spec])
    elif spec == EDWARDS:
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(_CURVES[spec]())
    private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, public_bytes(key.public_key())


def public_bytes(key: Any) -> bytes:
    found: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return found


def private_key(der: bytes) -> Any:
    """A private key that we made or checked ourselves: its numbers are not proven again."""
    return serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)


def _hash(algorithm: str) -> hashes.HashAlgorithm:
    return _HASHES[algorithm.rpartition("_")[2]]()


def _oaep(algorithm: str) -> padding.OAEP:
    used = _hash(algorithm)
    return padding.OAEP(mgf=padding.MGF1(used), algorithm=used, label=None)


def encrypt(public: bytes, plaintext: bytes, algorithm: str) -> bytes:
    key: Any = serialization.load_der_public_key(public)
    longest = key.key_size // 8 - 2 * _hash(algorithm).digest_size - 2
    if len(plaintext) > longest:
        raise AwsError("ValidationException", f"Plaintext is longer than {longest} bytes, which this key and algorithm allow at most.")
    sealed: bytes = key.encrypt(plaintext, _oaep(algorithm))
    return sealed


def decrypt(private: bytes, blob: bytes, algorithm: str) -> bytes:
    return _opened(private_key(private), blob, algorithm)


def _signing(algorithm: str, digest: bool) -> tuple[Any, ...]:
    """The arguments of sign and verify after the message."""
    used: Any = _hash(algorithm)
    prepared = utils.Prehashed(used) if digest else used
    if algorithm.startswith("ECDSA"):
        return (ec.ECDSA(prepared),)
    if "PSS" in algorithm:
        return padding.PSS(mgf=padding.MGF1(used), salt_length=used.digest_size), prepared
    return padding.PKCS1v15(), prepared


def check_message(algorithm: str, message: bytes, kind: str, operation: str) -> None:
    """A digest has the length of its algorithm's hash, and only Ed25519's pure form takes no digest."""
    if kind == "EXTERNAL_MU" or algorithm == "ED25519_PH_SHA_512":
        what = f"MessageType {kind}" if kind == "EXTERNAL_MU" else f"SigningAlgorithm {algorithm}"
        raise not_built("kms", operation, what)
    if kind != "DIGEST":
        return
    if algorithm == "ED25519_SHA_512":
        raise AwsError("ValidationException", f"MessageType DIGEST is not valid for {algorithm}.")
    if len(message) != _hash(algorithm).digest_size:
        raise AwsError("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")


def sign(private: bytes, message: bytes, algorithm: str, digest: bool) -> bytes:
    extra = () if algorithm.startswith("ED25519") else _signing(algorithm, digest)
    signature: bytes = private_key(private).sign(message, *extra)
    return signature


def verifies(public: bytes, message: bytes, signature: bytes, algorithm: str, digest: bool) -> bool:
    key: Any = serialization.load_der_public_key(public)
    extra = () if algorithm.startswith("ED25519") else _signing(algorithm, digest)
    try:
        key.verify(signature, message, *extra)
    except InvalidSignature:
        return False
    return True


def unwrap(private: bytes, wrapped: bytes, algorithm: str) -> bytes:
    """Key material that was wrapped for import: under OAEP alone, or under an AES key that stands before it, under OAEP itself."""
    key = private_key(private)
    if algorithm.startswith("RSAES_OAEP"):
        return _opened(key, wrapped, algorithm)
    size = key.key_size // 8
    try:
        return aes_key_unwrap_with_padding(_opened(key, wrapped[:size], algorithm), wrapped[size:])
    except (InvalidUnwrap, ValueError):
        raise AwsError("InvalidCiphertextException", "") from None


def _opened(key: Any, blob: bytes, algorithm: str) -> bytes:
    try:
        opened: bytes = key.decrypt(blob, _oaep(algorithm))
    except ValueError:
        raise AwsError("InvalidCiphertextException", "") from None
    return opened


def public_of(private: bytes, spec: str) -> bytes:
    """The public half of an imported private key, which must be of that spec. Raises IncorrectKeyMaterialException."""
    try:
        key: Any = serialization.load_der_private_key(private, None)
    except (ValueError, TypeError):
        key = None
    if isinstance(key, rsa.RSAPrivateKey):
        fits = RSA.get(spec) == key.key_size
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        fits = spec in _CURVES and key.curve.name == _CURVES[spec]().name
    else:
        fits = isinstance(key, ed25519.Ed25519PrivateKey) and spec == EDWARDS
    if not fits:
        raise AwsError("IncorrectKeyMaterialException", f"The key material is not a private key (PKCS #8, DER) of the spec {spec}.")
    return public_bytes(key.public_key())


def agree(private: bytes, other: bytes) -> bytes:
    """The shared secret of ECDH. Raises ValidationException for a public key that is none, or of another curve."""
    own = private_key(private)
    try:
        theirs = serialization.load_der_public_key(other)
    except (ValueError, TypeError):
        theirs = None
    if not isinstance(theirs, ec.EllipticCurvePublicKey) or theirs.curve.name != own.curve.name:
        raise AwsError("ValidationException", "The public key is not valid for the curve of the KMS key.")
    shared: bytes = own.exchange(ec.ECDH(), theirs)
    return shared
