"""Login profiles, the account's password policy, and ChangePassword."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, now, save, user
from windtunnel.services.iam.model import User
from windtunnel.services.iam.operations.authorize import on_account, on_user
from windtunnel.services.iam.passwords import (
    MAX_REMEMBERED,
    Hashed,
    LoginProfile,
    PasswordPolicy,
    check_password,
    hashed,
    password_policy,
    proves,
)


def _hash(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """The password's hash in its place, once the policy has taken it."""
    given = args.get("password")
    if given is None:
        return args
    owner = user(ctx, args.get("user_name"))
    return {**args, "password": _checked(ctx, owner, given)}


def _checked(ctx: Context, owner: User, password: str) -> Hashed:
    if isinstance(password, Hashed):
        return password
    check_password(ctx, owner.name, password, ctx.tx.get(LoginProfile, owner.key()))
    return hashed(password, ctx.ids.hex(32))


def _profile(ctx: Context, owner: User) -> LoginProfile:
    found = ctx.tx.get(LoginProfile, owner.key())
    if found is None:
        raise AwsError("NoSuchEntity", f"Login Profile for User {owner.name} cannot be found.")
    return found


def _shown(owner: User, profile: LoginProfile) -> dict[str, Any]:
    return {"UserName": owner.name, "CreateDate": profile.created, "PasswordResetRequired": profile.reset}


def _replaced(ctx: Context, old: LoginProfile, password: Hashed, reset: bool) -> LoginProfile:
    earlier = [old.hash, *old.earlier][:MAX_REMEMBERED]
    return msgspec.structs.replace(old, hash=str(password), earlier=earlier, reset=reset, changed=now(ctx))


@writes(
    "iam",
    "CreateLoginProfile",
    authorize=on_user("CreateLoginProfile"),
    acts="UserName Password",
    descriptive="PasswordResetRequired",
    prepare=_hash,
)
def create_login_profile(
    ctx: Context, password: str | None = None, user_name: str | None = None, password_reset_required: bool = False
) -> Reply:
    owner = user(ctx, user_name)
    if password is None:
        raise AwsError("ValidationError", "A password is required to create a login profile.")
    if ctx.tx.get(LoginProfile, owner.key()) is not None:
        raise AwsError("EntityAlreadyExists", f"Login Profile for user {owner.name} already exists.")
    kept = _checked(ctx, owner, password)
    made = LoginProfile(user=owner.key(), hash=str(kept), created=now(ctx), changed=now(ctx), reset=password_reset_required)
    save(ctx, made)
    return {"LoginProfile": _shown(owner, made)}


@reads("iam", "GetLoginProfile", authorize=on_user("GetLoginProfile"), acts="UserName")
def get_login_profile(ctx: Context, user_name: str | None = None) -> Reply:
    owner = user(ctx, user_name)
    return {"LoginProfile": _shown(owner, _profile(ctx, owner))}


@writes(
    "iam",
    "UpdateLoginProfile",
    authorize=on_user("UpdateLoginProfile"),
    acts="UserName Password",
    descriptive="PasswordResetRequired",
    prepare=_hash,
)
def update_login_profile(ctx: Context, user_name: str, password: str | None = None, password_reset_required: bool | None = None) -> Reply:
    owner = user(ctx, user_name)
    old = _profile(ctx, owner)
    reset = old.reset if password_reset_required is None else password_reset_required
    if password is None:
        save(ctx, msgspec.structs.replace(old, reset=reset))
    else:
        save(ctx, _replaced(ctx, old, _checked(ctx, owner, password), reset))
    return {}


@writes("iam", "DeleteLoginProfile", authorize=on_user("DeleteLoginProfile"), acts="UserName")
def delete_login_profile(ctx: Context, user_name: str | None = None) -> Reply:
    drop(ctx, _profile(ctx, user(ctx, user_name)))
    return {}


# --- a user's own password ---------------------------------------------------------------------------------------------------


