"""Who acts: the identity that every authorization, event and log line names."""

from __future__ import annotations

from typing import Literal

import msgspec

PrincipalKind = Literal["root", "user", "assumed-role", "federated-user", "service", "anonymous"]


class Principal(msgspec.Struct, frozen=True, cache_hash=True):
    """An authenticated caller.

    arn: the caller's ARN (`arn:aws:sts::A:assumed-role/R/s` for sessions; `codebuild.amazonaws.com` for a service).
    identity: the ARN whose policies count (the user, or the role behind a session); root: the account's root ARN.
    unique_id: `AIDA…`, or `AROA…:session`, as aws:userid shows it.
    session_policies: policy documents (JSON text) given when the session was made.
    tags: principal tags (aws:PrincipalTag/…).
    """

    kind: PrincipalKind
    account: str
    arn: str
    identity: str
    unique_id: str
    name: str = ""
    session_policies: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    access_key: str = ""
    via_service: str = ""
    """The service principal that made the session (`codepipeline.amazonaws.com`), empty for a user's own."""
    source_arn: str = ""
    """The resource for which a service acts (`aws:SourceArn`); empty for everyone else."""
    issuer_id: str = ""
    """The unique id of the user who made a federated user's session (its policies count); empty for everyone else."""
    transitive: tuple[str, ...] = ()
    """The keys of those session tags that go on to the next role of a chain."""
    keys: tuple[tuple[str, str], ...] = ()
    """Condition keys that the session was made with and has for good (`aws:SourceIdentity`, `aws:TokenIssueTime`)."""
    mfa_at: float | None = None
    """When the session was made with a code of a multi-factor device, epoch seconds; None when it was not."""

    @classmethod
    def root(cls, account: str, access_key: str = "") -> Principal:
        arn = f"arn:aws:iam::{account}:root"
        return cls("root", account, arn, arn, account, "root", access_key=access_key)

    @classmethod
    def service(cls, name: str, account: str, source_arn: str = "") -> Principal:
        """An AWS service acting on its own (`events.amazonaws.com`), for a resource of that account."""
        return cls("service", account, name, name, name, name, source_arn=source_arn)

    @classmethod
    def anonymous(cls) -> Principal:
        return cls("anonymous", "", "*", "*", "ANONYMOUS_PRINCIPAL", "anonymous")


class Credential(msgspec.Struct, frozen=True):
    """What an access key id stands for. expires: epoch seconds, None for long-lived keys; token: the session token."""

    access_key: str
    secret: str
    principal: Principal
    token: str = ""
    expires: float | None = None
