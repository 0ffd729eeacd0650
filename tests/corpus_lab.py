"""Whole templates in one cloud: given parameters, deployed, each resource read by its own service, updated, deleted, and looked for afterwards.

`StandIn` takes the place of resource types that Windtunnel does not run, so that everything else of a template is tried too: what it stands for is
never said to run (the suites that use it say so), and the type's properties are checked by the provider schema all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud
from stacks import Stacks
from windtunnel.compute.dummy import DummyDriver, World
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.provision import registry
from windtunnel.provision.registry import Created, Properties, Resource, ResourceType, Wanted

T = TypeVar("T")
CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
BODY_LIMIT = 51_200
BUCKET = "templates-of-the-lab"


class StockIsThere:
    """The image store of a machine that has the stock image."""

    def ensure_stock(self, progress: Any) -> str:
        return "stock"


@contextmanager
def lab(path: Path, **options: Any) -> Iterator[Lab]:
    with InProcessCloud(path, parts={"compute": DummyDriver(World()), "images": StockIsThere()}, **options) as cloud:
        made = Lab(cloud)
        made.door.client("s3").create_bucket(Bucket=BUCKET)
        yield made


class Lab:
    def __init__(self, cloud: InProcessCloud, door: Door | None = None, region: str = REGION) -> None:
        self.cloud = cloud
        self.region = region
        self.door = door or Door(cloud)
        self.stacks = Stacks(self.door, region=region)
        self.api = self.stacks.api
        self._uploaded = 0
        self.last: dict[str, set[str]] = {}

    def at(self, region: str) -> Lab:
        """The same cloud in another region."""
        return Lab(self.cloud, self.door, region)

    def _look(self, action: Callable[[Context], T]) -> T:
        return self.cloud.read(lambda ctx: action(ctx.in_scope(ACCOUNT, self.region)))

    # -- stacks -------------------------------------------------------------------------------------------------------

    def body(self, text: str) -> dict[str, str]:
        """How a template is handed over: large ones through a bucket, as every client does."""
        if len(text.encode()) <= BODY_LIMIT:
            return {"TemplateBody": text}
        s3 = self.door.client("s3")
        self._uploaded += 1
        s3.put_object(Bucket=BUCKET, Key=f"t{self._uploaded}", Body=text.encode())
        return {"TemplateURL": f"https://{BUCKET}.s3.amazonaws.com/t{self._uploaded}"}

    def create(self, name: str, text: str, values: Mapping[str, str] | None = None, **options: Any) -> tuple[str, str]:
        """(the stack's id, the status at which it arrived)."""
        arn: str = self.api.create_stack(
            StackName=name, **self.body(text), Capabilities=CAPABILITIES, Parameters=parameters(values), **options
        )["StackId"]
        return arn, self.stacks.arrived(arn)

    def update(self, name: str, text: str, values: Mapping[str, str] | None = None, **options: Any) -> str:
        self.api.update_stack(StackName=name, **self.body(text), Capabilities=CAPABILITIES, Parameters=parameters(values), **options)
        return self.stacks.arrived(name)

    def why(self, name: str) -> list[str]:
        """What failed, and how that was said, the first first."""
        return [
            f"{logical} {status}: {reason}"
            for logical, status, reason in self.stacks.events(name)
            if status.endswith(("_FAILED", "ROLLBACK_IN_PROGRESS"))
        ]

    # -- what is there ------------------------------------------------------------------------------------------------

    def inventory(self) -> dict[str, set[str]]:
        """type -> physical ids of everything in the account and region, by each type's own list."""
        found = self._look(everything)
        kms = self.door.client("kms", region=self.region)
        waiting = {id for id in found["AWS::KMS::Key"] if kms.describe_key(KeyId=id)["KeyMetadata"]["KeyState"] == "PendingDeletion"}
        self.last = {**found, "AWS::KMS::Key": found["AWS::KMS::Key"] - waiting}
        return self.last

    def before(self) -> dict[str, set[str]]:
        """What was there when one looked last."""
        return self.last or self.inventory()

    def left(self, before: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """What is there now and was not before."""
        return {name: more for name, ids in self.inventory().items() if (more := ids - before.get(name, set()))}

    def kept(self, arn: str) -> dict[str, set[str]]:
        """type -> physical ids of what the stack says that it left behind."""
        found: dict[str, set[str]] = {}
        for page in self.api.get_paginator("describe_stack_events").paginate(StackName=arn):
            for event in page["StackEvents"]:
                if event["ResourceStatus"] == "DELETE_SKIPPED":
                    found.setdefault(event["ResourceType"], set()).add(event["PhysicalResourceId"])
        return found

    def resources(self, name: str) -> list[Resource]:
        """A stack's resources as the engine knows them."""
        from windtunnel.services.cloudformation.model import StackResource

        described = self.stacks.describe(name)
        arn = described["StackId"]
        records = self._look(lambda ctx: list(ctx.tx.scan(StackResource, prefix=f"{arn.rpartition('/')[2]}/")))
        return [
            Resource(
                type=record.type,
                logical_id=record.logical,
                id=record.now.physical,
                properties=record.now.properties,
                attributes=record.now.attributes,
                stack_id=arn,
                stack_name=name,
            )
            for record in records
            if record.now is not None
        ]

    def read(self, resource: Resource) -> Properties | None:
        """A resource's live state, by its type's own handler; None when it is gone."""
        handler = registry.handler("AWS::CloudFormation::CustomResource" if resource.type.startswith("Custom::") else resource.type)
        assert handler is not None

        def look(ctx: Context) -> Properties | None:
            try:
                return handler.read(ctx.on_behalf("cloudformation"), resource)
            except AwsError as error:
                if error.code in handler.missing:
                    return None
                raise

        return self._look(look)


def everything(ctx: Context) -> dict[str, set[str]]:
    found = {}
    for name in registry.types():
        handler = registry.handler(name)
        if handler is not None and type(handler).list is not ResourceType.list:
            found[name] = set(handler.list(ctx))
    return found


def parameters(values: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in (values or {}).items()]


# -- values for parameters ------------------------------------------------------------------------------------------------


BOOTSTRAP = ("deploy", "cfn-exec", "file-publishing", "image-publishing")


class Surroundings:
    """What a template expects to find: a network, an image, a key pair, the roles of CDK's bootstrap.

    CDK's own integration tests are synthesized for an account, a region and a network that do not exist (`12345678`, `test-region`, `vpc-60900905`):
    `placed` puts the ones of here in their place, and nothing else.
    """

    def __init__(self, lab: Lab) -> None:
        ec2 = lab.door.client("ec2")
        self.vpc = vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        ec2.create_key_pair(KeyName="operator")
        iam = lab.door.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        for kind in BOOTSTRAP:
            name = f"cdk-hnb659fds-{kind}-role-{ACCOUNT}-{REGION}"
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]
        self.zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
        group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
        self._of_type = {
            "AWS::EC2::VPC::Id": vpc,
            "AWS::EC2::Subnet::Id": subnets[0],
            "List<AWS::EC2::Subnet::Id>": ",".join(subnets[:2]),
            "AWS::EC2::KeyPair::KeyName": "operator",
            "AWS::EC2::AvailabilityZone::Name": self.zones[0],
            "List<AWS::EC2::AvailabilityZone::Name>": ",".join(self.zones[:2]),
            "AWS::EC2::SecurityGroup::Id": group,
            "List<AWS::EC2::SecurityGroup::Id>": group,
            "AWS::EC2::Image::Id": STOCK_AMI,
            "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
        }
        self._of_word = {
            "s3versionkey": "asset||0123456789abcdef.zip",
            "artifacthash": "0123456789abcdef",
            "s3bucket": "assets-of-the-corpus",
            "vpcid": vpc,
            "vpc-id": vpc,
            "vpccidr": "10.80.0.0/16",
            "cidr": "10.80.1.0/24",
            "subnet": subnets[0],
            "listener": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/a/0123456789abcdef/0123456789abcdef",
            "snstopic": lab.door.client("sns").create_topic(Name="operators")["TopicArn"],
            "email": "someone@example.com",
            "password": "Correct-Horse-1",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/nobody",
            "bucket": "samples-of-the-corpus",
            "zone": self.zones[0],
        }

    def placed(self, text: str) -> str:
        text = re.sub(r"\btest-region-1(?=[a-z]\b)|\btest-region\b", REGION, text)
        return re.sub(r"\b12345678\b", ACCOUNT, text).replace("vpc-60900905", self.vpc)

    def export(self, lab: Lab, name: str) -> None:
        """Another stack's export, for templates that are one half of two."""
        output = {"Value": self._by_word(name), "Export": {"Name": name}}
        body = {"Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}, "Outputs": {"Out": output}}
        made = "gives-" + re.sub(r"[^A-Za-z0-9]", "-", name)
        assert lab.create(made, json.dumps(body))[1] == "CREATE_COMPLETE", lab.why(made)

    def values(self, template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
        """A value for each parameter that needs one."""
        found = {}
        for name, declared in (template.get("Parameters") or {}).items():
            value = given[name] if name in given else self._value(name, declared)
            if value is not None:
                found[name] = value
        return found

    def _value(self, name: str, declared: Mapping[str, Any]) -> str | None:
        """None: the default will do."""
        kind = str(declared.get("Type", "String"))
        if kind in self._of_type:
            return self._of_type[kind]
        if "Default" in declared:
            return None
        if declared.get("AllowedValues"):
            return str(declared["AllowedValues"][0])
        if kind in ("Number", "List<Number>"):
            return "1"
        value = self._by_word(name)
        return ",".join([value] * 6) if kind == "CommaDelimitedList" else value

    def _by_word(self, name: str) -> str:
        return next((value for word, value in self._of_word.items() if word in name.lower()), "sample")


# -- types that do not run ------------------------------------------------------------------------------------------------


class _Every(frozenset[str]):
    def __contains__(self, name: object) -> bool:
        return True


class StandIn(ResourceType):
    """Takes every property and has every attribute. Nothing stands behind it."""

    live = _Every()

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        unique = wanted.token.replace("-", "")
        id = IDS.get(wanted.type, "{name}").format(
            name=f"{wanted.logical_id[-20:].lower()}-{unique[:8]}", hex=unique[:17], arn=_arn(wanted.type)
        )
        return Created(id=id)

    def attribute(self, ctx: Context, resource: Resource, name: str) -> Any:
        if "Zone" in name:
            return "Z0123456789" if name.endswith(("ZoneId", "ZoneID")) else f"{REGION}a"
        if name.endswith("Arn"):
            return resource.id if resource.id.startswith("arn:") else f"{_arn(resource.type)}:{resource.id}"
        return "1" if name.endswith("Version") else resource.id

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        return resource.properties

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        return None


def _arn(type_name: str) -> str:
    _, service, noun = type_name.split("::") if type_name.count("::") == 2 else ("", "Custom", "thing")
    return f"arn:aws:{service.lower()}:{REGION}:{ACCOUNT}:{noun.lower()}"


IDS = {
    "AWS::Lambda::Version": "{arn}:{name}:1",
    "AWS::Lambda::Alias": "{arn}:{name}:live",
    "AWS::EFS::FileSystem": "fs-{hex}",
    "AWS::Batch::ComputeEnvironment": "{arn}:{name}",
    "AWS::Batch::JobDefinition": "{arn}:{name}",
    "AWS::Batch::JobQueue": "{arn}:{name}",
    "AWS::StepFunctions::StateMachine": "{arn}:{name}",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "{arn}/app/{name}/{hex}",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "{arn}/{name}/{hex}",
    "AWS::ElasticLoadBalancingV2::Listener": "{arn}/app/{name}/{hex}/{hex}",
    "AWS::ECS::TaskDefinition": "{arn}/{name}:1",
    "AWS::CertificateManager::Certificate": "{arn}/{name}",
}
"""What Ref gives of types whose references others check."""


@contextmanager
def stand_ins(templates: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Every type of the templates that does not run is stood in for, and custom resources, whose functions nobody runs."""
    put: dict[str, ResourceType | None] = {name: None for template in templates for name in missing(template)}
    put["AWS::CloudFormation::CustomResource"] = registry.handler("AWS::CloudFormation::CustomResource")
    stand_in = StandIn()
    for name in put:
        registry.RESOURCE_TYPES[name] = stand_in
    try:
        yield
    finally:
        for name, before in put.items():
            if before is None:
                del registry.RESOURCE_TYPES[name]
            else:
                registry.RESOURCE_TYPES[name] = before


def missing(template: Mapping[str, Any]) -> list[str]:
    """The types of a template that do not run (those of transforms apart)."""
    resources = template.get("Resources") or {}
    used = {spec.get("Type", "") for spec in resources.values() if isinstance(spec, dict)}
    return sorted(name for name in used if not name.startswith(("Custom::", "AWS::Serverless::")) and registry.handler(name) is None)


def parsed(text: str) -> dict[str, Any]:
    from windtunnel.services.cloudformation.language.parse import parse

    found = parse(text)
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]
