"""AWS::IAM::ManagedPolicy."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed, set_changes, text, without_none
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.model import MAX_POLICY_VERSIONS
from windtunnel.services.iam.resources.shared import MISSING, document, iam, iam_if_there, iam_list

_NOUNS = ("Role", "User", "Group")


def _attach(ctx: Context, arn: str, old: Properties, new: Properties) -> None:
    for noun in _NOUNS:
        came, went = set_changes(old.get(f"{noun}s"), new.get(f"{noun}s"))
        for name in went:
            iam_if_there(ctx, f"Detach{noun}Policy", **{f"{noun}Name": name}, PolicyArn=arn)
        for name in came:
            iam(ctx, f"Attach{noun}Policy", **{f"{noun}Name": name}, PolicyArn=arn)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _attributes(policy: dict[str, Any]) -> dict[str, Any]:
    return {
        "PolicyArn": policy["Arn"],
        "PolicyId": policy["PolicyId"],
        "AttachmentCount": policy["AttachmentCount"],
        "PermissionsBoundaryUsageCount": policy["PermissionsBoundaryUsageCount"],
        "IsAttachable": policy["IsAttachable"],
        "DefaultVersionId": policy["DefaultVersionId"],
        "CreateDate": _moment(policy["CreateDate"]),
        "UpdateDate": _moment(policy["UpdateDate"]),
    }


@resource_type("AWS::IAM::ManagedPolicy")
class ManagedPolicyType(Direct):
    service = "iam"
    calls = (
        "CreatePolicy GetPolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion ListPolicyVersions AttachRolePolicy "
        "DetachRolePolicy AttachUserPolicy DetachUserPolicy AttachGroupPolicy DetachGroupPolicy"
    )
    name = Name("ManagedPolicyName", 128)
    live = frozenset({"AttachmentCount", "PermissionsBoundaryUsageCount", "DefaultVersionId", "UpdateDate"})
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = iam(
            ctx,
            "CreatePolicy",
            PolicyName=wanted.name,
            Path=props.get("Path"),
            Description=props.get("Description"),
            PolicyDocument=text(props["PolicyDocument"]),
        )["Policy"]
        _attach(ctx, made["Arn"], {}, props)
        attached = sum(len(props.get(f"{noun}s") or ()) for noun in _NOUNS)
        return Created(id=made["Arn"], attributes=_attributes({**made, "AttachmentCount": attached}))

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        arn = resource.id
        reply = iam_if_there(ctx, "GetPolicy", PolicyArn=arn)
        if reply is None:
            return None
        policy = reply["Policy"]
        version = iam(ctx, "GetPolicyVersion", PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        holders = {
            f"{noun}s": [held[f"{noun}Name"] for held in iam_list(ctx, "ListEntitiesForPolicy", f"Policy{noun}s", PolicyArn=arn)] or None
            for noun in _NOUNS
        }
        return without_none(
            {
                "ManagedPolicyName": policy["PolicyName"],
                "Path": policy["Path"],
                "Description": policy.get("Description"),
                "PolicyDocument": document(version["Document"]),
                **holders,
                **_attributes(policy),
            }
        )

    def attribute(self, ctx: Context, resource: Resource, name: str) -> Any:
        return _attributes(iam(ctx, "GetPolicy", PolicyArn=resource.id)["Policy"])[name]

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        arn, old = resource.id, resource.properties
        if changed(old, new, "PolicyDocument"):
            self._make_room(ctx, arn)
            iam(ctx, "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=text(new["PolicyDocument"]), SetAsDefault=True)
        _attach(ctx, arn, old, new)
        return Created(id=arn, attributes=_attributes(iam(ctx, "GetPolicy", PolicyArn=arn)["Policy"]))

    def _others(self, ctx: Context, arn: str) -> list[str]:
        """The versions that are not the default one, newest first."""
        return [
            version["VersionId"]
            for version in iam_list(ctx, "ListPolicyVersions", "Versions", PolicyArn=arn)
            if not version["IsDefaultVersion"]
        ]

    def _make_room(self, ctx: Context, arn: str) -> None:
        others = self._others(ctx, arn)
        if len(others) + 1 >= MAX_POLICY_VERSIONS:
            iam(ctx, "DeletePolicyVersion", PolicyArn=arn, VersionId=others[-1])

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        arn = resource.id
        _attach(ctx, arn, resource.properties, {})
        for version in self._others(ctx, arn):
            iam(ctx, "DeletePolicyVersion", PolicyArn=arn, VersionId=version)
        iam(ctx, "DeletePolicy", PolicyArn=arn)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (policy["Arn"] for policy in iam_list(ctx, "ListPolicies", "Policies", Scope="Local"))
