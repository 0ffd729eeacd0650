"""Signing, verifying, encrypting, agreeing and MACs: what KMS makes, other people's code understands, and the other way round."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

MESSAGE = b"release 1.2.3"


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


def made(kms: Any, spec: str, usage: str) -> Any:
    return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]


SIGNING = [("RSA_2048", f"RSASSA_{scheme}_SHA_{size}") for scheme in ("PKCS1_V1_5", "PSS") for size in (256, 384, 512)] + [
    ("ECC_NIST_P256", "ECDSA_SHA_256"),
    ("ECC_NIST_P384", "ECDSA_SHA_384"),
    ("ECC_NIST_P521", "ECDSA_SHA_512"),
    ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
]


@pytest.mark.parametrize("spec, algorithm", SIGNING)
def test_a_signature_holds_for_its_message_only(kms: Any, spec: str, algorithm: str) -> None:
    key = made(kms, spec, "SIGN_VERIFY")
    assert algorithm in key["SigningAlgorithms"] and key["KeySpec"] == spec
    args = {"KeyId": key["KeyId"], "SigningAlgorithm": algorithm}
    signature = kms.sign(Message=MESSAGE, **args)["Signature"]
    digest = hashlib.new(f"sha{algorithm[-3:]}", MESSAGE).digest()
    assert kms.verify(Message=MESSAGE, Signature=signature, **args)["SignatureValid"] is True
    assert kms.verify(Message=digest, MessageType="DIGEST", Signature=signature, **args)["SignatureValid"] is True
    assert code(kms.verify, Message=MESSAGE + b"!", Signature=signature, **args) == "KMSInvalidSignatureException"
    assert code(kms.sign, Message=b"short", MessageType="DIGEST", **args) == "ValidationException"
    assert outside(kms.get_public_key(KeyId=key["KeyId"])["PublicKey"], signature, algorithm)


def outside(public: bytes, signature: bytes, algorithm: str) -> bool:
    """Verified by code that knows nothing of ours."""
    key: Any = serialization.load_der_public_key(public)
    used: Any = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[-3:]]()
    if algorithm.startswith("ECDSA"):
        key.verify(signature, MESSAGE, ec.ECDSA(used))
    elif "PSS" in algorithm:
        key.verify(signature, MESSAGE, padding.PSS(mgf=padding.MGF1(used), salt_length=used.digest_size), used)
    else:
        key.verify(signature, MESSAGE, padding.PKCS1v15(), used)
    return True


def test_edwards_curves_sign_whole_messages(kms: Any) -> None:
    key = made(kms, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY")["KeyId"]
    args = {"KeyId": key, "SigningAlgorithm": "ED25519_SHA_512"}
    signature = kms.sign(Message=MESSAGE, **args)["Signature"]
    public: Any = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signature, MESSAGE)
    assert kms.verify(Message=MESSAGE, Signature=signature, **args)["SignatureValid"] is True
    assert code(kms.sign, Message=MESSAGE, MessageType="DIGEST", **args) == "ValidationException"
    assert code(kms.sign, Message=MESSAGE, KeyId=key, SigningAlgorithm="ED25519_PH_SHA_512") == "NotImplemented"


def test_a_key_does_only_what_it_is_for(kms: Any) -> None:
    signing, secret = made(kms, "ECC_NIST_P256", "SIGN_VERIFY")["KeyId"], kms.create_key()["KeyMetadata"]["KeyId"]
    assert code(kms.encrypt, KeyId=signing, Plaintext=b"x") == "InvalidKeyUsageException"
    assert code(kms.generate_data_key, KeyId=signing, KeySpec="AES_256") == "InvalidKeyUsageException"
    assert code(kms.sign, KeyId=secret, Message=b"x", SigningAlgorithm="ECDSA_SHA_256") == "InvalidKeyUsageException"
    assert code(kms.sign, KeyId=signing, Message=b"x", SigningAlgorithm="ECDSA_SHA_384") == "InvalidKeyUsageException"
    assert code(kms.get_public_key, KeyId=secret) == "UnsupportedOperationException"
    assert code(kms.enable_key_rotation, KeyId=signing) == "UnsupportedOperationException"


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"])
def test_rsa_encryption(kms: Any, algorithm: str) -> None:
    key = made(kms, "RSA_2048", "ENCRYPT_DECRYPT")["KeyId"]
    args = {"KeyId": key, "EncryptionAlgorithm": algorithm}
    blob = kms.encrypt(Plaintext=b"hello", **args)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, **args)["Plaintext"] == b"hello"
    used: Any = hashes.SHA1() if algorithm.endswith("_1") else hashes.SHA256()
    public: Any = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    theirs = public.encrypt(b"from outside", padding.OAEP(mgf=padding.MGF1(used), algorithm=used, label=None))
    assert kms.decrypt(CiphertextBlob=theirs, **args)["Plaintext"] == b"from outside"
    assert code(kms.decrypt, CiphertextBlob=b"x" * 256, **args) == "InvalidCiphertextException"
    assert code(kms.encrypt, Plaintext=b"x" * 300, **args) == "ValidationException"
    assert code(kms.encrypt, Plaintext=b"x", EncryptionContext={"a": "1"}, **args) == "ValidationException"
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "InvalidKeyUsageException"


@pytest.mark.parametrize("size", [224, 256, 384, 512])
def test_macs(kms: Any, size: int) -> None:
    key = made(kms, f"HMAC_{size}", "GENERATE_VERIFY_MAC")["KeyId"]
    args = {"KeyId": key, "MacAlgorithm": f"HMAC_SHA_{size}"}
    mac = kms.generate_mac(Message=MESSAGE, **args)["Mac"]
    assert len(mac) == size // 8
    assert kms.verify_mac(Message=MESSAGE, Mac=mac, **args)["MacValid"] is True
    assert code(kms.verify_mac, Message=MESSAGE, Mac=mac[:-1] + bytes([mac[-1] ^ 1]), **args) == "KMSInvalidMacException"
    wrong = {**args, "MacAlgorithm": "HMAC_SHA_256" if size != 256 else "HMAC_SHA_512"}
    assert code(kms.generate_mac, Message=MESSAGE, **wrong) == "InvalidKeyUsageException"


def test_two_sides_agree_on_a_secret(kms: Any) -> None:
    key = made(kms, "ECC_NIST_P256", "KEY_AGREEMENT")["KeyId"]
    public: Any = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    ours = ec.generate_private_key(ec.SECP256R1())
    sent = ours.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    theirs = kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=sent)["SharedSecret"]
    assert theirs == ours.exchange(ec.ECDH(), public)
    assert code(kms.derive_shared_secret, KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=b"none") == "ValidationException"


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P384", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs_fit_together(kms: Any, spec: str) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec=spec, EncryptionContext={"a": "1"})
    private: Any = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], None)
    public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public == pair["PublicKey"]
    hidden = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec=spec)
    opened = kms.decrypt(CiphertextBlob=hidden["PrivateKeyCiphertextBlob"])["Plaintext"]
    assert "PrivateKeyPlaintext" not in hidden and serialization.load_der_private_key(opened, None)
    assert code(kms.generate_data_key_pair, KeyId=key, KeyPairSpec="SM2") == "NotImplemented"


# -- material from outside --------------------------------------------------------------------------------------------------


def wrap(parameters: Any, material: bytes, algorithm: str) -> bytes:
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

    public: Any = serialization.load_der_public_key(parameters["PublicKey"])
    used: Any = hashes.SHA256() if algorithm.endswith("256") else hashes.SHA1()
    oaep = padding.OAEP(mgf=padding.MGF1(used), algorithm=used, label=None)
    if algorithm.startswith("RSAES"):
        sealed: bytes = public.encrypt(material, oaep)
        return sealed
    return bytes(public.encrypt(b"k" * 32, oaep)) + aes_key_wrap_with_padding(b"k" * 32, material)


def bring(kms: Any, key: str, material: bytes, algorithm: str = "RSAES_OAEP_SHA_256", **args: Any) -> Any:
    parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    args = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", **args}
    return kms.import_key_material(
        KeyId=key, ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrap(parameters, material, algorithm), **args
    )


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_256"])
def test_imported_material_encrypts(kms: Any, algorithm: str) -> None:
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    assert (key["KeyState"], key["Enabled"]) == ("PendingImport", False)
    assert code(kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x") == "KMSInvalidStateException"
    bring(kms, key["KeyId"], b"m" * 32, algorithm)
    found = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (found["KeyState"], found["ExpirationModel"]) == ("Enabled", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    kms.delete_imported_key_material(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingImport"
    assert code(kms.decrypt, CiphertextBlob=blob) == "KMSInvalidStateException"
    assert code(lambda: bring(kms, key["KeyId"], b"n" * 32)) == "IncorrectKeyMaterialException"
    bring(kms, key["KeyId"], b"m" * 32)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_what_is_not_fit_for_import(kms: Any) -> None:
    key, other = (kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"] for _ in range(2))
    own = kms.create_key()["KeyMetadata"]["KeyId"]
    assert code(lambda: bring(kms, own, b"m" * 32)) == "UnsupportedOperationException"
    assert code(lambda: bring(kms, key, b"m" * 16)) == "IncorrectKeyMaterialException"
    assert code(lambda: bring(kms, key, b"m" * 32, ExpirationModel="KEY_MATERIAL_EXPIRES")) == "ValidationException"
    assert code(lambda: bring(kms, key, b"m" * 32, ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=1)) == "ValidationException"
    parameters = kms.get_parameters_for_import(KeyId=other, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    wrapped = wrap(parameters, b"m" * 32, "RSAES_OAEP_SHA_256")
    args = {"KeyId": key, "EncryptedKeyMaterial": wrapped, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    assert code(kms.import_key_material, ImportToken=parameters["ImportToken"], **args) == "InvalidImportTokenException"
    assert code(kms.import_key_material, ImportToken=b"made up", **args) == "InvalidImportTokenException"


def test_an_imported_signing_key_signs_as_its_owner_would(kms: Any) -> None:
    own = rsa.generate_private_key(65537, 2048)
    der = own.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key = kms.create_key(Origin="EXTERNAL", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert code(lambda: bring(kms, key, b"m" * 32)) == "IncorrectKeyMaterialException"
    bring(kms, key, der, "RSA_AES_KEY_WRAP_SHA_256")
    signature = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256")["Signature"]
    own.public_key().verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())


def test_an_imported_mac_key_is_the_same_key(kms: Any) -> None:
    key = kms.create_key(Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    bring(kms, key, b"h" * 32)
    mac = kms.generate_mac(KeyId=key, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256")["Mac"]
    assert mac == hmac.digest(b"h" * 32, MESSAGE, "sha256")


def test_imported_keys_are_rotated_by_bringing_more(kms: Any) -> None:
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    bring(kms, key, b"1" * 32)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert code(kms.rotate_key_on_demand, KeyId=key) == "KMSInvalidStateException"
    bring(kms, key, b"2" * 32, ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="the second")
    states = [entry["KeyMaterialState"] for entry in kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]]
    assert states == ["CURRENT", "PENDING_ROTATION"]
    kms.rotate_key_on_demand(KeyId=key)
    found = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [(entry["RotationType"], entry["KeyMaterialDescription"]) for entry in found] == [("ON_DEMAND", "the second")]
    assert kms.decrypt(CiphertextBlob=blob)["KeyMaterialId"] != kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
