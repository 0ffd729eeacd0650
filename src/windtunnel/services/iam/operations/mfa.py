"""Virtual multi-factor devices: made, given to users, taken back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.devices import (
    MFADevice,
    devices_of,
    find_device,
    new_seed,
    sealed_seed,
    seed_of,
    serial_number,
    step_of_pair,
)
from windtunnel.services.iam.directory import drop, now, save, user
from windtunnel.services.iam.model import User, checked_tags, described, merged_tags, tag_list
from windtunnel.services.iam.operations.authorize import on_account, on_device, on_user
from windtunnel.services.iam.operations.paging import page
from windtunnel.services.iam.qr import qr_png

MAX_PER_USER = 8
_SHOWN = 64


def device(ctx: Context, serial: str) -> MFADevice:
    found = find_device(ctx, serial)
    if found is None:
        raise AwsError("NoSuchEntity", f"VirtualMFADevice with serial number {serial} doesn't exist.")
    return found


def _held(ctx: Context, serial: str, owner: User) -> MFADevice:
    found = find_device(ctx, serial)
    if found is None or found.user != owner.key():
        raise AwsError("NoSuchEntity", f"MFA device {serial} does not exist for user {owner.name}.")
    return found


def _label(ctx: Context, name: str, seed: str) -> str:
    """What an authenticator app reads. A name that would not fit stays out of it: it is only what the app shows."""
    shown = f"{name}@{ctx.scope.account}" if name.isascii() and len(name) <= _SHOWN else ctx.scope.account
    return f"otpauth://totp/Amazon%20Web%20Services:{quote(shown, safe='@')}?secret={seed}&issuer=Amazon%20Web%20Services"


def new_drawing(ctx: Context, name: str) -> tuple[str, bytes]:
    """A new seed, and its picture."""
    seed = new_seed(ctx.ids.hex(80))
    return seed, qr_png(_label(ctx, name, seed))


def _draw(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """Before the transaction: the picture takes some milliseconds."""
    return {**args, "drawn": new_drawing(ctx, args["virtual_mfa_device_name"])}


@writes(
    "iam",
    "CreateVirtualMFADevice",
    authorize=on_device("CreateVirtualMFADevice"),
    acts="Path VirtualMFADeviceName Tags[].*",
    prepare=_draw,
)
def create_virtual_mfa_device(
    ctx: Context,
    virtual_mfa_device_name: str,
    path: str = "/",
    tags: list[dict[str, str]] | None = None,
    drawn: tuple[str, bytes] | None = None,
) -> Reply:
    if ctx.tx.get(MFADevice, virtual_mfa_device_name.lower()) is not None:
        raise AwsError("EntityAlreadyExists", "MFADevice entity at the same path and name already exists.")
    seed, picture = drawn or new_drawing(ctx, virtual_mfa_device_name)
    made = MFADevice(
        name=virtual_mfa_device_name,
        path=path,
        seed=sealed_seed(ctx, virtual_mfa_device_name, seed),
        created=now(ctx),
        tags=merged_tags({}, checked_tags(tags)),
    )
    save(ctx, made)
    reply = {"SerialNumber": serial_number(ctx.scope, made), "Base32StringSeed": seed.encode(), "QRCodePNG": picture}
    return {"VirtualMFADevice": reply | ({"Tags": tag_list(made.tags)} if made.tags else {})}


@writes("iam", "DeleteVirtualMFADevice", authorize=on_device("DeleteVirtualMFADevice"), acts="SerialNumber")
def delete_virtual_mfa_device(ctx: Context, serial_number: str) -> Reply:
    found = device(ctx, serial_number)
    if found.user is not None:
        raise AwsError("DeleteConflict", "MFA VirtualDevice in use. Must deactivate first.")
    drop(ctx, found)
    return {}


@writes(
    "iam",
    "EnableMFADevice",
    authorize=on_user("EnableMFADevice"),
    acts="UserName SerialNumber AuthenticationCode1 AuthenticationCode2",
)
def enable_mfa_device(ctx: Context, user_name: str, serial_number: str, authentication_code1: str, authentication_code2: str) -> Reply:
    owner, found = user(ctx, user_name), device(ctx, serial_number)
    if found.user is not None:
        raise AwsError("EntityAlreadyExists", "MFA Device is already in use.")
    if len(devices_of(ctx, owner.key())) >= MAX_PER_USER:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for MFADevicesPerUser: {MAX_PER_USER}")
    last = _two_codes(ctx, found, authentication_code1, authentication_code2)
    save(ctx, msgspec.structs.replace(found, user=owner.key(), enabled=now(ctx), last=last))
    return {}


def _two_codes(ctx: Context, held: MFADevice, first: str, second: str) -> int:
    last = step_of_pair(seed_of(ctx, held), first, second, ctx.now)
    if last is None:
        raise AwsError("InvalidAuthenticationCode", "Authentication code for device is not valid.")
    return last


@writes(
    "iam",
    "ResyncMFADevice",
    authorize=on_user("ResyncMFADevice"),
    acts="UserName SerialNumber AuthenticationCode1 AuthenticationCode2",
)
def resync_mfa_device(ctx: Context, user_name: str, serial_number: str, authentication_code1: str, authentication_code2: str) -> Reply:
    """The device's clock is this machine's here: what there is to do is to accept its next codes."""
    found = _held(ctx, serial_number, user(ctx, user_name))
    save(ctx, msgspec.structs.replace(found, last=_two_codes(ctx, found, authentication_code1, authentication_code2)))
    return {}


@writes("iam", "DeactivateMFADevice", authorize=on_user("DeactivateMFADevice"), acts="UserName SerialNumber")
def deactivate_mfa_device(ctx: Context, serial_number: str, user_name: str | None = None) -> Reply:
    found = _held(ctx, serial_number, user(ctx, user_name))
    save(ctx, msgspec.structs.replace(found, user=None, enabled=0.0))
    return {}


@reads("iam", "ListMFADevices", authorize=on_user("ListMFADevices"), acts="UserName Marker MaxItems")
def list_mfa_devices(ctx: Context, user_name: str | None = None, marker: str | None = None, max_items: int | None = None) -> Reply:
    if user_name is None and ctx.principal.kind == "root":
        return {"MFADevices": [], "IsTruncated": False}
    owner = user(ctx, user_name)

    def shown(held: MFADevice) -> dict[str, Any]:
        return {"UserName": owner.name, "SerialNumber": serial_number(ctx.scope, held), "EnableDate": held.enabled}

    return page("MFADevices", devices_of(ctx, owner.key()), shown, MFADevice.key, marker, max_items)


@reads("iam", "GetMFADevice", authorize=on_user("GetMFADevice"), acts="SerialNumber UserName")
def get_mfa_device(ctx: Context, serial_number: str, user_name: str | None = None) -> Reply:
    owner = user(ctx, user_name)
    found = _held(ctx, serial_number, owner)
    return {"UserName": owner.name, "SerialNumber": serial_number, "EnableDate": found.enabled}


@reads(
    "iam",
    "ListVirtualMFADevices",
    authorize=on_account("ListVirtualMFADevices"),
    acts="AssignmentStatus Marker MaxItems",
    cost="scan",
)
def list_virtual_mfa_devices(
    ctx: Context, assignment_status: str = "Any", marker: str | None = None, max_items: int | None = None
) -> Reply:
    wanted = {"Assigned": (True,), "Unassigned": (False,)}.get(assignment_status, (True, False))

    def shown(held: MFADevice) -> dict[str, Any]:
        reply: dict[str, Any] = {"SerialNumber": serial_number(ctx.scope, held)}
        owner = ctx.tx.get(User, held.user) if held.user else None
        if owner is not None:
            reply |= {"User": described(ctx.scope, owner, tags=False), "EnableDate": held.enabled}
        return reply

    found = (each for each in ctx.tx.scan(MFADevice) if (each.user is not None) in wanted)
    return page("VirtualMFADevices", found, shown, MFADevice.key, marker, max_items)
