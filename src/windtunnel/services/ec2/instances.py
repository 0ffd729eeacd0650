"""Operations on instances (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.kernel.trail import trail
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.model import (
    TERMINATED_SHOWN,
    TYPES,
    Instance,
    State,
    Tokens,
    default_id,
    described,
    instance_arn,
    state_shape,
    tag_key,
    zone,
)

INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{17}|[0-9a-f]{8})\Z")
MAX_COUNT = 20


def default_group(ctx: Context) -> dict[str, str]:
    return {"GroupId": default_id("sg", ctx.scope), "GroupName": "default"}


def shape(ctx: Context, instance: Instance) -> dict[str, Any]:
    return described(ctx.scope, instance, default_id("subnet", ctx.scope), default_id("vpc", ctx.scope), default_group(ctx))


def dry(dry_run: bool) -> None:
    """A permitted dry run ends here, with AWS's odd success."""
    if dry_run:
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)


def visible(ctx: Context) -> list[Instance]:
    found = ctx.tx.scan(Instance)
    return [i for i in found if i.state != "terminated" or ctx.now - i.ended < TERMINATED_SHOWN]


def the_instances(ctx: Context, ids: list[str]) -> list[Instance]:
    """In the order asked. Raises InvalidInstanceID.Malformed or .NotFound as AWS words them."""
    found, missing = [], []
    for name in ids:
        if not INSTANCE_ID.match(name):
            raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{name}"')
        instance = ctx.tx.get(Instance, name)
        if instance is None or (instance.state == "terminated" and ctx.now - instance.ended >= TERMINATED_SHOWN):
            missing.append(name)
        else:
            found.append(instance)
    if len(missing) == 1:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{missing[0]}' does not exist")
    if missing:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(missing)}' do not exist")
    return found


# -- RunInstances ---------------------------------------------------------------------------------------------------


def to_run(
    ctx: Context,
    image_id: str = "",
    instance_type: str = "m1.small",
    iam_instance_profile: dict[str, str] | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    subnet_id: str | None = None,
    security_group_ids: list[str] | None = None,
    metadata_options: dict[str, Any] | None = None,
    **_: Any,
) -> list[Need]:
    """RunInstances is allowed on each of six resources; tagging and handing over a role are permissions of their own."""
    scope = ctx.scope
    tags = request_tags(tag_specifications)
    keys: dict[str, Any] = {"ec2:InstanceType": instance_type, "ec2:Region": scope.region, "ec2:AvailabilityZone": zone(scope)}
    if metadata_options and "HttpTokens" in metadata_options:
        keys["ec2:MetadataHttpTokens"] = metadata_options["HttpTokens"]
    asked = keys | {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        asked["aws:TagKeys"] = list(tags)
    subnet = subnet_id or default_id("subnet", scope)
    needs = [
        Need("ec2:RunInstances", f"arn:aws:ec2:{scope.region}::image/{image_id}", keys),
        Need("ec2:RunInstances", scope.arn("ec2", "instance/*"), asked),
        Need("ec2:RunInstances", scope.arn("ec2", "network-interface/*"), keys),
        Need("ec2:RunInstances", scope.arn("ec2", f"subnet/{subnet}"), keys),
        Need("ec2:RunInstances", scope.arn("ec2", "volume/*"), keys),
    ]
    for group in security_group_ids or [default_id("sg", scope)]:
        needs.append(Need("ec2:RunInstances", scope.arn("ec2", f"security-group/{group}"), keys))
    if tags:
        needs.append(Need("ec2:CreateTags", scope.arn("ec2", "instance/*"), asked | {"ec2:CreateAction": "RunInstances"}))
    if iam_instance_profile:
        for role in profile(ctx, iam_instance_profile).get("Roles", []):
            needs.append(Need("iam:PassRole", role["Arn"], {"iam:PassedToService": "ec2.amazonaws.com"}))
    return needs


def request_tags(specifications: list[dict[str, Any]] | None) -> dict[str, str]:
    return {
        tag_key(tag): tag.get("Value", "")
        for item in specifications or []
        for tag in item.get("Tags") or []
        if item.get("ResourceType") == "instance"
    }


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


def check_launch(
    ctx: Context, image_id: str, instance_type: str, subnet_id: str | None, groups: list[str], key_name: str, low: int, high: int
) -> None:
    if not re.match(r"ami-[0-9a-f]{8,17}\Z", image_id):
        raise AwsError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    if image_id != STOCK_AMI:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if instance_type not in TYPES:
        raise AwsError("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")
    if subnet_id is not None and subnet_id != default_id("subnet", ctx.scope):
        raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    for group in groups:
        if group != default_id("sg", ctx.scope):
            raise AwsError("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
    if key_name:
        raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
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
    " DisableApiTermination InstanceInitiatedShutdownBehavior",
    descriptive="Monitoring.Enabled MetadataOptions.HttpPutResponseHopLimit",
    default_only={"EbsOptimized": False, "Placement.Tenancy": "default"},
)
def run_instances(
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
    **_: Any,
) -> Reply:
    if client_token:
        earlier = ctx.tx.find(Instance, "token", client_token)
        if earlier:
            return reservation(ctx, earlier)
    if not image_id:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    for item in tag_specifications or []:
        if item.get("ResourceType") != "instance":
            raise not_built("ec2", "RunInstances", f"TagSpecification.ResourceType {item.get('ResourceType')}")
    if security_groups and security_groups != ["default"]:
        raise AwsError(
            "InvalidGroup.NotFound",
            f"The security group '{security_groups[0]}' does not exist in default VPC '{default_id('vpc', ctx.scope)}'",
        )
    check_launch(ctx, image_id, instance_type, subnet_id, security_group_ids or [], key_name, min_count, max_count)
    data = checked_user_data(user_data) if user_data else ""
    found = profile(ctx, iam_instance_profile) if iam_instance_profile else {}
    reason = ctx.cloud.part("compute").available()
    if reason is not None:
        raise AwsError("InsufficientInstanceCapacity", f"This machine cannot run instances: {reason}", status=500)
    dry(dry_run)
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
            tags=request_tags(tag_specifications),
            profile_arn=found.get("Arn", ""),
            profile_id=found.get("InstanceProfileId", ""),
            user_data=data,
            client_token=client_token,
            shutdown_behavior=instance_initiated_shutdown_behavior,
            protected=disable_api_termination,
            monitoring=bool((monitoring or {}).get("Enabled")),
            metadata=tokens,
        )
        boot(ctx, instance)
        launched.append(instance)
    return reservation(ctx, launched)


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
    ctx.start_job("ec2.instance", f"{instance.id}/{instance.boots}", instance_id=instance.id, number=instance.boots)
    name = f" ({instance.tags['Name']})" if "Name" in instance.tags else ""
    trail(ctx, [instance.id], f"instance {instance.id}{name} is booted")


