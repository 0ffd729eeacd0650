"""Whether the users and roles that a key policy names are there: KMS refuses to store a policy that names one that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal

_ENTITY = re.compile(r"arn:aws:iam::(\d{12}):(user|role)/(?:.*/)?([^/]+)")


def check_principals(ctx: Context, document: Mapping[str, Any]) -> None:
    """Raises MalformedPolicyDocumentException. Service-linked and other accounts' principals are looked up like any."""
    for name in _named(document):
        entity = _ENTITY.fullmatch(name)
        if entity is not None and not _there(ctx, name, *entity.groups()):
            words = "Policy contains a statement with one or more invalid principals."
            raise AwsError("MalformedPolicyDocumentException", words)


def _named(document: Mapping[str, Any]) -> Iterator[str]:
    for item in statements_of(document):
        for element in ("Principal", "NotPrincipal"):
            given = item.get(element, {})
            if isinstance(given, Mapping):
                yield from listed(given.get("AWS", ()))


def _there(ctx: Context, arn: str, account: str, kind: str, name: str) -> bool:
    """The cloud itself looks, for the caller need not be allowed to."""
    cloud = ctx.acting(Principal.service("windtunnel", account)).in_scope(account, ctx.scope.region)
    try:
        if kind == "user":
            return bool(cloud.call("iam", "GetUser", user_name=name)["User"]["Arn"] == arn)
        return bool(cloud.call("iam", "GetRole", role_name=name)["Role"]["Arn"] == arn)
    except AwsError as error:
        if error.code not in ("NoSuchEntity", "ValidationError"):
            raise
        return False
