"""Key pairs, launch templates and volumes, with boto3 in process."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, load_ssh_private_key

sys.path.insert(0, str(Path(__file__).parent))

from test_ec2_network import StockIsThere, by, new_vpc, refused  # noqa: E402

from clients import Door  # noqa: E402
from harness import InProcessCloud  # noqa: E402
from stacks import Stacks  # noqa: E402
from windtunnel.compute.dummy import DummyDriver, World  # noqa: E402
from windtunnel.kernel.stock import STOCK_AMI  # noqa: E402

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIOHJ0zv8Ps1oeV1lkSFIRFmN4yx2Ovcrgiy6vyUZOl me"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with InProcessCloud(tmp_path_factory.mktemp("ec2"), parts={"compute": DummyDriver(World()), "images": StockIsThere()}) as cloud:
        yield Door(cloud)


@pytest.fixture(scope="module")
def ec2(door: Door) -> Any:
    return door.client("ec2")


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_private_key_is_told_once_and_is_that_of_the_public_one(ec2: Any, kind: str) -> None:
    made = ec2.create_key_pair(KeyName=kind, KeyType=kind)
    load: Any = load_pem_private_key if kind == "rsa" else load_ssh_private_key
    public = load(made["KeyMaterial"].encode(), None).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    (shown,) = ec2.describe_key_pairs(KeyNames=[kind], IncludePublicKey=True)["KeyPairs"]
    assert shown["PublicKey"].startswith(public) and shown["KeyFingerprint"] == made["KeyFingerprint"] and shown["KeyType"] == kind
    assert refused(ec2.create_key_pair, KeyName=kind) == ("InvalidKeyPair.Duplicate", "The keypair already exists")
    launched = ec2.run_instances(ImageId=STOCK_AMI, InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName=kind)["Instances"][0]
    assert launched["KeyName"] == kind
    ec2.delete_key_pair(KeyName=kind)
    assert refused(ec2.describe_key_pairs, KeyNames=[kind]) == ("InvalidKeyPair.NotFound", f"The key pair '{kind}' does not exist")
    assert ec2.delete_key_pair(KeyName=kind)["Return"] is True


def test_a_public_key_is_brought(ec2: Any) -> None:
    made = ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=ED25519.encode())
    assert len(base64.b64decode(made["KeyFingerprint"])) == 32
    for material in (b"", b"ssh-rsa x", b"ssh-ed25519 AAAA", b"-----BEGIN"):
        assert refused(ec2.import_key_pair, KeyName="other", PublicKeyMaterial=material)[0] in ("InvalidKey.Format", "MissingParameter")


def test_launch_templates_and_their_versions(ec2: Any) -> None:
    data = {"ImageId": STOCK_AMI, "InstanceType": "t3.micro", "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a"}]}]}
    made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data, VersionDescription="one")["LaunchTemplate"]
    name = made["LaunchTemplateId"]
    assert (made["DefaultVersionNumber"], made["LatestVersionNumber"]) == (1, 1)
    exists = "InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use."
    assert refused(ec2.create_launch_template, LaunchTemplateName="web", LaunchTemplateData=data) == exists
    ec2.create_launch_template_version(LaunchTemplateId=name, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.small"})
    (latest,) = ec2.describe_launch_template_versions(LaunchTemplateId=name, Versions=["$Latest"])["LaunchTemplateVersions"]
    assert (latest["VersionNumber"], latest["LaunchTemplateData"]["InstanceType"], latest["LaunchTemplateData"]["ImageId"]) == (
        2,
        "t3.small",
        STOCK_AMI,
    )
    ec2.modify_launch_template(LaunchTemplateName="web", DefaultVersion="2")
    done = ec2.delete_launch_template_versions(LaunchTemplateId=name, Versions=["1", "2", "9"])
    assert [one["VersionNumber"] for one in done["SuccessfullyDeletedLaunchTemplateVersions"]] == [1]
    codes = [one["ResponseError"]["Code"] for one in done["UnsuccessfullyDeletedLaunchTemplateVersions"]]
    assert codes == ["unexpectedError", "launchTemplateVersionDoesNotExist"]
    ec2.delete_launch_template(LaunchTemplateId=name)
    lost = "InvalidLaunchTemplateId.NotFound", f"The specified launch template, with template ID {name}, does not exist."
    assert refused(ec2.describe_launch_templates, LaunchTemplateIds=[name]) == lost


def test_an_instance_from_a_launch_template_has_what_it_says_unless_the_request_says_otherwise(ec2: Any) -> None:
    vpc = new_vpc(ec2)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    data = {
        "ImageId": STOCK_AMI,
        "InstanceType": "t3.small",
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "AssociatePublicIpAddress": True}],
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3"}}],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "templated"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "disk", "Value": "root"}]},
        ],
        "MetadataOptions": {"HttpTokens": "required"},
    }
    name = ec2.create_launch_template(LaunchTemplateName="full", LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]
    asked = {"LaunchTemplate": {"LaunchTemplateId": name, "Version": "$Latest"}, "MinCount": 1, "MaxCount": 1}
    made = ec2.run_instances(**asked, InstanceType="t3.nano")["Instances"][0]
    assert (made["InstanceType"], made["SubnetId"], made["MetadataOptions"]["HttpTokens"]) == ("t3.nano", subnet, "required")
    assert {"Key": "Name", "Value": "templated"} in made["Tags"]
    (volume,) = ec2.describe_volumes(Filters=by("attachment.instance-id", made["InstanceId"]))["Volumes"]
    assert (volume["Size"], volume["Tags"], volume["State"]) == (20, [{"Key": "disk", "Value": "root"}], "in-use")
    assert made["BlockDeviceMappings"][0]["Ebs"]["VolumeId"] == volume["VolumeId"]
    assert refused(ec2.delete_volume, VolumeId=volume["VolumeId"])[0] == "VolumeInUse"
    more = {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 5}}], "ImageId": STOCK_AMI}
    ec2.create_launch_template_version(LaunchTemplateId=name, LaunchTemplateData=more)
    assert refused(ec2.run_instances, **asked)[0] == "NotImplemented"
    ec2.create_launch_template_version(LaunchTemplateId=name, LaunchTemplateData={"ImageId": STOCK_AMI, "RamDiskId": "ari-1"})
    assert "LaunchTemplateData.RamDiskId" in refused(ec2.run_instances, **asked)[1]


def test_volumes_and_snapshots(ec2: Any) -> None:
    made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=10, VolumeType="gp3", ClientToken="once")
    assert made["State"] == "creating" and made["Iops"] == 3000
    name = made["VolumeId"]
    assert ec2.create_volume(AvailabilityZone="us-east-1a", Size=10, VolumeType="gp3", ClientToken="once")["VolumeId"] == name
    assert refused(ec2.modify_volume, VolumeId=name, Size=5)[0] == "InvalidParameterValue"
    ec2.modify_volume(VolumeId=name, Size=20)
    (shown,) = ec2.describe_volumes(VolumeIds=[name])["Volumes"]
    assert (shown["Size"], shown["State"]) == (20, "available")
    (change,) = ec2.describe_volumes_modifications(VolumeIds=[name])["VolumesModifications"]
    assert (change["OriginalSize"], change["TargetSize"], change["ModificationState"]) == (10, 20, "completed")
    snapshot = ec2.create_snapshot(VolumeId=name, Description="empty")["SnapshotId"]
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"][0]["State"] == "completed"
    assert ec2.create_volume(AvailabilityZone="us-east-1b", SnapshotId=snapshot)["Size"] == 20
    assert refused(ec2.attach_volume, VolumeId=name, InstanceId="i-00000000", Device="/dev/sdb")[0] == "NotImplemented"
    ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.delete_volume(VolumeId=name)
    assert refused(ec2.describe_volumes, VolumeIds=[name]) == ("InvalidVolume.NotFound", f"The volume '{name}' does not exist.")
    for args in ({"Size": 0}, {"Size": 10, "VolumeType": "io1"}, {"Size": 10, "Iops": 100}, {}):
        assert refused(ec2.create_volume, AvailabilityZone="us-east-1a", **args)[0].startswith(("Invalid", "Missing"))


TEMPLATE = """
Resources:
  Key: {Type: AWS::EC2::KeyPair, Properties: {KeyName: stacked, KeyType: ed25519}}
  Disk: {Type: AWS::EC2::Volume, Properties: {AvailabilityZone: us-east-1a, Size: SIZE, VolumeType: gp3}}
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData: {ImageId: AMI, InstanceType: t3.micro, KeyName: !Ref Key, UserData: !Base64 "SIZE", Monitoring: {Enabled: true}}
  Machine:
    Type: AWS::EC2::Instance
    Properties: {LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}, InstanceType: t3.nano}
