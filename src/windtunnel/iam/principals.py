"""The Principal and NotPrincipal elements of resource and trust policies.

Invariant: how a principal is named decides how far the grant reaches (IAM User Guide, policy evaluation logic). Naming the
user or the session itself grants directly; naming a role (or everyone, for a session) grants within its permissions boundary
and session policies; naming the account only delegates to that account's identity policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from windtunnel.iam.request import Request


class Grant(IntEnum):
    """How a resource policy's statement names the caller, weakest first."""

    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


_ROOT = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root")
_REGIONAL_SERVICE = re.compile(r"([a-z0-9-]+)\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")


class Principals(NamedTuple):
    everyone: bool
    accounts: frozenset[str]
    names: frozenset[str]  # ARNs and unique ids
    services: frozenset[tuple[str, str]]  # (service principal, region or "")
    federated: frozenset[str] = frozenset()  # identity providers
    canonical: frozenset[str] = frozenset()  # S3's ids of accounts

    def named(self, request: Request) -> Grant:
        """The strongest way in which this element names the request's caller."""
        caller = request.caller
        if caller.type == "Service":
            return Grant.DIRECT if self.everyone or self._names_service(request) else Grant.NONE
        if caller.type == "Anonymous":
            return Grant.DIRECT if self.everyone else Grant.NONE
        if caller.type == "Federated":
            return Grant.DIRECT if caller.arn in self.federated else Grant.NONE
        if caller.arn in self.names:
            return Grant.DIRECT
        if caller.type != "AssumedRole" and (self.everyone or caller.user_id in self.names):
            return Grant.DIRECT
        if self.everyone or caller.role_arn in self.names or caller.user_id.partition(":")[0] in self.names:
            return Grant.ROLE
        return Grant.ACCOUNT if self._names_account(caller.account) else Grant.NONE

    def _names_account(self, account: str) -> bool:
        return account in self.accounts or (bool(self.canonical) and canonical_user(account) in self.canonical)

    def covers_all_layers(self, request: Request) -> bool:
        """NotPrincipal spares a caller only if its session, its role and its account are all listed."""
        caller = request.caller
        if self.everyone or caller.type == "Service":
            return self.everyone or self._names_service(request)
        return self._names_account(caller.account) and all(layer in self.names for layer in caller.layers)

    def _names_service(self, request: Request) -> bool:
        service = request.caller.service
        regions = request.values("aws:requestedregion") or ()
        return any(name == service and (not region or region in regions) for name, region in self.services)


@lru_cache(maxsize=256)
def canonical_user(account: str) -> str:
    """S3's canonical user id of an account, which here follows from its number."""
    return sha256(f"canonical user of {account}".encode()).hexdigest()


def compile_principals(element: Any) -> Principals:
    """A validated Principal or NotPrincipal element."""
    if element == "*":
        return Principals(True, frozenset(), frozenset(), frozenset())
    everyone = False
    accounts: set[str] = set()
    names: set[str] = set()
    for name in listed(element.get("AWS", ())):
        root = _ROOT.fullmatch(name)
        if name == "*":
            everyone = True
        elif root or name.isdigit():
            accounts.add(root[1] if root else name)
        else:
            names.add(name)
    canonical = frozenset(listed(element.get("CanonicalUser", ())))
    federated = frozenset(listed(element.get("Federated", ())))
    services = frozenset(_service(name) for name in listed(element.get("Service", ())))
    return Principals(everyone, frozenset(accounts), frozenset(names), services, federated, canonical)


def listed(value: Any) -> Iterable[str]:
    return [value] if isinstance(value, str) else value


def _service(name: str) -> tuple[str, str]:
    """`codedeploy.eu-west-1.amazonaws.com` is that service, calling in that region."""
    regional = _REGIONAL_SERVICE.fullmatch(name)
    return (f"{regional[1]}.amazonaws.com", regional[2]) if regional else (name, "")


def principal_error(element: Any) -> str | None:
    """Why AWS refuses the element ("" is the bare `Invalid principal in policy`); None if its form is right."""
    if element == "*":
        return None
    if not isinstance(element, Mapping) or not element:
        return ""
    for kind, names in element.items():
        items = [names] if isinstance(names, str) else names
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser") or not isinstance(items, list) or not items:
            return f'"{kind}"'
        for name in items:
            if not isinstance(name, str) or not _well_formed(kind, name):
                return f'"{kind}":"{name}"'
    return None


_AWS_PRINCIPAL = re.compile(
    r"\*|\d{12}|A[A-Z0-9]{15,31}|arn:aws[a-z-]*:iam::\d{12}:(root|(user|role)/[^*?\s]+)"
    r"|arn:aws[a-z-]*:sts::\d{12}:(assumed-role/[^*?\s/]+/[^*?\s/]+|federated-user/[^*?\s]+)"
)


def _well_formed(kind: str, name: str) -> bool:
    if kind == "AWS":
        return _AWS_PRINCIPAL.fullmatch(name) is not None
    if kind == "Service":
        return re.fullmatch(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com|internal)", name) is not None
    return bool(name)


def account_of_principal(name: str) -> str:
    """The account of an ARN like `arn:aws:iam::123456789012:root`, or the text itself where it is an account."""
    root = _ROOT.fullmatch(name)
    return root[1] if root else name
