"""Rotation in time and on demand, and material that expires."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from test_kms_asymmetric import bring

from clients import Door
from harness import InProcessCloud, until
from windtunnel.kernel.clock import FixedClock, SystemClock
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.registry import LISTENERS

DAY = 86400.0


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


def test_old_ciphertexts_open_after_a_rotation(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    old = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    first = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    kms.rotate_key_on_demand(KeyId=key)
    second = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert first != second
    new = kms.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=old)["KeyMaterialId"] == first
    assert kms.decrypt(CiphertextBlob=new)["KeyMaterialId"] == second
    found = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [(entry["KeyMaterialId"], entry["RotationType"], entry["KeyMaterialState"]) for entry in found] == [
        (second, "ON_DEMAND", "CURRENT")
    ]


def test_there_is_a_limit_of_rotations_on_demand(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key)
    assert code(kms.rotate_key_on_demand, KeyId=key) == "LimitExceededException"


def test_rotation_is_switched_on_and_off(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    found = kms.get_key_rotation_status(KeyId=key)
    assert (found["KeyRotationEnabled"], found["RotationPeriodInDays"]) == (True, 180)
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.disable_key(KeyId=key)
    assert code(kms.enable_key_rotation, KeyId=key) == "DisabledException"


@pytest.fixture()
def heard() -> Iterator[list[Event]]:
    """The events of KMS."""
    events: list[Event] = []

    def listen(ctx: Context, event: Event) -> None:
        events.append(event)

    LISTENERS.append(("aws.kms", "*", listen))
    yield events
    LISTENERS.remove(("aws.kms", "*", listen))


def test_a_key_is_rotated_again_and_again(tmp_path: Path, heard: list[Event]) -> None:
    with InProcessCloud(tmp_path, clock=SystemClock(pace=90 * DAY * 20.0)) as cloud:
        kms = Door(cloud).client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        old = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
        kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
        until(lambda: len(kms.list_key_rotations(KeyId=key)["Rotations"]) >= 3, what="three rotations")
        kms.disable_key_rotation(KeyId=key)
        done = kms.list_key_rotations(KeyId=key)["Rotations"]
        assert {entry["RotationType"] for entry in done} == {"AUTOMATIC"}
        assert kms.decrypt(CiphertextBlob=old)["Plaintext"] == b"old"
        until(lambda: heard, what="an event")
        assert {(event.detail_type, event.detail["key-id"]) for event in heard} == {("KMS CMK Rotation", key)}


def test_a_disabled_key_is_rotated_when_it_is_enabled_again(tmp_path: Path) -> None:
    clock = FixedClock()
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        key = cloud.api("kms", "CreateKey")["KeyMetadata"]["KeyId"]
        cloud.api("kms", "EnableKeyRotation", key_id=key)
        cloud.api("kms", "DisableKey", key_id=key)
        cloud.settled()
    clock.advance(366 * DAY)
    with InProcessCloud(tmp_path, clock=clock) as cloud:

        def ended() -> bool:
            rows = cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT state FROM run WHERE kind='kms.rotate'").fetchall())  # type: ignore[attr-defined]
            return rows == [("done",)]

        until(ended, what="the rotation that was due has been looked at")
        assert cloud.api("kms", "ListKeyRotations", key_id=key)["Rotations"] == []
        cloud.api("kms", "EnableKey", key_id=key)
        until(lambda: cloud.api("kms", "ListKeyRotations", key_id=key)["Rotations"], what="the rotation")
        assert cloud.api("kms", "GetKeyRotationStatus", key_id=key)["NextRotationDate"] == clock.now() + 365 * DAY


def test_imported_material_expires_at_its_date(tmp_path: Path) -> None:
    import time

    clock = FixedClock(float(int(time.time())))
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        kms = Door(cloud).client("kms")
        key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
        until_then = clock.now() + DAY
        bring(kms, key, b"m" * 32, ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=until_then)
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
        assert (found["ExpirationModel"], found["ValidTo"].timestamp()) == ("KEY_MATERIAL_EXPIRES", pytest.approx(until_then, abs=0.01))
        cloud.settled()
    clock.advance(DAY + 1)
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        assert cloud.api("kms", "DescribeKey", key_id=key)["KeyMetadata"]["KeyState"] == "PendingImport"
        until(lambda: not sealed(cloud, key), what="the material is gone")


def sealed(cloud: InProcessCloud, key: str) -> bool:
    from windtunnel.services.kms.model import Key

    record = cloud.read(lambda ctx: ctx.tx.get(Key, key))
    assert record is not None
    return any(material.sealed for material in record.materials)


def test_a_managed_key_says_that_it_is_rotated(kms: Any) -> None:
    key = kms.describe_key(KeyId="alias/aws/ssm")["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    assert code(kms.rotate_key_on_demand, KeyId=key) == "AccessDeniedException"
