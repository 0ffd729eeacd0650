"""The texts of a policy: actions, ARNs, principals, policy variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from windtunnel.iam.access import covers
from windtunnel.iam.lint.findings import Report, Spot
from windtunnel.iam.reference import nearest_action, nearest_service, services
from windtunnel.iam.wildcards import marked, matcher

_PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-eusc")
_WITHOUT_REGION = {"iam", "cloudfront", "route53", "organizations", "globalaccelerator", "waf", "shield", "budgets", "account"}
_PRINCIPAL_KEYS = ("AWS", "CanonicalUser", "Federated", "Service")
_COMPARED = 200
"""Patterns of one element that are compared with each other."""
_WILD = re.compile(r"[*?]")


def check_action(report: Report, text: str, spot: Spot) -> None:
    if text == "*" or "${" in text:
        return
    service, colon, name = text.partition(":")
    if not colon or not name or ":" in name:
        report.add("INVALID_ACTION", f"The action {text} does not exist.", spot)
        return
    if _WILD.search(service):
        words = (
            "Avoid using wildcards (*, ?) in the service name because it might grant unintended access to other AWS services with similar"
            " names. Specify the service name explicitly."
        )
        report.add("WILDCARD_IN_SERVICE_NAME", words, spot)
        return
    known = services().get(service.lower())
    if known is None:
        nearest = nearest_service(service.lower())
        also = f" Did you mean {nearest}?" if nearest else ""
        report.add("INVALID_SERVICE_IN_ACTION", f"The service {service} specified in the action does not exist.{also}", spot)
        return
    wanted = matcher(marked(name.lower()))
    if not any(map(wanted, known.actions)):
        near = None if _WILD.search(name) else nearest_action(service.lower(), name)
        also = f" Did you mean {service}:{near}?" if near else ""
        report.add("INVALID_ACTION", f"The action {text} does not exist.{also}", spot)


def check_resource(report: Report, text: str, spot: Spot) -> None:
    if text == "*":
        return
    fields = text.split(":", 5)
    if fields[0] != "arn" and not _WILD.search(fields[0]) and not fields[0].startswith("${"):
        report.add("INVALID_ARN_PREFIX", "Add the required prefix (arn) to the resource ARN.", spot)
        return
    if len(fields) < 6:
        if not text.endswith("*"):
            words = "Resource ARNs must include at least 6 fields in the following structure: arn:partition:service:region:account:resource"
            report.add("MISSING_ARN_FIELD", words, spot)
        return
    _, partition, service, region, account, _ = fields
    if not _open(partition) and partition not in _PARTITIONS:
        words = f"The resource ARN for the service {service} does not support the partition {partition}. Use the supported values: "
        report.add("INVALID_PARTITION", words + ", ".join(_PARTITIONS), spot)
    if service != service.lower() and service.lower() in services():
        words = f"Update the service name {service} in the resource ARN to use all lowercase letters."
        report.add("INVALID_ARN_SERVICE_CASE", words, spot)
    if not _open(account) and account not in ("", "aws") and re.fullmatch(r"\d{12}", account) is None:
        report.add("INVALID_ARN_ACCOUNT", f"The resource ARN account ID {account} is not valid. Provide a 12-digit account ID.", spot)
    _check_s3_and_global(report, service, region, account, fields[5], spot)


def _check_s3_and_global(report: Report, service: str, region: str, account: str, resource: str, spot: Spot) -> None:
    bucket = service == "s3" and not resource.startswith(("accesspoint/", "job/", "storage-lens", "access-grants", "async-request/"))
    if region and region != "*" and (bucket or service in _WITHOUT_REGION):
        words = f"The service {service} does not support specifying a Region in the resource ARN."
        report.add("ARN_REGION_NOT_ALLOWED", words, spot)
    if account and account != "*" and bucket:
        words = f"The service {service} does not support specifying an account ID in the resource ARN."
        report.add("ARN_ACCOUNT_NOT_ALLOWED", words, spot)
    if not region and service in (
        "sqs",
        "sns",
        "dynamodb",
        "kms",
        "secretsmanager",
        "codecommit",
        "codebuild",
        "codepipeline",
        "ssm",
        "logs",
    ):
        report.add("MISSING_ARN_REGION", f"Add a Region to the {service} resource ARN.", spot)


def _open(field: str) -> bool:
    """Whether a field's value is not known before a request."""
    return bool(_WILD.search(field)) or "${" in field


