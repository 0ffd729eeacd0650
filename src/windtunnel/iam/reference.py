"""Which actions and condition keys each service has: facts of AWS's Service Authorization Reference, one service a line of a file.

Invariant: read when it is first asked for, and never by a decision: what a policy allows does not depend on what is known here.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

from windtunnel.kernel.typed import from_json


class Service(NamedTuple):
    """actions: lower-case name -> its own spelling. keys: lower-case condition keys; those that end in `*` take a name of one's own."""

    actions: dict[str, str]
    keys: frozenset[str]


class _Line(msgspec.Struct):
    service: str
    actions: str
    keys: str


# Lower-case names of the global condition keys; those that end in `/` take a tag's key.
GLOBAL_KEYS = frozenset(
    "aws:" + name
    for name in [
        "assumedroot",
        "calledvia",
        "calledviafirst",
        "calledvialast",
        "chatbotsourcearn",
        "currenttime",
        "ec2instancesourceprivateipv4",
        "ec2instancesourcevpc",
        "epochtime",
        "federatedprovider",
        "multifactorauthage",
        "multifactorauthpresent",
        "principalaccount",
        "principalarn",
        "principalisawsservice",
        "principalorgid",
        "principalorgpaths",
        "principalservicename",
        "principalservicenameslist",
        "principaltag/",
        "principaltype",
        "referer",
        "requestedregion",
        "requesttag/",
        "resourceaccount",
        "resourceorgid",
        "resourceorgpaths",
        "resourcetag/",
        "securetransport",
        "sourceaccount",
        "sourcearn",
        "sourceidentity",
        "sourceip",
        "sourceorgid",
        "sourceorgpaths",
        "sourcevpc",
        "sourcevpcarn",
        "sourcevpce",
        "tagkeys",
        "tokenissuetime",
        "useragent",
        "userid",
        "username",
        "viaawsservice",
        "vpceaccount",
        "vpceorgid",
        "vpceorgpaths",
        "vpcsourceip",
    ]
)
MULTIVALUED = frozenset(
    [
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
        "aws:vpceorgpaths",
    ]
)
"""The global keys that may have several values in a request."""


@lru_cache(maxsize=1)
def services() -> dict[str, Service]:
    """By the prefix of their actions."""
    found: dict[str, Service] = {}
    for line in (files(__package__) / "reference.jsonl").read_bytes().splitlines():
        read = from_json(line, _Line)
        actions = {name.lower(): name for name in read.actions.split()}
        found[read.service] = Service(actions, frozenset(read.keys.lower().split()))
    return found


def nearest_service(name: str) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(services()), 1, 0.7)), None)


def nearest_action(service: str, name: str) -> str | None:
    from difflib import get_close_matches

    known = services()[service].actions
    found = get_close_matches(name.lower(), list(known), 1, 0.7)
    return known[found[0]] if found else None


def knows_key(key: str) -> bool:
    """Whether a service's condition key (lower-case, with its prefix) is one of that service's."""
    service = services().get(key.partition(":")[0])
    if service is None:
        return False
    tagged = next((each for each in ("resourcetag/", "requesttag/") if key.partition(":")[2].startswith(each)), None)
    if tagged is not None and any(each.partition(":")[2].startswith(tagged) for each in service.keys):
        return True
    return key in service.keys or any(each.endswith("*") and key.startswith(each[:-1]) and len(key) >= len(each) for each in service.keys)
