"""The policy simulator, and which condition keys policies ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from windtunnel.iam.grammar import validate
from windtunnel.iam.keys import context_keys
from windtunnel.iam.operators import moment
from windtunnel.iam.policy import Policy, compile_policy
from windtunnel.iam.principals import account_of_principal
from windtunnel.iam.request import Caller, ContextValue
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.iam.known import managed_document
from windtunnel.services.iam.model import Entity, Group, Role, User, account_in, entity_arn, name_in
from windtunnel.services.iam.operations.paging import page
from windtunnel.services.iam.simulation import Simulated, compiled_list, simulate

_ASKED = (
    "PolicyInputList[] PermissionsBoundaryPolicyInputList[] ActionNames[] ResourceArns[] ResourcePolicy ResourceOwner CallerArn"
    " ContextEntries[].* ContextEntries[].ContextKeyValues[] MaxItems Marker"
)
_KINDS: dict[str, type[Entity]] = {"user": User, "group": Group, "role": Role}


def entity_of_arn(ctx: Context, arn: str) -> Entity:
    """The user, group or role of that ARN, in this account."""
    kind = _KINDS.get(arn.partition(f":{ctx.scope.account}:")[2].partition("/")[0])
    found = ctx.tx.get(kind, name_in(arn).lower()) if kind is not None and account_in(arn) == ctx.scope.account else None
    if kind is None:
        raise AwsError("InvalidInput", f"Invalid Entity Arn: {arn}")
    if found is None or entity_arn(ctx.scope, found) != arn:
        raise AwsError("NoSuchEntity", f"No such entity found with ARN {arn}")
    return found


def named_policies(ctx: Context, entity: Entity) -> list[tuple[str, str]]:
    """(the simulator's name, document) of all that an entity has; a user's groups' too."""
    holders: list[Entity] = [entity]
    if isinstance(entity, User):
        holders += [group for group in (ctx.tx.get(Group, key) for key in entity.groups) if group is not None]
    found: list[tuple[str, str]] = []
    for holder in holders:
        found += [(f"{holder.NOUN}_{holder.name}_{name}", document) for name, document in holder.inline.items()]
        for arn in holder.attached:
            document = managed_document(ctx.tx, ctx.scope.account, arn)
            if document is not None:
                found.append((name_in(arn), document))
    return found


def _valid(documents: list[str] | None) -> list[str]:
    for document in documents or []:
        validate(document, "identity", code="InvalidInput")
    return documents or []


def _value(entry: dict[str, Any]) -> ContextValue:
    """A context entry's values as policies see them."""
    kind, values = entry.get("ContextKeyType", "string"), entry.get("ContextKeyValues", [])
    if kind.startswith("date"):
        moments = [moment(value) for value in values]
        if None in moments:
            raise AwsError("InvalidInput", f"Invalid date in context entry {entry.get('ContextKeyName', '')}")
        values = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in moments if at is not None]
    if not kind.endswith("List") and len(values) != 1:
        raise AwsError("InvalidInput", f"Context entry {entry.get('ContextKeyName', '')} must have one value, for its type is no list")
    return values if kind.endswith("List") else str(values[0])


def _caller(ctx: Context, arn: str | None, entity: Entity | None) -> Caller:
    account = ctx.scope.account
    if arn is None:
        if entity is None or isinstance(entity, Group):
            return Caller("User", account, f"arn:aws:iam::{account}:user/simulated", user_id="AIDASIMULATED", name="simulated")
        arn = entity_arn(ctx.scope, entity)
    elif ":user/" not in arn:
        raise AwsError("InvalidInput", "CallerArn must be the ARN of an IAM user")
    owner = account_in(arn)
    known: Entity | None = entity
    if entity is None or entity_arn(ctx.scope, entity) != arn:
        known = ctx.tx.get(User, name_in(arn).lower()) if owner == account else None
    tags = known.tags if known is not None else {}
    if isinstance(known, Role):
        session = f"arn:aws:sts::{owner}:assumed-role/{known.name}/simulated"
        return Caller("AssumedRole", owner, session, user_id=f"{known.id}:simulated", name="simulated", role_arn=arn, tags=tags)
    return Caller("User", owner, arn, user_id=known.id if known is not None else "", name=name_in(arn), tags=tags)


def _resource_policy(text: str | None) -> Policy | None:
    if text is None:
        return None
    validate(text, "resource", code="InvalidInput")
    return compile_policy(text, "ResourcePolicy", "resource-based policy")


