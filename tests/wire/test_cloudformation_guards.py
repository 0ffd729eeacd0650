"""What guards a stack against its updates: stack policies, the state that `--disable-rollback` leaves, and things that others took away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import InProcessCloud
from stacks import Scripted, Stacks, template, thing

ALLOW = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path_factory.mktemp("guards")) as running:
        yield running


@pytest.fixture(scope="module")
def stacks(cloud: InProcessCloud) -> Stacks:
    return Stacks(Door(cloud))


def policy(**deny: Any) -> str:
    return json.dumps({"Statement": [ALLOW, {"Effect": "Deny", "Principal": "*", **deny}]})


@pytest.mark.parametrize(
    ("name", "deny", "update", "denied"),
    [
        pytest.param(
            "replaced",
            {"Action": "Update:Replace", "Resource": "LogicalResourceId/A"},
            template(A=thing(Replace="2"), B=thing()),
            ("A", "[Update:Replace] for resource [LogicalResourceId/A]"),
            id="a replacement",
        ),
        pytest.param(
            "removed",
            {
                "Action": ["Update:Delete", "Update:Replace"],
                "Resource": "*",
                "Condition": {"StringEquals": {"ResourceType": ["Custom::Thing"]}},
            },
            template(A=thing(Replace="1")),
            ("B", "[Update:Delete, Update:Replace] for resource [*]"),
            id="a removal",
        ),
        pytest.param(
            "modified",
            {"Action": "Update:Modify", "NotResource": "LogicalResourceId/B"},
            template(A=thing(Replace="1", Colour="red"), B=thing()),
            ("A", "[Update:Modify] for resource [LogicalResourceId/B]"),
            id="a change",
        ),
    ],
)
def test_a_stack_policy_denies(
    stacks: Stacks, script: Scripted, name: str, deny: dict[str, Any], update: dict[str, Any], denied: tuple[str, str]
) -> None:
    stacks.create(name, template(A=thing(Replace="1"), B=thing()), StackPolicyBody=policy(**deny))
    before = dict(script.exists)
    assert stacks.update(name, update) == "UPDATE_ROLLBACK_COMPLETE"
    assert script.exists == before
    reason = f"Action denied by stack policy: Statement [#1] does not allow {denied[1]}"
    assert (denied[0], "UPDATE_FAILED", reason) in stacks.events(name)
    assert stacks.update(name, update, StackPolicyDuringUpdateBody=json.dumps({"Statement": [ALLOW]})) == "UPDATE_COMPLETE"


def test_a_stack_policy_lets_through_what_it_does_not_deny(stacks: Stacks, script: Scripted) -> None:
    stacks.create("open", template(A=thing(), B=thing()), StackPolicyBody=policy(Action="Update:Replace", Resource="*"))
    assert stacks.update("open", template(A=thing(Colour="red"))) == "UPDATE_COMPLETE"


def test_what_no_statement_allows_is_not_allowed(stacks: Stacks, script: Scripted) -> None:
    only = json.dumps({"Statement": [{**ALLOW, "Resource": "LogicalResourceId/B"}]})
    stacks.create("closed", template(A=thing(), B=thing()), StackPolicyBody=only)
    assert stacks.update("closed", template(A=thing(Colour="red"), B=thing())) == "UPDATE_ROLLBACK_COMPLETE"
    assert any(reason.startswith("Action not allowed by stack policy") for _, _, reason in stacks.events("closed"))


def test_nothing_is_replaced_without_a_way_back(stacks: Stacks, script: Scripted) -> None:
    stacks.create("forward", template(A=thing(Replace="1")))
    changed = template(A=thing(Replace="2"))
    assert stacks.update("forward", changed, DisableRollback=True) == "UPDATE_FAILED"
    assert ("A", "UPDATE_FAILED", "Replacement type updates not supported on stack with disable-rollback.") in stacks.events("forward")
    with pytest.raises(ClientError, match=r"currently in a non-terminal \[UPDATE_FAILED\] state"):
        stacks.update("forward", changed)
    stacks.api.create_change_set(StackName="forward", ChangeSetName="again", TemplateBody=json.dumps(template(A=thing(Replace="1"))))
    with pytest.raises(ClientError, match="use the rollback-stack API"):
        stacks.api.execute_change_set(StackName="forward", ChangeSetName="again")
    stacks.api.execute_change_set(StackName="forward", ChangeSetName="again", DisableRollback=True)
    assert stacks.arrived("forward") == "UPDATE_COMPLETE"
    assert stacks.update("forward", changed) == "UPDATE_COMPLETE"


def test_what_someone_took_away_cannot_be_turned_back(stacks: Stacks, cloud: InProcessCloud) -> None:
    def queue(seconds: int) -> dict[str, Any]:
        return template(Q={"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": seconds}})

    stacks.create("bereft", queue(10))
    Door(cloud).client("sqs").delete_queue(QueueUrl=stacks.physical("bereft", "Q"))
    assert stacks.update("bereft", queue(20)) == "UPDATE_ROLLBACK_FAILED"
    stacks.api.continue_update_rollback(StackName="bereft", ResourcesToSkip=["Q"])
    assert stacks.arrived("bereft") == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.update("bereft", template(R={"Type": "AWS::SQS::Queue"})) == "UPDATE_COMPLETE"


def waiting(**signal: Any) -> dict[str, Any]:
    return template(W={"Type": "AWS::CloudFormation::WaitCondition", "CreationPolicy": {"ResourceSignal": signal}})


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        pytest.param("minutes", waiting(Timeout="5m"), "Timeout must be an ISO 8601 duration", id="a duration of another manner"),
        pytest.param("hours", waiting(Timeout="PT13H"), "Timeout must be an ISO 8601 duration", id="too long"),
        pytest.param("many", waiting(Count="some"), "Count must be a whole number", id="a count that is none"),
        pytest.param(
            "handle",
            template(
                H={"Type": "AWS::CloudFormation::WaitConditionHandle"},
                W={"Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Handle": {"Ref": "H"}, "Timeout": "43201"}},
            ),
            "Value of property Timeout must be a whole number from 0 to 43200",
            id="a wait condition's timeout",
        ),
    ],
)
def test_what_cannot_be_waited_for_fails_at_once(stacks: Stacks, name: str, body: dict[str, Any], reason: str) -> None:
    assert stacks.create(name, body) == "ROLLBACK_COMPLETE"
    assert any(logical == "W" and status == "CREATE_FAILED" and reason in said for logical, status, said in stacks.events(name))


def test_an_update_that_cannot_delete_what_it_left_says_so(stacks: Stacks, script: Scripted) -> None:
    stacks.create("rest", template(A=thing(), B=thing(Fail=["delete"])))
    assert stacks.update("rest", template(A=thing())) == "UPDATE_COMPLETE"
    assert stacks.describe("rest")["StackStatusReason"] == "Update successful. One or more resources could not be deleted."
    assert stacks.resource("rest", "B") == {}
    assert stacks.update("rest", template(A=thing(Colour="red"))) == "UPDATE_COMPLETE"
    assert "StackStatusReason" not in stacks.describe("rest")
