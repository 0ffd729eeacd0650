"""Cross-origin rules: which are valid, and what they allow. Pure.

Source: S3 User Guide, "Using cross-origin resource sharing", and the Fetch standard's CORS protocol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from windtunnel.kernel.errors import AwsError

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
MAX_RULES = 100
Rule = Mapping[str, Any]


def check_rules(rules: Sequence[Rule]) -> None:
    if not 1 <= len(rules) <= MAX_RULES:
        raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
    for rule in rules:
        for method in rule["AllowedMethods"]:
            if method not in METHODS:
                raise AwsError("InvalidRequest", f"Found unsupported HTTP method in CORS config. Unsupported method is {method}")
        for origin in rule["AllowedOrigins"]:
            if origin.count("*") > 1:
                raise AwsError("InvalidRequest", f'AllowedOrigin "{origin}" can not have more than one wildcard.')
        for header in rule.get("AllowedHeaders", ()):
            if header.count("*") > 1:
                raise AwsError("InvalidRequest", f'AllowedHeader "{header}" can not have more than one wildcard.')
        for header in rule.get("ExposeHeaders", ()):
            if "*" in header:
                raise AwsError(
                    "InvalidRequest", f'ExposeHeader "{header}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
                )


def _fits(pattern: str, text: str, *, folded: bool = False) -> bool:
    parts = [re.escape(part) for part in pattern.split("*")]
    return re.fullmatch(".*".join(parts), text, re.IGNORECASE if folded else 0) is not None


def matching(rules: Sequence[Rule], origin: str, method: str, headers: Sequence[str] = ()) -> Rule | None:
    """The first rule that allows this origin, method and these request headers."""
    for rule in rules:
        if method not in rule["AllowedMethods"] or not any(_fits(allowed, origin) for allowed in rule["AllowedOrigins"]):
            continue
        allowed_headers = rule.get("AllowedHeaders", ())
        if all(any(_fits(allowed, header, folded=True) for allowed in allowed_headers) for header in headers):
            return rule
    return None


def answer_headers(rule: Rule, origin: str, asked: Sequence[str] = (), *, preflight: bool = False) -> list[tuple[str, str]]:
    """What an answer to that origin carries. asked: the headers that a preflight asks for."""
    anyone = "*" in rule["AllowedOrigins"]
    headers = [("access-control-allow-origin", "*" if anyone else origin)]
    if not anyone:
        headers.append(("access-control-allow-credentials", "true"))
    headers.append(("access-control-allow-methods", ", ".join(rule["AllowedMethods"])))
    if preflight and asked:
        headers.append(("access-control-allow-headers", ", ".join(asked).lower()))
    if rule.get("ExposeHeaders"):
        headers.append(("access-control-expose-headers", ", ".join(rule["ExposeHeaders"])))
    if preflight and rule.get("MaxAgeSeconds") is not None:
        headers.append(("access-control-max-age", str(rule["MaxAgeSeconds"])))
    return [*headers, ("vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")]
