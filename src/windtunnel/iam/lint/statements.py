"""The elements of a policy and of its statements: what must be there, what may not, and what of it is needless."""

from __future__ import annotations

import re

from windtunnel.iam.access import arn_covers
from windtunnel.iam.lint.conditions import check_condition, condition_keys
from windtunnel.iam.lint.findings import Kind, Report, Spot
from windtunnel.iam.lint.values import check_action, check_principal, check_resource, check_variables, redundant
from windtunnel.iam.source import Node
from windtunnel.iam.wildcards import marked, matcher

_TOP = ("Version", "Id", "Statement")
_ELEMENTS = ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
_VERSIONS = ("2012-10-17", "2008-10-17")
_IDENTITY_QUOTA = 6144


def check_policy(report: Report, root: Node, kind: Kind) -> None:
    whole = Spot((), root)
    if not isinstance(root.value, dict):
        report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type Object.", whole)
        return
    for name, span, _ in root.members:
        if name not in _TOP:
            report.at_key("INVALID_POLICY_ELEMENT", f"The policy element {name} is not valid.", (), name, span)
    version = _check_version(report, whole)
    statement = whole.member("Statement")
    if statement is None or statement.node.value == []:
        report.add("MISSING_STATEMENT", "Add a statement to the policy", statement or whole)
        return
    spots = []
    for spot in statement.items():
        if isinstance(spot.node.value, dict):
            spots.append(spot)
            _check_statement(report, spot, kind, variables=version == _VERSIONS[0])
        else:
            report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type Object.", spot)
    _check_sids(report, spots, kind)
    _check_repeated(report, spots)
    if kind == "identity" and sum(not char.isspace() for char in report.text) > _IDENTITY_QUOTA:
        words = (
            f"The {sum(not char.isspace() for char in report.text)} characters in the identity policy, excluding whitespace, exceed the"
            f" {_IDENTITY_QUOTA} character maximum for inline and managed policies. We recommend that you use multiple granular policies."
        )
        report.add("POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA", words, whole)


def _check_version(report: Report, whole: Spot) -> str | None:
    version = whole.member("Version")
    if version is None:
        words = "We recommend that you specify the Version element to help you with debugging permission issues."
        report.add("MISSING_VERSION", words, whole)
        return None
    if not isinstance(version.node.value, str):
        report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type String.", version)
    elif version.node.value not in _VERSIONS:
        words = f"The version {version.node.value} is not valid. Use one of the following versions: {', '.join(_VERSIONS)}"
        report.add("INVALID_VERSION", words, version)
    else:
        return str(version.node.value)
    return None


def _check_statement(report: Report, spot: Spot, kind: Kind, *, variables: bool) -> None:
    for name, span, _ in spot.node.members:
        if name not in _ELEMENTS:
            report.at_key("INVALID_POLICY_ELEMENT", f"The policy element {name} is not valid.", spot.path, name, span)
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if spot.member(one) and spot.member(other):
            words = f"The policy elements {one} and {other} can not be used in the same statement. Remove one of these elements."
            report.add("UNSUPPORTED_ELEMENT_COMBINATION", words, spot)
    effect = _check_effect(report, spot)
    _check_actions(report, spot)
    _check_resources(report, spot, kind)
    _check_principals(report, spot, kind, effect)
    condition = spot.member("Condition")
    if condition is not None:
        check_condition(report, condition, variables=variables)
    for name in ("Resource", "NotResource"):
        for text, each in _texts(spot, name):
            check_variables(report, text, each, variables=variables)
    for name in ("Action", "NotAction", "Sid", "Effect"):
        for text, each in _texts(spot, name):
            if "${" in text:
                words = f"Policy variables are supported in the Resource and Condition elements. Remove the policy variable {text} from this element."
                report.add("VARIABLE_UNSUPPORTED_IN_ELEMENT", words, each)
    if effect == "Allow":
        _check_powers(report, spot)


def _texts(spot: Spot, name: str) -> list[tuple[str, Spot]]:
    found = spot.member(name)
    return found.texts() if found is not None else []


