"""Who is who, and what they may do: the store-backed implementation of kernel.cloud.Identity.

Invariant: an answer rests on the records that its own transaction sees. What is derived from them (credentials, compiled policies)
is cached under the generation's id, which is read in that transaction and changes with every IAM write; ids are never reused, so
neither a write that was rolled back nor a reader with an older snapshot can leave something wrong in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from hmac import compare_digest
from typing import Any

import msgspec

from windtunnel.iam.evaluate import Policies, decide
from windtunnel.iam.policy import Decision
from windtunnel.iam.request import Caller, Request
from windtunnel.kernel.cloud import Assumption, Issuer
from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import at_start
from windtunnel.services.iam import devices, providers
from windtunnel.services.iam.activity import FLUSH_SECONDS, Activity
from windtunnel.services.iam.context_keys import ContextKeys
from windtunnel.services.iam.known import Known, look_up, with_resource_policy
from windtunnel.services.iam.model import (
    AccessKey,
    Expiry,
    Generation,
    RootKey,
    ServiceCredential,
    Session,
    User,
    account_in,
)
from windtunnel.services.iam.refusals import decoded_message, denial, encoded_message
from windtunnel.services.iam.sessions import (
    check_chain,
    issued,
    role_session,
    session_credential,
    session_documents,
    source_identity,
    trusted,
    user_principal,
)

CLOUD = "windtunnel"
"""The name of the service principal by which the cloud itself acts; it may do everything."""
_OF_OTHERS = ("iam:PassRole", "iam:CreateServiceLinkedRole")
"""IAM's actions that other services' operations ask for."""
_GENERATIONS_KEPT = 4
_ENTRIES_KEPT = 4096
_SWEEP = 8


class _Cache:
    """Everything derived from one generation."""

    __slots__ = ("credentials", "principals", "recent")

    def __init__(self) -> None:
        self.credentials: dict[str, Credential] = {}
        self.principals: dict[Principal, Known] = {}
        # The same by the object's id, held so that it stays its own: hashing a principal costs more than deciding for it.
        self.recent: dict[int, tuple[Principal, Known]] = {}


class StoreIdentity:
    def __init__(self, activity: Activity) -> None:
        self.activity = activity
        self._caches: dict[str, _Cache] = {}
        self._sessions: dict[str, Credential] = {}
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
            if known.barred and need.action.startswith("iam:") and need.action not in _OF_OTHERS:
                raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid", status=403)
            request = Request(known.caller, need.action, need.resource, ContextKeys(ctx, need.context, need.account))
            policies = with_resource_policy(known.policies, need)
            decision = decide(request, policies)
            if not decision.allowed:
                raise self._refusal(ctx, request, policies, need, decision)
            if known.recorded:
                self.activity.used(principal.identity, known.name, need.action, need.resource, ctx.now, ctx.scope.region)

    def _refusal(self, ctx: Context, request: Request, policies: Policies, need: Need, decision: Decision) -> AwsError:
        self.activity.denied(denial(ctx, request, policies, decision))
        words = _words(ctx.principal, need, decision.message)
        if need.action.startswith("ec2:"):
            words += f". Encoded authorization failure message: {encoded_message(ctx, need, decision)}"
        return AwsError("AccessDenied", words)

    def decode_refusal(self, ctx: Context, message: str) -> str | None:
        return decoded_message(ctx, message)

    def assume_for_service(self, ctx: Context, role_arn: str, session_name: str, service: str, source_arn: str = "") -> Principal:
        """The session of a role that trusts the service; AwsError AccessDenied in sts's words otherwise.

        source_arn: the resource for which the service acts, for trust policies that ask for `aws:SourceArn`.
        """
        context: dict[str, Any] = {"aws:SourceAccount": ctx.scope.account}
        if source_arn:
            context["aws:SourceArn"] = source_arn
        known = Known(Caller("Service", service=service), Policies())
        role = self._trusting(ctx, known, role_arn, Assumption(context=context))
        return role_session(role_arn, role, session_name, Assumption(), via=service)

    def assume(self, ctx: Context, role_arn: str, session_name: str, asked: Assumption) -> tuple[Principal, int]:
        """The session of a role for ctx's principal, and the role's longest session in seconds.

        AwsError AccessDenied unless the role's trust policy and the caller's own policies allow it (also to tag the session and to
        name its source, where that is asked).
        """
        if asked.provider:
            known, chained = Known(Caller("Federated", arn=asked.provider), Policies()), None
        else:
            known, chained = self._known(ctx.tx, ctx.principal), ctx.principal
            check_chain(ctx.principal, asked)
        role = self._trusting(ctx, known, role_arn, asked)
        if asked.tags:
            self._trusting(ctx, known, role_arn, msgspec.structs.replace(asked, action="sts:TagSession"))
        if asked.source_identity and asked.source_identity != source_identity(chained):
            self._trusting(ctx, known, role_arn, msgspec.structs.replace(asked, action="sts:SetSourceIdentity"))
        documents = session_documents(ctx, account_in(role_arn), asked.policies, asked.policy_arns)
        asked = msgspec.structs.replace(asked, policies=documents)
        return role_session(role_arn, role, session_name, asked, chained), role.max_session

    def _trusting(self, ctx: Context, known: Known, role_arn: str, asked: Assumption) -> Any:
        role, request, decision, policies = trusted(ctx, known, role_arn, asked.action, asked.context)
        if role is not None:
            if known.recorded:
                self.activity.used(ctx.principal.identity, known.name, asked.action, role_arn, ctx.now, ctx.scope.region)
            return role
        self.activity.denied(denial(ctx, request, policies, decision))
        if asked.provider:
            raise AwsError("AccessDenied", f"Not authorized to perform {asked.action}", status=403)
        caller = known.caller
        words = f"User: {caller.arn or caller.service} is not authorized to perform: {asked.action} on resource: {role_arn}"
        raise AwsError("AccessDenied", words, status=403)

    def session_documents(self, ctx: Context, account: str, policies: tuple[str, ...], arns: tuple[str, ...]) -> tuple[str, ...]:
        return session_documents(ctx, account, policies, arns)

    def issue(self, ctx: Context, principal: Principal, seconds: float) -> Credential:
        """Temporary credentials, kept until they end; some that have ended are removed."""
        access_key = "ASIA" + ctx.ids.upper(16)
        session = Session(
            id=access_key,
            secret=ctx.ids.secret(40),
            token="IQoJ" + ctx.ids.secret(200),
            principal=issued(principal, access_key, ctx.now),
            expires=float(int(ctx.now + seconds)),
        )
        ctx.tx.put(session)
        ctx.tx.put(Expiry(expires=session.expires, session=access_key))
        for ended in ctx.tx.scan(Expiry, limit=_SWEEP):
            if ended.expires < ctx.now:
                ctx.tx.delete(Session, ended.session)
                ctx.tx.delete(Expiry, ended.key())
                self._sessions.pop(ended.session, None)
        return session_credential(session)

    def service_password(self, tx: Tx, service: str, login: str, password: str) -> Principal | None:
        """The user whose active service-specific credential this is."""
        account = login.rpartition("-at-")[2]
        held = tx.within(account, "")
        for credential in held.find(ServiceCredential, "login", login):
            right = compare_digest(credential.password.encode(), password.encode())
            user = held.get(User, credential.user)
            if right and credential.active and credential.service == service and user is not None:
                return user_principal(account, user)
        return None

    def check_code(self, ctx: Context, user: str, serial: str, code: str) -> None:
        devices.check_code(ctx, user, serial, code)

    def federation_issuer(self, ctx: Context, url: str) -> Issuer | None:
        return providers.issuer(ctx, url)

    def saml_metadata(self, ctx: Context, arn: str) -> str | None:
        return providers.saml_metadata(ctx, arn)

    def account_of(self, tx: Tx, access_key: str) -> str | None:
        found = tx.get(RootKey, access_key) or tx.get(AccessKey, access_key)
        if found is not None:
            return found.account
        session = tx.get(Session, access_key)
        return session.principal.account if session is not None else None

    def last_used(self, access_key: str) -> tuple[float, str, str] | None:
        return self.activity.last_used(access_key)

    # -- what is known, by generation ---------------------------------------------------------------------------------

    def _cache(self, tx: Tx) -> _Cache:
        generation = _generation(tx)
        cache = self._caches.get(generation)
        if cache is None:
            for oldest in list(self._caches)[: 1 - _GENERATIONS_KEPT]:
                self._caches.pop(oldest, None)
            cache = self._caches[generation] = _Cache()
        return cache

    def _known(self, tx: Tx, principal: Principal) -> Known:
        cache = self._cache(tx)
        recent = cache.recent.get(id(principal))
        if recent is not None and recent[0] is principal:
            return recent[1]
        known = cache.principals.get(principal)
        if known is None:
            if len(cache.principals) >= _ENTRIES_KEPT:
                cache.principals.clear()
            known = cache.principals[principal] = look_up(tx.within(principal.account, ""), principal)
        if len(cache.recent) >= _ENTRIES_KEPT:
            cache.recent.clear()
        cache.recent[id(principal)] = (principal, known)
        return known

    def _session(self, tx: Tx, access_key: str) -> Credential | None:
        session = tx.get(Session, access_key)
        if session is None:
            return None
        if len(self._sessions) >= _ENTRIES_KEPT:
            self._sessions.clear()
        credential = self._sessions[access_key] = session_credential(session)
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
    identity = cloud.identity
    if isinstance(identity, StoreIdentity):  # another kind remembers for itself
        identity.activity.run_with(lambda flush: cloud.after(FLUSH_SECONDS, lambda: cloud.part("threads")(flush)))
        with cloud.store.thread_snapshot("", "") as tx:
            identity.committed(_generation(tx))


def _long_lived(tx: Tx, cache: _Cache, access_key: str) -> Credential | None:
    root = tx.get(RootKey, access_key)
    if root is not None:
        credential = Credential(access_key, root.secret, Principal.root(root.account, access_key))
        return cache.credentials.setdefault(access_key, credential)
    key = tx.get(AccessKey, access_key)
    user = tx.within(key.account, "").get(User, key.user) if key is not None and key.active else None
    if key is None or user is None:
        return None
    principal = user_principal(key.account, user, access_key)
    return cache.credentials.setdefault(access_key, Credential(access_key, key.secret, principal))
