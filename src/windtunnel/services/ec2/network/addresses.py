"""Arithmetic of CIDR blocks and addresses: canonical forms, containment, overlaps, and which address of a subnet is free. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_V4 = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:/(\d{1,2}))?\Z", re.ASCII)
RESERVED = 4
"""A subnet's first four addresses and its last are AWS's own (VPC user guide, "Subnet sizing")."""


def parsed(cidr: str) -> tuple[int, int] | None:
    """(network, prefix length) of a block of version 4 in canonical form; None when it is none."""
    found = _V4.match(cidr) if "/" in cidr else None
    if found is None:
        return None
    octets, length = [int(part) for part in found.groups()[:4]], int(found[5])
    if max(octets) > 255 or length > 32:
        return None
    return _number(octets) & _mask(length), length


def _number(octets: Iterable[int]) -> int:
    number = 0
    for octet in octets:
        number = number << 8 | octet
    return number


def _mask(length: int) -> int:
    return (1 << 32) - (1 << (32 - length))


def address(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def number_of(text: str) -> int | None:
    """An address of version 4 as a number; None when it is none."""
    found = parsed(f"{text}/32")
    return found[0] if found is not None and "/" not in text else None


def canonical(cidr: str) -> str | None:
    """The block with its host bits cleared, as AWS stores it; None when it is no block of version 4."""
    found = parsed(cidr)
    return None if found is None else f"{address(found[0])}/{found[1]}"


def canonical6(cidr: str) -> str | None:
    """Likewise of version 6."""
    import ipaddress

    try:
        return str(ipaddress.IPv6Network(cidr, strict=False)) if "/" in cidr and "%" not in cidr else None
    except ValueError:
        return None


def within(inner: str, outer: str) -> bool:
    """Whether a block of version 4 lies in another."""
    one, two = parsed(inner), parsed(outer)
    return one is not None and two is not None and one[1] >= two[1] and one[0] & _mask(two[1]) == two[0]


def overlap(one: str, two: str) -> bool:
    return within(one, two) or within(two, one)


def within6(inner: str, outer: str) -> bool:
    import ipaddress

    return ipaddress.IPv6Network(inner).subnet_of(ipaddress.IPv6Network(outer))


def usable(cidr: str) -> int:
    """How many addresses of a subnet instances can have."""
    found = parsed(cidr)
    return max(0, (1 << (32 - found[1])) - RESERVED - 1) if found else 0


def free(cidr: str, used: Iterable[str]) -> str | None:
    """The lowest free address of a subnet; None when it is full."""
    found = parsed(cidr)
    taken = set(used)
    first = found[0] + RESERVED if found else 0
    return next((text for number in range(first, first + usable(cidr)) if (text := address(number)) not in taken), None)


def usable_address(text: str, cidr: str) -> bool:
    """Whether an interface in this subnet may have this address."""
    number, found = number_of(text), parsed(cidr)
    return number is not None and found is not None and found[0] + RESERVED <= number < found[0] + RESERVED + usable(cidr)


def private_name(region: str, ip: str) -> str:
    """The private DNS name of an address."""
    suffix = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{ip.replace('.', '-')}.{suffix}" if ip else ""


def mac_of(interface_id: str) -> str:
    """A locally administered MAC address that follows from an interface's id."""
    digits = interface_id.removeprefix("eni-")[-10:].rjust(10, "0")
    return "02:" + ":".join(digits[at : at + 2] for at in range(0, 10, 2))
