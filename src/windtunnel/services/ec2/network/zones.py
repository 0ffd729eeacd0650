"""The availability zones of each region, by name and id. Pure.

Source: `aws ec2 describe-availability-zones` as published in the regions' documentation. Letters differ from account to account on AWS; here they do not.
"""

from __future__ import annotations

_LETTERS = {
    "us-east-1": "abcdef", "us-west-2": "abcd", "us-west-1": "ac", "ap-northeast-1": "acd", "ap-northeast-2": "abcd", "ca-central-1": "abd",
}  # fmt: skip
_SIDES = {
    "north": "n", "south": "s", "east": "e", "west": "w", "central": "c",
    "northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw",
}  # fmt: skip
REGIONS = {
    "af-south-1": "opted-in", "ap-east-1": "opted-in", "ap-northeast-1": "", "ap-northeast-2": "", "ap-northeast-3": "", "ap-south-1": "",
    "ap-southeast-1": "", "ap-southeast-2": "", "ca-central-1": "", "eu-central-1": "", "eu-north-1": "", "eu-south-1": "opted-in",
    "eu-west-1": "", "eu-west-2": "", "eu-west-3": "", "me-south-1": "opted-in", "sa-east-1": "", "us-east-1": "", "us-east-2": "",
    "us-west-1": "", "us-west-2": "",
}  # fmt: skip
"""Region -> its OptInStatus, where it had to be opted into."""


def zone_names(region: str) -> list[str]:
    """`us-east-1a`, …, in order."""
    return [region + letter for letter in _LETTERS.get(region, "abc")]


def zone_id(zone: str) -> str:
    """`use1-az1` of `us-east-1a`."""
    region, letter = zone[:-1], zone[-1]
    parts = region.split("-")
    if len(parts) < 3:
        return f"{region}-az1"
    number = zone_names(region).index(zone) + 1 if zone in zone_names(region) else ord(letter) - 96
    return f"{parts[0]}{_SIDES.get(parts[1], parts[1][0])}{parts[-1]}-az{number}"
