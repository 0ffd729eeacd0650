"""A template read as far as that needs nothing but its text: the parts of `submitting.submit` before and after what is looked up live. Pure.

Invariant: plain data in and out, so that a big template is read in a helper process (`whole_apart`, `rest_apart`) with the same result as a small one here.
Templates cross as JSON text: numbers stay as they are, however long.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import convert
from windtunnel.provision import schemas
from windtunnel.services.cloudformation.language import parameters as p
from windtunnel.services.cloudformation.language.conditions import conditions
from windtunnel.services.cloudformation.language.early import check_early
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.graph import dependencies
from windtunnel.services.cloudformation.language.macros import is_to_be_transformed, transform_name, transforms
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.rules import broken_rules
from windtunnel.services.cloudformation.language.structure import check
from windtunnel.services.cloudformation.language.summary import summary
from windtunnel.services.cloudformation.model import Value

INSIGNIFICANT = ("Metadata", "Description", "AWSTemplateFormatVersion", "Parameters")
"""Sections that change nothing of a stack, or only by their values."""


class Opened(msgspec.Struct, kw_only=True):
    """A template that needs something from outside before it can be understood: values to look up, transforms to apply. template: JSON text."""

    template: str
    extended: bool
    transforms: list[str]
    values: dict[str, str]
    wanted: list[p.Lookup]


class Understood(msgspec.Struct, kw_only=True):
    """See `submitting.Submission`."""

    processed: str
    significant: str
    parameters: dict[str, Any]
    given: dict[str, Value]
    conditions: dict[str, bool]
    needs: dict[str, list[str]]
    hidden: list[str]
    transforms: list[str]
    description: str
    types: dict[str, str]
    secret: bool


TELLING = (
    "{{resolve:secretsmanager",
    "{{resolve:ssm-secure",
    "AWS::IAM::AccessKey",
    "AWS::Events::Connection",
    'Password"',
    'Passphrase"',
    'PrivateKey"',
    'SecretAccessKey"',
    'SecretString"',
    'SecretToken"',
    'ClientSecret"',
    'AuthToken"',
    'OAuthToken"',
    '"Token"',
)
"""What a template with secrets has somewhere: dynamic references to them, types that make some or are made of some, properties that are some."""


def tells_of_secrets(processed: str, hidden: list[str]) -> bool:
    """Whether records of such a stack are to be sealed. hidden: its NoEcho parameters. Too many stacks rather than too few."""
    return bool(hidden) or any(word in processed for word in TELLING)


def attributes_of(name: str) -> frozenset[str] | None:
    """What Fn::GetAtt takes of a type; None when nobody has said it."""
    schema = schemas.schema(name)
    return None if schema is None else schema.attributes


def whole(
    text: str, given: list[dict[str, Any]], before: dict[str, str] | None, capabilities: list[str] | None, env: Environment
) -> Opened | Understood:
    """capabilities: those that the caller has said yes to; None when nobody is asked. Raises TemplateError, AwsError."""
    template = parse(text)
    extended, named = is_to_be_transformed(template), [transform_name(entry) for entry in transforms(template)]
    if not extended:
        check(template, known_types=schemas.known, attributes=attributes_of)
    declared = p.declared(template)
    require(template, declared, capabilities)
    values = p.values(declared, given, before)
    wanted = p.wanted(declared, values)
    if extended or wanted:
        return Opened(template=as_text(template), extended=extended, transforms=named, values=values, wanted=wanted)
    return understood(template, declared, named, values, {}, env)


def rest(
    opened: Opened, processed: str, ssm: dict[str, str], capabilities: list[str] | None, env: Environment, *, changed: bool
) -> Understood:
    """What follows once everything is known. processed: the template after its transforms; changed: by them, so that it is checked as a whole now."""
    declared = p.declared(json.loads(opened.template))
    template = json.loads(processed)
    if changed:
        check(template, known_types=schemas.known, attributes=attributes_of)
        require(template, declared, capabilities)
    return understood(template, declared, opened.transforms, opened.values, ssm, env)


def understood(
    template: dict[str, Any],
    declared: dict[str, p.Parameter],
    named: list[str],
    values: dict[str, str],
    ssm: dict[str, str],
    env: Environment,
) -> Understood:
    parameters = p.resolved(declared, values, ssm)
    true = conditions(template, parameters, env)
    broken = broken_rules(template, parameters, env)
    if broken:
        raise TemplateError(broken)
    needs = dependencies(template, true)
    processed = as_text(template)
    check_early(template, processed, needs, parameters, true, env)
    hidden = [name for name, parameter in declared.items() if parameter.no_echo]
    return Understood(
        processed=processed,
        significant=significant(template),
        parameters=parameters,
        given={
            name: Value(
                value=values[name],
                resolved=ssm_shown(parameters[name]) if parameter.type.startswith("AWS::SSM::Parameter::Value") else None,
                no_echo=parameter.no_echo,
            )
            for name, parameter in declared.items()
        },
        conditions=true,
        needs=needs,
        hidden=hidden,
        secret=tells_of_secrets(processed, hidden),
        transforms=named,
        description=str(template.get("Description") or ""),
        types={name: template["Resources"][name]["Type"] for name in needs},
    )


def as_text(template: dict[str, Any]) -> str:
    return msgspec.json.encode(template).decode()


def significant(template: dict[str, Any]) -> str:
    """The same for two templates that make the same of a stack."""
    parts = {name: part for name, part in template.items() if name not in INSIGNIFICANT}
    return sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def ssm_shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def require(template: dict[str, Any], declared: dict[str, p.Parameter], capabilities: list[str] | None) -> None:
    """The caller must have said yes to what the template may do. CAPABILITY_NAMED_IAM covers CAPABILITY_IAM."""
    if capabilities is None:
        return
    given = set(capabilities)
    if "CAPABILITY_NAMED_IAM" in given:
        given.add("CAPABILITY_IAM")
    missing = [name for name in summary(template, declared).get("Capabilities") or [] if name not in given]
    if missing:
        raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]")


def summed_up(text: str, lenient: bool) -> dict[str, Any]:
    """summary: what the template declares; unknown: the types that nobody knows; identifiers: by which properties each type's resources are known."""
    unknown: list[str] = []

    def known(name: str) -> bool:
        if schemas.known(name):
            return True
        unknown.append(name)
        return lenient

    template = parse(text)
    if not transforms(template):
        check(template, known_types=known, attributes=attributes_of)
    return {
        "summary": summary(template, p.declared(template)),
        "unknown": list(dict.fromkeys(unknown)),
        "identifiers": identifiers(template),
    }