Outputs:
  KeyId: {Value: !GetAtt Key.KeyPairId}
"""


def test_their_types_in_a_stack(door: Door, ec2: Any) -> None:
    stacks = Stacks(door)
    text = TEMPLATE.replace("AMI", STOCK_AMI)
    assert stacks.create("templates", text.replace("SIZE", "5")) == "CREATE_COMPLETE", stacks.events("templates")
    (instance,) = ec2.describe_instances(InstanceIds=[stacks.physical("templates", "Machine")])["Reservations"][0]["Instances"]
    assert (instance["KeyName"], instance["InstanceType"], instance["Monitoring"]["State"]) == ("stacked", "t3.nano", "enabled")
    parameter = f"/ec2/keypair/{stacks.describe('templates')['Outputs'][0]['OutputValue']}"
    kept = door.client("ssm").get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"]
    assert kept.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    before = stacks.physical("templates", "Machine")
    assert stacks.update("templates", text.replace("SIZE", "6")) == "UPDATE_COMPLETE", stacks.events("templates")
    assert stacks.physical("templates", "Machine") != before, "another version is another instance"
    (disk,) = ec2.describe_volumes(VolumeIds=[stacks.physical("templates", "Disk")])["Volumes"]
    assert disk["Size"] == 6
    assert stacks.delete("templates") == "DELETE_COMPLETE", stacks.events("templates")
    assert ec2.describe_key_pairs(Filters=by("key-name", "stacked"))["KeyPairs"] == []


PROFILES = """
Parameters: {Which: {Type: String}}
Resources:
  RoleA: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: TRUST}}
  A: {Type: AWS::IAM::InstanceProfile, Properties: {Roles: [!Ref RoleA]}}
  B: {Type: AWS::IAM::InstanceProfile, Properties: {Roles: [!Ref RoleA]}}
  Machine:
    Type: AWS::EC2::Instance
    Properties: {ImageId: AMI, InstanceType: t3.micro, IamInstanceProfile: !If [UseA, !Ref A, !Ref B]}
