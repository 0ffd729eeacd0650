"""Usual templates, from `tests/fixtures/templates`: each is deployed, changed in place, changed so that something is replaced, and deleted.

A template's comments say what the two changes are (`# change: OLD -> NEW (LogicalId)`, `# replace: …`) and whether a wait condition is to be signalled.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).parent))

from test_cloudformation_own_types import put  # noqa: E402

from corpus_lab import Lab, lab  # noqa: E402
from harness import until  # noqa: E402
from services_lab import LOOKS, Services  # noqa: E402
from windtunnel.provision.registry import Resource  # noqa: E402

FOLDER = Path(__file__).parents[1] / "fixtures" / "templates"
FILES = sorted(FOLDER.glob("*.yaml"))
_NOTE = re.compile(r"^# (change|replace): (.*) -> (.*) \((\w+)\)$", re.MULTILINE)


class Change(NamedTuple):
    old: str
    new: str
    logical: str

    def of(self, text: str) -> str:
        head, _, body = text.rpartition("\n# ")
        first, rest = body.split("\n", 1)
        assert self.old in rest, self.old
        return f"{head}\n# {first}\n{rest.replace(self.old, self.new)}"


def changes(text: str) -> dict[str, Change]:
    return {kind: Change(old, new, logical) for kind, old, new, logical in _NOTE.findall(text)}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("usual")) as made:
        made.door.client("ssm").put_parameter(Name="/lab/name", Value="looked-up", Type="String")
        made.door.client("secretsmanager").create_secret(Name="lab-secret", SecretString=json.dumps({"user": "operator"}))
        yield made


def there(lab: Lab, name: str) -> list[Resource]:
    services = Services(lab.door, lab.region)
    found = lab.resources(name)
    for resource in found:
        assert lab.read(resource) is not None, f"{resource.type} {resource.id} cannot be read"
        assert resource.type not in LOOKS or services.look(resource) is not None, f"{resource.type} {resource.id} is not there"
    return found


def signalled(lab: Lab, arn: str) -> None:
    def heard() -> bool:
        handle = lab.stacks.resource(arn, "Handle")
        return handle.get("ResourceStatus") == "CREATE_COMPLETE" and lab.stacks.resource(arn, "Heard") != {}

    until(heard)
    assert (
        put(lab.cloud, lab.stacks.physical(arn, "Handle"), {"Status": "SUCCESS", "UniqueId": "one", "Data": "ready", "Reason": "ok"}) == 200
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_usual_template_is_deployed_changed_replaced_and_deleted(cloud: Lab, path: Path) -> None:
    text, name = path.read_text(), f"usual-{path.stem}"
    told = changes(text)
    assert told.keys() == {"change", "replace"}
    before = cloud.inventory()
    if "# signal" in text:
        arn = cloud.api.create_stack(StackName=name, TemplateBody=text)["StackId"]
        signalled(cloud, arn)
        status = cloud.stacks.arrived(arn)
    else:
        arn, status = cloud.create(name, text)
    assert status == "CREATE_COMPLETE", cloud.why(arn)
    there(cloud, name)
    with pytest.raises(ClientError, match="No updates are to be performed."):
        cloud.update(name, text)

    change = told["change"]
    text = change.of(text)
    was = cloud.stacks.physical(name, change.logical)
    assert cloud.update(name, text) == "UPDATE_COMPLETE", cloud.why(name)
    assert cloud.stacks.physical(name, change.logical) == was
    assert cloud.stacks.resource(name, change.logical)["ResourceStatus"] == "UPDATE_COMPLETE"
    there(cloud, name)

    replace = told["replace"]
    text = replace.of(text)
    gone = cloud.stacks.resource(name, replace.logical).get("PhysicalResourceId")
    assert cloud.update(name, text) == "UPDATE_COMPLETE", cloud.why(name)
    assert cloud.stacks.physical(name, replace.logical) != gone
    after = there(cloud, name)

    assert cloud.stacks.delete(arn) == "DELETE_COMPLETE", cloud.why(arn)
    kept = cloud.kept(arn)
    assert cloud.left(before) == {kind: ids for kind, ids in kept.items() if kind in before}
    assert all(cloud.read(one) is None for one in after if one.type in LOOKS and one.id not in kept.get(one.type, ()))


GIVES = """
Resources:
  Topic: {Type: AWS::SNS::Topic}
