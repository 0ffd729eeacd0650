"""Instances, their states and their shapes. Pure."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.kernel.tags import reserved, users

State = Literal["pending", "running", "shutting-down", "terminated", "stopping", "stopped"]
CODES: dict[State, int] = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
TERMINATED_SHOWN = 3600.0
"""How long a terminated instance is still described, in seconds."""
GIB = 1 << 30
TAG_LIMIT = 50
_SIZES = {"large": 1, "xlarge": 2, "2xlarge": 4, "4xlarge": 8}
_LARGE: dict[str, float] = {
    "m3": 7.5, "m4": 8, "m5": 8, "m5a": 8, "m5d": 8, "m5n": 8, "m6i": 8, "m6a": 8, "m7i": 8, "m7a": 8, "m7i-flex": 8,
    "c3": 3.75, "c4": 3.75, "c5": 4, "c5a": 4, "c5d": 4, "c5n": 5.25, "c6i": 4, "c6a": 4, "c7i": 4, "c7a": 4,
    "r3": 15.25, "r4": 15.25, "r5": 16, "r5a": 16, "r6i": 16, "r6a": 16, "r7i": 16, "i2": 15.25, "i3": 15.25, "i3en": 16, "d2": 15.25,
}  # fmt: skip
"""family -> GiB of its size large, of two vCPUs; the sizes above it are multiples of that."""
_NOT_MADE = ("m3.4xlarge", "i2.large", "d2.large", "i3en.4xlarge")
TYPES: dict[str, tuple[int, float]] = {
    "t1.micro": (1, 0.613),
    "t2.nano": (1, 0.5), "t2.micro": (1, 1), "t2.small": (1, 2), "t2.medium": (2, 4), "t2.large": (2, 8),
    "t2.xlarge": (4, 16), "t2.2xlarge": (8, 32),
    **{
        f"{family}.{size}": found
        for family in ("t3", "t3a")
        for size, found in {
            "nano": (2, 0.5), "micro": (2, 1.0), "small": (2, 2.0), "medium": (2, 4.0), "large": (2, 8.0), "xlarge": (4, 16.0), "2xlarge": (8, 32.0),
        }.items()
    },
    "m1.small": (1, 1.7), "m1.medium": (1, 3.75), "m1.large": (2, 7.5), "m1.xlarge": (4, 15),
    "m2.xlarge": (2, 17.1), "m2.2xlarge": (4, 34.2), "m2.4xlarge": (8, 68.4), "m3.medium": (1, 3.75),
    "c1.medium": (2, 1.7), "c1.xlarge": (8, 7),
    **{
        name: (2 * times, memory * times)
        for family, memory in _LARGE.items()
        for size, times in _SIZES.items()
        if (name := f"{family}.{size}") not in _NOT_MADE
    },
}  # fmt: skip
"""instance type -> (vCPUs, GiB of memory): the x86 types that templates name; a sandbox is given no more than this machine has."""
OLD = ("t1.", "t2.", "m1.", "m2.", "m3.", "m4.", "c1.", "c3.", "c4.", "r3.", "r4.", "i2.", "d2.")
"""Generations on Xen, without ENA."""
PREVIOUS = ("t1.", "m1.", "m2.", "m3.", "c1.", "c3.", "r3.", "i2.")


def tag_key(tag: Mapping[str, str]) -> str:
    """A tag's key, which EC2's model does not require and EC2 does."""
    if not tag.get("Key"):
        raise AwsError("InvalidParameterValue", "Tag keys cannot be null or empty.")
    return tag["Key"]


def checked_tags(tags: Iterable[Mapping[str, str]], stack: bool = False) -> dict[str, str]:
    """Tags as EC2 takes them: key 1-128 characters, value up to 256, no key twice. stack: CloudFormation asks, which may set AWS's own."""
    found: dict[str, str] = {}
    for tag in tags:
        key, value = tag_key(tag), tag.get("Value", "")
        if reserved(key, stack):
            raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > 128:
            raise AwsError("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters")
        if len(value) > 256:
            raise AwsError("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters")
        if key in found:
            raise AwsError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        found[key] = value
    return within_limit(found)


