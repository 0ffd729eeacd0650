"""What roles, users and groups have in common as resources: managed and inline policies, boundaries, tags.

Invariant: an update or deletion takes away what the template gave, and nothing else: what others attached keeps the deletion from happening
(DeleteConflict), as on AWS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from windtunnel.kernel.context import Context, Reply
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt, checked_tags, keyed_changes, listed, parsed, set_changes, tag_changes, text
from windtunnel.provision.registry import Properties

MISSING = frozenset({"NoSuchEntity"})
MARKER = ("Marker", "Marker")


def iam(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "iam", operation, **members)


def iam_if_there(ctx: Context, operation: str, **members: Any) -> Reply | None:
    return attempt(ctx, MISSING, "iam", operation, **members)


def iam_list(ctx: Context, operation: str, member: str, **members: Any) -> Iterator[Any]:
    return listed(ctx, "iam", operation, member, MARKER, **members)


def document(encoded: str) -> Any:
    """A policy document out of IAM's answers."""
    return parsed(unquote(encoded))


class Holder:
    """A kind of entity that holds policies. noun: `Role`, as in its operations' names."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.key = f"{noun}Name"

    def bring(self, ctx: Context, name: str, old: Properties, new: Properties) -> None:
        """The policies from what one set of properties says to what the other does."""
        entity = {self.key: name}
        came, went = set_changes(old.get("ManagedPolicyArns"), new.get("ManagedPolicyArns"))
        for arn in went:
            iam_if_there(ctx, f"Detach{self.noun}Policy", **entity, PolicyArn=arn)
        for arn in came:
            iam(ctx, f"Attach{self.noun}Policy", **entity, PolicyArn=arn)
        put, gone = keyed_changes(old.get("Policies"), new.get("Policies"), lambda policy: str(policy["PolicyName"]))
        for policy_name in gone:
            iam_if_there(ctx, f"Delete{self.noun}Policy", **entity, PolicyName=policy_name)
        for policy in put:
            iam(
                ctx,
                f"Put{self.noun}Policy",
                **entity,
                PolicyName=policy["PolicyName"],
                PolicyDocument=text(policy.get("PolicyDocument", {})),
            )

    def read(self, ctx: Context, name: str) -> Properties:
        entity = {self.key: name}
        found: Properties = {}
        arns = [each["PolicyArn"] for each in iam_list(ctx, f"ListAttached{self.noun}Policies", "AttachedPolicies", **entity)]
        names = list(iam_list(ctx, f"List{self.noun}Policies", "PolicyNames", **entity))
        if arns:
            found["ManagedPolicyArns"] = arns
        if names:
            found["Policies"] = [{"PolicyName": each, "PolicyDocument": self.inline(ctx, name, each)} for each in names]
        return found

    def inline(self, ctx: Context, name: str, policy_name: str) -> Any:
        reply = iam(ctx, f"Get{self.noun}Policy", **{self.key: name}, PolicyName=policy_name)
        return document(reply["PolicyDocument"])

    def bring_boundary(self, ctx: Context, name: str, old: Properties, new: Properties) -> None:
        wanted = new.get("PermissionsBoundary")
        if wanted == old.get("PermissionsBoundary"):
            return
        if wanted:
            iam(ctx, f"Put{self.noun}PermissionsBoundary", **{self.key: name}, PermissionsBoundary=wanted)
        else:
            iam_if_there(ctx, f"Delete{self.noun}PermissionsBoundary", **{self.key: name})


def bring_tags(ctx: Context, noun: str, key: str, name: str, old: Properties, new: Properties) -> None:
    """noun: as in `TagRole`; key: the member that names the thing."""
    put, gone = tag_changes(old.get("Tags"), new.get("Tags"))
    if gone:
        iam(ctx, f"Untag{noun}", **{key: name}, TagKeys=gone)
    if put:
        iam(ctx, f"Tag{noun}", **{key: name}, Tags=put)


def tags(props: Properties) -> Any:
    """Tags of a create call; IAM's types do not get AWS's own."""
    return checked_tags(props.get("Tags")) or None


def boundary(shown: dict[str, Any]) -> str | None:
    held = shown.get("PermissionsBoundary")
    return held["PermissionsBoundaryArn"] if held else None
