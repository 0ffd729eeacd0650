"""Terraform's resources of EC2's networking: an empty plan after apply, after changes in place, and a destroy that leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from terraform_lab import Terraform, terraform_lab

pytestmark = pytest.mark.slow
NETWORK = """
data "aws_availability_zones" "here" {
  state = "available"
}

resource "aws_vpc" "main" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = %(names)s
  tags                 = { Name = "%(name)s" }
}
resource "aws_vpc_ipv4_cidr_block_association" "more" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.1.0.0/16"
}
resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
  availability_zone       = data.aws_availability_zones.here.names[count.index]
  map_public_ip_on_launch = true
}
resource "aws_subnet" "private" {
  vpc_id     = aws_vpc_ipv4_cidr_block_association.more.vpc_id
  cidr_block = "10.1.1.0/24"
}
resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}
resource "aws_eip" "nat" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.main]
}
resource "aws_nat_gateway" "main" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  tags          = { Name = "%(name)s" }
}
resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}
resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}
resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}
resource "aws_route" "out" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main.id
}
resource "aws_route_table_association" "private" {
  subnet_id      = aws_subnet.private.id
  route_table_id = aws_route_table.private.id
}
resource "aws_main_route_table_association" "main" {
  vpc_id         = aws_vpc.main.id
  route_table_id = aws_route_table.private.id
}
resource "aws_network_acl" "main" {
  vpc_id     = aws_vpc.main.id
  subnet_ids = [aws_subnet.private.id]
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    cidr_block = "10.0.0.0/8"
    from_port  = 80
    to_port    = %(port)s
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
}
resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.main.id
  service_name    = "com.amazonaws.us-east-1.s3"
  route_table_ids = [aws_route_table.private.id]
}
resource "aws_vpc_endpoint" "ssm" {
  vpc_id             = aws_vpc.main.id
  service_name       = "com.amazonaws.us-east-1.ssm"
  vpc_endpoint_type  = "Interface"
  subnet_ids         = [aws_subnet.public[0].id]
  security_group_ids = [aws_security_group.web.id]
}
resource "aws_security_group" "web" {
  name        = "web"
  description = "web"
  vpc_id      = aws_vpc.main.id
  ingress {
    from_port   = 80
    to_port     = %(port)s
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
    description = "%(name)s"
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
resource "aws_security_group" "data" {
  name_prefix = "data-"
  vpc_id      = aws_vpc.main.id
}
resource "aws_vpc_security_group_ingress_rule" "data" {
  security_group_id            = aws_security_group.data.id
  referenced_security_group_id = aws_security_group.web.id
  from_port                    = 5432
  to_port                      = 5432
  ip_protocol                  = "tcp"
  description                  = "%(name)s"
}
resource "aws_vpc_security_group_egress_rule" "data" {
  security_group_id = aws_security_group.data.id
  cidr_ipv4         = "10.0.0.0/8"
  ip_protocol       = "-1"
  tags              = { Name = "%(name)s" }
}
resource "aws_security_group_rule" "data" {
  type              = "ingress"
  security_group_id = aws_security_group.data.id
  cidr_blocks       = ["10.9.0.0/16"]
  from_port         = 22
  to_port           = 22
  protocol          = "tcp"
}
"""
LAUNCHING = """
resource "aws_key_pair" "mine" {
  key_name   = "mine"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIOHJ0zv8Ps1oeV1lkSFIRFmN4yx2Ovcrgiy6vyUZOl me@example.com"
}
resource "aws_launch_template" "web" {
  name                   = "web"
  image_id               = "ami-0123456789abcdef0"
  instance_type          = "%(type)s"
  key_name               = aws_key_pair.mine.key_name
  update_default_version = true
  user_data              = base64encode("#!/bin/sh")
  monitoring {
    enabled = true
  }
  metadata_options {
    http_tokens = "required"
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "web" }
  }
}
resource "aws_ebs_volume" "disk" {
  availability_zone = "us-east-1a"
  size              = %(size)s
  type              = "gp3"
  tags              = { Name = "disk" }
}
resource "aws_ebs_snapshot" "disk" {
  volume_id = aws_ebs_volume.disk.id
}
resource "aws_vpc" "one" {
  cidr_block                       = "10.20.0.0/16"
  assign_generated_ipv6_cidr_block = true
}
resource "aws_vpc" "two" {
  cidr_block = "10.21.0.0/16"
}
resource "aws_vpc_peering_connection" "both" {
  vpc_id      = aws_vpc.one.id
  peer_vpc_id = aws_vpc.two.id
  auto_accept = true
}
resource "aws_subnet" "one" {
  vpc_id          = aws_vpc.one.id
  cidr_block      = "10.20.1.0/24"
  ipv6_cidr_block = cidrsubnet(aws_vpc.one.ipv6_cidr_block, 8, 1)
}
resource "aws_egress_only_internet_gateway" "one" {
  vpc_id = aws_vpc.one.id
}
resource "aws_network_interface" "one" {
  subnet_id       = aws_subnet.one.id
  private_ips     = ["10.20.1.50"]
  security_groups = [aws_default_security_group.one.id]
  description     = "%(type)s"
}
resource "aws_default_security_group" "one" {
  vpc_id = aws_vpc.one.id
  ingress {
    protocol  = -1
    self      = true
    from_port = 0
    to_port   = 0
  }
}
resource "aws_default_route_table" "one" {
  default_route_table_id = aws_vpc.one.default_route_table_id
  route {
    ipv6_cidr_block        = "::/0"
    egress_only_gateway_id = aws_egress_only_internet_gateway.one.id
  }
  route {
    cidr_block                = "10.21.0.0/16"
    vpc_peering_connection_id = aws_vpc_peering_connection.both.id
  }
}
resource "aws_default_network_acl" "one" {
  default_network_acl_id = aws_vpc.one.default_network_acl_id
  subnet_ids             = [aws_subnet.one.id]
  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
}
resource "aws_vpc_dhcp_options" "one" {
  domain_name         = "example.com"
  domain_name_servers = ["AmazonProvidedDNS"]
}
resource "aws_vpc_dhcp_options_association" "one" {
  vpc_id          = aws_vpc.one.id
  dhcp_options_id = aws_vpc_dhcp_options.one.id
}
resource "aws_ec2_managed_prefix_list" "offices" {
  name           = "offices"
  address_family = "IPv4"
  max_entries    = 3
  entry {
    cidr        = "10.3%(size)s.0.0/16"
    description = "one"
  }
}
data "aws_ec2_managed_prefix_list" "s3" {
  name = "com.amazonaws.us-east-1.s3"
}
data "aws_prefix_list" "s3" {
  name = "com.amazonaws.us-east-1.s3"
}
data "aws_vpc" "default" {
  default = true
}
data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
output "found" {
  value = [length(data.aws_subnets.default.ids), data.aws_ec2_managed_prefix_list.s3.id == data.aws_prefix_list.s3.id]
}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    with terraform_lab(tmp_path_factory.mktemp("terraform")) as made:
        yield made


def client(lab: Terraform) -> Any:
    environment = lab.cloud.environment()
    return boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def left(lab: Terraform) -> list[Any]:
    """What is there beside the default network."""
    ec2 = client(lab)
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]
    addresses = ec2.describe_addresses()["Addresses"]
    return [vpcs, addresses, ec2.describe_network_interfaces()["NetworkInterfaces"], ec2.describe_volumes()["Volumes"]]


def test_a_network_with_all_that_belongs_to_it(lab: Terraform) -> None:
    lab.holds(NETWORK % {"names": "true", "name": "one", "port": 80})
    ec2 = client(lab)
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["one"]}])["Vpcs"]
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["SecurityGroups"]
    assert len(groups) == 3
    lab.holds(NETWORK % {"names": "false", "name": "two", "port": 443})
    (shown,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["web"]}])["SecurityGroups"]
    assert shown["IpPermissions"][0]["ToPort"] == 443 and shown["VpcId"] == vpc["VpcId"]
    lab.destroy()
    assert left(lab) == [[], [], [], []]


def test_what_is_launched_and_reached(lab: Terraform) -> None:
    lab.holds(LAUNCHING % {"type": "t3.micro", "size": 5})
    assert lab.outputs()["found"] == [6, True]
    lab.holds(LAUNCHING % {"type": "t3.small", "size": 6})
    (template,) = client(lab).describe_launch_templates()["LaunchTemplates"]
    assert template["DefaultVersionNumber"] == 2
    lab.destroy()
    assert left(lab) == [[], [], [], []]
