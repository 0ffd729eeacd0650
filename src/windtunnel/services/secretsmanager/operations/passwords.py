"""GetRandomPassword."""

from __future__ import annotations

import secrets
import string
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads


def on_password(ctx: Context, **_: Any) -> list[Need]:
    return [Need("secretsmanager:GetRandomPassword")]


@reads(
    "secretsmanager",
    "GetRandomPassword",
    authorize=on_password,
    acts="PasswordLength ExcludeCharacters ExcludeNumbers ExcludePunctuation ExcludeUppercase ExcludeLowercase IncludeSpace"
    " RequireEachIncludedType",
)
def get_random_password(
    ctx: Context,
    password_length: int = 32,
    exclude_characters: str = "",
    exclude_numbers: bool = False,
    exclude_punctuation: bool = False,
    exclude_uppercase: bool = False,
    exclude_lowercase: bool = False,
    include_space: bool = False,
    require_each_included_type: bool = True,
) -> Reply:
    chosen = [
        (string.ascii_lowercase, not exclude_lowercase),
        (string.ascii_uppercase, not exclude_uppercase),
        (string.digits, not exclude_numbers),
        (string.punctuation, not exclude_punctuation),
        (" ", include_space),
    ]
    left = ["".join(one for one in letters if one not in exclude_characters) for letters, wanted in chosen if wanted]
    kinds = [letters for letters in left if letters]
    if not kinds:
        raise AwsError("InvalidParameterException", "No characters are left to make a password of.")
    required = kinds if require_each_included_type else []
    if len(required) > password_length:
        raise AwsError("InvalidParameterException", "The password length is too short based on the required types.")
    letters = [secrets.choice(kind) for kind in required]
    everything = "".join(kinds)
    letters += [secrets.choice(everything) for _ in range(password_length - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return {"RandomPassword": "".join(letters)}