def _prove(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    owner = _caller(ctx)
    profile = _profile(ctx, owner)
    policy = password_policy(ctx)
    if policy is not None and not policy.may_change and not profile.reset:
        raise AwsError("AccessDenied", "The account's password policy does not let users change their passwords.", status=403)
    if not proves(args["old_password"], profile.hash):
        raise AwsError("AccessDenied", "The old password was incorrect.", status=403)
    fresh = _checked(ctx, owner, args["new_password"])
    fresh.proven = profile.hash
    return {**args, "new_password": fresh}


def _caller(ctx: Context) -> User:
    if ctx.principal.kind != "user":
        raise AwsError("InvalidUserType", "Only IAM Users can change their own password")
    return user(ctx, None)


@writes("iam", "ChangePassword", authorize=on_user("ChangePassword"), acts="OldPassword NewPassword", prepare=_prove)
def change_password(ctx: Context, old_password: str, new_password: str) -> Reply:
    fresh: Hashed
    if isinstance(new_password, Hashed):
        fresh = new_password
    else:
        fresh = _prove(ctx, {"old_password": old_password, "new_password": new_password})["new_password"]
    profile = _profile(ctx, _caller(ctx))
    if fresh.proven != profile.hash:  # it was changed since it was proven
        raise AwsError("EntityTemporarilyUnmodifiable", "The password is being changed by another request.")
    save(ctx, _replaced(ctx, profile, fresh, reset=False))
    return {}


# --- the account's policy -------------------------------------------------------------------------------------------------------


@writes(
    "iam",
    "UpdateAccountPasswordPolicy",
    authorize=on_account("UpdateAccountPasswordPolicy"),
    acts=(
        "MinimumPasswordLength RequireSymbols RequireNumbers RequireUppercaseCharacters RequireLowercaseCharacters"
        " AllowUsersToChangePassword PasswordReusePrevention"
    ),
    descriptive="MaxPasswordAge HardExpiry",
)
def update_account_password_policy(
    ctx: Context,
    minimum_password_length: int = 6,
    require_symbols: bool = False,
    require_numbers: bool = False,
    require_uppercase_characters: bool = False,
    require_lowercase_characters: bool = False,
    allow_users_to_change_password: bool = False,
    max_password_age: int = 0,
    password_reuse_prevention: int = 0,
    hard_expiry: bool | None = None,
) -> Reply:
    """What is left out gets its default, as on AWS."""
    save(
        ctx,
        PasswordPolicy(
            length=minimum_password_length,
            symbols=require_symbols,
            numbers=require_numbers,
            upper=require_uppercase_characters,
            lower=require_lowercase_characters,
            may_change=allow_users_to_change_password,
            max_age=max_password_age,
            reuse=password_reuse_prevention,
            hard_expiry=hard_expiry,
        ),
    )
    return {}


@reads("iam", "GetAccountPasswordPolicy", authorize=on_account("GetAccountPasswordPolicy"))
def get_account_password_policy(ctx: Context) -> Reply:
    policy = _own_policy(ctx)
    shown: dict[str, Any] = {
        "MinimumPasswordLength": policy.length,
        "RequireSymbols": policy.symbols,
        "RequireNumbers": policy.numbers,
        "RequireUppercaseCharacters": policy.upper,
        "RequireLowercaseCharacters": policy.lower,
        "AllowUsersToChangePassword": policy.may_change,
        "ExpirePasswords": policy.max_age > 0,
    }
    if policy.max_age:
        shown["MaxPasswordAge"] = policy.max_age
    if policy.reuse:
        shown["PasswordReusePrevention"] = policy.reuse
    if policy.hard_expiry is not None:
        shown["HardExpiry"] = policy.hard_expiry
    return {"PasswordPolicy": shown}


def _own_policy(ctx: Context) -> PasswordPolicy:
    found = password_policy(ctx)
    if found is None:
        raise AwsError("NoSuchEntity", f"The Password Policy with domain name {ctx.scope.account} cannot be found.")
    return found


@writes("iam", "DeleteAccountPasswordPolicy", authorize=on_account("DeleteAccountPasswordPolicy"))
def delete_account_password_policy(ctx: Context) -> Reply:
    drop(ctx, _own_policy(ctx))
    return {}
