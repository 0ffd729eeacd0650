"""RunInstances: what it asks permission for, what it refuses, what it starts (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import writes
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.kernel.tags import by_stack, users
from windtunnel.kernel.trail import trail
from windtunnel.services.ec2.instances import dry, move, shape
from windtunnel.services.ec2.keypairs import the_key
from windtunnel.services.ec2.merging import merged
from windtunnel.services.ec2.model import TYPES, Instance, Tokens, checked_tags, run_id
from windtunnel.services.ec2.network.common import fingerprint, need
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.interfaces import attach, give_interface, wear
from windtunnel.services.ec2.network.model import SecurityGroup, Subnet
from windtunnel.services.ec2.placing import Place, asked_place, place_for_needs
from windtunnel.services.ec2.templates import LaunchTemplate
from windtunnel.services.ec2.volumes import checked_mappings, root_volume

MAX_COUNT = 20
STOCK_KEYS = {"ec2:ImageType": "machine", "ec2:Owner": "amazon", "ec2:Public": True, "ec2:RootDeviceType": "ebs"}
"""The condition keys of the one machine image that there is."""


def to_run(
    ctx: Context,
    image_id: str = "",
    instance_type: str = "m1.small",
    iam_instance_profile: dict[str, str] | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    metadata_options: dict[str, Any] | None = None,
    **given: Any,
) -> list[Need]:
    """RunInstances is allowed on each of six resources; tagging and handing over a role are permissions of their own."""
    if given.get("launch_template") and "template" not in given:
        own: dict[str, Any] = {"image_id": image_id or None, "instance_type": instance_type if instance_type != "m1.small" else None}
        own |= {
            "iam_instance_profile": iam_instance_profile,
            "tag_specifications": tag_specifications,
            "metadata_options": metadata_options,
        }
        whole = merged(ctx, given | {name: value for name, value in own.items() if value is not None})
        template = need(ctx, "RunInstances", LaunchTemplate, whole["template"]["id"])
        return [*to_run(ctx, **whole), template]
    scope, image_id = ctx.scope, image_of(ctx, image_id)
    tags = users(request_tags(tag_specifications, by_stack(ctx)))
    subnet, groups, place = place_for_needs(ctx, given)
    keys: dict[str, Any] = {"ec2:InstanceType": instance_type, "ec2:Region": scope.region, "ec2:AvailabilityZone": place}
    options = metadata_options or {}
    machine = keys | {
        "ec2:EbsOptimized": False,
        "ec2:InstanceMarketType": "on-demand",
        "ec2:MetadataHttpEndpoint": options.get("HttpEndpoint", "enabled"),
        "ec2:MetadataHttpPutResponseHopLimit": options.get("HttpPutResponseHopLimit", 1),
        "ec2:MetadataHttpTokens": options.get("HttpTokens", "optional"),
        "ec2:RootDeviceType": "ebs",
        "ec2:Tenancy": "default",
    }
    found = profile(ctx, iam_instance_profile) if iam_instance_profile else {}
    if found:
        machine["ec2:InstanceProfile"] = found["Arn"]
    asked = machine | {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        asked["aws:TagKeys"] = list(tags)
    on = "RunInstances"
    needs = [
        Need("ec2:RunInstances", f"arn:aws:ec2:{scope.region}::image/{image_id}", keys | STOCK_KEYS),
        Need("ec2:RunInstances", scope.arn("ec2", "instance/*"), asked),
        Need("ec2:RunInstances", scope.arn("ec2", "network-interface/*"), keys),
        need(ctx, on, Subnet, subnet, keys),
        Need("ec2:RunInstances", scope.arn("ec2", "volume/*"), keys),
    ]
    needs += [need(ctx, on, SecurityGroup, group, keys) for group in groups]
    if tags:
        needs.append(Need("ec2:CreateTags", scope.arn("ec2", "instance/*"), asked | {"ec2:CreateAction": "RunInstances"}))
    for kind in ("volume", "network-interface"):
        other = users(request_tags(tag_specifications, by_stack(ctx), kind))
        if other:
            said = keys | {f"aws:RequestTag/{key}": value for key, value in other.items()} | {"aws:TagKeys": list(other)}
            needs.append(Need("ec2:CreateTags", scope.arn("ec2", f"{kind}/*"), said | {"ec2:CreateAction": "RunInstances"}))
    for role in found.get("Roles", []):
        needs.append(Need("iam:PassRole", role["Arn"], {"iam:PassedToService": "ec2.amazonaws.com"}))
    return needs


def image_of(ctx: Context, named: str) -> str:
    """The image's id, which may be said as `resolve:ssm:PARAMETER[:VERSION|:LABEL]`: the parameter is read as the caller (API reference, RunInstances)."""
    if not named.startswith("resolve:ssm:"):
        return named
    try:
        found: str = ctx.call("ssm", "GetParameter", name=named.removeprefix("resolve:ssm:"))["Parameter"]["Value"]
    except AwsError as error:
        if error.code not in ("ParameterNotFound", "ParameterVersionNotFound", "ValidationException"):
            raise
        raise AwsError(
            "InvalidParameterValue", f"Value ({named}) for parameter imageId is invalid. The SSM parameter is not found."
        ) from None
    return found


