"""The grammar of policy documents: what AWS accepts, and its words for what it does not.

Invariant: a document that `validate` lets through can be compiled and evaluated without an error. The order of the checks is
AWS's, so that of several faults the same one is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from windtunnel.iam.conditions import condition_values, parse_operator
from windtunnel.iam.operators import moment
from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed, principal_error
from windtunnel.iam.wildcards import marked, matcher
from windtunnel.kernel.errors import AwsError

Kind = Literal["identity", "inline", "resource", "trust"]
Document = Mapping[str, Any]

_VERSIONS = ("2008-10-17", "2012-10-17")
_TOP = {"Version", "Id", "Statement"}
_PRINCIPALS = {"Principal", "NotPrincipal"}
_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"} | _PRINCIPALS
_SYNTAX = "Syntax errors in policy."
_SIDS = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
_LEGACY = "The policy failed legacy parsing"
_IAM_PATHS = (
    "user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/", "sms-mfa/",
    "saml-provider/", "oidc-provider/", "report/", "access-report/",
)  # fmt: skip


class _Refused(Exception):
    """A fault, in AWS's words."""


def validate(text: str, kind: Kind, *, code: str = "MalformedPolicyDocument") -> Document:
    """The parsed document, or an AwsError of that code. kind: identity (managed, boundaries, session policies), inline, trust, resource."""
    check = {"identity": _check_identity, "inline": _check_inline, "trust": _check_trust, "resource": _check_resource}[kind]
    try:
        return check(text)
    except _Refused as refused:
        raise AwsError(code, str(refused)) from None


def _require(condition: bool, words: str) -> None:
    if not condition:
        raise _Refused(words)


def _parse(text: str, words: str) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        document = None
    if not isinstance(document, dict):
        raise _Refused(words)
    return document


# --- identity policies ---------------------------------------------------------------------------------------------------


def _check_inline(text: str) -> Document:
    """Inline policies may be of the older version, also by saying none (older templates do); managed ones may not."""
    return _check_identity(text, newest=False)


def _check_identity(text: str, newest: bool = True) -> Document:
    document = _parse(text, _SYNTAX)
    _require(document.keys() <= _TOP and document.get("Version", _VERSIONS[0]) in _VERSIONS, _SYNTAX)
    _require(isinstance(document.get("Id", ""), str), _SYNTAX)
    statements = statements_of(document)
    _require(bool(statements), _SYNTAX)
    for item in statements:
        _require(isinstance(item, dict) and _identity_syntax(item), _SYNTAX)
        _require(re.fullmatch(r"[A-Za-z0-9]*", item.get("Sid", "")) is not None, _SIDS)
    _require(not newest or document.get("Version") == "2012-10-17", "Policy document must be version 2012-10-17 or greater.")
    _require(not any(item.keys() & _PRINCIPALS for item in statements), "Policy document should not specify a principal.")
    _require(all(_survives_legacy_parsing(item) for item in statements), _LEGACY)
    _require(_unique_sids(statements), "Statement IDs (SID) in a single policy must be unique.")
    _require(all(_has(item, "Action", "NotAction") for item in statements), "Policy statement must contain actions.")
    _require(all(_has(item, "Resource", "NotResource") for item in statements), "Policy statement must contain resources.")
    for check, elements in ((_check_resource_format, ("Resource", "NotResource")), (_check_action_format, ("Action", "NotAction"))):
        for item in statements:
            for value in _values(item, *elements):
                check(value)
    return document


def _identity_syntax(item: dict[str, Any]) -> bool:
    return (
        item.keys() <= _ELEMENTS
        and isinstance(item.get("Effect"), str)
        and item["Effect"].lower() in ("allow", "deny")
        and isinstance(item.get("Sid", ""), str)
        and not {"Action", "NotAction"} <= item.keys()
        and not {"Resource", "NotResource"} <= item.keys()
        and all(_strings(item[name]) for name in ("Action", "NotAction", "Resource", "NotResource") if name in item)
        and _condition_syntax(item.get("Condition", {})) is None
    )


