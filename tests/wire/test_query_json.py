"""Query requests with ContentType=JSON, as AWS's own helper scripts send them: the same answers and errors, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from clients import Door
from harness import REGION, InProcessCloud
from stacks import Stacks


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with InProcessCloud(tmp_path_factory.mktemp("query-json")) as cloud:
        yield Door(cloud)


def ask(door: Door, service: str, version: str, method: str = "POST", **members: str) -> tuple[int, str, Any]:
    """(status, content type, document) of a request whose answer is wanted as JSON."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    form = urlencode({**members, "Version": version, "ContentType": "JSON"})
    url = "http://127.0.0.1:4566/"
    if method == "GET":
        request = AWSRequest("GET", f"{url}?{form}")
    else:
        request = AWSRequest("POST", url, data=form, headers={"content-type": "application/x-www-form-urlencoded"})
    SigV4Auth(Credentials(door.root[0], door.root[1]), service, REGION).add_auth(request)
    answer = door._send(request.prepare())
    return answer.status_code, answer.headers["content-type"], json.loads(answer.content)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_stacks_resource_as_a_helper_script_asks_for_it(door: Door, method: str) -> None:
    name = f"scripts-{method.lower()}"
    body = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Metadata": {"a": ["b"]}}}}
    assert Stacks(door).create(name, body) == "CREATE_COMPLETE"
    asked = {"Action": "DescribeStackResource", "StackName": name, "LogicalResourceId": "Queue"}
    status, kind, said = ask(door, "cloudformation", "2010-05-15", method, **asked)
    told = said["DescribeStackResourceResponse"]["DescribeStackResourceResult"]["StackResourceDetail"]
    assert (status, kind, json.loads(told["Metadata"])) == (200, "application/json", {"a": ["b"]})
    assert isinstance(told["LastUpdatedTimestamp"], float | int)
    assert said["DescribeStackResourceResponse"]["ResponseMetadata"]["RequestId"]


def test_an_error_as_json(door: Door) -> None:
    status, kind, said = ask(door, "cloudformation", "2010-05-15", Action="DescribeStacks", StackName="none")
    assert (status, kind) == (400, "application/json")
    assert said["Error"] == {"Type": "Sender", "Code": "ValidationError", "Message": "Stack with id none does not exist"}
    status, _, said = ask(door, "cloudformation", "2010-05-15", Action="DescribeStacks", Nothing="1")
    assert (status, said["Error"]["Code"]) == (501, "NotImplemented"), "what is unknown is refused all the same"


def test_an_answer_that_holds_nothing(door: Door) -> None:
    assert ask(door, "iam", "2010-05-08", Action="CreateUser", UserName="ann")[2]["CreateUserResponse"]["CreateUserResult"]["User"]
    status, _, said = ask(door, "iam", "2010-05-08", Action="DeleteUser", UserName="ann")
    assert (status, said["DeleteUserResponse"].keys()) == (200, {"ResponseMetadata"})
