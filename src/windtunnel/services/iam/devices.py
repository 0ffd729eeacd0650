"""Virtual multi-factor devices: time-based one-time passwords (RFC 6238, SHA-1, 30 seconds, 6 digits), really checked.

Invariants: the seed is sealed at rest and shown once, when the device is made; a code counts once, for its step is recorded.
"""

from __future__ import annotations

import hmac
from base64 import b32decode, b32encode, b64decode, b64encode
from typing import ClassVar

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope
from windtunnel.kernel.sealing import Sealer

STEP = 30
DRIFT = 1
"""Steps by which a device's clock may differ when a code is checked."""
SEARCH = 10
"""Steps back that enabling looks for the first of two consecutive codes: people type slowly."""
_FAILED = "MultiFactorAuthentication failed with invalid MFA one time pass code. "


class MFADevice(Record, kw_only=True):
    """user: the key of the user who has it, "" for the account's root, None as long as nobody has. last: the step of the last code."""

    KIND: ClassVar[str] = "iam.mfa-device"
    SCOPE: ClassVar[RecordScope] = "account"
    INDEXES: ClassVar = {"user": lambda device: [] if device.user is None else [f"user/{device.user}"]}

    name: str
    path: str
    seed: str
    created: float
    user: str | None = None
    enabled: float = 0.0
    last: int = 0
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name.lower()


def serial_number(scope: Scope, device: MFADevice) -> str:
    return scope.global_arn("iam", f"mfa{device.path}{device.name}")


def sealed_seed(ctx: Context, name: str, seed: str) -> str:
    sealer: Sealer = ctx.cloud.part("sealer")
    return b64encode(sealer.seal(seed.encode(), _purpose(ctx, name))).decode()


def _purpose(ctx: Context, name: str) -> bytes:
    return f"iam.mfa/{ctx.scope.account}/{name.lower()}".encode()


def seed_of(ctx: Context, device: MFADevice) -> str:
    sealer: Sealer = ctx.cloud.part("sealer")
    return sealer.unseal(b64decode(device.seed), _purpose(ctx, device.name)).decode()


def new_seed(random_hex: str) -> str:
    """64 characters of base32, as AWS's seeds have."""
    return b32encode(bytes.fromhex(random_hex)).decode()


def code_at(seed: str, step: int) -> str:
    """The one-time password of a step (RFC 4226, dynamic truncation)."""
    digest = hmac.digest(b32decode(seed), step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 0x0F
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


def step_of(seed: str, code: str, now: float, after: int) -> int | None:
    """The step whose code this is, near now and later than `after`; None when it is none."""
    current = int(now) // STEP
    steps = [step for step in range(current - DRIFT, current + DRIFT + 1) if step > after]
    return next((step for step in steps if hmac.compare_digest(code_at(seed, step), code)), None)


def step_of_pair(seed: str, first: str, second: str, now: float) -> int | None:
    """The step of the second of two consecutive codes."""
    current = int(now) // STEP
    for step in range(current - SEARCH, current + DRIFT + 1):
        if hmac.compare_digest(code_at(seed, step), first) and hmac.compare_digest(code_at(seed, step + 1), second):
            return step + 1
    return None


def devices_of(ctx: Context, user: str) -> list[MFADevice]:
    """user: a user's key, "" for root."""
    return ctx.tx.find(MFADevice, "user", f"user/{user}")


def find_device(ctx: Context, serial: str) -> MFADevice | None:
    found = ctx.tx.get(MFADevice, serial.rpartition("/")[2].lower())
    return found if found is not None and serial_number(ctx.scope, found) == serial else None


def check_code(ctx: Context, user: str, serial: str, code: str) -> None:
    """AwsError unless it is a fresh code of the user's device; the step is kept (write transaction)."""
    device = find_device(ctx, serial)
    if device is None or device.user != user:
        words = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
        raise AwsError("AccessDenied", words, status=403)
    step = step_of(seed_of(ctx, device), code, ctx.now, device.last)
    if step is None:
        raise AwsError("AccessDenied", _FAILED, status=403)
    ctx.tx.put(msgspec.structs.replace(device, last=step))