def _check_effect(report: Report, spot: Spot) -> str | None:
    effect = spot.member("Effect")
    if effect is None:
        report.add("MISSING_EFFECT", "Add an Effect element to the policy statement with a value of Allow or Deny.", spot)
    elif not isinstance(effect.node.value, str):
        report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type String.", effect)
    elif effect.node.value not in ("Allow", "Deny"):
        report.add("INVALID_EFFECT", f"The effect {effect.node.value} is not valid. Use Allow or Deny.", effect)
    else:
        return str(effect.node.value)
    return None


def _check_strings(report: Report, spot: Spot) -> None:
    """A text or a list of texts."""
    for each in spot.items():
        if not isinstance(each.node.value, str):
            report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type String.", each)


def _check_actions(report: Report, spot: Spot) -> None:
    found = spot.member("Action") or spot.member("NotAction")
    if found is None:
        report.add("MISSING_ACTION", "Add an Action or NotAction element to the policy statement.", spot)
        return
    if found.node.value == []:
        report.add("EMPTY_ARRAY_ACTION", "This statement includes no actions and does not affect the policy. Specify actions.", found)
    _check_strings(report, found)
    for text, each in found.texts():
        check_action(report, text, each)
    for needless, wide in redundant([(text.lower(), each) for text, each in found.texts()]):
        words = "The action(s) are redundant because they provide similar permissions. Update the policy to remove the redundant action such as: "
        report.add("REDUNDANT_ACTION", f"{words}{needless.node.value}.", needless, wide)


def _check_resources(report: Report, spot: Spot, kind: Kind) -> None:
    found = spot.member("Resource") or spot.member("NotResource")
    if found is None:
        if kind != "trust":
            report.add("MISSING_RESOURCE", "Add a Resource or NotResource element to the policy statement.", spot)
        return
    if kind == "trust":
        words = "The policy element Resource is not valid."
        report.add("INVALID_POLICY_ELEMENT", words, found)
        return
    if found.node.value == []:
        report.add("EMPTY_ARRAY_RESOURCE", "This statement includes no resources and does not affect the policy. Specify resources.", found)
    _check_strings(report, found)
    for text, each in found.texts():
        check_resource(report, text, each)
    for needless, wide in redundant(found.texts(), arn_covers):
        words = "The resource ARN(s) are redundant because they reference the same resource. Review the use of wildcards (*)"
        report.add("REDUNDANT_RESOURCE", words, needless, wide)


def _check_principals(report: Report, spot: Spot, kind: Kind, effect: str | None) -> None:
    found = spot.member("Principal") or spot.member("NotPrincipal")
    if kind == "identity":
        if found is not None:
            words = "The policy type IDENTITY_POLICY does not support the Principal element. Remove the Principal element."
            report.add("UNSUPPORTED_PRINCIPAL", words, found)
        return
    if found is None:
        report.add("MISSING_PRINCIPAL", "Add a Principal element to the policy statement.", spot)
        return
    check_principal(report, found)
    if effect == "Allow" and spot.member("NotPrincipal"):
        words = "Using Allow with NotPrincipal can be overly permissive. We recommend that you use Principal instead."
        report.add("ALLOW_WITH_NOT_PRINCIPAL", words, spot)


def _check_sids(report: Report, spots: list[Spot], kind: Kind) -> None:
    seen: set[str] = set()
    for spot in spots:
        sid = spot.member("Sid")
        if sid is None:
            continue
        text = sid.node.value
        if not isinstance(text, str):
            report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type String.", sid)
        elif not text:
            report.add("EMPTY_SID_VALUE", "Add a value to the empty string in the Sid element.", sid)
        elif kind != "resource" and re.fullmatch(r"[A-Za-z0-9]+", text) is None:
            words = "Update the characters in the Sid element to use one of the following character types: [a-z, A-Z, 0-9]"
            report.add("UNSUPPORTED_SID", words, sid)
        elif text in seen and kind == "resource":
            words = "We recommend using statement IDs that are unique to your policy. Update the Sid value."
            report.add("UNIQUE_SIDS_RECOMMENDED", words, sid)
        elif text in seen:
            words = "Duplicate statement IDs are not supported for this policy type. Update the Sid value."
            report.add("UNIQUE_SIDS_REQUIRED", words, sid)
        if isinstance(text, str):
            seen.add(text)


