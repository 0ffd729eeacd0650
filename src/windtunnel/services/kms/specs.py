"""What each key spec can be used for, and by which algorithms (KMS Developer Guide, "Key spec reference"). Pure tables."""

from __future__ import annotations

SYMMETRIC = "SYMMETRIC_DEFAULT"
ENCRYPT, SIGN, MAC, AGREE = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"

RSA = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
CURVES = ("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1")
HMAC = {"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
"""The lengths of HMAC keys in bytes."""
EDWARDS = "ECC_NIST_EDWARDS25519"

_OAEP = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
_RSA_SIGNING = tuple(f"RSASSA_{padding}_SHA_{size}" for padding in ("PKCS1_V1_5", "PSS") for size in (256, 384, 512))
_SIGNING = {
    **dict.fromkeys(RSA, _RSA_SIGNING),
    "ECC_NIST_P256": ("ECDSA_SHA_256",),
    "ECC_NIST_P384": ("ECDSA_SHA_384",),
    "ECC_NIST_P521": ("ECDSA_SHA_512",),
    "ECC_SECG_P256K1": ("ECDSA_SHA_256",),
    EDWARDS: ("ED25519_SHA_512", "ED25519_PH_SHA_512"),
}
USAGES: dict[str, tuple[str, ...]] = {
    SYMMETRIC: (ENCRYPT,),
    **dict.fromkeys(RSA, (ENCRYPT, SIGN)),
    **dict.fromkeys(("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"), (SIGN, AGREE)),
    "ECC_SECG_P256K1": (SIGN,),
    EDWARDS: (SIGN,),
    **dict.fromkeys(HMAC, (MAC,)),
}
"""Spec -> the usages that it may be made for. What is not here (SM2, ML-DSA) is refused by name."""


def symmetric(spec: str) -> bool:
    """Whether the key's material is secret bytes: encryption keys and HMAC keys."""
    return spec == SYMMETRIC or spec in HMAC


def algorithms(spec: str, usage: str) -> tuple[str, ...]:
    """The algorithms of a key, in AWS's order."""
    if usage == ENCRYPT:
        return (SYMMETRIC,) if spec == SYMMETRIC else _OAEP
    if usage == SIGN:
        return _SIGNING[spec]
    if usage == MAC:
        return (f"HMAC_SHA_{spec.removeprefix('HMAC_')}",)
    return ("ECDH",)
