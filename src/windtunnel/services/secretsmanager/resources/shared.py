"""Calls of Secrets Manager's operations."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt

MISSING = frozenset({"ResourceNotFoundException"})


def secrets(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "secretsmanager", operation, **members)


def described(ctx: Context, secret: str) -> Reply | None:
    """A secret that lives: one that is marked for deletion is gone for its stack."""
    found = attempt(ctx, MISSING, "secretsmanager", "DescribeSecret", SecretId=secret)
    return None if found is None or "DeletedDate" in found else found