Outputs:
  Topic: {Value: !Ref Topic, Export: {Name: !Sub "${AWS::StackName}:topic"}}
"""
TAKES = """
Parameters: {From: {Type: String}}
Resources:
  Box: {Type: AWS::SQS::Queue}
  Sub: {Type: AWS::SNS::Subscription, Properties: {Protocol: sqs, Endpoint: !GetAtt Box.Arn, TopicArn: {"Fn::ImportValue": !Sub "${From}:topic"}}}
Outputs:
  Again: {Value: !ImportValue {"Fn::Sub": "${From}:topic"}, Export: {Name: !Join [":", [!Ref AWS::StackName, again]]}}
"""


def test_a_chain_of_stacks_gives_and_takes(cloud: Lab) -> None:
    assert cloud.create("gives", GIVES)[1] == "CREATE_COMPLETE"
    assert cloud.create("takes", TAKES, {"From": "gives"})[1] == "CREATE_COMPLETE", cloud.why("takes")
    exports = {one["Name"]: one["Value"] for one in cloud.api.list_exports()["Exports"]}
    assert exports["gives:topic"] == exports["takes:again"] == cloud.stacks.physical("gives", "Topic")
    assert cloud.update("gives", GIVES.replace("SNS::Topic}", "SNS::Topic, Properties: {TopicName: other}}")) == "UPDATE_ROLLBACK_COMPLETE"
    assert any("Export gives:topic cannot be updated as it is in use by takes" in reason for _, _, reason in cloud.stacks.events("gives"))
    assert cloud.stacks.delete("gives") == "DELETE_FAILED"
    for name in ("takes", "gives"):
        assert cloud.stacks.delete(name) == "DELETE_COMPLETE"


RULED = """
Parameters:
  Network: {Type: "AWS::EC2::VPC::Id"}
  Places: {Type: "List<AWS::EC2::Subnet::Id>"}
Rules:
  Together:
    Assertions:
      - Assert: {"Fn::EachMemberIn": [{"Fn::ValueOfAll": ["AWS::EC2::Subnet::Id", VpcId]}, {"Fn::RefAll": "AWS::EC2::VPC::Id"}]}
        AssertDescription: all places are of the network
      - Assert: {"Fn::EachMemberEquals": [{"Fn::ValueOf": [Places, Tags.Tier]}, front]}
        AssertDescription: all places are in front
Resources: {Topic: {Type: AWS::SNS::Topic}}
"""


def test_rules_read_what_lives(cloud: Lab) -> None:
    ec2 = cloud.door.client("ec2")
    vpc, other = (ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"] for block in ("10.90.0.0/16", "10.91.0.0/16"))
    tags = [{"ResourceType": "subnet", "Tags": [{"Key": "Tier", "Value": "front"}]}]
    tagged = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.90.{n}.0/24", TagSpecifications=tags)["Subnet"]["SubnetId"] for n in (1, 2)]
    plain = ec2.create_subnet(VpcId=vpc, CidrBlock="10.90.3.0/24")["Subnet"]["SubnetId"]
    for network, places, words in (
        (other, tagged, "Rule Together failed: all places are of the network"),
        (vpc, [*tagged, plain], "Rule Together failed: all places are in front"),
    ):
        with pytest.raises(ClientError, match=words):
            cloud.create("ruled", RULED, {"Network": network, "Places": ",".join(places)})
    arn, status = cloud.create("ruled", RULED, {"Network": vpc, "Places": ",".join(tagged)})
    assert status == "CREATE_COMPLETE" and cloud.stacks.delete(arn) == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="Fn::ValueOf cannot read the attribute CidrBlock of the type AWS::EC2::Subnet::Id"):
        cloud.create("ruled", RULED.replace("Tags.Tier", "CidrBlock"), {"Network": vpc, "Places": plain})


def test_a_transform_of_aws_that_does_not_run_is_refused_by_name(cloud: Lab) -> None:
    with pytest.raises(ClientError, match="does not run cloudformation:CreateStack with the transform AWS::SecretsManager-2020-07-23"):
        cloud.create("rotated", "Transform: AWS::SecretsManager-2020-07-23\nResources: {T: {Type: AWS::SNS::Topic}}")
