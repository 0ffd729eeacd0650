"""What a model calls sensitive is hidden before anything of it is kept, as AWS does: HIDDEN_DUE_TO_SECURITY_REASONS.

Invariant: the value itself never reaches the buffer of notes, so it cannot be found on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.wire.models import OperationModel, ServiceModel, load_service
from windtunnel.wire.naming import xform

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
MAX_DEPTH = 12
Hide = Callable[[Any], Any]

ALSO = {
    "secretsmanager": frozenset(("SecretString", "SecretBinary")),
    "kms": frozenset(("Plaintext", "CiphertextBlob", "Message", "PrivateKeyPlaintext", "Mac", "Signature")),
    "iam": frozenset(("SecretAccessKey", "Password", "ServicePassword", "ServiceCredentialSecret", "OldPassword", "NewPassword")),
    "sts": frozenset(("SecretAccessKey", "WebIdentityToken", "SAMLAssertion")),
}
"""Members that AWS hides although their shapes may not say that they are sensitive."""
OMITTED = {"cloudformation": frozenset(("TemplateBody", "ParameterValue"))}
"""Members that AWS leaves out altogether: of parameters, events have the keys (CloudFormation User Guide, log file entries)."""


class Hiding:
    """Hides the sensitive members of one operation's input (as a handler takes it) and output; None where there are none."""

    __slots__ = ("input", "output")

    def __init__(self, service: str, operation: str) -> None:
        model = load_service(service)
        if not model.has_operation(operation):
            self.input: Hide | None = None
            self.output: Hide | None = None
            return
        shape = model.operation(operation)
        self.input = _members(model, service, shape, shape.input, xform)
        self.output = _members(model, service, shape, shape.output, str)


def _members(model: ServiceModel, service: str, operation: OperationModel, shape: str | None, named: Callable[[str], str]) -> Hide | None:
    return _structure(model, service, shape, named, (shape,)) if shape else None


def _structure(model: ServiceModel, service: str, name: str, named: Callable[[str], str], above: tuple[str, ...]) -> Hide | None:
    hidden = {
        named(member): hide
        for member, ref in model.shape(name).members.items()
        if (hide := _value(model, service, member, ref.shape, above)) is not None
    }
    omitted = frozenset(named(member) for member in model.shape(name).members if member in OMITTED.get(service, ()))
    if not hidden and not omitted:
        return None

    def structure(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: hidden[key](item) if key in hidden and item is not None else item for key, item in value.items() if key not in omitted}

    return structure


def _value(model: ServiceModel, service: str, member: str, name: str, above: tuple[str, ...]) -> Hide | None:
    shape = model.shape(name)
    if shape.sensitive or member in ALSO.get(service, ()):
        return lambda _: HIDDEN
    if name in above or len(above) > MAX_DEPTH:
        return None
    if shape.type == "structure":
        return _structure(model, service, name, str, (*above, name))
    inner = shape.member if shape.type == "list" else shape.value if shape.type == "map" else None
    hide = _value(model, service, "", inner.shape, (*above, name)) if inner is not None else None
    if hide is None:
        return None
    found = hide
    if shape.type == "list":
        return lambda value: [found(item) for item in value] if isinstance(value, list) else value
    return lambda value: {key: found(item) for key, item in value.items()} if isinstance(value, dict) else value
