"""What sts asks of sessions: their length and the size of what goes with them. Pure."""

from __future__ import annotations

from windtunnel.iam.grammar import validate
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal

DEFAULT_SECONDS = 3600
MAX_CHAINED_SECONDS = 3600
DEFAULT_TOKEN_SECONDS = 43200
MAX_ROOT_TOKEN_SECONDS = 3600
MAX_POLICY_SIZE = 2048


def is_session(principal: Principal) -> bool:
    """Whether the caller itself has temporary credentials."""
    return principal.kind in ("assumed-role", "federated-user") or principal.access_key.startswith("ASIA")


def role_session_seconds(principal: Principal, asked: int | None, role_maximum: int) -> int:
    """How long an assumed role's session lasts; a role that assumes a role gets an hour at most."""
    if asked is None:
        return DEFAULT_SECONDS
    if principal.kind == "assumed-role" and asked > MAX_CHAINED_SECONDS:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        )
    if asked > role_maximum:
        raise AwsError("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return asked


def token_seconds(principal: Principal, asked: int | None) -> int:
    """How long a session token lasts; root's an hour at most."""
    seconds = asked if asked is not None else DEFAULT_TOKEN_SECONDS
    return min(seconds, MAX_ROOT_TOKEN_SECONDS) if principal.kind == "root" else seconds


def session_tags(tags: list[dict[str, str]] | None) -> tuple[tuple[str, str], ...]:
    pairs = tuple((tag["Key"], tag["Value"]) for tag in tags or [])
    if len({key.lower() for key, _ in pairs}) < len(pairs):
        raise AwsError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return pairs


def transitive_keys(keys: list[str] | None, tags: tuple[tuple[str, str], ...], caller: Principal) -> tuple[str, ...]:
    """Those tags of a session that go on; each must be one that the session gets (its own, or inherited)."""
    given = {key.lower(): key for key, _ in tags} | {key.lower(): key for key in caller.transitive}
    unknown = [key for key in keys or [] if key.lower() not in given]
    if unknown:
        raise AwsError("ValidationError", "The specified transitive tag key must be included in the requested tags.")
    return tuple(dict.fromkeys(given[key.lower()] for key in keys or []))


def session_policy(document: str | None) -> tuple[str, ...]:
    """The session policy that was given, after IAM's rules."""
    if document is None:
        return ()
    validate(document, "identity")
    if len(document) > MAX_POLICY_SIZE:
        raise AwsError("PackedPolicyTooLarge", "Serialized token too large for session")
    return (document,)


def device_owner(caller: Principal) -> str:
    """Whose multi-factor device counts: the user's key, "" for root. Nobody else has one."""
    if caller.kind not in ("user", "root"):
        raise AwsError(
            "AccessDenied", "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.", status=403
        )
    return "" if caller.kind == "root" else caller.name.lower()


def packed_size(policies: tuple[str, ...], policy_arns: tuple[str, ...], tags: tuple[tuple[str, str], ...]) -> int:
    """Percent of what a session's policies and tags may take together."""
    taken = sum(map(len, policies)) + sum(map(len, policy_arns)) + sum(len(key) + len(value) for key, value in tags)
    return -(-taken * 100 // (MAX_POLICY_SIZE * 2))
