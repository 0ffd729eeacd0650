"""The public parameters that AWS publishes and everyone may read: here, the ids of the machine images. Pure."""

from __future__ import annotations

from windtunnel.kernel.scope import Scope
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.services.ssm.model import ParameterVersion

_IMAGES = "/aws/service/ami-amazon-linux-latest/"
_IMAGE_NAMES = (
    "al2023-ami-kernel-6.1-x86_64",
    "al2023-ami-kernel-default-x86_64",
    "al2023-ami-minimal-kernel-6.1-x86_64",
    "al2023-ami-minimal-kernel-default-x86_64",
    "amzn2-ami-hvm-x86_64-ebs",
    "amzn2-ami-hvm-x86_64-gp2",
    "amzn2-ami-kernel-5.10-hvm-x86_64-ebs",
    "amzn2-ami-kernel-5.10-hvm-x86_64-gp2",
)
_PUBLISHED = 1_700_000_000.0
PUBLIC = {_IMAGES + name: ParameterVersion(1, "String", STOCK_AMI, _PUBLISHED, "arn:aws:iam::aws:root") for name in _IMAGE_NAMES}
ROOT = "/aws/"


def public_arn(scope: Scope, name: str) -> str:
    """A public parameter belongs to no account."""
    return f"arn:{scope.partition}:ssm:{scope.region}::parameter/{name.lstrip('/')}"


def below(path: str, recursive: bool) -> list[str]:
    """The public names under a path (which ends in a slash)."""
    return [name for name in sorted(PUBLIC) if name.startswith(path) and (recursive or "/" not in name[len(path) :])]
