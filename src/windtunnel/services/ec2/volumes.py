"""Volumes and snapshots as records (EC2 API reference, 2016-11-15).

A sandbox cannot be given a block device: attaching is not built and says so. What a volume of its own says is true: it is there, empty, of that
size. The root volume of an instance is its sandbox's disk; its record comes with a launch that names it, and goes with the instance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.model import Instance
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    by_token,
    checked_page,
    describes,
    every,
    fingerprint,
    given_tags,
    made_before,
    need,
    new_id,
    new_needs,
    on,
    page_of,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.model import Resource
from windtunnel.services.ec2.network.zones import zone_names

SIZES = {
    "gp2": (1, 16384), "gp3": (1, 16384), "io1": (4, 16384), "io2": (4, 65536), "st1": (125, 16384), "sc1": (125, 16384),
    "standard": (1, 1024),
}  # fmt: skip
"""Volume type -> least and greatest size in GiB."""
ROOTS = ("/dev/xvda", "/dev/sda1")
ROOT_SIZE = 8


class Volume(Resource, kw_only=True):
    """instance_id, device: of a root volume. modified: (state before, when) of the last ModifyVolume."""

    KIND: ClassVar[str] = "ec2.volume"
    TYPE: ClassVar[str] = "volume"
    PREFIX: ClassVar[str] = "vol"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidVolume.NotFound", "The volume '{}' does not exist.")
    INDEXES: ClassVar = {"token": by_token, "instance": lambda volume: [volume.instance_id] if volume.instance_id else []}

    size: int
    kind: str
    zone: str
    created: float
    iops: int = 0
    throughput: int = 0
    encrypted: bool = False
    kms_key: str = ""
    snapshot_id: str = ""
    multi_attach: bool = False
    instance_id: str = ""
    device: str = ""
    delete_on_termination: bool = True
    before: dict[str, int | str] = {}
    modified: float = 0.0

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        keys = {"ec2:AvailabilityZone": self.zone, "ec2:VolumeID": self.id, "ec2:VolumeSize": self.size, "ec2:VolumeType": self.kind}
        return keys | {"ec2:Encrypted": self.encrypted} | ({"ec2:VolumeIops": self.iops} if self.iops else {})


class Snapshot(Resource, kw_only=True):
    KIND: ClassVar[str] = "ec2.snapshot"
    TYPE: ClassVar[str] = "snapshot"
    PREFIX: ClassVar[str] = "snap"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidSnapshot.NotFound", "The snapshot '{}' does not exist.")

    volume_id: str
    size: int
    started: float
    description: str = ""
    encrypted: bool = False
    kms_key: str = ""


def attachments(volume: Volume) -> list[Shape]:
    if not volume.instance_id:
        return []
    return [
        {
            "VolumeId": volume.id,
            "InstanceId": volume.instance_id,
            "Device": volume.device,
            "State": "attached",
            "AttachTime": volume.created,
            "DeleteOnTermination": volume.delete_on_termination,
        }
    ]


def volume_shape(ctx: Context, volume: Volume) -> Shape:
    shape: Shape = {
        "VolumeId": volume.id,
        "Size": volume.size,
        "VolumeType": volume.kind,
        "AvailabilityZone": volume.zone,
        "CreateTime": volume.created,
        "Encrypted": volume.encrypted,
        "SnapshotId": volume.snapshot_id,
        "MultiAttachEnabled": volume.multi_attach,
        "State": "in-use" if volume.instance_id else "available",
        "Attachments": attachments(volume),
        "Operator": {"Managed": False},
        "Tags": tagged(volume),
    }
    for name, value in (("Iops", volume.iops), ("Throughput", volume.throughput), ("KmsKeyId", volume.kms_key)):
        shape |= {name: value} if value else {}
    return shape


describes(
    "DescribeVolumes",
    Volume,
    volume_shape,
    ids="VolumeIds",
    member="VolumeId",
    out="Volumes",
    filters={
        "volume-id": tells("VolumeId"),
        "availability-zone": tells("AvailabilityZone"),
        "create-time": tells("CreateTime"),
        "encrypted": tells("Encrypted"),
        "multi-attach-enabled": tells("MultiAttachEnabled"),
        "size": tells("Size"),
        "snapshot-id": tells("SnapshotId"),
        "status": tells("State"),
        "volume-type": tells("VolumeType"),
        "attachment.device": tells("Attachments", "Device"),
        "attachment.instance-id": tells("Attachments", "InstanceId"),
        "attachment.status": tells("Attachments", "State"),
        "attachment.delete-on-termination": tells("Attachments", "DeleteOnTermination"),
    },
)


def checked_volume(kind: str, size: int | None, iops: int | None, throughput: int | None) -> tuple[int, int]:
    """(iops, throughput) of a volume of this type and size. Raises AwsError."""
    if kind not in SIZES:
        raise AwsError("UnknownVolumeType", f"Unsupported volume type '{kind}' for volume creation.")
    low, high = SIZES[kind]
    if size is None:
        raise AwsError("MissingParameter", "The request must contain the parameter size/snapshot")
    if not low <= size <= high:
        word = f"Volume of {size}GiB is too {'small' if size < low else 'large'} for volume type {kind}"
        raise AwsError("InvalidParameterValue", f"{word}; {'minimum' if size < low else 'maximum'} is {low if size < low else high}GiB.")
    if iops is not None and kind not in ("io1", "io2", "gp3"):
        raise AwsError("InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes.")
    if iops is None and kind in ("io1", "io2"):
        raise AwsError("MissingParameter", "The request must contain the parameter iops")
    if throughput is not None and kind != "gp3":
        raise AwsError("InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes.")
    base = {"gp3": 3000, "gp2": min(16000, max(100, size * 3))}.get(kind, 0)
    if iops is not None and not 100 <= iops <= 256000:
        raise AwsError("InvalidParameterValue", f"Volume iops of {iops} is not within the limits of {kind}.")
    if throughput is not None and not 125 <= throughput <= 2000:
        raise AwsError("InvalidParameterValue", f"Throughput of {throughput} is not within the limits of 125 to 2000 MiB/s.")
    return iops or base, throughput or (125 if kind == "gp3" else 0)


def to_create(ctx: Context, availability_zone: str | None = None, tag_specifications: Any = None, **given: Any) -> list[Need]:
    extra = {"ec2:AvailabilityZone": availability_zone or "", "ec2:VolumeType": given.get("volume_type") or "gp2"}
    extra |= {"ec2:VolumeSize": given["size"]} if given.get("size") else {}
    needs = new_needs(ctx, "CreateVolume", Volume, tag_specifications, {**extra, "ec2:Encrypted": bool(given.get("encrypted"))})
    return needs + ([need(ctx, "CreateVolume", Snapshot, given["snapshot_id"])] if given.get("snapshot_id") else [])


@writes(
    "ec2",
    "CreateVolume",
    authorize=to_create,
    acts=f"AvailabilityZone Size VolumeType SnapshotId Iops Throughput ClientToken DryRun {TAGS}",
    descriptive="Encrypted KmsKeyId MultiAttachEnabled",
)
def create_volume(
    ctx: Context,
    availability_zone: str | None = None,
    size: int | None = None,
    volume_type: str = "gp2",
    snapshot_id: str = "",
    iops: int | None = None,
    throughput: int | None = None,
    encrypted: bool = False,
    kms_key_id: str = "",
    multi_attach_enabled: bool = False,
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    request = {
        "Zone": availability_zone, "Size": size, "Type": volume_type, "Snapshot": snapshot_id, "Iops": iops, "Throughput": throughput,
        "Encrypted": encrypted, "Key": kms_key_id, "Tags": tag_specifications,
    }  # fmt: skip
    volume = made_before(ctx, Volume, client_token, request)
    if volume is None:
        if availability_zone not in zone_names(ctx.scope.region):
            if not availability_zone:
                raise AwsError("MissingParameter", "The request must contain the parameter zone")
            raise AwsError("InvalidZone.NotFound", f"The zone '{availability_zone}' does not exist.")
        origin = the(ctx, Snapshot, snapshot_id) if snapshot_id else None
        size = size if size is not None or origin is None else origin.size
        if origin is not None and size is not None and size < origin.size:
            raise AwsError("InvalidParameterValue", f"The size of a volume must be at least the size of its snapshot: {origin.size}GiB.")
        speed, flow = checked_volume(volume_type, size, iops, throughput)
        tags = given_tags(ctx, tag_specifications, Volume)
        dry(dry_run)
        volume = Volume(
            id=new_id(ctx, Volume), size=size or 0, kind=volume_type, zone=availability_zone or "", created=ctx.now, iops=speed,
            throughput=flow, encrypted=encrypted or bool(origin and origin.encrypted), kms_key=kms_key_id, snapshot_id=snapshot_id,
            multi_attach=multi_attach_enabled, tags=tags, client_token=client_token or "", fingerprint=fingerprint(request),
        )  # fmt: skip
        ctx.tx.put(volume)
    shape = {name: value for name, value in volume_shape(ctx, volume).items() if name != "State"}
    return shape | {"State": "creating"}


@writes("ec2", "DeleteVolume", authorize=on("DeleteVolume", (Volume, "volume_id")), acts="VolumeId DryRun")
def delete_volume(ctx: Context, volume_id: str, dry_run: bool = False) -> Reply:
    volume = the(ctx, Volume, volume_id)
    if volume.instance_id:
        raise AwsError("VolumeInUse", f"Volume {volume_id} is currently attached to {volume.instance_id}")
    dry(dry_run)
    ctx.tx.delete(Volume, volume_id)
    return {}


def modification_shape(volume: Volume) -> Shape:
    shape: Shape = {"VolumeId": volume.id, "ModificationState": "completed", "Progress": 100, "StartTime": volume.modified}
    shape |= {"EndTime": volume.modified, "TargetSize": volume.size, "TargetVolumeType": volume.kind, "TargetIops": volume.iops}
    shape |= {"OriginalSize": volume.before["size"], "OriginalVolumeType": volume.before["kind"], "OriginalIops": volume.before["iops"]}
    if volume.throughput:
        shape["TargetThroughput"] = volume.throughput
    return shape


@writes(
    "ec2",
    "ModifyVolume",
    authorize=on("ModifyVolume", (Volume, "volume_id")),
    acts="VolumeId Size VolumeType Iops Throughput DryRun",
)
def modify_volume(
    ctx: Context,
    volume_id: str,
    size: int | None = None,
    volume_type: str | None = None,
    iops: int | None = None,
    throughput: int | None = None,
    dry_run: bool = False,
) -> Reply:
    volume = the(ctx, Volume, volume_id)
    if size is None and volume_type is None and iops is None and throughput is None:
        raise AwsError("InvalidParameterValue", "A modification must change at least one of size, volume type, iops and throughput.")
    if size is not None and size < volume.size:
        raise AwsError("InvalidParameterValue", "New size cannot be smaller than existing size")
    kind, wanted = volume_type or volume.kind, size or volume.size
    held = iops if iops is not None else (volume.iops if kind in ("io1", "io2") or (kind == "gp3" == volume.kind) else None)
    flow = throughput if throughput is not None else (volume.throughput if kind == "gp3" == volume.kind else None)
    speed, stream = checked_volume(kind, wanted, held or None, flow or None)
    dry(dry_run)
    volume.before, volume.modified = {"size": volume.size, "kind": volume.kind, "iops": volume.iops}, ctx.now
    volume.size, volume.kind, volume.iops, volume.throughput = wanted, kind, speed, stream
    ctx.tx.put(volume)
    return {"VolumeModification": modification_shape(volume) | {"ModificationState": "modifying", "Progress": 0}}


@reads(
    "ec2",
    "DescribeVolumesModifications",
    authorize=on_everything("ec2:DescribeVolumesModifications"),
    acts="VolumeIds[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_volumes_modifications(
    ctx: Context,
    volume_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    size = checked_page(max_results, 1, 500)
    found = [the(ctx, Volume, name) for name in volume_ids] if volume_ids else every(ctx, Volume)
    shapes = [modification_shape(volume) for volume in found if volume.modified]
    known = {"volume-id": tells("VolumeId"), "modification-state": tells("ModificationState")}
    return page_of(chosen(shapes, filters, known), "VolumeId", "VolumesModifications", size, next_token)


# -- root volumes ---------------------------------------------------------------------------------------------------


def checked_mappings(mappings: Sequence[Mapping[str, Any]], sizes: bool = True) -> Mapping[str, Any] | None:
    """What a launch says of the root volume. Raises not_built for any other device, and InvalidParameterValue."""
    for mapping in mappings:
        if mapping.get("DeviceName") not in ROOTS:
            raise not_built("ec2", "RunInstances", f"BlockDeviceMapping {mapping.get('DeviceName')} (a sandbox has its root volume only)")
    if len(mappings) > 1:
        raise AwsError("InvalidBlockDeviceMapping", f"Device {mappings[0].get('DeviceName')} is specified twice.")
    if not mappings:
        return None
    disk = mappings[0].get("Ebs") or {}
    if disk.get("VolumeSize") is not None and disk["VolumeSize"] < ROOT_SIZE:
        raise AwsError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {disk['VolumeSize']}GB is smaller than snapshot 'snap-00000000', expect size >= {ROOT_SIZE}GB",
        )
    checked_volume(disk.get("VolumeType") or "gp3", disk.get("VolumeSize") or ROOT_SIZE, disk.get("Iops"), disk.get("Throughput"))
    return mappings[0]


def root_volume(ctx: Context, instance: Instance, mapping: Mapping[str, Any], tags: dict[str, str]) -> None:
    """The record of the instance's disk, as its launch names it."""
    disk = mapping.get("Ebs") or {}
    kind, size = disk.get("VolumeType") or "gp3", disk.get("VolumeSize") or ROOT_SIZE
    speed, flow = checked_volume(kind, size, disk.get("Iops"), disk.get("Throughput"))
    ctx.tx.put(
        Volume(
            id=new_id(ctx, Volume), size=size, kind=kind, zone=instance.zone, created=ctx.now, iops=speed, throughput=flow,
            encrypted=bool(disk.get("Encrypted")), kms_key=disk.get("KmsKeyId") or "", instance_id=instance.id, device=ROOTS[0],
            delete_on_termination=disk.get("DeleteOnTermination", True), tags=tags,
        )
    )  # fmt: skip


