"""Users' console passwords: kept as scrypt hashes, after the account's password policy.

Invariant: no password is kept, logged or shown; what proves one is slow on purpose, so it runs in `prepare`, before the transaction.
There is no console that takes them yet: `iam:ChangePassword` is what checks them.
"""

from __future__ import annotations

import hashlib
import hmac
import string
from typing import ClassVar

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope

_COST = 1 << 13
_SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")
MAX_REMEMBERED = 24


class LoginProfile(Record, kw_only=True):
    """user: the user's key. hash: `salt$digest`; earlier: the hashes before it, newest first."""

    KIND: ClassVar[str] = "iam.login-profile"
    SCOPE: ClassVar[RecordScope] = "account"

    user: str
    hash: str
    created: float
    reset: bool = False
    changed: float = 0.0
    earlier: list[str] = []

    def key(self) -> str:
        return self.user


class PasswordPolicy(Record, kw_only=True):
    """The account's own policy. max_age in days, 0 for none; reuse: how many earlier passwords may not be used again."""

    KIND: ClassVar[str] = "iam.password-policy"
    SCOPE: ClassVar[RecordScope] = "account"

    length: int = 6
    symbols: bool = False
    numbers: bool = False
    upper: bool = False
    lower: bool = False
    may_change: bool = False
    max_age: int = 0
    reuse: int = 0
    hard_expiry: bool | None = None

    def key(self) -> str:
        return "policy"


class Hashed(str):
    """A password's hash that `prepare` made: what a handler finds in the place of the password."""

    proven: str = ""
    """The hash against which the old password was proven (ChangePassword)."""


def hashed(password: str, salt_hex: str) -> Hashed:
    digest = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt_hex), n=_COST, r=8, p=1)
    return Hashed(f"{salt_hex}${digest.hex()}")


def proves(password: str, kept: str) -> bool:
    salt, _, _ = kept.partition("$")
    return hmac.compare_digest(hashed(password, salt).encode(), kept.encode())


def password_policy(ctx: Context) -> PasswordPolicy | None:
    return ctx.tx.get(PasswordPolicy, "policy")


def check_password(ctx: Context, user_name: str, password: str, profile: LoginProfile | None) -> None:
    """Raises AwsError PasswordPolicyViolation. Proving that a password was not used before takes a hash for each that is remembered."""
    policy = password_policy(ctx)
    broken = _default_rules(user_name, password) if policy is None else _rules(policy, password)
    if broken:
        raise AwsError("PasswordPolicyViolation", f"Password should {broken}")
    remembered = [profile.hash, *profile.earlier] if policy is not None and policy.reuse and profile is not None else []
    if policy is not None and any(proves(password, kept) for kept in remembered[: policy.reuse]):
        raise AwsError("PasswordPolicyViolation", "Password should not be the same as one of your previous passwords")


def _classes(password: str) -> dict[str, bool]:
    return {
        "upper": any(char in string.ascii_uppercase for char in password),
        "lower": any(char in string.ascii_lowercase for char in password),
        "numbers": any(char in string.digits for char in password),
        "symbols": any(char in _SYMBOLS for char in password),
    }


def _default_rules(user_name: str, password: str) -> str:
    if len(password) < 8:
        return "have a minimum length of 8"
    if sum(_classes(password).values()) < 3:
        return "have at least three of: an uppercase letter, a lowercase letter, a number, a symbol"
    return "not be the same as the user's name" if password == user_name else ""


def _rules(policy: PasswordPolicy, password: str) -> str:
    there = _classes(password)
    if len(password) < policy.length:
        return f"have a minimum length of {policy.length}"
    for wanted, name, words in (
        (policy.upper, "upper", "have at least one uppercase letter"),
        (policy.lower, "lower", "have at least one lowercase letter"),
        (policy.numbers, "numbers", "have at least one number"),
        (policy.symbols, "symbols", "have at least one symbol"),
    ):
        if wanted and not there[name]:
            return words
    return ""
