"""CBOR against RFC 8949's own examples, against botocore's two halves, and against noise."""

import math
from typing import Any

import pytest
from botocore.parsers import RpcV2CBORParser
from botocore.serialize import CBORSerializer
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.wire.cbor import Instant, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.floats(allow_nan=False),
    TEXT,
    st.binary(max_size=70),
    st.none(),
    st.floats(-1e12, 1e12).map(lambda seconds: Instant(seconds + 0.0)),  # an instant is no less than none: there is no -0.0
)


def nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars, lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXT, inner, max_size=5)), max_leaves=30
    )


VALUES = nested(SCALARS)
PRESENT = nested(SCALARS.filter(lambda value: value is not None))  # botocore leaves out a map's nulls


@given(VALUES)
def test_what_was_written_is_read(value: Any) -> None:
    assert repr(decode(encode(value), 64)) == repr(value)
    assert decode(encode(value), 64) == value


@given(PRESENT)
def test_botocore_reads_what_we_write(value: Any) -> None:
    parser = RpcV2CBORParser()
    parser._timestamp_parser = float  # type: ignore[assignment]
    parsed = parser.parse_data_item(_peekable(encode(value)))
    assert parsed == value


def _peekable(data: bytes) -> Any:
    import io

    return io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]


@given(VALUES)
def test_we_read_what_botocore_writes(value: Any) -> None:
    written = bytearray()
    _by_botocore(value, written)
    assert decode(bytes(written), 64) == value


def _by_botocore(value: Any, out: bytearray) -> None:
    """botocore's serialiser is driven by shapes; here by the values themselves."""
    serializer = CBORSerializer()
    if isinstance(value, Instant):
        out += b"\xc1"
        serializer._serialize_type_double(out, float(value), None, None)
    elif isinstance(value, bool):
        serializer._serialize_type_boolean(out, value, None, None)
    elif isinstance(value, int):
        serializer._serialize_type_integer(out, value, None, None)
    elif isinstance(value, float):
        serializer._serialize_type_double(out, value, None, None)
    elif isinstance(value, str):
        serializer._serialize_type_string(out, value, None, None)
    elif isinstance(value, bytes):
        serializer._serialize_type_blob(out, value, None, None)
    elif value is None:
        out += b"\xf6"
    elif isinstance(value, list):
        out += b"\x9f"
        for item in value:
            _by_botocore(item, out)
        out += b"\xff"
    else:
        out += b"\xbf"
        for key, item in value.items():
            serializer._serialize_type_string(out, key, None, None)
            _by_botocore(item, out)
        out += b"\xff"


@pytest.mark.parametrize(
    "hexadecimal, value",
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1bffffffffffffffff", 18446744073709551615),
        ("3bffffffffffffffff", -18446744073709551616),
        ("20", -1),
        ("3903e7", -1000),
        ("f90000", 0.0),
        ("f93c00", 1.0),
        ("f97bff", 65504.0),
        ("fa47c35000", 100000.0),
        ("fb7e37e43c8800759c", 1.0e300),
        ("f90001", 5.960464477539063e-8),
        ("f97c00", math.inf),
        ("f4", False),
        ("f6", None),
        ("f7", None),
        ("c11a514b67b0", Instant(1363896240)),
        ("c1fb41d452d9ec200000", Instant(1363896240.5)),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("62c3bc", "ü"),
        ("64f0908591", "\U00010151"),
        ("80", []),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ],
)
def test_the_rfcs_examples(hexadecimal: str, value: Any) -> None:
    assert repr(decode(bytes.fromhex(hexadecimal), 64)) == repr(value)


@pytest.mark.parametrize(
    "hexadecimal",
    [
        "",
        "18",
        "1c",
        "61",
        "62ff41",
        "81",
        "9f",
        "a1",
        "a101f4",
        "a2616101616102",
        "bf6161ff",
        "81ff",
        "a16161ff",
        "ff",
        "0000",
        "5f6161ff",
        "7f7f6161ffff",
        "1f",
        "df",
        "c249010000000000000000",
        "c1f4",
        "c161 30".replace(" ", ""),
        "f820",
        "9bffffffffffffffff",
        "5bffffffffffffffff00",
        "81" * 70,
        "9f" * 5000,
    ],
)
def test_what_is_no_value_is_refused(hexadecimal: str) -> None:
    with pytest.raises(ValueError):
        decode(bytes.fromhex(hexadecimal), 64)


@given(st.binary(max_size=60))
def test_noise_is_a_value_or_refused(noise: bytes) -> None:
    try:
        value = decode(noise, 64)
    except ValueError:
        return
    assert repr(decode(encode(value), 64)) == repr(value)


def test_what_has_no_cbor() -> None:
    with pytest.raises(TypeError):
        encode(object())
    with pytest.raises(ValueError):
        encode(1 << 64)