Conditions: {UseA: !Equals [!Ref Which, a]}
"""


def test_an_instance_gets_another_profile_in_place(door: Door, ec2: Any) -> None:
    stacks = Stacks(door)
    trust = '{Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]}'
    text = PROFILES.replace("AMI", STOCK_AMI).replace("TRUST", trust)

    def options(which: str) -> dict[str, Any]:
        return {"Parameters": [{"ParameterKey": "Which", "ParameterValue": which}], "Capabilities": ["CAPABILITY_IAM"]}

    assert stacks.create("profiles", text, **options("a")) == "CREATE_COMPLETE", stacks.events("profiles")
    machine = stacks.physical("profiles", "Machine")
    assert stacks.update("profiles", text, **options("b")) == "UPDATE_COMPLETE", stacks.events("profiles")
    assert stacks.physical("profiles", "Machine") == machine
    (held,) = ec2.describe_iam_instance_profile_associations(Filters=by("instance-id", machine))["IamInstanceProfileAssociations"]
    assert held["IamInstanceProfile"]["Arn"].endswith(stacks.physical("profiles", "B"))
    other = {"Name": stacks.physical("profiles", "A")}
    assert refused(ec2.associate_iam_instance_profile, InstanceId=machine, IamInstanceProfile=other)[0] == "IncorrectState"
    ec2.disassociate_iam_instance_profile(AssociationId=held["AssociationId"])
    assert refused(ec2.disassociate_iam_instance_profile, AssociationId=held["AssociationId"])[0] == "NoSuchAssociation"
    assert stacks.delete("profiles") == "DELETE_COMPLETE"


def test_a_volume_leaves_a_snapshot_where_its_policy_says_so(door: Door, ec2: Any) -> None:
    stacks = Stacks(door)
    properties = {"AvailabilityZone": "us-east-1a", "Size": 3}
    disk = {"Type": "AWS::EC2::Volume", "DeletionPolicy": "Snapshot", "UpdateReplacePolicy": "Snapshot", "Properties": properties}
    assert stacks.create("kept", {"Resources": {"Disk": disk}}) == "CREATE_COMPLETE"
    name = stacks.physical("kept", "Disk")
    assert stacks.delete("kept") == "DELETE_COMPLETE"
    assert refused(ec2.describe_volumes, VolumeIds=[name])[0] == "InvalidVolume.NotFound"
    (kept,) = ec2.describe_snapshots(Filters=[{"Name": "volume-id", "Values": [name]}])["Snapshots"]
    assert (kept["VolumeSize"], kept["State"]) == (3, "completed")