def within_limit(tags: dict[str, str]) -> dict[str, str]:
    if len(users(tags)) > TAG_LIMIT:
        raise AwsError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
    return tags


class Tokens(msgspec.Struct):
    """Metadata options: http_tokens "required" refuses version 1."""

    http_tokens: str = "optional"
    http_endpoint: str = "enabled"
    hop_limit: int = 1
    instance_tags: str = "disabled"


class Instance(Record, kw_only=True):
    """private_ip is the sandbox's own address, which this machine reaches; vpc_ip the one within the subnet, that of the interface interface_id.

    vpc_id, subnet_id, zone, groups (ids) are that interface's too; public: whether it has a public address; wired: whether its last boot has its place in the VPC;
    elastic_ip: of the elastic address that it has. public_key: as OpenSSH writes it. template: of a launch from a launch
    template its id, name and version. boots counts the boots so far; handle is the driver's (compute.driver.Handle as data) of the last boot that began,
    None before the first; fingerprint is that of the request, by which a client token used again is known to ask for the same."""

    KIND: ClassVar[str] = "ec2.instance"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"token": "client_token"}

    id: str
    reservation_id: str
    owner: str
    index: int
    image_id: str
    type: str
    state: State
    launched: float
    private_ip: str = ""
    tags: dict[str, str] = {}
    profile_arn: str = ""
    profile_id: str = ""
    user_data: str = ""
    key_name: str = ""
    client_token: str = ""
    fingerprint: str = ""
    shutdown_behavior: str = "stop"
    protected: bool = False
    monitoring: bool = False
    metadata: Tokens = msgspec.field(default_factory=Tokens)
    reason_code: str = ""
    reason: str = ""
    transition: str = ""
    boots: int = 0
    lost: int | None = None
    """The last boot under which the cloud or the machine ended."""
    handle: dict[str, Any] | None = None
    ended: float = 0.0
    vpc_id: str = ""
    subnet_id: str = ""
    zone: str = ""
    vpc_ip: str = ""
    groups: list[str] = []
    interface_id: str = ""
    public: bool = True
    wired: bool = False
    elastic_ip: str = ""
    public_key: str = ""
    credits: str = ""
    template: dict[str, str] = {}

    def key(self) -> str:
        return self.id

    def placed(self, scope: Scope) -> Instance:
        """The record with its place filled in: instances of releases that knew no other stand in the default subnet and group."""
        self.vpc_id = self.vpc_id or default_id("vpc", scope)
        self.subnet_id = self.subnet_id or default_id("subnet", scope)
        self.zone = self.zone or zone(scope)
        self.groups = self.groups or [default_id("sg", scope)]
        return self


def run_id(instance: Instance) -> str:
    """The run of the instance's last boot; the driver's token of that boot begins with it."""
    return f"{instance.id}/{instance.boots}"


def stamp(seconds: float) -> str:
    """A time as StateTransitionReason holds it."""
    return time.strftime("%Y-%m-%d %H:%M:%S GMT", time.gmtime(seconds))


def default_id(kind: str, scope: Scope) -> str:
    """The id of a resource that each account and region has from the beginning (its default VPC, subnet, security group)."""
    digest = hashlib.sha256(f"{kind}/{scope.account}/{scope.region}".encode()).hexdigest()
    return f"{kind}-0{digest[:16]}"


def instance_arn(scope: Scope, instance_id: str) -> str:
    return scope.arn("ec2", f"instance/{instance_id}")


def zone(scope: Scope) -> str:
    """The first zone, in which what names none is placed."""
    return f"{scope.region}a"


def private_dns(scope: Scope, ip: str) -> str:
    suffix = "ec2.internal" if scope.region == "us-east-1" else f"{scope.region}.compute.internal"
    return f"ip-{ip.replace('.', '-')}.{suffix}" if ip else ""


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def state_shape(state: State) -> dict[str, Any]:
    return {"Code": CODES[state], "Name": state}


