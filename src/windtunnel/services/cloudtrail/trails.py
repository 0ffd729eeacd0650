"""A trail: where it delivers, what it takes, how far it has come. Pure, but for finding a trail's record.

Invariant: `delivered` names, for each region, the last row of notes whose events are in the bucket; it moves in the transaction that puts
the file there, so that a crash neither loses nor doubles an event.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, Tx
from windtunnel.kernel.scope import Arn, Scope
from windtunnel.services.cloudtrail.selecting import DEFAULT

SERVICE = "cloudtrail.amazonaws.com"
MAX_TRAILS = 5
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?![._-]))*\Z")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+\Z")


class LogFile(msgspec.Struct):
    """A delivered file, as the next digest names it. Times: epoch seconds."""

    key: str
    sha256: str
    oldest: float
    newest: float


class Digests(msgspec.Struct):
    """A region's chain: the files since the last digest, and that digest."""

    files: list[LogFile] = []
    began: float = 0.0
    key: str = ""
    bucket: str = ""
    sha256: str = ""
    signature: str = ""


class Trail(Record, kw_only=True):
    """Times: epoch seconds, None for never. basic or advanced: its selectors, never both."""

    KIND: ClassVar[str] = "cloudtrail.trail"

    name: str
    bucket: str
    prefix: str = ""
    topic: str = ""
    global_events: bool = True
    multi_region: bool = False
    validation: bool = False
    log_group: str = ""
    log_role: str = ""
    kms_key: str = ""
    tags: dict[str, str] = {}
    basic: list[dict[str, Any]] = msgspec.field(default_factory=lambda: [dict(one) for one in DEFAULT])
    advanced: list[dict[str, Any]] = []
    logging: bool = False
    generation: str = ""
    """Names the one valid run that delivers; a new one with each start, stop and change."""
    started: float | None = None
    stopped: float | None = None
    since: int = 0
    """Rows of notes up to this one are not the trail's."""
    delivered: dict[str, int] = {}
    digests: dict[str, Digests] = {}
    at: dict[str, float] = {}
    """When each of `delivery`, `notification`, `logs`, `digest`, `attempt` last succeeded (attempt: was tried)."""
    errors: dict[str, str] = {}
    """The error code of the last of each, when it failed."""

    def key(self) -> str:
        return self.name


def trail_arn(scope: Scope, name: str) -> str:
    return scope.arn("cloudtrail", f"trail/{name}")


def calls(arn: str) -> str:
    """The signal that there are calls for a trail (recorder.py sends it)."""
    return f"cloudtrail/{arn}/calls"


def ended(generation: str) -> str:
    """The signal that ends a generation's run."""
    return f"cloudtrail/{generation}/ended"


def described(trail: Trail, scope: Scope, *, whole: bool = True) -> dict[str, Any]:
    """As CreateTrail answers; whole: as DescribeTrails does."""
    shown: dict[str, Any] = {
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        "IncludeGlobalServiceEvents": trail.global_events,
        "IsMultiRegionTrail": trail.multi_region,
        "TrailARN": trail_arn(scope, trail.name),
        "LogFileValidationEnabled": trail.validation,
        "IsOrganizationTrail": False,
    }
    optional = {
        "S3KeyPrefix": trail.prefix,
        "SnsTopicName": trail.topic,
        "SnsTopicARN": trail.topic,
        "CloudWatchLogsLogGroupArn": trail.log_group,
        "CloudWatchLogsRoleArn": trail.log_role,
        "KmsKeyId": trail.kms_key,
    }
    shown |= {name: value for name, value in optional.items() if value}
    if whole:
        shown |= {"HomeRegion": scope.region, "HasCustomEventSelectors": trail.basic != DEFAULT, "HasInsightSelectors": False}
    return shown


def check_name(name: str) -> str:
    if len(name) < 3:
        raise _invalid_name(f"Trail name too short. Minimum allowed length: 3 characters. Specified name length: {len(name)} characters.")
    if len(name) > 128:
        raise _invalid_name(f"Trail name too long. Maximum allowed length: 128 characters. Specified name length: {len(name)} characters.")
    if not _NAME.match(name) or _ADDRESS.match(name) or not name[-1].isalnum():
        raise _invalid_name(
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_)."
        )
    return name


def _invalid_name(text: str) -> AwsError:
    return AwsError("InvalidTrailNameException", text)


class Named:
    """What a client calls a trail: a name here, or the ARN of one that may be at home in another region."""

    __slots__ = ("region", "name")

    def __init__(self, given: str, scope: Scope) -> None:
        self.region, self.name = scope.region, given
        if given.startswith("arn:"):
            arn = Arn.parse(given)
            if arn is None or arn.service != "cloudtrail" or not arn.resource.startswith("trail/") or not arn.region:
                raise AwsError("CloudTrailARNInvalidException", f"The trail ARN is not valid: {given}")
            self.region, self.name = arn.region, arn.resource.removeprefix("trail/")


def find(ctx: Context, given: str) -> tuple[Scope, Trail] | None:
    """A trail by name (of this region, or of another that covers every region) or ARN, with the scope of its home."""
    named = Named(given, ctx.scope)
    home = Scope(ctx.scope.account, named.region)
    trail = ctx.tx.within(home.account, home.region).get(Trail, named.name)
    if trail is not None:
        return home, trail
    if not given.startswith("arn:"):
        return next(((scope, one) for scope, one in of_account(ctx.tx, ctx.scope.account) if one.name == given and one.multi_region), None)
    return None


def trail_or_error(ctx: Context, given: str) -> tuple[Scope, Trail]:
    found = find(ctx, given)
    if found is None:
        check_name(Named(given, ctx.scope).name)
        raise AwsError("TrailNotFoundException", f"Unknown trail: {given} for the user: {ctx.scope.account}")
    return found


def own_trail(ctx: Context, given: str) -> Trail:
    """A trail that is at home here, to be changed."""
    home, trail = trail_or_error(ctx, given)
    if home.region != ctx.scope.region:
        raise AwsError(
            "InvalidHomeRegionException", f"The trail {trail.name} can only be changed in its home region, which is {home.region}."
        )
    return trail


def of_account(tx: Tx, account: str) -> list[tuple[Scope, Trail]]:
    return [(Scope(owner, region), trail) for owner, region, trail in tx.everywhere(Trail) if owner == account]


def need(ctx: Context, action: str, given: str, context: Mapping[str, Any] | None = None) -> list[Need]:
    """CloudTrail decides on the trail's ARN."""
    try:
        named = Named(given, ctx.scope)
    except AwsError:
        return [Need(f"cloudtrail:{action}", "*", context or {})]
    home = Scope(ctx.scope.account, named.region)
    trail = ctx.tx.within(home.account, home.region).get(Trail, named.name)
    tags = {f"aws:ResourceTag/{key}": value for key, value in (trail.tags if trail is not None else {}).items()}
    return [Need(f"cloudtrail:{action}", trail_arn(home, named.name), tags | dict(context or {}))]
