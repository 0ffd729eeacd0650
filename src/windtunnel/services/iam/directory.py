"""Finding and keeping IAM's entities, for its operations.

Invariant: every change of a record on which decisions rest goes through `save` or `drop`, which also change the generation, so
that nothing derived from the old record is used by a transaction that sees the new one.
"""

from __future__ import annotations

from typing import TypeVar

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.services.iam.aws_managed import aws_policies
from windtunnel.services.iam.model import (
    Entity,
    Generation,
    Group,
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
    account_in,
    name_in,
    policy_arn,
)

E = TypeVar("E", bound=Entity)


def now(ctx: Context) -> float:
    """IAM's times have no fractions of a second."""
    return float(int(ctx.now))


def save(ctx: Context, record: Record) -> None:
    ctx.tx.put(record)
    _changed(ctx)


def drop(ctx: Context, record: Record) -> None:
    ctx.tx.delete(type(record), record.key())
    _changed(ctx)


def _changed(ctx: Context) -> None:
    generation = Generation(id=ctx.ids.hex(16))
    ctx.tx.put(generation)
    ctx.tx.after_commit(lambda: ctx.cloud.identity.committed(generation.id))


def _entity(ctx: Context, kind: type[E], name: str) -> E:
    found = ctx.tx.get(kind, name.lower())
    if found is None:
        raise AwsError("NoSuchEntity", f"The {kind.NOUN} with name {name} cannot be found.")
    return found


def user(ctx: Context, name: str | None) -> User:
    """A user by name; without a name the one who calls."""
    if name is not None:
        return _entity(ctx, User, name)
    if ctx.principal.kind != "user":
        raise AwsError("ValidationError", "Must specify userName when calling with non-User credentials")
    return _entity(ctx, User, ctx.principal.name)


def group(ctx: Context, name: str) -> Group:
    return _entity(ctx, Group, name)


def role(ctx: Context, name: str) -> Role:
    return _entity(ctx, Role, name)


def new_name(ctx: Context, kind: type[Entity], name: str) -> None:
    """AwsError if the name is taken."""
    if ctx.tx.get(kind, name.lower()) is not None:
        raise AwsError("EntityAlreadyExists", f"{kind.NOUN.title()} with name {name} already exists.")


def instance_profile(ctx: Context, name: str) -> InstanceProfile:
    found = ctx.tx.get(InstanceProfile, name.lower())
    if found is None:
        raise AwsError("NoSuchEntity", f"Instance Profile {name} cannot be found.")
    return found


def own_policy(ctx: Context, arn: str) -> ManagedPolicy | None:
    """The customer managed policy of that ARN, if this account has it."""
    if account_in(arn) != ctx.scope.account:
        return None
    found = ctx.tx.get(ManagedPolicy, name_in(arn).lower())
    return found if found is not None and policy_arn(ctx.scope, found) == arn else None


def attachable(ctx: Context, arn: str) -> None:
    """AwsError unless the ARN is a managed policy of this account or one of AWS's that is known here."""
    provided = aws_policies().get(arn)
    if provided is not None and not provided.attachable:
        raise AwsError("PolicyNotAttachable", f"Cannot attach a Service Role Policy to a Customer Role. ({provided.name})")
    if provided is None and own_policy(ctx, arn) is None:
        raise AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")


def changeable(found: Role) -> Role:
    """A role that users may change; AwsError for one that a service keeps."""
    if found.service:
        words = f"Cannot perform the operation on the protected role '{found.name}' - this role is only modifiable by AWS"
        raise AwsError("UnmodifiableEntity", words)
    return found