def mappings_of(ctx: Context, instance: Instance) -> list[Shape]:
    """BlockDeviceMappings of a described instance."""
    return [
        {
            "DeviceName": volume.device,
            "Ebs": {
                "VolumeId": volume.id,
                "Status": "attached",
                "AttachTime": volume.created,
                "DeleteOnTermination": volume.delete_on_termination,
            },
        }
        for volume in ctx.tx.find(Volume, "instance", instance.id)
    ]


def take_volumes(ctx: Context, instance_id: str) -> None:
    """When the instance is gone: its disk is gone too, whatever the launch said; a record that stays would promise data."""
    for volume in ctx.tx.find(Volume, "instance", instance_id):
        ctx.tx.delete(Volume, volume.id)


# -- snapshots ------------------------------------------------------------------------------------------------------


def snapshot_shape(ctx: Context, snapshot: Snapshot) -> Shape:
    shape: Shape = {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.size,
        "StartTime": snapshot.started,
        "CompletionTime": snapshot.started,
        "State": "completed",
        "Progress": "100%",
        "OwnerId": ctx.scope.account,
        "Description": snapshot.description,
        "Encrypted": snapshot.encrypted,
        "StorageTier": "standard",
        "Tags": tagged(snapshot),
    }
    return shape | ({"KmsKeyId": snapshot.kms_key} if snapshot.kms_key else {})


