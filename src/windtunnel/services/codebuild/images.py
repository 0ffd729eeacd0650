"""What a build runs on: AWS's curated images, all played by the stock image, and the sizes of compute types. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

GIB = 1 << 30
STOCK = "stock"


class Size(NamedTuple):
    cpus: float
    memory: int


SIZES = {
    "BUILD_GENERAL1_SMALL": Size(2, 4 * GIB),
    "BUILD_GENERAL1_MEDIUM": Size(4, 8 * GIB),
    "BUILD_GENERAL1_LARGE": Size(8, 16 * GIB),
    "BUILD_GENERAL1_XLARGE": Size(36, 72 * GIB),
    "BUILD_GENERAL1_2XLARGE": Size(72, 145 * GIB),
}

_CURATED = re.compile(r"aws/codebuild/(standard|amazonlinux2?-x86_64-standard|amazonlinux-x86_64-standard):[0-9][0-9.]*\Z")
_FAMILIES = (
    ("AMAZON_LINUX", "aws/codebuild/amazonlinux-x86_64-standard", ("4.0", "5.0")),
    ("UBUNTU", "aws/codebuild/standard", ("5.0", "6.0", "7.0")),
)


def is_curated(image: str) -> bool:
    """Whether AWS keeps this image, and the stock image stands in for it."""
    return _CURATED.match(image) is not None


def curated() -> list[dict[str, Any]]:
    """ListCuratedEnvironmentImages: those that run here."""
    platforms = []
    for platform, name, versions in _FAMILIES:
        images = [
            {
                "name": f"{name}:{version}",
                "description": f"AWS CodeBuild - {name.split('/')[-1]} {version}, played by Windtunnel's stock image",
            }
            for version in versions
        ]
        platforms.append({"platform": platform, "languages": [{"language": "BASE", "images": images}]})
    return platforms


def cannot_pull(image: str) -> str:
    """The words of a PROVISIONING that fails for its image."""
    return (
        f"Unable to pull customer's container image. CannotPullContainerError: {image}: "
        "Windtunnel does not run OCI images yet; AWS's curated images (aws/codebuild/standard:7.0, …) run on its stock image."
    )
