"""The credentials of an instance's role, as its metadata hands them out: made when asked for, renewed before they end."""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential
from windtunnel.services.ec2.metadata import NeedsCredentials

SECONDS = 6 * 3600.0
RENEW_BEFORE = 3600.0


class InstanceCredentials:
    """Keeps what it issued, so that a busy instance does not fill the store with sessions."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Credential] = {}

    def role_name(self, ctx: Context, wanted: NeedsCredentials) -> str | None:
        """The role in the instance's profile; None when there is none."""
        try:
            found = ctx.call("iam", "GetInstanceProfile", instance_profile_name=wanted.profile_arn.rsplit("/", 1)[-1])
        except AwsError:
            return None
        roles = found["InstanceProfile"].get("Roles") or []
        return roles[0]["Arn"] if roles else None

    def held(self, instance_id: str, role_arn: str, now: float) -> Credential | None:
        found = self._held.get((instance_id, role_arn))
        return found if found is not None and (found.expires or 0) - now > RENEW_BEFORE else None

    def make(self, ctx: Context, wanted: NeedsCredentials, role_arn: str) -> Credential:
        """In a write transaction. Raises AwsError when the role does not trust EC2."""
        principal = ctx.assuming(role_arn, wanted.instance_id, "ec2.amazonaws.com").principal
        made = ctx.cloud.identity.issue(ctx, principal, SECONDS)
        self._held[wanted.instance_id, role_arn] = made
        return made
