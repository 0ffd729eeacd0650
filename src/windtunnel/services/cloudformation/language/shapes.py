"""What the argument of each function must look like before anything is known: AWS's messages, and the parts of the argument."""

from __future__ import annotations

from typing import Any

from windtunnel.services.cloudformation.language.functions import KEY_NAME, template_error

SCALARS = (str, int, float, bool)
REF = "All References must be of type string"
GET_ATT = "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
SUB = (
    "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, "
    "and an optional second argument to specify a mapping of values to replace in the string"
)
SUB_KEYS = "every key of the context object of every Fn::Sub object must contain only alphanumeric characters and underscores"
SUB_VALUES = "every value of the context object of every Fn::Sub object must be a string or a function that returns a string"
JOIN = (
    "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that "
    "returns a list of strings (such as Fn::GetAZs) to be joined."
)
SPLIT = (
    "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a "
    "string to be split."
)
SELECT = "Fn::Select requires a list argument with two elements: an integer index and a list"
SELECT_INDEX = "Fn::Select requires a list argument with a valid index value as its first element"
FIND_IN_MAP = "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value"
CIDR = "every Fn::Cidr object requires two or three parameters, (1) an IP block, (2) the number of CIDRs and (3) the number of subnet bits."
LENGTH = "every Fn::Length object must have a list or a function that returns a list."
TO_JSON = "every Fn::ToJsonString object must have a map or a list."
IF_CONDITION = "Fn::If requires a list argument with the first element being a condition"
IF = "Fn::If requires a list argument with three elements"


def ref(argument: Any) -> None:
    if type(argument) is not str:
        raise template_error(REF)


def get_att(argument: Any) -> tuple[str, str | dict[str, Any]]:
    """The resource and the attribute; the attribute (in the list form) may itself be a function."""
    if isinstance(argument, str):
        resource, _, attribute = argument.partition(".")
        argument = [resource, attribute]
    if type(argument) is not list or len(argument) < 2:
        raise template_error(GET_ATT)
    resource, attribute = argument[0], argument[1]
    if len(argument) > 2:
        if not all(isinstance(part, str) for part in argument):
            raise template_error(GET_ATT)
        attribute = ".".join(argument[1:])
    if not isinstance(resource, str) or not resource or not attribute or not isinstance(attribute, str | dict):
        raise template_error(GET_ATT)
    return resource, attribute


def sub(argument: Any) -> tuple[str, dict[str, Any]]:
    """The text and the local variables."""
    if type(argument) is str:
        return argument, {}
    if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str) and isinstance(argument[1], dict):
        text, own = argument
        if not all(KEY_NAME.fullmatch(key) for key in own):
            raise template_error(SUB_KEYS)
        for value in own.values():
            if isinstance(value, list) or (
                isinstance(value, dict) and not (len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::")))
            ):
                raise template_error(SUB_VALUES)
        return text, own
    raise template_error(SUB)


def join(argument: Any) -> None:
    if type(argument) is not list or len(argument) != 2 or not isinstance(argument[1], list | dict) or isinstance(argument[0], list):
        raise template_error(JOIN)


def split(argument: Any) -> None:
    if type(argument) is not list or len(argument) != 2 or isinstance(argument[0], list) or isinstance(argument[1], list):
        raise template_error(SPLIT)


def select(argument: Any) -> None:
    if type(argument) is not list or not argument:
        raise template_error(SELECT_INDEX)
    if len(argument) != 2 or not isinstance(argument[1], list | dict):
        raise template_error(SELECT)
    if not isinstance(argument[0], dict):
        index(argument[0])


def index(position: Any) -> int:
    """An index of `Fn::Select`: a number, also as text."""
    if type(position) is int:
        return position
    if isinstance(position, str) and len(position) <= 10 and position.isascii() and position.removeprefix("-").isdecimal():
        return int(position)
    raise template_error(SELECT_INDEX)


def find_in_map(argument: Any) -> None:
    if type(argument) is not list or len(argument) not in (3, 4) or any(isinstance(part, list) for part in argument[:3]):
        raise template_error(FIND_IN_MAP)
    if len(argument) == 4 and (not isinstance(argument[3], dict) or set(argument[3]) != {"DefaultValue"}):
        raise template_error(FIND_IN_MAP)


def cidr(argument: Any) -> None:
    if not isinstance(argument, dict) and (type(argument) is not list or len(argument) not in (2, 3)):
        raise template_error(CIDR)


def length(argument: Any) -> None:
    if not isinstance(argument, list | dict):
        raise template_error(LENGTH)


def to_json(argument: Any) -> None:
    if not isinstance(argument, list | dict):
        raise template_error(TO_JSON)


def choice(argument: Any) -> str:
    """The name of the condition of a `Fn::If`."""
    if type(argument) is not list or not argument or not isinstance(argument[0], str):
        raise template_error(IF_CONDITION)
    if len(argument) != 3:
        raise template_error(IF)
    name: str = argument[0]
    return name