def _boundary(ctx: Context, given: list[str] | None, entity: Entity | None) -> list[Policy] | None:
    """The boundary that was given, else the entity's own."""
    if given:
        return [policy for _, policy in compiled_list(_valid(given), "PermissionsBoundaryPolicyInputList")]
    if entity is None or not entity.boundary:
        return None
    document = managed_document(ctx.tx, ctx.scope.account, entity.boundary)
    return [compile_policy(document, entity.boundary, "identity-based policy")] if document is not None else []


def _answer(ctx: Context, policies: list[tuple[str, str]], entity: Entity | None, args: dict[str, Any]) -> Reply:
    actions, resources = args["action_names"], args.get("resource_arns") or ["*"]
    for action in actions:
        if action.count(":") != 1 or not all(action.split(":")):
            raise AwsError("InvalidInput", f"Invalid Input Action: {action}")
    identities = [(name, compile_policy(text, name, "identity-based policy")) for name, text in policies]
    boundaries = _boundary(ctx, args.get("permissions_boundary_policy_input_list"), entity)
    own = _resource_policy(args.get("resource_policy"))
    if own is not None and args.get("caller_arn") is None and (entity is None or isinstance(entity, Group)):
        raise AwsError("InvalidInput", "CallerArn is required when a ResourcePolicy is given.")
    documents = [msgspec.json.decode(text) for _, text in policies]
    documents += [msgspec.json.decode(text) for text in args.get("permissions_boundary_policy_input_list") or []]
    documents += [msgspec.json.decode(args["resource_policy"])] if own is not None else []
    owner = args.get("resource_owner")
    world = Simulated(
        caller=_caller(ctx, args.get("caller_arn"), entity),
        identities=identities,
        boundaries=boundaries,
        session=None,
        resource=own,
        resource_account=account_of_principal(owner) if owner else None,
        context={entry.get("ContextKeyName", ""): _value(entry) for entry in args.get("context_entries") or []},
        missing=context_keys(documents),
    )
    results = [simulate(world, action, resources) for action in actions]
    numbered = list(enumerate(results))
    return page(
        "EvaluationResults", numbered, lambda each: each[1], lambda each: f"{each[0]:06d}", args.get("marker"), args.get("max_items")
    )


@reads(
    "iam",
    "SimulateCustomPolicy",
    authorize=lambda ctx, **_: [Need("iam:SimulateCustomPolicy")],
    acts=_ASKED,
    cost="scan",
)
def simulate_custom_policy(ctx: Context, policy_input_list: list[str], action_names: list[str], **args: Any) -> Reply:
    named = [(f"PolicyInputList.{i + 1}", text) for i, text in enumerate(_valid(policy_input_list))]
    return _answer(ctx, named, None, {**args, "action_names": action_names})


def _simulates(operation: str) -> Any:
    return lambda ctx, policy_source_arn, **_: [Need(f"iam:{operation}", policy_source_arn)]


@reads(
    "iam",
    "SimulatePrincipalPolicy",
    authorize=_simulates("SimulatePrincipalPolicy"),
    acts=f"PolicySourceArn {_ASKED}",
    cost="scan",
)
def simulate_principal_policy(ctx: Context, policy_source_arn: str, action_names: list[str], **args: Any) -> Reply:
    entity = entity_of_arn(ctx, policy_source_arn)
    more = [(f"PolicyInputList.{i + 1}", text) for i, text in enumerate(_valid(args.get("policy_input_list")))]
    return _answer(ctx, [*named_policies(ctx, entity), *more], entity, {**args, "action_names": action_names})


@reads(
    "iam",
    "GetContextKeysForCustomPolicy",
    authorize=lambda ctx, **_: [Need("iam:GetContextKeysForCustomPolicy")],
    acts="PolicyInputList[]",
)
def get_context_keys_for_custom_policy(ctx: Context, policy_input_list: list[str]) -> Reply:
    return {"ContextKeyNames": context_keys(msgspec.json.decode(text) for text in _valid(policy_input_list))}


@reads(
    "iam",
    "GetContextKeysForPrincipalPolicy",
    authorize=_simulates("GetContextKeysForPrincipalPolicy"),
    acts="PolicySourceArn PolicyInputList[]",
)
def get_context_keys_for_principal_policy(ctx: Context, policy_source_arn: str, policy_input_list: list[str] | None = None) -> Reply:
    own = [text for _, text in named_policies(ctx, entity_of_arn(ctx, policy_source_arn))]
    return {"ContextKeyNames": context_keys(msgspec.json.decode(text) for text in [*own, *_valid(policy_input_list)])}
