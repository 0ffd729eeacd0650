"""A bucket as a website: whether its configuration is valid, and what a path leads to. Pure.

Source: API reference, PutBucketWebsite; User Guide, "Configuring a webpage redirect".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.errors import AwsError

MAX_RULES = 50
_REDIRECTS = ("301", "302", "303", "304", "305", "307", "308")


def check_website(body: Mapping[str, Any]) -> None:
    everything, index = body.get("RedirectAllRequestsTo"), body.get("IndexDocument")
    if everything is not None:
        if any(name in body for name in ("IndexDocument", "ErrorDocument", "RoutingRules")):
            raise AwsError("InvalidRequest", "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.")
        return
    if index is None:
        raise _invalid("A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty", "IndexDocument", "null")
    suffix = index["Suffix"]
    if not suffix or "/" in suffix:
        raise _invalid("The IndexDocument Suffix is not well formed", "IndexDocument", suffix)
    if not body.get("ErrorDocument", {"Key": "x"}).get("Key"):
        raise _invalid("A value for ErrorDocument Key must be provided", "ErrorDocument", "")
    rules = body.get("RoutingRules") or []
    if len(rules) > MAX_RULES:
        raise AwsError(
            "InvalidRequest",
            f"{len(rules)} routing rules provided, the number of routing rules in a website configuration is limited to {MAX_RULES}.",
        )
    for rule in rules:
        redirect = rule["Redirect"]
        if "ReplaceKeyWith" in redirect and "ReplaceKeyPrefixWith" in redirect:
            raise AwsError("InvalidRequest", "You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
        code = redirect.get("HttpRedirectCode")
        if code is not None and code not in _REDIRECTS:
            raise AwsError("InvalidRequest", f"The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300.")


def _invalid(message: str, name: str, value: str) -> AwsError:
    return AwsError("InvalidArgument", message, extra={"ArgumentName": name, "ArgumentValue": value})


def routed(rules: list[dict[str, Any]], key: str, status: int | None) -> dict[str, Any] | None:
    """The first rule that applies to a key; status: of the error that the key ended in, None before it was looked for."""
    for rule in rules:
        condition = rule.get("Condition", {})
        wanted = condition.get("HttpErrorCodeReturnedEquals")
        if (wanted is None) != (status is None) or (wanted is not None and wanted != str(status)):
            continue
        if key.startswith(condition.get("KeyPrefixEquals", "")):
            return rule
    return None


def redirected(rule: Mapping[str, Any], key: str) -> str:
    """The key to which a rule leads."""
    redirect = rule["Redirect"]
    if "ReplaceKeyWith" in redirect:
        return str(redirect["ReplaceKeyWith"])
    prefix = rule.get("Condition", {}).get("KeyPrefixEquals", "")
    if "ReplaceKeyPrefixWith" in redirect:
        return str(redirect["ReplaceKeyPrefixWith"]) + key[len(prefix) :]
    return key
