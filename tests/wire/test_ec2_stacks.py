"""EC2's resource types through real stacks, with boto3 in process: made, changed, replaced and taken away, each looked at through EC2's own API."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_ec2_network import StockIsThere, by  # noqa: E402

from clients import Door  # noqa: E402
from harness import InProcessCloud  # noqa: E402
from stacks import Stacks  # noqa: E402
from windtunnel.compute.dummy import DummyDriver, World  # noqa: E402
from windtunnel.kernel.stock import STOCK_AMI  # noqa: E402

Cloud = tuple[Stacks, Any]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with InProcessCloud(tmp_path_factory.mktemp("ec2"), parts={"compute": DummyDriver(World()), "images": StockIsThere()}) as running:
        door = Door(running)
        yield Stacks(door), door.client("ec2")


LAB = """
Parameters:
  Size: {Type: String, Default: t3.micro}
  Port: {Type: Number, Default: 80}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16, EnableDnsHostnames: true, Tags: [{Key: Name, Value: !Sub "${AWS::StackName}-vpc"}]}}
  Igw: {Type: AWS::EC2::InternetGateway}
  Att: {Type: AWS::EC2::VPCGatewayAttachment, Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Igw}}
  SubA: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.0/24, AvailabilityZone: !Select [0, !GetAZs ""], MapPublicIpOnLaunch: true}}
  Rt: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
  Def: {Type: AWS::EC2::Route, DependsOn: Att, Properties: {RouteTableId: !Ref Rt, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Igw}}
  RtA: {Type: AWS::EC2::SubnetRouteTableAssociation, Properties: {SubnetId: !Ref SubA, RouteTableId: !Ref Rt}}
  WebSg:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: web, VpcId: !Ref Vpc, SecurityGroupIngress: [{IpProtocol: tcp, FromPort: !Ref Port, ToPort: !Ref Port, CidrIp: 0.0.0.0/0}]}
  Web:
    Type: AWS::EC2::Instance
    Properties:
      ImageId: AMI
      InstanceType: !Ref Size
      Monitoring: false
      SubnetId: !Ref SubA
      SecurityGroupIds: [!Ref WebSg]
      UserData: !Base64 "#!/bin/sh"
Outputs:
  Url: {Value: !Sub "http://${Web.PublicDnsName}"}
  Vpc: {Value: !Ref Vpc}
  Attachment: {Value: !Ref Att}
  Route: {Value: !Ref Def}
  Group: {Value: !GetAtt WebSg.GroupId}
  Default: {Value: !GetAtt Vpc.DefaultSecurityGroup}
