"""The Condition element: its operators, keys and values."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from windtunnel.iam.conditions import Name, parse_operator
from windtunnel.iam.lint.findings import Report, Spot
from windtunnel.iam.lint.values import check_variables
from windtunnel.iam.operators import moment, number
from windtunnel.iam.reference import GLOBAL_KEYS, MULTIVALUED, knows_key, nearest_service, services

_TAGGED = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")
_BOOLEAN_KEYS = {"aws:multifactorauthpresent", "aws:securetransport", "aws:viaawsservice", "aws:principalisawsservice"}
_PAIRED = {"aws:vpcsourceip": ("aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn")}


def condition_keys(statement: Spot) -> set[str]:
    """The keys that a statement's conditions name, in lower case."""
    condition = statement.member("Condition")
    if condition is None or not isinstance(condition.node.value, dict):
        return set()
    return {key.lower() for _, _, node in condition.node.members for key, _, _ in node.members}


def check_condition(report: Report, condition: Spot, *, variables: bool) -> None:
    if not isinstance(condition.node.value, dict):
        if condition.node.value == []:
            words = "This condition block is empty and it does not affect the policy. Specify conditions."
            report.add("EMPTY_ARRAY_CONDITION", words, condition)
        else:
            report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type Object.", condition)
        return
    if not condition.node.members:
        words = "This condition block is empty and it does not affect the policy. Specify conditions."
        report.add("EMPTY_OBJECT_CONDITION", words, condition)
    keys = {key.lower() for _, _, node in condition.node.members for key, _, _ in node.members}
    for name, span, node in condition.node.members:
        block = Spot((*condition.path, name), node)
        operator = _operator(report, condition, name, span)
        if not isinstance(node.value, dict):
            report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type Object.", block)
            continue
        _check_keys(report, block, operator, keys, variables)


def _operator(report: Report, condition: Spot, name: str, span: tuple[int, int]) -> Name | None:
    if name.endswith("NullIfExists") or name == "NullIfExists":
        words = "The Null condition operator cannot be used with the IfExists suffix. Update the operator or the suffix."
        report.at_key("NULL_WITH_IF_EXISTS", words, condition.path, name, span)
        return None
    if name in ("ForAllValues:Null", "ForAnyValue:Null"):
        words = (
            "Avoid using the Null condition operator with the ForAllValues or ForAnyValue qualifiers because they always return a true or"
            " false respectively."
        )
        report.at_key("NULL_WITH_QUALIFIER", words, condition.path, name, span)
        return None
    found = parse_operator(name)
    if found is None:
        words = f"The condition operator {name} is not valid. Use a valid condition operator."
        report.at_key("INVALID_CONDITION_OPERATOR", words, condition.path, name, span)
    return found


def _check_keys(report: Report, block: Spot, operator: Name | None, keys: set[str], variables: bool) -> None:
    seen: dict[str, str] = {}
    for key, span, node in block.node.members:
        lower = key.lower()
        if lower in seen and seen[lower] != key:
            words = (
                f"The condition key {key} appears more than once with different capitalization in the same condition block. Remove the"
                " duplicate condition keys."
            )
            report.at_key("DUPLICATE_KEYS_WITH_DIFFERENT_CASE", words, block.path, key, span)
        seen[lower] = key
        _check_key(report, block, key, span)
        if operator is not None and operator.quantifier == "ForAllValues:" and lower in GLOBAL_KEYS and lower not in MULTIVALUED:
            words = (
                f"Using ForAllValues qualifier with the single-valued condition key {key} can be overly permissive. We recommend that you"
                " remove ForAllValues:."
            )
            report.at_key("FORALLVALUES_WITH_SINGLE_VALUED_KEY", words, block.path, key, span)
        pair = _PAIRED.get(lower)
        if pair is not None and not {other.lower() for other in pair} & keys:
            words = (
                f"Using the condition key {key} can be overly permissive without also using the following condition keys: {', '.join(pair)}."
                " Condition keys like this one are more secure when paired with a related key. We recommend that you add the related"
                " condition keys to the same condition block."
            )
            report.at_key("MISSING_PAIRED_CONDITION_KEYS", words, block.path, key, span)
        if operator is not None:
            _check_values(report, Spot((*block.path, key), node), operator, lower, variables)


