"""Security groups and VPCs for real: who reaches whom, what changes while instances run, and what a killed cloud leaves standing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from doomed import DoomedCloud, until  # noqa: E402

from sandboxes import needs_sandboxes  # noqa: E402
from windtunnel.kernel.stock import STOCK_AMI  # noqa: E402

pytestmark = [pytest.mark.slow, needs_sandboxes]
SERVES = """#!/bin/bash
mkdir -p /srv/page && cd /srv/page && echo hello > index.html
cat > /usr/local/bin/look <<'LOOK'
#!/bin/sh
T=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
for leaf in local-ipv4 public-ipv4 mac; do curl -s -f -H "X-aws-ec2-metadata-token: $T" http://169.254.169.254/latest/meta-data/$leaf; echo; done
LOOK
cat > /usr/local/bin/asks <<'ASKS'
#!/bin/sh
# serves on 8081 what this instance gets when it asks for a page: GET /10.0.1.4
exec python3 -c '
import http.server, subprocess
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        command = ["curl", "-s", "-m", "2", "http:/" + self.path + ":80/"] if self.path != "/look" else ["sh", "/usr/local/bin/look"]
        said = subprocess.run(command, capture_output=True).stdout
        self.send_response(200); self.send_header("Content-Length", str(len(said))); self.end_headers(); self.wfile.write(said)
