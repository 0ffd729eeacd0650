"""Who is who, and what they may do: the store-backed implementation of kernel.cloud.Identity.

Invariant: an answer rests on the records that its own transaction sees. What is derived from them (credentials, compiled policies)
is cached under the generation's id, which is read in that transaction and changes with every IAM write; ids are never reused, so
neither a write that was rolled back nor a reader with an older snapshot can leave something wrong in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hmac import compare_digest
from typing import Any

import msgspec

from windtunnel.iam.evaluate import Policies, decide
from windtunnel.iam.policy import Policy, PolicySet, PolicyType, compile_policy
from windtunnel.iam.request import Caller, PrincipalType, Request
from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import at_start
from windtunnel.services.iam.aws_managed import aws_policies
from windtunnel.services.iam.context_keys import ContextKeys
from windtunnel.services.iam.model import (
    AccessKey,
    Entity,
    Expiry,
    Generation,
    Group,
    ManagedPolicy,
    Role,
    RootKey,
    ServiceCredential,
    Session,
    User,
    account_in,
    name_in,
    session_arn,
)

CLOUD = "windtunnel"
"""The name of the service principal by which the cloud itself acts; it may do everything."""
_GENERATIONS_KEPT = 4
_ENTRIES_KEPT = 4096
_SWEEP = 8
_TYPES: dict[str, PrincipalType] = {
    "root": "Account",
    "user": "User",
    "assumed-role": "AssumedRole",
    "service": "Service",
    "anonymous": "Anonymous",
}


class _Known:
    """What one generation's records say of a principal."""

    __slots__ = ("caller", "policies")

    def __init__(self, caller: Caller, policies: Policies) -> None:
        self.caller = caller
        self.policies = policies


class _Cache:
    """Everything derived from one generation."""

    __slots__ = ("credentials", "principals")

    def __init__(self) -> None:
        self.credentials: dict[str, Credential] = {}
        self.principals: dict[Principal, _Known] = {}


