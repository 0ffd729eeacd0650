"""VPC endpoints: gateways for S3 and DynamoDB, interfaces for the rest (EC2 API reference, 2016-11-15).

A sandbox reaches this cloud's APIs whether its VPC has an endpoint or not. So a policy that would keep something from passing is refused by name:
it could not do what it says.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, on_everything
from windtunnel.services.ec2.network.common import (
    TAGS,
    Shape,
    by_token,
    describes,
    fingerprint,
    given_tags,
    made_before,
    need,
    new_id,
    new_needs,
    on,
    tagged,
    tells,
    the,
)
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.interfaces import make_interface
from windtunnel.services.ec2.network.model import InVpc, NetworkInterface, Resource, SecurityGroup, Subnet, Vpc
from windtunnel.services.ec2.network.prefixes import AWS_LISTS, aws_list_id
from windtunnel.services.ec2.network.surroundings import Route, RouteTable
from windtunnel.services.ec2.network.touching import touched
from windtunnel.services.ec2.network.zones import zone_names

FULL_ACCESS = {"Version": "2008-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
INTERFACES = (
    "s3", "dynamodb", "ec2", "ec2messages", "ssm", "ssmmessages", "sts", "kms", "logs", "monitoring", "events", "sqs", "sns", "secretsmanager",
    "codebuild", "codecommit", "git-codecommit", "codedeploy", "codedeploy-commands-secure", "codepipeline", "cloudformation", "cloudtrail",
    "ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "lambda", "execute-api", "elasticloadbalancing", "autoscaling", "scheduler",
    "states", "xray", "config",
)  # fmt: skip


class Endpoint(InVpc, kw_only=True):
    """kind: `Gateway` (of route tables) or `Interface` (of subnets and groups)."""

    KIND: ClassVar[str] = "ec2.vpc-endpoint"
    TYPE: ClassVar[str] = "vpc-endpoint"
    PREFIX: ClassVar[str] = "vpce"
    MISSING: ClassVar[tuple[str, str]] = ("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{}' does not exist")
    INDEXES: ClassVar = {"vpc": "vpc_id", "token": by_token}

    kind: str
    service: str
    created: float
    policy: str
    tables: list[str] = []
    subnets: list[str] = []
    groups: list[str] = []
    private_dns: bool = False

    def condition_keys(self, scope: Scope) -> dict[str, Any]:
        return {"ec2:VpceServiceName": self.service}


def services(scope: Scope, kind: str) -> list[str]:
    return [f"com.amazonaws.{scope.region}.{name}" for name in (AWS_LISTS if kind == "Gateway" else INTERFACES)]


def interfaces_of(ctx: Context, endpoint: Endpoint) -> list[NetworkInterface]:
    found = ctx.tx.find(NetworkInterface, "vpc", endpoint.vpc_id)
    return [eni for eni in found if eni.kind == "vpc_endpoint" and eni.managed_by == endpoint.id]


def endpoint_shape(ctx: Context, endpoint: Endpoint) -> Shape:
    enis = interfaces_of(ctx, endpoint) if endpoint.kind == "Interface" else []
    short = endpoint.service.removeprefix(f"com.amazonaws.{ctx.scope.region}.")
    names = [f"{endpoint.id}-{endpoint.id[-8:]}.{short}.{ctx.scope.region}.vpce.amazonaws.com"] if enis else []
    return {
        "VpcEndpointId": endpoint.id,
        "VpcEndpointType": endpoint.kind,
        "VpcId": endpoint.vpc_id,
        "ServiceName": endpoint.service,
        "State": "available",
        "PolicyDocument": endpoint.policy,
        "RouteTableIds": endpoint.tables,
        "SubnetIds": endpoint.subnets,
        "Groups": [{"GroupId": name, "GroupName": the(ctx, SecurityGroup, name).name} for name in endpoint.groups],
        "IpAddressType": "ipv4",
        "DnsOptions": {"DnsRecordIpType": "ipv4" if endpoint.kind == "Interface" else "service-defined"},
        "PrivateDnsEnabled": endpoint.private_dns,
        "RequesterManaged": False,
        "NetworkInterfaceIds": [eni.id for eni in enis],
        "DnsEntries": [{"DnsName": name, "HostedZoneId": "Z7HUB22UULQXV"} for name in names],
        "CreationTimestamp": endpoint.created,
        "OwnerId": ctx.scope.account,
        "Tags": tagged(endpoint),
    }


describes(
    "DescribeVpcEndpoints",
    Endpoint,
    endpoint_shape,
    ids="VpcEndpointIds",
    member="VpcEndpointId",
    out="VpcEndpoints",
    limits=(1, 1000),
    filters={
        "vpc-endpoint-id": tells("VpcEndpointId"),
        "vpc-endpoint-state": tells("State"),
        "vpc-endpoint-type": tells("VpcEndpointType"),
        "service-name": tells("ServiceName"),
        "vpc-id": tells("VpcId"),
        "ip-address-type": tells("IpAddressType"),
    },
)


def checked_policy(text: str | None, operation: str) -> str:
    """The policy as JSON text. Raises InvalidPolicyDocument; a policy that keeps anything out is not built."""
    if not text:
        return json.dumps(FULL_ACCESS)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise AwsError("InvalidPolicyDocument", "Invalid policy document")
    statements = document.get("Statement") or []
    if not any(lets_everything(one) for one in (statements if isinstance(statements, list) else [statements])):
        raise not_built("ec2", operation, "a PolicyDocument that does not let everything pass")
    if any(isinstance(one, dict) and one.get("Effect") == "Deny" for one in statements):
        raise not_built("ec2", operation, "a PolicyDocument that denies")
    return text


def lets_everything(statement: Any) -> bool:
    if not isinstance(statement, dict) or statement.get("Effect") != "Allow" or statement.get("Condition"):
        return False
    everything = ("*", ["*"])
    everybody = statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    return everybody and statement.get("Action") in everything and statement.get("Resource") in everything


def to_create(ctx: Context, vpc_id: str, tag_specifications: Any = None, service_name: str | None = None, **given: Any) -> list[Need]:
    action = "CreateVpcEndpoint"
    named: list[tuple[type[Resource], str]] = [(RouteTable, name) for name in given.get("route_table_ids") or []] + [
        (Subnet, name) for name in given.get("subnet_ids") or []
    ]
    named += [(SecurityGroup, name) for name in given.get("security_group_ids") or []]
    extra = {"ec2:VpceServiceName": service_name or ""}
    needs = [need(ctx, action, Vpc, vpc_id), *new_needs(ctx, action, Endpoint, tag_specifications, extra)]
    return needs + [need(ctx, action, kind, name) for kind, name in named]


@writes(
    "ec2",
    "CreateVpcEndpoint",
    authorize=to_create,
    acts="VpcId ServiceName VpcEndpointType PolicyDocument RouteTableIds[] SubnetIds[] SecurityGroupIds[] PrivateDnsEnabled ClientToken DryRun"
    f" {TAGS}",
    default_only={"IpAddressType": "ipv4"},
)
def create_vpc_endpoint(
    ctx: Context,
    vpc_id: str,
    service_name: str | None = None,
    vpc_endpoint_type: str = "Gateway",
    policy_document: str | None = None,
    route_table_ids: list[str] | None = None,
    subnet_ids: list[str] | None = None,
    security_group_ids: list[str] | None = None,
    private_dns_enabled: bool | None = None,
    client_token: str | None = None,
    tag_specifications: list[dict[str, Any]] | None = None,
    dry_run: bool = False,
    **_: Any,
) -> Reply:
    request = {
        "VpcId": vpc_id, "ServiceName": service_name, "Type": vpc_endpoint_type, "Policy": policy_document, "Tables": route_table_ids,
        "Subnets": subnet_ids, "Groups": security_group_ids, "Dns": private_dns_enabled, "Tags": tag_specifications,
    }  # fmt: skip
    endpoint = made_before(ctx, Endpoint, client_token, request)
    if endpoint is None:
        vpc, tags = the(ctx, Vpc, vpc_id), given_tags(ctx, tag_specifications, Endpoint)
        if vpc_endpoint_type not in ("Gateway", "Interface"):
            raise not_built("ec2", "CreateVpcEndpoint", f"VpcEndpointType {vpc_endpoint_type}")
        if service_name not in services(ctx.scope, vpc_endpoint_type):
            known = service_name in services(ctx.scope, "Interface")
            raise AwsError(
                "InvalidParameter" if known else "InvalidServiceName",
                f"Endpoint type ({vpc_endpoint_type}) does not match available service types ([Interface])."
                if known
                else f"The Vpc Endpoint Service '{service_name}' does not exist",
            )
        if vpc_endpoint_type == "Gateway" and (subnet_ids or security_group_ids or private_dns_enabled):
            raise AwsError("InvalidParameter", "SubnetIds, SecurityGroupIds and PrivateDnsEnabled are of interface endpoints only.")
        if vpc_endpoint_type == "Interface" and route_table_ids:
            raise AwsError("InvalidParameter", "RouteTableIds are of gateway endpoints only.")
        policy = checked_policy(policy_document, "CreateVpcEndpoint")
        private = bool(private_dns_enabled) if vpc_endpoint_type == "Interface" else False
        if private and not (vpc.dns_support and vpc.dns_hostnames):
            raise AwsError(
                "InvalidParameter",
                "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for " + vpc_id,
            )
        dry(dry_run)
        ensure(ctx)
        endpoint = Endpoint(
            id=new_id(ctx, Endpoint), vpc_id=vpc_id, kind=vpc_endpoint_type, service=service_name or "", created=ctx.now, policy=policy,
            private_dns=private, tags=tags, client_token=client_token or "", fingerprint=fingerprint(request),
        )  # fmt: skip
        if vpc_endpoint_type == "Interface" and not security_group_ids:
            security_group_ids = [group.id for group in ctx.tx.find(SecurityGroup, "vpc", vpc_id) if group.name == "default"]
        reach(ctx, endpoint, route_table_ids or [], subnet_ids or [], security_group_ids or [])
    return {"VpcEndpoint": endpoint_shape(ctx, endpoint), "ClientToken": client_token or ""}


def reach(ctx: Context, endpoint: Endpoint, tables: list[str], subnets: list[str], groups: list[str]) -> None:
    """Make routes, interfaces and groups what these lists say, and keep the endpoint. Raises AwsError."""
    for name in groups:
        if the(ctx, SecurityGroup, name).vpc_id != endpoint.vpc_id:
            raise AwsError("InvalidParameter", f"Security group {name} and VPC {endpoint.vpc_id} belong to different networks.")
    endpoint.groups = list(dict.fromkeys(groups))
    prefix_list = aws_list_id(ctx.scope, endpoint.service.rpartition(".")[2])
    wanted = list(dict.fromkeys(tables))
    for name in wanted + [name for name in endpoint.tables if name not in wanted]:
        table = ctx.tx.get(RouteTable, name)
        if table is None or table.vpc_id != endpoint.vpc_id:
            if name not in wanted:
                continue
            if table is None:
                raise AwsError("InvalidRouteTableId.NotFound", f"The routeTable ID '{name}' does not exist")
            raise AwsError("InvalidParameter", f"Route table {name} and VPC {endpoint.vpc_id} belong to different networks.")
        left = [route for route in table.routes if route.target_id != endpoint.id]
        if name in wanted and any(route.prefix_list == prefix_list for route in left):
            raise AwsError("RouteAlreadyExists", f"route table {name} already has a route with destination-prefix-list-id {prefix_list}")
        table.routes = [*left, Route("GatewayId", endpoint.id, prefix_list=prefix_list)] if name in wanted else left
        ctx.tx.put(table)
    endpoint.tables = wanted
    place(ctx, endpoint, list(dict.fromkeys(subnets)))
    ctx.tx.put(endpoint)
    touched(ctx, endpoint.vpc_id)


def place(ctx: Context, endpoint: Endpoint, subnets: list[str]) -> None:
    held = {eni.subnet_id: eni for eni in interfaces_of(ctx, endpoint)}
    zones: dict[str, str] = {}
    for name in subnets:
        subnet = the(ctx, Subnet, name)
        if subnet.vpc_id != endpoint.vpc_id:
            raise AwsError("InvalidParameter", f"Subnet {name} and VPC {endpoint.vpc_id} belong to different networks.")
        if zones.setdefault(subnet.zone, name) != name:
            raise AwsError("DuplicateSubnetsInSameZone", f"Found another VPC endpoint subnet in the availability zone of {name}")
        if name in held:
            eni = held.pop(name)
            eni.groups = endpoint.groups
            ctx.tx.put(eni)
        else:
            make_interface(
                ctx, subnet, kind="vpc_endpoint", managed_by=endpoint.id, groups=endpoint.groups,
                description=f"VPC Endpoint Interface {endpoint.id}",
            )  # fmt: skip
    for eni in held.values():
        ctx.tx.delete(NetworkInterface, eni.id)
    endpoint.subnets = subnets


def changed(held: list[str], add: list[str] | None, remove: list[str] | None) -> list[str]:
    return [name for name in dict.fromkeys([*held, *(add or [])]) if name not in (remove or [])]


@writes(
    "ec2",
    "ModifyVpcEndpoint",
    authorize=on("ModifyVpcEndpoint", (Endpoint, "vpc_endpoint_id")),
    acts="VpcEndpointId ResetPolicy PolicyDocument AddRouteTableIds[] RemoveRouteTableIds[] AddSubnetIds[] RemoveSubnetIds[]"
    " AddSecurityGroupIds[] RemoveSecurityGroupIds[] PrivateDnsEnabled DryRun",
)
def modify_vpc_endpoint(
    ctx: Context, vpc_endpoint_id: str, dry_run: bool = False, policy_document: str | None = None, reset_policy: bool = False, **given: Any
) -> Reply:
    endpoint = the(ctx, Endpoint, vpc_endpoint_id)
    if policy_document or reset_policy:
        endpoint.policy = checked_policy(None if reset_policy else policy_document, "ModifyVpcEndpoint")
    if given.get("private_dns_enabled") is not None:
        endpoint.private_dns = bool(given["private_dns_enabled"]) and endpoint.kind == "Interface"
    tables = changed(endpoint.tables, given.get("add_route_table_ids"), given.get("remove_route_table_ids"))
    subnets = changed(endpoint.subnets, given.get("add_subnet_ids"), given.get("remove_subnet_ids"))
    groups = changed(endpoint.groups, given.get("add_security_group_ids"), given.get("remove_security_group_ids"))
    if (tables and endpoint.kind != "Gateway") or ((subnets or groups) and endpoint.kind != "Interface"):
        raise AwsError("InvalidParameter", f"The endpoint {endpoint.id} is of type {endpoint.kind}.")
    dry(dry_run)
    ensure(ctx)
    reach(ctx, endpoint, tables, subnets, groups)
    return {"Return": True}


@writes("ec2", "DeleteVpcEndpoints", authorize=on("DeleteVpcEndpoints", (Endpoint, "vpc_endpoint_ids")), acts="VpcEndpointIds[] DryRun")
def delete_vpc_endpoints(ctx: Context, vpc_endpoint_ids: list[str], dry_run: bool = False) -> Reply:
    """Item by item: those that are not there are told beside those that went."""
    dry(dry_run)
    unsuccessful = []
    for name in dict.fromkeys(vpc_endpoint_ids):
        endpoint = ctx.tx.get(Endpoint, name)
        if endpoint is None:
            words = Endpoint.MISSING[1].format(name)
            unsuccessful.append({"ResourceId": name, "Error": {"Code": "InvalidVpcEndpoint.NotFound", "Message": words}})
            continue
        reach(ctx, endpoint, [], [], [])
        ctx.tx.delete(Endpoint, name)
    return {"Unsuccessful": unsuccessful}


@reads(
    "ec2",
    "DescribeVpcEndpointServices",
    authorize=on_everything("ec2:DescribeVpcEndpointServices"),
    acts="ServiceNames[] Filters[].Name Filters[].Values[] DryRun",
)
def describe_vpc_endpoint_services(
    ctx: Context, service_names: list[str] | None = None, filters: list[dict[str, Any]] | None = None, dry_run: bool = False
) -> Reply:
    dry(dry_run)
    shapes = []
    for kind in ("Gateway", "Interface"):
        for name in services(ctx.scope, kind):
            short = name.removeprefix(f"com.amazonaws.{ctx.scope.region}.")
            shapes.append(
                {
                    "ServiceName": name,
                    "ServiceId": f"vpce-svc-{fingerprint({'n': name, 'k': kind})[:17]}",
                    "ServiceType": [{"ServiceType": kind}],
                    "ServiceRegion": ctx.scope.region,
                    "AvailabilityZones": zone_names(ctx.scope.region),
                    "Owner": "amazon",
                    "BaseEndpointDnsNames": [f"{short}.{ctx.scope.region}.{'vpce.' if kind == 'Interface' else ''}amazonaws.com"],
                    "VpcEndpointPolicySupported": True,
                    "AcceptanceRequired": False,
                    "ManagesVpcEndpoints": False,
                    "Tags": [],
                    "SupportedIpAddressTypes": ["ipv4"],
                }
            )
    for name in service_names or []:
        if not any(shape["ServiceName"] == name for shape in shapes):
            raise AwsError("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
    asked = [shape for shape in shapes if not service_names or shape["ServiceName"] in service_names]
    known = {"service-name": tells("ServiceName"), "service-type": tells("ServiceType", "ServiceType"), "owner": tells("Owner")}
    found = chosen(asked, filters, known)
    return {"ServiceDetails": found, "ServiceNames": list(dict.fromkeys(str(shape["ServiceName"]) for shape in found))}
