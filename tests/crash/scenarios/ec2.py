"""EC2's own jobs beside an instance's life: an elastic address is given back to the machine; a gateway is detached once nothing needs it."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("ec2.release-address", "ec2.detach-gateway")


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.ec2 = cloud.client("ec2")

        self.cloudformation = cloud.client("cloudformation")

    def set_up(self) -> None:
        self.kept = patiently(self.ec2.allocate_address)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        self.interface = self.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]

    def go(self, nonce: str) -> None:
        made = patiently(lambda: self.allocated(nonce))
        patiently(lambda: self.release(made))
        until(self.ended, 30, "the address is given back")
        assert patiently(lambda: self.ec2.describe_addresses(Filters=self.named(nonce)))["Addresses"] == []
        (kept,) = patiently(lambda: self.ec2.describe_addresses(AllocationIds=[self.kept["AllocationId"]]))["Addresses"]
        assert kept["PublicIp"] == self.kept["PublicIp"]
        self.detaching(f"gateway-{nonce}")

    def detaching(self, name: str) -> None:
        """A stack is deleted whose gateway an address still needs: it goes when the address does."""
        properties = {"VpcId": self.vpc, "InternetGatewayId": self.gateway}
        template = json.dumps({"Resources": {"Held": {"Type": "AWS::EC2::VPCGatewayAttachment", "Properties": properties}}})
        patiently(lambda: self.cloudformation.create_stack(StackName=name, TemplateBody=template, ClientRequestToken=name))
        until(lambda: self.status(name) == "CREATE_COMPLETE", 30, "the gateway is attached")
        arn = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        address = self.kept["AllocationId"]
        patiently(lambda: self.ec2.associate_address(AllocationId=address, NetworkInterfaceId=self.interface, AllowReassociation=True))
        patiently(lambda: self.cloudformation.delete_stack(StackName=name))
        until(lambda: self.status(arn) == "DELETE_IN_PROGRESS", 30, "the stack goes")
        assert self.attachments() == [self.vpc]
        patiently(self.part)
        until(lambda: self.status(arn) == "DELETE_COMPLETE", 30, "the stack is gone")
        assert self.attachments() == []

    def attachments(self) -> list[str]:
        (gateway,) = patiently(lambda: self.ec2.describe_internet_gateways(InternetGatewayIds=[self.gateway]))["InternetGateways"]
        return [held["VpcId"] for held in gateway["Attachments"]]

    def part(self) -> None:
        (held,) = self.ec2.describe_addresses(AllocationIds=[self.kept["AllocationId"]])["Addresses"]
        if held.get("AssociationId"):
            self.ec2.disassociate_address(AssociationId=held["AssociationId"])

    def status(self, name: str) -> str:
        return str(self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    def ended(self) -> bool:
        """Whether the job has come to its end, and to the kill that waits for it: no API shows it."""
        try:
            waiting = (self.cloud.data / "crash-at").read_text().startswith(JOBS[0])
        except FileNotFoundError:
            waiting = False
        return not waiting and any(line.startswith(JOBS[0]) and line.split("|")[2] == "end" for line in self.cloud.boundaries())

    def named(self, nonce: str) -> list[dict[str, object]]:
        return [{"Name": "tag:Name", "Values": [nonce]}]

    def allocated(self, nonce: str) -> str:
        """AllocateAddress knows no client token: what a lost answer has made is found by its tag."""
        found = self.ec2.describe_addresses(Filters=self.named(nonce))["Addresses"]
        tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "Name", "Value": nonce}]}]
        return str(found[0]["AllocationId"] if found else self.ec2.allocate_address(TagSpecifications=tags)["AllocationId"])

    def release(self, name: str) -> None:
        try:
            self.ec2.release_address(AllocationId=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidAllocationID.NotFound":
                raise
