"""Numbers and booleans as text, and text as numbers and booleans: YAML 1.1's rules, and Java's spelling.

AWS reads YAML 1.1 (an unquoted `yes` is true, `0300` is 192, `012345678901` is the float 1.2345678901E10) and prints what it has read as
Java prints it. A template that relies on it behaves the same here. Dates are not a type of it: `2010-09-09` is text.
"""

from __future__ import annotations

import math
import re
from typing import Any

LONGEST_NUMBER = 64
"""No number that a template means is longer; a longer run of digits stays text."""
TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
NULL = frozenset({"", "~", "null", "Null", "NULL"})
MAY_BE_SPECIAL = frozenset("-+.0123456789~nNtTfFyYoO")
"""The first characters of every plain scalar that is not text."""
INTEGER = re.compile(
    r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*(?::[0-5]?[0-9])+|[1-9][0-9_]*)",
)
FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
INT64 = 2**63


def text_of(value: object) -> str:
    """A scalar as CloudFormation writes it into text."""
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return java_double(value)
    return str(value)


def java_double(value: float) -> str:
    """`Double.toString`: plain between a thousandth and ten million, with an exponent elsewhere; always one decimal at least."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = repr(value)
        return plain if "e" not in plain else f"{value:f}".rstrip("0")
    sign, digits, exponent = _digits(value)
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def _digits(value: float) -> tuple[str, str, int]:
    """Sign, significant digits and decimal exponent of the shortest text that reads back as this number."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent or 0) + len(whole) - 1
    digits = (whole + fraction).rstrip("0") or "0"
    leading = len(digits) - len(digits.lstrip("0"))
    return "-" if value < 0 else "", digits[leading:] or "0", power - leading


def plain(text: str) -> Any:
    """What an unquoted YAML scalar means: None, a boolean, a number or the text itself."""
    if text and text[0] not in MAY_BE_SPECIAL:
        return text
    if text in NULL:
        return None
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    if len(text) > LONGEST_NUMBER:
        return text
    if INTEGER.fullmatch(text):
        number = _integer(text)
        return text if number is None else number
    if FLOAT.fullmatch(text):
        return _float(text)
    return text


def _integer(text: str) -> int | str | None:
    sign = -1 if text[0] == "-" else 1
    body = text.lstrip("+-").replace("_", "")
    if body.startswith("0b"):
        number = int(body[2:], 2) if body[2:] else None
    elif body.startswith("0x"):
        number = int(body[2:], 16) if body[2:] else None
    elif ":" in body:
        number = _sexagesimal(body)
    elif body.startswith("0") and len(body) > 1:
        number = int(body, 8)
    else:
        number = int(body)
    if number is None:
        return None
    return sign * number if number < INT64 else text


def _sexagesimal(body: str) -> int:
    number = 0
    for part in body.split(":"):
        number = number * 60 + int(part)
    return number


def _float(text: str) -> float | str:
    """Not a number and the infinities have no form in JSON: they stay text, spelled as Java spells them."""
    sign = -1.0 if text[0] == "-" else 1.0
    body = text.lstrip("+-").replace("_", "").lower()
    if body == ".nan":
        return "NaN"
    if ":" in body:
        whole, _, fraction = body.rpartition(".")
        number = float(_sexagesimal(whole)) + float(f"0.{fraction or 0}")
    else:
        number = math.inf if body == ".inf" else float(body)
    number *= sign
    return number if math.isfinite(number) else java_double(number)
