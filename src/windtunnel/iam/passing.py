"""iam:PassRole: what every operation that hands a role to a service asks of its caller.

Invariant: the condition key `iam:PassedToService` is always the service that will assume the role.
"""

from __future__ import annotations

from windtunnel.kernel.context import Need
from windtunnel.kernel.scope import Arn


def pass_role(role_arn: str, service: str) -> Need:
    """The need for an `authorize` declaration: `pass_role(service_role, "codebuild.amazonaws.com")`."""
    parsed = Arn.parse(role_arn)
    return Need("iam:PassRole", role_arn, {"iam:PassedToService": service}, account=parsed.account if parsed else None)