def _check_key(report: Report, block: Spot, key: str, span: tuple[int, int]) -> None:
    lower = key.lower()
    prefix, colon, rest = lower.partition(":")
    if not colon or not rest or not prefix:
        words = f"The condition key format {key} is not valid. Use the format service:keyname."
        report.at_key("INVALID_CONDITION_KEY_FORMAT", words, block.path, key, span)
    elif prefix == "aws":
        _check_global_key(report, block, key, span)
    elif "." in prefix or "/" in prefix or prefix in ("saml", "sts", "ec2", "graph", "cognito-identity"):
        return  # of an identity provider; or with names of its own
    elif prefix not in services():
        near = nearest_service(prefix)
        also = f" Did you mean {near}?" if near else ""
        words = f"The service {prefix} specified in the condition key does not exist. Use a valid service name.{also}"
        report.at_key("INVALID_SERVICE_IN_CONDITION_KEY", words, block.path, key, span)
    elif not knows_key(lower):
        words = f"The condition key {key} does not exist in the service {prefix}. Use a valid condition key."
        report.at_key("INVALID_SERVICE_CONDITION_KEY", words, block.path, key, span)


def _check_global_key(report: Report, block: Spot, key: str, span: tuple[int, int]) -> None:
    lower = key.lower()
    if lower == "aws:arn":
        words = "The condition key aws:ARN is not supported. Use aws:PrincipalArn or aws:SourceArn instead."
        report.at_key("UNSUPPORTED_GLOBAL_CONDITION_KEY", words, block.path, key, span)
    elif lower in _TAGGED or f"{lower}/" in _TAGGED:
        name = key.rstrip("/")
        words = (
            f"The condition key {key} must include a tag key to control access based on tags. Use the format {name}/tag-key and specify a"
            " key name for tag-key."
        )
        report.at_key("MISSING_TAG_KEY_IN_CONDITION", words, block.path, key, span)
    elif lower not in GLOBAL_KEYS and not lower.startswith(_TAGGED):
        words = f"The condition key {key} does not exist. Use a valid condition key."
        report.at_key("INVALID_GLOBAL_CONDITION_KEY", words, block.path, key, span)


# --- values --------------------------------------------------------------------------------------------------------------------------


def _check_values(report: Report, values: Spot, operator: Name, key: str, variables: bool) -> None:
    spots = values.items()
    kinds = {type(spot.node.value) for spot in spots}
    if len(kinds) > 1:
        words = "The condition value data types do not match. Use condition values of the same JSON data type."
        report.add("INVALID_CONDITION_DATA_TYPE", words, values)
    if operator.base == "Bool" and len(spots) > 1 and key in _BOOLEAN_KEYS:
        words = f"The condition key {key} does not support multiple Boolean values. Use a single Boolean value."
        report.add("INVALID_CONDITION_MULTIPLE_BOOLEAN", words, values)
    for spot in spots:
        value = spot.node.value
        if isinstance(value, dict | list) or value is None:
            report.add("DATA_TYPE_MISMATCH", "The text does not match the expected JSON data type String.", spot)
        else:
            _check_value(report, spot, str(value).lower() if isinstance(value, bool) else str(value), operator, variables)
    if operator.base in ("IpAddress", "NotIpAddress") and key == "aws:sourceip":
        _check_private(report, values, operator.base)
    if operator.base in ("NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals") and len(spots) > 1:
        which = "greatest" if "Less" in operator.base else "least"
        words = f"Multiple values in {operator.base} are redundant. Replace with the {which} single value for {key}."
        report.add("REDUNDANT_CONDITION_VALUE_NUM", words, values)


