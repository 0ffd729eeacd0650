"""EventBridge through boto3: buses and their policies, what happens across accounts, archives, replays, refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.services.iam.model import RootKey

OTHER = "222222222222"
OTHER_KEYS = ("AKIAOTHEROTHEROTHER0", "other/secret", "")
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/orders"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Rules"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
LONG_AGO, FAR_AHEAD = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


@pytest.fixture
def door(cloud: InProcessCloud) -> Door:
    door = Door(cloud)
    cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key=OTHER_KEYS[0], secret=OTHER_KEYS[1], account=OTHER)))
    role(door, ROLE)
    return door


def role(door: Door, arn: str, keys: tuple[str, str, str] | None = None) -> None:
    iam, name = door.client("iam", keys), arn.rsplit("/", 1)[-1]
    trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=EVERYTHING)


@pytest.fixture
def events(door: Door) -> Any:
    return door.client("events")


def refusal(call: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**args)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def entry(bus: str = "orders", source: str = "shop", kind: str = "Ordered", **detail: Any) -> dict[str, Any]:
    return {"Source": source, "DetailType": kind, "Detail": json.dumps(detail), "EventBusName": bus}


def archive(events: Any, name: str, bus: str, pattern: dict[str, Any] | None = None, **more: Any) -> None:
    given = {"EventPattern": json.dumps(pattern)} if pattern else {}
    events.create_archive(ArchiveName=name, EventSourceArn=bus, **given, **more)


def held(events: Any, name: str) -> int:
    count: int = events.describe_archive(ArchiveName=name)["EventCount"]
    return count


# -- buses --------------------------------------------------------------------------------------------------------------


def test_the_life_of_a_bus(events: Any) -> None:
    assert events.describe_event_bus()["Name"] == "default"
    made = events.create_event_bus(Name="orders", Description="of the shop", Tags=[{"Key": "team", "Value": "a"}])
    assert made["EventBusArn"] == BUS
    assert refusal(events.create_event_bus, Name="orders") == ("ResourceAlreadyExistsException", "Event bus orders already exists.")
    assert refusal(events.create_event_bus, Name="default") == ("ResourceAlreadyExistsException", "Event bus default already exists.")
    assert refusal(events.create_event_bus, Name="a/b") == ("ValidationException", "Event bus name must not contain '/'.")
    shown = events.describe_event_bus(Name=BUS)
    assert (shown["Name"], shown["Arn"], shown["Description"]) == ("orders", BUS, "of the shop")
    assert shown["CreationTime"] == shown["LastModifiedTime"]
    events.create_event_bus(Name="archive")
    assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["archive", "default", "orders"]
    first = events.list_event_buses(Limit=2)
    assert [bus["Name"] for bus in events.list_event_buses(Limit=2, NextToken=first["NextToken"])["EventBuses"]] == ["orders"]
    assert [bus["Name"] for bus in events.list_event_buses(NamePrefix="de")["EventBuses"]] == ["default"]
    assert events.update_event_bus(Name="orders", Description="new")["Description"] == "new"
    assert events.describe_event_bus(Name="orders")["Description"] == "new"
    events.put_rule(Name="r", EventBusName="orders", EventPattern='{"source":["x"]}')
    assert refusal(events.delete_event_bus, Name="orders") == ("ValidationException", "EventBus can't be deleted since it has rules.")
    events.delete_rule(Name="r", EventBusName="orders")
    events.delete_event_bus(Name="orders")
    events.delete_event_bus(Name="orders")
    gone = ("ResourceNotFoundException", "Event bus orders does not exist.")
    assert refusal(events.describe_event_bus, Name="orders") == gone
    assert refusal(events.put_rule, Name="r", EventBusName="orders", EventPattern='{"source":["x"]}') == gone
    assert refusal(events.delete_event_bus, Name="default")[0] == "ValidationException"


def test_rules_of_one_bus_are_not_those_of_another(events: Any) -> None:
    events.create_event_bus(Name="orders")
    for bus in ("default", "orders"):
        for name in ("a", "b"):
            events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [bus]}), Tags=[{"Key": "bus", "Value": bus}])
    arns = [rule["Arn"].split(":rule/")[1] for rule in events.list_rules()["Rules"]]
    assert arns == ["a", "b"]
    assert [rule["Arn"].split(":rule/")[1] for rule in events.list_rules(EventBusName=BUS)["Rules"]] == ["orders/a", "orders/b"]
    first = events.list_rules(EventBusName="orders", Limit=1)
    assert [r["Name"] for r in events.list_rules(EventBusName="orders", Limit=1, NextToken=first["NextToken"])["Rules"]] == ["b"]
    only = events.list_rules(Limit=2)
    assert "NextToken" not in only or events.list_rules(Limit=2, NextToken=only["NextToken"])["Rules"] == []
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/orders/a"
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "bus", "Value": "orders"}]
    events.tag_resource(ResourceARN=BUS, Tags=[{"Key": "k", "Value": "v"}])
    assert events.list_tags_for_resource(ResourceARN=BUS)["Tags"] == [{"Key": "k", "Value": "v"}]
    events.delete_rule(Name="a", EventBusName="orders")
    assert events.describe_rule(Name="a")["EventBusName"] == "default"
    assert refusal(events.describe_rule, Name="a", EventBusName="orders") == (
        "ResourceNotFoundException",
        "Rule a does not exist on EventBus orders.",
    )
    words = "ScheduleExpression is supported only on the default event bus."
    assert refusal(events.put_rule, Name="s", EventBusName="orders", ScheduleExpression="rate(1 day)") == ("ValidationException", words)


def test_events_reach_the_bus_that_they_name(events: Any) -> None:
    events.create_event_bus(Name="orders")
    archive(events, "all", BUS)
    archive(events, "some", BUS, {"detail": {"total": [{"numeric": [">", 100]}]}})
    archive(events, "default", BUS.replace("orders", "default"))
    reply = events.put_events(Entries=[entry(total=5), entry(total=500), entry("default"), entry("nowhere"), entry(source="aws.s3")])
    codes = [result.get("ErrorCode") for result in reply["Entries"]]
    assert codes == [None, None, None, "InvalidArgument", "NotAuthorizedForSource"]
    assert reply["Entries"][3]["ErrorMessage"] == "Event bus nowhere does not exist."
    until(lambda: held(events, "all") == 2, what="two events kept")
    assert (held(events, "some"), held(events, "default")) == (1, 1)
    assert events.describe_archive(ArchiveName="all")["SizeBytes"] > 200


# -- who may ----------------------------------------------------------------------------------------------------------


def test_a_policy_of_a_bus_is_written_statement_by_statement(events: Any) -> None:
    events.create_event_bus(Name="orders")
    events.put_permission(EventBusName="orders", Action="events:PutEvents", Principal=OTHER, StatementId="other")
    organisation = {"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1"}
    events.put_permission(EventBusName="orders", Action="events:PutEvents", Principal="*", StatementId="org", Condition=organisation)
    policy = json.loads(events.describe_event_bus(Name="orders")["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["other", "org"]
    assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{OTHER}:root"}
    assert policy["Statement"][1]["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    assert refusal(events.remove_permission, EventBusName="orders", StatementId="none")[0] == "ResourceNotFoundException"
    events.remove_permission(EventBusName="orders", StatementId="org")
    events.remove_permission(EventBusName="orders", RemoveAllPermissions=True)
    assert "Policy" not in events.describe_event_bus(Name="orders")
    assert refusal(events.remove_permission, EventBusName="orders", StatementId="other")[1] == "EventBus does not have a policy."
    assert refusal(events.put_permission, EventBusName="orders", Policy="{}")[0] == "ValidationException"
    assert refusal(events.put_permission, EventBusName="none", Policy="{}")[0] == "ResourceNotFoundException"


def test_another_account_puts_events_only_as_the_policy_lets_it(door: Door, events: Any) -> None:
    events.create_event_bus(Name="orders")
    archive(events, "all", BUS)
    theirs = door.client("events", OTHER_KEYS)
    assert refusal(theirs.put_events, Entries=[entry(BUS)])[0] == "AccessDeniedException"
    statement = {
        "Sid": "their-orders",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": "events:PutEvents",
        "Resource": BUS,
        "Condition": {"StringEquals": {"events:source": "shop", "events:detail-type": "Ordered"}},
    }
    events.put_permission(EventBusName="orders", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert refusal(theirs.put_events, Entries=[entry(BUS, source="else")])[0] == "AccessDeniedException"
    assert theirs.put_events(Entries=[entry(BUS)])["FailedEntryCount"] == 0
    until(lambda: held(events, "all") == 1, what="their event kept")


def test_a_rule_passes_events_on_to_another_bus_once(door: Door, events: Any) -> None:
    for bus in ("orders", "second", "third"):
        events.create_event_bus(Name=bus)
    second, third = BUS.replace("orders", "second"), BUS.replace("orders", "third")
    archive(events, "second", second)
    archive(events, "third", third)
    for bus, target in (("orders", second), ("second", third)):
        events.put_rule(Name="on", EventBusName=bus, EventPattern='{"source":["shop"]}')
        missing = refusal(events.put_targets, Rule="on", EventBusName=bus, Targets=[{"Id": "t", "Arn": target}])
        assert missing == ("ValidationException", f"RoleArn is required for target {target}.")
        events.put_targets(Rule="on", EventBusName=bus, Targets=[{"Id": "t", "Arn": target, "RoleArn": ROLE}])
    sent = events.put_events(Entries=[entry(n=1)])["Entries"][0]["EventId"]
    until(lambda: held(events, "second") == 1, what="the event on the second bus")
    assert held(events, "third") == 0
    assert events.put_events(Entries=[entry("second")])["FailedEntryCount"] == 0
    until(lambda: held(events, "third") == 1, what="the second bus's own event on the third")
    assert len(sent) == 36


def test_a_rule_passes_events_on_to_another_accounts_bus(door: Door, events: Any) -> None:
    theirs = door.client("events", OTHER_KEYS)
    theirs.create_event_bus(Name="inbox")
    inbox = f"arn:aws:events:{REGION}:{OTHER}:event-bus/inbox"
    archive(theirs, "inbox", inbox, {"account": [ACCOUNT]})
    events.put_rule(Name="on", EventPattern='{"source":["shop"]}')
    events.put_targets(Rule="on", Targets=[{"Id": "t", "Arn": inbox}])
    events.put_events(Entries=[entry("default", n=1)])
    theirs.put_permission(EventBusName="inbox", Action="events:PutEvents", Principal=ACCOUNT, StatementId="s")
    events.put_events(Entries=[entry("default", n=2)])
    until(lambda: held(theirs, "inbox") == 1, what="the second event in their inbox")
    assert held(theirs, "inbox") == 1


# -- archives and replays ---------------------------------------------------------------------------------------------


def test_archives_are_described_listed_changed_and_deleted(events: Any) -> None:
    events.create_event_bus(Name="orders")
    archive(events, "a", BUS, {"source": ["shop"]}, RetentionDays=3, Description="d")
    assert refusal(events.create_archive, ArchiveName="a", EventSourceArn=BUS) == (
        "ResourceAlreadyExistsException",
        "Archive a already exists.",
    )
    assert refusal(events.create_archive, ArchiveName="b", EventSourceArn=BUS + "2")[1] == "Event bus orders2 does not exist."
    assert refusal(events.create_archive, ArchiveName="b", EventSourceArn=BUS, EventPattern="{}")[0] == "InvalidEventPatternException"
    shown = events.describe_archive(ArchiveName="a")
    assert (shown["State"], shown["RetentionDays"], shown["EventPattern"], shown["EventCount"]) == ("ENABLED", 3, '{"source": ["shop"]}', 0)
    archive(events, "b", BUS.replace("orders", "default"))
    assert [one["ArchiveName"] for one in events.list_archives()["Archives"]] == ["a", "b"]
    assert [one["ArchiveName"] for one in events.list_archives(EventSourceArn=BUS)["Archives"]] == ["a"]
    assert refusal(events.list_archives, EventSourceArn=BUS, NamePrefix="a")[1].startswith("At most one filter")
    events.update_archive(ArchiveName="a", RetentionDays=0, EventPattern='{"source":["else"]}')
    events.put_events(Entries=[entry(), entry(source="else")])
    until(lambda: held(events, "a") == 1, what="what the new pattern wants")
    events.delete_archive(ArchiveName="a")
    assert refusal(events.describe_archive, ArchiveName="a") == ("ResourceNotFoundException", "Archive a does not exist.")
    archive(events, "a", BUS)
    assert held(events, "a") == 0


def test_a_replay_brings_the_events_of_a_time_again_in_their_order(events: Any) -> None:
    events.create_event_bus(Name="orders")
    events.create_event_bus(Name="sink")
    sink = BUS.replace("orders", "sink")
    archive(events, "all", BUS)
    archive(events, "sink", sink)
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (3, 1, 2, 9)]
    events.put_events(Entries=[entry(n=day.day) | {"Time": day} for day in days])
    until(lambda: held(events, "all") == 4, what="four events kept")
    for name in ("first", "other"):
        events.put_rule(Name=name, EventBusName="orders", EventPattern='{"source":["shop"]}')
        events.put_targets(Rule=name, EventBusName="orders", Targets=[{"Id": "t", "Arn": sink, "RoleArn": ROLE}])
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/orders/first"
    given = {
        "EventSourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:archive/all",
        "EventStartTime": days[1],
        "EventEndTime": days[0],
        "Destination": {"Arn": BUS, "FilterArns": [rule]},
    }
    started = events.start_replay(ReplayName="again", Description="d", **given)
    assert started["State"] == "STARTING"
    until(lambda: events.describe_replay(ReplayName="again")["State"] == "COMPLETED", what="the replay's end")
    until(lambda: held(events, "sink") == 3, what="the three events of that time")
    shown = events.describe_replay(ReplayName="again")
    assert shown["EventLastReplayedTime"] == days[0]
    assert shown["Destination"]["FilterArns"] == [rule]
    assert held(events, "all") == 4, "what is replayed is not archived again"
    assert [one["ReplayName"] for one in events.list_replays(State="COMPLETED")["Replays"]] == ["again"]
    assert refusal(events.start_replay, ReplayName="again", **given)[0] == "ResourceAlreadyExistsException"
    assert refusal(events.cancel_replay, ReplayName="again")[0] == "IllegalStatusException"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"EventSourceArn": BUS}, "EventSourceArn is not valid. Reason: Must contain an archive ARN."),
        ({"EventSourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:archive/none"}, "Archive none does not exist."),
        ({"Destination": {"Arn": BUS.replace("orders", "default")}}, "Cross event bus replay is not permitted."),
        ({"EventEndTime": LONG_AGO}, "EventStartTime must be before EventEndTime."),
    ],
)
def test_replays_that_are_refused(events: Any, change: dict[str, Any], words: str) -> None:
    events.create_event_bus(Name="orders")
    archive(events, "all", BUS)
    given = {
        "ReplayName": "r",
        "EventSourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:archive/all",
        "EventStartTime": LONG_AGO,
        "EventEndTime": FAR_AHEAD,
        "Destination": {"Arn": BUS},
    }
    code, message = refusal(events.start_replay, **{**given, **change})
    assert code == "ValidationException"
    assert words in message
    assert events.list_replays()["Replays"] == []


# -- targets ------------------------------------------------------------------------------------------------------------


SQS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"


@pytest.mark.parametrize(
    "target, code, words",
    [
        ({"Arn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s", "RoleArn": ROLE}, "NotImplemented", "a target of kinesis"),
        ({"Arn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:s", "RoleArn": ROLE}, "NotImplemented", "a target of states"),
        ({"Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:api-destination/d/1"}, "ValidationException", "RoleArn is required"),
        ({"Arn": SQS, "HttpParameters": {"HeaderParameters": {"a": "b"}}}, "ValidationException", "HttpParameters is not valid"),
        ({"Arn": SQS + ".fifo"}, "ValidationException", "Parameter(s) SqsParameters must be specified for target: t."),
        ({"Arn": SQS, "SqsParameters": {"MessageGroupId": "g"}}, "ValidationException", "SqsParameters is not valid"),
        ({"Arn": SQS.replace(ACCOUNT, OTHER)}, "ValidationException", "RoleArn is required"),
        ({"Arn": SQS.replace(REGION, "eu-west-1")}, "ValidationException", "not in correct region"),
        ({"Arn": SQS, "DeadLetterConfig": {"Arn": BUS}}, "ValidationException", "standard queue"),
        ({"Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g", "RoleArn": ROLE}, "ValidationException", "RoleArn is not supported"),
        ({"Arn": BUS, "RoleArn": ROLE, "InputPath": "$.detail"}, "NotImplemented", "InputTransformer for an event bus"),
        ({"Arn": SQS, "InputTransformer": {"InputTemplate": "plain words"}}, "ValidationException", "Invalid InputTemplate for target t"),
        ({"Arn": SQS, "InputTransformer": {"InputTemplate": '{"a": <x>}'}}, "ValidationException", "Invalid InputTemplate for target t"),
        (
            {"Arn": SQS, "InputTransformer": {"InputPathsMap": {"awsx": "$.id"}, "InputTemplate": '"<awsx>"'}},
            "ValidationException",
            "must not start with AWS",
        ),
    ],
)
def test_targets_that_are_refused(events: Any, target: dict[str, Any], code: str, words: str) -> None:
    events.put_rule(Name="r", EventPattern='{"source":["shop"]}')
    found = refusal(events.put_targets, Rule="r", Targets=[{"Id": "t", **target}])
    assert found[0] == code
    assert words in found[1]
    assert events.list_targets_by_rule(Rule="r")["Targets"] == []


@pytest.mark.parametrize("template", ['"<x> happened"', '{"a": <x>, "b": "<aws.events.rule-name>"}', "<x>", '"one <x>"\n"two"'])
def test_templates_that_are_taken(events: Any, template: str) -> None:
    events.put_rule(Name="r", EventPattern='{"source":["shop"]}')
    transformer = {"InputPathsMap": {"x": "$.detail.x"}, "InputTemplate": template}
    assert events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": SQS, "InputTransformer": transformer}])["FailedEntryCount"] == 0
