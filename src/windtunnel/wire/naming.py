"""AWS names and Python names: `xform` gives what botocore's `xform_name` gives, so that a handler's arguments are boto3's words.

Invariant: `xform(name) == botocore.xform_name(name)` for every operation and member of every model; a test compares them all.
"""

from __future__ import annotations

import re
from functools import cache

_WORD = re.compile(r"(.)([A-Z][a-z]+)")
_HUMP = re.compile(r"([a-z0-9])([A-Z])")
_PLURAL_ACRONYM = re.compile(r"[A-Z]{2,}s$")

# Brand names that a rule on capitals would split in the wrong place; each is one word, or begins with a lower-case letter.
_BRANDS = {"iSCSI": "_iscsi", "HITs": "_hits", "PartiQL": "_partiql", "WhatsApp": "_whatsapp", "OTel": "_otel"}
_BRANDED_OPERATIONS = re.compile(
    r"(?:(?:Create|Describe)(?:Cached|Stored)(iSCSI)Volumes?"
    r"|List(HITs)ForQualificationType"
    r"|Execute(PartiQL)(?:Statement|Transaction|Batch)"
    r"|(?:Associate|Disassociate|GetLinked)(WhatsApp)BusinessAccount(?:PhoneNumber)?"
    r"|(?:Create|Delete|Get|List|Post|Put|Send|Update|ListLinked)(WhatsApp)(?:Message\w*|TemplateLibrary|BusinessAccounts|BusinessAccountEventDestinations)"
    r"|(?:Get|Start|Stop)(OTel)Enrichment)\Z"
)


@cache
def xform(name: str) -> str:
    """`StackName` -> `stack_name`, `DBInstanceIdentifiers` -> `db_instance_identifiers`, `VpcPeeringConnectionIDs` -> `…_ids`."""
    if "_" in name:
        return name
    branded = _BRANDED_OPERATIONS.match(name)
    if branded:
        brand = next(group for group in branded.groups() if group)
        before, after = name.split(brand, 1)
        return _split(before) + _BRANDS[brand] + ("_" + _split(after) if after else "")
    plural = _PLURAL_ACRONYM.search(name)
    if plural:
        name = name[: plural.start()] + "_" + plural.group().lower()
    return _split(name)


def _split(name: str) -> str:
    return _HUMP.sub(r"\1_\2", _WORD.sub(r"\1_\2", name)).lower()


def lower_first(name: str) -> str:
    """The member name as AWS's validation messages print it: `DBName` -> `dBName`."""
    return name[:1].lower() + name[1:]
