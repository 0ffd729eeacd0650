"""Changing an instance that is there: its attributes and its metadata options (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

import base64
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.ec2.instances import dry, on_instance, on_instances, the_instances
from windtunnel.services.ec2.launching import checked_type, checked_user_data
from windtunnel.services.ec2.model import Instance, metadata_options_shape
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.model import NetworkInterface
from windtunnel.services.ec2.network.nics import regroup

ATTRIBUTES = {
    "disableApiTermination": "disable_api_termination",
    "instanceInitiatedShutdownBehavior": "instance_initiated_shutdown_behavior",
    "userData": "user_data",
    "instanceType": "instance_type",
}
"""Attribute, as `Attribute` with `Value` names it -> the argument that sets the same."""


@writes(
    "ec2",
    "ModifyInstanceAttribute",
    authorize=on_instance("ec2:ModifyInstanceAttribute"),
    acts="InstanceId Attribute Value DryRun DisableApiTermination.Value InstanceInitiatedShutdownBehavior.Value UserData.Value"
    " InstanceType.Value Groups[]",
    descriptive="SourceDestCheck.Value",
    default_only={"EbsOptimized.Value": False, "DisableApiStop.Value": False},
)
def modify_instance_attribute(
    ctx: Context,
    instance_id: str,
    attribute: str | None = None,
    value: str | None = None,
    groups: list[str] | None = None,
    dry_run: bool = False,
    **named: Any,
) -> Reply:
    """One attribute a call, as AWS has it: by its own member, or by Attribute and Value."""
    instance = the_instances(ctx, [instance_id])[0]
    plain = [name for name in ("ebs_optimized", "disable_api_stop") if named.pop(name, None) is not None]
    given = {name: shape.get("Value") for name, shape in named.items()}
    if groups is not None and not given and attribute is None:
        ensure(ctx)
        eni = first_interface(ctx, instance_id)
        regroup(ctx, eni, groups, dry_run)
        return {}
    if given.keys() == {"source_dest_check"} and attribute is None:
        ensure(ctx)
        eni = first_interface(ctx, instance_id)
        dry(dry_run)
        eni.source_dest_check = bool(given["source_dest_check"])
        ctx.tx.put(eni)
        return {}
    if plain and not given and attribute is None:
        dry(dry_run)
        return {}
    if attribute is not None:
        if attribute not in ATTRIBUTES:
            raise AwsError("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid. Unknown attribute.")
        given[ATTRIBUTES[attribute]] = value == "true" if attribute == "disableApiTermination" else value
    if not given:
        raise AwsError("InvalidParameterCombination", "No attributes specified.")
    if len(given) > 1:
        raise AwsError("InvalidParameterCombination", "Fields for multiple attribute types specified")
    dry(dry_run)
    ((name, wanted),) = given.items()
    set_attribute(instance, name, wanted)
    ctx.tx.put(instance)
    return {}


def first_interface(ctx: Context, instance_id: str) -> NetworkInterface:
    found = ctx.tx.find(NetworkInterface, "instance", instance_id)
    if not found:
        raise AwsError("IncorrectInstanceState", f"The instance '{instance_id}' is not in a state in which it can be modified.")
    return min(found, key=lambda eni: eni.device)


def set_attribute(instance: Instance, name: str, wanted: Any) -> None:
    if name in ("user_data", "instance_type") and instance.state != "stopped":
        raise AwsError("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state.")
    if name == "disable_api_termination":
        instance.protected = bool(wanted)
    elif name == "instance_initiated_shutdown_behavior":
        if wanted not in ("stop", "terminate"):
            raise AwsError("InvalidParameterValue", f"Invalid value '{wanted}' for InstanceInitiatedShutdownBehavior.")
        instance.shutdown_behavior = wanted
    elif name == "user_data":
        text = base64.b64encode(wanted).decode() if isinstance(wanted, bytes) else wanted  # a blob by its own member, text by Value
        instance.user_data = checked_user_data(text) if text else ""
    else:
        instance.type = checked_type(wanted or "")


@writes(
    "ec2",
    "ModifyInstanceMetadataOptions",
    authorize=on_instance("ec2:ModifyInstanceMetadataOptions"),
    acts="InstanceId HttpTokens HttpEndpoint InstanceMetadataTags DryRun",
    descriptive="HttpPutResponseHopLimit",
)
def modify_instance_metadata_options(
    ctx: Context,
    instance_id: str,
    http_tokens: str | None = None,
    http_endpoint: str | None = None,
    instance_metadata_tags: str | None = None,
    http_put_response_hop_limit: int | None = None,
    dry_run: bool = False,
) -> Reply:
    instance = the_instances(ctx, [instance_id])[0]
    if instance.state in ("shutting-down", "terminated"):
        raise AwsError("IncorrectInstanceState", f"The instance '{instance_id}' is not in a state in which it can be modified.")
    if http_put_response_hop_limit is not None and not 1 <= http_put_response_hop_limit <= 64:
        raise AwsError("InvalidParameterValue", f"Value ({http_put_response_hop_limit}) for HttpPutResponseHopLimit is invalid: 1 to 64.")
    dry(dry_run)
    options = instance.metadata
    options.http_tokens = http_tokens or options.http_tokens
    options.http_endpoint = http_endpoint or options.http_endpoint
    options.instance_tags = instance_metadata_tags or options.instance_tags
    options.hop_limit = http_put_response_hop_limit or options.hop_limit
    ctx.tx.put(instance)
    return {"InstanceId": instance_id, "InstanceMetadataOptions": metadata_options_shape(options)}


def monitored(ctx: Context, instance_ids: list[str], wanted: bool, dry_run: bool) -> Reply:
    found = the_instances(ctx, list(dict.fromkeys(instance_ids)))
    dry(dry_run)
    for instance in found:
        instance.monitoring = wanted
        ctx.tx.put(instance)
    word = "pending" if wanted else "disabling"
    return {"InstanceMonitorings": [{"InstanceId": instance.id, "Monitoring": {"State": word}} for instance in found]}


@writes("ec2", "MonitorInstances", authorize=on_instances("ec2:MonitorInstances"), descriptive="InstanceIds[]", acts="DryRun")
def monitor_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    return monitored(ctx, instance_ids, True, dry_run)


@writes("ec2", "UnmonitorInstances", authorize=on_instances("ec2:UnmonitorInstances"), descriptive="InstanceIds[]", acts="DryRun")
def unmonitor_instances(ctx: Context, instance_ids: list[str], dry_run: bool = False) -> Reply:
    return monitored(ctx, instance_ids, False, dry_run)