def move(ctx: Context, instance: Instance, state: State) -> None:
    """Put the instance into a state, with the event that AWS sends."""
    instance.state = state
    ctx.tx.put(instance)
    ctx.emit(
        "aws.ec2",
        "EC2 Instance State-change Notification",
        [instance_arn(ctx.scope, instance.id)],
        {"instance-id": instance.id, "state": state},
    )


# -- describing -----------------------------------------------------------------------------------------------------


def on_everything(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(action, "*")]

    return authorize


FILTERS = {
    "instance-id": lambda s: [s["InstanceId"]],
    "instance-state-name": lambda s: [s["State"]["Name"]],
    "instance-state-code": lambda s: [str(s["State"]["Code"])],
    "instance-type": lambda s: [s["InstanceType"]],
    "image-id": lambda s: [s["ImageId"]],
    "private-ip-address": lambda s: [s.get("PrivateIpAddress", "")],
    "ip-address": lambda s: [s.get("PublicIpAddress", "")],
    "private-dns-name": lambda s: [s.get("PrivateDnsName", "")],
    "dns-name": lambda s: [s.get("PublicDnsName", "")],
    "vpc-id": lambda s: [s.get("VpcId", "")],
    "subnet-id": lambda s: [s.get("SubnetId", "")],
    "availability-zone": lambda s: [s["Placement"]["AvailabilityZone"]],
    "iam-instance-profile.arn": lambda s: [s.get("IamInstanceProfile", {}).get("Arn", "")],
    "client-token": lambda s: [s["ClientToken"]],
    "reservation-id": lambda s: [s["ReservationId"]],
    "owner-id": lambda s: [s["OwnerId"]],
    "architecture": lambda s: [s["Architecture"]],
    "instance.group-id": lambda s: [g["GroupId"] for g in s["SecurityGroups"]],
    "instance.group-name": lambda s: [g["GroupName"] for g in s["SecurityGroups"]],
}


