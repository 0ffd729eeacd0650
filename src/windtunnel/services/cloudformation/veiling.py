"""What a change set shows of values that nobody is to see: stars, as AWS shows them.

Invariant: a NoEcho parameter's value, old or new, stands in no property, value or context that is told. Values of fewer than four characters are found
only where they stand alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation.model import Stack, Template
from windtunnel.services.cloudformation.planning import AFTER_APPLY, CONTEXTS
from windtunnel.services.cloudformation.submitting import Submission

STARS = "****"
SHORT = 4


def veiled(ctx: Context, stack: Stack | None, submission: Submission, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Changes as they are kept and told."""
    old = ctx.tx.get(Template, f"{stack.id}/{stack.made:06d}") if stack is not None else None
    secrets: set[str] = set()
    for parameters, hidden in ((submission.parameters, submission.hidden), (old.parameters, old.hidden) if old is not None else ({}, [])):
        for name in hidden:
            value = parameters.get(name, "")
            secrets |= set(map(str, value)) if isinstance(value, list) else {str(value)}
    secrets -= {"", AFTER_APPLY}
    return [_change(change, sorted(secrets, key=len, reverse=True)) for change in changes] if secrets else changes


def _change(change: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    plain = {name: value for name, value in change.items() if name not in CONTEXTS}
    contexts = {name: msgspec.json.decode(change[name]) for name in CONTEXTS if name in change}
    veil = {name: msgspec.json.encode(_veil(context, secrets)).decode() for name, context in contexts.items()}
    return {**plain, "Details": _veil(change["Details"], secrets), **veil}


def _veil(node: Any, secrets: list[str]) -> Any:
    if isinstance(node, dict):
        return {name: _veil(part, secrets) for name, part in node.items()}
    if isinstance(node, list):
        return [_veil(part, secrets) for part in node]
    if not isinstance(node, str):
        return node
    for secret in secrets:
        if node == secret:
            return STARS
        if len(secret) >= SHORT:
            node = node.replace(secret, STARS)
    return node
