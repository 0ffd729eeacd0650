"""One question to IAM: may this caller do this action to this resource, in this context?

Invariant: condition keys are looked up without regard to case, and every value that a policy sees is a tuple of strings, so
operators and policy variables need not know where a key came from. Keys that describe the caller are derived here from the
caller alone; no request can overwrite them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

ContextValue = str | bool | int | float | bytes | datetime | Iterable[str]
# A mapping from condition key to value, or a function that answers lower-case keys (None: the key is not there).
Context = Mapping[str, ContextValue] | Callable[[str], ContextValue | None]
Values = tuple[str, ...]

# Federated: who comes with an identity provider's word for it (`arn` is the provider's), before it has a session.
PrincipalType = Literal["Account", "User", "AssumedRole", "FederatedUser", "Federated", "Service", "Anonymous"]


class Caller:
    """Who asks. Made once per credential and shared by its requests.

    type: as in `aws:PrincipalType`; `Account` is the root user.
    arn: as GetCallerIdentity prints it (for a role session the `sts` ARN); empty for services and anonymous callers.
    user_id: as `aws:userid` (`AIDA…`, `AROA…:session`, the account for root).
    role_arn: the IAM role's ARN with its path, for sessions only.
    service: the service principal (`codebuild.amazonaws.com`), for services only.
    """

    __slots__ = ("account", "arn", "keys", "layers", "name", "role_arn", "service", "type", "user_id")

    def __init__(
        self,
        type: PrincipalType,
        account: str = "",
        arn: str = "",
        *,
        user_id: str = "",
        name: str = "",
        role_arn: str = "",
        service: str = "",
        tags: Mapping[str, str] | None = None,
        session: Mapping[str, ContextValue] | None = None,
    ) -> None:
        self.type = type
        self.account = account
        self.arn = arn
        self.user_id = user_id
        self.name = name
        self.role_arn = role_arn
        self.service = service
        self.keys = self._keys(tags or {}, session or {})
        # The identities that a Principal element may name, the most specific first.
        self.layers = tuple(layer for layer in (arn, role_arn) if layer)

    def _keys(self, tags: Mapping[str, str], session: Mapping[str, ContextValue]) -> dict[str, Values]:
        keys = {key.lower(): values_of(value) for key, value in session.items()}
        keys.update({f"aws:principaltag/{key.lower()}": (value,) for key, value in tags.items()})
        keys["aws:principalisawsservice"] = ("true" if self.type == "Service" else "false",)
        keys["aws:principaltype"] = (self.type,)
        if self.service:
            keys["aws:principalservicename"] = (self.service,)
        if self.account:
            keys["aws:principalaccount"] = (self.account,)
        if self.arn:
            keys["aws:principalarn"] = (self.role_arn or self.arn,)
        if self.user_id:
            keys["aws:userid"] = (self.user_id,)
        if self.type == "User":
            keys["aws:username"] = (self.name,)
        return keys

    def __repr__(self) -> str:
        return f"Caller({self.type}, {self.arn or self.service})"


class Request:
    """The question. `context` holds the keys that the service and the wire know; it is read only when a condition asks."""

    __slots__ = ("_context", "_folded", "action", "caller", "resource")

    def __init__(self, caller: Caller, action: str, resource: str, context: Context | None = None) -> None:
        self.caller = caller
        self.action = action
        self.resource = resource
        self._context: Context = context if context is not None else {}
        self._folded: dict[str, ContextValue | None] | None = None

    def values(self, key: str) -> Values | None:
        """The values of a condition key given in lower case; None if the request does not have it."""
        own = self.caller.keys.get(key)
        if own is not None:
            return own
        value = self._context(key) if callable(self._context) else self._fold(self._context).get(key)
        return None if value is None else values_of(value)

    def _fold(self, context: Mapping[str, ContextValue]) -> dict[str, ContextValue | None]:
        if self._folded is None:
            self._folded = {key.lower(): value for key, value in context.items()}
        return self._folded


def values_of(value: ContextValue) -> Values:
    """What a policy sees of a context value."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, int | float):
        return (str(value),)
    if isinstance(value, bytes):
        return (b64encode(value).decode(),)
    if isinstance(value, datetime):
        return (value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),)
    return tuple(value)
