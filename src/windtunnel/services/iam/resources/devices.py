"""AWS::IAM::VirtualMFADevice: made, and enabled for its user with two codes of its own seed, as nobody can type them into a template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, set_changes, shown_tags, without_none
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.devices import STEP, code_at, find_device, seed_of
from windtunnel.services.iam.operations.mfa import new_drawing
from windtunnel.services.iam.resources.shared import MISSING, bring_tags, iam, iam_if_there, iam_list, tags


def _give(ctx: Context, serial: str, old: Properties, new: Properties) -> None:
    users = new.get("Users") or []
    if len(users) > 1:
        raise Failed("A virtual MFA device can be assigned to one user only.", "InvalidRequest")
    came, went = set_changes(old.get("Users"), users)
    for user in went:
        iam_if_there(ctx, "DeactivateMFADevice", UserName=user, SerialNumber=serial)
    for user in came:
        device = find_device(ctx, serial)
        if device is None:
            raise Failed(f"VirtualMFADevice with serial number {serial} doesn't exist.", "NotFound")
        seed, step = seed_of(ctx, device), int(ctx.now) // STEP
        codes = {"AuthenticationCode1": code_at(seed, step - 1), "AuthenticationCode2": code_at(seed, step)}
        iam(ctx, "EnableMFADevice", UserName=user, SerialNumber=serial, **codes)


@resource_type("AWS::IAM::VirtualMFADevice")
class VirtualMFADeviceType(Direct):
    service = "iam"
    calls = "CreateVirtualMFADevice DeleteVirtualMFADevice EnableMFADevice DeactivateMFADevice TagMFADevice UntagMFADevice"
    name = Name("VirtualMfaDeviceName", 226)
    missing = MISSING
    slow = True

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Any:
        return new_drawing(ctx, wanted.name)

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        drawn = {"drawn": ctx.found.get("prepared")}
        made = perform(
            ctx,
            "iam",
            "CreateVirtualMFADevice",
            prepared=drawn,
            VirtualMFADeviceName=wanted.name,
            Path=props.get("Path"),
            Tags=tags(props),
        )
        serial = made["VirtualMFADevice"]["SerialNumber"]
        _give(ctx, serial, {}, props)
        return Created(id=serial, attributes={"SerialNumber": serial})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = next(
            (each for each in iam_list(ctx, "ListVirtualMFADevices", "VirtualMFADevices") if each["SerialNumber"] == resource.id), None
        )
        if found is None:
            return None
        path, _, name = resource.id.partition(":mfa")[2].rpartition("/")
        held = list(iam_list(ctx, "ListMFADeviceTags", "Tags", SerialNumber=resource.id))
        return without_none(
            {
                "VirtualMfaDeviceName": name,
                "Path": f"{path}/",
                "Users": [found["User"]["UserName"]] if "User" in found else [],
                "Tags": shown_tags(held),
                "SerialNumber": resource.id,
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        _give(ctx, resource.id, resource.properties, new)
        bring_tags(ctx, "MFADevice", "SerialNumber", resource.id, resource.properties, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _give(ctx, resource.id, resource.properties, {})
        iam(ctx, "DeleteVirtualMFADevice", SerialNumber=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (each["SerialNumber"] for each in iam_list(ctx, "ListVirtualMFADevices", "VirtualMFADevices"))
