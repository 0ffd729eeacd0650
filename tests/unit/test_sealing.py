"""The root key and what is sealed under it."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from windtunnel.kernel.sealing import Unsealable
from windtunnel.store.sealing import KEY_FILE, DamagedRootKey, RootKeySealer, root_key


def test_what_is_sealed_comes_back_for_its_context_only(tmp_path: Path) -> None:
    sealer = RootKeySealer(root_key(tmp_path))
    sealed = sealer.seal(b"material", b"kms.key/1")
    assert b"material" not in sealed
    assert sealer.unseal(sealed, b"kms.key/1") == b"material"
    with pytest.raises(Unsealable, match="kms.key/2"):
        sealer.unseal(sealed, b"kms.key/2")


@pytest.mark.parametrize("at", [0, 1, 12, 13, -1])
def test_what_was_altered_is_not_unsealed(tmp_path: Path, at: int) -> None:
    sealer = RootKeySealer(root_key(tmp_path))
    sealed = bytearray(sealer.seal(b"material", b"c"))
    sealed[at] ^= 1
    with pytest.raises(Unsealable):
        sealer.unseal(bytes(sealed), b"c")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" * 13, b"\x01" * 20])
def test_what_is_too_short_is_not_unsealed(tmp_path: Path, sealed: bytes) -> None:
    with pytest.raises(Unsealable):
        RootKeySealer(root_key(tmp_path)).unseal(sealed, b"c")


def test_the_key_is_private_and_stays(tmp_path: Path) -> None:
    first = root_key(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert root_key(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    assert RootKeySealer(first).derive("a") == RootKeySealer(root_key(tmp_path)).derive("a") != RootKeySealer(first).derive("b")


def test_makers_at_once_agree(tmp_path: Path) -> None:
    made: list[bytes] = []
    makers = [threading.Thread(target=lambda: made.append(root_key(tmp_path))) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_a_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(DamagedRootKey, match="5 bytes instead of 32"):
        root_key(tmp_path)
    assert (tmp_path / KEY_FILE).read_bytes() == b"short"