def metadata_options_shape(options: Tokens) -> dict[str, Any]:
    return {
        "State": "applied",
        "HttpTokens": options.http_tokens,
        "HttpPutResponseHopLimit": options.hop_limit,
        "HttpEndpoint": options.http_endpoint,
        "InstanceMetadataTags": options.instance_tags,
    }


def private_address(instance: Instance) -> str:
    """Its address within its subnet; of a boot of a release that knew no VPCs, the one that it has."""
    return instance.vpc_ip if instance.wired or not instance.private_ip else instance.private_ip


def public_address(instance: Instance) -> str:
    """An elastic address, or while it runs its own on this machine, which answers as it is; none when its interface is to have none."""
    if instance.elastic_ip and instance.state not in ("shutting-down", "terminated"):
        return instance.elastic_ip
    return instance.private_ip if instance.state == "running" and instance.public else ""


def described(scope: Scope, instance: Instance, groups: list[dict[str, str]], interfaces: list[dict[str, Any]]) -> dict[str, Any]:
    """The Instance shape. groups: GroupId and GroupName of each; interfaces: InstanceNetworkInterface shapes."""
    instance.placed(scope)
    cpus = TYPES.get(instance.type, (1, 1.0))[0]
    live = instance.state not in ("terminated", "shutting-down")
    shown: dict[str, Any] = {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "State": state_shape(instance.state),
        "PrivateDnsName": private_dns(scope, private_address(instance)) if live else "",
        "PublicDnsName": public_address(instance),
        "StateTransitionReason": instance.transition,
        "AmiLaunchIndex": instance.index,
        "ProductCodes": [],
        "InstanceType": instance.type,
        "LaunchTime": instance.launched,
        "Placement": {"AvailabilityZone": instance.zone, "GroupName": "", "Tenancy": "default"},
        "Monitoring": {"State": "enabled" if instance.monitoring else "disabled"},
        "Architecture": "x86_64",
        "BlockDeviceMappings": [],
        "ClientToken": instance.client_token,
        "EbsOptimized": False,
        "EnaSupport": True,
        "Hypervisor": "xen",
        "NetworkInterfaces": interfaces if live else [],
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "SecurityGroups": groups if live else [],
        "SourceDestCheck": True,
        "Tags": tag_list(instance.tags),
        "VirtualizationType": "hvm",
        "CpuOptions": {"CoreCount": cpus, "ThreadsPerCore": 1},
        "MetadataOptions": metadata_options_shape(instance.metadata),
        "UsageOperation": "RunInstances",
    }
    if live:
        shown |= {"SubnetId": instance.subnet_id, "VpcId": instance.vpc_id}
        if private_address(instance):
            shown["PrivateIpAddress"] = private_address(instance)
    if public_address(instance):
        shown["PublicIpAddress"] = public_address(instance)
    if instance.key_name:
        shown["KeyName"] = instance.key_name
    if instance.profile_arn and live:
        shown["IamInstanceProfile"] = {"Arn": instance.profile_arn, "Id": instance.profile_id}
    if instance.state == "pending":
        shown["StateReason"] = {"Code": "pending", "Message": "pending"}
    elif instance.reason_code:
        shown["StateReason"] = {"Code": instance.reason_code, "Message": instance.reason}
    return shown


def image(scope: Scope) -> dict[str, Any]:
    """The one machine image that there is: the stock image."""
    return {
        "ImageId": STOCK_AMI,
        "Name": "windtunnel-stock-debian-12",
        "Description": "Windtunnel's stock image (Debian 12 with the names that Amazon Linux hooks use)",
        "ImageLocation": "amazon/windtunnel-stock-debian-12",
        "ImageOwnerAlias": "amazon",
        "OwnerId": "137112412989",
        "ImageType": "machine",
        "State": "available",
        "Public": True,
        "Architecture": "x86_64",
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "EnaSupport": True,
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "CreationDate": "2026-01-01T00:00:00.000Z",
        "BlockDeviceMappings": [],
        "ProductCodes": [],
        "Tags": [],
    }
