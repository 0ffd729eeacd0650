"""`Fn::Cidr`: the first blocks of a size that lie in a block of addresses."""

from __future__ import annotations

from itertools import islice
from typing import Any

from windtunnel.services.cloudformation.language import shapes
from windtunnel.services.cloudformation.language.compiling import Compiled, Node, as_function, call, compile_node, folded
from windtunnel.services.cloudformation.language.functions import template_error
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.language.scope import UNKNOWN, Scope

MOST = 256
DEFAULT_BITS = 8


@call("Fn::Cidr")
def blocks(argument: Any) -> Node:
    shapes.cidr(argument)
    if isinstance(argument, dict):
        return _of_a_list(as_function(compile_node(argument)))
    nodes = [compile_node(part) for part in argument]
    parts = [as_function(node) for node in nodes]

    def run(scope: Scope) -> Any:
        return first_blocks([part(scope) for part in parts])

    return folded(run, *nodes)


def _of_a_list(value_of: Compiled) -> Compiled:
    return lambda scope: first_blocks(value_of(scope))


def first_blocks(values: Any) -> Any:
    """The blocks for an IP block, a count and a number of host bits; UNKNOWN when one of them is."""
    import ipaddress

    if values is UNKNOWN or (isinstance(values, list) and any(value is UNKNOWN for value in values)):
        return UNKNOWN
    if not isinstance(values, list) or len(values) not in (2, 3):
        raise template_error(shapes.CIDR)
    count = _number(values[1], 1, MOST)
    try:
        network = ipaddress.ip_network(text_of(values[0]), strict=False)
    except ValueError as error:
        raise template_error(f"Fn::Cidr: {text_of(values[0])} is not a valid IP block.") from error
    if len(values) == 2 and network.version == 6:
        raise template_error("Fn::Cidr requires the number of subnet bits for an IPv6 block.")
    bits = _number(values[2], 1, 128) if len(values) == 3 else DEFAULT_BITS
    prefix = network.max_prefixlen - bits
    if prefix < network.prefixlen or count > 2 ** (prefix - network.prefixlen):
        raise template_error(f"Fn::Cidr: {count} CIDRs with {bits} subnet bits do not fit into {network}.")
    return [str(block) for block in islice(network.subnets(new_prefix=prefix), count)]


def _number(value: Any, least: int, most: int) -> int:
    text = text_of(value) if isinstance(value, str | int | float) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and least <= int(text) <= most):
        raise template_error(f"Fn::Cidr: {text_of(value)} is not a number from {least} to {most}.")
    return int(text)