def request_tags(specifications: list[dict[str, Any]] | None, stack: bool = False, kind: str = "instance") -> dict[str, str]:
    found = [tag for item in specifications or [] for tag in item.get("Tags") or [] if item.get("ResourceType") == kind]
    return checked_tags(found, stack)


def launched_before(ctx: Context, client_token: str, wanted: str) -> list[Instance]:
    """What an earlier request with this token launched. Raises IdempotentParameterMismatch if that one asked for something else."""
    earlier = ctx.tx.find(Instance, "token", client_token)
    if any(instance.fingerprint != wanted for instance in earlier):
        raise AwsError(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        )
    return earlier


def profile(ctx: Context, named: dict[str, str]) -> dict[str, Any]:
    """The instance profile by Name or Arn, read with the cloud's own eyes: launching does not ask for iam:GetInstanceProfile."""
    name = named.get("Name") or named.get("Arn", "").rsplit("/", 1)[-1]
    try:
        found = ctx.acting(Principal.service("windtunnel", ctx.scope.account)).call("iam", "GetInstanceProfile", instance_profile_name=name)
    except AwsError as error:
        if error.code != "NoSuchEntity":
            raise
        said = f"name ({name})" if "Name" in named else f"arn ({named.get('Arn')})"
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({name}) for parameter iamInstanceProfile.{said.split()[0]} is invalid. Invalid IAM Instance Profile {said.split()[0]}",
        ) from error
    shown: dict[str, Any] = found["InstanceProfile"]
    return shown


def checked_user_data(text: str) -> str:
    """UserData as it came: base64 of at most 16 KiB."""
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise AwsError("InvalidParameterValue", "Invalid BASE64 encoding of user data.") from None
    if size > 16384:
        raise AwsError("InvalidParameterValue", "User data is limited to 16384 bytes")
    return text


def checked_type(name: str) -> str:
    if name not in TYPES:
        raise AwsError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    return name


def check_launch(ctx: Context, image_id: str, instance_type: str, key_name: str, low: int, high: int) -> None:
    if not re.match(r"ami-[0-9a-f]{8,17}\Z", image_id):
        raise AwsError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    if image_id != STOCK_AMI:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    checked_type(instance_type)
    if key_name:
        the_key(ctx, key_name)
    if low < 1 or high < low:
        raise AwsError("InvalidParameterValue", f"Invalid value '{low if low < 1 else high}' for {'minCount' if low < 1 else 'maxCount'}.")
    if low > MAX_COUNT:
        raise AwsError(
            "InstanceLimitExceeded", f"You have requested more instances ({low}) than your current instance limit of {MAX_COUNT} allows."
        )


