"""`ec2-metadata`: the instance's own data on the command line, as Amazon Linux has it.

Why it exists: user data and hooks ask it for the instance's id, zone and addresses.

The invariant it keeps: everything it prints comes from the metadata service; what is not there is "not available".
"""

from __future__ import annotations

import sys
from http.client import HTTPException

from windtunnel.guest.aws import metadata

ITEMS = (
    ("-a", "--ami-id", "ami-id", "ami-id"),
    ("-l", "--ami-launch-index", "ami-launch-index", "ami-launch-index"),
    ("-h", "--local-hostname", "local-hostname", "local-hostname"),
    ("-o", "--local-ipv4", "local-ipv4", "local-ipv4"),
    ("-i", "--instance-id", "instance-id", "instance-id"),
    ("-t", "--instance-type", "instance-type", "instance-type"),
    ("-z", "--availability-zone", "placement", "placement/availability-zone"),
    ("-R", "--region", "region", "placement/region"),
    ("-p", "--public-hostname", "public-hostname", "public-hostname"),
    ("-v", "--public-ipv4", "public-ipv4", "public-ipv4"),
    ("-m", "--mac", "mac", "mac"),
    ("-s", "--security-groups", "security-groups", "security-groups"),
    ("-r", "--reservation-id", "reservation-id", "reservation-id"),
)
USER_DATA = ("-d", "--user-data")


def _item(path: str) -> str:
    return metadata(path) or "not available"


def main() -> int:
    asked = sys.argv[1:]
    quiet = "-q" in asked or "--quiet" in asked
    asked = [word for word in asked if word not in ("-q", "--quiet", "--all")]
    known = {word for short, long, _, _ in ITEMS for word in (short, long)} | set(USER_DATA)
    for word in asked:
        if word not in known:
            sys.stderr.write(f"ec2-metadata: unknown option {word}; it has {' '.join(sorted(known))}\n")
            return 1
    try:
        for short, long, label, path in ITEMS:
            if not asked or short in asked or long in asked:
                value = _item(f"/latest/meta-data/{path}")
                print(value if quiet else f"{label}: {value}")
        if not asked or set(USER_DATA) & set(asked):
            value = _item("/latest/user-data")
            print(value if quiet else f"user-data: {value}")
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"ec2-metadata: the metadata service does not answer: {error}\n")
        return 1
    return 0