@reads(
    "ec2",
    "DescribeSnapshots",
    authorize=on_everything("ec2:DescribeSnapshots"),
    acts="SnapshotIds[] OwnerIds[] RestorableByUserIds[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_snapshots(
    ctx: Context,
    snapshot_ids: list[str] | None = None,
    owner_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
    **_: Any,
) -> Reply:
    dry(dry_run)
    size = checked_page(max_results)
    found = [the(ctx, Snapshot, name) for name in snapshot_ids] if snapshot_ids else every(ctx, Snapshot)
    if owner_ids and not {"self", ctx.scope.account} & set(owner_ids):
        found = []
    known = {
        "snapshot-id": tells("SnapshotId"),
        "volume-id": tells("VolumeId"),
        "volume-size": tells("VolumeSize"),
        "status": tells("State"),
        "owner-id": tells("OwnerId"),
        "description": tells("Description"),
        "encrypted": tells("Encrypted"),
    }
    shapes = chosen([snapshot_shape(ctx, snapshot) for snapshot in found], filters, known)
    return page_of(shapes, "SnapshotId", "Snapshots", size, next_token)


def to_snap(ctx: Context, volume_id: str, tag_specifications: Any = None, **_: Any) -> list[Need]:
    return [*new_needs(ctx, "CreateSnapshot", Snapshot, tag_specifications), need(ctx, "CreateSnapshot", Volume, volume_id)]


