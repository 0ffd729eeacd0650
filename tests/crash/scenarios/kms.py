"""KMS's jobs: keys that go when their window has passed, keys that are rotated, imported material that expires."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from doomed import DoomedCloud, patiently, until

JOBS = ("kms.delete", "kms.rotate", "kms.expire")
PACE = 4_000_000.0
"""A week passes in a sixth of a second, 90 days in two."""
VALID = 3.0
"""Seconds for which imported material is good: dates are never paced."""


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.kms = cloud.client("kms")

    def set_up(self) -> None:
        return None

    def go(self, nonce: str) -> None:
        doomed, kept, brought = (self.key(**args) for args in ({}, {}, {"Origin": "EXTERNAL"}))
        old = patiently(lambda: self.kms.encrypt(KeyId=kept, Plaintext=nonce.encode()))["CiphertextBlob"]
        patiently(lambda: self.kms.enable_key_rotation(KeyId=kept, RotationPeriodInDays=90))
        patiently(lambda: self.delete(doomed))
        self.bring(brought)
        until(lambda: self.state(doomed) is None, 30, "the key is gone")
        until(lambda: len(self.rotations(kept)) >= 2, 30, "two rotations")
        until(lambda: self.state(brought) == "PendingImport", 30, "the material has expired")
        patiently(lambda: self.kms.disable_key_rotation(KeyId=kept))
        assert patiently(lambda: self.kms.decrypt(CiphertextBlob=old))["Plaintext"] == nonce.encode()
        new = patiently(lambda: self.kms.encrypt(KeyId=kept, Plaintext=b"new"))["CiphertextBlob"]
        found = self.rotations(kept)
        assert patiently(lambda: self.kms.decrypt(CiphertextBlob=new))["KeyMaterialId"] == found[-1]["KeyMaterialId"]
        dates = [entry["RotationDate"].timestamp() for entry in found]
        assert all(later - earlier > 1 for earlier, later in zip(dates, dates[1:], strict=False)), "each period has one rotation"

    def key(self, **args: Any) -> str:
        made: str = patiently(lambda: self.kms.create_key(**args))["KeyMetadata"]["KeyId"]
        return made

    def delete(self, key: str) -> None:
        try:
            self.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("KMSInvalidStateException", "NotFoundException"):
                raise

    def bring(self, key: str) -> None:
        asked = {"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
        parameters = patiently(lambda: self.kms.get_parameters_for_import(**asked))
        public: Any = serialization.load_der_public_key(parameters["PublicKey"])
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        wrapped = public.encrypt(b"m" * 32, oaep)
        until_then = time.time() + VALID
        patiently(
            lambda: self.kms.import_key_material(
                KeyId=key, ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrapped, ValidTo=until_then
            )
        )

    def rotations(self, key: str) -> list[dict[str, Any]]:
        return list(patiently(lambda: self.kms.list_key_rotations(KeyId=key))["Rotations"])

    def state(self, key: str) -> str | None:
        try:
            found: str = self.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NotFoundException":
                raise
            return None
        return found
