"""What was done lately and by whom: the credential report, and the services that entities last reached.

Invariant: a report is made of what stood in the store when it was asked for, in a thread, and kept as it was made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed
from windtunnel.iam.wildcards import marked, matcher
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.activity import Activity, Use
from windtunnel.services.iam.certificates import SigningCertificate
from windtunnel.services.iam.devices import devices_of
from windtunnel.services.iam.directory import now, own_policy
from windtunnel.services.iam.known import managed_document
from windtunnel.services.iam.model import AccessKey, Entity, Group, Role, User, entity_arn, name_in, owner_of
from windtunnel.services.iam.operations.authorize import on_account
from windtunnel.services.iam.operations.paging import page
from windtunnel.services.iam.operations.simulating import entity_of_arn
from windtunnel.services.iam.passwords import LoginProfile, password_policy
from windtunnel.services.iam.services import NAMES

_VALID_SECONDS = 4 * 3600
_KEPT = 20
_COLUMNS = [
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_1_last_used_date",
    "access_key_1_last_used_region",
    "access_key_1_last_used_service",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "access_key_2_last_used_date",
    "access_key_2_last_used_region",
    "access_key_2_last_used_service",
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
]


class CredentialReport(Record, kw_only=True):
    KIND: ClassVar[str] = "iam.credential-report"
    SCOPE: ClassVar[RecordScope] = "account"

    created: float
    content: str

    def key(self) -> str:
        return "report"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _report(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    import csv
    import io

    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for row in (_root_row(ctx), *(_user_row(ctx, found) for found in ctx.tx.scan(User))):
        rows.writerow([row.get(column, "N/A") for column in _COLUMNS])
    return {**args, "report": out.getvalue().rstrip("\n")}


def _root_row(ctx: Context) -> dict[str, str]:
    row = {column: "false" for column in _COLUMNS if column.endswith("_active")}
    arn = ctx.scope.global_arn("iam", "root")
    more = {"password_enabled": "not_supported", "password_last_changed": "not_supported", "password_next_rotation": "not_supported"}
    return row | more | {"user": "<root_account>", "arn": arn, "user_creation_time": _iso(0), "access_key_1_active": "true"}


def _user_row(ctx: Context, found: User) -> dict[str, str]:
    profile, policy = ctx.tx.get(LoginProfile, found.key()), password_policy(ctx)
    row = {
        "user": found.name,
        "arn": entity_arn(ctx.scope, found),
        "user_creation_time": _iso(found.created),
        "password_enabled": "true" if profile is not None else "false",
        "mfa_active": "true" if devices_of(ctx, found.key()) else "false",
    }
    if profile is not None:
        row |= {"password_last_used": "no_information", "password_last_changed": _iso(profile.changed)}
        if policy is not None and policy.max_age:
            row["password_next_rotation"] = _iso(profile.changed + policy.max_age * 86400)
    keys = ctx.tx.find(AccessKey, "owner", owner_of(ctx.scope.account, found.key()))
    certificates = ctx.tx.find(SigningCertificate, "user", found.key())
    for number in (1, 2):
        row[f"access_key_{number}_active"] = row[f"cert_{number}_active"] = "false"
        if number <= len(keys):
            row |= _key_columns(ctx, keys[number - 1], f"access_key_{number}")
        if number <= len(certificates):
            held = certificates[number - 1]
            row |= {f"cert_{number}_active": str(held.active).lower(), f"cert_{number}_last_rotated": _iso(held.created)}
    return row


def _key_columns(ctx: Context, key: AccessKey, prefix: str) -> dict[str, str]:
    row = {f"{prefix}_active": str(key.active).lower(), f"{prefix}_last_rotated": _iso(key.created)}
    used = ctx.cloud.identity.last_used(key.id)
    if used is None:
        return row
    at, service, region = used
    return row | {f"{prefix}_last_used_date": _iso(at), f"{prefix}_last_used_region": region, f"{prefix}_last_used_service": service}


@writes("iam", "GenerateCredentialReport", authorize=on_account("GenerateCredentialReport"), prepare=_report)
def generate_credential_report(ctx: Context, report: str | None = None) -> Reply:
    """There at once: a new one each time it is asked for."""
    content = report if report is not None else _report(ctx, {})["report"]
    ctx.tx.put(CredentialReport(created=now(ctx), content=content))
    return {"State": "COMPLETE"}


@reads("iam", "GetCredentialReport", authorize=on_account("GetCredentialReport"))
def get_credential_report(ctx: Context) -> Reply:
    found = ctx.tx.get(CredentialReport, "report")
    if found is None:
        raise AwsError("ReportNotPresent", "No credential report has been generated.", status=410)
    if ctx.now - found.created > _VALID_SECONDS:
        raise AwsError("ReportExpired", "The most recent credential report has expired.", status=410)
    return {"Content": found.content.encode(), "ReportFormat": "text/csv", "GeneratedTime": found.created}


# --- services last accessed -----------------------------------------------------------------------------------------------------


class AccessReport(Record, kw_only=True):
    """What some entities last reached. uses: (entity's ARN, action, epoch seconds, region); services: what their policies grant."""

    KIND: ClassVar[str] = "iam.access-report"
    SCOPE: ClassVar[RecordScope] = "account"

    id: str
    arn: str
    by_action: bool
    created: float
    services: list[str]
    uses: list[tuple[str, str, float, str]]

    def key(self) -> str:
        return self.id


def _subjects(ctx: Context, arn: str) -> list[Entity]:
    """The entities behind an ARN: the user or role itself, a group's members, those to whom a policy is attached."""
    if ":policy/" in arn:
        if own_policy(ctx, arn) is None and managed_document(ctx.tx, ctx.scope.account, arn) is None:
            raise AwsError("NoSuchEntity", f"No such entity found with ARN {arn}")
        held = [holder for kind in (User, Group, Role) for holder in ctx.tx.find(kind, "attached", arn)]
    else:
        held = [entity_of_arn(ctx, arn)]
    members = [user for group in held if isinstance(group, Group) for user in ctx.tx.find(User, "group", group.key())]
    found: dict[str, Entity] = {entity.id: entity for entity in (*held, *members) if not isinstance(entity, Group)}
    return list(found.values())


def _documents(ctx: Context, arn: str) -> list[str]:
    if ":policy/" in arn:
        document = managed_document(ctx.tx, ctx.scope.account, arn)
        return [document] if document is not None else []
    return [document for _, _, document in _held_policies(ctx, entity_of_arn(ctx, arn))]


def _held_policies(ctx: Context, entity: Entity) -> list[tuple[str, dict[str, Any], str]]:
    """(name, how ListPoliciesGrantingServiceAccess shows it, document) of an entity's policies and its groups'."""
    holders: list[Entity] = [entity]
    if isinstance(entity, User):
        holders += [group for group in (ctx.tx.get(Group, key) for key in entity.groups) if group is not None]
    found: list[tuple[str, dict[str, Any], str]] = []
    for holder in holders:
        for name, document in holder.inline.items():
            shown = {"PolicyName": name, "PolicyType": "INLINE", "EntityType": holder.NOUN.upper(), "EntityName": holder.name}
            found.append((name, shown, document))
        for arn in holder.attached:
            text = managed_document(ctx.tx, ctx.scope.account, arn)
            if text is not None:
                found.append((name_in(arn), {"PolicyName": name_in(arn), "PolicyType": "MANAGED", "PolicyArn": arn}, text))
    return found


def grants_service(document: str, namespace: str) -> bool:
    """Whether any statement allows some action of a service."""
    for statement in statements_of(msgspec.json.decode(document)):
        if statement["Effect"] == "Allow":
            named = listed(statement.get("Action", ()))
            if "NotAction" in statement and not any(action.lower() in ("*", f"{namespace}:*") for action in listed(statement["NotAction"])):
                return True
            if any(matcher(marked(action.partition(":")[0].lower()))(namespace) for action in named):
                return True
    return False


def _gather(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    arn = args["arn"]
    activity: Activity = ctx.cloud.part("activity")
    uses: list[tuple[str, Use]] = []
    for entity in _subjects(ctx, arn):
        own = entity_arn(ctx.scope, entity)
        uses += [(own, use) for use in activity.uses(own)]
    documents = _documents(ctx, arn)
    services = [name for name in NAMES if any(grants_service(document, name) for document in documents)]
    rows: dict[tuple[str, str], tuple[float, str]] = {}
    for own, use in uses:
        rows[own, use.action] = max(rows.get((own, use.action), (0.0, "")), (use.last, use.region))
    gathered = {"services": services, "uses": [(own, action, at, region) for (own, action), (at, region) in sorted(rows.items())]}
    return {**args, "gathered": gathered}


def _on_arn(operation: str) -> Any:
    return lambda ctx, arn, **_: [Need(f"iam:{operation}", arn)]


@writes(
    "iam",
    "GenerateServiceLastAccessedDetails",
    authorize=_on_arn("GenerateServiceLastAccessedDetails"),
    acts="Arn Granularity",
    prepare=_gather,
)
def generate_service_last_accessed_details(
    ctx: Context, arn: str, granularity: str = "SERVICE_LEVEL", gathered: dict[str, Any] | None = None
) -> Reply:
    found = gathered if gathered is not None else _gather(ctx, {"arn": arn})["gathered"]
    report = AccessReport(id=ctx.ids.uuid(), arn=arn, by_action=granularity == "ACTION_LEVEL", created=now(ctx), **found)
    for old in sorted(ctx.tx.scan(AccessReport), key=lambda each: each.created)[: 1 - _KEPT]:
        ctx.tx.delete(AccessReport, old.key())
    ctx.tx.put(report)
    return {"JobId": report.id}


def _access_report(ctx: Context, job_id: str) -> AccessReport:
    found = ctx.tx.get(AccessReport, job_id)
    if found is None:
        raise AwsError("NoSuchEntity", f"Job id {job_id} is not found.")
    return found


def _service_shown(report: AccessReport, service: str) -> dict[str, Any]:
    uses = [use for use in report.uses if use[1].startswith(f"{service}:")]
    shown: dict[str, Any] = {
        "ServiceName": NAMES.get(service, service),
        "ServiceNamespace": service,
        "TotalAuthenticatedEntities": len({entity for entity, *_ in uses}),
    }
    if not uses:
        return shown
    entity, _, at, region = max(uses, key=lambda use: use[2])
    shown |= {"LastAuthenticated": at, "LastAuthenticatedEntity": entity, "LastAuthenticatedRegion": region}
    if report.by_action:
        latest: dict[str, tuple[float, str, str]] = {}
        for by, action, when, where in uses:
            latest[action] = max(latest.get(action, (0.0, "", "")), (when, by, where))
        shown["TrackedActionsLastAccessed"] = [
            {"ActionName": action.partition(":")[2], "LastAccessedEntity": by, "LastAccessedTime": when, "LastAccessedRegion": where}
            for action, (when, by, where) in sorted(latest.items())
        ]
    return shown


def _needs_of_report(operation: str) -> Any:
    return lambda ctx, **_: [Need(f"iam:{operation}")]


@reads(
    "iam",
    "GetServiceLastAccessedDetails",
    authorize=_needs_of_report("GetServiceLastAccessedDetails"),
    acts="JobId MaxItems Marker",
    cost="scan",
)
def get_service_last_accessed_details(ctx: Context, job_id: str, max_items: int | None = None, marker: str | None = None) -> Reply:
    report = _access_report(ctx, job_id)
    reached = {action.partition(":")[0] for _, action, *_ in report.uses}
    services = sorted({*report.services, *reached})
    done = {"JobStatus": "COMPLETED", "JobCreationDate": report.created, "JobCompletionDate": report.created}
    shown = page("ServicesLastAccessed", services, lambda name: _service_shown(report, name), str, marker, max_items)
    return {**done, "JobType": "ACTION_LEVEL" if report.by_action else "SERVICE_LEVEL", **shown}


@reads(
    "iam",
    "GetServiceLastAccessedDetailsWithEntities",
    authorize=_needs_of_report("GetServiceLastAccessedDetailsWithEntities"),
    acts="JobId ServiceNamespace MaxItems Marker",
    cost="scan",
)
def get_service_last_accessed_details_with_entities(
    ctx: Context, job_id: str, service_namespace: str, max_items: int | None = None, marker: str | None = None
) -> Reply:
    report = _access_report(ctx, job_id)
    latest: dict[str, float] = {}
    for entity, action, at, _ in report.uses:
        if action.startswith(f"{service_namespace}:"):
            latest[entity] = max(latest.get(entity, 0.0), at)
    found = _subjects(ctx, report.arn)

    def shown(entity: Entity) -> dict[str, Any]:
        arn = entity_arn(ctx.scope, entity)
        info = {"Arn": arn, "Name": entity.name, "Type": entity.NOUN.upper(), "Id": entity.id, "Path": entity.path}
        return {"EntityInfo": info, **({"LastAuthenticated": latest[arn]} if arn in latest else {})}

    done = {"JobStatus": "COMPLETED", "JobCreationDate": report.created, "JobCompletionDate": report.created}
    return {**done, **page("EntityDetailsList", found, shown, lambda entity: entity_arn(ctx.scope, entity), marker, max_items)}


@reads(
    "iam",
    "ListPoliciesGrantingServiceAccess",
    authorize=_on_arn("ListPoliciesGrantingServiceAccess"),
    acts="Marker Arn ServiceNamespaces[]",
    cost="scan",
)
def list_policies_granting_service_access(ctx: Context, arn: str, service_namespaces: list[str], marker: str | None = None) -> Reply:
    held = _held_policies(ctx, entity_of_arn(ctx, arn))

    def shown(namespace: str) -> dict[str, Any]:
        return {"ServiceNamespace": namespace, "Policies": [show for _, show, text in held if grants_service(text, namespace)]}

    return page("PoliciesGrantingServiceAccess", dict.fromkeys(service_namespaces), shown, str, marker, None)
