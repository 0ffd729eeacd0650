"""`aws events` and `aws scheduler` as a person types them, against a real server: over its death too."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from harness import until
from shell import Shell, started_shell

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    yield from started_shell(tmp_path_factory.mktemp("shell"))


def queue(shell: Shell, name: str) -> tuple[str, str]:
    """(URL, ARN) of a queue into which EventBridge may send."""
    url = shell.text("sqs", "create-queue", "--queue-name", name)
    arn = shell.text("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn", "--query", "Attributes.QueueArn")
    grant = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    shell.aws("sqs", "set-queue-attributes", "--queue-url", url, "--attributes", json.dumps({"Policy": policy}))
    return url, arn


def body(shell: Shell, url: str) -> str:
    return shell.text("sqs", "receive-message", "--queue-url", url, "--wait-time-seconds", "10", "--query", "Messages[0].Body")


def test_an_event_goes_through_a_rule_of_a_bus_into_a_queue(shell: Shell) -> None:
    url, arn = queue(shell, "orders")
    shell.aws("events", "create-event-bus", "--name", "shop")
    pattern = '{"source":["shop"],"detail":{"total":[{"numeric":[">",100]}]}}'
    shell.aws("events", "put-rule", "--name", "large", "--event-bus-name", "shop", "--event-pattern", pattern)
    failed = shell.text(
        *("events", "put-targets", "--rule", "large", "--event-bus-name", "shop", "--targets", f"Id=q,Arn={arn},InputPath=$.detail"),
        *("--query", "FailedEntryCount"),
    )
    assert failed == "0"
    for total in (50, 500):
        entry = {"Source": "shop", "DetailType": "Ordered", "Detail": json.dumps({"total": total}), "EventBusName": "shop"}
        shell.aws("events", "put-events", "--entries", json.dumps([entry]))
    assert json.loads(body(shell, url)) == {"total": 500}
    shown = shell.text("events", "list-rules", "--event-bus-name", "shop", "--query", "Rules[].Name")
    assert shown == "large"
    shell.aws("events", "delete-rule", "--name", "large", "--event-bus-name", "shop", fails="Rule can't be deleted since it has targets.")
    shell.aws("events", "put-rule", "--name", "x", "--event-pattern", '{"a":"b"}', fails="must be an object or an array")
    shell.aws("events", "put-rule", "--name", "x", "--schedule-expression", "rate(1 minutes)", fails="ScheduleExpression is not valid")


def test_a_pattern_is_tried(shell: Shell) -> None:
    event = {
        "id": "1",
        "account": "1",
        "source": "shop",
        "time": "2026-01-01T00:00:00Z",
        "region": "r",
        "resources": [],
        "detail-type": "x",
    }
    event["detail"] = {"file": "in/a.PNG"}  # type: ignore[assignment]
    pattern = '{"detail":{"file":[{"wildcard":"in/*"}]},"$or":[{"source":["else"]},{"detail-type":["x"]}]}'
    assert shell.text("events", "test-event-pattern", "--event-pattern", pattern, "--event", json.dumps(event)) == "True"


def test_a_schedule_goes_on_over_the_clouds_death(shell: Shell) -> None:
    url, arn = queue(shell, "ticks")
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = shell.text("iam", "create-role", "--role-name", "clock", "--assume-role-policy-document", document, "--query", "Role.Arn")
    may = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
    shell.aws(
        *("iam", "put-role-policy", "--role-name", "clock", "--policy-name", "p"),
        *("--policy-document", json.dumps({"Version": "2012-10-17", "Statement": [may]})),
    )
    shell.aws("scheduler", "create-schedule-group", "--name", "night")
    at = shell.text("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "CreatedTimestamp", "--query", "Attributes.*")
    soon = subprocess.run(["date", "-u", "-d", f"@{int(at) + 25}", "+%Y-%m-%dT%H:%M:%S"], capture_output=True, text=True, check=True).stdout
    target = json.dumps({"Arn": arn, "RoleArn": role, "Input": "<aws.scheduler.scheduled-time>"})
    shell.aws(
        *("scheduler", "create-schedule", "--name", "once", "--group-name", "night", "--schedule-expression", f"at({soon.strip()})"),
        *("--flexible-time-window", "Mode=OFF", "--action-after-completion", "DELETE", "--target", target),
    )
    shell.aws("scheduler", "get-schedule", "--name", "none", fails="Schedule none does not exist.")
    shell.cloud.kill()
    shell.cloud.start()
    assert until(lambda: body(shell, url).strip("None"), 60, what="the message") == f"{soon.strip()}Z"
    until(lambda: not shell.text("scheduler", "list-schedules", "--query", "Schedules[].Name"), what="the schedule being deleted")
    shell.aws("scheduler", "delete-schedule-group", "--name", "night")