class StoreIdentity:
    def __init__(self) -> None:
        self._caches: dict[str, _Cache] = {}
        self._sessions: dict[str, Credential] = {}
        self._used: dict[str, tuple[float, str, str]] = {}
        self._committed: str | None = None

    # -- kernel.cloud.Identity ----------------------------------------------------------------------------------------

    def credential(self, tx: Tx, access_key: str) -> Credential | None:
        """The credential of an active key or a session; whether a session has ended is for the caller's clock to say."""
        if access_key.startswith("ASIA"):
            return self._sessions.get(access_key) or self._session(tx, access_key)
        cache = self._cache(tx)
        return cache.credentials.get(access_key) or _long_lived(tx, cache, access_key)

    def known(self, access_key: str) -> Credential | None:
        """As credential, from memory alone: as the last committed change left it. Nobody has heard of a later one yet."""
        session = self._sessions.get(access_key)
        if session is not None or self._committed is None:
            return session
        cache = self._caches.get(self._committed)
        return None if cache is None else cache.credentials.get(access_key)

    def committed(self, generation: str) -> None:
        self._committed = generation

    def check(self, ctx: Context, needs: Iterable[Need]) -> None:
        """Raise AwsError("AccessDenied", AWS's words) at the first thing that the caller may not do."""
        principal = ctx.principal
        if principal.kind == "service" and principal.name == CLOUD:
            return
        known = self._known(ctx.tx, principal)
        for need in needs:
            request = Request(known.caller, need.action, need.resource, ContextKeys(ctx, need.context, need.account))
            decision = decide(request, _with_resource_policy(known.policies, need))
            if not decision.allowed:
                raise AwsError("AccessDenied", _words(principal, need, decision.message))
            if principal.access_key:
                self._used[principal.access_key] = (ctx.now, need.action.partition(":")[0], ctx.scope.region)

    def assume_for_service(self, ctx: Context, role_arn: str, session_name: str, service: str, source_arn: str = "") -> Principal:
        """The session of a role that trusts the service; AwsError AccessDenied in sts's words otherwise.

        source_arn: the resource for which the service acts, for trust policies that ask for `aws:SourceArn`.
        """
        context: dict[str, Any] = {"aws:SourceAccount": ctx.scope.account}
        if source_arn:
            context["aws:SourceArn"] = source_arn
        caller = Caller("Service", service=service)
        role = _trusting(ctx, _Known(caller, Policies()), role_arn, "sts:AssumeRole", context)
        return _session_principal(role_arn, role, session_name, via_service=service)

    def assume(
        self,
        ctx: Context,
        role_arn: str,
        session_name: str,
        *,
        context: Mapping[str, Any],
        policies: tuple[str, ...] = (),
        policy_arns: tuple[str, ...] = (),
        tags: tuple[tuple[str, str], ...] = (),
    ) -> tuple[Principal, int]:
        """The session that ctx's principal gets of a role, and the role's longest session in seconds.

        Raises AwsError AccessDenied unless the role's trust policy and the caller's own policies allow it (also to tag the session,
        if there are tags), and PackedPolicyTooLarge's kin for session policies that do not exist.
        """
        known = self._known(ctx.tx, ctx.principal)
        role = _trusting(ctx, known, role_arn, "sts:AssumeRole", context)
        if tags:
            _trusting(ctx, known, role_arn, "sts:TagSession", context)
        tx = ctx.tx.within(account_in(role_arn), ctx.scope.region)
        documents = [_document(tx, account_in(role_arn), arn) for arn in policy_arns]
        if None in documents:
            raise AwsError("ValidationError", f"Policy {policy_arns[documents.index(None)]} does not exist or is not attachable.")
        session_policies = (*policies, *(document for document in documents if document is not None))
        principal = _session_principal(role_arn, role, session_name, policies=session_policies, tags=tags)
        return principal, role.max_session

    def issue(self, ctx: Context, principal: Principal, seconds: float) -> Credential:
        """Temporary credentials, kept until they end; some that have ended are removed."""
        access_key = "ASIA" + ctx.ids.upper(16)
        session = Session(
            id=access_key,
            secret=ctx.ids.secret(40),
            token="IQoJ" + ctx.ids.secret(200),
            principal=msgspec.structs.replace(principal, access_key=access_key),
            expires=float(int(ctx.now + seconds)),
        )
        ctx.tx.put(session)
        ctx.tx.put(Expiry(expires=session.expires, session=access_key))
        for ended in ctx.tx.scan(Expiry, limit=_SWEEP):
            if ended.expires < ctx.now:
                ctx.tx.delete(Session, ended.session)
                ctx.tx.delete(Expiry, ended.key())
                self._sessions.pop(ended.session, None)
        return _session_credential(session)

    def service_password(self, tx: Tx, service: str, login: str, password: str) -> Principal | None:
        """The user whose active service-specific credential this is."""
        account = login.rpartition("-at-")[2]
        held = tx.within(account, "")
        for credential in held.find(ServiceCredential, "login", login):
            right = compare_digest(credential.password.encode(), password.encode())
            user = held.get(User, credential.user)
            if right and credential.active and credential.service == service and user is not None:
                return _user_principal(account, user)
        return None

    def last_used(self, access_key: str) -> tuple[float, str, str] | None:
        return self._used.get(access_key)

    # -- what is known, by generation ---------------------------------------------------------------------------------

    def _cache(self, tx: Tx) -> _Cache:
        generation = _generation(tx)
        cache = self._caches.get(generation)
        if cache is None:
            for oldest in list(self._caches)[: 1 - _GENERATIONS_KEPT]:
                self._caches.pop(oldest, None)
            cache = self._caches[generation] = _Cache()
        return cache

    def _known(self, tx: Tx, principal: Principal) -> _Known:
        cache = self._cache(tx)
        known = cache.principals.get(principal)
        if known is None:
            if len(cache.principals) >= _ENTRIES_KEPT:
                cache.principals.clear()
            known = cache.principals[principal] = _look_up(tx.within(principal.account, ""), principal)
        return known

    def _session(self, tx: Tx, access_key: str) -> Credential | None:
        session = tx.get(Session, access_key)
        if session is None:
            return None
        if len(self._sessions) >= _ENTRIES_KEPT:
            self._sessions.clear()
        credential = self._sessions[access_key] = _session_credential(session)
        return credential


def _words(principal: Principal, need: Need, message: str) -> str:
    """S3 puts its ARNs in quotes, and tells strangers nothing."""
    if not need.action.startswith("s3:"):
        return message
    return "Access Denied" if principal.kind == "anonymous" else message.replace(need.resource, f'"{need.resource}"', 1)


def _generation(tx: Tx) -> str:
    current = tx.get(Generation, "current")
    return current.id if current is not None else ""


@at_start
def remember_generation(cloud: Any) -> None:
    """Without it `known` would know nothing until the first change of IAM."""
    if isinstance(cloud.identity, StoreIdentity):  # another kind remembers for itself
        with cloud.store.thread_snapshot("", "") as tx:
            cloud.identity.committed(_generation(tx))


def _long_lived(tx: Tx, cache: _Cache, access_key: str) -> Credential | None:
    root = tx.get(RootKey, access_key)
    if root is not None:
        credential = Credential(access_key, root.secret, Principal.root(root.account, access_key))
        return cache.credentials.setdefault(access_key, credential)
    key = tx.get(AccessKey, access_key)
    user = tx.within(key.account, "").get(User, key.user) if key is not None and key.active else None
    if key is None or user is None:
        return None
    principal = _user_principal(key.account, user, access_key)
    return cache.credentials.setdefault(access_key, Credential(access_key, key.secret, principal))


def _user_principal(account: str, user: User, access_key: str = "") -> Principal:
    arn = f"arn:aws:iam::{account}:user{user.path}{user.name}"
    return Principal("user", account, arn, arn, user.id, user.name, tags=tuple(user.tags.items()), access_key=access_key)


def _session_credential(session: Session) -> Credential:
    return Credential(session.id, session.secret, session.principal, session.token, session.expires)