def _check_repeated(report: Report, spots: list[Spot]) -> None:
    seen: list[tuple[object, Spot]] = []
    for spot in spots:
        content = {name: value for name, value in spot.node.value.items() if name != "Sid"}
        earlier = next((other for known, other in seen if known == content), None)
        if earlier is not None:
            words = "The statements are redundant because they provide identical permissions. Update the policy to remove the redundant statement."
            report.add("REDUNDANT_STATEMENT", words, earlier, spot)
        else:
            seen.append((content, spot))


# --- what lets its holder become more -------------------------------------------------------------------------------------------


def _check_powers(report: Report, spot: Spot) -> None:
    """iam:PassRole and iam:CreateServiceLinkedRole on more than named resources."""
    narrowed = condition_keys(spot)
    if "iam:passedtoservice" not in narrowed:
        _check_power(report, spot, "iam:PassRole", "PASS_ROLE")
    if "iam:awsservicename" not in narrowed:
        _check_power(report, spot, "iam:CreateServiceLinkedRole", "CREATE_SLR")


def _check_power(report: Report, spot: Spot, action: str, code: str) -> None:
    actions = _texts(spot, "Action")
    named = [each for text, each in actions if text.lower() == action.lower()]
    starred = [each for text, each in actions if "*" in text and matcher(marked(text.lower()))(action.lower())]
    spared = any(matcher(marked(text.lower()))(action.lower()) for text, _ in _texts(spot, "NotAction"))
    not_resource = spot.member("NotResource")
    wide = [
        each for text, each in _texts(spot, "Resource") if text == "*" or (text.startswith("arn:") and text.endswith((":*", "/*", "role*")))
    ]
    words = _POWER[code]
    if spot.member("NotAction") and not_resource and not spared:
        report.add(f"{code}_WITH_NOT_ACTION_AND_NOT_RESOURCE", words["na"], spot)
    if not_resource and named:
        report.add(f"{code}_WITH_NOT_RESOURCE", words["nr"], *named, not_resource)
    elif not_resource and starred:
        report.add(f"{code}_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE", words["sanr"], *starred, not_resource)
    elif wide and named:
        report.add(f"{code}_WITH_STAR_IN_RESOURCE", words["sr"], *named, *wide)
    elif wide and starred:
        report.add(f"{code}_WITH_STAR_IN_ACTION_AND_RESOURCE", words["sar"], *starred, *wide)


_INSTEAD = "We recommend that you specify resource ARNs instead."
_SLR = "creation of unintended service-linked roles"
_POWER = {
    "PASS_ROLE": {
        "na": "Using NotAction with NotResource can be overly permissive because it can allow iam:PassRole permissions on multiple resources. "
        + _INSTEAD,
        "nr": "Using the iam:PassRole action with NotResource can be overly permissive because it can allow iam:PassRole permissions on multiple"
        " resources. " + _INSTEAD,
        "sanr": "Using an action with a wildcard (*) and NotResource can be overly permissive because it can allow iam:PassRole permissions on"
        " multiple resources. " + _INSTEAD,
        "sr": "Using the iam:PassRole action with wildcards (*) in the resource can be overly permissive because it allows iam:PassRole"
        " permissions on multiple resources. We recommend that you specify resource ARNs or add the iam:PassedToService condition key to your"
        " statement.",
        "sar": "Using wildcards (*) in the action and the resource can be overly permissive because it allows iam:PassRole permissions on all"
        " resources. We recommend that you specify resource ARNs or add the iam:PassedToService condition key to your statement.",
    },
    "CREATE_SLR": {
        "na": f"Using NotAction with NotResource can allow {_SLR} because it allows iam:CreateServiceLinkedRole permissions on multiple"
        f" resources. {_INSTEAD}",
        "nr": f"Using the iam:CreateServiceLinkedRole action with NotResource can allow {_SLR} for multiple resources. {_INSTEAD}",
        "sanr": f"Using an action with a wildcard(*) and NotResource can allow {_SLR} because it can allow iam:CreateServiceLinkedRole"
        f" permissions on multiple resources. {_INSTEAD}",
        "sr": f"Using the iam:CreateServiceLinkedRole action with wildcards (*) in the resource can allow {_SLR}. {_INSTEAD}",
        "sar": f"Using wildcards (*) in the action and the resource can allow {_SLR} because it allows iam:CreateServiceLinkedRole permissions"
        f" on all resources. {_INSTEAD}",
    },
}