def identifiers(template: dict[str, Any]) -> list[dict[str, Any]]:
    by_type: dict[str, list[str]] = {}
    for logical, spec in (template.get("Resources") or {}).items():
        if isinstance(spec, dict) and isinstance(spec.get("Type"), str):
            by_type.setdefault(spec["Type"], []).append(logical)
    found = []
    for name, logical in by_type.items():
        schema = schemas.schema(name)
        if schema is not None and schema.identifier:
            found.append({"ResourceType": name, "LogicalResourceIds": logical, "ResourceIdentifiers": list(schema.identifier)})
    return found


# -- in a helper process ----------------------------------------------------------------------------------------------


def told(function: Callable[[], Any]) -> dict[str, Any]:
    """What a function gave as plain data, by its kind, or the error that the caller is to be told."""
    try:
        found = function()
    except TemplateError as error:
        return {"error": ["ValidationError", error.message]}
    except AwsError as error:
        return {"error": [error.code, error.message]}
    return {type(found).__name__: found}


def whole_apart(
    text: str, given: list[dict[str, Any]], before: dict[str, str] | None, capabilities: list[str] | None, env: dict[str, Any]
) -> dict[str, Any]:
    return told(lambda: whole(text, given, before, capabilities, convert(env, Environment)))


def rest_apart(
    opened: dict[str, Any], processed: str, ssm: dict[str, str], capabilities: list[str] | None, env: dict[str, Any], changed: bool
) -> dict[str, Any]:
    there = convert(opened, Opened)
    return told(lambda: rest(there, processed, ssm, capabilities, convert(env, Environment), changed=changed))


def summed_up_apart(text: str, lenient: bool) -> dict[str, Any]:
    return told(lambda: summed_up(text, lenient))