def _session_principal(
    role_arn: str,
    role: Role,
    session_name: str,
    *,
    policies: tuple[str, ...] = (),
    tags: tuple[tuple[str, str], ...] = (),
    via_service: str = "",
) -> Principal:
    account = account_in(role_arn)
    return Principal(
        "assumed-role",
        account,
        session_arn(account, role.name, session_name),
        role_arn,
        f"{role.id}:{session_name}",
        session_name,
        session_policies=policies,
        tags=tuple({**role.tags, **dict(tags)}.items()),
        via_service=via_service,
    )


def _trusting(ctx: Context, known: _Known, role_arn: str, action: str, context: Mapping[str, Any]) -> Role:
    """The role, if its trust policy and the caller's own policies let the caller do that."""
    account = account_in(role_arn)
    role = ctx.tx.within(account, "").get(Role, name_in(role_arn).lower())
    caller = known.caller
    if role is not None and role_arn == f"arn:aws:iam::{account}:role{role.path}{role.name}":
        own = known.policies
        trust = PolicySet("role trust policy", [_compiled(role.trust, role_arn, "role trust policy")])
        policies = Policies(own.identity, own.boundary, own.session, trust, account, resource_policy_required=True)
        keys = {**{f"aws:ResourceTag/{name}": value for name, value in role.tags.items()}, **context}
        if decide(Request(caller, action, role_arn, ContextKeys(ctx, keys, account)), policies).allowed:
            return role
    words = f"User: {caller.arn or caller.service} is not authorized to perform: {action} on resource: {role_arn}"
    raise AwsError("AccessDenied", words, status=403)


# -- from records to policies -------------------------------------------------------------------------------------------


def _look_up(tx: Tx, principal: Principal) -> _Known:
    entity = _entity(tx, principal)
    caller = Caller(
        _TYPES[principal.kind],
        principal.account if principal.kind != "service" else "",
        principal.arn if principal.kind not in ("service", "anonymous") else "",
        user_id=principal.unique_id,
        name=principal.name,
        role_arn=principal.identity if principal.kind == "assumed-role" else "",
        service=principal.name if principal.kind == "service" else "",
        tags=entity.tags if isinstance(entity, User) else dict(principal.tags),
        session={"aws:MultiFactorAuthPresent": False} if principal.access_key.startswith("ASIA") else {},
    )
    session = [_compiled(document, "session policy", "session policy") for document in principal.session_policies]
    boundary = _boundary(tx, principal.account, entity)
    return _Known(
        caller,
        Policies(
            identity=PolicySet("identity-based policy", _identity_policies(tx, principal.account, entity)),
            boundary=PolicySet("permissions boundary", [boundary]) if boundary is not None else None,
            session=PolicySet("session policy", session) if session else None,
        ),
    )


def _entity(tx: Tx, principal: Principal) -> User | Role | None:
    """The user or role behind a principal; a namesake that was made after the principal's credentials is another one."""
    entity: User | Role | None = None
    if principal.kind == "user":
        entity = tx.get(User, name_in(principal.identity).lower())
    elif principal.kind == "assumed-role":
        entity = tx.get(Role, name_in(principal.identity).lower())
    return entity if entity is not None and entity.id == principal.unique_id.partition(":")[0] else None


def _identity_policies(tx: Tx, account: str, entity: User | Role | None) -> list[Policy]:
    if entity is None:
        return []
    holders: list[Entity] = [entity]
    if isinstance(entity, User):
        holders += [group for group in (tx.get(Group, key) for key in entity.groups) if group is not None]
    policies: list[Policy] = []
    for holder in holders:
        policies += [_compiled(document, name, "identity-based policy") for name, document in holder.inline.items()]
        for arn in holder.attached:
            document = _document(tx, account, arn)
            if document is not None:
                policies.append(_compiled(document, arn, "identity-based policy"))
    return policies


def _boundary(tx: Tx, account: str, entity: Entity | None) -> Policy | None:
    if entity is None or not entity.boundary:
        return None
    document = _document(tx, account, entity.boundary)
    # A boundary that cannot be found allows nothing.
    return _compiled(document, entity.boundary, "permissions boundary") if document is not None else Policy(entity.boundary, ())


def _document(tx: Tx, account: str, arn: str) -> str | None:
    """The document of a managed policy, AWS's or the account's."""
    provided = aws_policies().get(arn)
    if provided is not None:
        return provided.text
    own = tx.get(ManagedPolicy, name_in(arn).lower()) if account_in(arn) == account else None
    return own.document if own is not None else None


@lru_cache(maxsize=1024)
def _compiled(document: str, name: str, policy_type: PolicyType) -> Policy:
    return compile_policy(document, name, policy_type)


@lru_cache(maxsize=512)
def _resource_policies(document: str) -> PolicySet:
    return PolicySet("resource-based policy", [_compiled(document, "resource policy", "resource-based policy")])


def _with_resource_policy(policies: Policies, need: Need) -> Policies:
    if need.resource_policy is None and need.account is None:
        return policies
    resource = _resource_policies(need.resource_policy) if need.resource_policy is not None else None
    return Policies(policies.identity, policies.boundary, policies.session, resource, need.account, need.resource_policy_required)
