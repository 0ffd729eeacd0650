"""AWS::IAM::User and AWS::IAM::UserToGroupAddition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed, set_changes, shown_tags, without_none
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.passwords import Hashed, LoginProfile, check_password, hashed
from windtunnel.services.iam.resources.shared import MISSING, Holder, boundary, bring_tags, iam, iam_if_there, iam_list, tags

_USER = Holder("User")


def _join(ctx: Context, name: str, old: Properties, new: Properties) -> None:
    came, went = set_changes(old.get("Groups"), new.get("Groups"))
    for group in went:
        iam_if_there(ctx, "RemoveUserFromGroup", UserName=name, GroupName=group)
    for group in came:
        iam(ctx, "AddUserToGroup", UserName=name, GroupName=group)


def _login(ctx: Context, name: str, old: Properties, new: Properties) -> None:
    """The password itself was hashed in `prepare`, before the transaction."""
    before, after = old.get("LoginProfile"), new.get("LoginProfile")
    if before == after:
        return
    if after is None:
        iam_if_there(ctx, "DeleteLoginProfile", UserName=name)
        return
    given: dict[str, Any] = {"user_name": name, "password_reset_required": bool(after.get("PasswordResetRequired", False))}
    if before is None or after["Password"] != before["Password"]:
        check_password(ctx, name, after["Password"], ctx.tx.get(LoginProfile, name.lower()))
        given["password"] = ctx.found["prepared"]
    # Past the model's constraints, which are the password's own and not its hash's.
    ctx.call("iam", "CreateLoginProfile" if before is None else "UpdateLoginProfile", **given)


@resource_type("AWS::IAM::User")
class UserType(Direct):
    service = "iam"
    calls = (
        "CreateUser DeleteUser UpdateUser GetUser AddUserToGroup RemoveUserFromGroup DeleteLoginProfile AttachUserPolicy "
        "DetachUserPolicy PutUserPolicy DeleteUserPolicy PutUserPermissionsBoundary DeleteUserPermissionsBoundary TagUser "
        "UntagUser"
    )
    name = Name("UserName", 64)
    missing = MISSING
    slow = True

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Hashed | None:
        """The password's hash, which is slow on purpose."""
        password = (props.get("LoginProfile") or {}).get("Password")
        return None if password is None else hashed(password, ctx.ids.hex(32))

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        name = wanted.name
        made = iam(
            ctx,
            "CreateUser",
            UserName=name,
            Path=props.get("Path"),
            PermissionsBoundary=props.get("PermissionsBoundary"),
            Tags=tags(props),
        )["User"]
        _USER.bring(ctx, name, {}, props)
        _join(ctx, name, {}, props)
        _login(ctx, name, {}, props)
        return Created(id=name, attributes={"Arn": made["Arn"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        reply = iam_if_there(ctx, "GetUser", UserName=resource.id)
        if reply is None:
            return None
        user = reply["User"]
        groups = [group["GroupName"] for group in iam_list(ctx, "ListGroupsForUser", "Groups", UserName=resource.id)]
        login = iam_if_there(ctx, "GetLoginProfile", UserName=resource.id)
        return without_none(
            {
                "UserName": user["UserName"],
                "Path": user["Path"],
                "PermissionsBoundary": boundary(user),
                "Groups": groups or None,
                "LoginProfile": login and {"PasswordResetRequired": login["LoginProfile"]["PasswordResetRequired"]},
                "Tags": shown_tags(user.get("Tags")),
                **_USER.read(ctx, resource.id),
                "Arn": user["Arn"],
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        name, old = resource.id, resource.properties
        attributes = dict(resource.attributes)
        if changed(old, new, "Path"):
            iam(ctx, "UpdateUser", UserName=name, NewPath=new.get("Path", "/"))
            attributes["Arn"] = iam(ctx, "GetUser", UserName=name)["User"]["Arn"]
        _USER.bring_boundary(ctx, name, old, new)
        _USER.bring(ctx, name, old, new)
        _join(ctx, name, old, new)
        _login(ctx, name, old, new)
        bring_tags(ctx, "User", "UserName", name, old, new)
        return Created(id=name, attributes=attributes)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        name, old = resource.id, resource.properties
        _USER.bring(ctx, name, old, {})
        _join(ctx, name, old, {})
        _login(ctx, name, old, {})
        iam(ctx, "DeleteUser", UserName=name)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (user["UserName"] for user in iam_list(ctx, "ListUsers", "Users"))


@resource_type("AWS::IAM::UserToGroupAddition")
class UserToGroupAdditionType(Direct):
    service = "iam"
    calls = "AddUserToGroup RemoveUserFromGroup"
    name = Name("Id")
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        for user in props["Users"]:
            iam(ctx, "AddUserToGroup", GroupName=props["GroupName"], UserName=user)
        return Created(id=wanted.name, attributes={"Id": wanted.name})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        group = resource.properties.get("GroupName")
        if group is None or iam_if_there(ctx, "GetGroup", GroupName=group) is None:
            return None
        there = {user["UserName"] for user in iam_list(ctx, "GetGroup", "Users", GroupName=group)}
        users = [user for user in resource.properties["Users"] if user in there]
        return {"GroupName": group, "Users": users, "Id": resource.id} if users else None

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        _leave(ctx, resource.properties, keep=new)
        for user in new["Users"]:
            iam(ctx, "AddUserToGroup", GroupName=new["GroupName"], UserName=user)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _leave(ctx, resource.properties, keep={})
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return ()


def _leave(ctx: Context, old: Properties, keep: Properties) -> None:
    stays = keep.get("Users", ()) if keep.get("GroupName") == old["GroupName"] else ()
    for user in old["Users"]:
        if user not in stays:
            iam_if_there(ctx, "RemoveUserFromGroup", GroupName=old["GroupName"], UserName=user)
