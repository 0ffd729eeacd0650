"""EC2's own jobs beside an instance's life: a released elastic address is given back to the machine, once, while others stay."""

from __future__ import annotations

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("ec2.release-address",)


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.ec2 = cloud.client("ec2")

    def set_up(self) -> None:
        self.kept = patiently(self.ec2.allocate_address)

    def go(self, nonce: str) -> None:
        made = patiently(lambda: self.allocated(nonce))
        patiently(lambda: self.release(made))
        until(self.ended, 30, "the address is given back")
        assert patiently(lambda: self.ec2.describe_addresses(Filters=self.named(nonce)))["Addresses"] == []
        (kept,) = patiently(lambda: self.ec2.describe_addresses(AllocationIds=[self.kept["AllocationId"]]))["Addresses"]
        assert kept["PublicIp"] == self.kept["PublicIp"]

    def ended(self) -> bool:
        """Whether the job has come to its end, and to the kill that waits for it: no API shows it."""
        return not self.cloud.armed and any(line.startswith(JOBS[0]) and line.split("|")[2] == "end" for line in self.cloud.boundaries())

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
