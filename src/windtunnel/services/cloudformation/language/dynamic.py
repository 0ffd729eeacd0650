"""Dynamic references: `{{resolve:service:key}}` in a text, found and replaced.

SSM: `{{resolve:ssm:name[:version]}}`, `{{resolve:ssm-secure:name[:version]}}`. Secrets Manager:
`{{resolve:secretsmanager:id:SecretString:json-key:stage:version}}`, where the id may be an ARN and everything after it may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from windtunnel.services.cloudformation.language.functions import template_error

MARK = "{{resolve:"
REFERENCE = re.compile(r"\{\{resolve:([^:{}]+):([^{}]*)\}\}")
ARN_PARTS = 7
"""`arn:aws:secretsmanager:region:account:secret:name`: what belongs to the id of a secret that is named by its ARN."""
MOST = 60
Service = Literal["ssm", "ssm-secure", "secretsmanager"]


class DynamicReference(msgspec.Struct, frozen=True):
    """One reference. `version`: of a parameter, or a secret's version id; `stage`, `json_key`: of a secret; empty when not given."""

    service: Service
    name: str
    version: str = ""
    json_key: str = ""
    stage: str = ""
    text: str = ""
    """The reference as it stands in the template."""


def dynamic_references(text: str) -> list[DynamicReference]:
    """The references of a text, in its order. TemplateError when one of them is malformed."""
    return [_read(match) for match in REFERENCE.finditer(text)] if MARK in text else []


def replace(text: str, lookup: Callable[[DynamicReference], str]) -> str:
    """The text with every reference replaced by what the lookup gives for it."""
    return REFERENCE.sub(lambda match: lookup(_read(match)), text)


def _read(match: re.Match[str]) -> DynamicReference:
    service, key = match.group(1), match.group(2)
    if service == "ssm" or service == "ssm-secure":
        name, colon, version = key.rpartition(":")
        if not colon:
            name, version = key, ""
        if version and not version.isdecimal():
            name, version = key, ""
        if not name:
            raise _malformed(match.group(0))
        return DynamicReference("ssm" if service == "ssm" else "ssm-secure", name, version, text=match.group(0))
    if service == "secretsmanager":
        return _secret(key, match.group(0))
    raise _malformed(match.group(0))


def _secret(key: str, text: str) -> DynamicReference:
    parts = key.split(":")
    size = ARN_PARTS if parts[0] == "arn" else 1
    name, rest = ":".join(parts[:size]), parts[size:]
    if not name or len(rest) > 4 or (rest and rest[0] not in ("", "SecretString")):
        raise _malformed(text)
    _, json_key, stage, version = [*rest, "", "", "", ""][:4]
    if stage and version:
        raise template_error(f"dynamic reference {text} names both a version stage and a version id.")
    return DynamicReference("secretsmanager", name, version, json_key, stage, text)


def _malformed(text: str) -> Exception:
    return template_error(f"Incorrect format is used in the following Dynamic Reference: [{text[2:-2]}]")
