"""Finding CodeDeploy's records by the names callers use, with the service's own errors for what is missing or malformed.

Invariant: every operation words the same mistake the same way, because the words stand here only.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import TypeVar

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codedeploy.model.configs import OTHER_PLATFORMS, PREDEFINED
from windtunnel.services.codedeploy.model.records import Application, Config, Deployment, Group

NAME = re.compile(r"[A-Za-z0-9._+=,@-]{1,100}\Z")
DEPLOYMENT_ID = re.compile(r"d-[A-Z0-9]{9}\Z")
PAGE = 100
T = TypeVar("T")


def application_arn(ctx: Context, name: str) -> str:
    return ctx.arn("codedeploy", f"application:{name}")


def group_arn(ctx: Context, application: str, group: str) -> str:
    return ctx.arn("codedeploy", f"deploymentgroup:{application}/{group}")


def config_arn(ctx: Context, name: str) -> str:
    return ctx.arn("codedeploy", f"deploymentconfig:{name}")


def check_application_name(name: str) -> None:
    if not NAME.match(name):
        raise AwsError("InvalidApplicationNameException", f"Application name {name!r} is not in a valid format.")


def check_group_name(name: str) -> None:
    if not NAME.match(name):
        raise AwsError("InvalidDeploymentGroupNameException", f"Deployment group name {name!r} is not in a valid format.")


def check_config_name(name: str) -> None:
    if not NAME.match(name):
        raise AwsError("InvalidDeploymentConfigNameException", f"Deployment configuration name {name!r} is not in a valid format.")


def application_of(ctx: Context, name: str) -> Application:
    check_application_name(name)
    found = ctx.tx.get(Application, name)
    if found is None:
        raise AwsError("ApplicationDoesNotExistException", f"No application found for name: {name}")
    return found


def group_of(ctx: Context, application: str, name: str) -> Group:
    """The group of an application that exists."""
    application_of(ctx, application)
    check_group_name(name)
    found = ctx.tx.get(Group, f"{application}/{name}")
    if found is None:
        raise AwsError("DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {name}")
    return found


def config_of(ctx: Context, name: str) -> Config:
    """A configuration of the Server platform."""
    check_config_name(name)
    found = PREDEFINED.get(name) or ctx.tx.get(Config, name)
    if found is None and name in OTHER_PLATFORMS:
        raise AwsError(
            "InvalidDeploymentConfigNameException",
            f"The deployment configuration {name} is for the compute platform {OTHER_PLATFORMS[name]}, not for Server.",
        )
    if found is None:
        raise AwsError("DeploymentConfigDoesNotExistException", f"No Deployment Config found for name: {name}")
    return found


def check_deployment_id(deployment_id: str) -> None:
    if not DEPLOYMENT_ID.match(deployment_id):
        raise AwsError("InvalidDeploymentIdException", f"The deployment ID {deployment_id!r} is not in a valid format.")


def deployment_of(ctx: Context, deployment_id: str) -> Deployment:
    check_deployment_id(deployment_id)
    found = ctx.tx.get(Deployment, deployment_id)
    if found is None:
        raise AwsError("DeploymentDoesNotExistException", f"The deployment {deployment_id} could not be found")
    return found


def page(names: Sequence[str], token: str | None, size: int = PAGE) -> tuple[list[str], str | None]:
    """One page of distinct names in their order, and the token of the next page (None at the end)."""
    start = 0
    if token:
        start = _after(names, token) + 1
    part = list(names[start : start + size])
    more = start + size < len(names)
    return part, base64.urlsafe_b64encode(f"after:{part[-1]}".encode()).decode() if more else None


def _after(names: Sequence[str], token: str) -> int:
    try:
        kind, _, name = base64.urlsafe_b64decode(token.encode("ascii", "replace")).decode().partition(":")
        if kind != "after":
            raise ValueError(token)
        return names.index(name)
    except (ValueError, binascii.Error) as error:
        raise AwsError("InvalidNextTokenException", "The next token was specified in an invalid format.") from error


def batch(names: Sequence[T], limit: int, what: str) -> list[T]:
    """The names once each; BatchLimitExceededException over the limit."""
    if len(names) > limit:
        raise AwsError("BatchLimitExceededException", f"The maximum number of {what} in one request is {limit}.")
    return list(dict.fromkeys(names))