http.server.ThreadingHTTPServer(("", 8081), H).serve_forever()'
ASKS
chmod +x /usr/local/bin/*
for unit in "page /usr/bin/python3 -m http.server 80 --directory /srv/page" "asks /usr/local/bin/asks"; do
set -- $unit; name=$1; shift
printf '[Service]\\nExecStart=%s\\n[Install]\\nWantedBy=multi-user.target\\n' "$*" > /etc/systemd/system/$name.service
systemctl enable --now $name
done
"""


class Lab:
    """A VPC with a public subnet, a group for servers and one for clients; port 8081 of everyone tells what they reach."""

    def __init__(self, data: Path) -> None:
        self.cloud = DoomedCloud(data)
        self.ec2 = self.cloud.client("ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        [table] = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        self.ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        self.table = table["RouteTableId"]
        self.gateway = gateway
        self.servers, self.clients, self.watched = self.group("servers"), self.group("clients"), self.group("watched")
        self.allow(self.watched, 8081)
        self.server = self.launch(self.servers, self.watched)
        self.client = self.launch(self.clients, self.watched)
        for instance in (self.server, self.client):
            until(lambda instance=instance: self.looks(instance), 90, f"{instance} serves")  # type: ignore[misc]

    def group(self, name: str) -> str:
        return str(self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"])

    def permission(self, port: int, cidr: str = "0.0.0.0/0", peer: str = "") -> list[dict[str, Any]]:
        who = {"UserIdGroupPairs": [{"GroupId": peer}]} if peer else {"IpRanges": [{"CidrIp": cidr}]}
        return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **who}]

    def allow(self, group: str, port: int, **who: str) -> None:
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=self.permission(port, **who))

    def revoke(self, group: str, port: int, **who: str) -> None:
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=self.permission(port, **who))

    def launch(self, *groups: str) -> str:
        interface = {"DeviceIndex": 0, "SubnetId": self.subnet, "Groups": list(groups), "AssociatePublicIpAddress": True}
        reply = self.ec2.run_instances(
            ImageId=STOCK_AMI, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=SERVES, NetworkInterfaces=[interface]
        )
        return str(reply["Instances"][0]["InstanceId"])

    def described(self, instance: str) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0])

    def reached(self, instance: str, port: int = 80, path: str = "") -> str:
        """What this machine gets from the instance's public address; empty while it gets nothing."""
        address = self.described(instance).get("PublicIpAddress", "")
        done = subprocess.run(["curl", "-sf", "-m", "1", f"http://{address}:{port}/{path}"], capture_output=True, text=True, timeout=10)
        return done.stdout if done.returncode == 0 else ""

    def looks(self, instance: str) -> list[str]:
        """local-ipv4, public-ipv4 and mac, as the instance's metadata has them."""
        return self.reached(instance, 8081, "look").split()

    def opens(self, instance: str) -> None:
        until(lambda: self.reached(instance) == "hello\n", 10, f"{instance} is reached")

    def closes(self, instance: str) -> None:
        until(lambda: self.reached(instance) == "", 10, f"{instance} is not reached")

    def asks(self, asker: str, asked: str) -> bool:
        """Whether one instance gets the other's page at its private address."""
        return self.reached(asker, 8081, self.described(asked)["PrivateIpAddress"]) == "hello\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("network") / "data")
    try:
        yield made
    finally:
        made.cloud.stop()


def test_what_is_authorised_is_reached_and_what_is_revoked_is_not(lab: Lab) -> None:
    assert lab.reached(lab.server) == ""
    lab.allow(lab.servers, 80)
    lab.opens(lab.server)
    lab.revoke(lab.servers, 80)
    lab.closes(lab.server)
    lab.allow(lab.servers, 80, cidr="203.0.113.0/24")
    assert lab.reached(lab.client) == "" and lab.reached(lab.server) == "", "this machine is not of that network"
    lab.revoke(lab.servers, 80, cidr="203.0.113.0/24")


def test_a_group_lets_in_the_members_of_another(lab: Lab) -> None:
    assert not lab.asks(lab.client, lab.server)
    lab.allow(lab.servers, 80, peer=lab.clients)
    until(lambda: lab.asks(lab.client, lab.server), 10, "the client is let in")
    assert lab.reached(lab.server) == "", "and nobody else"
    lab.ec2.modify_instance_attribute(InstanceId=lab.client, Groups=[lab.watched])
    until(lambda: not lab.asks(lab.client, lab.server), 10, "it is a member no longer")
    lab.ec2.modify_instance_attribute(InstanceId=lab.client, Groups=[lab.watched, lab.clients])
    until(lambda: lab.asks(lab.client, lab.server), 10, "it is one again")
    lab.revoke(lab.servers, 80, peer=lab.clients)
    until(lambda: not lab.asks(lab.client, lab.server), 10, "the group is not let in any longer")


def test_what_the_instance_knows_of_itself_is_what_is_described(lab: Lab) -> None:
    shown = lab.described(lab.server)
    eni = shown["NetworkInterfaces"][0]
    assert lab.looks(lab.server) == [shown["PrivateIpAddress"], shown["PublicIpAddress"], eni["MacAddress"]]
    assert shown["PrivateIpAddress"].startswith("10.0.1.")


def test_walls_outlive_the_cloud_and_follow_what_was_changed(lab: Lab) -> None:
    lab.allow(lab.servers, 80)
    lab.opens(lab.server)
    deaths = lab.cloud.deaths
    lab.revoke(lab.servers, 80)
    lab.cloud.kill()
    until(lambda: lab.cloud.deaths > deaths and lab.cloud.answers, 60, "another start")
    lab.closes(lab.server)
    assert lab.looks(lab.client), "the others' rules stand"
    lab.allow(lab.servers, 80)
    lab.opens(lab.server)
    lab.ec2.reboot_instances(InstanceIds=[lab.server])
    lab.revoke(lab.servers, 80)
    until(lambda: lab.looks(lab.server), 60, "it is back")
    assert lab.reached(lab.server) == ""


def test_without_a_way_to_the_gateway_nothing_answers(lab: Lab) -> None:
    lab.ec2.delete_route(RouteTableId=lab.table, DestinationCidrBlock="0.0.0.0/0")
    until(lambda: not lab.looks(lab.client), 10, "no answer")
    lab.ec2.create_route(RouteTableId=lab.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=lab.gateway)
    until(lambda: lab.looks(lab.client), 10, "an answer")


def test_an_acl_is_in_force(lab: Lab) -> None:
    [acl] = lab.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [lab.vpc]}])["NetworkAcls"]
    entry = {"NetworkAclId": acl["NetworkAclId"], "RuleNumber": 50, "Egress": False}
    lab.ec2.create_network_acl_entry(**entry, Protocol="6", RuleAction="deny", CidrBlock="0.0.0.0/0", PortRange={"From": 8081, "To": 8081})
    until(lambda: not lab.looks(lab.client), 10, "it is held back")
    lab.ec2.delete_network_acl_entry(**entry)
    until(lambda: lab.looks(lab.client), 10, "it is let in")


def test_an_elastic_address_answers_and_moves(lab: Lab) -> None:
    held = lab.ec2.allocate_address(Domain="vpc")
    own = lab.described(lab.client)["PublicIpAddress"]
    for instance in (lab.client, lab.server):
        lab.ec2.associate_address(AllocationId=held["AllocationId"], InstanceId=instance, AllowReassociation=True)
        assert lab.described(instance)["PublicIpAddress"] == held["PublicIp"]
        until(lambda instance=instance: lab.looks(instance)[1:2] == [held["PublicIp"]], 20, f"{instance} answers there")  # type: ignore[misc]
    until(lambda: lab.described(lab.client)["PublicIpAddress"] == own and lab.looks(lab.client), 10, "the first has its own again")
    [address] = lab.ec2.describe_addresses(AllocationIds=[held["AllocationId"]])["Addresses"]
    lab.ec2.disassociate_address(AssociationId=address["AssociationId"])
    lab.ec2.release_address(AllocationId=held["AllocationId"])
    until(lambda: lab.looks(lab.server), 10, "its own answers again")