def _strings(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _condition_syntax(block: Any) -> str | None:
    """The operator that is wrong ("" if the block's form is); None if all is well."""
    if not isinstance(block, dict):
        return ""
    for operator, keys in block.items():
        if not isinstance(keys, dict):
            return ""
        if keys and parse_operator(operator) is None:
            return str(operator)
        for values in keys.values():
            if not all(isinstance(value, str | bool | int | float) for value in (values if isinstance(values, list) else [values])):
                return ""
    return None


def _survives_legacy_parsing(item: Mapping[str, Any]) -> bool:
    return (
        item["Effect"] in ("Allow", "Deny") and _typed_conditions(item) and all(map(_known_shape, _values(item, "Resource", "NotResource")))
    )


def _typed_conditions(item: Mapping[str, Any]) -> bool:
    for operator, keys in item.get("Condition", {}).items():
        name = parse_operator(operator)
        texts = [text for values in keys.values() for text in condition_values(values)]
        if name and name.base.startswith("Date") and any(moment(text) is None for text in texts):
            return False
        if name and name.base in ("Bool", "Null") and any(text.lower() not in ("true", "false") for text in texts):
            return False
    return True


def _known_shape(resource: str) -> bool:
    """AWS's older parser completes `arn:aws:sqs` but not an ARN that breaks off after its fourth field."""
    fields = resource.split(":")
    if fields[:2] != ["arn", "aws"] or len(fields) < 3:
        return True
    return fields[2] != "" and (len(fields) == 3 or len(fields) >= 6 or fields[-1] == "*")


def _unique_sids(statements: list[Any]) -> bool:
    sids = [item["Sid"] for item in statements if item.get("Sid")]
    return len(sids) == len(set(sids))


def _has(item: Mapping[str, Any], *elements: str) -> bool:
    return any(element in item and item[element] != [] for element in elements)


def _values(item: Mapping[str, Any], *elements: str) -> Iterator[str]:
    for element in elements:
        yield from listed(item.get(element, ()))


def _check_resource_format(resource: str) -> None:
    if resource == "*":
        return
    fields = resource.split(":")
    _require(len(fields) > 1, f'Resource {resource} must be in ARN format or "*".')
    if not matcher(marked(fields[1]))("aws"):
        tail = (fields[2:5] + ["*"] * 3)[:3] + [":".join(fields[5:]) or "*"]
        raise _Refused(f'Partition "{fields[1]}" is not valid for resource "arn:{fields[1]}:{":".join(tail)}".')
    _require(len(fields) > 2, "Resource vendor must be fully qualified and cannot contain regexes.")
    service, region, path = fields[2], (fields + [""] * 4)[3], ":".join(fields[5:])
    if service == "iam":
        _require(region in ("", "*"), f"IAM resource {resource} cannot contain region information.")
        known = len(fields) < 6 or path.startswith(("*", "root", *_IAM_PATHS))
        _require(known, f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.')
    if service == "s3":
        _require(region in ("", "*"), f"Resource {resource} can not contain region information.")


def _check_action_format(action: str) -> None:
    if action == "*":
        return
    vendor, *names = action.split(":")
    _require(bool(names), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    _require(len(names) == 1, "Actions/Condition can contain only one colon.")
    _require(vendor == "*" or re.fullmatch(r"[a-zA-Z0-9.-]+", vendor) is not None, f"Vendor {vendor} is not valid")


# --- trust and resource policies -----------------------------------------------------------------------------------------

_INVALID_JSON = "This policy contains invalid Json"
_NOT_AN_OBJECT = "Policies must be valid JSON and the first byte must be '{'"


def _check_trust(text: str) -> Document:
    return _check_with_principals(_parse(text, _INVALID_JSON), _check_trust_statement)


def _check_resource(text: str) -> Document:
    _require(text.startswith("{"), _NOT_AN_OBJECT)
    return _check_with_principals(_parse(text, _NOT_AN_OBJECT), _check_resource_statement)


def _check_with_principals(document: dict[str, Any], check: Callable[[dict[str, Any]], None]) -> Document:
    for name in document:
        _require(name in _TOP, f"Unknown field {name}")
    _require(document.get("Version", _VERSIONS[0]) in _VERSIONS, "The policy must contain a valid version string")
    _require("Statement" in document, "Missing required field Statement")
    _require(isinstance(document.get("Id", ""), str), "Invalid policy syntax.")
    statements = statements_of(document)
    _require(bool(statements), "Could not parse the policy: Statement is empty!")
    for item in statements:
        _require(isinstance(item, dict), "Invalid policy syntax.")
        _check_statement(item)
        check(item)
    _require(_unique_sids(statements), "The Statement Ids in the policy are not unique")
    return document


def _check_statement(item: dict[str, Any]) -> None:
    for name in item:
        _require(name in _ELEMENTS, f"Unknown field {name}")
    _require("Effect" in item, "Missing required field Effect")
    _require(item["Effect"] in ("Allow", "Deny"), f"Invalid effect: {item['Effect']}")
    _require(isinstance(item.get("Sid", ""), str), "Invalid policy syntax.")
    _check_principal(item)
    _require(_has(item, "Action", "NotAction"), "Missing required field Action")
    _require(not {"Action", "NotAction"} <= item.keys(), "Policy has both Action and NotAction in a statement")
    wrong = _condition_syntax(item.get("Condition", {}))
    _require(wrong is None, f"Invalid Condition type : {wrong}" if wrong else "Conditions must be JSON objects")
    _require(_typed_conditions(item), "Condition has an invalid value")


def _check_principal(item: dict[str, Any]) -> None:
    _require(bool(item.keys() & _PRINCIPALS), "Missing required field Principal")
    _require(not item.keys() >= _PRINCIPALS, "Policy has both Principal and NotPrincipal in a statement")
    if "NotPrincipal" in item:
        _require(item["Effect"] == "Deny", "Allow with NotPrincipal is not allowed.")
    element = item["Principal" if "Principal" in item else "NotPrincipal"]
    _require(element != {}, "Missing required field Principal cannot be empty!")
    wrong = principal_error(element)
    _require(wrong is None, f"Invalid principal in policy: {wrong}" if wrong else "Invalid principal in policy")


def _check_trust_statement(item: dict[str, Any]) -> None:
    _require("NotPrincipal" not in item, "AssumeRole policy must not contain NotPrincipal field.")
    _require(item["Principal"] != "*", "Principal must be a JSON object.")
    _require("Resource" not in item, "Has prohibited field Resource")
    _require("NotResource" not in item, "AssumeRole policy must not contain resources.")
    named = item["Action"] if "Action" in item else item["NotAction"]
    words = "AssumeRole policy may only specify STS AssumeRole actions."
    _require(_strings(named) and all(action.lower().startswith("sts:") for action in listed(named)), words)


def _check_resource_statement(item: dict[str, Any]) -> None:
    _require(_has(item, "Resource", "NotResource"), "Missing required field Resource")
    _require(not {"Resource", "NotResource"} <= item.keys(), "Policy has both Resource and NotResource in a statement")
    for element in ("Resource", "NotResource"):
        valid = _strings(item.get(element, "*")) and all(value == "*" or value.startswith("arn:") for value in _values(item, element))
        _require(valid, "Policy has invalid resource")
    for element in ("Action", "NotAction"):
        valid = _strings(item.get(element, "*")) and all(value == "*" or value.count(":") == 1 for value in _values(item, element))
        _require(valid, "Policy has invalid action")
