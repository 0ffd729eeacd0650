"""What surrounds subnets, with boto3 in process: route tables, gateways, NAT, elastic addresses, ACLs, endpoints, peering, prefix lists, tags."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_ec2_network import StockIsThere, by, new_vpc, refused  # noqa: E402

from clients import Door  # noqa: E402
from harness import ACCOUNT, InProcessCloud, until  # noqa: E402
from windtunnel.compute.dummy import DummyDriver, World  # noqa: E402
from windtunnel.kernel.stock import STOCK_AMI  # noqa: E402


@pytest.fixture(scope="module")
def ec2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with InProcessCloud(tmp_path_factory.mktemp("ec2"), parts={"compute": DummyDriver(World()), "images": StockIsThere()}) as cloud:
        yield Door(cloud).client("ec2")


def subnet_of(ec2: Any, vpc: str, cidr: str = "10.0.1.0/24") -> str:
    return str(ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"])


def gateway_of(ec2: Any, vpc: str) -> str:
    name = str(ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
    ec2.attach_internet_gateway(InternetGatewayId=name, VpcId=vpc)
    return name


def routes(ec2: Any, table: str) -> list[tuple[str, str]]:
    (shown,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    keys = ("GatewayId", "NatGatewayId", "VpcPeeringConnectionId")
    return [(r.get("DestinationCidrBlock") or r["DestinationPrefixListId"], next(r[k] for k in keys if k in r)) for r in shown["Routes"]]


def test_routes_and_associations(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet, gateway = subnet_of(ec2, vpc), gateway_of(ec2, vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    exists = "RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists."
    assert refused(ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway) == exists
    assert routes(ec2, table) == [("10.0.0.0/16", "local"), ("0.0.0.0/0", gateway)]
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    assert refused(ec2.associate_route_table, RouteTableId=other, SubnetId=subnet)[0] == "Resource.AlreadyAssociated"
    assert refused(ec2.delete_route_table, RouteTableId=table)[0] == "DependencyViolation"
    moved = ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)["NewAssociationId"]
    (shown,) = ec2.describe_route_tables(Filters=by("association.subnet-id", subnet))["RouteTables"]
    assert shown["RouteTableId"] == other and shown["Associations"][0]["RouteTableAssociationId"] == moved
    (main,) = ec2.describe_route_tables(Filters=[*by("vpc-id", vpc), *by("association.main", "true")])["RouteTables"]
    first = main["Associations"][0]["RouteTableAssociationId"]
    assert refused(ec2.disassociate_route_table, AssociationId=first)[0] == "InvalidParameterValue"
    ec2.replace_route_table_association(AssociationId=first, RouteTableId=table)
    assert ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Associations"][0]["Main"] is True
    ec2.disassociate_route_table(AssociationId=moved)
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    gone = "InvalidRoute.NotFound", f"no route with destination-cidr-block 0.0.0.0/0 in route table {table}"
    assert refused(ec2.delete_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0") == gone


def test_a_route_to_a_gateway_of_another_network_is_refused_and_one_to_a_detached_gateway_is_a_black_hole(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    words = f"route table {table} and network gateway {gateway} belong to different networks"
    asked = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    assert refused(ec2.create_route, **asked) == ("InvalidParameterValue", words)
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert refused(ec2.attach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc)[0] == "Resource.AlreadyAssociated"
    ec2.create_route(**asked)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    missing = "Gateway.NotAttached", f"resource {gateway} is not attached to network {vpc}"
    assert refused(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) == missing
    assert ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"][1]["State"] == "blackhole"


def test_an_elastic_address_goes_from_one_to_another(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet = subnet_of(ec2, vpc)
    made = ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": [{"Key": "Name", "Value": "ip"}]}])
    name = made["AllocationId"]
    one, two = (ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"] for _ in range(2))
    assert refused(ec2.associate_address, AllocationId=name, NetworkInterfaceId=one["NetworkInterfaceId"])[0] == "Gateway.NotAttached"
    gateway_of(ec2, vpc)
    first = ec2.associate_address(AllocationId=name, NetworkInterfaceId=one["NetworkInterfaceId"])["AssociationId"]
    held = "Resource.AlreadyAssociated", f"resource {name} is already associated with associate-id {first}"
    assert refused(ec2.associate_address, AllocationId=name, NetworkInterfaceId=two["NetworkInterfaceId"]) == held
    ec2.associate_address(AllocationId=name, NetworkInterfaceId=two["NetworkInterfaceId"], AllowReassociation=True)
    (shown,) = ec2.describe_addresses(Filters=by("tag:Name", "ip"))["Addresses"]
    assert (shown["PublicIp"], shown["NetworkInterfaceId"]) == (made["PublicIp"], two["NetworkInterfaceId"])
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[two["NetworkInterfaceId"]])["NetworkInterfaces"]
    assert eni["Association"]["PublicIp"] == made["PublicIp"]
    assert refused(ec2.release_address, AllocationId=name) == ("InvalidIPAddress.InUse", f"Address {made['PublicIp']} is in use.")
    assert refused(ec2.delete_network_interface, NetworkInterfaceId=two["NetworkInterfaceId"])[0] == "InvalidParameterValue"
    ec2.disassociate_address(AssociationId=shown["AssociationId"])
    ec2.release_address(AllocationId=name)
    lost = "InvalidAllocationID.NotFound", f"The allocation ID '{name}' does not exist"
    assert refused(ec2.describe_addresses, AllocationIds=[name]) == lost


def test_a_released_address_is_the_machines_again(tmp_path: Path) -> None:
    world = World()
    with InProcessCloud(tmp_path, parts={"compute": DummyDriver(world), "images": StockIsThere()}) as cloud:
        ec2 = Door(cloud).client("ec2")
        made = ec2.allocate_address()
        assert world.addresses == {made["AllocationId"]: made["PublicIp"]}
        ec2.release_address(AllocationId=made["AllocationId"])
        until(lambda: not world.addresses, 10, "the address is given back")


def test_an_instance_shows_its_elastic_address_until_it_ends(ec2: Any) -> None:
    address = ec2.allocate_address()
    launched = ec2.run_instances(ImageId=STOCK_AMI, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]

    def instance() -> Any:
        return ec2.describe_instances(InstanceIds=[launched])["Reservations"][0]["Instances"][0]

    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=launched)
    assert instance()["PublicIpAddress"] == address["PublicIp"]
    ec2.terminate_instances(InstanceIds=[launched])
    until(lambda: instance()["State"]["Name"] == "terminated", 10, "the instance ends")
    assert "AssociationId" not in ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"][0]
    assert ec2.describe_network_interfaces(Filters=by("attachment.instance-id", launched))["NetworkInterfaces"] == []


def test_nat_gateways(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet = subnet_of(ec2, vpc)
    address = ec2.allocate_address()
    failed = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"])["NatGateway"]
    assert failed["State"] == "pending"
    (shown,) = ec2.describe_nat_gateways(NatGatewayIds=[failed["NatGatewayId"]])["NatGateways"]
    assert (shown["State"], shown["FailureCode"]) == ("failed", "Gateway.NotAttached")
    gateway_of(ec2, vpc)
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"], ClientToken="once")["NatGateway"]
    again = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"], ClientToken="once")["NatGateway"]
    assert again["NatGatewayId"] == made["NatGatewayId"]
    nat = made["NatGatewayId"]
    (shown,) = ec2.describe_nat_gateways(Filter=by("nat-gateway-id", nat))["NatGateways"]
    assert shown["State"] == "available" and shown["NatGatewayAddresses"][0]["PublicIp"] == address["PublicIp"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    assert refused(ec2.delete_subnet, SubnetId=subnet)[0] == "DependencyViolation"
    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"] == "deleted"
    assert ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"][1]["State"] == "blackhole"
    ec2.release_address(AllocationId=address["AllocationId"])
    ec2.delete_subnet(SubnetId=subnet)


def test_network_acls(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet = subnet_of(ec2, vpc)
    (default,) = ec2.describe_network_acls(Filters=by("vpc-id", vpc))["NetworkAcls"]
    assert default["IsDefault"] and [entry["RuleNumber"] for entry in default["Entries"]] == [100, 32767, 100, 32767]
    (association,) = default["Associations"]
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "RuleNumber": 100, "Protocol": "6", "RuleAction": "allow", "Egress": False, "CidrBlock": "0.0.0.0/0"}
    ec2.create_network_acl_entry(**entry, PortRange={"From": 80, "To": 80})
    again = "NetworkAclEntryAlreadyExists", "The network acl entry identified by 100 already exists."
    assert refused(ec2.create_network_acl_entry, **entry, PortRange={"From": 80, "To": 80}) == again
    assert refused(ec2.create_network_acl_entry, **entry | {"RuleNumber": 101})[0] == "MissingParameter"
    ec2.replace_network_acl_entry(**entry | {"RuleAction": "deny"}, PortRange={"From": 1, "To": 2})
    (shown,) = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert [(e["RuleAction"], e.get("PortRange")) for e in shown["Entries"] if e["RuleNumber"] == 100] == [("deny", {"From": 1, "To": 2})]
    moved = ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl)["NewAssociationId"]
    assert refused(ec2.delete_network_acl, NetworkAclId=acl)[0] == "DependencyViolation"
    ec2.replace_network_acl_association(AssociationId=moved, NetworkAclId=default["NetworkAclId"])
    ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=False)
    assert refused(ec2.delete_network_acl_entry, NetworkAclId=acl, RuleNumber=100, Egress=False)[0] == "InvalidNetworkAclEntry.NotFound"
    ec2.delete_network_acl(NetworkAclId=acl)
    assert refused(ec2.delete_network_acl, NetworkAclId=default["NetworkAclId"])[0] == "InvalidParameterValue"
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_endpoints(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet = subnet_of(ec2, vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    service = "com.amazonaws.us-east-1.s3"
    made = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, RouteTableIds=[table])["VpcEndpoint"]
    (lists,) = ec2.describe_prefix_lists(Filters=by("prefix-list-name", service))["PrefixLists"]
    assert routes(ec2, table)[1] == (lists["PrefixListId"], made["VpcEndpointId"])
    assert refused(ec2.create_vpc_endpoint, VpcId=vpc, ServiceName=service, RouteTableIds=[table])[0] == "RouteAlreadyExists"
    ec2.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], RemoveRouteTableIds=[table])
    assert len(routes(ec2, table)) == 1
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    inner = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName="com.amazonaws.us-east-1.ssm", VpcEndpointType="Interface", SubnetIds=[subnet], PrivateDnsEnabled=True
    )["VpcEndpoint"]
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=inner["NetworkInterfaceIds"])["NetworkInterfaces"]
    assert (eni["InterfaceType"], eni["SubnetId"], eni["RequesterManaged"]) == ("vpc_endpoint", subnet, True)
    assert refused(ec2.create_vpc_endpoint, VpcId=vpc, ServiceName="com.amazonaws.us-east-1.nothing")[0] == "InvalidServiceName"
    policy = '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}'
    assert refused(ec2.create_vpc_endpoint, VpcId=vpc, ServiceName=service, PolicyDocument=policy)[0] == "NotImplemented"
    assert refused(ec2.delete_vpc, VpcId=vpc)[0] == "DependencyViolation"
    left = ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"], inner["VpcEndpointId"], "vpce-00000000"])["Unsuccessful"]
    assert [(item["ResourceId"], item["Error"]["Code"]) for item in left] == [("vpce-00000000", "InvalidVpcEndpoint.NotFound")]
    ec2.delete_subnet(SubnetId=subnet)


def test_peering(ec2: Any) -> None:
    one, two, same = new_vpc(ec2, "10.10.0.0/16"), new_vpc(ec2, "10.11.0.0/16"), new_vpc(ec2, "10.10.0.0/16")
    made = ec2.create_vpc_peering_connection(VpcId=one, PeerVpcId=two)["VpcPeeringConnection"]
    assert made["Status"] == {"Code": "pending-acceptance", "Message": f"Pending Acceptance by {ACCOUNT}"}
    name = made["VpcPeeringConnectionId"]
    assert ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=name)["VpcPeeringConnection"]["Status"]["Code"] == "active"
    assert refused(ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=name)[0] == "InvalidStateTransition"
    table = ec2.create_route_table(VpcId=one)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.11.0.0/16", VpcPeeringConnectionId=name)
    far = ec2.create_security_group(GroupName="far", Description="far", VpcId=two)["GroupId"]
    near = ec2.create_security_group(GroupName="near", Description="near", VpcId=one)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=near, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": far}]}])
    assert ec2.create_vpc_peering_connection(VpcId=one, PeerVpcId=same)["VpcPeeringConnection"]["Status"]["Code"] == "failed"
    assert refused(ec2.delete_vpc, VpcId=two)[0] == "DependencyViolation"
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=name)
    (shown,) = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[name])["VpcPeeringConnections"]
    assert shown["Status"]["Code"] == "deleted"


def test_peering_over_regions_needs_the_other_sides_yes(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path, parts={"compute": DummyDriver(World()), "images": StockIsThere()}) as cloud:
        door = Door(cloud)
        here, there = door.client("ec2"), door.client("ec2", region="eu-west-1")
        peer = there.describe_vpcs()["Vpcs"][0]["VpcId"]
        vpc = new_vpc(here)
        asked = {"VpcId": vpc, "PeerVpcId": peer, "PeerRegion": "eu-west-1"}
        name = here.create_vpc_peering_connection(**asked)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        assert refused(here.accept_vpc_peering_connection, VpcPeeringConnectionId=name)[0] == "OperationNotPermitted"
        there.accept_vpc_peering_connection(VpcPeeringConnectionId=name)
        assert here.describe_vpc_peering_connections()["VpcPeeringConnections"][0]["Status"]["Code"] == "active"


def test_managed_prefix_lists(ec2: Any) -> None:
    made = ec2.create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=2, AddressFamily="IPv4", Entries=[{"Cidr": "10.1.0.0/16", "Description": "one"}]
    )["PrefixList"]
    name = made["PrefixListId"]
    ec2.modify_managed_prefix_list(PrefixListId=name, CurrentVersion=1, AddEntries=[{"Cidr": "10.2.0.0/16"}])
    assert [e["Cidr"] for e in ec2.get_managed_prefix_list_entries(PrefixListId=name)["Entries"]] == ["10.1.0.0/16", "10.2.0.0/16"]
    assert len(ec2.get_managed_prefix_list_entries(PrefixListId=name, TargetVersion=1)["Entries"]) == 1
    stale = {"PrefixListId": name, "CurrentVersion": 1, "AddEntries": [{"Cidr": "10.3.0.0/16"}]}
    assert refused(ec2.modify_managed_prefix_list, **stale)[0] == "PrefixListVersionMismatch"
    assert refused(ec2.modify_managed_prefix_list, **stale | {"CurrentVersion": 2})[0] == "InvalidPrefixListModification"
    group = ec2.create_security_group(GroupName="offices", Description="offices")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": name}]}])
    assert refused(ec2.delete_managed_prefix_list, PrefixListId=name)[0] == "DependencyViolation"
    ec2.delete_security_group(GroupId=group)
    ec2.delete_managed_prefix_list(PrefixListId=name)


def test_dhcp_options(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    wanted = [{"Key": "domain-name", "Values": ["example.com"]}, {"Key": "domain-name-servers", "Values": ["10.0.0.2", "10.0.0.3"]}]
    made = ec2.create_dhcp_options(DhcpConfigurations=wanted)["DhcpOptions"]
    assert made["DhcpConfigurations"][0] == {"Key": "domain-name", "Values": [{"Value": "example.com"}]}
    ec2.associate_dhcp_options(DhcpOptionsId=made["DhcpOptionsId"], VpcId=vpc)
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["DhcpOptionsId"] == made["DhcpOptionsId"]
    assert refused(ec2.delete_dhcp_options, DhcpOptionsId=made["DhcpOptionsId"])[0] == "DependencyViolation"
    ec2.associate_dhcp_options(DhcpOptionsId="default", VpcId=vpc)
    ec2.delete_dhcp_options(DhcpOptionsId=made["DhcpOptionsId"])


def test_everything_has_tags(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    names = [vpc, subnet_of(ec2, vpc), gateway_of(ec2, vpc), ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]]
    ec2.create_tags(Resources=names, Tags=[{"Key": "team", "Value": "blue"}])
    shown = ec2.describe_tags(Filters=by("key", "team"))["Tags"]
    assert {(tag["ResourceId"], tag["Value"]) for tag in shown} == {(name, "blue") for name in names}
    assert {tag["ResourceType"] for tag in shown} == {"vpc", "subnet", "internet-gateway", "route-table"}
    assert ec2.describe_subnets(Filters=by("tag:team", "blue"))["Subnets"][0]["SubnetId"] == names[1]
    ec2.delete_tags(Resources=names[:1], Tags=[{"Key": "team"}])
    assert len(ec2.describe_tags(Filters=by("key", "team"))["Tags"]) == 3
    wrong = [{"ResourceType": "subnet", "Tags": []}]
    assert refused(ec2.create_vpc, CidrBlock="10.0.0.0/16", TagSpecifications=wrong)[0] == "InvalidParameterValue"


def test_groups_of_an_instance_change(ec2: Any) -> None:
    launched = ec2.run_instances(ImageId=STOCK_AMI, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    group = ec2.create_security_group(GroupName="later", Description="later")["GroupId"]
    ec2.modify_instance_attribute(InstanceId=launched["InstanceId"], Groups=[group])
    (shown,) = ec2.describe_instances(InstanceIds=[launched["InstanceId"]])["Reservations"][0]["Instances"]
    assert shown["SecurityGroups"] == [{"GroupId": group, "GroupName": "later"}]
    assert shown["NetworkInterfaces"][0]["Groups"] == shown["SecurityGroups"]
    assert refused(ec2.delete_security_group, GroupId=group)[0] == "DependencyViolation"