""".replace("AMI\n", STOCK_AMI + "\n")


def outputs(stacks: Stacks, name: str) -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stacks.describe(name)["Outputs"]}


def parameters(**values: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def test_lab_1s_stack_stands_is_changed_in_place_and_goes_without_a_trace(cloud: Cloud) -> None:
    stacks, ec2 = cloud
    assert stacks.create("lab1", LAB, Tags=[{"Key": "course", "Value": "devops"}]) == "CREATE_COMPLETE", stacks.events("lab1")
    told = outputs(stacks, "lab1")
    vpc, web = told["Vpc"], stacks.physical("lab1", "Web")
    assert told["Attachment"] == f"IGW|{vpc}" and told["Route"].endswith("|0.0.0.0/0")
    (shown,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    tags = {tag["Key"]: tag["Value"] for tag in shown["Tags"]}
    assert (tags["Name"], tags["course"], tags["aws:cloudformation:logical-id"]) == ("lab1-vpc", "devops", "Vpc")
    (instance,) = ec2.describe_instances(InstanceIds=[web])["Reservations"][0]["Instances"]
    assert instance["SecurityGroups"][0]["GroupId"] == told["Group"] and told["Url"] == f"http://{instance['PublicIpAddress']}"
    assert {"Key": "aws:cloudformation:stack-id", "Value": stacks.describe("lab1")["StackId"]} in instance["Tags"]
    (table,) = ec2.describe_route_tables(Filters=by("association.subnet-id", instance["SubnetId"]))["RouteTables"]
    assert table["Routes"][1]["GatewayId"].startswith("igw-")
    assert stacks.update("lab1", LAB, Parameters=parameters(Size="t3.small", Port="443")) == "UPDATE_COMPLETE", stacks.events("lab1")
    (instance,) = ec2.describe_instances(InstanceIds=[web])["Reservations"][0]["Instances"]
    assert (instance["InstanceType"], instance["State"]["Name"]) == ("t3.small", "running")
    (group,) = ec2.describe_security_groups(GroupIds=[told["Group"]])["SecurityGroups"]
    assert [rule["FromPort"] for rule in group["IpPermissions"]] == [443]
    assert stacks.delete("lab1") == "DELETE_COMPLETE"
    assert ec2.describe_vpcs(Filters=by("vpc-id", vpc))["Vpcs"] == []
    assert ec2.describe_internet_gateways(Filters=by("attachment.vpc-id", vpc))["InternetGateways"] == []
    assert ec2.describe_instances(InstanceIds=[web])["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated"


PRIVATE = """
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16, EnableDnsSupport: true, EnableDnsHostnames: true}}
  More: {Type: AWS::EC2::VPCCidrBlock, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.0.0/16}}
  Six: {Type: AWS::EC2::VPCCidrBlock, Properties: {VpcId: !Ref Vpc, AmazonProvidedIpv6CidrBlock: true}}
  Igw: {Type: AWS::EC2::InternetGateway}
  Att: {Type: AWS::EC2::VPCGatewayAttachment, Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Igw}}
  Out: {Type: AWS::EC2::EgressOnlyInternetGateway, Properties: {VpcId: !Ref Vpc}}
  Subnet:
    Type: AWS::EC2::Subnet
    DependsOn: Six
    Properties:
      VpcId: !Ref Vpc
      CidrBlock: !Select [1, !Cidr [!GetAtt Vpc.CidrBlock, 4, 8]]
      Ipv6CidrBlock: !Select [0, !Cidr [!Select [0, !GetAtt Vpc.Ipv6CidrBlocks], 1, 64]]
  Far: {Type: AWS::EC2::Subnet, DependsOn: More, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.0.0/24}}
  Ip: {Type: AWS::EC2::EIP, DependsOn: Att, Properties: {Domain: vpc, Tags: [{Key: a, Value: b}]}}
  Nat: {Type: AWS::EC2::NatGateway, Properties: {AllocationId: !GetAtt Ip.AllocationId, SubnetId: !Ref Subnet}}
  Rt: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
  Def: {Type: AWS::EC2::Route, Properties: {RouteTableId: !Ref Rt, DestinationCidrBlock: 0.0.0.0/0, NatGatewayId: !Ref Nat}}
  Six6: {Type: AWS::EC2::Route, Properties: {RouteTableId: !Ref Rt, DestinationIpv6CidrBlock: "::/0", EgressOnlyInternetGatewayId: !Ref Out}}
  RtA: {Type: AWS::EC2::SubnetRouteTableAssociation, Properties: {SubnetId: !Ref Subnet, RouteTableId: !Ref Rt}}
  Sg:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: data
      VpcId: !Ref Vpc
      SecurityGroupEgress: [{IpProtocol: "-1", CidrIp: 10.0.0.0/8, Description: inside}]
  In: {Type: AWS::EC2::SecurityGroupIngress, Properties: {GroupId: !Ref Sg, IpProtocol: tcp, FromPort: 1, ToPort: 2, SourceSecurityGroupId: !Ref Sg}}
  Eg: {Type: AWS::EC2::SecurityGroupEgress, Properties: {GroupId: !Ref Sg, IpProtocol: udp, FromPort: 53, ToPort: 53, CidrIp: 0.0.0.0/0}}
  Acl: {Type: AWS::EC2::NetworkAcl, Properties: {VpcId: !Ref Vpc}}
  Entry:
    Type: AWS::EC2::NetworkAclEntry
    Properties: {NetworkAclId: !Ref Acl, RuleNumber: 100, Protocol: 6, RuleAction: allow, CidrBlock: 0.0.0.0/0, PortRange: {From: 80, To: TO}}
  AclA: {Type: AWS::EC2::SubnetNetworkAclAssociation, Properties: {SubnetId: !Ref Far, NetworkAclId: !Ref Acl}}
  S3: {Type: AWS::EC2::VPCEndpoint, Properties: {VpcId: !Ref Vpc, ServiceName: !Sub "com.amazonaws.${AWS::Region}.s3", RouteTableIds: [!Ref Rt]}}
  Ssm:
    Type: AWS::EC2::VPCEndpoint
    Properties:
      VpcId: !Ref Vpc
      ServiceName: !Sub "com.amazonaws.${AWS::Region}.ssm"
      VpcEndpointType: Interface
      SubnetIds: [!Ref Subnet]
      SecurityGroupIds: [!Ref Sg]
      PrivateDnsEnabled: true
  Dhcp: {Type: AWS::EC2::DHCPOptions, Properties: {DomainName: example.com, DomainNameServers: [AmazonProvidedDNS]}}
  DhcpA: {Type: AWS::EC2::VPCDHCPOptionsAssociation, Properties: {VpcId: !Ref Vpc, DhcpOptionsId: !Ref Dhcp}}
  Nic: {Type: AWS::EC2::NetworkInterface, Properties: {SubnetId: !Ref Subnet, GroupSet: [!Ref Sg], Description: one}}
  Other: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.9.0.0/16}}
  Peer: {Type: AWS::EC2::VPCPeeringConnection, Properties: {VpcId: !Ref Vpc, PeerVpcId: !Ref Other}}
  Offices:
    Type: AWS::EC2::PrefixList
    Properties: {PrefixListName: offices, AddressFamily: IPv4, MaxEntries: 3, Entries: [{Cidr: 10.5.0.0/16}]}