@writes(
    "ec2",
    "RunInstances",
    authorize=to_run,
    acts="ImageId InstanceType MinCount MaxCount SubnetId SecurityGroupIds[] SecurityGroups[] KeyName UserData ClientToken DryRun"
    " IamInstanceProfile.Name IamInstanceProfile.Arn TagSpecifications[].ResourceType TagSpecifications[].Tags[].Key"
    " TagSpecifications[].Tags[].Value MetadataOptions.HttpTokens MetadataOptions.HttpEndpoint MetadataOptions.InstanceMetadataTags"
    " DisableApiTermination InstanceInitiatedShutdownBehavior Placement.AvailabilityZone PrivateIpAddress"
    " NetworkInterfaces[].DeviceIndex NetworkInterfaces[].SubnetId NetworkInterfaces[].Groups[] NetworkInterfaces[].NetworkInterfaceId"
    " NetworkInterfaces[].AssociatePublicIpAddress NetworkInterfaces[].PrivateIpAddress NetworkInterfaces[].DeleteOnTermination"
    " LaunchTemplate.LaunchTemplateId LaunchTemplate.LaunchTemplateName LaunchTemplate.Version BlockDeviceMappings[].DeviceName"
    " BlockDeviceMappings[].Ebs.DeleteOnTermination",
    descriptive="Monitoring.Enabled MetadataOptions.HttpPutResponseHopLimit NetworkInterfaces[].Description CreditSpecification.CpuCredits"
    " BlockDeviceMappings[].Ebs.VolumeSize BlockDeviceMappings[].Ebs.VolumeType BlockDeviceMappings[].Ebs.Iops"
    " BlockDeviceMappings[].Ebs.Throughput BlockDeviceMappings[].Ebs.Encrypted BlockDeviceMappings[].Ebs.KmsKeyId",
    default_only={"EbsOptimized": False, "Placement.Tenancy": "default"},
)
def run_instances(ctx: Context, max_count: int, min_count: int, **given: Any) -> Reply:
    return launch(ctx, **merged(ctx, {**given, "max_count": max_count, "min_count": min_count}))


