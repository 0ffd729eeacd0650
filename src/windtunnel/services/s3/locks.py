"""Object lock: retention and legal hold of versions. Pure.

Source: User Guide, "How S3 Object Lock works". A lock keeps a version from being removed or its retention from being shortened; a delete marker
above it is always allowed.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from windtunnel.kernel.errors import AwsError
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.objects import Retention, Version

MODES = ("GOVERNANCE", "COMPLIANCE")
MAX_DAYS, MAX_YEARS = 36500, 100


def is_locked(version: Version, now: float, *, bypass: bool = False) -> bool:
    """Whether this version may not be removed now. bypass: the caller may, and wants to, pass by governance."""
    if version.legal_hold:
        return True
    kept = version.retention
    return kept is not None and kept.until > now and not (bypass and kept.mode == "GOVERNANCE")


def check_removable(version: Version, now: float, *, bypass: bool) -> None:
    if is_locked(version, now, bypass=bypass):
        raise AwsError("AccessDenied", "Access Denied because object protected by object lock.", status=403)


def check_default(rule: Mapping[str, Any] | None) -> None:
    """The default retention of a bucket."""
    default = (rule or {}).get("DefaultRetention")
    if rule is None:
        return
    if default is None or default.get("Mode") not in MODES or ("Days" in default) == ("Years" in default):
        raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
    for name, most in (("Days", MAX_DAYS), ("Years", MAX_YEARS)):
        value = default.get(name)
        if value is not None and value < 1:
            raise AwsError("InvalidArgument", "Default retention period must be a positive integer value.")
        if value is not None and value > most:
            raise AwsError("InvalidArgument", f"Default retention period too large: {value} {name.lower()}.")


def default_retention(bucket: Bucket, now: float) -> Retention | None:
    """What a new version of this bucket gets unless its request says otherwise."""
    rule = bucket.lock_rule
    if not rule:
        return None
    default = rule["DefaultRetention"]
    if "Days" in default:
        return Retention(default["Mode"], now + default["Days"] * 86400.0)
    moment = datetime.fromtimestamp(now, UTC)
    year = moment.year + default["Years"]
    day = min(moment.day, calendar.monthrange(year, moment.month)[1])
    return Retention(default["Mode"], moment.replace(year=year, day=day).timestamp())


def asked_retention(mode: str | None, until: float | None, now: float) -> Retention | None:
    """From the headers of a new object."""
    if mode is None and until is None:
        return None
    if mode is None or until is None:
        raise AwsError("InvalidArgument", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
    if mode not in MODES:
        raise AwsError("InvalidArgument", "Unknown wormMode directive.")
    if until <= now:
        raise AwsError("InvalidArgument", "The retain until date must be in the future!")
    return Retention(mode, until)


def for_new(bucket: Bucket, args: Mapping[str, Any], now: float) -> tuple[Retention | None, bool | None]:
    """(retention, legal hold) of a new version, from its request and the bucket's default."""
    asked = asked_retention(args.get("object_lock_mode"), args.get("object_lock_retain_until_date"), now)
    hold = args.get("object_lock_legal_hold_status")
    if not bucket.lock:
        if asked is not None or hold is not None:
            raise AwsError("InvalidRequest", "Bucket is missing Object Lock Configuration")
        return None, None
    if hold not in (None, "ON", "OFF"):
        raise AwsError("InvalidArgument", "Legal Hold must be either of 'ON' or 'OFF'")
    return asked or default_retention(bucket, now), None if hold is None else hold == "ON"


def check_change(old: Retention | None, new: Retention | None, now: float, *, bypass: bool) -> None:
    """Retention may be made longer and stricter; to loosen it takes governance and the permission to pass by it."""
    if old is None or old.until <= now:
        return
    stricter = new is not None and new.until >= old.until and (new.mode == old.mode or new.mode == "COMPLIANCE")
    if not stricter and not (old.mode == "GOVERNANCE" and bypass):
        raise AwsError("AccessDenied", "Access Denied because object protected by object lock.", status=403)