def _check_value(report: Report, spot: Spot, text: str, operator: Name, variables: bool) -> None:
    base = operator.base
    if "${" in text:
        if base.startswith(("String", "Arn")):
            check_variables(report, text, spot, variables=variables)
        else:
            words = "Policy variables can only be used with String and ARN operators."
            report.add("INVALID_VARIABLE_FOR_OPERATOR", words, spot)
        return
    mismatch = _mismatch(base, text)
    if mismatch is not None:
        report.add(mismatch[0], mismatch[1].format(operator=base), spot)
    elif base in ("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase") and (
        "*" in text or "?" in text
    ):
        words = (
            "Your condition value includes a * or ? character. If you meant to use a wildcard (*, ?), update the condition operator to include"
            " Like."
        )
        report.add("WILDCARD_WITHOUT_LIKE_OPERATOR", words, spot)
    elif base in ("IpAddress", "NotIpAddress"):
        network = _network(text)
        if network is not None and "/" in text and str(network) != str(_compressed(text)):
            words = f"The non-zero bits in the IP address after the masked bits are ignored. Replace address with {network}."
            report.add("IMPROVE_IP_RANGE", words, spot)


def _mismatch(base: str, text: str) -> tuple[str, str] | None:
    if base in ("Bool", "Null") and text.lower() not in ("true", "false"):
        return "TYPE_MISMATCH_BOOLEAN", "Add a valid Boolean value (true or false) for the condition operator {operator}."
    if base.startswith("Date") and moment(text) is None:
        words = "The date condition operator is used with an invalid value. Specify a valid date using YYYY-MM-DD or other ISO 8601 date/time format."
        return "TYPE_MISMATCH_DATE", words
    if base.startswith("Numeric") and number(text) is None:
        return "TYPE_MISMATCH_NUMBER", "Add a valid numeric value for the condition operator {operator}."
    if base in ("IpAddress", "NotIpAddress") and _network(text) is None:
        words = "The condition operator {operator} is used with an invalid IP range value. Specify the IP range in standard CIDR format."
        return "TYPE_MISMATCH_IP_RANGE", words
    if base == "BinaryEquals" and not _base64(text):
        return "TYPE_MISMATCH_STRING", "Add a valid base64-encoded string value for the condition operator {operator}."
    return None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _compressed(text: str) -> Any:
    """The range as written, in the form in which it is compared."""
    try:
        return ip_network(text, strict=True)
    except ValueError:
        return text


def _base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return False
    return True


def _check_private(report: Report, values: Spot, base: str) -> None:
    networks = [network for text, _ in values.texts() if (network := _network(text)) is not None]
    private = [network for network in networks if network.is_private and network.prefixlen > 0]
    if not private:
        return
    only = len(private) == len(networks)
    code = ("PRIVATE_IP_ADDRESS" if base == "IpAddress" else "PRIVATE_NOT_IP_ADDRESS") + ("" if only else "_SUBSET")
    report.add(code, _PRIVATE[code], values)


_PRIVATE = {
    "PRIVATE_IP_ADDRESS": "aws:SourceIp works only for public IP address ranges. The values for condition key aws:SourceIp include only private"
    " IP addresses and will not have the desired effect. Update the value to include only public IP addresses.",
    "PRIVATE_NOT_IP_ADDRESS": "The values for condition key aws:SourceIp include only private IP addresses and has no effect. aws:SourceIp works"
    " only for public IP address ranges. Update the value to include only public IP addresses.",
    "PRIVATE_IP_ADDRESS_SUBSET": "The values for condition key aws:SourceIp include a mix of private and public IP addresses. The private addresses"
    " will not have the desired effect. aws:SourceIp works only for public IP address ranges. To define permissions for private IP ranges, use"
    " aws:VpcSourceIp.",
    "PRIVATE_NOT_IP_ADDRESS_SUBSET": "The values for condition key aws:SourceIp include a mix of private and public IP addresses. The private"
    " addresses have no effect. aws:SourceIp works only for public IP address ranges. To define permissions for private IP ranges, use"
    " aws:VpcSourceIp.",
}