def launch(
    ctx: Context,
    max_count: int,
    min_count: int,
    image_id: str = "",
    instance_type: str = "m1.small",
    subnet_id: str | None = None,
    security_group_ids: list[str] | None = None,
    security_groups: list[str] | None = None,
    key_name: str = "",
    user_data: str = "",
    client_token: str = "",
    dry_run: bool = False,
    iam_instance_profile: dict[str, str] | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    metadata_options: dict[str, Any] | None = None,
    disable_api_termination: bool = False,
    instance_initiated_shutdown_behavior: str = "stop",
    monitoring: dict[str, bool] | None = None,
    placement: dict[str, str] | None = None,
    private_ip_address: str | None = None,
    network_interfaces: list[dict[str, Any]] | None = None,
    block_device_mappings: list[dict[str, Any]] | None = None,
    template: dict[str, str] | None = None,
    credit_specification: dict[str, str] | None = None,
    **_: Any,
) -> Reply:
    request = {
        "MinCount": min_count,
        "MaxCount": max_count,
        "ImageId": image_id,
        "InstanceType": instance_type,
        "SubnetId": subnet_id,
        "SecurityGroupIds": security_group_ids,
        "SecurityGroups": security_groups,
        "KeyName": key_name,
        "UserData": user_data,
        "IamInstanceProfile": iam_instance_profile,
        "TagSpecifications": tag_specifications,
        "MetadataOptions": metadata_options,
        "DisableApiTermination": disable_api_termination,
        "InstanceInitiatedShutdownBehavior": instance_initiated_shutdown_behavior,
        "Monitoring": monitoring,
        "Placement": placement,
    }
    request |= {"PrivateIpAddress": private_ip_address, "NetworkInterfaces": network_interfaces} if network_interfaces or private_ip_address else {}  # fmt: skip
    request |= {"BlockDeviceMappings": block_device_mappings} if block_device_mappings else {}
    request |= {"LaunchTemplate": template} if template else {}
    asked = fingerprint(request) if client_token else ""
    earlier = launched_before(ctx, client_token, asked) if client_token else []
    if earlier:
        dry(dry_run)
        return reservation(ctx, earlier)
    if not image_id:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    image_id = image_of(ctx, image_id)
    for item in tag_specifications or []:
        if item.get("ResourceType") not in ("instance", "volume", "network-interface"):
            raise not_built("ec2", "RunInstances", f"TagSpecification.ResourceType {item.get('ResourceType')}")
    check_launch(ctx, image_id, instance_type, key_name, min_count, max_count)
    disk = checked_mappings(block_device_mappings or [])
    others = {kind: request_tags(tag_specifications, by_stack(ctx), kind) for kind in ("volume", "network-interface")}
    place = asked_place(
        ctx,
        subnet_id,
        security_group_ids or [],
        security_groups or [],
        (placement or {}).get("AvailabilityZone"),
        private_ip_address,
        network_interfaces or [],
    )
    if (place.private_ip or place.interface) and max_count > 1:
        raise AwsError("InvalidParameterCombination", "A private IP address or a network interface may be given for one instance only.")
    data = checked_user_data(user_data) if user_data else ""
    found = profile(ctx, iam_instance_profile) if iam_instance_profile else {}
    reason = ctx.cloud.part("compute").available()
    if reason is not None:
        raise AwsError("InsufficientInstanceCapacity", f"This machine cannot run instances: {reason}", status=500)
    tags = request_tags(tag_specifications, by_stack(ctx))
    dry(dry_run)
    ensure(ctx)
    options = metadata_options or {}
    tokens = Tokens(
        options.get("HttpTokens", "optional"),
        options.get("HttpEndpoint", "enabled"),
        options.get("HttpPutResponseHopLimit", 1),
        options.get("InstanceMetadataTags", "disabled"),
    )
    launched = []
    reservation_id = "r-0" + ctx.ids.hex(16)
    for number in range(min(max_count, MAX_COUNT)):
        instance = Instance(
            id="i-0" + ctx.ids.hex(16),
            reservation_id=reservation_id,
            owner=ctx.scope.account,
            index=number,
            image_id=image_id,
            type=instance_type,
            state="pending",
            launched=ctx.now,
            tags=tags,
            profile_arn=found.get("Arn", ""),
            profile_id=found.get("InstanceProfileId", ""),
            user_data=data,
            client_token=client_token,
            fingerprint=asked,
            shutdown_behavior=instance_initiated_shutdown_behavior,
            protected=disable_api_termination,
            monitoring=bool((monitoring or {}).get("Enabled")),
            metadata=tokens,
            key_name=key_name,
            public_key=the_key(ctx, key_name).public if key_name else "",
            template=template or {},
            credits=(credit_specification or {}).get("CpuCredits", ""),
        )
        settle(ctx, instance, place, others["network-interface"])
        if disk is not None or others["volume"]:
            root_volume(ctx, instance, disk or {}, others["volume"])
        boot(ctx, instance)
        launched.append(instance)
    return reservation(ctx, launched)


def settle(ctx: Context, instance: Instance, place: Place, tags: dict[str, str]) -> None:
    """Give the instance its first interface."""
    instance.public = place.public
    if place.interface is not None:
        attach(ctx, place.interface, instance, delete=place.delete_interface)
        wear(instance, place.interface)
        return
    eni = give_interface(ctx, instance, place.subnet, place.groups, place.private_ip, description=place.description, tags=tags)
    if not place.delete_interface:
        eni.delete_on_termination = False
        ctx.tx.put(eni)


def reservation(ctx: Context, instances: list[Instance]) -> Reply:
    return {
        "ReservationId": instances[0].reservation_id,
        "OwnerId": ctx.scope.account,
        "Groups": [],
        "Instances": [shape(ctx, i) for i in sorted(instances, key=lambda i: i.index)],
    }


def boot(ctx: Context, instance: Instance) -> None:
    """Write the instance as pending and start the run that boots it and stays with it until it stops."""
    instance.boots += 1
    move(ctx, instance, "pending")
    ctx.start_job("ec2.instance", run_id(instance), instance_id=instance.id, number=instance.boots)
    name = f" ({instance.tags['Name']})" if "Name" in instance.tags else ""
    trail(ctx, [instance.id], f"instance {instance.id}{name} is booted")
