"""EC2's networking, with boto3 in process: VPCs, subnets, security groups and their rules, in AWS's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, InProcessCloud
from windtunnel.compute.dummy import DummyDriver, World
from windtunnel.kernel.stock import STOCK_AMI


class StockIsThere:
    """The image store of a machine that has the stock image."""

    def ensure_stock(self, progress: Any) -> str:
        return "stock"


@pytest.fixture(scope="module")
def ec2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with InProcessCloud(tmp_path_factory.mktemp("ec2"), parts={"compute": DummyDriver(World()), "images": StockIsThere()}) as cloud:
        yield Door(cloud).client("ec2")


def refused(call: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**args)
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


def by(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def new_vpc(ec2: Any, cidr: str = "10.0.0.0/16", **args: Any) -> str:
    return str(ec2.create_vpc(CidrBlock=cidr, **args)["Vpc"]["VpcId"])


def test_the_default_network_is_there_from_the_beginning_and_stays_what_it_is_when_it_is_stored(ec2: Any) -> None:
    def looked() -> list[Any]:
        vpcs = ec2.describe_vpcs(Filters=by("is-default", "true"))["Vpcs"]
        subnets = ec2.describe_subnets(Filters=by("vpc-id", vpcs[0]["VpcId"]))["Subnets"]
        groups = ec2.describe_security_groups(Filters=by("vpc-id", vpcs[0]["VpcId"]))["SecurityGroups"]
        return [vpcs, sorted(subnets, key=lambda subnet: str(subnet["AvailabilityZone"])), groups]

    before = looked()
    assert (before[0][0]["CidrBlock"], before[0][0]["IsDefault"]) == ("172.31.0.0/16", True)
    assert [s["AvailabilityZone"] for s in before[1]] == [f"us-east-1{letter}" for letter in "abcdef"]
    assert [s["CidrBlock"] for s in before[1]][:2] == ["172.31.0.0/20", "172.31.16.0/20"]
    assert all(s["DefaultForAz"] and s["MapPublicIpOnLaunch"] and s["AvailableIpAddressCount"] == 4091 for s in before[1])
    assert [g["GroupName"] for g in before[2]] == ["default"]
    new_vpc(ec2)
    assert looked() == before


def test_a_vpc_comes_with_what_every_vpc_has_and_goes_with_it(ec2: Any) -> None:
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "one"}]}]
    vpc = ec2.create_vpc(CidrBlock="10.1.2.3/16", TagSpecifications=tags)["Vpc"]
    assert vpc["CidrBlock"] == "10.1.0.0/16" and vpc["Tags"] == [{"Key": "Name", "Value": "one"}] and vpc["OwnerId"] == ACCOUNT
    (group,) = ec2.describe_security_groups(Filters=by("vpc-id", vpc["VpcId"]))["SecurityGroups"]
    (own,) = group["IpPermissions"]
    assert own["UserIdGroupPairs"] == [{"GroupId": group["GroupId"], "UserId": ACCOUNT}]
    assert group["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    ec2.modify_vpc_attribute(VpcId=vpc["VpcId"], EnableDnsHostnames={"Value": True})
    assert ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute="enableDnsHostnames")["EnableDnsHostnames"] == {"Value": True}
    assert ec2.describe_vpcs(Filters=by("tag:Name", "one"))["Vpcs"][0]["VpcId"] == vpc["VpcId"]
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    assert ec2.describe_security_groups(Filters=by("vpc-id", vpc["VpcId"]))["SecurityGroups"] == []
    assert refused(ec2.delete_vpc, VpcId=vpc["VpcId"]) == ("InvalidVpcID.NotFound", f"The vpc ID '{vpc['VpcId']}' does not exist")


@pytest.mark.parametrize(
    "cidr, code",
    [
        pytest.param("10.0.0.0/8", "InvalidVpc.Range", id="too large"),
        pytest.param("10.0.0.0/29", "InvalidVpc.Range", id="too small"),
        pytest.param("10.0.0.0", "InvalidParameterValue", id="no length"),
        pytest.param("10.0.0.256/16", "InvalidParameterValue", id="no octet"),
    ],
)
def test_blocks_that_no_vpc_has(ec2: Any, cidr: str, code: str) -> None:
    assert refused(ec2.create_vpc, CidrBlock=cidr)[0] == code


def test_blocks_of_a_vpc_come_and_go(ec2: Any) -> None:
    vpc = new_vpc(ec2, "10.2.0.0/16")
    made = ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.3.0.0/16")["CidrBlockAssociation"]
    assert made["CidrBlockState"]["State"] == "associating"
    assert refused(ec2.associate_vpc_cidr_block, VpcId=vpc, CidrBlock="10.2.128.0/17")[0] == "InvalidVpc.Range"
    six = ec2.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.3.1.0/24", Ipv6CidrBlock=six["Ipv6CidrBlock"].replace("/56", "/64"))["Subnet"]
    assert subnet["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlockState"]["State"] == "associated"
    assert refused(ec2.disassociate_vpc_cidr_block, AssociationId=made["AssociationId"])[0] == "CidrBlockInUse"
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.disassociate_vpc_cidr_block(AssociationId=made["AssociationId"])
    ec2.disassociate_vpc_cidr_block(AssociationId=six["AssociationId"])
    (shown,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert [block["CidrBlock"] for block in shown["CidrBlockAssociationSet"]] == ["10.2.0.0/16"]
    assert shown["Ipv6CidrBlockAssociationSet"] == []
    first = shown["CidrBlockAssociationSet"][0]["AssociationId"]
    assert refused(ec2.disassociate_vpc_cidr_block, AssociationId=first)[0] == "OperationNotPermitted"


def test_subnets(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1b")["Subnet"]
    assert (subnet["AvailableIpAddressCount"], subnet["AvailabilityZoneId"], subnet["MapPublicIpOnLaunch"]) == (251, "use1-az2", False)
    conflict = "InvalidSubnet.Conflict", "The CIDR '10.0.1.128/25' conflicts with another subnet"
    assert refused(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.1.128/25") == conflict
    assert refused(ec2.create_subnet, VpcId=vpc, CidrBlock="10.1.0.0/24") == ("InvalidSubnet.Range", "The CIDR '10.1.0.0/24' is invalid.")
    assert refused(ec2.create_subnet, VpcId="vpc-00000000", CidrBlock="10.0.2.0/24")[0] == "InvalidVpcID.NotFound"
    assert refused(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.2.0/24", AvailabilityZone="us-east-1z")[0] == "InvalidParameterValue"
    ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    assert ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"][0]["MapPublicIpOnLaunch"] is True
    assert refused(ec2.delete_vpc, VpcId=vpc) == ("DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted.")
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    missing = "InvalidSubnetID.NotFound", f"The subnet ID '{subnet['SubnetId']}' does not exist"
    assert refused(ec2.describe_subnets, SubnetIds=[subnet["SubnetId"]]) == missing
    ec2.delete_vpc(VpcId=vpc)


def web(cidr: str = "0.0.0.0/0", **more: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": cidr, **more}]}


def test_rules_of_a_security_group(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    made = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)
    group = made["GroupId"]
    duplicate = "InvalidGroup.Duplicate", f"The security group 'web' already exists for VPC '{vpc}'"
    assert refused(ec2.create_security_group, GroupName="web", Description="web", VpcId=vpc) == duplicate
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[web(Description="all")])["SecurityGroupRules"]
    assert (rules[0]["CidrIpv4"], rules[0]["FromPort"], rules[0]["IsEgress"], rules[0]["Description"]) == ("0.0.0.0/0", 80, False, "all")
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.7/8")
    again = 'the specified rule "peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW" already exists'
    assert refused(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[web()]) == ("InvalidPermission.Duplicate", again)
    (shown,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [(p["FromPort"], p["IpRanges"]) for p in shown["IpPermissions"]] == [
        (80, [{"CidrIp": "0.0.0.0/0", "Description": "all"}]),
        (22, [{"CidrIp": "10.0.0.0/8"}]),
    ]
    rule = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8081, "CidrIpv6": "::/0"}
    name = rules[0]["SecurityGroupRuleId"]
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": name, "SecurityGroupRule": rule}])
    (changed,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[name])["SecurityGroupRules"]
    assert (changed["FromPort"], changed["CidrIpv6"], "CidrIpv4" in changed) == (8080, "::/0", False)
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[name])
    assert refused(ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[web()])[0] == "InvalidPermission.NotFound"
    ec2.update_security_group_rule_descriptions_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "ssh"}]}],
    )
    left = ec2.describe_security_group_rules(Filters=by("group-id", group))["SecurityGroupRules"]
    assert sorted((r["IsEgress"], r["IpProtocol"], r.get("Description")) for r in left) == [(False, "tcp", "ssh"), (True, "-1", None)]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"] == []


@pytest.mark.parametrize(
    "permission, code",
    [
        pytest.param(
            {"IpProtocol": "quic", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "InvalidParameterValue", id="a protocol that there is not"
        ),
        pytest.param({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "InvalidParameterValue", id="no ports"),
        pytest.param(web("10.0.0.0/33"), "InvalidParameterValue", id="no block"),
        pytest.param(web() | {"FromPort": 90}, "InvalidParameterValue", id="a range from its end"),
        pytest.param({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}, "MissingParameter", id="nobody"),
        pytest.param({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-00000000"}]}, "InvalidGroup.NotFound", id="no such group"),
        pytest.param(
            {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-00000000"}]}, "InvalidPrefixListID.NotFound", id="no such list"
        ),
        pytest.param(web(Description="<>"), "InvalidParameterValue", id="a description with other characters"),
    ],
)
def test_rules_that_are_refused(ec2: Any, permission: dict[str, Any], code: str) -> None:
    (group,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert refused(ec2.authorize_security_group_ingress, GroupId=group["GroupId"], IpPermissions=[permission])[0] == code


def test_a_group_that_another_names_or_an_instance_has_is_not_deleted(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    web_group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    data = ec2.create_security_group(GroupName="data", Description="data", VpcId=vpc)["GroupId"]
    pair = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": web_group}]}
    ec2.authorize_security_group_ingress(GroupId=data, IpPermissions=[pair])
    assert refused(ec2.delete_security_group, GroupId=web_group) == ("DependencyViolation", f"resource {web_group} has a dependent object")
    ec2.revoke_security_group_ingress(GroupId=data, IpPermissions=[pair])
    ec2.delete_security_group(GroupId=web_group)
    (default,) = ec2.describe_security_groups(Filters=[*by("vpc-id", vpc), *by("group-name", "default")])["SecurityGroups"]
    assert refused(ec2.delete_security_group, GroupId=default["GroupId"])[0] == "CannotDelete"


def test_an_instance_stands_in_its_subnet_with_its_groups(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1c")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    launch = {"ImageId": STOCK_AMI, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    made = ec2.run_instances(**launch, SubnetId=subnet, SecurityGroupIds=[group])["Instances"][0]
    assert (made["SubnetId"], made["VpcId"], made["Placement"]["AvailabilityZone"]) == (subnet, vpc, "us-east-1c")
    assert made["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    (eni,) = made["NetworkInterfaces"]
    assert (eni["SubnetId"], eni["Attachment"]["DeviceIndex"], eni["Groups"][0]["GroupId"]) == (subnet, 0, group)
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 250
    for call, args in ((ec2.delete_subnet, {"SubnetId": subnet}), (ec2.delete_security_group, {"GroupId": group})):
        assert refused(call, **args)[0] == "DependencyViolation"
    (other,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert refused(ec2.run_instances, **launch, SubnetId=subnet, SecurityGroupIds=[other["GroupId"]])[0] == "InvalidParameter"
    spec = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "AssociatePublicIpAddress": True, "PrivateIpAddress": "10.0.1.77"}
    assert ec2.run_instances(**launch, NetworkInterfaces=[spec])["Instances"][0]["NetworkInterfaces"][0]["Groups"][0]["GroupId"] == group
    assert refused(ec2.run_instances, **launch, NetworkInterfaces=[spec])[0] == "InvalidIPAddress.InUse"
    assert refused(ec2.run_instances, **launch, SubnetId=subnet, PrivateIpAddress="10.0.2.7")[0] == "InvalidParameterValue"


def test_pages(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    for number in range(7):
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")
    pages = list(ec2.get_paginator("describe_subnets").paginate(Filters=by("vpc-id", vpc), PaginationConfig={"PageSize": 5}))
    assert [len(page["Subnets"]) for page in pages] == [5, 2]
    assert len({subnet["SubnetId"] for page in pages for subnet in page["Subnets"]}) == 7
    assert refused(ec2.describe_subnets, Filters=by("no-such", "x")) == ("InvalidParameterValue", "The filter 'no-such' is invalid")


def test_a_dry_run_changes_nothing(ec2: Any) -> None:
    before = ec2.describe_vpcs()["Vpcs"]
    assert refused(ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)[0] == "DryRunOperation"
    assert ec2.describe_vpcs()["Vpcs"] == before
