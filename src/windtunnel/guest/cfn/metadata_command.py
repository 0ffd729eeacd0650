"""`cfn-get-metadata`: prints the metadata of a resource, or a part of them.

The invariant it keeps: what is printed is what the stack has now, as JSON; a key that is not there is an error.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from windtunnel.guest.aws import ApiError, NoCredentials, Unreachable
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.options import access, parser
from windtunnel.guest.cfn.stacks import connect


def main(argv: list[str] | None = None) -> int:
    arguments = parser("cfn-get-metadata", "Prints the metadata of a resource of a stack.")
    arguments.add_argument("-k", "--key", default="", help="the part to print: keys joined by dots")
    arguments.add_argument("-v", "--verbose", action="store_true")
    given = arguments.parse_args(argv)
    if not (given.stack and given.resource):
        arguments.error("a stack and a resource are needed: cfn-get-metadata --stack NAME --resource LOGICAL_ID")
    try:
        found = connect(access(given)).resource(given.stack, given.resource).metadata
        if found is None:
            raise Failed(f"the resource {given.resource} of the stack {given.stack} has no metadata")
        print(shown(part(found, given.key)))
    except (Failed, ApiError, Unreachable, NoCredentials, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


def part(metadata: Any, key: str) -> Any:
    """`a.b.c` of the metadata, all of them for "". Raises Failed."""
    found = metadata
    for step in key.split(".") if key else []:
        if not isinstance(found, dict) or step not in found:
            raise Failed(f"the metadata have no key {key}")
        found = found[step]
    return found


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=4)