@writes("ec2", "CreateSnapshot", authorize=to_snap, acts=f"VolumeId DryRun {TAGS}", descriptive="Description")
def create_snapshot(
    ctx: Context,
    volume_id: str,
    description: str = "",
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
) -> Reply:
    volume = the(ctx, Volume, volume_id)
    if volume.instance_id:
        raise not_built("ec2", "CreateSnapshot", f"VolumeId {volume_id} (an instance's root volume)")
    tags = given_tags(ctx, tag_specifications, Snapshot)
    dry(dry_run)
    snapshot = Snapshot(
        id=new_id(ctx, Snapshot), volume_id=volume_id, size=volume.size, started=ctx.now, description=description,
        encrypted=volume.encrypted, kms_key=volume.kms_key, tags=tags,
    )  # fmt: skip
    ctx.tx.put(snapshot)
    shape = {name: value for name, value in snapshot_shape(ctx, snapshot).items() if name not in ("StorageTier", "CompletionTime")}
    return shape | {"State": "pending", "Progress": ""}


@writes("ec2", "DeleteSnapshot", authorize=on("DeleteSnapshot", (Snapshot, "snapshot_id")), acts="SnapshotId DryRun")
def delete_snapshot(ctx: Context, snapshot_id: str, dry_run: bool = False) -> Reply:
    the(ctx, Snapshot, snapshot_id)
    dry(dry_run)
    ctx.tx.delete(Snapshot, snapshot_id)
    return {}
