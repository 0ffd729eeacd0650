"""CloudFormation's own types: wait conditions, custom resources behind a topic."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

from clients import Door
from harness import InProcessCloud, until
from stacks import Stacks, template
from windtunnel.services.cloudformation.answering import Answers

GROUP = "AWS::Logs::LogGroup"


def put(cloud: InProcessCloud, address: str, document: dict[str, Any]) -> int:
    """What a script does with `curl -T`."""
    parts = urlsplit(address)
    taken = Answers(cloud.cloud)(parts.path, parts.query, json.dumps(document).encode())
    status, _ = asyncio.run_coroutine_threadsafe(taken, cloud.loop).result(10)
    return status


def waiting(count: int = 1, timeout: str = "60") -> dict[str, Any]:
    return template(
        Handle={"Type": "AWS::CloudFormation::WaitConditionHandle"},
        Wait={
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": timeout, "Count": count},
        },
    ) | {"Outputs": {"Data": {"Value": {"Fn::GetAtt": ["Wait", "Data"]}}}}


def test_a_wait_condition_hears_its_signals(cloud: InProcessCloud, stacks: Stacks) -> None:
    stacks.api.create_stack(StackName="waits", TemplateBody=json.dumps(waiting(count=2)))
    stacks.reached("waits", "Handle", "CREATE_COMPLETE")
    address = stacks.physical("waits", "Handle")
    for unique, data in (("one", "first"), ("one", "again"), ("two", "second")):
        assert put(cloud, address, {"Status": "SUCCESS", "UniqueId": unique, "Data": data, "Reason": "done"}) == 200
    assert stacks.arrived("waits") == "CREATE_COMPLETE"
    assert json.loads(stacks.describe("waits")["Outputs"][0]["OutputValue"]) == {"one": "first", "two": "second"}
    assert stacks.delete("waits") == "DELETE_COMPLETE"


def test_a_wait_condition_fails_by_a_signal_or_by_silence(cloud: InProcessCloud, stacks: Stacks) -> None:
    stacks.api.create_stack(StackName="told", TemplateBody=json.dumps(waiting()))
    stacks.reached("told", "Handle", "CREATE_COMPLETE")
    put(cloud, stacks.physical("told", "Handle"), {"Status": "FAILURE", "UniqueId": "x", "Reason": "broke"})
    assert stacks.arrived("told") == "ROLLBACK_COMPLETE"
    assert any(reason == "WaitCondition received failed message: 'broke' for uniqueId: x" for _, _, reason in stacks.events("told"))
    assert stacks.create("mute", waiting(timeout="0")) == "ROLLBACK_COMPLETE"
    assert any("Received 0 conditions when expecting 1" in reason for _, _, reason in stacks.events("mute"))


def test_an_address_is_good_for_itself_only(cloud: InProcessCloud, stacks: Stacks) -> None:
    stacks.api.create_stack(StackName="forged", TemplateBody=json.dumps(waiting()))
    stacks.reached("forged", "Handle", "CREATE_COMPLETE")
    address = stacks.physical("forged", "Handle")
    signal = {"Status": "SUCCESS", "UniqueId": "x"}
    assert put(cloud, address.replace("/Handle/", "/Other/"), signal) == 403
    assert put(cloud, address[:-1] + ("0" if address[-1] != "0" else "1"), signal) == 403
    stacks.api.delete_stack(StackName="forged")


class Provider:
    """A custom resource's provider: reads requests from a queue behind the topic and answers them."""

    def __init__(self, cloud: InProcessCloud, door: Door) -> None:
        self._cloud = cloud
        self._sqs = door.client("sqs")
        sns = door.client("sns")
        self.topic = sns.create_topic(Name="provider")["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName="requests")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def request(self) -> dict[str, Any]:
        message = until(lambda: self._sqs.receive_message(QueueUrl=self._queue).get("Messages"), what="a request")[0]
        self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        found: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
        return found

    def answer(self, request: dict[str, Any], status: str = "SUCCESS", **more: Any) -> None:
        told = {"Status": status, **{name: request[name] for name in ("StackId", "RequestId", "LogicalResourceId")}, **more}
        assert put(self._cloud, request["ResponseURL"], told) == 200


def custom(topic: str, **properties: Any) -> dict[str, Any]:
    made = template(Thing={"Type": "Custom::Thing", "Properties": {"ServiceToken": topic, **properties}})
    return made | {"Outputs": {"Word": {"Value": {"Fn::GetAtt": ["Thing", "Word"]}}}}


def test_a_custom_resource_is_made_replaced_and_deleted_by_its_provider(cloud: InProcessCloud, door: Door, stacks: Stacks) -> None:
    provider = Provider(cloud, door)
    stacks.api.create_stack(StackName="custom", TemplateBody=json.dumps(custom(provider.topic, Size=3, On=True)))
    request = provider.request()
    assert (request["RequestType"], request["ResourceType"], request["LogicalResourceId"]) == ("Create", "Custom::Thing", "Thing")
    assert request["ResourceProperties"] == {"ServiceToken": provider.topic, "Size": "3", "On": "true"}
    provider.answer(request, PhysicalResourceId="thing-1", Data={"Word": "hello"})
    assert stacks.arrived("custom") == "CREATE_COMPLETE" and stacks.physical("custom", "Thing") == "thing-1"
    assert stacks.describe("custom")["Outputs"][0]["OutputValue"] == "hello"

    stacks.api.update_stack(StackName="custom", TemplateBody=json.dumps(custom(provider.topic, Size=4)))
    request = provider.request()
    assert (request["RequestType"], request["PhysicalResourceId"]) == ("Update", "thing-1")
    assert request["OldResourceProperties"]["Size"] == "3" and request["ResourceProperties"]["Size"] == "4"
    provider.answer(request, PhysicalResourceId="thing-2", Data={"Word": "again"})
    request = provider.request()
    assert (request["RequestType"], request["PhysicalResourceId"]) == ("Delete", "thing-1")
    provider.answer(request, PhysicalResourceId="thing-1")
    assert stacks.arrived("custom") == "UPDATE_COMPLETE" and stacks.physical("custom", "Thing") == "thing-2"

    arn = stacks.describe("custom")["StackId"]
    stacks.api.delete_stack(StackName="custom")
    request = provider.request()
    assert (request["RequestType"], request["PhysicalResourceId"]) == ("Delete", "thing-2")
    provider.answer(request, PhysicalResourceId="thing-2")
    assert stacks.arrived(arn) == "DELETE_COMPLETE"


def test_a_custom_resource_fails_in_its_providers_words(cloud: InProcessCloud, door: Door, stacks: Stacks) -> None:
    provider = Provider(cloud, door)
    stacks.api.create_stack(StackName="sorry", TemplateBody=json.dumps(custom(provider.topic)))
    request = provider.request()
    provider.answer(request, "FAILED", Reason="no room", PhysicalResourceId="thing")
    deletion = provider.request()
    assert deletion["RequestType"] == "Delete"
    provider.answer(deletion, PhysicalResourceId="thing")
    assert stacks.arrived("sorry") == "ROLLBACK_COMPLETE"
    said = f"Received response status [FAILED] from custom resource. Message returned: no room (RequestId: {request['RequestId']})"
    assert ("Thing", "CREATE_FAILED", said) in stacks.events("sorry")


def test_a_custom_resource_behind_a_function_fails_by_name(stacks: Stacks) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:provider"
    assert stacks.create("function", custom(arn)) == "ROLLBACK_COMPLETE"
    assert any("does not run Lambda functions yet" in reason for _, _, reason in stacks.events("function"))


def reason_of(stacks: Stacks, stack: str, logical: str, status: str) -> str:
    return next(reason for name, now, reason in stacks.events(stack) if (name, now) == (logical, status))


def test_a_nested_stack_that_cannot_begin_says_so_plainly(door: Door, stacks: Stacks) -> None:
    s3 = door.client("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="child", Body=json.dumps(template(G={"Type": "AWS::Logs::LogGroup"})).encode())
    nested = {"TemplateURL": "https://templates.s3.amazonaws.com/child", "Parameters": {"Name": "x"}}
    assert stacks.create("outer", template(Child={"Type": "AWS::CloudFormation::Stack", "Properties": nested})) == "ROLLBACK_COMPLETE"
    assert reason_of(stacks, "outer", "Child", "CREATE_FAILED") == "Parameters: [Name] do not exist in the template"


def test_a_nested_stack_gets_booleans_and_numbers_as_cloudformation_writes_them(door: Door, stacks: Stacks) -> None:
    child = template(G={"Type": "AWS::Logs::LogGroup"})
    child["Parameters"] = {name: {"Type": "String"} for name in ("Flag", "Count", "Sides")}
    child["Outputs"] = {name: {"Value": {"Ref": name}} for name in child["Parameters"]}
    s3 = door.client("s3")
    s3.create_bucket(Bucket="flagged")
    s3.put_object(Bucket="flagged", Key="child", Body=json.dumps(child).encode())
    given = {"Flag": True, "Count": 3, "Sides": ["a", False]}
    nested = {"TemplateURL": "https://flagged.s3.amazonaws.com/child", "Parameters": given}
    body = template(Child={"Type": "AWS::CloudFormation::Stack", "Properties": nested})
    body["Outputs"] = {name: {"Value": {"Fn::GetAtt": ["Child", f"Outputs.{name}"]}} for name in given}
    assert stacks.create("flags", body) == "CREATE_COMPLETE"
    assert {one["OutputKey"]: one["OutputValue"] for one in stacks.describe("flags")["Outputs"]} == {
        "Flag": "true",
        "Count": "3",
        "Sides": "a,false",
    }


def test_a_reference_that_leads_nowhere_is_told_in_its_own_services_words(door: Door, stacks: Stacks) -> None:
    door.client("secretsmanager").create_secret(Name="bytes", SecretBinary=b"x")
    for name, secret, words in (
        ("absent", "nobody", "Secrets Manager can't find the specified secret. (Service: AWSSecretsManager; Status Code: 400;"),
        ("binary", "bytes", "Secret bytes has no SecretString"),
    ):
        body = template(G={"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"{{{{resolve:secretsmanager:{secret}}}}}"}})
        assert stacks.create(name, body) == "ROLLBACK_COMPLETE"
        assert reason_of(stacks, name, "G", "CREATE_FAILED").startswith(words)
