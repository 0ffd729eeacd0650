"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}` and the escapes `${*}`, `${?}`, `${$}`.

Invariant: what a variable brings in is text, never a wildcard. A variable that is missing, without a default, or has more than
one value makes the text that holds it unresolvable, and unresolvable text matches nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from windtunnel.iam.request import Request
from windtunnel.iam.wildcards import has_marks, marked


class Variable(NamedTuple):
    key: str
    default: str | None


# A text without variables, or its pieces.
Template = str | tuple[str | Variable, ...]

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_WITH_DEFAULT = re.compile(r"\s*([^,\s]+)\s*,\s*'([^']*)'\s*")


def template(text: str, *, variables: bool, wildcards: bool) -> Template:
    """Compile a policy text. wildcards: `*` and `?` have their meaning; variables: as in policy version 2012-10-17."""
    convert = marked if wildcards else str
    if not variables or "${" not in text:
        return convert(text)
    pieces: list[str | Variable] = []
    at = 0
    for reference in _REFERENCE.finditer(text):
        pieces.append(convert(text[at : reference.start()]))
        pieces.append(_reference(reference[1]))
        at = reference.end()
    pieces.append(convert(text[at:]))
    if any(isinstance(piece, Variable) for piece in pieces):
        return tuple(piece for piece in pieces if piece != "")
    return "".join(str(piece) for piece in pieces)


def _reference(inner: str) -> str | Variable:
    if inner in ("*", "?", "$"):
        return inner
    if found := _WITH_DEFAULT.fullmatch(inner):
        return Variable(found[1].lower(), found[2])
    return Variable(inner.strip().lower(), None)


def resolve(text: Template, request: Request) -> str | None:
    """The text with the request's values; None if a variable has none."""
    if isinstance(text, str):
        return text
    pieces: list[str] = []
    for piece in text:
        value = _value(piece, request) if isinstance(piece, Variable) else piece
        if value is None:
            return None
        pieces.append(value)
    return "".join(pieces)


def _value(variable: Variable, request: Request) -> str | None:
    values = request.values(variable.key)
    value = values[0] if values is not None and len(values) == 1 else variable.default
    # A value that holds our wildcard marks could widen the policy: such text is not in any AWS name, and matches nothing.
    return None if value is None or has_marks(value) else value