def check_principal(report: Report, spot: Spot) -> None:
    value = spot.node.value
    if value == "*":
        return
    if not isinstance(value, dict):
        words = "The Principal element contents are not valid. Specify a key-value pair in the Principal element."
        report.add("INVALID_PRINCIPAL_FORMAT", words, spot)
        return
    if not value:
        words = "This statement includes no principals and does not affect the policy. Specify principals."
        report.add("EMPTY_OBJECT_PRINCIPAL", words, spot)
    for name, span, node in spot.node.members:
        if name not in _PRINCIPAL_KEYS:
            report.at_key("INVALID_PRINCIPAL_KEY", f"The principal key {name} is not valid.", spot.path, name, span)
            continue
        for text, each in Spot((*spot.path, name), node).texts():
            _check_principal_text(report, name, text, each)


def _check_principal_text(report: Report, key: str, text: str, spot: Spot) -> None:
    if _WILD.search(text) and not (key == "AWS" and text == "*"):
        words = f"Wildcards (*, ?) are not supported with the principal key {key}. Replace the wildcard with a valid principal value."
        report.add("UNSUPPORTED_WILDCARD_IN_PRINCIPAL", words, spot)
    elif key == "Service" and re.fullmatch(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com|internal)", text) is None:
        words = f"The service principal {text} does not match the expected format. Use the format SERVICE.amazonaws.com."
        report.add("INVALID_SERVICE_PRINCIPAL_FORMAT", words, spot)


def redundant(texts: list[tuple[str, Any]], within: Callable[[str, str], bool] = covers) -> list[tuple[Any, Any]]:
    """(what is needless, what covers it) among patterns; of two equal ones the later."""
    found = []
    for i, (text, spot) in enumerate(texts[:_COMPARED]):
        for j, (other, wide) in enumerate(texts[:_COMPARED]):
            if i != j and (j < i if other == text else within(other, text)):
                found.append((spot, wide))
                break
    return found


# --- policy variables ---------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9:/._@+=,-]+|[*?$]")


def check_variables(report: Report, text: str, spot: Spot, *, variables: bool) -> None:
    at = text.find("${")
    if at >= 0 and not variables:
        words = "To include variables in your policy, use the policy version 2012-10-17 or later."
        report.add("VARIABLE_UNSUPPORTED_IN_VERSION", words, spot)
        return
    while at >= 0:
        end = text.find("}", at)
        if end < 0:
            words = "The policy variable is missing a closing curly brace. Add } after the variable text."
            report.add("MISSING_BRACE_IN_VARIABLE", words, spot)
            return
        _check_variable(report, text[at + 2 : end], spot)
        at = text.find("${", end)


def _check_variable(report: Report, inner: str, spot: Spot) -> None:
    name, comma, default = inner.partition(",")
    if not inner.strip():
        words = "Empty policy variable. Remove the variable structure or provide a variable within the structure."
        report.add("EMPTY_VARIABLE", words, spot)
    elif " " in name:
        words = "A space is not supported within the policy variable text. Remove the space."
        report.add("UNSUPPORTED_SPACE_IN_VARIABLE", words, spot)
    elif _NAME.fullmatch(name) is None:
        symbol = next((char for char in name if _NAME.fullmatch(char) is None), name)
        words = f"The symbol {symbol} is not supported within the policy variable text. Remove the symbol."
        report.add("UNSUPPORTED_SYMBOL_IN_VARIABLE", words, spot)
    elif comma and re.fullmatch(r"\s*'[^']*'\s*", default) is None:
        words = "The policy variable default value must begin and end with a single quote. Add the missing quote."
        report.add("MISSING_QUOTE_IN_VARIABLE", words, spot)