"""


def test_every_kind_of_resource_stands_and_goes(cloud: Cloud) -> None:
    stacks, ec2 = cloud
    assert stacks.create("private", PRIVATE.replace("TO", "81")) == "CREATE_COMPLETE", stacks.events("private")
    nat = stacks.physical("private", "Nat")
    (gateway,) = ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]
    assert gateway["NatGatewayAddresses"][0]["PublicIp"] == stacks.physical("private", "Ip")
    (group,) = ec2.describe_security_groups(GroupIds=[stacks.physical("private", "Sg")])["SecurityGroups"]
    assert [len(group["IpPermissions"]), len(group["IpPermissionsEgress"])] == [1, 2]
    (acl,) = ec2.describe_network_acls(NetworkAclIds=[stacks.physical("private", "Acl")])["NetworkAcls"]
    assert acl["Associations"][0]["SubnetId"] == stacks.physical("private", "Far")
    assert stacks.update("private", PRIVATE.replace("TO", "90").replace("offices", "houses")) == "UPDATE_COMPLETE", stacks.events("private")
    (acl,) = ec2.describe_network_acls(NetworkAclIds=[stacks.physical("private", "Acl")])["NetworkAcls"]
    assert [entry["PortRange"]["To"] for entry in acl["Entries"] if "PortRange" in entry] == [90]
    (offices,) = ec2.describe_managed_prefix_lists(PrefixListIds=[stacks.physical("private", "Offices")])["PrefixLists"]
    assert offices["PrefixListName"] == "houses"
    vpc = stacks.physical("private", "Vpc")
    assert stacks.delete("private") == "DELETE_COMPLETE", stacks.events("private")
    assert ec2.describe_vpcs(Filters=by("vpc-id", vpc))["Vpcs"] == [] and ec2.describe_addresses()["Addresses"] == []


def test_a_subnet_that_cannot_be_rolls_the_stack_back(cloud: Cloud) -> None:
    stacks, ec2 = cloud
    before = len(ec2.describe_vpcs()["Vpcs"])
    bad = LAB.replace("CidrBlock: 10.0.1.0/24", "CidrBlock: 10.7.1.0/24")
    assert stacks.create("bad", bad) == "ROLLBACK_COMPLETE"
    assert any("The CIDR '10.7.1.0/24' is invalid." in reason for _, _, reason in stacks.events("bad"))
    assert len(ec2.describe_vpcs()["Vpcs"]) == before


def test_another_block_is_another_subnet_in_the_place_of_the_old(cloud: Cloud) -> None:
    stacks, ec2 = cloud
    text = "\n".join(line for line in LAB.splitlines() if "Web" not in line or "WebSg" in line).partition("  WebSg:")[0]
    assert stacks.create("moves", text) == "CREATE_COMPLETE", stacks.events("moves")
    subnet = stacks.physical("moves", "SubA")
    assert stacks.update("moves", text.replace("10.0.1.0/24", "10.0.2.0/24")) == "UPDATE_COMPLETE", stacks.events("moves")
    fresh = stacks.physical("moves", "SubA")
    assert fresh != subnet and ec2.describe_subnets(Filters=by("subnet-id", subnet))["Subnets"] == []
    (table,) = ec2.describe_route_tables(Filters=by("association.subnet-id", fresh))["RouteTables"]
    assert table["RouteTableId"] == stacks.physical("moves", "Rt")
    assert stacks.delete("moves") == "DELETE_COMPLETE"
