"""Inline policies as resources: AWS::IAM::Policy, which puts one into several entities, and RolePolicy, UserPolicy, GroupPolicy, each into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists, text
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, document, iam, iam_if_there, iam_list

_NOUNS = ("Role", "User", "Group")
_SHORT = 5


def _holders(props: Properties) -> Iterator[tuple[str, str]]:
    """(`Role`, its name) for all that the properties name."""
    for noun in _NOUNS:
        for name in props.get(f"{noun}s") or ():
            yield noun, name


@resource_type("AWS::IAM::Policy")
class PolicyType(Direct):
    service = "iam"
    calls = "PutRolePolicy DeleteRolePolicy PutUserPolicy DeleteUserPolicy PutGroupPolicy DeleteGroupPolicy"
    name = Name("Id")
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        if not list(_holders(props)):
            raise Failed("At least one of [Groups,Roles,Users] must be non-empty.", "InvalidRequest")
        self._put(ctx, props)
        # AWS makes this id of the first letters of both names: `serve-IamPo-GJJLEUZ5LNAN`.
        made = f"{wanted.stack_name[:_SHORT]}-{wanted.logical_id[:_SHORT]}-{wanted.name.rpartition('-')[2]}"
        return Created(id=made, attributes={"Id": made})

    def _put(self, ctx: Context, props: Properties) -> None:
        for noun, name in _holders(props):
            iam(
                ctx,
                f"Put{noun}Policy",
                **{f"{noun}Name": name},
                PolicyName=props["PolicyName"],
                PolicyDocument=text(props["PolicyDocument"]),
            )

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        props = resource.properties
        if "PolicyName" not in props:
            return None
        found: Properties = {}
        for noun, name in _holders(props):
            reply = iam_if_there(ctx, f"Get{noun}Policy", **{f"{noun}Name": name}, PolicyName=props["PolicyName"])
            if reply is not None:
                found.setdefault(f"{noun}s", []).append(name)
                found["PolicyDocument"] = document(reply["PolicyDocument"])
        return {**found, "PolicyName": props["PolicyName"], "Id": resource.id} if found else None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._put(ctx, new)
        stays = set(_holders(new)) if new["PolicyName"] == resource.properties["PolicyName"] else set()
        self._take(ctx, resource.properties, stays)
        return None

    def _take(self, ctx: Context, props: Properties, stays: set[tuple[str, str]]) -> None:
        for noun, name in _holders(props):
            if (noun, name) not in stays:
                iam_if_there(ctx, f"Delete{noun}Policy", **{f"{noun}Name": name}, PolicyName=props["PolicyName"])

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        self._take(ctx, resource.properties, set())
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return ()


class _OnePolicy(Direct):
    """An inline policy of one entity. Its identifier is `POLICY|ENTITY`, as the provider schema's primary identifier says."""

    service = "iam"
    missing = MISSING
    noun = ""

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        holder, policy = props[f"{self.noun}Name"], props["PolicyName"]
        identifier = f"{policy}|{holder}"
        holder_member = {f"{self.noun}Name": holder}
        if iam_if_there(ctx, f"Get{self.noun}Policy", **holder_member, PolicyName=policy) is not None:
            raise already_exists(self.type, identifier)
        self._put(ctx, props)
        return Created(id=identifier)

    def _put(self, ctx: Context, props: Properties) -> None:
        iam(
            ctx,
            f"Put{self.noun}Policy",
            **{f"{self.noun}Name": props[f"{self.noun}Name"]},
            PolicyName=props["PolicyName"],
            PolicyDocument=text(props.get("PolicyDocument", {})),
        )

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        policy, _, holder = resource.id.partition("|")
        reply = iam_if_there(ctx, f"Get{self.noun}Policy", **{f"{self.noun}Name": holder}, PolicyName=policy)
        if reply is None:
            return None
        return {f"{self.noun}Name": holder, "PolicyName": policy, "PolicyDocument": document(reply["PolicyDocument"])}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._put(ctx, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        policy, _, holder = resource.id.partition("|")
        iam(ctx, f"Delete{self.noun}Policy", **{f"{self.noun}Name": holder}, PolicyName=policy)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for holder in iam_list(ctx, f"List{self.noun}s", f"{self.noun}s"):
            name = holder[f"{self.noun}Name"]
            for policy in iam_list(ctx, f"List{self.noun}Policies", "PolicyNames", **{f"{self.noun}Name": name}):
                yield f"{policy}|{name}"


@resource_type("AWS::IAM::RolePolicy")
class RolePolicyType(_OnePolicy):
    calls = "PutRolePolicy GetRolePolicy DeleteRolePolicy"
    noun = "Role"


@resource_type("AWS::IAM::UserPolicy")
class UserPolicyType(_OnePolicy):
    calls = "PutUserPolicy GetUserPolicy DeleteUserPolicy"
    noun = "User"


@resource_type("AWS::IAM::GroupPolicy")
class GroupPolicyType(_OnePolicy):
    calls = "PutGroupPolicy GetGroupPolicy DeleteGroupPolicy"
    noun = "Group"