@reads(
    "ec2",
    "DescribeInstances",
    authorize=on_everything("ec2:DescribeInstances"),
    acts="InstanceIds[] Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_instances(
    ctx: Context,
    instance_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    if instance_ids and max_results:
        raise AwsError("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
    found = the_instances(ctx, instance_ids) if instance_ids else visible(ctx)
    shapes = [shape(ctx, i) | {"ReservationId": i.reservation_id, "OwnerId": i.owner} for i in found]
    kept = chosen(shapes, filters, FILTERS)
    kept.sort(key=lambda s: (s["LaunchTime"], s["ReservationId"], s["AmiLaunchIndex"]))
    start = token_position(next_token)
    page = kept[start : start + max_results] if max_results else kept[start:]
    reservations: dict[str, dict[str, Any]] = {}
    for item in page:
        owner, name = item.pop("OwnerId"), item.pop("ReservationId")
        reservations.setdefault(name, {"ReservationId": name, "OwnerId": owner, "Groups": [], "Instances": []})["Instances"].append(item)
    reply: Reply = {"Reservations": list(reservations.values())}
    if start + len(page) < len(kept):
        reply["NextToken"] = base64.urlsafe_b64encode(str(start + len(page)).encode()).decode()
    return reply


def token_position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        raise AwsError("InvalidNextToken", "The specified nextToken is invalid.") from None


@reads(
    "ec2",
    "DescribeInstanceStatus",
    authorize=on_everything("ec2:DescribeInstanceStatus"),
    acts="InstanceIds[] Filters[].Name Filters[].Values[] IncludeAllInstances DryRun",
    cost="scan",
)
def describe_instance_status(
    ctx: Context,
    instance_ids: list[str] | None = None,
    filters: list[dict[str, Any]] | None = None,
    include_all_instances: bool = False,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    found = the_instances(ctx, instance_ids) if instance_ids else visible(ctx)
    kept = chosen([shape(ctx, i) | {"ReservationId": i.reservation_id, "OwnerId": i.owner} for i in found], filters, FILTERS)
    statuses = []
    for item in kept:
        running = item["State"]["Name"] == "running"
        if not running and not include_all_instances:
            continue
        word = "ok" if running else "not-applicable"
        check = {"Status": word, "Details": [{"Name": "reachability", "Status": "passed"}] if running else []}
        statuses.append(
            {
                "InstanceId": item["InstanceId"],
                "AvailabilityZone": item["Placement"]["AvailabilityZone"],
                "InstanceState": item["State"],
                "InstanceStatus": check,
                "SystemStatus": check,
                "Events": [],
            }
        )
    return {"InstanceStatuses": statuses}


# -- start, stop, terminate -----------------------------------------------------------------------------------------


def on_instances(action: str) -> Any:
    def authorize(ctx: Context, instance_ids: list[str], **_: Any) -> list[Need]:
        needs = []
        for name in instance_ids:
            instance = ctx.tx.get(Instance, name)
            keys = {f"aws:ResourceTag/{k}": v for k, v in instance.tags.items()} if instance else {}
            keys |= {f"ec2:ResourceTag/{k}": v for k, v in instance.tags.items()} if instance else {}
            needs.append(Need(action, instance_arn(ctx.scope, name), keys))
        return needs

    return authorize


def change(instance: Instance, previous: State) -> dict[str, Any]:
    return {"InstanceId": instance.id, "CurrentState": state_shape(instance.state), "PreviousState": state_shape(previous)}


def refuse_states(instances: list[Instance], allowed: tuple[State, ...], verb: str) -> None:
    for instance in instances:
        if instance.state not in allowed:
            raise AwsError("IncorrectInstanceState", f"The instance '{instance.id}' is not in a state from which it can be {verb}.")


@writes("ec2", "TerminateInstances", authorize=on_instances("ec2:TerminateInstances"), acts="InstanceIds[] DryRun")
def terminate_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    for instance in found:
        if instance.protected:
            raise AwsError(
                "OperationNotPermitted",
                f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
            )
    dry(dry_run)
    changes = []
    for instance in found:
        previous = instance.state
        if previous not in ("shutting-down", "terminated"):
            instance.reason_code, instance.reason = "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
            instance.transition = "User initiated"
            end(ctx, instance, "shutting-down", "terminate", previous)
        changes.append(change(instance, previous))
    return {"TerminatingInstances": changes}


def end(ctx: Context, instance: Instance, state: State, word: str, previous: State) -> None:
    """Begin stopping or terminating. The instance's own run does it; a stopped one has none, so it gets one that only removes."""
    move(ctx, instance, state)
    if previous == "stopped":
        ctx.start_job("ec2.remove", f"{instance.id}/remove", instance_id=instance.id)
    else:
        ctx.signal(f"ec2.order:{instance.id}:{instance.boots}", {"order": word})
    trail(ctx, [instance.id], f"{ctx.principal.arn} asked to {word} instance {instance.id}")


@writes(
    "ec2",
    "StopInstances",
    authorize=on_instances("ec2:StopInstances"),
    acts="InstanceIds[] DryRun",
    default_only={"Hibernate": False, "Force": False},
)
def stop_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False, **_: Any) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    refuse_states(found, ("pending", "running", "stopping", "stopped"), "stopped")
    dry(dry_run)
    changes = []
    for instance in found:
        previous = instance.state
        if previous in ("running", "pending"):
            instance.reason_code, instance.reason = "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
            end(ctx, instance, "stopping", "stop", previous)
        changes.append(change(instance, previous))
    return {"StoppingInstances": changes}


@writes("ec2", "StartInstances", authorize=on_instances("ec2:StartInstances"), acts="InstanceIds[] DryRun")
def start_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    refuse_states(found, ("stopped", "pending", "running"), "started")
    dry(dry_run)
    changes = []
    for instance in found:
        previous = instance.state
        if previous == "stopped":
            instance.reason_code = instance.reason = instance.transition = ""
            instance.launched = ctx.now
            boot(ctx, instance)
        changes.append(change(instance, previous))
    return {"StartingInstances": changes}


@writes("ec2", "RebootInstances", authorize=on_instances("ec2:RebootInstances"), acts="InstanceIds[] DryRun")
def reboot_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    refuse_states(found, ("running",), "rebooted")
    dry(dry_run)
    for instance in found:
        ctx.signal(f"ec2.order:{instance.id}:{instance.boots}", {"order": "reboot"})
    return {}


# -- looking into one -----------------------------------------------------------------------------------------------


def on_instance(action: str) -> Any:
    def authorize(ctx: Context, instance_id: str, **_: Any) -> list[Need]:
        return on_instances(action)(ctx, [instance_id])  # type: ignore[no-any-return]

    return authorize


@reads(
    "ec2", "GetConsoleOutput", authorize=on_instance("ec2:GetConsoleOutput"), acts="InstanceId DryRun", descriptive="Latest", cost="scan"
)
def get_console_output(ctx: Context, instance_id: str, dry_run: bool = False, latest: bool = False) -> Reply:
    """The last 64 KiB that the instance wrote to its console, base64."""
    dry(dry_run)
    instance = the_instances(ctx, [instance_id])[0]
    return {"InstanceId": instance_id, "Timestamp": ctx.now, "Output": base64.b64encode(console(ctx, instance)).decode()}


def console(ctx: Context, instance: Instance) -> bytes:
    import msgspec

    from windtunnel.compute.driver import Handle

    if instance.handle is None or instance.state == "terminated":
        return b""
    driver, handle = ctx.cloud.part("compute"), msgspec.convert(instance.handle, Handle)
    tail, offset = b"", 0
    while True:
        frames, following = driver.logs(handle, offset)
        tail = (tail + b"".join(frame.data for frame in frames))[-65536:]
        if following == offset:
            return tail
        offset = following


@reads(
    "ec2",
    "DescribeInstanceAttribute",
    authorize=on_instance("ec2:DescribeInstanceAttribute"),
    acts="InstanceId Attribute DryRun",
)
def describe_instance_attribute(ctx: Context, instance_id: str, attribute: str, dry_run: bool = False) -> Reply:
    dry(dry_run)
    instance = the_instances(ctx, [instance_id])[0]
    known: dict[str, tuple[str, Any]] = {
        "userData": ("UserData", {"Value": instance.user_data} if instance.user_data else {}),
        "instanceType": ("InstanceType", {"Value": instance.type}),
        "disableApiTermination": ("DisableApiTermination", {"Value": instance.protected}),
        "disableApiStop": ("DisableApiStop", {"Value": False}),
        "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", {"Value": instance.shutdown_behavior}),
        "groupSet": ("Groups", [default_group(ctx)]),
        "ebsOptimized": ("EbsOptimized", {"Value": False}),
        "sourceDestCheck": ("SourceDestCheck", {"Value": True}),
        "rootDeviceName": ("RootDeviceName", {"Value": "/dev/xvda"}),
    }
    if attribute not in known:
        raise not_built("ec2", "DescribeInstanceAttribute", f"Attribute {attribute}")
    name, value = known[attribute]
    return {"InstanceId": instance_id, name: value}
