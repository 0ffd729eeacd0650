"""From IAM's records to what a decision needs: who a caller is, and every policy that bears on what it asks.

Invariant: all of it follows from the records that the given transaction sees, so that it may be cached under their generation.
"""

from __future__ import annotations

from functools import lru_cache

from windtunnel.iam.evaluate import Policies
from windtunnel.iam.policy import Policy, PolicySet, PolicyType, compile_policy
from windtunnel.iam.request import Caller, PrincipalType
from windtunnel.kernel.context import Need
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Tx
from windtunnel.services.iam.aws_managed import aws_policies
from windtunnel.services.iam.model import Entity, Group, ManagedPolicy, Role, User, account_in, name_in

TYPES: dict[str, PrincipalType] = {
    "root": "Account",
    "user": "User",
    "assumed-role": "AssumedRole",
    "federated-user": "FederatedUser",
    "service": "Service",
    "anonymous": "Anonymous",
}
_EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


class Known:
    """What one generation's records say of a principal. name: whose last use its calls are; barred: whether IAM does not hear it."""

    __slots__ = ("barred", "caller", "name", "policies", "recorded")

    def __init__(self, caller: Caller, policies: Policies, name: str = "", recorded: bool = False, barred: bool = False) -> None:
        self.caller = caller
        self.policies = policies
        self.name = name
        self.recorded = recorded
        self.barred = barred


def look_up(tx: Tx, principal: Principal) -> Known:
    """tx: within the principal's account."""
    entity = entity_of(tx, principal)
    caller = Caller(
        TYPES[principal.kind],
        principal.account if principal.kind != "service" else "",
        principal.arn if principal.kind not in ("service", "anonymous") else "",
        user_id=principal.unique_id,
        name=principal.name,
        role_arn=principal.identity if principal.kind == "assumed-role" else "",
        service=principal.name if principal.kind == "service" else "",
        tags=entity.tags if isinstance(entity, User) and principal.kind == "user" else dict(principal.tags),
        session=dict(principal.keys),
    )
    policies = Policies(
        identity=PolicySet("identity-based policy", _own_policies(tx, principal, entity)),
        boundary=_boundary(tx, principal.account, entity),
        session=_session(principal),
    )
    name = principal.access_key if principal.access_key.startswith("AKIA") else principal.identity
    return Known(caller, policies, name, principal.kind in ("user", "assumed-role", "federated-user"), _barred(principal))


def _barred(principal: Principal) -> bool:
    """IAM takes no session that GetFederationToken made, nor one of GetSessionToken without a code ("Compare AWS STS credentials")."""
    own = principal.kind in ("user", "root") and principal.access_key.startswith("ASIA") and principal.mfa_at is None
    return own or principal.kind == "federated-user"


def entity_of(tx: Tx, principal: Principal) -> User | Role | None:
    """The user or role behind a principal; a namesake that was made after the principal's credentials is another one."""
    entity: User | Role | None = None
    if principal.kind in ("user", "federated-user"):
        entity = tx.get(User, name_in(principal.identity).lower())
    elif principal.kind == "assumed-role":
        entity = tx.get(Role, name_in(principal.identity).lower())
    own = principal.issuer_id or principal.unique_id.partition(":")[0]
    return entity if entity is not None and entity.id == own else None


def _own_policies(tx: Tx, principal: Principal, entity: User | Role | None) -> list[Policy]:
    if principal.kind == "federated-user" and principal.issuer_id == principal.account:  # made by root, whom no policy limits
        return [compiled(_EVERYTHING, "root", "identity-based policy")]
    return _identity_policies(tx, principal.account, entity)


def _session(principal: Principal) -> PolicySet | None:
    """What limits a session; a federated user's without a policy may do nothing by itself."""
    documents = [compiled(document, f"session policy {i + 1}", "session policy") for i, document in enumerate(principal.session_policies)]
    return PolicySet("session policy", documents) if documents or principal.kind == "federated-user" else None


def _identity_policies(tx: Tx, account: str, entity: User | Role | None) -> list[Policy]:
    if entity is None:
        return []
    holders: list[Entity] = [entity]
    if isinstance(entity, User):
        holders += [group for group in (tx.get(Group, key) for key in entity.groups) if group is not None]
    policies: list[Policy] = []
    for holder in holders:
        where = f"inline policy of {holder.NOUN} {holder.name}"
        policies += [compiled(document, f"{name} ({where})", "identity-based policy") for name, document in holder.inline.items()]
        for arn in holder.attached:
            document = managed_document(tx, account, arn)
            if document is not None:
                policies.append(compiled(document, arn, "identity-based policy"))
    return policies


def _boundary(tx: Tx, account: str, entity: Entity | None) -> PolicySet | None:
    if entity is None or not entity.boundary:
        return None
    document = managed_document(tx, account, entity.boundary)
    # A boundary that cannot be found allows nothing.
    found = compiled(document, entity.boundary, "permissions boundary") if document is not None else Policy(entity.boundary, ())
    return PolicySet("permissions boundary", [found])


def managed_document(tx: Tx, account: str, arn: str) -> str | None:
    """The document of a managed policy, AWS's or the account's."""
    provided = aws_policies().get(arn)
    if provided is not None:
        return provided.text
    own = tx.get(ManagedPolicy, name_in(arn).lower()) if account_in(arn) == account else None
    return own.document if own is not None else None


@lru_cache(maxsize=1024)
def compiled(document: str, name: str, policy_type: PolicyType) -> Policy:
    return compile_policy(document, name, policy_type)


@lru_cache(maxsize=512)
def _resource_policies(document: str) -> PolicySet:
    return PolicySet("resource-based policy", [compiled(document, "resource policy", "resource-based policy")])


def with_resource_policy(policies: Policies, need: Need) -> Policies:
    """The caller's policies, and what the need says of the resource's side."""
    account = need.account
    if need.resource_policy is None and account is None:
        if need.action != "iam:PassRole":
            return policies
        account = account_in(need.resource)  # a role of another account is passed by nobody: it has no policy that could grant it
    resource = _resource_policies(need.resource_policy) if need.resource_policy is not None else None
    return Policies(policies.identity, policies.boundary, policies.session, resource, account or None, need.resource_policy_required)
