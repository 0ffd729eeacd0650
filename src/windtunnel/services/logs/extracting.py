"""The values that a filter pattern names in a message: fields of a space-delimited pattern, selectors of a JSON one. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from windtunnel.services.logs.fields import ELLIPSIS, split_fields, words
from windtunnel.services.logs.patterns import select_from

Extract = Callable[[str], dict[str, str]]
_SELECTOR = re.compile(r"""\$(?:\.[^\s.()\[\]=!<>&|{}"]+|\[(?:\d+|\*|"[^"]*"|'[^']*')\])+""")
_NAME = re.compile(r"[^\s=!<>]+")


def extractor(pattern: str) -> Extract:
    """For a pattern that compiles."""
    text = pattern.strip()
    if text.startswith("["):
        return _of_fields(text)
    if text.startswith("{"):
        return _of_json(text)
    return lambda _: {}


def _of_fields(text: str) -> Extract:
    names = []
    for n, field in enumerate(split_fields(text[1:-1]), 1):
        found = _NAME.match(field)
        names.append(field if field == ELLIPSIS else found.group() if found else str(n))

    def extract(message: str) -> dict[str, str]:
        found = words(message)
        if ELLIPSIS not in names:
            return {f"${name}": word for name, word in zip(names, found, strict=False)}
        at = names.index(ELLIPSIS)
        hidden = len(found) - (len(names) - 1)
        whole = [*names[:at], *(str(at + 1 + n) for n in range(hidden)), *names[at + 1 :]]
        return {f"${name}": word for name, word in zip(whole, found, strict=False)}

    return extract


def _of_json(text: str) -> Extract:
    selectors = {found: select_from(found) for found in dict.fromkeys(_SELECTOR.findall(re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)))}

    def extract(message: str) -> dict[str, str]:
        document = msgspec.json.decode(message)
        found = {}
        for name, select in selectors.items():
            values = select(document)
            if values and not isinstance(values[0], dict | list):
                found[name] = values[0] if isinstance(values[0], str) else msgspec.json.encode(values[0]).decode()
        return found

    return extract
